"""Where a function is not smooth: what was hidden is found, and nothing where nothing is."""

import numpy as np
import pytest

from whytrain.gaussian.kinks import shape


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


def test_what_is_declared_is_not_found_again():
    def window(x):
        return 1.0 * ((x > -1) & (x < 0.3))

    assert shape(window, (-1.0, 0.3), 1e3).ends == ()
