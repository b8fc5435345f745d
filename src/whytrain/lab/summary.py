"""What the runs of any experiment found, variable by variable: the summary that needs no words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

FEW = 64  # places along an axis that are told one by one


def summarize(dataset: xr.Dataset, settings: Any = None) -> dict[str, Any]:
    """Say what an experiment's runs found: an `Experiment`'s `summarize` where nothing else is due.

    Args:
        dataset: The numbers, over the dimension `run`.
        settings: The settings, of which nothing is told.

    Returns:
        Of `outcome`, how many runs had which, by word, as `outcomes`; of truth values the share
        that is true; of all other numbers mean, least and largest. Of a path over `time` its end
        counts; along another axis of at most 64 places they are lists, beside the axis itself.

    Example:
        >>> dataset = xr.Dataset({"ratio": ("run", [1.0, 3.0]), "held": ("run", [True, False])})
        >>> summarize(dataset)
        {'ratio': {'mean': 2.0, 'least': 1.0, 'largest': 3.0}, 'held': 0.5}
    """
    del settings
    ended = dataset.isel(time=-1) if "time" in dataset.dims else dataset
    axes = {
        str(name): values.values.tolist()
        for name, values in ended.coords.items()
        if values.dims == (name,) and name != "run" and values.size <= FEW
    }
    return axes | {
        "outcomes" if name == "outcome" else str(name): _said(values)
        for name, values in ended.data_vars.items()
    }


def told(values: ArrayLike, reduce: Callable[[np.ndarray], Any] = np.max) -> float | str:
    """One number for many, the largest by default; in words where some are not finite.

    Args:
        values: The numbers.
        reduce: Makes one of them.

    Example:
        >>> told([1.0, 3.0]), told([1.0, np.nan])
        (3.0, '1, without 1 of 2 that are not finite')
    """
    found = np.asarray(values)
    good = found[np.isfinite(found)]
    if len(good) == found.size:
        return float(reduce(found))
    least = f"{reduce(good):.6g}" if len(good) else "nothing"
    return f"{least}, without {found.size - len(good)} of {found.size} that are not finite"


def _said(values: xr.DataArray) -> Any:
    if "run" not in values.dims:
        return values.values.tolist()
    words = values.attrs.get("flag_meanings", "").split()
    if words:
        codes = zip(words, values.attrs["flag_values"], strict=True)
        return {word: _places(values == code, np.sum, int) for word, code in codes}
    if values.dtype == bool:
        return _places(values, np.mean, float)
    reductions = {"mean": np.mean, "least": np.min, "largest": np.max}
    return {word: _places(values, reduce, None) for word, reduce in reductions.items()}


def _places(values: xr.DataArray, reduce: Callable, kind: Callable | None) -> Any:
    """One number; or a list of them along the last axis, if it alone is there beside the runs."""
    one = (lambda found: told(found, reduce)) if kind is None else lambda found: kind(reduce(found))
    axes = [name for name in values.dims if name != "run"]
    if len(axes) == 1 and values.sizes[axes[0]] <= FEW:
        return [one(column) for column in values.transpose(axes[0], ...).values]
    return one(values.values)
