"""Trends over the width: powers of it, and comparisons between widths, with their intervals.

A sweep is one dataset a width, each with some independent runs. Every interval here is that of a
weighted sum of means over runs (`contrast_interval`), of logarithms, so that nothing is supposed
about the shape of a curve. All runs share one sample and one test set: intervals speak of initial
weights and of the order of examples, not of other samples.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from whytrain.lab import Verdict, contrast_interval, exact, nearest, one_sided

Datasets = Sequence[xr.Dataset]
Found = tuple[float, float, float]  # an estimate and the ends of its interval

SHARED = "runs share the sample"


def widths(datasets: Datasets) -> list[int]:
    """The width of every dataset."""
    return [int(dataset.h[0]) for dataset in datasets]


def values(dataset: xr.Dataset, name: str) -> np.ndarray:
    """A number of every run; NaN where it could not be measured."""
    if name not in dataset:
        return np.full(dataset.sizes["run"], np.nan)
    return np.asarray(dataset[name].values, float)


def gathered(datasets: Datasets, name: str) -> np.ndarray:
    """A number of every run of all widths."""
    return np.concatenate([values(dataset, name) for dataset in datasets])


def logs(datasets: Datasets, name: str) -> list[np.ndarray]:
    """The logarithms of a number, an array of runs for every width."""
    return [np.log(values(dataset, name)) for dataset in datasets]


def runs(datasets: Datasets) -> int:
    """How many runs there are."""
    return sum(dataset.sizes["run"] for dataset in datasets)


def power(datasets: Datasets, name: str) -> Found:
    """The slope of the line through the mean logarithms of a number, over the log of the width."""
    x = np.log(widths(datasets))
    x = x - x.mean()
    return contrast_interval(logs(datasets, name), x / (x @ x))


def change(datasets: Datasets, name: str, first: int, last: int, choices: int = 1) -> Found:
    """How the mean logarithm of a number changes between two widths, given by their places.

    Args:
        datasets: The sweep.
        name: The number.
        first: The place of the width from which it changes.
        last: The place of the other.
        choices: How many comparisons this one was chosen from: its error is divided among them
            (Bonferroni).
    """
    weights = np.zeros(len(datasets))
    weights[last] += 1
    weights[first] -= 1
    return contrast_interval(logs(datasets, name), weights, 1 - 0.05 / choices)


def goes(
    datasets: Datasets, *names: str, up: bool = False, than: float = 0.0, note: str = ""
) -> Verdict:
    """All these numbers fall (or rise) faster than a power of the width."""
    found = {name: power(datasets, name) for name in names}
    powers = ", ".join(f"{name} like h^{estimate:.2f}" for name, (estimate, *_) in found.items())
    note = note or f"{powers}; {SHARED}"
    return nearest(*(
        one_sided(low, high, than, estimate, runs(datasets), note, up)
        for estimate, low, high in found.values()
    ))  # fmt: skip


def falls(datasets: Datasets, *names: str, than: float = 0.0) -> Verdict:
    """All these numbers fall faster than a power of the width."""
    return goes(datasets, *names, than=than)


def rises(datasets: Datasets, *names: str) -> Verdict:
    """All these numbers rise with the width."""
    return goes(datasets, *names, up=True)


def valley(datasets: Datasets, name: str) -> Verdict:
    """A number first falls and then rises: somewhere between, it is lower than at both ends.

    The width with the lowest mean was looked for, which the intervals are widened for.
    """
    between = range(1, len(datasets) - 1)
    means = [float(of.mean()) for of in logs(datasets, name)]
    lowest = min(between, key=lambda place: means[place])
    choices = len(between)
    note = (
        f"{name} is lowest at h = {widths(datasets)[lowest]} (intervals of "
        f"{100 - 5 / choices:.3g} %, for it was looked for)"
    )
    both = [change(datasets, name, lowest, end, choices) for end in (0, -1)]
    return nearest(*(
        one_sided(low, high, 0.0, estimate, runs(datasets), note) for estimate, low, high in both
    ))  # fmt: skip


def ends_above_its_least(datasets: Datasets, name: str) -> Verdict:
    """A number does not fall to the end: at the widest it is above some width before."""
    before = range(len(datasets) - 1)
    means = [float(of.mean()) for of in logs(datasets, name)]
    lowest = min(before, key=lambda place: means[place])
    estimate, low, high = change(datasets, name, lowest, -1, len(before))
    note = f"{name} ends {np.exp(estimate):.3g} times its value at h = {widths(datasets)[lowest]}"
    return one_sided(low, high, 0.0, estimate, runs(datasets), note)


def all_fit(datasets: Datasets) -> Verdict:
    """Every network reached the target, or no capacity may be compared."""
    fits = gathered(datasets, "fits")
    note = f"{int(fits.sum())} of {len(fits)} networks reach the target"
    return exact(1 - fits, 0.0, note)
