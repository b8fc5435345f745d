"""Asking for runs at one setting or over a grid: in a few lines, from a file in TOML, on disk."""

import itertools
import math
import time
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import whytrain
from whytrain.errors import UserError, nearest
from whytrain.lab.directory import Axis, keep_record, provenance
from whytrain.lab.execution import (
    Failure,
    Progress,
    Results,
    Silent,
    Tally,
    execute,
    told_as_failed,
)
from whytrain.lab.executors import Inline
from whytrain.lab.experiment import Request, Runs
from whytrain.lab.settings import (
    Scalar,
    Settings,
    as_dict,
    check_name,
    check_value,
    fingerprint,
    value_type,
)
from whytrain.lab.store import MemoryStore, Store, piece_files
from whytrain.lab.tasks import Source, Summary, check_runs, check_seed, summary

_KEYS = ("experiment", "runs", "seed", "settings", "grid", "zip")
_MOST_VALUES = 1_000_000  # of an axis
_SPAN = ("start", "stop", "num", "scale")


@dataclass(frozen=True)
class Plan:
    """One experiment on the product of some axes.

    Attributes:
        source: The study.
        experiment: The name of the experiment.
        runs: How many runs each setting has.
        seed: The seed.
        settings: What is the same for all.
        axes: What varies, in the order of the file.
    """

    source: Source
    experiment: str
    runs: int
    seed: int
    settings: dict[str, Scalar | None]
    axes: tuple[Axis, ...]

    def cells(self, *, keep: bool = False) -> list[Summary]:
        """Describe every point of the grid, the last axis moving fastest.

        Args:
            keep: Whether the runs are kept beside their summaries.

        Returns:
            The cells; settings that warn do so in one warning for all.

        Raises:
            UserError: If a combination of settings is not allowed; the message names it.
        """
        study = self.source.study()
        settings = study.experiment(self.experiment).settings
        cells = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for point in itertools.product(*(axis.points for axis in self.axes)):
                chosen = {
                    name: value
                    for axis, values in zip(self.axes, point, strict=True)
                    for name, value in zip(axis.names, values, strict=True)
                }
                request = Request(self.experiment, self._made(settings, chosen), self.runs)
                cells.append(summary(self.source, study, request, self.seed, keep=keep))
        _warn_once(caught, len(cells))
        return cells

    def record(self, command: str) -> dict[str, Any]:
        """Say what is asked for, for JSON.

        Args:
            command: Which command asks.
        """
        return {
            "command": command,
            "experiment": f"{self.source.reference}/{self.experiment}",
            "runs": self.runs,
            "settings": self.settings,
            "axes": [{"names": axis.names, "points": axis.points} for axis in self.axes],
            **provenance(self.source, self.seed),
        }

    def _made(self, settings: type[Settings], chosen: Mapping[str, Any]) -> Settings:
        try:
            return settings(**{**self.settings, **chosen})
        except UserError as error:
            at = ", ".join(f"{name} = {value}" for name, value in chosen.items())
            raise UserError(f"{error} (at {at})" if at else str(error)) from None


def read_plan(path: str | Path, source: Callable[[str], Source]) -> Plan:
    """Read the plan of a sweep from a file.

    Args:
        path: The file, in TOML; its keys are described in `docs/sweeps.md`.
        source: Finds the source of a study by its reference.

    Returns:
        The plan.

    Raises:
        UserError: If the file cannot be read, or anything in it is not understood or not allowed.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise UserError(f"cannot read the sweep {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    try:
        return make_plan(content, source)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def make_plan(content: Mapping[str, Any], source: Callable[[str], Source]) -> Plan:
    """Make the plan of a sweep from what its file says.

    Args:
        content: The keys `experiment`, `runs`, `seed`, `settings`, `grid`, `zip` of the file.
        source: Finds the source of a study by its reference.

    Returns:
        The plan.

    Raises:
        UserError: If anything in it is not understood or not allowed.
    """
    for key in content:
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"; the keys are {', '.join(_KEYS)}"
            raise UserError(f"unknown key {key!r}{hint}")
    target = content.get("experiment")
    reference, slash, name = target.rpartition("/") if isinstance(target, str) else ("", "", "")
    if not slash or not reference or name.endswith(".py"):
        raise UserError(f'say experiment = "STUDY/EXPERIMENT", got {target!r}')
    found = source(reference)
    experiment = found.study().experiment(name)
    runs = _whole("runs", content.get("runs", experiment.runs))
    seed = _whole("seed", content.get("seed", 0))
    check_runs(runs)
    check_seed(seed)
    cls = experiment.settings
    fixed = {
        key: check_value(cls, key, value)
        for key, value in _table("settings", content.get("settings", {})).items()
    }
    axes = [
        _axis(cls, {key: values}) for key, values in _table("grid", content.get("grid", {})).items()
    ]
    together = content.get("zip", [])
    if not isinstance(together, list):
        raise UserError("write [[zip]] with two brackets, once for each group of axes")
    axes += [_axis(cls, _table("zip", group)) for group in together]
    _refuse_twice(fixed, axes)
    return Plan(found, name, runs, seed, fixed, tuple(axes))


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{name} must be a table of NAME = VALUE, got {value!r}")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise UserError(f"{name} must be an integer, got {value!r}")
    return int(value)


def _axis(cls: type[Settings], group: Mapping[str, Any]) -> Axis:
    if not group:
        raise UserError("a [[zip]] must name at least one setting")
    columns = {
        name: [check_value(cls, name, value) for value in _values(cls, name, values)]
        for name, values in group.items()
    }
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UserError(f"axes that move together must be equally long: {told}")
    points = tuple(zip(*columns.values(), strict=True))
    for number, point in enumerate(points):
        if point in points[:number]:
            told = ", ".join(f"{name} = {value}" for name, value in zip(group, point, strict=True))
            raise UserError(f"an axis may say each value once, twice there is {told}")
    return Axis(tuple(columns), points)


def _values(cls: type[Settings], name: str, values: Any) -> Sequence[Any]:
    """The values of an axis, which may be given as a span."""
    check_name(cls, name)
    if isinstance(values, list) and values:
        return values
    if isinstance(values, dict):
        return _span(cls, name, values)
    raise UserError(
        f"axis {name!r} must be a list of one value or more, or "
        f"{{start = A, stop = B, num = N}}, got {values!r}"
    )


def _span(cls: type[Settings], name: str, span: Mapping[str, Any]) -> list[Any]:
    for key in span:
        if key not in _SPAN:
            raise UserError(f"axis {name!r}: unknown key {key!r}{nearest(key, _SPAN)}")
    try:
        start, stop = _number(span["start"]), _number(span["stop"])
        num = _whole(f"num of axis {name!r}", span["num"])
    except KeyError as error:
        raise UserError(f"axis {name!r} needs start, stop and num; {error} is missing") from None
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"axis {name!r}: start and stop must be numbers, got {span!r}") from None
    scale = span.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise UserError(f'axis {name!r}: scale must be "linear" or "log", got {scale!r}')
    if num > _MOST_VALUES:
        raise UserError(f"axis {name!r}: num must be {_MOST_VALUES:,} or less, got {num}")
    if num < 1 or not (math.isfinite(start) and math.isfinite(stop)):
        raise UserError(f"axis {name!r}: num must be >= 1, start and stop finite, got {dict(span)}")
    if scale == "log" and min(start, stop) <= 0:
        raise UserError(f"axis {name!r}: a log scale needs start and stop > 0, got {dict(span)}")
    spread = np.geomspace if scale == "log" else np.linspace
    values = spread(start, stop, num).tolist()
    if value_type(cls, name)[0] is int:  # the nearest whole numbers, each once
        return list(dict.fromkeys(round(value) for value in values))
    return values


def _number(value: Any) -> float:
    if isinstance(value, bool | str):  # which Python would read as numbers
        raise TypeError
    return float(value)


def _refuse_twice(fixed: Mapping[str, Any], axes: Sequence[Axis]) -> None:
    names = [*fixed, *(name for axis in axes for name in axis.names)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"setting {name!r} is named twice; give it as one axis, or fixed")


def _warn_once(caught: Sequence[warnings.WarningMessage], cells: int) -> None:
    if caught:
        first = caught[0]
        more = f" ({len(caught)} of {cells} settings warn)" if cells > 1 else ""
        warnings.warn(f"{first.message}{more}", first.category, stacklevel=3)


def run_experiment(
    source: Source,
    name: str,
    settings: Settings,
    *,
    runs: int,
    seed: int = 0,
    out: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run an experiment and summarize it.

    Args:
        source: Where the study comes from.
        name: The experiment.
        settings: Its settings.
        runs: How many runs.
        seed: The seed.
        out: The run directory, a path or a URL, in which pieces are kept; nothing is stored without
            one.
        executor: Who computes; this thread by default.
        progress: Who is told.

    Returns:
        What `whytrain run --json` prints.

    Raises:
        UserError: If something asked for is not allowed.
    """
    started = time.perf_counter()
    study = source.study()
    request = Request(name, settings, runs)
    results = Results(source, study, seed, MemoryStore(), reduced=True)
    tasks = results.tasks([request])  # before anything is written: this refuses what is not allowed
    plan = Plan(source, name, runs, seed, as_dict(settings), ())
    cell = summary(source, study, request, seed)
    if out is not None:
        store = Store.open(out)
        keep_record(store, plan.record("run"), [cell])
        results = replace(results, store=store)
        tasks = results.tasks([request])
    tally = execute(tasks, results.store, executor or Inline(), progress or Silent())
    with told_as_failed(name):
        piece = cell.piece(results([request])[0])
    results.store.put(cell.key, piece)
    return {
        "study": study.name,
        "experiment": name,
        "settings": as_dict(settings),
        "seed": seed,
        "runs": runs,
        "results": piece.record["results"],
        "seconds": round(time.perf_counter() - started, 3),
        "version": whytrain.__version__,
        "pieces": {"computed": tally.computed, "reused": tally.reused},
    }


@dataclass(frozen=True)
class Cost:
    """What a sweep will cost, from one cell that was measured.

    Attributes:
        cells: How many settings there are.
        missing: How many of them are still to be computed.
        seconds: How long one took, in this process.
        bytes: What one takes on disk.
    """

    cells: int
    missing: int
    seconds: float
    bytes: int


def run_sweep(
    plan: Plan,
    out: str | Path,
    *,
    keep: bool = False,
    retry_failed: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Compute every setting of a sweep that the run directory does not have.

    A setting that fails is put on record with its error, is left alone by later calls, and stops no
    other.

    Args:
        plan: The sweep.
        out: The run directory, a path or a URL.
        keep: Whether all runs are kept beside their summaries.
        retry_failed: Whether to try settings again that failed before.
        executor: Who computes; this thread by default.
        progress: Who is told.

    Returns:
        What was done. Its failures are all of the sweep, earlier ones too.

    Raises:
        UserError: If a combination of settings is not allowed (nothing has been written then), or
            the directory takes no more.
    """
    cells = plan.cells(keep=keep)
    store = Store.open(out)
    keep_record(store, plan.record("sweep"), cells)
    failed = store.failures() & {cell.key for cell in cells}
    if retry_failed:
        for key in failed:
            store.forgive(key)
        failed = set()
    todo = [cell for cell in cells if cell.key not in failed]
    tally = execute(todo, store, executor or Inline(), progress or Silent(), keep_going=True)
    known = {key: _reason(store, key) for key in sorted(failed)}
    return Tally(tally.computed, tally.reused, {**known, **tally.failures})


def sweep_cost(plan: Plan, out: str | Path) -> Cost:
    """Measure one setting of a sweep, and write nothing.

    Args:
        plan: The sweep.
        out: Where it would go; what is there already need not be computed.

    Returns:
        The measurement. The setting is the one in the middle; it is computed twice, so that
        compilation does not count.

    Raises:
        UserError: If a combination of settings is not allowed, or the setting fails.
    """
    cells = plan.cells()
    try:
        present = Store.open(out, create=False).keys()
    except UserError:
        present = set()
    middle = cells[len(cells) // 2]
    try:
        middle.make(None)
        start = time.perf_counter()
        piece = middle.make(None)
    except Exception as error:
        raise UserError(f"the setting that was tried failed: {error}") from error
    seconds = time.perf_counter() - start
    size = sum(map(len, piece_files(middle.key, piece).values()))
    unique = {cell.key for cell in cells}
    return Cost(len(cells), len(unique - present), seconds, size)


def _reason(store: Store, key: str) -> Failure:
    record = store.failure(key) or {}
    return Failure(record.get("error", "unknown"), record.get("trace", ""))


def sweep(
    function: Callable[..., Any],
    *,
    runs: int | None = None,
    seed: int = 0,
    **axes: Iterable[Any],
) -> xr.Dataset:
    """Call a function at every point of a grid, and label what it returns.

    Args:
        function: Called with one value of every axis by name, and with `keys` (see `runs`). It
            returns a number, a mapping from names to numbers, or a dataset.
        runs: How many random keys each point gets, as the argument `keys`, a typed key array of
            this length. The keys of a point do not depend on the rest of the grid. None are passed
            without it.
        seed: The seed of the keys.
        **axes: The values of each axis, finite numbers or words, which the function is given as
            they are.

    Returns:
        A dataset with a dimension for each axis, in the order given. A bare number is named
        `value`.

    Raises:
        UserError: If `runs` or `seed` is out of range, an axis is no list of different values, or
            the function returns what cannot be labeled so.

    Example:
        >>> diagram = sweep(lambda tilt, noise: tilt > noise, tilt=[1, 2, 3], noise=[0, 2])
        >>> diagram.value.values.astype(int)
        array([[1, 0],
               [1, 0],
               [1, 1]])
    """
    check_seed(seed)
    if runs is not None:
        check_runs(runs)
    grid = {name: _listed(name, values) for name, values in axes.items()}

    def evaluate(point: dict[str, Any]) -> xr.Dataset:
        keys = {}
        if runs is not None:
            plain = {name: _plain(value) for name, value in point.items()}
            stream = int(fingerprint("sweep", plain)[:8], 16)
            keys["keys"] = Runs(seed, stream, 0, runs).keys()
        return _labeled(_called(function, point, keys), grid)

    return _over(grid, evaluate, {})


def _called(function: Callable[..., Any], point: dict[str, Any], keys: dict[str, Any]) -> Any:
    """What the user's function returns; where it fails, at which point and why."""
    try:
        return function(**point, **keys)
    except UserError:
        raise
    except Exception as error:
        at = ", ".join(f"{name} = {value}" for name, value in point.items())
        words = " ".join(str(error).split())[:200]
        raise UserError(
            f"the function fails at {at or 'its only point'}: {type(error).__name__}: {words}"
        ) from error


def _listed(name: str, values: Iterable[Any]) -> list[Scalar]:
    """The values of an axis as the user has them, each of which is there once."""
    try:
        found = [] if isinstance(values, str | bytes | Mapping) else list(map(_scalar, values))
    except TypeError:  # one value
        found = []
    if not found or not all(map(_fits, found)) or len(set(found)) < len(found):
        raise UserError(
            f"axis {name!r} must be a list of different values, finite numbers or words, got "
            f"{' '.join(repr(values).split()):.100}"
        )
    return found


def _scalar(value: Any) -> Any:
    """Python's own number in place of one of NumPy's or JAX's."""
    return value.item() if hasattr(value, "item") and not np.ndim(value) else value


def _fits(value: Any) -> bool:
    try:
        return isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
    except OverflowError:  # an integer beyond the largest float
        return False


def _plain(value: Scalar) -> Scalar:
    """One number for 1 and 1.0, so that keys do not depend on the other values of an axis."""
    if isinstance(value, bool | str) or float(value) != value:  # the latter: a large integer
        return value
    return float(value) + 0.0  # of -0.0 too


def _coordinate(values: Sequence[Scalar]) -> np.ndarray:
    """The values as NumPy holds them; words and numbers as they are."""
    words = {isinstance(value, str) for value in values}
    return np.asarray(values, dtype=object if len(words) > 1 else None)


def _over(
    axes: Mapping[str, Sequence[Scalar]],
    evaluate: Callable[[dict[str, Any]], xr.Dataset],
    point: dict[str, Any],
) -> xr.Dataset:
    """Walk the first axis, and for each of its values all the others."""
    if not axes:
        return evaluate(point)
    (name, values), *others = axes.items()
    slices = [_over(dict(others), evaluate, {**point, name: value}) for value in values]
    along = xr.DataArray(_coordinate(values), dims=name, name=name)
    try:
        return xr.concat(slices, dim=along, join="exact")
    except ValueError as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(
            f"what the function returns along {name!r} does not fit together: {words}"
        ) from error


def _labeled(value: Any, axes: Mapping[str, Any]) -> xr.Dataset:
    """Make a dataset of what the user's function returned."""
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name=value.name or "value")
    found = value if isinstance(value, xr.Dataset) else _numbers(value)
    for name in (*found.variables, *found.dims):
        if name in axes:
            raise UserError(
                f"the function returns {name!r}, the name of an axis: return it under another "
                "name, {'NAME': number}"
            )
    return found


def _numbers(value: Any) -> xr.Dataset:
    """A number, or numbers by name."""
    named = value if isinstance(value, Mapping) else {"value": value}
    numbers = {name: np.asarray(number) for name, number in named.items()}
    if any(number.ndim or number.dtype == object for number in numbers.values()):
        raise UserError(
            "the function must return a number, numbers by name, or a dataset with named "
            f"dimensions, got {value!r:.100}"
        )
    return xr.Dataset(numbers)
