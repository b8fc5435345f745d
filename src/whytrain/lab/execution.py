"""Executing tasks: what the store has is not computed again."""

import functools
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr

from whytrain._files import StoreError
from whytrain.errors import UserError
from whytrain.lab.claims import Cell, Cells
from whytrain.lab.experiment import Request
from whytrain.lab.store import Piece, Pieces, Store
from whytrain.lab.study import Study
from whytrain.lab.tasks import Block, Extents, Source, Task, join, split

WINDOW = 256  # tasks handed to the executor at a time, so that a long list costs no memory
TICK = 1.0  # seconds between two looks at what is running


class NotYetRun(LookupError):
    """Some pieces of a request are not in the store."""


class PieceFailed(NotYetRun):
    """Some pieces of a request could not be computed."""


@dataclass(frozen=True)
class Counts:
    """How far the work is.

    Attributes:
        total: How many pieces are wanted.
        found: How many of them were there already.
        computed: How many have been computed.
        failed: How many could not be computed.
        running: How many are being computed.
        alike: Whether all are of one experiment, so that those done tell how long the rest takes.
    """

    total: int
    found: int = 0
    computed: int = 0
    failed: int = 0
    running: int = 0
    alike: bool = True


@runtime_checkable
class Progress(Protocol):
    """Who is told how far the work is."""

    def start(self, counts: Counts) -> None:
        """Say what there is to do."""
        ...

    def show(self, counts: Counts, label: str) -> None:
        """Say how far it is, at an experiment of this name."""
        ...

    def stop(self) -> None:
        """Say that the work is over, whatever its end."""
        ...


class Silent:
    """Progress that nobody watches."""

    def start(self, counts: Counts) -> None:
        """Do nothing."""

    def show(self, counts: Counts, label: str) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Failure:
    """Why a piece could not be computed.

    Attributes:
        error: The error, in one line.
        trace: Where it arose, for whoever mends it.
    """

    error: str
    trace: str = ""


class Lost(Failure):
    """Why whoever was to compute a piece did not: the fault is not the piece's own."""


@dataclass(frozen=True)
class Tally:
    """What an execution did.

    Attributes:
        computed: How many pieces were computed.
        reused: How many were found in the store.
        failures: Why pieces could not be computed, by key.
    """

    computed: int
    reused: int
    failures: Mapping[str, Failure] = field(default_factory=dict)


def execute(
    tasks: Iterable[Task],
    store: Pieces,
    executor: Executor,
    progress: Progress,
    *,
    keep_going: bool = False,
) -> Tally:
    """Compute those tasks whose pieces the store does not have, each once.

    Pieces go from whoever computes them to the store, if it is one that both see. The executor is
    the caller's, and so is what it holds when this ends by an exception. Failures are put on record
    in the store, but for those of the executor, such as a killed worker: the next call tries again.

    Args:
        tasks: What is wanted; the same task may come several times.
        store: Where pieces are found and kept.
        executor: Who computes.
        progress: Who is told.
        keep_going: Whether a task that fails leaves the others running.

    Returns:
        What was done.

    Raises:
        UserError: If a task fails, unless `keep_going`; if the store takes no more; if the executor
            gives up.
    """
    wanted = {task.key: task for task in tasks}
    missing = [task for task in wanted.values() if not task.found(store)]
    failures: dict[str, Failure] = {}
    alike = len({task.experiment for task in missing}) == 1
    counts = Counts(len(wanted), found=len(wanted) - len(missing), alike=alike)
    progress.start(counts)
    try:
        for task, done, running in _in_order_of_completion(missing, store, executor):
            if task is not None and isinstance(done, Failure):
                failures[task.key] = done
                if isinstance(store, Store) and not isinstance(done, Lost):
                    store.fail(task.key, {**task.describe(), **asdict(done)})
                if not keep_going:
                    error = UserError(f"experiment {task.experiment!r} failed: {done.error}")
                    error.add_note(done.trace)  # for --traceback: where it arose, in a worker too
                    raise error
            elif task is not None and isinstance(done, Piece):
                store.put(task.key, done)
            if task is not None:
                finished = counts.computed + counts.failed + 1
                counts = replace(counts, failed=len(failures), computed=finished - len(failures))
            label = "" if task is None else task.experiment
            progress.show(replace(counts, running=running), label)
    finally:
        progress.stop()
    return Tally(counts.computed, counts.found, failures)


@dataclass(frozen=True)
class Results:
    """The numbers of a study at one seed, as far as they are in the store.

    Each is read once, for many claims and figures show the same.

    Attributes:
        source: Where the study comes from.
        study: The study.
        seed: The seed.
        store: Where the pieces are.
        failures: Why pieces could not be computed, by key.
        reduced: Whether sums over the runs will do, where the experiment has a `reduce`.
    """

    source: Source
    study: Study
    seed: int
    store: Pieces
    failures: Mapping[str, Failure] = field(default_factory=dict)
    reduced: bool = False
    _read: dict[tuple[str, ...], xr.Dataset] = field(default_factory=dict, init=False, repr=False)

    def tasks(self, requests: Iterable[Request]) -> list[Block]:
        """Cut requests into tasks, along the pieces that there are."""
        return [task for request in requests for task in self._blocks(request)]

    def _blocks(self, request: Request) -> list[Block]:
        return split(
            self.source, self.study, request, self.seed, reduced=self.reduced, known=self._known
        )

    @functools.cached_property
    def _known(self) -> Extents:
        return Extents(self.store.keys())

    def __call__(self, requests: Sequence[Request]) -> list[xr.Dataset]:
        """Give the datasets of requests, in their order.

        Args:
            requests: What is asked for.

        Returns:
            One dataset a request, of all its runs.

        Raises:
            NotYetRun: If a piece is missing; `PieceFailed` if it could not be computed.
        """
        return [self._dataset(request) for request in requests]

    def cells(self, requests: Sequence[Request]) -> Cells:
        """Give the numbers of requests with their settings, in their order.

        Args:
            requests: What is asked for.

        Raises:
            NotYetRun: As in a call.
        """
        found = zip(requests, self(requests), strict=True)
        return Cells([Cell(request.settings, dataset) for request, dataset in found])

    def _dataset(self, request: Request) -> xr.Dataset:
        tasks = self.tasks([request])
        keys = tuple(task.key for task in tasks)
        if keys not in self._read:
            pieces = [self.store.get(key) for key in keys]
            found = [piece.dataset for piece in pieces if piece and piece.dataset is not None]
            if len(found) < len(tasks):
                missing = len(tasks) - len(found)
                self._raise_failure(tasks)
                raise NotYetRun(f"{missing} of {len(tasks)} pieces are missing")
            self._read[keys] = _fixed(join(found))
        return self._read[keys].copy()  # variables that one adds are not there for the next

    def runs(self, requests: Iterable[Request]) -> int:
        """How many of the runs asked for are in the store, each counted once."""
        counts = {task.key: task.runs.count for task in self.tasks(requests)}
        present = self.store.keys()
        return sum(count for key, count in counts.items() if key in present)

    def _raise_failure(self, tasks: Sequence[Block]) -> None:
        """Say what failed, in this call or in one that left its failure on record."""
        for task in tasks:
            failure = self.failures.get(task.key)
            record = self.store.failure(task.key) if isinstance(self.store, Store) else None
            if failure or record:
                raise PieceFailed(failure.error if failure else (record or {})["error"])


def _fixed(dataset: xr.Dataset) -> xr.Dataset:
    """A dataset whose numbers no claim, fault or figure can change for the next."""
    for variable in dataset.load().variables.values():
        if isinstance(variable.data, np.ndarray):
            variable.data.flags.writeable = False
    return dataset


@contextmanager
def told_as_failed(experiment: str) -> Iterator[None]:
    """Tell what goes wrong in a study's own code as where its `compute` fails: in one line.

    Args:
        experiment: The name of the experiment.

    Raises:
        UserError: If anything goes wrong.
    """
    try:
        yield
    except Exception as error:
        raise UserError(f"experiment {experiment!r} failed: {_in_one_line(error)}") from error


Done = Piece | Failure | None


def _in_order_of_completion(
    tasks: Iterable[Task], store: Pieces, executor: Executor
) -> Iterator[tuple[Task | None, Done, int]]:
    """Give each task once it is done, what came back, and how many are being worked on.

    Now and then, while nothing gets done, there is no task.
    """
    target = store if isinstance(store, Store) and store.shared else None
    pending: dict[Future, Task] = {}

    def finished(at_most: int) -> Iterator[tuple[Task | None, Done, int]]:
        while len(pending) > at_most:
            done, _ = wait(pending, timeout=TICK, return_when=FIRST_COMPLETED)
            tasks = [(pending.pop(future), _result(future)) for future in done]
            running = sum(future.running() for future in pending)
            yield from ((task, result, running) for task, result in tasks)
            if not tasks:
                yield None, None, running

    for task in tasks:
        future = executor.submit(_fill, task, target)
        if future.done():
            yield task, _result(future), 0
        else:
            pending[future] = task
            yield from finished(WINDOW)
    yield from finished(0)


def _result(future: Future) -> Done:
    """Give what a future holds, or how it was lost: an error of the executor's."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, UserError):
        raise error
    if isinstance(error, BrokenExecutor):
        raise UserError(f"the executor broke: {error}") from error
    return Lost(f"{type(error).__name__}: {error}")


def _fill(task: Task, store: Store | None) -> Done:
    """Do a task where it was sent; a store that is shared is filled from there.

    An error comes back as words: not every exception survives the way between processes.
    """
    if store is not None and task.found(store):
        return None  # another driver was faster
    try:
        piece = task.make(store)
    except StoreError:
        raise
    except Exception as error:
        return Failure(_in_one_line(error), traceback.format_exc())
    if store is None:
        return piece
    store.put(task.key, piece)
    return None


def _in_one_line(error: Exception) -> str:
    """Name an error, with the line of the user's code where it arose; a `UserError` says it all."""
    words = " ".join(str(error).split())
    if isinstance(error, UserError):
        return words
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno})"
    return f"{type(error).__name__}: {words}{where if frames else ''}"
