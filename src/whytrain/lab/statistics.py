"""Intervals for what is estimated from runs; SciPy does the work."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def binomial_interval(successes: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bound a probability by the exact (Clopper-Pearson) interval.

    Args:
        successes: How many runs succeeded.
        runs: How many there were, at least one.
        confidence: The probability with which the interval covers.

    Returns:
        The ends of the interval.

    Example:
        >>> low, high = binomial_interval(5000, 5000)
        >>> print(f"{low:.5f} {high}")
        0.99926 1.0
    """
    interval = stats.binomtest(int(successes), int(runs)).proportion_ci(confidence, "exact")
    return float(interval.low), float(interval.high)


def mean_interval(sample: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Bound the mean of a distribution by Student's t, from a sample of it.

    Args:
        sample: Independent values; one value alone bounds nothing.
        confidence: The probability with which the interval covers.

    Returns:
        The ends of the interval.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> print(f"{low:.3f} {high:.3f}")
        -0.484 4.484
    """
    values = np.ravel(np.asarray(sample, dtype=float))
    if len(values) < 2:
        return -math.inf, math.inf
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return _student(float(values.mean()), error, len(values) - 1, confidence)


def slope_interval(
    x: ArrayLike, y: ArrayLike, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Fit `y = slope * x + intercept` by least squares and bound the slope by Student's t.

    Args:
        x: Where `y` was measured; at least two different values.
        y: The measurements, with independent errors of equal size.
        confidence: The probability with which the interval covers.

    Returns:
        The slope and the ends of its interval, which two points alone leave unbounded.

    Example:
        >>> slope, low, high = slope_interval([0, 1, 2, 3], [1.0, 3.1, 4.9, 7.0])
        >>> print(f"{slope:.2f} {low:.2f} {high:.2f}")
        1.98 1.80 2.16
    """
    fit: Any = stats.linregress(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    slope, error, freedom = float(fit.slope), float(fit.stderr), np.size(x) - 2
    if freedom < 1:
        return slope, -math.inf, math.inf
    return slope, *_student(slope, error, freedom, confidence)


def contrast_interval(
    groups: Sequence[ArrayLike], weights: ArrayLike, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Bound `sum_g weights[g] * mean(group g)` by Student's t (Welch 1947, Satterthwaite 1946).

    Groups may differ in size and in spread. Weights -1 and 1 compare two means; weights `(x - mean
    x) / sum (x - mean x)^2` give the slope of the line through the means at `x`, for which the
    means need not lie on a line.

    Args:
        groups: Independent samples; each that has a weight needs two values or more, or nothing is
            bounded.
        weights: One number a group.
        confidence: The probability with which the interval covers, nearly.

    Returns:
        The weighted sum and the ends of its interval.

    Example:
        >>> value, low, high = contrast_interval([[1.0, 2.0, 3.0], [4.0, 6.0, 8.0]], [-1, 1])
        >>> print(f"{value:.1f} {low:.2f} {high:.2f}")
        4.0 -0.16 8.16
    """
    used = [
        (float(weight), np.ravel(np.asarray(group, dtype=float)))
        for weight, group in zip(np.ravel(weights), groups, strict=True)
        if weight
    ]
    value = sum(weight * float(group.mean()) for weight, group in used)
    if any(len(group) < 2 for _, group in used):
        return value, -math.inf, math.inf
    parts = [weight**2 * float(group.var(ddof=1)) / len(group) for weight, group in used]
    if sum(parts) == 0:
        return value, value, value
    spread = sum(part**2 / (len(group) - 1) for part, (_, group) in zip(parts, used, strict=True))
    error, freedom = math.sqrt(sum(parts)), sum(parts) ** 2 / spread
    return value, *_student(value, error, freedom, confidence)


def _student(center: float, error: float, freedom: float, confidence: float) -> tuple[float, float]:
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return center - reach, center + reach
