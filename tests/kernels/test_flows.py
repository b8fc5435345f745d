import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from whytrain.errors import UserError
from whytrain.kernels import gradient_flow, hierarchy, truncated_flow
from whytrain.kernels.higher import kernels
from whytrain.kernels.solve import flow, outputs, truncated
from whytrain.networks import FullyConnected

N = 2
NETWORK = FullyConnected((3, 6), outputs=2, activation=jnp.tanh, gain=2.536175)
with jax.enable_x64(True):
    PARAMS = NETWORK.init(jax.random.key(0))
X = np.random.default_rng(1).normal(size=(N, 3))
Y = np.random.default_rng(2).normal(size=(N, 2))
X_TEST = np.random.default_rng(3).normal(size=(1, 3))
TIMES = np.array([0.0, 0.3, 1.0, 4.0])


def test_of_order_two_it_is_the_matrix_exponential():
    [k2] = hierarchy(NETWORK, PARAMS, X, 2, x_test=X_TEST)
    path = truncated_flow(NETWORK, PARAMS, X, Y, 2, TIMES, X_TEST)
    first = np.asarray(NETWORK(PARAMS, X) - Y).ravel()
    test = np.asarray(NETWORK(PARAMS, X_TEST))[0]
    for i, t in enumerate(TIMES):
        residual = expm(-t / N * k2[2:]) @ first
        # f(x)(t) - f(x)(0) is minus K2(x, .) / n times the integral of the residual
        moved = k2[:2] @ np.linalg.solve(k2[2:], residual - first)
        np.testing.assert_allclose(path.outputs[i], Y + residual.reshape(N, 2), atol=1e-9)
        np.testing.assert_allclose(path.test_outputs[i, 0], test + moved, atol=1e-9)
        np.testing.assert_array_equal(path.kernel[i], k2)
        assert path.risk[i] == pytest.approx((residual**2).sum() / (2 * N), abs=1e-9)


def test_the_true_flow_is_that_of_small_steps():
    """Of Runge and Kutta, a thousandth of the last time each."""
    path = gradient_flow(NETWORK, PARAMS, X, Y, TIMES, X_TEST, kernel=True)
    risk = lambda p: jnp.sum((NETWORK(p, X) - Y) ** 2) / (2 * N)  # noqa: E731
    slope = jax.grad(lambda p: -risk(p))
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
        there = moved(PARAMS, t / 1000)
        np.testing.assert_allclose(path.outputs[i], NETWORK(there, X), atol=1e-8)
        np.testing.assert_allclose(path.test_outputs[i], NETWORK(there, X_TEST), atol=1e-8)
        [k2] = hierarchy(NETWORK, there, X, 2, x_test=X_TEST)
        np.testing.assert_allclose(path.kernel[i], k2, atol=1e-7)
        assert path.risk[i] == pytest.approx(float(risk(there)), abs=1e-8)


@pytest.mark.parametrize("order", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_each_order_is_right_to_one_power_of_time_more(order):
    """Halving the time divides the error of order p by `2^p` in the outputs, `2^(p-1)` in `K2`."""
    times = [0.005, 0.01, 0.02, 0.04]
    true = gradient_flow(NETWORK, PARAMS, X, Y, times, X_TEST, kernel=True)
    path = truncated_flow(NETWORK, PARAMS, X, Y, order, times, X_TEST)
    for name, power in (("outputs", order), ("test_outputs", order), ("kernel", order - 1)):
        apart = (getattr(path, name) - getattr(true, name)).reshape(len(times), -1)
        errors = np.linalg.norm(apart, axis=1)
        assert np.log2(errors[2] / errors[1]) == pytest.approx(power, abs=0.05)


@pytest.mark.slow
def test_many_networks_at_once():
    many = jax.vmap(NETWORK.init)(jax.random.split(jax.random.key(0), 3))

    def both(params):
        tensors, begin = kernels(NETWORK, params, X, 3), outputs(NETWORK, params, X)
        paths = truncated(tensors, begin, Y, TIMES), flow(NETWORK, params, X, Y, TIMES)
        return [path.outputs for path in paths]

    found = jax.jit(jax.vmap(both))(many)
    params = jax.tree.map(lambda leaf: leaf[2], many)
    one = (
        truncated_flow(NETWORK, params, X, Y, 3, TIMES),
        gradient_flow(NETWORK, params, X, Y, TIMES),
    )
    for each, path in zip(found, one, strict=True):
        np.testing.assert_allclose(each[2], path.outputs.reshape(4, -1), atol=1e-8)


def test_a_solution_that_ends_is_told_with_the_time():
    """A residual of a thousand turns `K2` until it is negative in a direction, and drives that."""
    with pytest.raises(UserError, match=r"cannot be followed from t = 0 to 0\.3:"):
        truncated_flow(NETWORK, PARAMS, X, 1000 * Y, 3, TIMES, X_TEST)


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
            lambda w, x: w * x, 0.0, np.ones(9), np.ones(9), [1.0], kernel=True, memory="1KB"
        )
