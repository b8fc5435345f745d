import math

import numpy as np
import pytest
from scipy import stats

from whytrain.lab import (
    binomial_interval,
    contrast_interval,
    mean_interval,
    slope_interval,
)


def test_no_failure_in_n_runs_bounds_the_rate_by_the_known_formula():
    low, high = binomial_interval(5000, 5000)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 5000))


def test_clopper_and_pearson_s_own_example():
    # Clopper and Pearson, Biometrika 26 (1934): 3 of 10 at 95 %.
    assert binomial_interval(3, 10) == pytest.approx((0.0667, 0.6525), abs=1e-4)


def test_the_mean_s_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = [low < 1 < high for low, high in map(mean_interval, random.normal(1, 2, (2000, 5)))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_value_bounds_nothing():
    assert mean_interval([3.0]) == (-math.inf, math.inf)


def test_the_slope_s_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    x = np.arange(6.0)
    fits = [slope_interval(x, 2 * x + random.normal(size=6)) for _ in range(2000)]
    assert np.mean([low < 2 < high for _, low, high in fits]) == pytest.approx(0.95, abs=0.015)


def test_two_points_have_a_slope_without_bounds():
    assert slope_interval([0, 1], [1, 3]) == (2.0, -math.inf, math.inf)


def test_two_means_are_compared_as_welch_does():
    random = np.random.default_rng(0)
    one, other = random.normal(size=5), random.normal(3, 4, size=8)
    known = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.9)
    value, low, high = contrast_interval([one, other], [-1, 1], 0.9)
    assert value == pytest.approx(other.mean() - one.mean())
    assert (low, high) == pytest.approx((known.low, known.high))


def test_the_slope_through_means_is_that_of_least_squares():
    random = np.random.default_rng(0)
    x, groups = np.array([0.0, 1.0, 4.0]), random.normal(size=(3, 6))
    away = x - x.mean()
    value, *_ = contrast_interval(list(groups), away / (away @ away))
    assert value == pytest.approx(slope_interval(np.repeat(x, 6), groups.ravel())[0])


def test_the_slope_through_means_is_covered_though_the_means_are_on_no_line():
    """Spreads differ by ten; coverage outside of 0.93 to 0.97 has probability 1e-4."""
    random = np.random.default_rng(0)
    x, scale = np.array([-1.0, 0.0, 1.0]), np.array([[0.3], [1.0], [3.0]])
    found = [
        contrast_interval(list((x**2)[:, None] + scale * random.normal(size=(3, 6))), x / 2)
        for _ in range(2000)
    ]
    assert np.mean([low < 0 < high for _, low, high in found]) == pytest.approx(0.95, abs=0.02)


def test_a_group_of_one_bounds_nothing_unless_it_has_no_weight():
    assert contrast_interval([[1.0], [2.0, 3.0]], [-1, 1]) == (1.5, -math.inf, math.inf)
    assert math.isfinite(contrast_interval([[1.0], [2.0, 3.0]], [0, 1])[1])
    assert contrast_interval([[1.0, 1.0], [3.0, 3.0]], [-1, 1]) == (2.0, 2.0, 2.0)
