"""Estimates with intervals, for what is measured from runs; SciPy does the work.

Every function here refuses values that are not finite, and none returns an interval of width zero
from a sample: values that are all alike say nothing of how they spread.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from whytrain.errors import UserError

LEVEL = 0.95
_ALIKE = 1e-14  # a relative spread that rounding explains

Interval = tuple[float, float]
Bound = Callable[[float], Interval]  # the interval that misses with this probability


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
    """

    value: float
    low: float
    high: float
    level: float | None
    runs: int
    bound: Bound | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, value: float, runs: int, bound: Bound, level: float = LEVEL) -> "Estimate":
        """The estimate whose intervals a function gives."""
        return cls(value, *bound(1 - level), level, runs, bound)

    @property
    def interval(self) -> Interval:
        """The ends of the interval."""
        return self.low, self.high

    def at(self, level: float) -> "Estimate":
        """The same number with the interval of another level; itself where nothing is random.

        Args:
            level: The probability with which the interval covers.

        Example:
            >>> estimate_mean([1.0, 2.0, 3.0]).at(0.5).interval
            (1.528595479208968, 2.471404520791032)
        """
        if self.bound is None:
            return self
        low, high = self.bound(1 - level)
        return replace(self, low=low, high=high, level=level)

    def through(self, function: Callable[[float], float]) -> "Estimate":
        """The estimate of a monotone function of the number.

        Args:
            function: Rises, or falls, everywhere.

        Example:
            >>> estimate_rate(0, 10).through(lambda rate: 1 - rate).high
            1.0
        """

        def ends(low: float, high: float) -> Interval:
            one, other = function(low), function(high)
            return min(one, other), max(one, other)

        bound = self.bound
        moved = None if bound is None else lambda miss: ends(*bound(miss))
        low, high = ends(self.low, self.high)
        return replace(self, value=function(self.value), low=low, high=high, bound=moved)

    def document(self) -> dict[str, float]:
        """What the results of an experiment say of it."""
        return {"estimate": self.value, "low": self.low, "high": self.high}


def estimate_rate(successes: int, runs: int, level: float = LEVEL) -> Estimate:
    """Estimate a probability, with the exact (Clopper-Pearson) interval.

    Args:
        successes: How many runs succeeded.
        runs: How many there were, at least one.
        level: The least probability with which the interval covers.

    Returns:
        The share of successes.

    Raises:
        UserError: The counts are not of this kind.

    Example:
        >>> found = estimate_rate(5000, 5000)
        >>> print(f"{found.low:.5f} {found.high}")
        0.99926 1.0
    """
    successes, runs = int(successes), int(runs)
    if not 0 <= successes <= runs or runs < 1:
        raise UserError(f"a rate needs 0 <= successes <= runs, runs >= 1; got {successes}, {runs}")
    return Estimate.of(
        successes / runs, runs, lambda miss: _clopper_pearson(successes, runs, miss), level
    )


def estimate_rate_difference(
    one: tuple[int, int], other: tuple[int, int], level: float = LEVEL
) -> Estimate:
    """Estimate how much larger one probability is than another.

    The interval runs from the difference of opposite ends of two exact intervals, each of which
    misses half as often.

    Args:
        one: Successes and runs of the one.
        other: Those of the other.
        level: The least probability with which the interval covers.

    Returns:
        The difference of the shares.

    Example:
        >>> found = estimate_rate_difference((90, 100), (60, 100))
        >>> print(f"{found.value:.2f} {found.low:.2f} {found.high:.2f}")
        0.30 0.11 0.48
    """
    first, second = estimate_rate(*one), estimate_rate(*other)

    def bound(miss: float) -> Interval:
        (a, b), (c, d) = (_clopper_pearson(*pair, miss / 2) for pair in (one, other))
        return a - d, b - c

    runs = first.runs + second.runs
    return Estimate.of(first.value - second.value, runs, bound, level)


def estimate_mean(sample: ArrayLike, level: float = LEVEL, *, resolution: float = 0.0) -> Estimate:
    """Estimate the mean of a distribution from a sample, with Student's t.

    One value alone bounds nothing, and neither do values that are all alike, unless the
    `resolution` says what differences the measure would not show.

    Args:
        sample: Independent values.
        level: The probability with which the interval covers (nearly, if the values are not
            normal).
        resolution: The least difference that the measure can show, such as one over the number of
            test examples for an accuracy; the deviation is taken to be that at least.

    Returns:
        The mean.

    Raises:
        UserError: There is no value, or one is not finite.

    Example:
        >>> found = estimate_mean([1.0, 2.0, 3.0])
        >>> print(f"{found.value:.1f} {found.low:.3f} {found.high:.3f}")
        2.0 -0.484 4.484
        >>> estimate_mean([1.0, 1.0]).interval
        (-inf, inf)
    """
    return estimate_contrast([sample], [1.0], level, resolution=resolution)


def estimate_contrast(
    groups: Sequence[ArrayLike],
    weights: ArrayLike,
    level: float = LEVEL,
    *,
    resolution: float = 0.0,
) -> Estimate:
    """Estimate `sum_g weights[g] * mean(group g)` (Welch 1947, Satterthwaite 1946).

    Groups may differ in size and in spread. Weights -1 and 1 compare two means; weights `(x - mean
    x) / sum (x - mean x)^2` give the slope of the line through the means at `x`, for which the
    means need not lie on a line.

    Args:
        groups: Independent samples; where one that has a weight is of one value, or its values are
            all alike, nothing is bounded.
        weights: One number a group.
        level: The probability with which the interval covers, nearly.
        resolution: As for `estimate_mean`, for every group.

    Returns:
        The weighted sum; its `runs` are the values of all groups that have a weight.

    Raises:
        UserError: A group that has a weight is empty, or a value is not finite.

    Example:
        >>> found = estimate_contrast([[1.0, 2.0, 3.0], [4.0, 6.0, 8.0]], [-1, 1])
        >>> print(f"{found.value:.1f} {found.low:.2f} {found.high:.2f}")
        4.0 -0.16 8.16
    """
    used = [
        (float(weight), _finite(group))
        for weight, group in zip(np.ravel(weights), groups, strict=True)
        if weight
    ]
    value = sum(weight * float(group.mean()) for weight, group in used)
    runs = sum(len(group) for _, group in used)
    spreads = [_deviation(group, resolution) for _, group in used]
    if not all(spreads):
        return Estimate.of(value, runs, _unbounded, level)
    parts = [
        (weight * spread) ** 2 / len(group)
        for (weight, group), spread in zip(used, spreads, strict=True)
    ]
    share = sum(part**2 / (len(group) - 1) for part, (_, group) in zip(parts, used, strict=True))
    error, freedom = math.sqrt(sum(parts)), sum(parts) ** 2 / share
    return Estimate.of(value, runs, _student(value, error, freedom), level)


def estimate_slope(x: ArrayLike, y: ArrayLike, level: float = LEVEL) -> Estimate:
    """Fit `y = slope * x + intercept` by least squares and bound the slope by Student's t.

    Args:
        x: Where `y` was measured; at least two different values.
        y: The measurements, with independent errors of equal size.
        level: The probability with which the interval covers.

    Returns:
        The slope. Two points, or points exactly on a line, leave it unbounded.

    Raises:
        UserError: A value is not finite, or all `x` are the same.

    Example:
        >>> found = estimate_slope([0, 1, 2, 3], [1.0, 3.1, 4.9, 7.0])
        >>> print(f"{found.value:.2f} {found.low:.2f} {found.high:.2f}")
        1.98 1.80 2.16
    """
    where, values = _finite(x), _finite(y)
    if np.ptp(where) == 0:
        raise UserError(f"a slope needs two different x, got {len(where)} times {where[0]:g}")
    fit: Any = stats.linregress(where, values)
    slope, error, freedom = float(fit.slope), float(fit.stderr), len(where) - 2
    rounding = _ALIKE * float(np.abs(values).max()) / float(np.ptp(where))
    bounded = freedom >= 1 and error > rounding
    bound = _student(slope, error, freedom) if bounded else _unbounded
    return Estimate.of(slope, len(where), bound, level)


def largest(values: ArrayLike) -> Estimate:
    """Say how large exact numbers are: the largest, and the range of all.

    Args:
        values: What was computed where nothing is random, such as errors of an identity; one that
            is not a number makes the largest one so.

    Returns:
        The largest, with no level.

    Raises:
        UserError: There is none.

    Example:
        >>> largest([1e-16, 3e-15]).interval
        (1e-16, 3e-15)
    """
    found = np.ravel(np.asarray(values, dtype=float))
    if not len(found):
        raise UserError("there is no value to take the largest of")
    worst = float(found.max())
    return Estimate(worst, float(found.min()), worst, None, len(found))


def _finite(values: ArrayLike) -> np.ndarray:
    found = np.ravel(np.asarray(values, dtype=float))
    bad = int((~np.isfinite(found)).sum())
    if bad or not len(found):
        told = f"{bad} of {len(found)} are not" if bad else "there is none"
        raise UserError(f"an estimate needs finite values, and {told}; leave out, in words, the "
                        "runs that have none")  # fmt: skip
    return found


def _deviation(values: np.ndarray, resolution: float) -> float:
    """The standard deviation, at least `resolution`; 0 where nothing is known of it."""
    if len(values) < 2:
        return 0.0
    spread = float(values.std(ddof=1))
    if spread <= _ALIKE * float(np.abs(values).max()):
        return resolution
    return max(spread, resolution)


def _unbounded(miss: float) -> Interval:
    del miss
    return -math.inf, math.inf


def _student(center: float, error: float, freedom: float) -> Bound:
    def bound(miss: float) -> Interval:
        reach = float(stats.t.isf(miss / 2, freedom)) * error
        return center - reach, center + reach

    return bound


def _clopper_pearson(successes: int, runs: int, miss: float) -> Interval:
    low = stats.beta.ppf(miss / 2, successes, runs - successes + 1) if successes else 0.0
    high = stats.beta.isf(miss / 2, successes + 1, runs - successes) if successes < runs else 1.0
    return float(low), float(high)
