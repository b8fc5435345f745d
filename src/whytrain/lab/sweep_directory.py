"""Sweeps: an experiment over a grid of settings, in a run directory."""

import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whytrain.errors import UserError
from whytrain.lab.execution import Failure, Progress, Silent, Tally, execute
from whytrain.lab.executors import Inline
from whytrain.lab.plan import Axis, Plan
from whytrain.lab.provenance import provenance
from whytrain.lab.store import Record, Store, piece_files
from whytrain.lab.tasks import Source, Summary, from_record

RECORD = "sweep.json"


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
    _write_record(store, plan, cells)
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


@dataclass(frozen=True)
class Sweep:
    """A run directory of a sweep, as it lies on disk; the study is not needed to read it.

    Attributes:
        store: Where it lies.
        record: What `sweep.json` says.
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
            record = json.loads(store.files.read(RECORD))
            axes = tuple(
                Axis(tuple(axis["names"]), tuple(tuple(point) for point in axis["points"]))
                for axis in record["axes"]
            )
            return cls(store, record, axes, tuple(record["cells"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
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
            `experiment`, `runs`, `seed`; the counts `cells`, `done`, `failed`, `missing`; `errors`,
            a list of `settings` (of the axes) and `error`; and `digest`, a hash of the results of
            all cells in the order of the grid, equal for equal results.
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


def _write_record(store: Store, plan: Plan, cells: Sequence[Summary]) -> None:
    record = {
        "command": "sweep",
        "experiment": f"{plan.source.reference}/{plan.experiment}",
        "runs": plan.runs,
        "settings": plan.settings,
        "axes": [{"names": axis.names, "points": axis.points} for axis in plan.axes],
        **provenance(plan.source, plan.seed),
    }
    store.note(record)
    content = json.dumps({**record, "cells": [cell.key for cell in cells]}, allow_nan=False)
    store.files.write(RECORD, content.encode())


def _reason(store: Store, key: str) -> Failure:
    record = store.failure(key) or {}
    return Failure(record.get("error", "unknown"), record.get("trace", ""))
