"""The plan of a sweep: the grid of settings that a file in TOML declares."""

import itertools
import math
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whytrain.errors import UserError, nearest
from whytrain.lab.experiment import Request
from whytrain.lab.settings import Scalar, Settings, check_name, check_value, value_type
from whytrain.lab.tasks import Source, Summary, check_runs, check_seed, summary

_KEYS = ("experiment", "runs", "seed", "settings", "grid", "zip")
_SPAN = ("start", "stop", "num", "scale")


@dataclass(frozen=True)
class Axis:
    """Settings that move together along one dimension.

    Attributes:
        names: The settings; the first one names the dimension.
        points: Their values at each place.
    """

    names: tuple[str, ...]
    points: tuple[tuple[Scalar, ...], ...]


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
        start, stop = float(span["start"]), float(span["stop"])
        num = _whole(f"num of axis {name!r}", span["num"])
    except KeyError as error:
        raise UserError(f"axis {name!r} needs start, stop and num; {error} is missing") from None
    except (TypeError, ValueError):
        raise UserError(f"axis {name!r}: start and stop must be numbers, got {span!r}") from None
    scale = span.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise UserError(f'axis {name!r}: scale must be "linear" or "log", got {scale!r}')
    if num < 1 or not (math.isfinite(start) and math.isfinite(stop)):
        raise UserError(f"axis {name!r}: num must be >= 1, start and stop finite, got {dict(span)}")
    if scale == "log" and min(start, stop) <= 0:
        raise UserError(f"axis {name!r}: a log scale needs start and stop > 0, got {dict(span)}")
    spread = np.geomspace if scale == "log" else np.linspace
    values = spread(start, stop, num).tolist()
    if value_type(cls, name)[0] is int:  # the nearest whole numbers, each once
        return list(dict.fromkeys(round(value) for value in values))
    return values


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
