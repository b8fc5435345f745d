"""Quadrature beside closed forms, and beside sums and integrals that know nothing of it."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erf
from scipy import integrate, stats
from scipy.special import ndtr, owens_t

from gaussian.expectations import by_trapezoids, closed
from whytrain.errors import UserError
from whytrain.gaussian import Quadrature, StepQuadrature

ANGLES = [0.0, 1e-9, 0.4, math.pi / 2, 2.5, math.pi - 1e-9, math.pi]
RADII = [(1.0, 1.0), (0.5, 2.0)]
SMOOTH = {
    "tanh": (jnp.tanh, None, np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sine": (jnp.sin, None, np.sin, np.cos),
    "softplus and a surrogate": (
        jax.nn.softplus,
        lambda x: jnp.exp(-(x**2)),
        lambda x: np.logaddexp(x, 0),
        lambda x: np.exp(-(x**2)),
    ),
}


def step(x):
    return jnp.where(x > 0, 1.0, 0.0)


def clip(x):
    return jnp.clip(x, 0.0, 1.0)


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_to_twelve_digits(name):
    sigma, derivative, forward, slope = SMOOTH[name]
    fast = closed(Quadrature(sigma, derivative))
    for angle in ANGLES:
        for radii in RADII:
            exact = by_trapezoids(forward, slope, angle, *radii)
            np.testing.assert_allclose(fast(angle, *radii), exact, rtol=0, atol=1e-12)


def test_the_error_function_has_an_arcsine_for_a_dual():
    # Williams, "Computing with infinite networks", 1997, equation (11)
    fast = closed(Quadrature(erf))
    for angle in ANGLES:
        for r, r_star in RADII:
            scale = math.sqrt((1 + 2 * r**2) * (1 + 2 * r_star**2))
            exact = 2 / math.pi * math.asin(2 * r * r_star * math.cos(angle) / scale)
            assert fast(angle, r, r_star)[2] == pytest.approx(exact, abs=1e-12)


def test_a_step_with_the_identity_behind_it():
    # the binary activation and its straight-through estimator
    fast = closed(Quadrature(step, jnp.ones_like))
    root = math.sqrt(2 * math.pi)
    for angle in ANGLES:
        exact = [
            0.5, 0.5, (math.pi - angle) / (2 * math.pi),
            0.0, 1 / root, math.cos(angle) / root, math.sin(angle) / root,
        ]  # fmt: skip
        np.testing.assert_allclose(fast(angle, 0.5, 3.0), exact, rtol=0, atol=1e-9)


def test_a_step_with_the_rectifier_behind_it():
    fast = closed(Quadrature(step, step))
    root = 2 * math.sqrt(2 * math.pi)
    for angle in ANGLES:
        along, across = fast(angle, 1.0, 1.0)[5:]
        assert along == pytest.approx((1 + math.cos(angle)) / root, abs=1e-9)
        assert across == pytest.approx(math.sin(angle) / root, abs=1e-9)


def clipped_mean(mean, deviation):
    """`E clip(y, 0, 1)` for a normal `y`, by the moments of a truncated normal."""
    if deviation < 1e-12:
        return min(max(mean, 0.0), 1.0)
    low, high = -mean / deviation, (1 - mean) / deviation
    inside = stats.norm.cdf(high) - stats.norm.cdf(low)
    bulk = mean * inside + deviation * (stats.norm.pdf(low) - stats.norm.pdf(high))
    return bulk + stats.norm.sf(high)


def clipped_cross(angle, r, r_star):
    """`E clip(r x) clip(r* y)`: closed given `x`, and the rest by adaptive integration over `x`."""

    def outer(x):
        given = clipped_mean(r_star * math.cos(angle) * x, r_star * abs(math.sin(angle)))
        return min(r * x, 1.0) * given * stats.norm.pdf(x)

    breaks = sorted({1 / r, min(8.0, 1 / (r_star * max(math.cos(angle), 0.1)))})
    edges = [0.0, *breaks, 9.0]
    return sum(integrate.quad(outer, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(edges))


def test_declared_kinks_are_integrated_to_nine_digits():
    cross = jax.jit(Quadrature(clip, kinks=(0.0, 1.0)).cross)
    for angle in [0.0, 0.4, math.pi / 2, 2.5, math.pi]:
        for radii in RADII:
            exact = clipped_cross(angle, *radii)
            assert float(cross(angle, *radii)) == pytest.approx(exact, abs=1e-9), (angle, radii)


def quadrant(a, b, angle):
    """`P(x > a, y > b)`, and the means of `x` and of the coordinate across on that quadrant.

    By Owen's function T (Annals of Mathematical Statistics 27, 1956, equation 2.1) and by parts.
    """
    if angle == 0:
        return stats.norm.sf(max(a, b)), stats.norm.pdf(max(a, b)), 0.0
    if angle == math.pi:
        mass = max(0.0, ndtr(-b) - ndtr(a))
        return mass, (stats.norm.pdf(a) - stats.norm.pdf(b)) * (mass > 0), 0.0
    sin, half = math.sin(angle), angle / 2
    # b - a cos and a - b cos, without cancellation at both ends
    if angle < 1:
        up, right = b - a + 2 * a * math.sin(half) ** 2, a - b + 2 * b * math.sin(half) ** 2
    else:
        up, right = b + a - 2 * a * math.cos(half) ** 2, a + b - 2 * b * math.cos(half) ** 2
    mass = (ndtr(-a) + ndtr(-b) - (a * b < 0)) / 2
    mass -= owens_t(a, up / (a * sin)) + owens_t(b, right / (b * sin))
    edge = stats.norm.pdf(a) * ndtr(-up / sin)
    star = stats.norm.pdf(b) * ndtr(-right / sin)
    return mass, edge + math.cos(angle) * star, sin * star


JUMPS = {
    "one": (1.0,),
    "two": (-0.5, 1.0),
    "three levels": (-0.5, 0.5),
    "near zero and far away": (1e-3, 8.0),
}


def stairs(kinks):
    return lambda x: jnp.sum(jnp.where(x[..., None] > jnp.asarray(kinks), 1.0, 0.0), axis=-1)


@pytest.mark.parametrize("name", JUMPS)
def test_jumps_anywhere_are_integrated_to_nine_digits(name):
    kinks = JUMPS[name]
    cross = jax.jit(Quadrature(stairs(kinks), jnp.ones_like, kinks).cross)
    for angle in [0.0, 1e-12, 1e-3, math.pi / 2, math.pi - 1e-3, math.pi]:
        for r, s in [(0.05, 100.0), (0.5, 2.0), (1.0, 1.0), (7.0, 0.3), (100.0, 100.0)]:
            exact = sum(
                quadrant(a / r, b / s, angle)[0] for a, b in itertools.product(kinks, kinks)
            )
            assert float(cross(angle, r, s)) == pytest.approx(exact, rel=0, abs=1e-9), (angle, r, s)


def test_a_jump_behind_a_jump_is_integrated_to_nine_digits():
    stair = stairs((1.0,))
    back = jax.jit(Quadrature(stair, stair, (1.0,)).backward_cross)
    for angle in [1e-3, 0.4, math.pi / 2, math.pi - 1e-3]:
        for r, s in [(0.5, 2.0), (7.0, 7.0), (100.0, 20.0)]:
            exact = np.array([float(one) for one in quadrant(1 / r, 1 / s, angle)[1:]])
            found = [float(one) for one in back(angle, r, s)]
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-9)


def test_places_where_a_smooth_activation_bends_keep_its_digits_at_length_5():
    bends = Quadrature(jnp.tanh, kinks=(-4.0, -1.0, 1.0, 4.0))
    exact = by_trapezoids(np.tanh, np.cos, 0.4, 5.0, 1.0)[1]
    assert float(bends.second_moment(5.0)) == pytest.approx(exact, rel=0, abs=1e-11)
    assert 1e-10 < abs(float(Quadrature(jnp.tanh).second_moment(5.0)) - exact) < 3e-8


def test_undeclared_kinks_cost_digits():
    rough, fine = (Quadrature(clip, kinks=kinks).second_moment(1.0) for kinks in [(), (0.0, 1.0)])
    assert 1e-6 < abs(float(rough) - float(fine)) < 3e-3


@pytest.mark.parametrize("sigma", [jnp.tanh, jax.nn.softplus, jnp.sin])
def test_the_backward_derivative_defaults_to_the_true_one(sigma):
    x = jnp.linspace(-3, 3, 13)
    slope = jax.vmap(jax.grad(sigma))(x)
    np.testing.assert_allclose(Quadrature(sigma).backward(x), slope, rtol=1e-14)


def test_a_surrogate_changes_nothing_forward():
    true, coarse = Quadrature(jnp.tanh), Quadrature(jnp.tanh, jnp.ones_like)
    assert float(true.second_moment(0.5)) == float(coarse.second_moment(0.5))
    assert float(true.backward_mean(0.5)) != float(coarse.backward_mean(0.5))


def test_more_nodes_come_closer():
    exact = by_trapezoids(np.tanh, np.cos, 0.9, 2.0, 2.0)[1]
    few, some, many = (
        abs(float(Quadrature(jnp.tanh, nodes=n).second_moment(2.0)) - exact) for n in (4, 10, 25)
    )
    assert few > 10 * some > 100 * many


@pytest.mark.parametrize(
    ("sigma", "options", "words"),
    [
        (math.tanh, {}, "sigma must be a function of an array, elementwise"),
        (np.tanh, {}, "written with jax.numpy"),
        (lambda x: x if x > 0 else 0.0, {}, "written with jax.numpy"),
        (jnp.sum, {}, "sigma must give one real number for each"),
        (lambda x: jnp.stack([x, x]), {}, "sigma must give one real number for each"),
        (lambda x: x - jnp.mean(x), {}, "what it gives at a number depends on others"),
        (jnp.tanh, {"derivative": jnp.cumsum}, "derivative must give one real number"),
        (jnp.tanh, {"kinks": 1.0}, "kinks must be a sequence of finite numbers, got 1.0"),
        (jnp.tanh, {"kinks": "12"}, "kinks must be a sequence"),
        (jnp.tanh, {"kinks": (math.inf,)}, "kinks must be a sequence"),
        (jnp.tanh, {"nodes": 1}, "nodes must be a whole number, 2 or more, got 1"),
        (jnp.tanh, {"cutoff": 1.0}, "cutoff must be a number from 9 to 38"),
        (jnp.tanh, {"cutoff": 1e6}, "cutoff must be a number from 9 to 38"),
        (jnp.tanh, {"cutoff": math.nan}, "cutoff must be a number from 9 to 38"),
    ],
)
def test_what_cannot_be_integrated_is_refused(sigma, options, words):
    with pytest.raises(UserError, match=words) as told:
        Quadrature(sigma, **options)
    assert "\n" not in str(told.value)


def test_a_surrogate_of_a_step_is_looked_at_too():
    with pytest.raises(UserError, match="derivative must be a function of an array"):
        StepQuadrature(math.tanh)
    with pytest.raises(UserError, match="nodes must be"):
        StepQuadrature(jnp.cos, nodes=0)
