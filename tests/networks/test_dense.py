import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.networks import FullyConnected, ResidualDense


def values(params):
    return jax.tree.map(np.asarray, params)


def test_a_fully_connected_network_is_its_formula():
    with jax.enable_x64(True):
        network = FullyConnected((3, 5, 4), outputs=2, activation=jnp.tanh, gain=1.5)
        params = network.init(jax.random.key(0))
        x = np.random.default_rng(0).normal(size=(6, 3))
        found = network(params, x)
    w = values(params)
    first = np.sqrt(1.5 / 3) * np.tanh(x @ w["W1"].T)
    second = np.sqrt(1.5 / 5) * np.tanh(first @ w["W2"].T)
    np.testing.assert_allclose(found, second @ w["a"].T / np.sqrt(4), rtol=1e-12)


def test_with_a_gain_of_two_the_relu_keeps_lengths():
    network, x = FullyConnected((4, 3000, 3000)), jnp.array([[1.0, 2.0, -1.0, 0.5]])
    params = network.init(jax.random.key(1))
    hidden = jnp.sqrt(2 / 4) * jax.nn.relu(x @ params["W1"].T)
    # a standard deviation of the mean square is about 1.5 / sqrt(3000) = 3 % of it
    assert float((hidden**2).mean()) == pytest.approx(float((x**2).mean()), rel=0.12)


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


def test_sizes_that_make_no_network_are_refused():
    with pytest.raises(UserError, match="widths must name the inputs and one hidden layer"):
        FullyConnected((3,))
    with pytest.raises(UserError, match="must be 1 or more, got 3, 0 and 2"):
        ResidualDense(3, width=0, depth=2)
