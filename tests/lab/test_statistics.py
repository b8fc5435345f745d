import math

import numpy as np
import pytest

from whytrain.lab import binomial_interval, mean_interval, slope_interval


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
