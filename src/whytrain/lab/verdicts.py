"""From numbers to verdicts: the ways in which most claims are judged."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from whytrain.lab.claims import Verdict
from whytrain.lab.statistics import binomial_interval, mean_interval


def one_sided(
    low: float,
    high: float,
    threshold: float,
    estimate: float,
    runs: int,
    note: str,
    above: bool = True,
) -> Verdict:
    """Judge an interval that is to lie on one side of a threshold.

    Supported where the whole interval is on the claim's side, contradicted where it is on the
    other, inconclusive where it holds the threshold.

    Args:
        low: The lower end of the interval.
        high: Its upper end.
        threshold: The threshold.
        estimate: The measured quantity.
        runs: The number of runs behind it.
        note: One sentence that says it in words.
        above: Whether the claim's side is the upper one.

    Returns:
        The verdict.
    """
    holds, fails = (
        (low > threshold, high < threshold) if above else (high < threshold, low > threshold)
    )
    word = "supported" if holds else "contradicted" if fails else "inconclusive"
    return Verdict(word, estimate, (low, high), threshold, runs, note)


def within(
    values: np.ndarray, target: float, tolerance: float, note: str, runs: int | None = None
) -> Verdict:
    """Judge a mean that is to lie within `tolerance` of `target`, by its 95 % interval.

    Args:
        values: Independent measurements; those that are not finite are left out.
        target: The value claimed.
        tolerance: How far off the mean may be.
        note: One sentence that says it in words.
        runs: The number of runs, if it is not that of the values.

    Returns:
        The verdict.
    """
    values = values[np.isfinite(values)]
    low, high = mean_interval(values)
    inside = target - tolerance < low and high < target + tolerance
    outside = high < target - tolerance or low > target + tolerance
    word = "supported" if inside else "contradicted" if outside else "inconclusive"
    return Verdict(word, float(values.mean()), (low, high), target, runs or len(values), note)


def coverage(z: np.ndarray, note: str, error: float = 0.0, tolerance: float = 1e-10) -> Verdict:
    """Judge a closed form by how often Monte Carlo's 95 % intervals cover it.

    The interval of the coverage has 99.9 %, so that a correct closed form is not refused by chance;
    one that is ever missed by six standard errors is refused.

    Args:
        z: Closed form less Monte Carlo at independent points, in standard errors.
        note: What was compared, to be continued.
        error: The largest error of an exact comparison, if there was one.
        tolerance: What that error may be.

    Returns:
        The verdict.
    """
    covered = int((np.abs(z) < 1.959964).sum())
    low, high = binomial_interval(covered, len(z), 0.999)
    note = f"95 % Monte Carlo intervals cover {note} at {covered} of {len(z)} points"
    good = low <= 0.95 <= high and np.abs(z).max() < 6 and error <= tolerance
    word = "supported" if good else "contradicted"
    if error:
        note += f"; exact comparisons differ by {error:.1e} at most"
    return Verdict(word, covered / len(z), (low, high), 0.95, len(z), note)


def exact(errors: ArrayLike | Sequence[float], tolerance: float, note: str) -> Verdict:
    """Judge an identity by the largest error of all points at which it was evaluated.

    Args:
        errors: The errors; one that is not a number refuses the identity.
        tolerance: What rounding may leave.
        note: One sentence that says it in words.

    Returns:
        The verdict; its interval is the range of the errors.
    """
    found = np.ravel(np.asarray(errors, dtype=float))
    worst = float(found.max())
    word = "supported" if worst <= tolerance else "contradicted"
    return Verdict(word, worst, (float(found.min()), worst), tolerance, len(found), note)


def always(good: ArrayLike | Sequence[bool], note: str, least: float = 0.95) -> Verdict:
    """Judge a statement about every run: one exception contradicts it.

    Args:
        good: Whether it held, run by run.
        note: One sentence that says it in words.
        least: The share that the exact interval has to exceed.

    Returns:
        The verdict; its estimate is the share of the runs in which it held.
    """
    held = np.ravel(np.asarray(good, dtype=bool))
    count, runs = int(held.sum()), len(held)
    low, high = binomial_interval(count, runs)
    word = "contradicted" if count < runs else "supported" if low > least else "inconclusive"
    return Verdict(word, count / runs, (low, high), least, runs, f"{note} ({count} of {runs})")


def all_of(*parts: Verdict, note: str | None = None) -> Verdict:
    """Judge a statement of several parts, all of which must hold.

    Contradicted where a part is, else inconclusive where a part is, else supported; it reports the
    first part of that verdict.

    Args:
        *parts: The verdicts on the parts, one or more.
        note: One sentence for the whole; default: that of the part reported, or, where all hold,
            those of all parts.

    Returns:
        The verdict.
    """
    words = [part.verdict for part in parts]
    word = next(word for word in ("contradicted", "inconclusive", "supported") if word in words)
    deciding = parts[words.index(word)]
    if note is None:
        told = parts if word == "supported" else [deciding]
        note = "; ".join(dict.fromkeys(part.note for part in told if part.note))
    return replace(deciding, note=note)


def nearest(*parts: Verdict) -> Verdict:
    """As `all_of` for parts of one kind, of which it reports the one nearest to its threshold.

    Args:
        *parts: The verdicts on the parts, in the same units.

    Returns:
        The verdict.
    """
    return all_of(*sorted(parts, key=_reach))


def _reach(found: Verdict) -> float:
    return min(abs(end - found.threshold) for end in found.interval)
