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


def test_with_one_hidden_layer_it_is_the_mean_at_any_width():
    """Tangent kernel and read-out part are means over units: nothing is lost at width 5."""
    check_finite(FullyConnected((4, 5), activation=jnp.tanh, gain=1.7), 20_000, bias=0)


@pytest.mark.parametrize(
    "network",
    [
        FullyConnected((4, 64, 64)),
        FullyConnected((4, 64, 64, 64), **SOFTPLUS),
        ResidualDense(4, width=64, depth=4),
    ],
)
def test_wide_networks_are_near(network):
    """The bias is of the order of 1/64; measured at most 1.0/64 at widths of 64 to 256."""
    check_finite(network, 600, bias=0.016)


@pytest.mark.slow
@pytest.mark.parametrize("activation", [jax.nn.softplus, jnp.tanh, jax.nn.relu, jax.lax.erf])
def test_wider_networks_are_nearer(activation):
    for width in (128, 256):
        for network in (
            ResidualDense(4, width=width, depth=2, activation=activation, first=1.5),
            ResidualDense(4, width=width, depth=5, activation=activation, first=1.5),
            FullyConnected((4, width, width), activation=activation, gain=1.5),
        ):
            check_finite(network, 400, bias=1 / width)


@pytest.mark.parametrize("closed", [jax.nn.relu, jax.lax.erf])
def test_closed_forms_are_the_quadrature(closed):
    exact, slow = (
        infinite_kernel(ResidualDense(4, 2, depth=3, activation=s, first=1.3), X, X[:2] * 1.5)
        for s in (closed, lambda z: closed(z))
    )
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


def test_relu_at_any_angle():
    """Against the recursion of the angle, `1 - cos(next) = (pi - g(angle)) / pi`, kept apart."""
    apart = np.array([0.0, 1e-9, 1e-5, 1e-3, 2.0, math.pi])
    x = 3 * np.stack([np.cos(apart), np.sin(apart)], axis=1)
    angle, tangent, size = apart, 0.0, 3 / 2
    for _ in range(3):
        tangent = (1 - angle / np.pi) * (np.cos(angle) * size + tangent)
        shortfall = np.array([float(arc_cosine_shortfall(each)) for each in angle])
        angle = 2 * np.arcsin(np.sqrt(shortfall / (2 * np.pi)))
    found = infinite_kernel(FullyConnected((2, 9, 9, 9)), np.array([[1.0, 0.0]]), x)
    np.testing.assert_allclose(found.covariance[0], np.cos(angle) * size, rtol=1e-14)
    error = np.abs(found.tangent[0] / (np.cos(angle) * size + tangent) - 1)
    assert np.all(error < [1e-15, 1e-8, 1e-10, 1e-12, 1e-14, 1e-14])


def test_the_same_inputs_given_twice_are_the_same_inputs():
    for network in (
        FullyConnected((4, 9, 9)),
        ResidualDense(4, 9, depth=3, activation=jax.nn.relu),
    ):
        once, twice = infinite_kernel(network, X), infinite_kernel(network, X, X[:2].copy())
        np.testing.assert_allclose(once.tangent[:, :2], twice.tangent, rtol=1e-14)
        np.testing.assert_array_equal(once.tangent, once.tangent.T)


def test_an_input_of_zeros_and_several_outputs():
    x = X * [[1], [0], [1]]
    found = infinite_kernel(FullyConnected((4, 5, 5)), x)
    assert found.tangent[1].tolist() == [0, 0, 0]
    network = ResidualDense(4, 5, depth=2)
    assert infinite_kernel(network, x).covariance[1, 1] > 0.4  # softplus(0) is not 0
    one = infinite_kernel(FullyConnected((4, 5)), X)
    two = infinite_kernel(FullyConnected((4, 5), outputs=2), X)
    np.testing.assert_array_equal(two.tangent[::2, ::2], one.tangent)
    np.testing.assert_array_equal(two.tangent[1::2, 1::2], one.tangent)
    assert not two.tangent[::2, 1::2].any()


def test_kinks_must_be_declared():
    network = FullyConnected((4, 5), activation=lambda z: jnp.minimum(z, 0.5))
    with pytest.raises(UserError, match="name the places where it bends"):
        infinite_kernel(network, X)
    found = infinite_kernel(network, X, kinks=(0.5,)).covariance[0, 0]
    z = np.linspace(-10, 10, 2_000_001)
    units = np.minimum(np.linalg.norm(X[0]) / 2 * z, 0.5)
    slow = 2 * np.trapezoid(units**2 * np.exp(-(z**2) / 2), z) / math.sqrt(2 * math.pi)
    assert found == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(
    ("network", "x", "words"),
    [
        (LeakyTwoLayer(4, 3), X, "got an object of type whytrain.LeakyTwoLayer"),
        (FullyConnected((4, 3), parametrization="standard"), X, "grows with the width"),
        (FullyConnected((5, 3)), X, r"rows of 5 numbers, got the shape \(3, 4\)"),
        (ResidualDense(4, 3, 2), X[0], "rows of 4 numbers"),
        (FullyConnected((4, 3)), X[:0], "rows of 4 numbers"),
        (FullyConnected((4, 3)), X * np.nan, "finite"),
        (FullyConnected((4, 3)), X * 1e200, "the kernel is not finite at these inputs"),
    ],
)
def test_mistakes_are_told_in_one_line(network, x, words):
    with pytest.raises(UserError, match=words) as told:
        infinite_kernel(network, x)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("activation", "length"), [(jnp.exp, 4.0), (lambda t: t**30, 1.0)], ids=["exp", "power"]
)
def test_what_grows_beyond_the_quadrature_is_refused(activation, length):
    network = FullyConnected((1, 10), activation=activation)
    with pytest.raises(UserError, match="quadrature is not exact"):
        infinite_kernel(network, [[length]])
    if activation is jnp.exp:
        exact = infinite_kernel(network, [[1.0]]).covariance.item()
        assert exact == pytest.approx(2 * math.exp(2), rel=1e-9)


def test_an_activation_of_numpy_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"written with jax\.numpy"):
        infinite_kernel(FullyConnected((1, 10), activation=np.tanh), [[1.0]])
