"""Each function against what is known of it, and on every input that must not bound anything."""

import math
from decimal import Decimal

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from whytrain.errors import UserError
from whytrain.lab import (
    Estimate,
    estimate_contrast,
    estimate_mean,
    estimate_median,
    estimate_power,
    estimate_rate,
    estimate_rate_difference,
    estimate_slope,
    largest,
)


@pytest.fixture(autouse=True)
def without_type_checks():
    """What users have, who pass whatever they have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


UNBOUNDED = (-math.inf, math.inf)
SAMPLES = [
    estimate_mean,
    lambda sample, **options: estimate_contrast([[1.0, 2.0], sample], [1, -1], **options),
    lambda sample, **options: estimate_slope(np.arange(np.size(sample)), sample, **options),
]
EVERY = [
    *SAMPLES,
    lambda _, **options: estimate_rate(1, 2, **options),
    lambda _, **options: estimate_rate_difference((1, 2), (1, 3), **options),
]


# --- against what is known ----------------------------------------------------------------


def test_no_failure_in_n_runs_bounds_the_rate_by_the_known_formula():
    found = estimate_rate(5000, 5000)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 5000))


def test_clopper_and_pearson_s_own_example():
    # Clopper and Pearson, Biometrika 26 (1934): 3 of 10 at 95 %.
    assert estimate_rate(3, 10).interval == pytest.approx((0.0667, 0.6525), abs=1e-4)


@pytest.mark.parametrize("miss", [0.9, 0.05, 1e-12])
@pytest.mark.parametrize("runs", [1, 7, 1000, 2**53])
def test_rates_are_bounded_as_by_scipy(runs, miss):
    for successes in {0, 1, runs // 2, runs}:
        low, high = estimate_rate(successes, runs).bound(miss)
        assert low < high
        if successes:
            known = stats.beta.ppf(miss / 2, successes, runs - successes + 1)
            assert low == pytest.approx(known, rel=1e-9)
        if successes < runs:
            known = stats.beta.isf(miss / 2, successes + 1, runs - successes)
            assert high == pytest.approx(known, rel=1e-9)


def test_a_difference_of_rates_misses_half_as_often_at_either_end():
    found = estimate_rate_difference((90, 100), (60, 100))
    one, other = estimate_rate(90, 100, 0.975), estimate_rate(60, 100, 0.975)
    assert found.value == pytest.approx(0.3)
    assert found.interval == (one.low - other.high, one.high - other.low)
    assert found.runs == 200


def test_a_mean_is_bounded_as_by_scipy():
    sample = np.random.default_rng(0).normal(3, 2, 7)
    known = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert estimate_mean(sample, 0.9).interval == pytest.approx((known.low, known.high))


def test_two_means_are_compared_as_welch_does():
    random = np.random.default_rng(0)
    one, other = random.normal(size=5), random.normal(3, 4, size=8)
    known = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.9)
    found = estimate_contrast([one, other], [-1, 1], 0.9)
    assert found.value == pytest.approx(other.mean() - one.mean())
    assert found.interval == pytest.approx((known.low, known.high))


def test_a_group_of_few_values_lets_all_count_as_few():
    """A group of two beside one of ten: Satterthwaite's own interval covers 89 % of the time."""
    random = np.random.default_rng(0)
    few, many = random.normal(size=2), random.normal(size=10)
    known = stats.ttest_ind(few, many, equal_var=False).confidence_interval(0.95)
    found = estimate_contrast([few, many], [1, -1])
    assert found.high - found.low > known.high - known.low
    equal = [random.normal(size=2), 3 * random.normal(size=2)]
    known = stats.ttest_ind(*equal, equal_var=False).confidence_interval(0.95)
    assert estimate_contrast(equal, [1, -1]).interval == pytest.approx((known.low, known.high))


def test_a_slope_is_bounded_as_by_scipy():
    random = np.random.default_rng(0)
    x = random.normal(size=9)
    y = 2 * x + random.normal(size=9)
    known = stats.linregress(x, y)
    found, reach = estimate_slope(x, y), stats.t.isf(0.025, 7) * known.stderr
    assert found.value == pytest.approx(known.slope)
    assert found.interval == pytest.approx((known.slope - reach, known.slope + reach))


def test_a_slope_nearly_without_error_is_bounded_by_its_residuals():
    """1 - r² has lost all digits here, and with them the error."""
    x = np.arange(6.0)
    noise = 1e-9 * np.array([1, -2, 1, 1, -2, 1])
    known = estimate_slope(x, noise)
    found = estimate_slope(x, 1 + 2 * x + noise)
    assert found.high - found.low == pytest.approx(known.high - known.low, rel=1e-5)


def test_the_slope_through_means_is_that_of_least_squares():
    random = np.random.default_rng(0)
    x, groups = np.array([0.0, 1.0, 4.0]), random.normal(size=(3, 6))
    away = x - x.mean()
    found = estimate_contrast(list(groups), away / (away @ away))
    assert found.value == pytest.approx(estimate_slope(np.repeat(x, 6), groups.ravel()).value)


# --- what bounds nothing ------------------------------------------------------------------


@pytest.mark.parametrize("function", SAMPLES)
@pytest.mark.parametrize(
    "sample",
    [
        [3.0],
        [1.0, 1.0],
        [1.0, 1 + 1e-16],
        [0.1 + 0.2, 0.3],
        [1, 1, 1],
        [0.0, 0.0],
        [5e-324, 1e-323],
        [1e149, 1e149],
        np.full(4, 0.1, np.float32) + np.array([0, 7e-9, 0, 7e-9], np.float32),
        jnp.ones(3),
        xr.DataArray([2.0, 2.0], dims="run"),
    ],
)
def test_values_that_do_not_show_their_spread_bound_nothing(function, sample):
    if np.size(sample) == 1 and function is SAMPLES[2]:
        pytest.skip("one point has no slope, which is refused")
    found = function(sample)
    assert math.isfinite(found.value)
    assert found.interval == found.at(0.5).interval == UNBOUNDED


def test_the_lists_that_proved_anything():
    assert estimate_mean([1.0, 1.0]).interval == UNBOUNDED
    assert estimate_contrast([[1, 1], [0.9, 0.9]], [1, -1]).interval == UNBOUNDED
    low, high = estimate_rate(2, 2).interval
    assert (low, high) == (pytest.approx(0.158, abs=5e-4), 1)


def test_points_on_a_line_have_a_slope_without_bounds():
    assert estimate_slope([0, 1], [1, 3]).interval == UNBOUNDED
    for x in (np.arange(5), 1e6 + np.arange(5), np.array([0, 1e-3, 7])):
        found = estimate_slope(x, 2 * x + 1 / 3)
        assert found.value == pytest.approx(2)
        assert found.interval == UNBOUNDED
    rounded = np.array([0.1, 0.2, 0.3, 0.7], np.float32)  # which moves the points off the line
    for slope in (3.0, -3.0):
        line = slope * np.array([0.1, 0.2, 0.3, 0.7])
        assert estimate_slope(rounded, line).interval == UNBOUNDED
    assert estimate_slope(rounded, [0.3, 0.6001, 0.9, 2.1]).high < 3.01


def test_a_group_of_one_bounds_nothing_unless_it_has_no_weight():
    assert estimate_contrast([[1.0], [2.0, 3.0]], [-1, 1]).interval == UNBOUNDED
    assert math.isfinite(estimate_contrast([[1.0], [2.0, 3.0]], [0, 1]).low)
    assert math.isfinite(estimate_contrast([[math.nan], [2.0, 3.0]], [0, 1]).low)


def test_what_the_measure_would_not_show_is_the_least_deviation():
    known = 0.01 * stats.t.isf(0.025, 3) / 2
    for sample in ([1.0] * 4, [1.0, 1.0, 1.0, 1.001]):
        found = estimate_mean(sample, resolution=0.01)
        assert found.high - found.value == pytest.approx(known)
    assert estimate_mean([1.0], resolution=0.01).interval == UNBOUNDED
    wide = estimate_mean([1.0, 2.0, 4.0])
    assert wide == estimate_mean([1.0, 2.0, 4.0], resolution=0.01)


def test_ends_that_rounding_makes_one_are_moved_apart():
    sample = 1 + 1e-13 * np.array([1.0, -1.0] * 200_000)
    found = estimate_mean(sample)
    assert found.low < found.value < found.high
    narrow = Estimate.of(1.0, 10, lambda miss: (1.0, 1.0))
    assert narrow.low < 1 < narrow.high


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (1.0, math.nan), (2.0, 1.0), (math.inf,) * 2])
def test_ends_that_are_none_bound_nothing(ends):
    assert Estimate.of(1.0, 10, lambda miss: ends).interval == UNBOUNDED


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("function", SAMPLES)
@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ([], "there is none"),
        ([1.0, math.nan], "1 of 2 are not"),
        ([1.0, math.inf, -math.inf], "2 of 3 are not"),
        ([1e308, 1.1e308], "2 of 2 are not"),
        ([True, False], "estimate_rate"),
        ([1 + 1j, 2], "real numbers"),
        (["one", "two"], "real numbers"),
        (["1", "2"], "real numbers"),
        (np.array([1.0, "2"], object), "real numbers"),
        (np.ma.array([1.0, 2.0, 100.0], mask=[0, 0, 1]), "1 of 3 are masked; leave them out"),
        ([None, 1.0], "real numbers|are not"),
        ([10**400, 1], "real numbers"),
        (np.ones((2, 3)), "one value a run"),
        (jnp.array([1.0, jnp.nan]), "1 of 2 are not"),
        (xr.DataArray(np.ones((2, 2)), dims=("run", "step")), "one value a run"),
        (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), "real numbers"),
    ],
)
def test_what_is_no_sample_is_refused_in_one_line(function, sample, told):
    with pytest.raises(UserError, match=told) as caught:
        function(sample)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, 95, math.nan, math.inf, 1 - 1e-17, "a"])
def test_a_level_that_is_none_is_refused(function, level):
    with pytest.raises(UserError, match="level"):
        function([1.0, 2.0, 4.0], level=level)
    with pytest.raises(UserError, match="level"):
        function([1.0, 2.0, 4.0]).at(level)


@pytest.mark.parametrize("resolution", [-1e-9, math.nan, math.inf, "a"])
def test_a_resolution_that_is_none_is_refused(resolution):
    with pytest.raises(UserError, match="resolution"):
        estimate_mean([1.0, 2.0], resolution=resolution)


@pytest.mark.parametrize(
    "counts",
    [(1, 0), (-1, 5), (6, 5), (1.5, 5), (1, 2.5), (math.nan, 5), (1, math.inf), ("one", 5),
     (None, 5), (0, 2**60), (10**400, 10**400), ([1, 2], 5), (1j, 2),
     ("1", 5)],
)  # fmt: skip
def test_counts_that_are_none_are_refused(counts):
    for estimate in (
        lambda: estimate_rate(*counts),
        lambda: estimate_rate_difference(counts, (1, 2)),
        lambda: estimate_rate_difference((1, 2), counts),
    ):
        with pytest.raises(UserError, match="a rate needs whole numbers"):
            estimate()


@pytest.mark.parametrize("number", [np.int32(3), np.float64(3), jnp.array(3), xr.DataArray(3)])
def test_whole_numbers_of_any_kind_are_counts(number):
    assert estimate_rate(number, 10) == estimate_rate(3, 10)


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [0, 0], [1, math.nan], [], [[1, -1]]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(UserError):
        estimate_contrast([[1.0, 2.0], [1.0, 2.0]], weights)


def test_what_is_no_list_of_groups_or_no_pair_is_refused():
    with pytest.raises(UserError, match="got 1 for groups that are no list: 5"):
        estimate_contrast(5, [1])  # pyright: ignore[reportArgumentType]
    for counts in (1, (1,), (1, 2, 3)):
        with pytest.raises(UserError, match=r"a rate is a pair \(successes, runs\); got"):
            estimate_rate_difference(counts, (1, 2))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "x", [["a", "b"], ["1", "2"], [1, 1], [0, 1], [[1, 2]], 1, np.ma.array([1, 2], mask=[0, 1])]
)
def test_a_power_needs_two_places(x):
    with pytest.raises(UserError):
        estimate_power(x, [[1.0, 2.0], [1.0, 3.0]])


def test_no_masked_value_counts_as_any_other():
    masked = np.ma.array([1.0, 2.0, 100.0], mask=[0, 0, 1])
    for estimate in (largest, estimate_median, estimate_mean):
        with pytest.raises(UserError, match=r"masked; leave them out: values\.compressed"):
            estimate(masked)
        assert estimate(np.ma.array([1.0, 2.0])) == estimate([1.0, 2.0])


def test_a_slope_needs_two_x_and_a_y_for_each():
    for x, y in (([1, 1], [1, 2]), ([1, 1 + 1e-16], [1, 2]), ([1, 2, 3], [1, 2]), ([1], [1])):
        with pytest.raises(UserError, match="a slope needs"):
            estimate_slope(x, y)


def test_large_and_small_numbers_are_measured_as_others_are():
    known = estimate_mean([1.0, 2.0, 4.0])
    for size in (1e-140, 1e-20, 1e20, 1e149):
        found = estimate_mean(size * np.array([1.0, 2.0, 4.0]))
        assert found.interval == pytest.approx((size * known.low, size * known.high), rel=1e-12)
    assert estimate_contrast([[1e149, 2e149, 4e149], [1, 2, 4]], [1e149, 1]).level == 0.95


# --- estimates ----------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.95, 0.975, 0.9875, 0.999])
@pytest.mark.parametrize("function", EVERY)
def test_another_level_is_as_if_asked_for_at_once(function, level):
    sample = [1.0, 2.0, 4.0]
    assert function(sample).at(level) == function(sample, level=level)


@pytest.mark.parametrize("function", EVERY)
def test_intervals_are_nested(function):
    found = function([1.0, 2.0, 4.0, 3.5])
    ends = np.array([found.at(level).interval for level in (0.01, 0.5, 0.9, 0.99, 1 - 1e-9)])
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()


def test_an_estimate_that_knows_one_level_gives_no_other():
    found = Estimate(1.0, 0.5, 1.5, 0.95, 10)
    assert found.at(0.95) is found
    with pytest.raises(UserError, match=r"at 0\.95 only"):
        found.at(0.99)
    assert largest([1.0, 2.0]).at(0.99).level is None


@pytest.mark.parametrize(
    ("given", "told"),
    [((2.0, 1.0, 0.95), "from its lower end up; got from 2 to 1"),
     ((1.0, 2.0, 95), "lies between 0 and 1"), ((1.0, 2.0, math.nan), "lies between 0 and 1")],
)  # fmt: skip
def test_an_estimate_made_by_hand_has_ends_in_order_and_a_level(given, told):
    with pytest.raises(UserError, match=told):
        Estimate(1.5, *given, 10)


def test_a_falling_function_turns_the_ends():
    found = estimate_rate(3, 10)
    turned = found.through(lambda rate: 1 - rate)
    assert turned.interval == (1 - found.high, 1 - found.low)
    assert turned.at(0.5).interval == (1 - found.at(0.5).high, 1 - found.at(0.5).low)
    assert largest([1.0, 4.0]).through(math.sqrt).interval == (1.0, 2.0)


@pytest.mark.parametrize("log", [math.log, np.log, lambda rate: math.log(rate) if rate else 1 / 0])
def test_where_a_function_has_no_value_nothing_is_bounded(log):
    assert estimate_mean([0.5, 1.0, 2.0]).through(log).interval == UNBOUNDED
    assert estimate_mean([1.0, 1.1, 1.2]).through(log).at(1 - 1e-9).interval == UNBOUNDED


def test_a_function_that_does_not_rise_or_fall_is_told_or_bounds_nothing():
    with pytest.raises(UserError, match="must rise, or fall"):
        estimate_mean([-1.0, 0.1, 1.0]).through(lambda mean: mean * mean)
    with pytest.raises(UserError, match="must rise, or fall"):
        estimate_mean([-3.0, -2.0]).through(math.log)
    with pytest.raises(UserError, match="must rise, or fall"):
        largest([-1.0]).through(math.log)
    assert estimate_rate(3, 10).through(lambda rate: 1.0).interval == UNBOUNDED


def test_exact_numbers_have_a_range_and_no_level():
    found = largest([[1e-16, 3e-15], [0.0, 1e-15]])
    assert (found.value, found.interval, found.level, found.runs) == (3e-15, (0.0, 3e-15), None, 4)
    assert largest([2.0]).interval == (2.0, 2.0)  # nothing is random in it
    assert math.isnan(largest([1.0, math.nan]).value)
    for wrong in ([], [1j], ["one"]):
        with pytest.raises(UserError):
            largest(wrong)


@pytest.mark.slow
def test_the_median_s_interval_is_exact_for_a_skewed_distribution():
    """Coverage below 0.93 has probability 1e-4 where the interval covers 0.95 or more."""
    random = np.random.default_rng(0)
    for runs in (6, 25, 64):
        found = [estimate_median(of) for of in random.lognormal(size=(1000, runs))]
        assert np.mean([one.low <= 1 <= one.high for one in found]) > 0.93
    sample = random.lognormal(size=31)
    known = stats.quantile_test(sample, p=0.5).confidence_interval(0.9)
    assert estimate_median(sample, 0.9).interval == (known.low, known.high)
    assert estimate_median(sample).value == np.median(sample)


def test_few_or_alike_values_bound_no_median():
    assert estimate_median([1.0, 2.0, 3.0, 4.0, 5.0]).interval == UNBOUNDED
    assert estimate_median([2.0] * 50).interval == UNBOUNDED
    with pytest.raises(UserError, match="1 of 3 are not"):
        estimate_median([1.0, 2.0, math.nan])


def test_no_spread_at_all_is_no_interval_of_a_slope():
    for y in ([0.0, 0, 0, 0], [1.0, 2, 3, 4]):
        found = estimate_slope([0.0, 1, 2, 3], y)
        assert (found.low, found.high) == (-math.inf, math.inf)


def test_a_function_is_looked_at_at_each_level():
    half = estimate_mean([0.5, 0.6, 0.7, 0.65, 0.62]).through(lambda v: math.sqrt(1 - v))
    assert half.at(0.99999).interval == UNBOUNDED
    square = estimate_mean([1.0, 2.0, 3.0]).through(lambda v: v * v)
    with pytest.raises(UserError, match="must rise, or fall"):
        square.at(0.999)
    assert estimate_mean([0.5, 0.9, 0.7]).through(lambda v: None if v > 1 else v).low == -math.inf


def test_numbers_of_few_bits_are_rounded_to_those():
    values = jnp.array([1, 1.0078125, 1], jnp.bfloat16)  # one unit in the last place
    assert estimate_mean(values).interval == UNBOUNDED


def test_rows_of_several_lengths_and_other_kinds_of_levels():
    with pytest.raises(UserError, match="one value a run"):
        estimate_mean([[1], [1, 2]])
    assert estimate_rate(1, 2, Decimal("0.9")).interval == estimate_rate(1, 2, 0.9).interval
