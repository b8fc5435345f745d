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

from whytrain import lab
from whytrain.errors import UserError

PAPER = "Neyshabur et al. 2019"
AUTHORS = f"{PAPER}, caveat of this study"
PAPER_NARROWEST = 64  # the paper's figures begin at this width
RESOLUTION = 0.02  # powers of the width, and logarithms, need not be known better
STEPS: dict[str, Callable[[Any], float]] = {
    "epochs": lambda settings: 1.0,
    "test_error": lambda settings: 1 / settings.tested,
}
"""The least difference that a number can show, where it is not continuous."""

FALLS = lab.below(0.0, resolution=RESOLUTION)
RISES = lab.above(0.0, resolution=RESOLUTION)

Groups = Sequence[np.ndarray]
Measure = Callable[[lab.Cells], lab.Estimate]
Plant = Callable[[lab.Cells], lab.Cells]


def values(dataset: xr.Dataset, name: str) -> np.ndarray:
    """A number of every run; NaN where it could not be measured. `misses` is 1 less `fits`."""
    if name == "misses":
        return 1 - values(dataset, "fits")
    if name not in dataset:
        return np.full(dataset.sizes["run"], np.nan)
    return np.asarray(dataset[name].values, float)


def gathered(cells: lab.Cells, name: str) -> np.ndarray:
    """A number of every run of all widths."""
    return np.concatenate([values(cell.data, name) for cell in cells])


def by_width(cells: lab.Cells, fewest: int = 1) -> lab.Cells:
    """From the narrowest networks to the widest, of which there are to be so many."""
    if len(cells.by("width")) < fewest:
        raise UserError(f"this compares {fewest} widths or more; leave width and data unset")
    return lab.Cells(sorted(cells, key=lambda cell: cell.settings.width))


def widest(cells: lab.Cells) -> lab.Cell:
    """The widest networks."""
    return by_width(cells)[-1]


def from_width(cells: lab.Cells, narrowest: int, widest: float = math.inf) -> lab.Cells:
    """The part of a sweep from one width to another."""
    return lab.Cells([cell for cell in cells if narrowest <= cell.settings.width <= widest])


def widths(cells: lab.Cells) -> list[int]:
    """The width of every cell."""
    return [cell.settings.width for cell in cells]


def logs(cells: Sequence[lab.Cell], name: str) -> list[np.ndarray]:
    """The logarithms of a number, an array of runs for every width."""
    with np.errstate(divide="ignore"):  # of an error of 0, which then bounds nothing
        return [np.log(values(cell.data, name)) for cell in cells]


def weighted(groups: Groups, weights: Sequence[float], resolution: float = 0.0) -> lab.Estimate:
    """`sum_g weights[g] * mean(group g)`; unbounded where a number could not be measured."""
    if all(np.isfinite(group).all() for group in groups):
        return lab.estimate_contrast(groups, weights, resolution=resolution)
    return unbounded(math.nan, sum(map(len, groups)))


def unbounded(value: float, runs: int) -> lab.Estimate:
    """What a number is that says nothing."""
    return lab.Estimate.of(value, runs, lambda miss: (-math.inf, math.inf))


def slope(h: Sequence[int], groups: Groups, resolution: float = 0.0) -> lab.Estimate:
    """That of the line through the means of groups, over the log of the width."""
    if len(set(h)) < 2:
        raise UserError("a power of the width needs two widths; leave width and data unset")
    if all(np.isfinite(group).all() for group in groups):
        return lab.estimate_power(h, groups, resolution=resolution)
    return unbounded(math.nan, sum(map(len, groups)))


def power(cells: lab.Cells, name: str) -> lab.Estimate:
    """The power of the width with which a number goes."""
    return slope(widths(cells), logs(cells, name), _resolution(cells, name))


def change(cells: lab.Cells, name: str, first: int, last: int) -> lab.Estimate:
    """How the mean logarithm of a number changes from one width to another."""
    if first == last or not {first, last} <= set(widths(cells)):
        raise UserError(f"this compares the widths {first} and {last}; leave width unset")
    weights = [float(h == last) - float(h == first) for h in widths(cells)]
    return weighted(logs(cells, name), weights, _resolution(cells, name))


def _resolution(cells: lab.Cells, name: str) -> float:
    """The least difference that the logarithm of a number can show."""
    if name not in STEPS:
        return 0.0
    least = [(STEPS[name](cell.settings), values(cell.data, name).min()) for cell in cells]
    return max(step / low if low > 0 else 0.0 for step, low in least)


def powers(*names: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """Measures the power of the width with which each of these numbers goes."""
    return lambda cells: [power(cells, name) for name in names]


def looked_for(found: lab.Estimate, choices: int) -> lab.Estimate:
    """The one of so many that was looked for: its error is divided among them (Bonferroni)."""
    bound = found.bound
    if bound is None:
        return found
    return lab.Estimate.of(found.value, found.runs, lambda miss: bound(miss / choices))


def lowest(cells: Sequence[lab.Cell], name: str) -> int:
    """The width at which the mean logarithm of a number is least."""
    means = {cell.settings.width: float(log.mean())
             for cell, log in zip(cells, logs(cells, name), strict=True)}  # fmt: skip
    return min(means, key=lambda h: means[h])


def valley(name: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """Measures how far a number rises, in logs, to both ends of the sweep from its least between.

    The width with the least mean was looked for, which the intervals are widened for.
    """

    def rises(cells: lab.Cells) -> list[lab.Estimate]:
        sweep = by_width(cells, 3)
        first, *between, last = sweep
        least = lowest(between, name)
        ends = (first.settings.width, last.settings.width)
        return [looked_for(change(sweep, name, least, end), len(between)) for end in ends]

    return rises


def rise_from_its_least(name: str) -> Measure:
    """Measures how far a number rises, in logs, from its least to the widest networks.

    The width with the least mean, of those before, was looked for.
    """

    def rise(cells: lab.Cells) -> lab.Estimate:
        sweep = by_width(cells, 2)
        *before, last = sweep
        found = change(sweep, name, lowest(before, name), last.settings.width)
        return looked_for(found, len(before))

    return rise


def all_fit() -> lab.Part:
    """Every network reached the target, or no capacity may be compared."""
    return lab.Part("networks that miss the target",
                    lambda cells: lab.largest([gathered(cells, "misses").sum()]),
                    lab.at_most(0.0))  # fmt: skip


# --- faults -------------------------------------------------------------------------------


def shifted(name: str, power: float) -> Plant:
    """A number times a power of the width."""
    return lab.grown(name, "width", power)


def exchanged(one: str, other: str) -> Plant:
    """Two numbers change places."""
    return lab.changed(
        lambda cell: cell.assign(**{one: cell.data[other].values, other: cell.data[one].values})
    )


def reversed_widths(cells: lab.Cells) -> lab.Cells:
    """The narrowest networks have the numbers of the widest, and so on, on all data."""
    return lab.Cells([
        lab.Cell(one.settings, other.data)
        for some in cells.by("data").values()
        for one, other in zip(by_width(some), reversed(by_width(some)), strict=True)
    ])  # fmt: skip


def one_of_the_widest(name: str, value: float) -> Plant:
    """A number of one of the widest networks is another one."""

    def plant(cells: lab.Cells) -> lab.Cells:
        last = widest(cells)
        numbers = np.array(last.data[name].values, float)
        numbers[-1] = value
        changed = last.assign(**{name: numbers})
        return cells.change(lambda cell: changed if cell is last else cell)

    return plant


REVERSED = lab.Fault("the widths are reversed", reversed_widths)
ONE_MISSES = lab.Fault(
    "one of the widest networks misses the target", one_of_the_widest("fits", 0.0)
)
