"""Estimates with intervals, for what is measured from runs.

The rule in every function: values that are missing, not finite, or of another kind are refused;
and where values do not say how they spread (there is one alone, or rounding explains how they
differ), the interval is unbounded. None from a sample has width zero. How often each covers, and
where it does not, stands in `docs/verdicts.md`.
"""

import math
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from whytrain._lazy import later
from whytrain._types import Numeric
from whytrain.errors import UserError

special, stats = later("scipy.special"), later("scipy.stats")

LEVEL = 0.95
_ROUNDINGS = 45  # equal numbers may end up this many machine precisions apart
HUGE = 1e150  # from here on squares overflow, and below its inverse they underflow
_FEW = 5  # values of a group, of fewer of which Satterthwaite's freedom is too large
_MOST_RUNS = 2**53  # whole numbers beyond are not told apart

Interval = tuple[float, float]
Bound = Callable[[float], Interval]  # the interval that misses with this probability

_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Estimate:
    """A measured number and its uncertainty.

    Attributes:
        value: The number.
        low: The lower end of its interval.
        high: The upper end.
        level: The probability with which such an interval covers; None where nothing is random and
            the interval is the range of what was found.
        runs: How many independent values are behind it.
        bound: Gives the ends of the interval that misses with a probability; None as for `level`.

    Raises:
        UserError: The ends are in no order, or the level is no probability.
    """

    value: float
    low: float
    high: float
    level: float | None
    runs: int
    bound: Bound | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.level is not None:
            _miss(self.level)
        if self.low > self.high:
            raise UserError(
                f"an interval goes from its lower end up; got from {self.low:g} to {self.high:g}"
            )

    @classmethod
    def of(cls, value: float, runs: int, bound: Bound, level: float = LEVEL) -> "Estimate":
        """The estimate whose intervals a function gives.

        Args:
            value: The number.
            runs: How many independent values are behind it.
            bound: Gives the ends of the interval that misses with a probability. Ends that
                rounding made one are moved apart, and ends that are no interval bound nothing.
            level: The probability with which the interval covers.
        """
        ends = partial(_ends, bound)
        return cls(value, *ends(_miss(level)), level, runs, ends)

    @classmethod
    def unknown(cls, runs: int) -> "Estimate":
        """The estimate of a number of which these runs say nothing.

        Args:
            runs: How many there were.

        Example:
            >>> Estimate.unknown(3).interval
            (-inf, inf)
        """
        return cls.of(math.nan, runs, _unbounded)

    @property
    def interval(self) -> Interval:
        """The ends of the interval."""
        return self.low, self.high

    def at(self, level: float) -> "Estimate":
        """The same number with the interval of another level; itself where nothing is random.

        Args:
            level: The probability with which the interval covers.

        Raises:
            UserError: The level is not between 0 and 1, or the estimate knows only its own.

        Example:
            >>> estimate_mean([1.0, 2.0, 3.0]).at(0.5).interval
            (1.5285954792089682, 2.471404520791032)
        """
        if self.bound is None:
            if self.level not in (None, level):
                raise UserError(f"this estimate has an interval at {self.level} only, not {level}")
            return self
        low, high = self.bound(_miss(level))
        return replace(self, low=low, high=high, level=level)

    def through(self, function: Callable[[float], float]) -> "Estimate":
        """The estimate of a monotone function of the number.

        Where the function has no value at an end of the interval, or the same at both, nothing is
        bounded.

        Args:
            function: Rises, or falls, everywhere.

        Raises:
            UserError: The function has no value at the number, or is seen not to be monotone.

        Example:
            >>> estimate_rate(0, 10).through(lambda rate: 1 - rate).high
            1.0
        """
        value, bound = _value(function, self.value), self.bound
        if math.isnan(value):
            raise UserError(
                "a function of an estimate must rise, or fall, everywhere, and have a value; at "
                f"{self.value:g} it has none"
            )
        if bound is None:
            ends = _mapped(function, value, lambda _: self.interval, 0.0)
            return Estimate(value, *ends, self.level, self.runs)
        there = partial(_mapped, function, value, bound)
        return Estimate.of(value, self.runs, there, self.level or LEVEL)

    def document(self) -> dict[str, float]:
        """What the results of an experiment say of it."""
        return {"estimate": self.value, "low": self.low, "high": self.high}


def estimate_rate(successes: int, runs: int, level: float = LEVEL) -> Estimate:
    """Estimate a probability, with the exact (Clopper-Pearson) interval.

    It covers at least as often as it says, whatever the probability.

    Args:
        successes: How many runs succeeded.
        runs: How many independent runs there were, at least one.
        level: The least probability with which the interval covers.

    Returns:
        The share of successes.

    Raises:
        UserError: The counts or the level are not of this kind.

    Example:
        >>> found = estimate_rate(5000, 5000)
        >>> print(f"{found.low:.5f} {found.high}")
        0.99926 1.0
    """
    count, total = _counts(successes, runs)
    return Estimate.of(count / total, total, partial(_clopper_pearson, count, total), level)


def estimate_rate_difference(
    one: tuple[int, int], other: tuple[int, int], level: float = LEVEL
) -> Estimate:
    """Estimate how much larger one probability is than another.

    The interval runs from the difference of opposite ends of two exact intervals, each of which
    misses half as often. So it covers at least as often as it says, also where the runs of the two
    are paired (the same seeds, say).

    Args:
        one: Successes and runs of the one.
        other: Those of the other.
        level: The least probability with which the interval covers.

    Returns:
        The difference of the shares.

    Raises:
        UserError: The counts or the level are not of this kind.

    Example:
        >>> found = estimate_rate_difference((90, 100), (60, 100))
        >>> print(f"{found.value:.2f} {found.low:.2f} {found.high:.2f}")
        0.30 0.10 0.47
    """
    first, second = _pair(one), _pair(other)
    value = first[0] / first[1] - second[0] / second[1]
    return Estimate.of(value, first[1] + second[1], partial(_apart, first, second), level)


def estimate_mean(sample: ArrayLike, level: float = LEVEL, *, resolution: float = 0.0) -> Estimate:
    """Estimate the mean of a distribution from a sample, with Student's t.

    One value alone bounds nothing, and neither do values that are all alike, unless the
    `resolution` says what differences the measure would not show. The interval is exact for normal
    values. It misses more often than it says where few values come from a skewed distribution, and
    it cannot know of rare values that the sample lacks; estimate a rate for those.

    Args:
        sample: Independent values, one a run; differences, where runs are paired.
        level: The probability with which the interval covers (nearly, if the values are not
            normal).
        resolution: The least difference that the measure can show, such as one over the number of
            test examples for an accuracy; the deviation is taken to be that at least. What is
            estimated is the mean of what the measure shows.

    Returns:
        The mean.

    Raises:
        UserError: There is no value, one is not finite, or they are no numbers one a run; or the
            level or the resolution is not of this kind.

    Example:
        >>> found = estimate_mean([1.0, 2.0, 3.0])
        >>> print(f"{found.value:.1f} {found.low:.3f} {found.high:.3f}")
        2.0 -0.484 4.484
        >>> estimate_mean([1.0, 1.0]).interval
        (-inf, inf)
    """
    return estimate_contrast([sample], [1.0], level, resolution=resolution)


def estimate_median(sample: ArrayLike, level: float = LEVEL) -> Estimate:
    """Estimate the median of a distribution from a sample, with the exact interval of its order.

    It supposes nothing of the shape of the distribution, and a few values that are far off do not
    move it: a run of which a fit fails counts as one run, not more. The interval goes from the
    `r`-th smallest to the `r`-th largest value, where fewer than `r` of as many tosses of a coin
    come up heads with half of the probability of missing. (Thompson, Annals of Mathematical
    Statistics 7, 1936.)

    Args:
        sample: Independent values, one a run.
        level: The least probability with which the interval covers.

    Returns:
        The median. Few values bound nothing (five at 95 %), and neither do values that are all
        alike.

    Raises:
        UserError: As for `estimate_mean`.

    Example:
        >>> estimate_median([1.0, 2.0, 3.0, 4.0, 5.0, 60.0, 7.0, 8.0]).interval
        (1.0, 60.0)
    """
    measured = _Sample.of(sample)
    values = np.sort(measured.values)
    alike = np.ptp(values) <= measured.rounding
    bound = _unbounded if alike else partial(_between, tuple(values.tolist()))
    return Estimate.of(float(np.median(values)), len(values), bound, level)


def estimate_contrast(
    groups: Sequence[ArrayLike] | np.ndarray,
    weights: ArrayLike,
    level: float = LEVEL,
    *,
    resolution: float = 0.0,
) -> Estimate:
    """Estimate `sum_g weights[g] * mean(group g)` (Welch 1947, Satterthwaite 1946).

    Groups may differ in size and in spread. Weights -1 and 1 compare two means; weights `(x - mean
    x) / sum (x - mean x)^2` give the slope of the line through the means at `x`, for which the
    means need not lie on a line. Where a group has fewer than five values, the degrees of freedom
    are those of groups that are all as small: Satterthwaite's own are too many if sizes differ.

    Args:
        groups: Samples that are independent, of one another too; where one that has a weight is
            of one value, or its values are all alike, nothing is bounded.
        weights: One number a group, not all zero.
        level: The probability with which the interval covers, nearly.
        resolution: As for `estimate_mean`, for every group.

    Returns:
        The weighted sum; its `runs` are the values of all groups that have a weight.

    Raises:
        UserError: As for `estimate_mean`, of a group that has a weight; or the weights do not fit.

    Example:
        >>> found = estimate_contrast([[1.0, 2.0, 3.0], [4.0, 6.0, 8.0]], [-1, 1])
        >>> print(f"{found.value:.1f} {found.low:.2f} {found.high:.2f}")
        4.0 -0.16 8.16
    """
    if not 0 <= real(resolution) < HUGE:
        raise UserError(f"the resolution of a measure is no negative number; got {resolution!r}")
    factors, count = _Sample.of(weights).values, len(groups) if isinstance(groups, Sized) else None
    if len(factors) != count or not factors.any():
        told = f"{count} groups" if count is not None else f"groups that are no list: {groups!r}"
        raise UserError(
            f"a contrast needs a weight for each group, not all 0; got {len(factors)} for {told}"
        )
    used = [
        (float(weight), _Sample.of(group))
        for weight, group in zip(factors, groups, strict=True)
        if weight
    ]
    value = sum(weight * float(group.values.mean()) for weight, group in used)
    sizes = [len(group.values) for _, group in used]
    errors = [abs(weight) * group.error(resolution) for weight, group in used]
    if not all(errors):
        return Estimate.of(value, sum(sizes), _unbounded, level)
    error, fewest = math.hypot(*errors), min(sizes)
    counted = sizes if fewest >= _FEW else [fewest] * len(sizes)
    shares = [(part / error) ** 4 / (n - 1) for part, n in zip(errors, counted, strict=True)]
    return Estimate.of(value, sum(sizes), partial(_student, value, error, 1 / sum(shares)), level)


def estimate_power(
    x: ArrayLike,
    logs: Sequence[ArrayLike] | np.ndarray,
    level: float = LEVEL,
    *,
    resolution: float = 0.0,
) -> Estimate:
    """Estimate the power of `x` with which a number goes: the slope of its logarithm over log x.

    That of the least-squares line through the means of the groups, which need not lie on a line;
    see `estimate_contrast`.

    Args:
        x: Where each group was measured, above 0; at least two different values.
        logs: For each `x` the logarithms of the number, one a run.
        level: The probability with which the interval covers, nearly.
        resolution: As for `estimate_mean`, of the logarithms.

    Returns:
        The power.

    Raises:
        UserError: As for `estimate_contrast`; or there are not two different `x` above 0.

    Example:
        >>> found = estimate_power([1, 10, 100], np.log([[1.0, 1.1], [10, 11], [99, 100]]))
        >>> print(f"{found.value:.2f}")
        0.99
    """
    places = np.atleast_1d(_numbers(x))
    if places.ndim > 1 or len(set(places.tolist())) < 2 or not (places > 0).all():
        raise UserError(
            f"a power needs numbers at two places or more, above 0; got {places.tolist()}"
        )
    away = np.log(places) - np.log(places).mean()
    return estimate_contrast(logs, away / (away @ away), level, resolution=resolution)


def estimate_slope(x: ArrayLike, y: ArrayLike, level: float = LEVEL) -> Estimate:
    """Fit `y = slope * x + intercept` by least squares and bound the slope by Student's t.

    Where spreads differ with `x`, or the means may not lie on a line, `estimate_contrast` holds
    and this does not.

    Args:
        x: Where `y` was measured; at least two different values.
        y: The measurements, with independent errors of equal size.
        level: The probability with which the interval covers.

    Returns:
        The slope. Two points, or points exactly on a line, leave it unbounded.

    Raises:
        UserError: A value is not finite, all `x` are the same, or there is not one `y` for each.

    Example:
        >>> found = estimate_slope([0, 1, 2, 3], [1.0, 3.1, 4.9, 7.0])
        >>> print(f"{found.value:.2f} {found.low:.2f} {found.high:.2f}")
        1.98 1.80 2.16
    """
    places, measured = _Sample.of(x), _Sample.of(y)
    where, values = places.values, measured.values
    if len(where) != len(values):
        raise UserError(f"a slope needs a y for each x; got {len(values)} for {len(where)}")
    if np.ptp(where) <= places.rounding:
        raise UserError(f"a slope needs two different x, got {len(where)} times {where[0]:g}")
    away, freedom = where - where.mean(), len(where) - 2
    slope = float(away @ values / (away @ away))
    # Residuals, and not 1 - r², in which all digits cancel where points are nearly on a line.
    rest = values - values.mean() - slope * away
    deviation = math.sqrt(float(rest @ rest) / freedom) if freedom else 0.0
    if deviation <= measured.rounding + abs(slope) * places.rounding:
        return Estimate.of(slope, len(where), _unbounded, level)
    error = deviation / math.sqrt(float(away @ away))
    return Estimate.of(slope, len(where), partial(_student, slope, error, freedom), level)


def largest(values: ArrayLike) -> Estimate:
    """Say how large exact numbers are: the largest, and the range of all.

    Args:
        values: What was computed where nothing is random, such as errors of an identity; one that
            is not a number makes the largest one so.

    Returns:
        The largest, with no level.

    Raises:
        UserError: There is none, or they are no numbers.

    Example:
        >>> largest([1e-16, 3e-15]).interval
        (1e-16, 3e-15)
    """
    found = np.ravel(_numbers(values))
    if not len(found):
        raise UserError("there is no value to take the largest of")
    worst = float(found.max())
    return Estimate(worst, float(found.min()), worst, None, len(found))


@dataclass(frozen=True)
class _Sample:
    """Finite numbers, one a run, and how far apart rounding alone may put them."""

    values: np.ndarray
    rounding: float

    @classmethod
    def of(cls, given: ArrayLike) -> "_Sample":
        found = np.atleast_1d(unmasked(given))
        if found.dtype.kind == "b":
            raise UserError("an estimate needs numbers, and these are true or false: estimate_rate")
        if found.ndim > 1:
            raise UserError(f"an estimate needs one value a run; got an array of {found.shape}")
        values = _numbers(found)
        bad = int((~(np.abs(values) < HUGE)).sum())
        if bad or not len(values):
            told = f"{bad} of {len(values)} are not" if bad else "there is none"
            raise UserError(f"an estimate needs finite values (below {HUGE:g}), and {told}; leave "
                            "out, in words, the runs that have none")  # fmt: skip
        # Floats of fewer bits, such as bfloat16, are of no kind that NumPy knows.
        float_kind = jnp.issubdtype(found.dtype, jnp.floating)
        step = float(jnp.finfo(found.dtype if float_kind else float).eps)
        return cls(values, max(_ROUNDINGS * float(step * np.abs(values).max()), 1 / HUGE))

    def error(self, resolution: float) -> float:
        """The standard error of the mean; 0 where nothing is known of it."""
        runs = len(self.values)
        if runs < 2:
            return 0.0
        spread = float(self.values.std(ddof=1))
        known = spread if spread > self.rounding else 0.0
        return max(known, resolution) / math.sqrt(runs)


def unmasked(given: ArrayLike) -> np.ndarray:
    """The values as an array, none of which is masked: NumPy would count those as they are.

    Args:
        given: The values.

    Raises:
        UserError: If some are masked.
    """
    if np.ma.is_masked(given):
        raise UserError(
            f"an estimate needs values that are there, and {np.ma.count_masked(given)} of "
            f"{np.size(given)} are masked; leave them out: values.compressed()"
        )
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise UserError(f"an estimate needs one value a run ({error})") from error


def _numbers(given: ArrayLike) -> np.ndarray:
    found = unmasked(given)
    try:
        # Of complex numbers and times a part would be dropped, and words are read as numbers.
        words = found.dtype == object and any(isinstance(v, str | bytes) for v in found.flat)
        if found.dtype.kind not in "cmMSU" and not words:
            return found.astype(float)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(f"an estimate needs real numbers; got {found.ravel()[:1]} of {found.dtype}")


def real(value: Any) -> float:
    """A number of any kind as Python's own, and NaN in place of what is none.

    Args:
        value: What should be a number.
    """
    try:
        return math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _counts(successes: int, runs: int) -> tuple[int, int]:
    count, total = real(successes), real(runs)
    if not (0 <= count <= total and 1 <= total <= _MOST_RUNS and (count % 1, total % 1) == (0, 0)):
        raise UserError(
            "a rate needs whole numbers, 0 <= successes <= runs, runs >= 1; got "
            f"{successes}, {runs}"
        )
    return int(count), int(total)


def _pair(counts: tuple[int, int]) -> tuple[int, int]:
    try:
        successes, runs = counts
    except (TypeError, ValueError):
        raise UserError(f"a rate is a pair (successes, runs); got {counts!r}") from None
    return _counts(successes, runs)


def _value(function: Callable[[float], float], at: float) -> float:
    """Its value; NaN where it has none."""
    try:
        with np.errstate(all="ignore"):
            return float(function(at))
    except (ArithmeticError, ValueError, TypeError):
        return math.nan


def _mapped(
    function: Callable[[float], float], value: float, bound: Bound, miss: float
) -> Interval:
    low, high = bound(miss)
    ends = sorted([_value(function, low), _value(function, high)])
    if math.isnan(sum(map(abs, ends))) or ends[0] == ends[1]:
        return _UNBOUNDED
    if not ends[0] <= value <= ends[1]:
        raise UserError(
            "a function of an estimate must rise, or fall, everywhere, and have a value; between "
            f"{low:g} and {high:g}, where it gives {ends[0]:g} and {ends[1]:g}, it gives {value:g}"
        )
    return ends[0], ends[1]


def _miss(level: float) -> float:
    if not 0 < real(level) < 1:
        raise UserError(f"the level of an interval lies between 0 and 1 (0.95, say); got {level!r}")
    return 1 - real(level)


def _ends(bound: Bound, miss: float) -> Interval:
    """Ends that are not of width zero; unbounded where they are no ends of an interval."""
    low, high = bound(miss)
    if low < high:
        return low, high
    if low == high and math.isfinite(low):
        return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    return _UNBOUNDED


def _unbounded(miss: float) -> Interval:
    del miss
    return _UNBOUNDED


def _student(center: float, error: float, freedom: float, miss: float) -> Interval:
    reach = -float(special.stdtrit(freedom, miss / 2)) * error
    return center - reach, center + reach


def _between(values: tuple[float, ...], miss: float) -> Interval:
    """The order statistics between which the median lies; NaN where there are too few values."""
    found: Any = stats.quantile_test(values, p=0.5).confidence_interval(1 - miss)
    return float(found.low), float(found.high)


def _clopper_pearson(successes: int, runs: int, miss: float) -> Interval:
    failures = runs - successes
    low = special.betaincinv(successes, failures + 1, miss / 2) if successes else 0.0
    high = special.betainccinv(successes + 1, failures, miss / 2) if failures else 1.0
    return float(low), float(high)


def _apart(one: tuple[int, int], other: tuple[int, int], miss: float) -> Interval:
    """How far apart two rates are, each of which misses half as often."""
    low, high = _clopper_pearson(*one, miss / 2)
    other_low, other_high = _clopper_pearson(*other, miss / 2)
    return low - other_high, high - other_low


def monte_carlo(
    name: str, exact: Float[Numeric, ""], sample: Float[Array, " sample"]
) -> dict[str, Float[Array, ""]]:
    """Hold a closed form against the mean of a sample.

    Args:
        name: What it is the closed form of.
        exact: Its value.
        sample: Independent draws of what it is the expectation of.

    Returns:
        `NAME_z`, the sample's mean less the closed form in standard errors; and `NAME_size`, the
        closed form in the same units, which says how small an error could be seen.

    Example:
        >>> found = monte_carlo("loss", 2.5, jnp.array([1.0, 2.0, 3.0, 4.0]))
        >>> float(found["loss_z"]), round(float(found["loss_size"]), 3)
        (0.0, 3.873)
    """
    error = jnp.std(sample, ddof=1) / math.sqrt(sample.shape[0])
    return {f"{name}_z": (jnp.mean(sample) - exact) / error, f"{name}_size": exact / error}
