"""A sweep on disk as one labeled dataset, and as a table."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from whytrain.errors import UserError, nearest
from whytrain.lab.files import write_together
from whytrain.lab.sweep_directory import Sweep

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE = 32  # finished cells that are asked which results there are


def open(place: str | Path) -> xr.Dataset:
    """Open the run directory of a sweep, finished or not.

    Args:
        place: The directory, a path or a URL.

    Returns:
        A dataset with a dimension for every axis of the grid and a variable for every result.
        Nested results are named by the way to them, `outcomes_global`; an estimate and its interval
        are `success_rate`, `success_rate_low`, `success_rate_high`. Values are read from disk when
        they are first used. Where a cell is not finished, or a result is not finite, there is NaN.
        Settings that move along with another one are further coordinates of its dimension.

    Raises:
        UserError: If there is no sweep.

    Example:
        ::

            rates = wt.open("results").success_rate
            rates.sel(architecture="cnn").plot()
    """
    sweep = Sweep.open(place)
    cells = _Cells(sweep)
    dims = [axis.names[0] for axis in sweep.axes]
    coords = {
        name: (axis.names[0], [point[column] for point in axis.points])
        for axis in sweep.axes
        for column, name in enumerate(axis.names)
    }
    variables = {}
    for name, example in cells.examples().items():
        array = indexing.LazilyIndexedArray(_Result(cells, name, example))
        inner = [f"{name}_{number}" for number in range(np.ndim(example))]
        variables[name] = xr.Variable([*dims, *inner], array)
    attrs = {key: sweep.record[key] for key in ("experiment", "runs", "seed", "started")}
    return xr.Dataset(variables, coords, attrs)


def table(place: str | Path) -> "pd.DataFrame":
    """Read the finished cells of a sweep as a table.

    Args:
        place: The directory, a path or a URL.

    Returns:
        A row a cell: the settings of the axes, and the results that are single values.

    Raises:
        UserError: If there is no sweep.
    """
    import pandas as pd

    sweep = Sweep.open(place)
    rows = []
    for values, key in zip(sweep.settings(), sweep.keys, strict=True):
        results = sweep.results(key)
        if results is not None:
            single = {
                name: math.nan if value is None else value
                for name, value in flatten(results).items()
                if np.ndim(value) == 0
            }
            rows.append({**values, **single})
    names = [name for axis in sweep.axes for name in axis.names]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=names)


def query(
    rows: "pd.DataFrame",
    condition: str | None = None,
    sort: str | None = None,
    descending: bool = False,
    columns: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Filter and sort a table.

    Args:
        rows: The table.
        condition: What rows must fulfill, such as `k > 16 and success_rate < 0.9`; all if None.
        sort: The column to sort by.
        descending: Whether the largest come first.
        columns: The columns wanted; all if None.

    Returns:
        The rows.

    Raises:
        UserError: If the condition or a column is not understood.
    """
    for name in [*([sort] if sort else []), *(columns or [])]:
        if name not in rows:
            hint = nearest(name, map(str, rows.columns))
            hint = hint or f"; the columns are {', '.join(map(str, rows.columns))}"
            raise UserError(f"there is no column {name!r}{hint}")
    if condition:
        try:
            rows = rows.query(condition, engine="python")
        except Exception as error:  # whatever pandas makes of it
            words = " ".join(str(error).split()) or type(error).__name__
            known = ", ".join(map(str, rows.columns))
            raise UserError(
                f"cannot use the condition {condition!r}: {words}; the columns are {known}"
            ) from error
    if sort:
        rows = rows.sort_values(sort, ascending=not descending, kind="stable")
    return rows if columns is None else rows.filter(items=list(columns))


def export(rows: "pd.DataFrame", *, csv: Path | None = None, parquet: Path | None = None) -> None:
    """Write a table to a file, or to two.

    Args:
        rows: The table.
        csv: Where to, as CSV; if there is a file already, it is replaced.
        parquet: Where to, as Parquet.

    Raises:
        UserError: If a file cannot be written, or a package is wanting; then none is written.
    """
    if csv is not None and csv == parquet:
        raise UserError(f"CSV and Parquet need a file each, got {csv} for both")
    contents = {}
    if csv is not None:
        contents[csv] = rows.to_csv(index=False).encode()
    if parquet is not None:
        contents[parquet] = _parquet(rows)
    write_together(contents)


def _parquet(rows: "pd.DataFrame") -> bytes:
    try:
        return rows.to_parquet(index=False)
    except ImportError:
        raise UserError(
            "Parquet needs pyarrow, which is not installed; pip install 'whytrain[parquet]'"
        ) from None


def flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested results by the way to them.

    Args:
        results: The results of a cell.
        prefix: What the names start with.

    Returns:
        One level of names; lists of numbers as arrays.

    Example:
        >>> flatten({"rate": {"estimate": 0.5, "low": 0.4}, "outcomes": {"global": 3}})
        {'rate': 0.5, 'rate_low': 0.4, 'outcomes_global': 3}
    """
    flat: dict[str, Any] = {}
    for key, value in results.items():
        name = prefix if key == "estimate" and prefix else f"{prefix}_{key}" if prefix else key
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif isinstance(value, list):
            array = _rectangle(value)
            flat |= {} if array is None else {name: array}
        else:
            flat[name] = value
    return flat


def _rectangle(value: list[Any]) -> np.ndarray | None:
    """A nested list as an array of numbers, or None if it is none."""
    try:
        return np.array(value, dtype=np.float64)  # None becomes NaN
    except (ValueError, TypeError):
        return None


class _Cells:
    """The results of a sweep's cells, each read once."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.shape = tuple(len(axis.points) for axis in sweep.axes)
        self.results = functools.cache(self._read)

    def _read(self, number: int) -> dict[str, Any] | None:
        results = self.sweep.results(self.sweep.keys[number])
        return None if results is None else flatten(results)

    def examples(self) -> dict[str, Any]:
        """One value of every result that some finished cells have."""
        there = self.sweep.store.keys()
        finished = [number for number, key in enumerate(self.sweep.keys) if key in there]
        step = math.ceil(len(finished) / _SAMPLE) or 1
        found: dict[str, Any] = {}
        for number in [*finished[::step], *finished[-1:]]:
            for name, value in (self.results(number) or {}).items():
                if found.get(name) is None:
                    found[name] = value
        return found


class _Result(BackendArray):
    """One result over the grid, read when asked for."""

    def __init__(self, cells: _Cells, name: str, example: Any) -> None:
        self.cells, self.name, self.inner = cells, name, np.shape(example)
        self.shape = (*cells.shape, *self.inner)
        self.dtype = np.dtype(object if isinstance(example, str) else np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._get
        )

    def _get(self, key: tuple[int | slice, ...]) -> np.ndarray:
        outer, inner = key[: len(self.cells.shape)], key[len(self.cells.shape) :]
        numbers = np.arange(math.prod(self.cells.shape)).reshape(self.cells.shape)[outer]
        values = np.array(
            [self._value(int(number)) for number in np.ravel(numbers)], dtype=self.dtype
        ).reshape((*np.shape(numbers), *self.inner))
        return np.asarray(values[(*(slice(None),) * np.ndim(numbers), *inner)])

    def _value(self, number: int) -> Any:
        value = (self.cells.results(number) or {}).get(self.name)
        if self.dtype == object:
            return value
        if value is None or np.shape(value) != self.inner:
            return np.full(self.inner, np.nan)
        return np.asarray(value, dtype=np.float64)
