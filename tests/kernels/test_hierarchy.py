import itertools
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from whytrain.errors import UserError
from whytrain.kernels import hierarchy, hierarchy_along, hierarchy_blocks
from whytrain.kernels.higher import AT_A_TIME, kernels
from whytrain.kernels.model import Model
from whytrain.networks import FullyConnected, ResidualDense

N = 4
RESIDUAL = ResidualDense(3, width=4, depth=3, activation=jnp.tanh, first=2.536175)
CONNECTED = FullyConnected((3, 4, 4), activation=jax.nn.softplus, gain=1.085487)
SMALL = FullyConnected((3, 4), activation=jnp.tanh)
# What takes the time is compiling kernels of order four.
DEEP_SLOWLY = [pytest.param(network, marks=pytest.mark.slow) for network in (RESIDUAL, CONNECTED)]


def example(network, seed=0, n=N):
    rng = np.random.default_rng(seed)
    return network.init(jax.random.key(seed)), rng.normal(size=(n, 3)), rng.normal(size=n)


@partial(jax.jit, static_argnums=0)
def by_hand(network, params, x):
    """Gradients, Hessians and third derivatives of each output as full arrays; then sums of them.

    K4 is the derivative of `K3[a, b, c] = g_b . H_a g_c + g_a . H_b g_c` along `g_d`, by the rule
    for products.
    """
    theta, unravel = ravel_pytree(params)
    outputs = lambda theta: network(unravel(theta), x)  # noqa: E731
    g = jax.jacfwd(outputs)(theta)
    h = jax.hessian(outputs)(theta)
    t = jax.jacfwd(jax.hessian(outputs))(theta)
    half3 = jnp.einsum("bi,aij,cj->abc", g, h, g)
    half4 = (
        jnp.einsum("aijk,bi,cj,dk->abcd", t, g, g, g)
        + jnp.einsum("aij,bik,dk,cj->abcd", h, h, g, g)
        + jnp.einsum("aij,bi,cjk,dk->abcd", h, g, h, g)
    )
    return g @ g.T, half3 + half3.swapaxes(0, 1), half4 + half4.swapaxes(0, 1)


@pytest.mark.parametrize("network", [SMALL, *DEEP_SLOWLY])
def test_kernels_are_sums_over_full_derivatives(network):
    params, x, _ = example(network)
    found = hierarchy(network, params, x, 4)
    for kernel, slow in zip(found, by_hand(network, params, x), strict=True):
        np.testing.assert_allclose(kernel, slow, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("network", [RESIDUAL, DEEP_SLOWLY[1]])
def test_the_flow_moves_each_kernel_by_the_next(network):
    """A-1: central differences of steps of Runge and Kutta, of an error of `dt^2`."""
    params, x, y = example(network)
    theta, unravel = ravel_pytree(params)
    outputs = lambda theta: network(unravel(theta), x)  # noqa: E731
    velocity = jax.jit(jax.grad(lambda theta: -jnp.sum((outputs(theta) - y) ** 2) / (2 * N)))

    def moved(dt):
        k1 = velocity(theta)
        k2 = velocity(theta + dt / 2 * k1)
        k3 = velocity(theta + dt / 2 * k2)
        there = unravel(theta + dt / 6 * (k1 + 2 * k2 + 2 * k3 + velocity(theta + dt * k3)))
        return network(there, x), *hierarchy(network, there, x, 4)[:2]

    dt = 1e-3
    before, after = moved(-dt), moved(dt)
    residual = outputs(theta) - y
    for low, high, kernel in zip(before, after, hierarchy(network, params, x, 4), strict=True):
        slope, expected = (high - low) / (2 * dt), -(kernel @ residual) / N
        assert np.linalg.norm(slope - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("network", [RESIDUAL, DEEP_SLOWLY[1]])
def test_symmetric_in_the_first_two_indices_bit_for_bit_and_in_no_others(network):
    params, x, _ = example(network)
    for kernel in hierarchy(network, params, x, 4):
        np.testing.assert_array_equal(kernel, kernel.swapaxes(0, 1))
        for one, other in itertools.combinations(range(1, kernel.ndim), 2):
            apart = np.linalg.norm(kernel - kernel.swapaxes(one, other))
            assert apart > 0.02 * np.linalg.norm(kernel)


@pytest.mark.parametrize("network", [RESIDUAL, DEEP_SLOWLY[1]])
def test_the_read_out_turned_round_flips_odd_kernels_exactly(network):
    """A-2."""
    params, x, _ = example(network)
    turned = params | {"a": -params["a"]}
    pairs = zip(hierarchy(network, params, x, 4), hierarchy(network, turned, x, 4), strict=True)
    for order, (kernel, other) in enumerate(pairs, start=2):
        np.testing.assert_array_equal(other, (-1) ** order * kernel)


def test_test_points_are_rows_of_the_kernels_of_all_points():
    params, x, _ = example(SMALL)
    found = hierarchy(SMALL, params, x[2:], 3, x_test=x[:2])
    for part, whole in zip(found, hierarchy(SMALL, params, x, 4)[:2], strict=True):
        seen = whole[(slice(None), *(slice(2, None),) * (whole.ndim - 1))]
        np.testing.assert_allclose(part, seen, rtol=1e-12, atol=1e-14)


def test_contractions_and_blocks_are_those_of_the_full_kernels():
    params, x, y = example(SMALL)
    k2, k3, k4 = hierarchy(SMALL, params, x, 4)
    np.testing.assert_allclose(
        hierarchy_along(SMALL, params, x, 3, y), k3 @ y, rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(
        hierarchy_along(SMALL, params, x, 4, y), k4 @ y @ y, rtol=1e-11, atol=1e-13
    )
    blocks = hierarchy_blocks(SMALL, params, x, 3, [[0, 2], [3, 1]])
    for kernel, block in zip((k2, k3), blocks, strict=True):
        for points, entries in zip(([0, 2], [3, 1]), block, strict=True):
            slow = kernel[np.ix_(*(points,) * kernel.ndim)]
            np.testing.assert_allclose(entries, slow, rtol=1e-11, atol=1e-13)
    diagonal = hierarchy_blocks(SMALL, params, x, 3)[1]
    np.testing.assert_allclose(diagonal.ravel(), np.einsum("aaa->a", k3), rtol=1e-11)


def test_a_contraction_of_many_points_goes_through_parts_of_them():
    network = FullyConnected((3, 40), activation=jnp.tanh)
    params, x, v = example(network, n=AT_A_TIME + 3)
    found = hierarchy_along(network, params, x, 2, v, x_test=x[:2], memory=10**6)
    [k2] = hierarchy(network, params, x, 2, x_test=x[:2])
    np.testing.assert_allclose(found, k2, rtol=1e-12)
    np.testing.assert_array_equal(found[2:], found[2:].T)
    with pytest.raises(UserError, match="more than memory"):
        hierarchy_along(network, params, x, 2, v, memory="1 KB")


def test_the_second_derivative_of_the_kernel_along_the_flow_is_two_contractions():
    params, x, y = example(SMALL)
    theta, unravel = ravel_pytree(params)
    residual = SMALL(params, x) - y
    k2 = hierarchy(SMALL, params, x, 4)[0]
    along = lambda *given: hierarchy_along(SMALL, params, x, *given)  # noqa: E731
    expected = (along(4, residual) + along(3, k2 @ residual)) / N**2

    def moved(kernel):  # along the flow, whose residual moves with the parameters
        risk = lambda theta: jnp.sum((SMALL(unravel(theta), x) - y) ** 2) / (2 * N)  # noqa: E731
        return lambda theta: jax.jvp(kernel, (theta,), (-jax.grad(risk)(theta),))[1]

    twice = jax.jit(moved(moved(lambda theta: kernels(SMALL, unravel(theta), x, 2)[0])))(theta)
    np.testing.assert_allclose(expected, twice, rtol=1e-10, atol=1e-12)


def test_every_output_of_an_example_is_an_index_of_its_own():
    network = FullyConnected((3, 5), outputs=2, activation=jnp.tanh)
    params, x, _ = example(network, n=3)
    k2, k3 = hierarchy(network, params, x, 3, x_test=x[:1])
    assert k2.shape == (8, 6)
    one = lambda params, x: network(params, x)[:, 1]  # noqa: E731
    for kernel, alone in zip((k2[2:], k3[2:]), hierarchy(one, params, x, 3), strict=True):
        np.testing.assert_allclose(kernel[(slice(1, None, 2),) * kernel.ndim], alone, rtol=1e-12)
    block = hierarchy_blocks(network, params, x, 2, [[0, 2]])[0]
    assert block.shape == (1, 4, 4)
    np.testing.assert_allclose(block[0, 2:, 2:], k2[6:, 4:], rtol=1e-12)


def test_modules_and_single_precision_are_taken():
    network = eqx.nn.MLP(3, "scalar", 4, 1, activation=jnp.tanh, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(3, 3))
    found = hierarchy(lambda net, batch: jax.vmap(net)(batch), network, x, 3)
    assert [kernel.dtype for kernel in found] == [np.float64] * 2
    weights = [(layer.weight, layer.bias) for layer in network.layers]

    def plain(params, x):
        (w, b), (v, c) = params
        return (jnp.tanh(x @ w.T + b) @ v.T + c)[:, 0]

    for kernel, same in zip(found, hierarchy(plain, weights, x, 3), strict=True):
        np.testing.assert_allclose(kernel, same, rtol=1e-12)


def test_rectifiers_have_the_kernels_of_the_smooth_piece_around_the_parameters():
    rng = np.random.default_rng(0)
    x, here = rng.normal(size=(3, 2)), {"w": rng.normal(size=(2, 5)), "v": rng.normal(size=5)}

    def network(params, x):
        return jax.nn.relu(x @ params["w"]) @ params["v"]

    def piece(params, x):
        """Every unit stays as it is at `here`, on or off."""
        on = x @ here["w"] > 0
        return jnp.where(on, x @ params["w"], 0) @ params["v"]

    found, same = (hierarchy(f, here, x, 4) for f in (network, piece))
    for one, other in zip(found, same, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_many_networks_at_once():
    x = np.random.default_rng(0).normal(size=(3, 3))
    many = jax.vmap(SMALL.init)(jax.random.split(jax.random.key(0), 3))
    found = jax.vmap(lambda params: kernels(SMALL, params, x, 3)[1])(many)
    one = hierarchy(SMALL, jax.tree.map(lambda leaf: leaf[1], many), x, 3)[1]
    np.testing.assert_allclose(found[1], one, rtol=1e-11, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("network", [RESIDUAL, CONNECTED, ResidualDense(3, width=64, depth=5)])
def test_the_estimate_of_memory_is_above_what_a_compiled_kernel_takes(network):
    """And not above four times it."""
    params, x, _ = example(network)
    for order in (2, 3, 4):
        compiled = kernels.lower(network, params, x, order).compile().memory_analysis()
        taken = compiled.temp_size_in_bytes + compiled.output_size_in_bytes
        with pytest.raises(UserError, match="more than memory"):
            hierarchy(network, params, x, order, memory=taken)
        hierarchy(network, params, x, order, memory=4 * taken)


LINEAR = lambda w, x: x @ w  # noqa: E731
X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hierarchy(LINEAR, np.ones(3), X, 1), "order must be 2 or more"),
        (lambda: hierarchy(LINEAR, np.ones(3), 1.0, 2), "first axis counts them"),
        (lambda: hierarchy(LINEAR, np.ones(3), X[:0], 2), "first axis counts them"),
        (lambda: hierarchy(LINEAR, np.ones(4), X, 2), "cannot be computed"),
        (lambda: hierarchy(LINEAR, np.ones(3), X * np.inf, 2), "not finite"),
        (lambda: hierarchy(LINEAR, np.arange(3), X, 2), "floating-point"),
        (lambda: hierarchy(LINEAR, np.ones(3), X, 2, x_test=X[:, :2]), "the shape of those"),
        (lambda: hierarchy(lambda w, x: (x @ w).sum(), np.ones(3), X, 2), "for each example"),
        (
            lambda: hierarchy(lambda w, x: (x @ w).astype(np.float32), np.ones(3), X, 2),
            "gives float32",
        ),
        (
            lambda: hierarchy(lambda w, x: x @ w - (x @ w).mean(), np.ones(3), X * [[1], [2]], 2),
            "depend on the batch",
        ),
        (lambda: hierarchy(lambda w, x: jnp.sqrt(x @ w), np.zeros(3), X, 2), "not finite at these"),
        (lambda: hierarchy_along(LINEAR, np.ones(3), X, 3, np.ones(3)), r"vector must have"),
        (lambda: hierarchy_along(LINEAR, np.ones(3), X, 3, [1, np.nan]), "finite"),
        (lambda: hierarchy_blocks(LINEAR, np.ones(3), X, 3, [[0, 2]]), "from 0 to 1"),
        (lambda: hierarchy_blocks(LINEAR, np.ones(3), X, 3, [[0, 1], [0]]), "one length"),
        (lambda: hierarchy_blocks(LINEAR, np.ones(3), X, 3, [0, 1]), "one length"),
        (lambda: hierarchy(LINEAR, np.ones(3), np.ones((2000, 3)), 4), "more than memory"),
        (lambda: hierarchy(LINEAR, np.ones(3), X, 2, memory="much"), "memory must be bytes"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(call, words):
    with pytest.raises(UserError, match=words) as told:
        call()
    assert "\n" not in str(told.value)


def test_a_model_counts_its_parameters_and_rows():
    params, x, _ = example(RESIDUAL)
    model = Model.of(RESIDUAL, params, x, x[:1])
    assert (model.size, model.rows, model.indices) == (3 * 4 + 2 * 16 + 4, N + 1, N)
