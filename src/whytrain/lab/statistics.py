"""Intervals for what is estimated from runs; SciPy does the work."""

import math
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


def _student(center: float, error: float, freedom: int, confidence: float) -> tuple[float, float]:
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return center - reach, center + reach
