"""The step in the plane: critical points by V, M and C alone, the true gradient, outcomes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, Quadrature, ReLU, step
from whytrain.landscapes import (
    Outcome,
    PlaneOrder,
    PlaneReduction,
    SharedFilter,
    Weights,
    aligned_output,
)
from whytrain.landscapes.rule import DESCENT, FLOW

M = 6
STEP = step(ESTIMATORS["relu"])


def reduction(u, activation=STEP):
    return PlaneReduction.of_sums(M, math.sqrt(u * (M + 1)), 1.0, activation)


def network(u, activation=STEP):
    return SharedFilter(np.array([1.0, 0.0, 0.0]), aligned_output(M, u * (M + 1), 1.0), activation)


def by_kind(u):
    return {point.kind: point for point in reduction(u).critical_points()}


@pytest.mark.parametrize("u", [0.05, 0.3, 0.49])
def test_critical_points_are_those_of_proposition_one(u):
    points = by_kind(u)
    assert set(points) == {"global", "spurious", "saddle"}
    assert reduction(u).on_sphere().existence_threshold == pytest.approx((M + 1) / 2)
    saddle = points["saddle"].params
    assert math.atan2(saddle.y, saddle.x) == pytest.approx(math.pi / 2 / (1 - u), rel=1e-12)
    assert points["saddle"].loss == pytest.approx(1 / (8 * (1 - u)), rel=1e-12)
    assert points["spurious"].loss == pytest.approx(u / 2, rel=1e-12)
    assert points["spurious"].degenerate is None
    assert set(by_kind(0.6)) == {"global", "saddle"}


def test_lifted_points_are_those_of_the_network():
    full = network(0.3)
    for point, reduced in zip(
        full.critical_points(), reduction(0.3).critical_points(), strict=True
    ):
        place = full.order_in_plane(jax.tree.map(jnp.asarray, point.params))
        np.testing.assert_allclose(place, reduced.params, rtol=0, atol=1e-14)
        assert float(reduction(0.3).loss(place)) == pytest.approx(reduced.loss, abs=1e-14)


def test_autodiff_of_the_loss_is_the_true_gradient_and_not_the_coarse_one():
    full = network(0.3)
    w, v = jnp.array([0.3, -0.8, 0.5]), jnp.arange(M) / 7 - 0.2
    slope = jax.grad(full.loss)(Weights(w, v))
    r, star = float(jnp.linalg.norm(w)), jnp.array([1.0, 0.0, 0.0])
    across = star - (w @ star) * w / r**2
    stated = -(v @ full.output_star) / (2 * math.pi * r) * across / jnp.linalg.norm(across)
    np.testing.assert_allclose(slope.filter, stated, rtol=0, atol=1e-13)
    np.testing.assert_allclose(slope.output, full.grad(Weights(w, v)).output, rtol=0, atol=1e-13)
    coarse = full.grad(Weights(w, v)).filter
    assert float(jnp.abs(coarse - stated).max()) > 1e-3
    assert float(coarse @ stated) > 0


def place(point, length=1.0, **changes):
    order = PlaneOrder(*(np.array([float(leaf)]) for leaf in point.params))
    return order._replace(x=length * order.x, y=length * order.y, **changes)


@pytest.mark.parametrize("length", [0.2, 1.0, 30.0])
@pytest.mark.parametrize("kind", ["global", "spurious", "saddle"])
def test_outcomes_at_any_length_of_the_filter(kind, length):
    code = reduction(0.3).outcome(place(by_kind(0.3)[kind], length))
    assert Outcome(int(code[0])).word == kind


def test_a_filter_collapses_where_it_is_pulled_from_all_sides():
    identity = reduction(0.3, step(ESTIMATORS["identity"]))
    short = place(by_kind(0.3)["spurious"], 0.01)
    assert identity.outcome(short).tolist() == [Outcome.COLLAPSED]
    assert reduction(0.3).outcome(short).tolist() == [Outcome.SPURIOUS]
    assert identity.outcome(place(by_kind(0.3)["global"], 0.01)).tolist() == [Outcome.GLOBAL]
    lost = short._replace(size=np.array([np.nan]))
    assert identity.outcome(lost).tolist() == [Outcome.DIVERGED]


def test_a_rectifier_in_the_plane_ends_where_it_does_on_the_sphere():
    plane = reduction(0.1, ReLU())
    for point in plane.critical_points():
        order = place(point, 2.0)
        order = order._replace(total=order.total / 2, overlap=order.overlap / 2)
        assert Outcome(int(plane.outcome(order)[0])).word == point.kind


def test_without_a_degree_nothing_is_known():
    tanh = PlaneReduction.of_sums(M, 1.0, 1.0, Quadrature(jnp.tanh, nodes=4), radius_star=2.0)
    assert tanh.critical_points() == ()
    with pytest.raises(UserError, match="radius_star must be 1"):
        tanh.on_sphere()


def test_output_steps_that_cannot_contract_are_told():
    assert reduction(0.3).stable(DESCENT, 0.05)
    assert not reduction(0.3).stable(DESCENT, 8 / (M + 1) * 1.01)
    assert not reduction(0.3).stable(DESCENT, (0.01, 8 / (M + 1) * 1.01))
    assert reduction(0.3).stable(FLOW, 9.0)
