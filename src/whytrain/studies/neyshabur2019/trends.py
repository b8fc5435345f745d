"""Trends over the width: powers of it, and comparisons between widths, with their intervals.

A sweep is one cell a width, each with some independent runs. Every interval here is that of a
weighted sum of means over runs (`estimate_contrast`), of logarithms, so that nothing is supposed
about the shape of a curve. All runs share one sample and one test set: intervals speak of initial
weights and of the order of examples, not of other samples.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from whytrain.lab import (
    Cell,
    Cells,
    Estimate,
    Part,
    at_most,
    estimate_contrast,
    largest,
)

RESOLUTION = 0.02  # powers of the width, and logarithms, need not be known better
STEPS: dict[str, Callable[[Any], float]] = {
    "epochs": lambda settings: 1.0,
    "test_error": lambda settings: 1 / settings.tested,
}
"""The least difference that a number can show, where it is not continuous."""

Groups = Sequence[np.ndarray]
Measure = Callable[[Cells], Estimate]


def values(dataset: xr.Dataset, name: str) -> np.ndarray:
    """A number of every run; NaN where it could not be measured. `misses` is 1 less `fits`."""
    if name == "misses":
        return 1 - values(dataset, "fits")
    if name not in dataset:
        return np.full(dataset.sizes["run"], np.nan)
    return np.asarray(dataset[name].values, float)


def gathered(cells: Cells, name: str) -> np.ndarray:
    """A number of every run of all widths."""
    return np.concatenate([values(cell.data, name) for cell in cells])


def by_width(cells: Cells) -> Cells:
    """From the narrowest networks to the widest."""
    return Cells(sorted(cells, key=lambda cell: cell.settings.width))


def widest(cells: Cells) -> Cell:
    """The widest networks."""
    return by_width(cells)[-1]


def from_width(cells: Cells, narrowest: int, widest: float = math.inf) -> Cells:
    """The part of a sweep from one width to another."""
    return Cells([cell for cell in cells if narrowest <= cell.settings.width <= widest])


def widths(cells: Cells) -> list[int]:
    """The width of every cell."""
    return [cell.settings.width for cell in cells]


def logs(cells: Cells, name: str) -> list[np.ndarray]:
    """The logarithms of a number, an array of runs for every width."""
    with np.errstate(divide="ignore"):  # of an error of 0, which then bounds nothing
        return [np.log(values(cell.data, name)) for cell in cells]


def weighted(groups: Groups, weights: Sequence[float], resolution: float = 0.0) -> Estimate:
    """`sum_g weights[g] * mean(group g)`; unbounded where a number could not be measured."""
    if all(np.isfinite(group).all() for group in groups):
        return estimate_contrast(groups, weights, resolution=resolution)
    return unbounded(math.nan, sum(map(len, groups)))


def unbounded(value: float, runs: int) -> Estimate:
    """What a number is that says nothing."""
    return Estimate.of(value, runs, lambda miss: (-math.inf, math.inf))


def slope(h: Sequence[int], groups: Groups, resolution: float = 0.0) -> Estimate:
    """That of the line through the means of groups, over the log of the width."""
    x = np.log(h) - np.log(h).mean()
    return weighted(groups, list(x / (x @ x)), resolution)


def power(cells: Cells, name: str) -> Estimate:
    """The power of the width with which a number goes."""
    return slope(widths(cells), logs(cells, name), _resolution(cells, name))


def change(cells: Cells, name: str, first: int, last: int) -> Estimate:
    """How the mean logarithm of a number changes from one width to another."""
    weights = [float(h == last) - float(h == first) for h in widths(cells)]
    return weighted(logs(cells, name), weights, _resolution(cells, name))


def _resolution(cells: Cells, name: str) -> float:
    """The least difference that the logarithm of a number can show."""
    if name not in STEPS:
        return 0.0
    least = [(STEPS[name](cell.settings), values(cell.data, name).min()) for cell in cells]
    return max(step / low if low > 0 else 0.0 for step, low in least)


def powers(*names: str) -> Callable[[Cells], list[Estimate]]:
    """Measures the power of the width with which each of these numbers goes."""
    return lambda cells: [power(cells, name) for name in names]


def looked_for(found: Estimate, choices: int) -> Estimate:
    """The one of so many that was looked for: its error is divided among them (Bonferroni)."""
    bound = found.bound
    if bound is None:
        return found
    return Estimate.of(found.value, found.runs, lambda miss: bound(miss / choices))


def lowest(cells: Cells, name: str) -> int:
    """The width at which the mean logarithm of a number is least."""
    means = {cell.settings.width: float(log.mean())
             for cell, log in zip(cells, logs(cells, name), strict=True)}  # fmt: skip
    return min(means, key=lambda h: means[h])


def valley(name: str) -> Callable[[Cells], list[Estimate]]:
    """Measures how far a number rises, in logs, to both ends of the sweep from its least between.

    The width with the least mean was looked for, which the intervals are widened for.
    """

    def rises(cells: Cells) -> list[Estimate]:
        sweep = by_width(cells)
        between = sweep[1:-1]
        least = lowest(between, name)
        ends = (sweep[0].settings.width, sweep[-1].settings.width)
        return [looked_for(change(sweep, name, least, end), len(between)) for end in ends]

    return rises


def rise_from_its_least(name: str) -> Measure:
    """Measures how far a number rises, in logs, from its least to the widest networks.

    The width with the least mean, of those before, was looked for.
    """

    def rise(cells: Cells) -> Estimate:
        sweep = by_width(cells)
        before = sweep[:-1]
        end = sweep[-1].settings.width
        return looked_for(change(sweep, name, lowest(before, name), end), len(before))

    return rise


def all_fit() -> Part:
    """Every network reached the target, or no capacity may be compared."""
    return Part("networks that miss the target",
                lambda cells: largest([gathered(cells, "misses").sum()]),
                at_most(0.0))  # fmt: skip
