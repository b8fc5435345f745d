import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.networks import FullyConnected, LeakyTwoLayer, ResidualDense


def values(params):
    return jax.tree.map(np.asarray, params)


def test_a_fully_connected_network_is_its_formula():
    with jax.enable_x64(True):
        network = FullyConnected((3, 5, 4), outputs=2, activation=jnp.tanh, gain=1.5)
        params = network.init(jax.random.key(0))
        x = np.random.default_rng(0).normal(size=(6, 3))
        found = network(params, x)
    w = values(params)
    first = np.sqrt(1.5) * np.tanh(x @ w["W1"].T / np.sqrt(3))
    second = np.sqrt(1.5) * np.tanh(first @ w["W2"].T / np.sqrt(5))
    np.testing.assert_allclose(found, second @ w["a"].T / np.sqrt(4), rtol=1e-12)


def test_both_parametrizations_are_one_random_function():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(6, 3))
        found, slopes = [], []
        for name in ("ntk", "standard"):
            network = FullyConnected((3, 5, 4), activation=jnp.tanh, parametrization=name)
            params = network.init(jax.random.key(0))
            found.append(network(params, x))
            slopes.append(values(jax.grad(lambda p, n=network: n(p, x).sum())(params)))
    np.testing.assert_allclose(*found, rtol=1e-12)
    for layer, width in (("W1", 3), ("W2", 5), ("a", 4)):
        np.testing.assert_allclose(
            slopes[1][layer], np.sqrt(width) * slopes[0][layer], rtol=1e-10, atol=1e-14
        )


@pytest.mark.parametrize(("activation", "gain"), [(jax.nn.relu, 2.0), (jnp.tanh, 2.536175)])
def test_units_keep_their_mean_square_at_any_width(activation, gain):
    """Also where the activation is not homogeneous: a root in the wrong place saturates it."""
    network = FullyConnected((4, 2000, 2000), activation=activation, gain=gain)
    x = jnp.array([[1.0, -1.0, 1.0, 1.0]])
    hidden = x
    for name, weights in network.init(jax.random.key(1)).items():
        if name != "a":
            hidden = gain**0.5 * activation(hidden @ weights.T / weights.shape[1] ** 0.5)
    # the mean square of 2000 units of variance at most 5, twice: a deviation of at most 7 %
    assert float((hidden**2).mean()) == pytest.approx(1, abs=0.35)


def test_a_leaky_network_is_its_formula_and_homogeneous():
    with jax.enable_x64(True):
        network = LeakyTwoLayer(3, width=5, slope=0.2, deviation=0.5)
        params = network.init(jax.random.key(0))
        x = np.random.default_rng(0).normal(size=(6, 3))
        found = network(params, x)
        slope = values(jax.grad(lambda p: network(p, x[:1])[0])(params))
        other = LeakyTwoLayer(3, width=5, slope=0.2, output=2.0)(params, x)
    w = values(params)
    leaky = lambda z: np.maximum(z, 0.2 * z)  # noqa: E731
    exact = leaky(x @ w["w"].T).sum(1) - leaky(x @ w["u"].T).sum(1)
    np.testing.assert_allclose(found, exact / np.sqrt(10), rtol=1e-12)
    np.testing.assert_allclose(other, 2 * exact, rtol=1e-12)
    euler = sum(float((slope[name] * w[name]).sum()) for name in w)
    assert euler == pytest.approx(float(found[0]), rel=1e-12)
    # 30 draws: six deviations of their root mean square
    drawn = np.concatenate([w["w"], w["u"]]).std()
    assert drawn == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(60))


def test_a_residual_network_is_its_formula():
    with jax.enable_x64(True):
        network = ResidualDense(3, width=5, depth=4, activation=jnp.tanh, first=2.536175)
        params = network.init(jax.random.key(0))
        x = np.random.default_rng(0).normal(size=(6, 3))
        found = network(params, x)
    w = values(params)
    y = np.sqrt(2.536175 / 5) * np.tanh(x @ w["first"].T)
    for layer in w["layers"]:
        y = y + np.tanh(y @ layer.T) / (4 * np.sqrt(5))
    np.testing.assert_allclose(found, y @ w["a"], rtol=1e-12)


def test_its_first_layer_keeps_the_length_of_a_unit_vector():
    network = ResidualDense(3, width=20_000, depth=1)
    params = network.init(jax.random.key(2))
    x = jnp.array([0.6, 0.0, 0.8])
    first = jnp.sqrt(1.085487 / 20_000) * jax.nn.softplus(params["first"] @ x)
    assert float((first**2).sum()) == pytest.approx(1, abs=0.05)  # five deviations are 0.045


@pytest.mark.parametrize(
    ("made", "options", "words"),
    [
        (FullyConnected, {"widths": (3, 2.5)}, r"widths must name the inputs .*got \(3, 2\.5\)"),
        (FullyConnected, {"widths": "35"}, "widths must name the inputs .*got '35'"),
        (FullyConnected, {"widths": 3}, "widths must name the inputs .*got 3"),
        (FullyConnected, {"widths": (3, 4), "gain": "2"}, "gain must be a finite .*got '2'"),
        (FullyConnected, {"widths": (3, 4), "gain": None}, "gain must be a finite .*got None"),
        (FullyConnected, {"widths": (3, 4), "outputs": 2.5}, "outputs must be 1 or more.*got 2.5"),
        (ResidualDense, {"inputs": 3, "width": 2, "depth": 1.5}, "depth must be a whole.*got 1.5"),
        (LeakyTwoLayer, {"inputs": True, "width": 2}, "inputs must be a whole number .*got True"),
    ],
)
def test_sizes_that_are_no_counts_are_refused(monkeypatch, made, options, words):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(UserError, match=words):
        made(**options)


def test_sizes_that_make_no_network_are_refused():
    with pytest.raises(UserError, match="widths must name the inputs and one hidden layer"):
        FullyConnected((3,))
    with pytest.raises(UserError, match="width must be a whole number from 1 on, got 0"):
        ResidualDense(3, width=0, depth=2)
    with pytest.raises(UserError, match="parametrization must be 'ntk' or 'standard', got 'mup'"):
        FullyConnected((3, 4), parametrization="mup")
    with pytest.raises(UserError, match="outputs must be 1 or more, or None for one number, got 0"):
        FullyConnected((3, 4), outputs=0)
    with pytest.raises(UserError, match="gain must be a finite number above 0, got -1"):
        FullyConnected((3, 4), gain=-1.0)
    with pytest.raises(UserError, match="first must be a finite number above 0, got 0"):
        ResidualDense(3, width=2, depth=2, first=0.0)
    with pytest.raises(UserError, match="slope must lie between 0 and 1, got 1"):
        LeakyTwoLayer(3, width=2, slope=1.0)
    with pytest.raises(UserError, match="width must be a whole number from 1 on, got 0"):
        LeakyTwoLayer(3, width=0)
    with pytest.raises(UserError, match="deviation and output must be above 0, got 0"):
        LeakyTwoLayer(3, width=2, output=-1.0)
