"""Tasks: pieces of work, described so that any process can do them."""

import functools
import json
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from whytrain._json import jsonable
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.lab.experiment import Experiment, Request, Runs
from whytrain.lab.settings import Settings, as_dict, fingerprint
from whytrain.lab.store import FORMAT, Piece, Pieces, Record, Store
from whytrain.lab.study import Study

_MOST_RUNS = 2**32  # a run's number is folded into its key as 32 bits


@dataclass(frozen=True)
class Source:
    """Where a study comes from, in a form that another process can follow.

    Attributes:
        load: Gives the study of a reference; pickled by name.
        reference: The name of a built-in study, or the path of a file that defines one.
        edition: Tells apart states of a study that its experiments' versions do not: the hash of
            the user's file, nothing for a built-in study.
    """

    load: Callable[[str], Study]
    reference: str
    edition: str = ""

    def study(self) -> Study:
        """Load the study."""
        return self.load(self.reference)


@runtime_checkable
class Task(Protocol):
    """What can be done anywhere, and leaves one piece."""

    @property
    def key(self) -> str:
        """The name of the piece."""
        ...

    @property
    def experiment(self) -> str:
        """The name of the experiment."""
        ...

    @property
    def kind(self) -> Hashable:
        """What it has in common with the tasks for which the same programs are compiled."""
        ...

    def describe(self) -> Record:
        """Say what the piece is: enough to compute it again."""
        ...

    def found(self, store: Pieces) -> bool:
        """Whether nothing is left to do."""
        ...

    def make(self, store: Pieces | None) -> Piece:
        """Do it; the store is at hand where the piece goes."""
        ...


@dataclass(frozen=True)
class Block:
    """Consecutive runs of one setting, or what `reduce` makes of them.

    Attributes:
        source: The study.
        experiment: The name of the experiment.
        settings: Its settings by name; a user's class of settings may not be importable elsewhere.
        runs: The runs.
        reduced: Whether the piece holds sums over the runs in place of the runs.
        key: The name of the piece.
    """

    source: Source
    experiment: str
    settings: dict[str, Any]
    runs: Runs
    reduced: bool
    key: str

    @property
    def kind(self) -> Hashable:
        """The experiment and what its settings say in words."""
        return _kind(self)

    def describe(self) -> Record:
        """Say what the piece is."""
        runs = {"seed": self.runs.seed, "first": self.runs.first, "count": self.runs.count}
        return _described(self, "reduced block" if self.reduced else "block") | runs

    def found(self, store: Pieces) -> bool:
        """Whether the piece is there."""
        return store.has(self.key)

    def make(self, store: Pieces | None = None, *, keep: bool = True) -> Piece:
        """Compute the runs.

        Args:
            store: Where checkpoints are kept; nowhere without one.
            keep: Whether they stay when the runs are done.

        Returns:
            The piece.

        Raises:
            ValueError: If the experiment gives another number of runs than it was asked for.
        """
        experiment = self.source.study().experiment(self.experiment)
        runs = self.runs
        if isinstance(store, Store):
            runs = replace(runs, checkpoints=store.checkpoints(self.key))
        with warnings.catch_warnings(action="ignore", category=UnstableStepWarning):
            dataset = _computed(experiment, _settings(self, experiment), runs)
        if not keep:
            runs.checkpoints.clear()
        if dataset.sizes.get("run") != len(self.runs):
            raise ValueError(
                f"experiment {self.experiment!r} must give a dimension 'run' of length "
                f"{len(self.runs)}, gave {dict(dataset.sizes)}"
            )
        if self.reduced:
            assert experiment.reduce is not None
            dataset = experiment.reduce(dataset)
        return Piece(self.describe(), dataset)


def _computed(experiment: Experiment, settings: Settings, runs: Runs) -> xr.Dataset:
    """What an experiment gives, under names that a store can keep."""
    try:
        dataset = experiment.compute(settings, runs)
    except SystemExit as error:  # it would end the process that computes, without a word
        raise RuntimeError(f"exit({error})") from error
    if not isinstance(dataset, xr.Dataset):
        kind = type(dataset).__name__
        raise TypeError(f"compute must give an xarray.Dataset, not one of type {kind}")
    for name in dataset.variables:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"a variable cannot be named {name!r}: a name is a word without '/'")
    return dataset


@dataclass(frozen=True)
class Summary:
    """All runs of one setting, summarized where they are computed.

    Attributes:
        source: The study.
        experiment: The name of the experiment.
        settings: Its settings by name.
        seed: The user's seed.
        runs: How many runs.
        keep: Whether the blocks of runs are kept too.
        key: The name of the piece.
    """

    source: Source
    experiment: str
    settings: dict[str, Any]
    seed: int
    runs: int
    keep: bool
    key: str

    @property
    def kind(self) -> Hashable:
        """The experiment and what its settings say in words."""
        return _kind(self)

    def describe(self) -> Record:
        """Say what the piece is."""
        return _described(self, "cell") | {"seed": self.seed, "runs": self.runs}

    def found(self, store: Pieces) -> bool:
        """Whether the summary is there, and the blocks if they are to be kept."""
        return store.has(self.key) and all(
            store.has(block.key) for block in (self.blocks() if self.keep else ())
        )

    def blocks(self) -> "list[Block]":
        """The runs, block by block."""
        study = self.source.study()
        settings = _settings(self, study.experiment(self.experiment))
        return split(
            self.source, study, Request(self.experiment, settings, self.runs), self.seed,
            reduced=not self.keep,
        )  # fmt: skip

    def make(self, store: Pieces | None) -> Piece:
        """Compute the runs, a block at a time, and summarize them."""
        parts = []
        experiment = self.source.study().experiment(self.experiment)
        for block in self.blocks():
            piece = self._block(block, store)
            if experiment.reduce is not None and not block.reduced:
                piece = experiment.reduce(piece)
            parts.append(piece)
        return self.piece(join(parts))

    def piece(self, dataset: xr.Dataset) -> Piece:
        """Summarize the runs.

        Args:
            dataset: All of them, or what `reduce` made of them.

        Raises:
            UserError: If `summarize` gives what JSON cannot hold.
        """
        experiment = self.source.study().experiment(self.experiment)
        results = experiment.summarize(dataset, _settings(self, experiment))
        return Piece({**self.describe(), "results": _results(results)})

    def _block(self, block: Block, store: Pieces | None) -> xr.Dataset:
        piece = None if store is None else store.get(block.key)
        if piece is None:
            piece = block.make(store, keep=self.keep)
            if self.keep and store is not None:
                store.put(block.key, piece)
        assert piece.dataset is not None
        return piece.dataset


def _results(given: Any) -> dict[str, Any]:
    """Results as JSON holds them; what it cannot hold is told here, and not where it is stored."""
    try:
        found = jsonable(given)
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"summarize must give what JSON can hold: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"summarize must give results by name, gave {given!r:.100}")
    return found


def split(
    source: Source, study: Study, request: Request, seed: int, *, reduced: bool = False,
    known: "Extents | None" = None,
) -> list[Block]:  # fmt: skip
    """Cut a request into the blocks that are computed one by one.

    Args:
        source: Where the study comes from.
        study: The study.
        request: What is asked for.
        seed: The user's seed.
        reduced: Whether sums over the runs will do, where the experiment has a `reduce`.
        known: The blocks that there are; those cut here are added. More runs are then the ones that
            there are, and the rest.

    Returns:
        The blocks, in the order of their runs.

    Raises:
        UserError: If there is no such experiment, or the seed or the number of runs is not allowed.
    """
    check_seed(seed)
    check_runs(request.runs)
    experiment = study.experiment(request.experiment)
    settings = as_dict(request.settings)
    reduced = reduced and experiment.reduce is not None
    stem = _stem(source, study, experiment, settings, seed, reduced)
    known = known if known is not None else Extents()
    return [
        _block(source, study, experiment, settings, seed, first, count, reduced)
        for first, count in known.cut(stem, request.runs, experiment.block)
    ]


class Extents:
    """Which runs are in which block: of those that there are, and of those that were cut since.

    Args:
        keys: The names of the pieces that there are.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._counts: dict[str, dict[int, set[int]]] = {}
        for key in keys:
            stem, dash, extent = key.partition("-")
            if dash:
                self._add(stem, *map(int, extent.split("-")))

    def cut(self, stem: str, runs: int, block: int) -> list[tuple[int, int]]:
        """Cut runs into blocks, along those that are known as far as they go.

        Args:
            stem: What the names of the blocks begin with.
            runs: How many runs.
            block: How many there are in a block that is not known.

        Returns:
            First run and number of runs of each block.
        """
        counts, found, first = self._counts.get(stem, {}), [], 0
        while first < runs:
            inside = [count for count in counts.get(first, ()) if first + count <= runs]
            count = max(inside, default=0) or min(block, runs - first, *_gaps(counts, first))
            found.append((first, count))
            first += count
        for one in found:
            self._add(stem, *one)
        return found

    def _add(self, stem: str, first: int, count: int) -> None:
        self._counts.setdefault(stem, {}).setdefault(first, set()).add(count)


def _gaps(counts: dict[int, set[int]], first: int) -> list[int]:
    """How far it is to the next block that is known, if there is one."""
    return [min(later) - first] if (later := [start for start in counts if start > first]) else []


def _stem(
    source: Source, study: Study, experiment: Experiment, settings: dict[str, Any], seed: int,
    reduced: bool,
) -> str:  # fmt: skip
    """What tells runs of one setting from all others."""
    edition = [*["reduced"] * reduced, experiment.version, source.edition, FORMAT]
    return fingerprint(study.name, experiment.name, settings, seed, *edition)


def _block(
    source: Source, study: Study, experiment: Experiment, settings: dict[str, Any], seed: int,
    first: int, count: int, reduced: bool,
) -> Block:  # fmt: skip
    stream = int(fingerprint(study.name, experiment.name, settings)[:8], 16)
    key = f"{_stem(source, study, experiment, settings, seed, reduced)}-{first}-{count}"
    return Block(source, experiment.name, settings, Runs(seed, stream, first, count), reduced, key)


def summary(
    source: Source, study: Study, request: Request, seed: int, *, keep: bool = False
) -> Summary:
    """Describe the summary of a request.

    Args:
        source: Where the study comes from.
        study: The study.
        request: What is asked for.
        seed: The user's seed.
        keep: Whether the blocks of runs are kept too.

    Returns:
        The cell.

    Raises:
        UserError: If there is no such experiment, or the seed or the number of runs is not allowed.
    """
    check_seed(seed)
    check_runs(request.runs)
    experiment = study.experiment(request.experiment)
    settings = as_dict(request.settings)
    identity = [study.name, experiment.name, settings, seed, request.runs]
    key = fingerprint("cell", *identity, experiment.version, source.edition, FORMAT)
    return Summary(source, experiment.name, settings, seed, request.runs, keep, key)


def from_record(record: Record, source: Source) -> Block | Summary:
    """Make the task again that left a piece.

    Args:
        record: What `describe` said.
        source: The study that it names.

    Returns:
        The task. Its key is another one if the study computes other numbers today.
    """
    study = source.study()
    experiment = study.experiment(record["experiment"])
    if record["kind"] == "cell":
        with warnings.catch_warnings(action="ignore"):
            settings = experiment.settings(**record["settings"])
        return summary(
            source, study, Request(experiment.name, settings, record["runs"]), record["seed"]
        )
    return _block(
        source, study, experiment, record["settings"], record["seed"], record["first"],
        record["count"], record["kind"] == "reduced block",
    )  # fmt: skip


def join(pieces: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put the pieces of one setting together.

    Args:
        pieces: Blocks in the order of their runs, or what `reduce` made of them.

    Returns:
        Blocks joined along `run`, where what does not depend on the run is taken from the first
        one; or reduced blocks added up.
    """
    if len(pieces) == 1:
        return pieces[0]
    if "run" not in pieces[0].dims:
        return sum(pieces[1:], start=pieces[0])
    for name, first in pieces[0].variables.items():
        if "run" not in first.dims and not all(_alike(first, one[name]) for one in pieces[1:]):
            raise UserError(
                f"variable {name!r} has no dimension 'run' and is not the same for all runs: give "
                "it that dimension"
            )
    return xr.concat(
        pieces,
        dim="run",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def _alike(one: xr.Variable, other: xr.DataArray) -> bool:
    """Whether two arrays are the same but for rounding."""
    a, b = one.values, other.values
    if a.shape != b.shape or a.dtype.kind not in "iufc":
        return np.array_equal(a, b)
    return np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)


def check_seed(seed: int) -> None:
    """Refuse a seed that is no integer, or out of range.

    Args:
        seed: The user's seed.

    Raises:
        UserError: If it is.
    """
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UserError(f"the seed must be an integer from 0 to 2**63 - 1, got {seed!r}")


def check_runs(runs: int) -> None:
    """Refuse a number of runs that is no integer, or out of range.

    Args:
        runs: How many runs the user wants.

    Raises:
        UserError: If they are none, or more than there are keys for.
    """
    if type(runs) is not int or not 1 <= runs <= _MOST_RUNS:
        raise UserError(f"the number of runs must be an integer from 1 to 2**32, got {runs!r}")


def _kind(task: Block | Summary) -> Hashable:
    """Words choose what is computed, numbers with what."""
    words = {name: value for name, value in task.settings.items() if isinstance(value, str)}
    return task.experiment, *words.items()


def _described(task: Block | Summary, kind: str) -> Record:
    return {
        "kind": kind,
        "study": task.source.reference,
        "edition": task.source.edition,
        "experiment": task.experiment,
        "settings": task.settings,
    }


def _settings(task: Block | Summary, experiment: Experiment) -> Settings:
    return _made(experiment.settings, tuple(task.settings.items()))


@functools.lru_cache
def _made(cls: type[Settings], settings: tuple[tuple[str, Any], ...]) -> Settings:
    """The settings of many pieces, made once."""
    with warnings.catch_warnings(action="ignore"):  # whoever made the task has been warned
        return cls(**dict(settings))
