"""A few numbers carry the whole network: reduced steps beside full ones."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscapes.cases import student, teacher
from whytrain.errors import UserError
from whytrain.gaussian import Quadrature, ReLU
from whytrain.landscapes import PlaneOrder, SharedFilter, SphereOrder, SphereReduction, Weights

# Few nodes are enough: full and reduced steps use the same ones, exactness is tested elsewhere.
ACTIVATIONS = {
    "relu": (ReLU(), 3000),
    "tanh": (Quadrature(jnp.tanh, nodes=8), 1000),
    "softplus and a surrogate": (
        Quadrature(jax.nn.softplus, lambda x: jnp.exp(-(x**2)), nodes=8),
        1000,
    ),
    "step and straight-through": (
        Quadrature(lambda x: jnp.where(x > 0, 1.0, 0.0), jnp.ones_like, nodes=8),
        1000,
    ),
}
K, P = 5, 4


def iterate(step, start, sizes, steps):
    return jax.jit(lambda s: jax.lax.fori_loop(0, steps, lambda _, x: step(x, sizes), s))(start)


@pytest.mark.parametrize("shortcut", [False, True], ids=["plain", "shortcut"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_three_numbers_carry_the_sphere(name, shortcut):
    activation, steps = ACTIVATIONS[name]
    addition = np.full(P, 1 / math.sqrt(P)) if shortcut else None
    landscape = SharedFilter(*teacher(K, P, 2.0, 1.5), activation, shortcut=addition)
    start = landscape.retract(student(K, P))
    sizes = Weights(0.03, 0.05)
    full = iterate(landscape.normalized_step, start, sizes, steps)
    reduced = iterate(landscape.on_sphere().normalized_step, landscape.order(start), sizes, steps)
    np.testing.assert_allclose(reduced, landscape.order(full), rtol=0, atol=1e-12)
    assert np.abs(np.subtract(landscape.order(start), reduced)).max() > 0.1


def plane_order(landscape, weights):
    v, a = landscape.filter(weights), jnp.asarray(weights.output)
    star = landscape.filter_star / np.linalg.norm(landscape.filter_star)
    x = v @ star
    return jnp.array([
        x, jnp.linalg.norm(v - x * star), a.sum(), a @ landscape.output_star, a @ a
    ])  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_five_numbers_carry_plain_descent(name):
    activation, steps = ACTIVATIONS[name]
    filter_star, output_star = teacher(K, P, 2.0, 1.5)
    landscape = SharedFilter(1.3 * filter_star, output_star, activation)
    start = Weights(1.2 * landscape.retract(student(K, P)).filter, student(K, P).output)
    reduction = landscape.in_plane()
    order = PlaneOrder(*plane_order(landscape, start))
    np.testing.assert_allclose(reduction.loss(order), landscape.loss(start), rtol=1e-12)
    sizes = (0.01, 0.02)
    full = iterate(landscape.plain_step, start, Weights(*sizes), steps)
    x, y, *sums = iterate(lambda params, _: reduction.plain_step(params, sizes), order, None, steps)
    reduced = np.array([x, abs(y), *sums])
    np.testing.assert_allclose(reduced, plane_order(landscape, full), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        reduction.loss(PlaneOrder(x, y, *sums)), landscape.loss(full), rtol=0, atol=1e-12
    )


def test_a_filter_may_pass_through_the_teacher_s_line():
    # one large step carries the reduced filter across; its side of the line is its own affair
    landscape = SharedFilter(*teacher(K, P, 2.0, 2.0))
    start = landscape.retract(student(K, P))
    sizes = Weights(8.0, 0.3)
    for _ in range(20):
        order = landscape.on_sphere().normalized_step(landscape.order(start), sizes)
        start = landscape.normalized_step(start, sizes)
        np.testing.assert_allclose(order, landscape.order(start), rtol=0, atol=1e-13)


def test_the_reduced_loss_is_the_full_one_where_the_rest_is_settled():
    filter_star, output_star = teacher(K, P, 2.0, 1.5)
    landscape = SharedFilter(filter_star, output_star)
    rng = np.random.default_rng(3)
    for _ in range(10):
        c, d = rng.standard_normal(2)
        v = rng.standard_normal(P)
        weights = Weights(jnp.asarray(v / np.linalg.norm(v)), jnp.asarray(c * output_star + d))
        reduced = landscape.on_sphere().loss(landscape.order(weights))
        assert float(reduced) == pytest.approx(float(landscape.loss(weights)), rel=1e-12)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_equal_output_weights_of_a_teacher_of_any_length_have_their_loss(size):
    """`a*` lies along `1`: the two sums are one number, to rounding."""
    landscape = SharedFilter(np.array([1.0, 0.0]), size * np.full(5, 0.1 * math.pi))
    with jax.enable_x64(True):
        params = Weights(jnp.array([0.6, 0.8]), size * jnp.full(5, 0.7))
        order = landscape.order(params)
        reduced = landscape.on_sphere().loss(order)
        assert float(reduced) == pytest.approx(float(landscape.loss(params)), rel=1e-9)


def test_other_output_weights_only_add_to_the_reduced_loss():
    landscape = SharedFilter(*teacher(K, P, 2.0, 1.5))
    for seed in range(1, 20):
        weights = landscape.retract(student(K, P, seed))
        reduced = landscape.on_sphere().loss(landscape.order(weights))
        assert float(landscape.loss(weights)) >= float(reduced) - 1e-13


def test_the_velocity_is_the_limit_of_the_steps():
    reduction = SharedFilter(*teacher(K, P, 2.0, 1.5)).on_sphere()
    place, rates = SphereOrder(1.0, 0.3, -0.4), Weights(2.0, 0.5)
    velocity = np.array(reduction.normalized_velocity(place, rates))
    errors = []
    for h in (1e-3, 1e-4):
        moved = np.array(reduction.normalized_step(place, Weights(2.0 * h, 0.5 * h)))
        errors.append(np.abs((moved - np.array(place)) / h - velocity).max())
    assert errors[0] < 1e-2
    assert errors[1] < errors[0] / 5 or errors[1] < 1e-9


def test_the_full_velocity_moves_the_order_parameters_as_the_reduced_one():
    landscape = SharedFilter(*teacher(K, P, 2.0, 1.5), shortcut=np.full(P, 1 / math.sqrt(P)))
    weights, rates = landscape.retract(student(K, P)), Weights(2.0, 0.5)
    place, moving = jax.jvp(
        landscape.order, (weights,), (landscape.normalized_velocity(weights, rates),)
    )
    reduced = landscape.on_sphere().normalized_velocity(place, rates)
    np.testing.assert_allclose(moving, reduced, rtol=0, atol=1e-14)


def test_sums_are_all_that_is_known_of_a_teacher():
    _, output_star = teacher(K, P, 2.0, 1.5)
    of_teacher = SphereReduction.of_teacher(output_star, ReLU())
    of_sums = SphereReduction.of_sums(K, 1.5 * math.sqrt(2.0), 1.5**2, ReLU())
    place = SphereOrder(1.0, 0.3, -0.4)
    np.testing.assert_allclose(
        of_teacher.normalized_step(place, 0.1), of_sums.normalized_step(place, 0.1), rtol=1e-14
    )


def test_normalized_steps_do_not_close_in_the_plane():
    plane = SharedFilter(*teacher(K, P)).in_plane()
    with pytest.raises(UserError, match=r"PlaneReduction has no gradient.*run the whole landscape"):
        plane.normalized_step(PlaneOrder(1.0, 0.0, 1.0, 1.0, 1.0), 0.1)


@functools.cache
def compiled_step():
    reduction = SphereReduction.of_sums(9, 1.0, 1.0, ReLU())
    return jax.jit(lambda place, sizes: reduction.normalized_step(place, sizes))


WILD = st.floats(-1e100, 1e100)
SIZES = st.floats(0, 1e100)


@given(st.floats(0, math.pi), WILD, WILD, SIZES, SIZES)
def test_no_finite_step_leaves_the_sphere(angle, total, overlap, filter_size, output_size):
    with jax.enable_x64(True):
        place = SphereOrder(*map(jnp.float64, (angle, total, overlap)))
        sizes = Weights(jnp.float64(filter_size), jnp.float64(output_size))
        moved = compiled_step()(place, sizes)
    assert 0 <= float(moved.angle) <= math.pi
    assert np.isfinite(moved).all()
