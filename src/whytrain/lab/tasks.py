"""Tasks: pieces of work, described so that any process can do them."""

import functools
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from whytrain._json import jsonable
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.lab.experiment import Experiment, Request
from whytrain.lab.randomness import Runs
from whytrain.lab.settings import Settings, as_dict, fingerprint
from whytrain.lab.store import FORMAT, Piece, Pieces, Record
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


@dataclass(frozen=True)
class Task:
    """An experiment at one setting: what can be done anywhere, and leaves one piece.

    Attributes:
        source: The study.
        experiment: The name of the experiment.
        settings: Its settings by name; a user's class of settings may not be importable elsewhere.
        key: The name of the piece.
    """

    source: Source
    experiment: str
    settings: dict[str, Any]
    key: str

    @property
    def kind(self) -> Hashable:
        """What it has in common with the tasks for which the same programs are compiled.

        Words choose what is computed, numbers with what.
        """
        words = {name: value for name, value in self.settings.items() if isinstance(value, str)}
        return self.experiment, *words.items()

    def describe(self) -> Record:
        """Say what the piece is: enough to compute it again."""
        return {
            "study": self.source.reference,
            "edition": self.source.edition,
            "experiment": self.experiment,
            "settings": self.settings,
        }

    def found(self, store: Pieces) -> bool:
        """Whether nothing is left to do."""
        return store.has(self.key)

    def make(self, store: Pieces | None) -> Piece:
        """Do it, as each kind does; the store is at hand where the piece goes."""
        raise NotImplementedError

    def loaded(self) -> tuple[Experiment, Settings]:
        """The experiment and its settings, in this process."""
        experiment = self.source.study().experiment(self.experiment)
        return experiment, _made(experiment.settings, tuple(self.settings.items()))


@dataclass(frozen=True)
class Block(Task):
    """Consecutive runs of one setting, or what `reduce` makes of them.

    Attributes:
        runs: The runs.
        reduced: Whether the piece holds sums over the runs in place of the runs.
    """

    runs: Runs
    reduced: bool

    def describe(self) -> Record:
        """Say what the piece is."""
        kind = {"kind": "reduced block" if self.reduced else "block"}
        runs = {"seed": self.runs.seed, "first": self.runs.first, "count": self.runs.count}
        return kind | super().describe() | runs

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
        experiment, settings = self.loaded()
        runs = self.runs
        if store is not None:
            runs = replace(runs, checkpoints=store.checkpoints(self.key))
        with warnings.catch_warnings(action="ignore", category=UnstableStepWarning):
            dataset = experiment.compute(settings, runs)
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


@dataclass(frozen=True)
class Summary(Task):
    """All runs of one setting, summarized where they are computed.

    Attributes:
        seed: The user's seed.
        runs: How many runs.
        keep: Whether the blocks of runs are kept too.
    """

    seed: int
    runs: int
    keep: bool

    def describe(self) -> Record:
        """Say what the piece is."""
        return {"kind": "cell"} | super().describe() | {"seed": self.seed, "runs": self.runs}

    def found(self, store: Pieces) -> bool:
        """Whether the summary is there, and the blocks if they are to be kept."""
        return super().found(store) and all(
            block.found(store) for block in (self.blocks() if self.keep else ())
        )

    def blocks(self) -> list[Block]:
        """The runs, block by block."""
        request = Request(self.experiment, self.loaded()[1], self.runs)
        return split(
            self.source, self.source.study(), request, self.seed, reduced=not self.keep
        )  # fmt: skip

    def make(self, store: Pieces | None) -> Piece:
        """Compute the runs, a block at a time, and summarize them."""
        parts = []
        experiment, _ = self.loaded()
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
        """
        experiment, settings = self.loaded()
        results = experiment.summarize(dataset, settings)
        return Piece({**self.describe(), "results": jsonable(results)})

    def _block(self, block: Block, store: Pieces | None) -> xr.Dataset:
        piece = None if store is None else store.get(block.key)
        if piece is None:
            piece = block.make(store, keep=self.keep)
            if self.keep and store is not None:
                store.put(block.key, piece)
        assert piece.dataset is not None
        return piece.dataset


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
    experiment, settings = _checked(study, request, seed)
    named = (source, study, experiment, settings, seed, reduced and experiment.reduce is not None)
    known = known if known is not None else Extents()
    return [
        _block(*named, first, count)
        for first, count in known.cut(_stem(*named), request.runs, experiment.block)
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
    reduced: bool, first: int, count: int,
) -> Block:  # fmt: skip
    stream = int(fingerprint(study.name, experiment.name, settings)[:8], 16)
    key = f"{_stem(source, study, experiment, settings, seed, reduced)}-{first}-{count}"
    return Block(source, experiment.name, settings, key, Runs(seed, stream, first, count), reduced)


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
    experiment, settings = _checked(study, request, seed)
    identity = [study.name, experiment.name, settings, seed, request.runs]
    key = fingerprint("cell", *identity, experiment.version, source.edition, FORMAT)
    return Summary(source, experiment.name, settings, key, seed, request.runs, keep)


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
        source, study, experiment, record["settings"], record["seed"],
        record["kind"] == "reduced block", record["first"], record["count"],
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
    return xr.concat(
        pieces,
        dim="run",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


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


def _checked(study: Study, request: Request, seed: int) -> tuple[Experiment, dict[str, Any]]:
    """The experiment and the settings that are asked for, by name."""
    check_seed(seed)
    check_runs(request.runs)
    return study.experiment(request.experiment), as_dict(request.settings)


@functools.lru_cache
def _made(cls: type[Settings], settings: tuple[tuple[str, Any], ...]) -> Settings:
    """The settings of many pieces, made once."""
    with warnings.catch_warnings(action="ignore"):  # whoever made the task has been warned
        return cls(**dict(settings))
