"""Where a function is not smooth: what was hidden is found, and nothing where nothing is."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from whytrain.gaussian.kinks import _integral, shape


def test_jumps_drawn_at_random_are_found():
    rng = np.random.default_rng(0)
    for _ in range(5):
        hidden = np.sort(rng.choice([-1, 1], 8) * rng.uniform(1e-3, 50, 8))
        heights = rng.choice([-1, 1], 8) * rng.uniform(0.5, 2, 8)

        def function(x, hidden=hidden, heights=heights):
            return np.sin(x) + ((x[..., None] > hidden) * heights).sum(-1)

        ends = np.array(shape(function, (), 100.0).ends)
        for place in hidden:
            assert np.abs(ends - place).min() < 2e-12 * max(1, abs(place))


def test_two_jumps_between_neighboring_places_are_both_found():
    hidden = np.array([0.7, 0.70005, 0.70007])
    ends = np.array(shape(lambda x: (x[..., None] > hidden).sum(-1) * 1.0, (), 10.0).ends)
    assert all(np.abs(ends - place).min() < 1e-12 for place in hidden)


@pytest.mark.parametrize("smooth", [np.ones_like, np.tanh, lambda x: np.exp(-(x**2))])
def test_in_a_smooth_function_there_is_no_jump(smooth):
    assert len(shape(smooth, (), 1e3).ends) < 12


@pytest.mark.parametrize("scale", [2.0**-40, 1.0, 2.0**40])
def test_a_bump_between_the_nodes_is_seen_by_the_places_whatever_its_height(scale):
    def bump(x):
        return scale * np.exp(-(((x - 2.3456) / 1e-3) ** 2))

    ends = np.array(shape(bump, (), 50.0).ends)
    assert (np.abs(ends - 2.3456) < 2e-3).sum() > 2
    panels = pairwise([0.0, *ends[ends > 0], 50.0])
    whole = sum(integrate.fixed_quad(bump, *panel, n=20)[0] for panel in panels)
    assert whole == pytest.approx(scale * 1e-3 * np.sqrt(np.pi), rel=1e-9)


def test_what_is_declared_is_not_found_again():
    def window(x):
        return 1.0 * ((x > -1) & (x < 0.3))

    assert shape(window, (-1.0, 0.3), 1e3).ends == ()


EVEN = [
    lambda x: np.abs(x) ** 1.5,
    lambda x: np.cos(3 * x),
    lambda x: np.exp(-50 * (np.abs(x) - 2.2) ** 2),
    lambda x: np.maximum(np.abs(x) - 0.3, 0),
    lambda x: np.sqrt(np.abs(x)),
]


@pytest.mark.parametrize("even", EVEN)
def test_both_sides_of_an_even_function_are_looked_at_alike(even):
    ends = np.array(shape(even, (), 50.0).ends)
    assert ends[::-1] == pytest.approx(-ends, abs=1e-12)


def test_panels_are_weighed_by_one_and_by_a_normal_density():
    low, high, far = np.array([-1.0, 0.3]), np.array([-0.2, 2.0]), np.array([1.0, 2.0])
    plain, weighed = _integral(np.cos, low, high, far)
    for i in range(2):
        density = stats.norm(scale=far[i]).pdf
        peak, ends = density(0), (low[i], high[i])
        assert plain[i] == pytest.approx(integrate.quad(np.cos, *ends)[0])
        whole = integrate.quad(lambda x, of=density: np.cos(x) * of(x), *ends)[0]
        assert weighed[i] == pytest.approx(whole / peak)
