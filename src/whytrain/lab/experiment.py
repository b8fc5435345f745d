"""An experiment: from settings and random keys to labeled numbers; and the grids it is asked at."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from whytrain._tables import Shown, Table, in_words
from whytrain.errors import UserError
from whytrain.lab.settings import Settings, check_class, meaning, read_value
from whytrain.lab.statistics import unmasked
from whytrain.lab.store import Checkpoints

RUNS = "runs"  # what stands among the settings of a grid for how many runs there are
FEW = 64  # places along an axis that are told one by one
DRAWN = 1 << 22  # numbers drawn at a time
NOT_FINITE = re.compile(r"without \d+ of \d+ that are not finite$")  # how `told` says so


@dataclass(frozen=True)
class Runs:
    """Consecutive runs of one setting.

    Run `i` has the key `fold_in(fold_in(key(seed), stream), i)`, so that results do not depend on
    how runs are cut into pieces, on who computes a piece, or in which order.

    Attributes:
        seed: The user's seed, `0 <= seed < 2**63`.
        stream: 32 bits that tell apart studies, experiments and settings.
        first: The number of the first run.
        count: How many runs.
        checkpoints: Where a training may be kept that lasts: `runs.checkpoints["NAME"]` is a
            `checkpoint` for `whytrain.dynamics.train`. No result depends on it.
    """

    seed: int
    stream: int
    first: int
    count: int
    checkpoints: Checkpoints = field(default_factory=Checkpoints, compare=False, repr=False)

    def __len__(self) -> int:
        return self.count

    def keys(self) -> jax.Array:
        """Give the keys of the runs.

        Returns:
            A typed key array of shape `(count,)`.

        Example:
            >>> early, late = Runs(0, 7, 0, 4), Runs(0, 7, 2, 2)
            >>> bool((early.keys()[2:] == late.keys()).all())
            True
        """
        return self._keys(np.arange(self.count))

    def draw(
        self, function: Callable[..., Any], *args: Any, together: int = 1024, numbers: int = 1
    ) -> Any:
        """Give what a batched function makes of the keys, always so many at a time.

        One shape, whatever the number of runs, so that the function is compiled once.

        Args:
            function: Takes `together` keys and `args`, gives a pytree of arrays over them.
            args: What else it takes.
            together: Keys a call, at most.
            numbers: How many numbers a key gives; fewer keys go together where it gives many, so
                that memory is bounded.

        Returns:
            The pytree, of NumPy arrays over the runs.

        Example:
            >>> import jax.numpy as jnp
            >>> Runs(0, 7, 0, 3).draw(lambda keys: jnp.zeros(len(keys)), together=2).shape
            (3,)
        """
        parts = []
        together = min(together, 1 << max(1, DRAWN // numbers).bit_length() - 1)
        with jax.enable_x64(True):
            for first in range(0, len(self), together):
                some = np.minimum(np.arange(first, first + together), len(self) - 1)
                # Or that there is no memory is met where NumPy reads it, and ends the process.
                drawn = jax.block_until_ready(function(self._keys(some), *args))
                parts.append(jax.tree.map(np.asarray, drawn))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(self)], *parts)

    def _keys(self, numbers: np.ndarray) -> jax.Array:
        """The keys of some of the runs, counted from the first."""
        with jax.enable_x64(True):  # or JAX drops the upper half of the seed
            whole = (self.first + numbers).astype(np.uint32)
            return _keys(np.int64(self.seed), np.uint32(self.stream), whole)


@jax.jit
def _keys(seed: jax.Array, stream: jax.Array, numbers: jax.Array) -> jax.Array:
    root = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), stream)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(root, numbers)


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
    found = unmasked(values)
    if not found.size or found.dtype.kind == "c":
        what = "complex numbers" if found.size else "no number"
        raise UserError(f"real numbers are needed, one or more, and there are {what}")
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
        known = np.atleast_1d(values.attrs.get("flag_values", ()))
        if len(known) != len(words) or not np.isin(values, known).all():
            raise UserError(
                f"variable {values.name!r} must have a number among its attribute flag_values for "
                "each of flag_meanings, and no other values"
            )
        codes = zip(words, known, strict=True)
        return {word: _places(values == code, np.sum, int) for word, code in codes}
    if values.dtype == bool:
        return _places(values, np.mean, float)
    if values.dtype.kind not in "iufV":  # V: floats of fewer bits, which NumPy does not know
        raise UserError(
            f"variable {values.name!r} has no numbers but {values.dtype}, and no mean; give the "
            "experiment a summarize of its own"
        )
    reductions = {"mean": np.mean, "least": np.min, "largest": np.max}
    return {word: _places(values, reduce, None) for word, reduce in reductions.items()}


def _places(values: xr.DataArray, reduce: Callable, kind: Callable | None) -> Any:
    """One number; or a list of them along the last axis, if it alone is there beside the runs."""
    one = (lambda found: told(found, reduce)) if kind is None else lambda found: kind(reduce(found))
    axes = [name for name in values.dims if name != "run"]
    if len(axes) == 1 and values.sizes[axes[0]] <= FEW:
        return [one(column) for column in values.transpose(axes[0], ...).values]
    return one(values.values)


@dataclass(frozen=True)
class Request:
    """So many runs of an experiment at these settings.

    Attributes:
        experiment: The experiment's name within the study.
        settings: Its settings.
        runs: How many runs.
    """

    experiment: str
    settings: Any  # of the experiment's own subclass of Settings
    runs: int


@dataclass(frozen=True, repr=False)
class Experiment(Shown):
    """A function from settings and runs to a dataset; it knows no files, processes or progress.

    Attributes:
        name: Its name on the command line.
        doc: What it does, in one sentence.
        settings: The class of its settings.
        compute: Gives, for settings and runs, a dataset whose dimension `run` has one entry a run.
            A variable without that dimension must be the same for all runs of one setting.
        summarize: Gives, for the dataset of all runs and the settings, what is worth telling, as
            values that JSON can hold. With `reduce`, it is given the reduced dataset. Default:
            `whytrain.lab.summarize`.
        runs: How many runs are made when the user does not say.
        block: How many runs are computed, and stored, at a time. No result depends on it.
        reduce: Gives, for the dataset of some runs, one without the dimension `run` that is enough
            for `summarize`: numbers that add up over runs, such as counts. Whole numbers, or the
            last bit depends on the blocks. Where there is no such thing, all runs are held at once.
        version: To be raised when the numbers it computes change: older pieces are then left alone.
    """

    name: str
    doc: str
    settings: type[Settings]
    compute: Callable[[Any, Runs], xr.Dataset]
    summarize: Callable[[xr.Dataset, Any], dict[str, Any]] = summarize
    runs: int = 1000
    block: int = 8192
    reduce: Callable[[xr.Dataset], xr.Dataset] | None = None
    version: int = 1

    def __post_init__(self) -> None:
        check_class(self.settings)

    def shown(self) -> Table:
        """The settings: default, meaning and what is allowed."""
        fields = dataclasses.fields(self.settings)
        rows = [
            (field.name, in_words(field.default), meaning(self.settings, field)) for field in fields
        ]
        return Table(self.name, ("setting", "default", "meaning"), rows, about=self.doc)

    def results(self, dataset: xr.Dataset, settings: Any) -> dict[str, Any]:
        """Summarize runs.

        Args:
            dataset: What `compute` gave.
            settings: The settings.

        Returns:
            What is worth telling.
        """
        return self.summarize(self.reduce(dataset) if self.reduce else dataset, settings)

    def grid(
        self,
        presets: Mapping[str, Mapping[str, Any]] | None = None,
        /,
        *,
        cases: Sequence[Mapping[str, Any]] = ({},),
        where: Callable[[Any], bool] | None = None,
        **values: Any,
    ) -> "Grid":
        """Ask for runs over axes of settings: what a claim or a figure has as its `requests`.

        Args:
            presets: What is different at each preset, by name: `runs`, and any of `values`.
            cases: Settings that move together, a mapping a place; they vary fastest.
            where: Keeps a place, from its settings; all if None.
            **values: `runs` and the settings: a value for all places; a tuple, list or range for an
                axis, the last one moving fastest; or a function that gives the value from those
                chosen before, by attribute.

        Example:
            >>> from dataclasses import dataclass
            >>> from whytrain.lab import Settings, setting
            >>> @dataclass(frozen=True, kw_only=True)
            ... class Walk(Settings):
            ...     steps: int = setting(100, "number of steps", low=1)
            ...     drift: float = setting(0.0, "mean of a step")
            >>> walks = Experiment("walks", "ends of walks", Walk, lambda s, r: ..., lambda d, s: d)
            >>> grid = walks.grid(
            ...     {"quick": {"runs": 10, "steps": 50}, "paper": {"runs": 99, "steps": (50, 500)}},
            ...     drift=lambda at: 1 / at.steps,
            ... )
            >>> [(r.settings.steps, r.settings.drift, r.runs) for r in grid("paper")]
            [(50, 0.02, 99), (500, 0.002, 99)]
        """
        return Grid((_Places(self, presets or {}, tuple(cases), values, where),))


@dataclass(frozen=True)
class Grid:
    """Settings and runs that are asked for, at each preset; grids add up.

    Attributes:
        parts: What it was made of.
    """

    parts: "tuple[_Places, ...]"

    def __call__(self, preset: str) -> list[Request]:
        """The requests at a preset, each once.

        Args:
            preset: Its name.
        """
        return list(dict.fromkeys(r for part in self.parts for r in part.requests(preset)))

    def __add__(self, other: "Grid") -> "Grid":
        return Grid((*self.parts, *other.parts))

    def at(self, **settings: Any) -> "Grid":
        """The places that have these values, with the runs that they have there.

        Args:
            **settings: Values by the name of a setting.
        """
        return Grid(tuple(part.only(settings) for part in self.parts))

    def set(self, settings: Mapping[str, str]) -> "Grid":
        """The same with these values in place of its own, wherever an experiment has the setting.

        An axis becomes one value, and what is derived from it follows. `runs` says how many.

        Args:
            settings: What is written for a setting, by its name.
        """
        return Grid(tuple(part.set(settings) for part in self.parts))


@dataclass(frozen=True)
class _Places:
    """One experiment over axes."""

    experiment: Experiment
    presets: Mapping[str, Mapping[str, Any]]
    cases: tuple[Mapping[str, Any], ...]
    values: Mapping[str, Any]
    where: Callable[[Any], bool] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def requests(self, preset: str) -> Iterator[Request]:
        values = {**self.values, **self.presets.get(preset, {})}
        derived = {name: value for name, value in values.items() if callable(value)}
        axes = {name: _axis(value) for name, value in values.items() if name not in derived}
        for point in itertools.product(*axes.values(), self.cases):
            chosen = dict(zip(axes, point[:-1], strict=True)) | point[-1] | self.fixed
            for name, function in derived.items():
                if name not in chosen:
                    chosen[name] = function(SimpleNamespace(**chosen))
            runs = chosen.pop("runs", self.experiment.runs)
            settings = self.experiment.settings(**chosen)
            if self.where is None or self.where(settings):
                yield Request(self.experiment.name, settings, runs)

    def only(self, settings: Mapping[str, Any]) -> "_Places":
        before = self.where

        def kept(at: Any) -> bool:
            alike = all(getattr(at, name) == value for name, value in settings.items())
            return alike and (before is None or before(at))

        return replace(self, where=kept)

    def set(self, settings: Mapping[str, str]) -> "_Places":
        cls = self.experiment.settings
        known = {field.name for field in dataclasses.fields(cls)}
        read = {k: read_value(cls, k, text) for k, text in settings.items() if k in known}
        if RUNS in settings and RUNS not in known:
            read[RUNS] = read_runs(settings[RUNS])
        return replace(self, fixed={**self.fixed, **read})


def _axis(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list | range) else (value,)


def read_runs(text: str) -> int:
    """Read a number of runs.

    Args:
        text: What was written.

    Raises:
        UserError: If it is no whole number from 1 on.
    """
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"the number of runs must be an integer >= 1, got {text!r}")
    return int(text)
