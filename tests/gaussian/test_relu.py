"""The rectifier's closed forms beside Monte Carlo and beside quadrature."""

import math
from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gaussian.expectations import closed
from whytrain.gaussian import ReLU
from whytrain.gaussian.relu import arc_cosine, arc_cosine_shortfall
from whytrain.testing import check_activation

ANGLES = [0.0, 1e-9, 1e-3, 0.7, math.pi / 2, 2.0, 3.0, math.pi - 1e-3, math.pi - 1e-9, math.pi]
RADII = [(1.0, 1.0), (0.3, 2.5), (4.0, 0.7)]


def test_closed_forms_beside_quadratures_and_monte_carlo():
    check_activation(ReLU(), angles=ANGLES, radii=RADII)


def test_the_pull_is_the_fall_of_the_dual_activation():
    angle = jnp.linspace(0.01, 3.13, 40)
    fall = -jax.vmap(jax.grad(ReLU().cross))(angle)
    pull = jax.vmap(lambda x: ReLU().backward_cross(x)[1])(angle)
    np.testing.assert_allclose(pull, fall, rtol=1e-12, atol=1e-16)


def test_the_pull_keeps_its_digits_near_both_ends():
    # (pi - x) sin x is pi x (1 - O(x)) near 0, and x^2 (1 - O(x^2)) at distance x from pi
    near = float(ReLU().backward_cross(1e-12)[1])
    assert near == pytest.approx(0.5e-12, rel=1e-11, abs=0)
    gap = math.pi - (math.pi - 1e-5)  # what is left after rounding
    far = float(ReLU().backward_cross(math.pi - 1e-5)[1])
    assert far == pytest.approx(gap**2 / (2 * math.pi), rel=1e-10, abs=0)


def test_known_values_of_the_arc_cosine_kernel():
    # Cho and Saul 2009, equation (6), n = 1
    assert float(arc_cosine(0.0)) == math.pi
    assert float(arc_cosine(math.pi / 2)) == pytest.approx(1.0, abs=1e-15)
    assert abs(float(arc_cosine(math.pi))) < 1e-15
    assert float(arc_cosine(2 * math.pi / 3)) == pytest.approx(math.sqrt(3) / 2 - math.pi / 6)


def test_the_steepness_bounds_the_pull_and_no_smaller_one_would():
    angle = jnp.linspace(0, math.pi, 10_001)
    pull = jax.vmap(lambda x: ReLU().backward_cross(x)[1])(angle)
    assert jnp.all(pull >= 0)
    bound = ReLU().steepness * jnp.minimum(angle, math.pi - angle)
    assert jnp.all(pull <= bound + 1e-16)
    assert float(pull[1] / bound[1]) == pytest.approx(1, abs=1e-3)  # near 0


@pytest.mark.parametrize("angle", ANGLES)
def test_the_scalar_form_is_the_closed_form(angle):
    cross, pull = ReLU().scalar(math.pi - angle, math.cos(angle), math.sin(angle))
    expected = closed(ReLU())(angle, 1.0, 1.0) * 2 * math.pi
    assert cross == pytest.approx(expected[2], abs=2e-15)
    assert pull == pytest.approx(expected[6], abs=2e-15)


def test_forward_and_backward():
    x = jnp.array([-2.0, 0.0, 3.0])
    assert ReLU().forward(x).tolist() == [0.0, 0.0, 3.0]
    assert ReLU().backward(x).tolist() == [0.0, 0.0, 1.0]


def exact_shortfall(angle):
    """`pi - g(angle)` by its power series in 50 digits."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937511")
    getcontext().prec = 50
    x, total = Decimal(angle), Decimal(0)
    for n in range(1, 40):
        sign, even = (-1) ** n, x ** (2 * n) / math.factorial(2 * n)
        total -= sign * pi * even  # pi (1 - cos)
        total += sign * (even * x - even * x / (2 * n + 1))  # x cos - sin
    return float(total)


@pytest.mark.parametrize(
    "angle", [1e-9, 1e-5, 1e-3, 0.05, 0.1, 0.2, 0.29, 0.2999, 0.3, 0.303, 0.31]
)
def test_the_shortfall_has_all_its_digits_on_both_sides_of_the_series(angle):
    with jax.enable_x64(True):
        found = float(arc_cosine_shortfall(jnp.float64(angle)))
    assert found == pytest.approx(exact_shortfall(angle), rel=8e-16, abs=0)
