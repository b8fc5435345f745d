"""A run directory: what was asked for there, what there is of it, and whether it is sound."""

import datetime
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import platform
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

import whytrain
from whytrain._files import write_together
from whytrain.errors import UserError, nearest
from whytrain.lab.experiment import NOT_FINITE
from whytrain.lab.settings import Scalar
from whytrain.lab.store import Record, Store, piece_files
from whytrain.lab.tasks import Source, Task, from_record

if TYPE_CHECKING:
    import pandas as pd

RECORD = "asked.json"

_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "numba", "xarray", "zarr")
_SAMPLE = 32  # finished cells that are asked which results there are


@dataclass(frozen=True)
class Axis:
    """Settings that move together along one dimension.

    Attributes:
        names: The settings; the first one names the dimension.
        points: Their values at each place.
    """

    names: tuple[str, ...]
    points: tuple[tuple[Scalar, ...], ...]


def provenance(source: Source, seed: int) -> dict[str, Any]:
    """Say which study and seed this is, when it began, and on which versions.

    Args:
        source: Where the study comes from.
        seed: The seed.

    Returns:
        `study`, `edition`, `seed`, `started` (ISO 8601, UTC) and `versions`, for JSON.
    """
    return {
        "study": source.reference,
        "edition": source.edition,
        "seed": seed,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Give the version of whytrain, of Python, and of each package that matters to numbers."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"whytrain": whytrain.__version__, "python": platform.python_version(), **packages}


def keep_record(store: Store, record: Record, cells: Sequence[Task]) -> None:
    """Put on record what is asked for here, in place of what was asked before.

    Args:
        store: The run directory.
        record: What is asked for.
        cells: The pieces that hold its results.
    """
    store.note(record)
    write_record(store, {**record, "cells": [cell.key for cell in cells]})


def write_record(store: Store, record: Record) -> None:
    """Write what is asked for, or what became of it.

    Args:
        store: The run directory.
        record: All that is to be known.
    """
    content = json.dumps(record, indent=1, allow_nan=False) + "\n"
    store.files.write(RECORD, content.encode())


def read_record(store: Store) -> Record:
    """Read what was asked for last.

    Args:
        store: The run directory.

    Raises:
        UserError: If nothing was, or the record cannot be read.
    """
    try:
        record = json.loads(store.files.read(RECORD))
        assert isinstance(record["command"], str)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise UserError(
            f"{store.files.place} does not say what was asked for; give the command again"
        ) from error
    return record


@dataclass(frozen=True)
class Sweep:
    """A run directory of a sweep or a run, as it lies on disk; the study is not needed to read it.

    Attributes:
        store: Where it lies.
        record: What was asked for.
        axes: The axes of its grid.
        keys: The names of its cells, the last axis moving fastest.
    """

    store: Store
    record: Record
    axes: tuple[Axis, ...]
    keys: tuple[str, ...]

    @classmethod
    def open(cls, place: str | Path) -> "Sweep":
        """Find the sweep in a run directory.

        Args:
            place: The directory, a path or a URL.

        Returns:
            The sweep.

        Raises:
            UserError: If there is none.
        """
        store = Store.open(place, create=False)
        try:
            record = read_record(store)
            axes = tuple(
                Axis(tuple(axis["names"]), tuple(tuple(point) for point in axis["points"]))
                for axis in record["axes"]
            )
            return cls(store, record, axes, tuple(record["cells"]))
        except (KeyError, TypeError) as error:
            raise UserError(f"{place} holds no sweep; run whytrain sweep first") from error

    def settings(self) -> Iterator[dict[str, Any]]:
        """Give the settings of the axes at every cell, in the order of `keys`."""
        for point in itertools.product(*(axis.points for axis in self.axes)):
            yield {
                name: value
                for axis, values in zip(self.axes, point, strict=True)
                for name, value in zip(axis.names, values, strict=True)
            }

    def results(self, key: str) -> dict[str, Any] | None:
        """Read the results of a cell; `None` if there are none yet."""
        record = self.store.record(key)
        return None if record is None else record["results"]

    def status(self) -> dict[str, Any]:
        """Say how far the sweep is.

        Returns:
            `command`, `experiment`, `runs`, `seed`; counts `cells`, `done`, `failed`, `missing`;
            `errors`, a list of `settings` (of the axes) and `error`; and `digest`, a hash of the
            results of all cells in the order of the grid, equal for equal results.
        """
        digest = hashlib.sha256()
        done = 0
        for key in self.keys:
            results = self.results(key)
            done += results is not None
            digest.update(json.dumps(results, sort_keys=True).encode())
        failed = self.store.failures()
        errors = [
            {"settings": settings, "error": (self.store.failure(key) or {}).get("error")}
            for settings, key in zip(self.settings(), self.keys, strict=True)
            if key in failed
        ]
        return {
            "command": self.record["command"],
            "experiment": self.record["experiment"],
            "runs": self.record["runs"],
            "seed": self.record["seed"],
            "cells": len(self.keys),
            "done": done,
            "failed": len(errors),
            "missing": len(self.keys) - done - len(errors),
            "errors": errors,
            "digest": digest.hexdigest(),
        }

    def table(self) -> "pd.DataFrame":
        """Give the finished cells as rows: settings of the axes, and results that are one value."""
        import pandas as pd

        found = [
            (values, apart(single_values(results), values))
            for values, key in zip(self.settings(), self.keys, strict=True)
            if (results := self.results(key)) is not None
        ]
        alike = _of_one_kind([results for _, results in found])
        rows = [{**values, **results} for (values, _), results in zip(found, alike, strict=True)]
        names = [name for axis in self.axes for name in axis.names]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=names)


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
    return Sweep.open(place).table()


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
            kept = rows.eval(condition, engine="python")
        except Exception as error:  # whatever pandas makes of it
            words = " ".join(str(error).split()) or type(error).__name__
            known = ", ".join(map(str, rows.columns))
            raise UserError(
                f"cannot use the condition {condition!r}: {words}; the columns are {known}"
            ) from error
        rows = rows.loc[_truths(condition, kept, rows)]
    if sort:
        rows = rows.sort_values(sort, ascending=not descending, kind="stable")
    return rows if columns is None else rows.filter(items=list(columns))


def _truths(condition: str, kept: Any, rows: "pd.DataFrame") -> np.ndarray:
    """Whether each row is kept; numbers would choose rows by their places."""
    found = np.asarray(kept)
    if found.dtype == object and all(isinstance(value, bool | np.bool) for value in found.ravel()):
        found = found.astype(bool)  # a column of them may be one of objects
    if found.dtype != bool or found.shape not in ((), (len(rows),)):
        raise UserError(
            f"a condition must be true or false of each row, as 'k > 1' is; {condition!r} is not"
        )
    return np.broadcast_to(found, len(rows))


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
    for path in (csv, parquet):
        if path is not None and not path.name:
            raise UserError(f"a table needs a file to be written to, got {str(path)!r}")
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

    Raises:
        UserError: If two results have one name then.

    Example:
        >>> flatten({"rate": {"estimate": 0.5, "low": 0.4}, "outcomes": {"global": 3}})
        {'rate': 0.5, 'rate_low': 0.4, 'outcomes_global': 3}
    """
    flat: dict[str, Any] = {}
    for key, value in results.items():
        name = prefix if key == "estimate" and prefix else f"{prefix}_{key}" if prefix else key
        if isinstance(value, Mapping):
            new = flatten(value, name)
        elif isinstance(value, list):
            array = _rectangle(_without_sentences(value))
            new = {} if array is None else {name: array}
        else:
            new = {name: _without_sentences(value)}
        if twice := flat.keys() & new.keys():
            raise UserError(
                f"two results are named {min(twice)!r} in tables; give one of them another name in "
                "summarize"
            )
        flat |= new
    return flat


def apart(results: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The results that do not only say a setting again.

    Args:
        results: The results of a cell, on one level.
        settings: The settings that stand beside them.

    Raises:
        UserError: If a result has the name of a setting, and is something else.
    """
    for name in results.keys() & settings.keys():
        if not np.array_equal(results[name], settings[name]):
            raise UserError(
                f"the result {name!r} has the name of the setting {name!r}; give the result "
                "another name in summarize"
            )
    return {name: value for name, value in results.items() if name not in settings}


def _without_sentences(value: Any) -> Any:
    """None in place of the words for a number that is not finite, which other cells have."""
    if isinstance(value, list):
        return [_without_sentences(item) for item in value]
    return None if isinstance(value, str) and NOT_FINITE.search(value) else value


def single_values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Those results that are one value, by name; NaN for what is not finite.

    Args:
        results: The results of a cell.
    """
    return {
        name: math.nan if value is None else value
        for name, value in flatten(results).items()
        if np.ndim(value) == 0
    }


def _of_one_kind(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """NaN in place of a word where other cells have a number, so that a column can be sorted."""
    numeric = {
        name
        for results in cells
        for name, value in results.items()
        if isinstance(value, int | float) and not math.isnan(value)
    }
    return [
        {k: math.nan if k in numeric and isinstance(v, str) else v for k, v in results.items()}
        for results in cells
    ]


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
        self.settings = list(sweep.settings())
        self.shape = tuple(len(axis.points) for axis in sweep.axes)
        self.results = functools.cache(self._read)

    def _read(self, number: int) -> dict[str, Any] | None:
        results = self.sweep.results(self.sweep.keys[number])
        return None if results is None else apart(flatten(results), self.settings[number])

    def examples(self) -> dict[str, Any]:
        """One value of every result that some finished cells have."""
        there = self.sweep.store.keys()
        finished = [number for number, key in enumerate(self.sweep.keys) if key in there]
        step = math.ceil(len(finished) / _SAMPLE) or 1
        found: dict[str, Any] = {}
        for number in [*finished[::step], *finished[-1:]]:
            for name, value in (self.results(number) or {}).items():
                before = found.get(name)
                if before is None or (isinstance(before, str) and value is not None):
                    found[name] = value  # a number, where there is one
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
        if value is None or isinstance(value, str) or np.shape(value) != self.inner:
            return np.full(self.inner, np.nan)
        return np.asarray(value, dtype=np.float64)


@dataclass(frozen=True)
class Check:
    """What a verification found.

    Attributes:
        pieces: How many pieces there are.
        damaged: Which of them have a wrong checksum.
        recomputed: How many were computed again.
        different: Which of those came out otherwise.
    """

    pieces: int
    damaged: tuple[str, ...]
    recomputed: int
    different: tuple[str, ...]


def verify(
    place: str | Path,
    source: Callable[[str], Source],
    *,
    sample: int = 10,
    seed: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Check:
    """Check every checksum of a run directory, and compute some pieces again, bit for bit.

    Args:
        place: The directory, a path or a URL.
        source: Finds the source of a study by its reference.
        sample: How many pieces are computed again.
        seed: Which ones; another choice every time by default.
        progress: Told what is being done.

    Returns:
        What was found.

    Raises:
        UserError: If it is no run directory, or a study is not found or has changed since.
    """
    store = Store.open(place, create=False)
    keys = sorted(store.keys())
    progress(f"checksums of {len(keys)} pieces")
    damaged = tuple(key for key in keys if not store.has(key))
    whole = [key for key in keys if key not in damaged]
    chosen = random.Random(seed).sample(whole, min(sample, len(whole)))
    different = []
    for number, key in enumerate(chosen, 1):
        progress(f"computing piece {number} of {len(chosen)} again")
        if not _same_again(store, key, source):
            different.append(key)
    return Check(len(keys), damaged, len(chosen), tuple(different))


def _same_again(store: Store, key: str, source: Callable[[str], Source]) -> bool:
    record = store.record(key)
    assert record is not None, "it has been checked"
    task = from_record(record, source(record["study"]))
    if task.key != key:
        raise UserError(
            f"piece {key[:12]} was computed by another version of {record['study']}; "
            "verify it with that one"
        )
    files = piece_files(key, task.make(None))
    return all(store.files.read(name) == content for name, content in files.items())
