import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from whytrain.errors import UserError
from whytrain.kernels import flows, gradient_flow, hierarchy, truncated_flow
from whytrain.kernels.hierarchy import kernels
from whytrain.networks import FullyConnected

N = 3
NETWORK = FullyConnected((3, 6), activation=jnp.tanh, gain=2.536175)
X = np.random.default_rng(1).normal(size=(N, 3))
Y = np.random.default_rng(2).normal(size=N)
X_TEST = np.random.default_rng(3).normal(size=(2, 3))
TIMES = np.array([0.0, 0.3, 1.0, 4.0])


def start(width=6):
    network = FullyConnected((3, width), activation=jnp.tanh, gain=2.536175)
    return network, network.init(jax.random.key(0))


def test_of_order_two_it_is_the_matrix_exponential():
    network, params = start()
    [k2] = hierarchy(network, params, X, 2, x_test=X_TEST)
    path = truncated_flow(network, params, X, Y, 2, TIMES, X_TEST)
    first = np.asarray(network(params, X)) - Y
    for i, t in enumerate(TIMES):
        residual = expm(-t / N * k2[2:]) @ first
        # f(x)(t) - f(x)(0) is minus K2(x, .) / n times the integral of the residual
        moved = k2[:2] @ np.linalg.solve(k2[2:], residual - first)
        np.testing.assert_allclose(path.outputs[i], Y + residual, atol=1e-9)
        np.testing.assert_allclose(path.test_outputs[i], network(params, X_TEST) + moved, atol=1e-9)
        np.testing.assert_array_equal(path.kernel[i], k2)
        assert path.risk[i] == pytest.approx((residual**2).sum() / (2 * N), abs=1e-9)


def test_the_true_flow_is_that_of_small_steps():
    """Of Runge and Kutta, a thousandth of the last time each."""
    network, params = start()
    path = gradient_flow(network, params, X, Y, TIMES, X_TEST, kernel=True)
    slope = jax.grad(lambda p: -jnp.sum((network(p, X) - Y) ** 2) / (2 * N))
    add = lambda p, v, dt: jax.tree.map(lambda a, b: a + dt * b, p, v)  # noqa: E731

    @jax.jit
    def moved(p, dt):
        def step(p, _):
            k1 = slope(p)
            k2 = slope(add(p, k1, dt / 2))
            k3 = slope(add(p, k2, dt / 2))
            k4 = slope(add(p, k3, dt))
            for k, share in ((k1, 1), (k2, 2), (k3, 2), (k4, 1)):
                p = add(p, k, share * dt / 6)
            return p, None

        return jax.lax.scan(step, p, None, length=1000)[0]

    for i, t in enumerate(TIMES):
        there = moved(params, t / 1000)
        np.testing.assert_allclose(path.outputs[i], network(there, X), atol=1e-8)
        np.testing.assert_allclose(path.test_outputs[i], network(there, X_TEST), atol=1e-8)
        [k2] = hierarchy(network, there, X, 2, x_test=X_TEST)
        np.testing.assert_allclose(path.kernel[i], k2, atol=1e-7)
        risk = np.mean((network(there, X) - Y) ** 2) / 2
        assert path.risk[i] == pytest.approx(risk, abs=1e-8)


def test_each_order_is_right_to_one_power_of_time_more():
    """Halving the time divides the error of order p by `2^p` in the outputs, `2^(p-1)` in `K2`."""
    network, params = start()
    times = [0.01, 0.02]
    true = gradient_flow(network, params, X, Y, times, X_TEST, kernel=True)
    for order in (2, 3, 4):
        path = truncated_flow(network, params, X, Y, order, times, X_TEST)
        errors = np.abs(path.outputs - true.outputs).max(axis=1)
        assert errors[1] / errors[0] == pytest.approx(2**order, rel=0.2)
        errors = np.abs(path.test_outputs - true.test_outputs).max(axis=1)
        assert errors[1] / errors[0] == pytest.approx(2**order, rel=0.2)
        errors = np.abs(path.kernel - true.kernel).max(axis=(1, 2))
        assert errors[1] / errors[0] == pytest.approx(2 ** (order - 1), rel=0.2)


def test_outputs_of_an_example_keep_their_axis():
    network = FullyConnected((3, 5), outputs=2, activation=jnp.tanh)
    params = network.init(jax.random.key(0))
    y = np.stack([Y, -Y], axis=1)
    paths = [
        truncated_flow(network, params, X, y, 2, [0.01], X_TEST),
        gradient_flow(network, params, X, y, [0.01], X_TEST),
    ]
    for path in paths:
        assert path.outputs.shape == (1, N, 2)
        assert path.test_outputs.shape == (1, 2, 2)
    np.testing.assert_allclose(paths[0].outputs, paths[1].outputs, atol=1e-4)
    np.testing.assert_allclose(paths[0].test_outputs, paths[1].test_outputs, atol=1e-4)
    assert paths[1].kernel is None
    assert paths[1].risk[0] == pytest.approx(((paths[1].outputs[0] - y) ** 2).sum() / (2 * N))


def test_many_networks_at_once():
    many = jax.vmap(NETWORK.init)(jax.random.split(jax.random.key(0), 3))

    @jax.jit
    def both(params):
        tensors = kernels(NETWORK, params, X, 3)
        begin = flows.outputs(NETWORK, params, X)
        truncated = flows.truncated(tensors, begin, jnp.asarray(Y), jnp.asarray(TIMES))
        true = flows.flow(NETWORK, params, X, jnp.asarray(Y), jnp.asarray(TIMES))
        return truncated.outputs, true.outputs

    found = jax.vmap(both)(many)
    params = jax.tree.map(lambda leaf: leaf[2], many)
    one = (
        truncated_flow(NETWORK, params, X, Y, 3, TIMES),
        gradient_flow(NETWORK, params, X, Y, TIMES),
    )
    for each, path in zip(found, one, strict=True):
        np.testing.assert_allclose(each[2], path.outputs, atol=1e-8)


def test_a_solution_that_ends_is_told_with_the_time():
    """`f = w^2`: `K2` at 4 loses `K3 = 16` times the residual, is soon below 0, and drives it."""
    square = lambda w, x: w**2 * x  # noqa: E731
    with pytest.raises(UserError, match=r"cannot be followed from t = 0\.001 to 100:"):
        truncated_flow(square, 1.0, np.ones(1), [-50.0], 3, [0.001, 100.0])


@pytest.mark.parametrize(
    "times", [[], [0.0], [1.0, 1.0], [2.0, 1.0], [-1.0, 1.0], [np.nan], [np.inf], 1.0]
)
def test_times_must_increase(times):
    with pytest.raises(UserError, match="times must increase"):
        gradient_flow(lambda w, x: w * x, 0.0, np.ones(1), [1.0], times)


def test_targets_must_have_the_shape_of_the_outputs():
    with pytest.raises(UserError, match=r"y must have the shape of the outputs at x, \(1,\)"):
        truncated_flow(lambda w, x: w * x, 0.0, np.ones(1), [[1.0]], 2, [1.0])
    with pytest.raises(UserError, match="more than memory"):
        gradient_flow(
            lambda w, x: w * x, 0.0, np.ones(9), np.ones(9), [1.0], kernel=True, memory=1e3
        )
