"""Executing tasks: what the store has is not computed again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import xarray as xr

from whytrain.lab.claims import Request
from whytrain.lab.store import Pieces
from whytrain.lab.study import Study
from whytrain.lab.tasks import Source, Task, split


class NotYetRun(LookupError):
    """Some pieces of a request are not in the store."""


@runtime_checkable
class Progress(Protocol):
    """Who is told how far the work is."""

    def start(self, total: int) -> None:
        """Say how many pieces are to be computed."""
        ...

    def advance(self, label: str) -> None:
        """Say that one more piece, of the experiment named, is done."""
        ...

    def stop(self) -> None:
        """Say that the work is over, whatever its end."""
        ...


class Silent:
    """Progress that nobody watches."""

    def start(self, total: int) -> None:
        """Do nothing."""

    def advance(self, label: str) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


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
    failures: Mapping[str, BaseException] = field(default_factory=dict)


def execute(
    tasks: Iterable[Task],
    store: Pieces,
    executor: Executor,
    progress: Progress,
    *,
    keep_going: bool = False,
) -> Tally:
    """Compute those tasks whose pieces the store does not have, each once.

    The executor is the caller's, and so is what it holds when this ends by an exception.

    Args:
        tasks: What is wanted; the same task may come several times.
        store: Where pieces are found and kept.
        executor: Who computes.
        progress: Who is told.
        keep_going: Whether a task that fails leaves the others running.

    Returns:
        What was done.

    Raises:
        Exception: What the first failing task raised, unless `keep_going`.
    """
    wanted = {task.key: task for task in tasks}
    missing = [task for key, task in wanted.items() if not store.has(key)]
    failures: dict[str, BaseException] = {}
    progress.start(len(missing))
    try:
        for task, future in _in_order_of_completion(missing, store, executor):
            error = future.exception()
            if error is None:
                _keep(task, future.result(), store)
            elif keep_going and not isinstance(error, BrokenExecutor):
                failures[task.key] = error
            else:
                raise error
            progress.advance(task.experiment)
    finally:
        progress.stop()
    return Tally(len(missing) - len(failures), len(wanted) - len(missing), failures)


@dataclass(frozen=True)
class Results:
    """The numbers of a study at one seed, as far as they are in the store.

    Attributes:
        source: Where the study comes from.
        study: The study.
        seed: The seed.
        store: Where the pieces are.
        failures: Why pieces could not be computed, by key.
    """

    source: Source
    study: Study
    seed: int
    store: Pieces
    failures: Mapping[str, BaseException] = field(default_factory=dict)

    def tasks(self, requests: Iterable[Request]) -> list[Task]:
        """Cut requests into tasks."""
        return [
            task
            for request in requests
            for task in split(self.source, self.study, request, self.seed)
        ]

    def __call__(self, requests: Sequence[Request]) -> list[xr.Dataset]:
        """Give the datasets of requests, in their order.

        Args:
            requests: What is asked for.

        Returns:
            One dataset a request, with all its runs.

        Raises:
            NotYetRun: If a piece is missing.
        """
        return [self._dataset(request) for request in requests]

    def _dataset(self, request: Request) -> xr.Dataset:
        tasks = self.tasks([request])
        pieces = [self.store.get(task.key) for task in tasks]
        found = [piece for piece in pieces if piece is not None]
        if len(found) < len(tasks):
            missing = len(tasks) - len(found)
            raise NotYetRun(self._why(tasks) or f"{missing} of {len(tasks)} pieces are missing")
        return join(found)

    def _why(self, tasks: Sequence[Task]) -> str:
        """Say what failed."""
        errors = [self.failures[task.key] for task in tasks if task.key in self.failures]
        return f"it failed: {type(errors[0]).__name__}: {errors[0]}" if errors else ""


def join(pieces: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put pieces of one setting together along `run`.

    Args:
        pieces: The pieces, in the order of their runs.

    Returns:
        One dataset; what does not depend on the run is taken from the first piece.
    """
    if len(pieces) == 1:
        return pieces[0]
    return xr.concat(
        pieces,
        dim="run",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def _in_order_of_completion(
    tasks: Iterable[Task], store: Pieces, executor: Executor
) -> Iterator[tuple[Task, Future]]:
    """Submit tasks, and give each with its finished future as soon as there is one."""
    target = store if store.shared else None
    pending: dict[Future, Task] = {}
    for task in tasks:
        future = executor.submit(_fill, task, target)
        if future.done():
            yield task, future
        else:
            pending[future] = task
    for future in as_completed(pending):
        yield pending[future], future


def _fill(task: Task, store: Pieces | None) -> xr.Dataset | None:
    """Do a task where it was sent; a store that is shared is filled from there."""
    dataset = task.compute()
    if store is None:
        return dataset
    store.put(task.key, dataset, task.describe())
    return None


def _keep(task: Task, dataset: xr.Dataset | None, store: Pieces) -> None:
    if dataset is not None:
        store.put(task.key, dataset, task.describe())
