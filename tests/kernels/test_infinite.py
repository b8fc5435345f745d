import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.gaussian.relu import arc_cosine_shortfall
from whytrain.kernels import infinite_kernel
from whytrain.networks import FullyConnected, LeakyTwoLayer, ResidualDense

X = np.random.default_rng(0).normal(size=(3, 4)) * [[0.4], [0.5], [0.8]]
SOFTPLUS = {"activation": jax.nn.softplus, "gain": 1.085487}


def finite(network, seeds, x=X):
    """Mean over draws of tangent kernel and read-out part, with the standard errors."""

    def one(key):
        params = network.init(key)
        slope = lambda point: jax.grad(lambda p: network(p, point[None])[0])(params)  # noqa: E731
        g = jax.vmap(slope)(jnp.asarray(x, jnp.float32))
        grams = {name: jnp.einsum("a...,b...->ab", leaf, leaf) for name, leaf in g.items()}
        return sum(grams.values()), grams["a"]

    with jax.enable_x64(False):
        drawn = jax.jit(lambda keys: jax.lax.map(one, keys))(
            jax.random.split(jax.random.key(1), seeds)
        )
    drawn = [np.asarray(each, np.float64) for each in drawn]
    return [(each.mean(axis=0), each.std(axis=0, ddof=1) / seeds**0.5) for each in drawn]


def check_finite(network, seeds, bias):
    """5.5 standard errors in 12 numbers, and `bias`: 1 of 2 million right programs fails."""
    exact = infinite_kernel(network, X)
    for (mean, error), kernel in zip(
        finite(network, seeds), (exact.tangent, exact.covariance), strict=True
    ):
        assert np.all(np.abs(mean - kernel) < 5.5 * error + bias * kernel.diagonal().mean())
        assert error.max() < 0.02 * kernel.diagonal().max()


@pytest.mark.parametrize("activation", [jax.nn.relu, jax.lax.erf, jax.nn.softplus, jnp.tanh])
def test_with_one_hidden_layer_it_is_the_mean_at_any_width(activation):
    """Tangent kernel and read-out part are means over units: nothing is lost at width 5."""
    check_finite(FullyConnected((4, 5), activation=activation, gain=1.7), 20_000, bias=0)


@pytest.mark.parametrize(
    "network",
    [
        FullyConnected((4, 64, 64)),
        FullyConnected((4, 64, 64, 64), **SOFTPLUS),
        FullyConnected((4, 64, 64), activation=jax.lax.erf, gain=2.0),
        ResidualDense(4, width=64, depth=4),
        ResidualDense(4, width=64, depth=3, activation=jax.nn.relu, first=2.0),
    ],
)
def test_wide_networks_are_near(network):
    """The bias is of the order of 1/64; measured at most 1.0/64 at widths of 64 to 256."""
    check_finite(network, 600, bias=0.016)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 5])
@pytest.mark.parametrize("activation", [jax.nn.softplus, jnp.tanh, jax.nn.relu])
def test_wider_networks_are_nearer(activation, depth):
    for width in (128, 512):
        network = ResidualDense(4, width=width, depth=depth, activation=activation, first=1.5)
        check_finite(network, 400, bias=1 / width)


@pytest.mark.parametrize("closed", [jax.nn.relu, jax.lax.erf])
@pytest.mark.parametrize("residual", [False, True])
def test_closed_forms_are_the_quadrature(closed, residual):
    def network(activation):
        if residual:
            return ResidualDense(4, width=2, depth=3, activation=activation, first=1.3)
        return FullyConnected((4, 2, 2), activation=activation, gain=1.3)

    exact = infinite_kernel(network(closed), X, X[:2] * 1.5)
    slow = infinite_kernel(network(lambda z: closed(z)), X, X[:2] * 1.5)
    np.testing.assert_allclose(exact.tangent, slow.tangent, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(exact.covariance, slow.covariance, rtol=1e-9, atol=1e-11)


def test_linear_networks_are_powers():
    """Fully connected: each of `L + 1` layers gives `gain^L x.x' / n_0`. Residual: factors."""
    gram, line = X @ X.T, lambda z: 1.0 * z
    found = infinite_kernel(FullyConnected((4, 2, 2, 2), activation=line, gain=1.2), X)
    np.testing.assert_allclose(found.covariance, 1.2**3 * gram / 4, rtol=1e-10)
    np.testing.assert_allclose(found.tangent, 4 * 1.2**3 * gram / 4, rtol=1e-10)
    found = infinite_kernel(ResidualDense(4, 2, depth=3, activation=line, first=0.7), X)
    through = 1 + 1 / 9  # of a layer: what is kept, and what it adds
    np.testing.assert_allclose(found.covariance, 0.7 * through**2 * gram, rtol=1e-10)
    each = 2 * through**2 + 2 / 9 * through  # read-out and first layer, and the two between
    np.testing.assert_allclose(found.tangent, 0.7 * each * gram, rtol=1e-10)


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-7, 1e-5, 1e-3, 1.0, 2.0, math.pi])
def test_relu_at_any_angle(apart):
    """Against the recursion of the angle, `1 - cos(next) = (pi - g(angle)) / pi`, kept apart."""
    x = np.array([[1.0, 0.0], [np.cos(apart), np.sin(apart)]]) * [[1.0], [3.0]]
    angle, tangent, size = apart, 0.0, 3 / 2
    for _ in range(3):
        covariance = np.cos(angle) * size
        tangent = (1 - angle / np.pi) * (covariance + tangent)
        angle = 2 * np.arcsin(np.sqrt(float(arc_cosine_shortfall(angle)) / (2 * np.pi)))
    found = infinite_kernel(FullyConnected((2, 9, 9, 9)), x[:1], x[1:])
    near = 4e-8 if 0 < apart < 1e-6 else 1e-10
    np.testing.assert_allclose(found.covariance.item(), np.cos(angle) * size, rtol=1e-14)
    np.testing.assert_allclose(found.tangent.item(), np.cos(angle) * size + tangent, rtol=near)


def test_the_same_inputs_given_twice_are_the_same_inputs():
    for network in (
        FullyConnected((4, 9, 9)),
        ResidualDense(4, 9, depth=3, activation=jax.nn.relu),
    ):
        once, twice = infinite_kernel(network, X), infinite_kernel(network, X, X.copy())
        np.testing.assert_allclose(once.tangent, twice.tangent, rtol=1e-14)
        np.testing.assert_array_equal(once.tangent, once.tangent.T)


def test_an_input_of_zeros_and_several_outputs():
    x = np.concatenate([X[:1], np.zeros((1, 4))])
    found = infinite_kernel(FullyConnected((4, 5, 5)), x)
    assert found.tangent[1].tolist() == [0, 0]
    network = ResidualDense(4, 5, depth=2)
    assert infinite_kernel(network, x).covariance[1, 1] > 0.4  # softplus(0) is not 0
    one = infinite_kernel(FullyConnected((4, 5)), X[:2])
    two = infinite_kernel(FullyConnected((4, 5), outputs=2), X[:2])
    np.testing.assert_array_equal(two.tangent[::2, ::2], one.tangent)
    np.testing.assert_array_equal(two.tangent[1::2, 1::2], one.tangent)
    assert not two.tangent[::2, 1::2].any()


def test_kinks_must_be_declared():
    network = FullyConnected((4, 5), activation=jax.nn.hard_tanh)
    with pytest.raises(UserError, match="name the places where it bends"):
        infinite_kernel(network, 3 * X[:1])
    found = infinite_kernel(network, 3 * X[:1], kinks=(-1, 1)).covariance.item()
    length = np.linalg.norm(3 * X[0]) / 2
    z = np.linspace(-10, 10, 2_000_001)
    slow = 2 * np.trapezoid(np.clip(length * z, -1, 1) ** 2 * np.exp(-(z**2) / 2), z)
    assert found == pytest.approx(slow / math.sqrt(2 * math.pi), rel=1e-9)


@pytest.mark.parametrize(
    ("network", "x", "words"),
    [
        (LeakyTwoLayer(4, 3), X, "got an object of type whytrain.LeakyTwoLayer"),
        (FullyConnected((4, 3), parametrization="standard"), X, "grows with the width"),
        (FullyConnected((5, 3)), X, r"rows of 5 numbers, got the shape \(3, 4\)"),
        (ResidualDense(4, 3, 2), X[0], "rows of 4 numbers"),
        (FullyConnected((4, 3)), X[:0], "rows of 4 numbers"),
        (FullyConnected((4, 3)), X * np.nan, "finite"),
    ],
)
def test_mistakes_are_told_in_one_line(network, x, words):
    with pytest.raises(UserError, match=words) as told:
        infinite_kernel(network, x)
    assert "\n" not in str(told.value)
