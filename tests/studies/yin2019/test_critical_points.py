"""What the claims search with: the coarse gradients, and that a search finds what is hidden."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.critical_points import _least_away, _Place, _zeros
from whytrain.studies.yin2019.setup import THEOREM, TeacherSettings


def place(m, u, length=1.3):
    teacher = TeacherSettings(m=m, alignment=u)
    return _Place(m, teacher.output_star, teacher.total_star, length)


@pytest.mark.parametrize("name", THEOREM)
@pytest.mark.parametrize(("m", "u", "length"), [(2, 0.1, 0.4), (4, 0.3, 1.0), (9, 0.8, 3.0)])
def test_the_coarse_gradient_is_the_printed_one(name, m, u, length):
    here, ws = place(m, u, length), np.array([1.0, 0.0])
    for angle in (0.2, 1.0, 1.9, 3.0):
        unit = np.array([math.cos(angle), math.sin(angle)])
        inward = np.array([math.sin(angle), -math.cos(angle)])  # across the filter, to w*
        v, _ = here.settled(angle)
        with jax.enable_x64(True):
            there = map(jnp.asarray, (v, here.star, length * unit, ws))
            found = np.asarray(printed.COARSE[name](*there))
        stated = found @ unit, found @ inward
        np.testing.assert_allclose(here.coarse(name, angle), stated, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("u", [0.05, 0.3, 0.45])
def test_a_zero_that_is_not_told_of_is_found(u):
    saddle = math.pi / 2 / (1 - u)
    found = _zeros(place(4, u), True, saddle, 101)
    for name in ("relu", "clipped_relu"):
        assert found[f"{name}_at_critical"] < 1e-12
        assert found[f"{name}_elsewhere"] > 1e-5
        assert found[f"{name}_untold"] < 1e-10
    assert found["identity_untold"] > 1e-5  # it does not rest at the saddle


@pytest.mark.parametrize("hidden", [0.03, 0.7071, 1.5, 3.11])
@pytest.mark.parametrize("power", [1, 2])
def test_the_search_finds_a_zero_anywhere(hidden, power):
    known = np.array([0.0, math.pi])

    def length(angle):  # lower near pi than at most angles of the grid
        return np.abs(angle - hidden) ** power * (3.2 - angle)

    assert _least_away(length, known, 101) < 1e-9
    assert _least_away(lambda angle: 1e-3 + length(angle), known, 101) >= 1e-3


@pytest.mark.parametrize(("u", "falls"), [(0.48, False), (0.52, True), (0.79, True)])
def test_a_way_down_is_found(u, falls):
    here = place(4, u)
    least = here.least_change(*here.settled(math.pi), np.random.default_rng(0), 100, abs(1 - 2 * u))
    assert (least < -1e-7) == falls


@pytest.mark.parametrize("angle", [0.4, 1.0, 2.6])
def test_the_residual_is_the_gradient_where_the_output_weights_are_at_their_best(angle):
    here = place(4, 0.3)
    v, _ = here.settled(angle)
    high, low = (here.loss(v, 1 - 2 * (angle + step) / math.pi) for step in (1e-5, -1e-5))
    assert here.residual(angle) == pytest.approx(abs(high - low) / 2e-5 / here.length, rel=1e-7)
