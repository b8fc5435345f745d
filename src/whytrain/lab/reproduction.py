"""Reproducing a paper: every claim of a study, with its verdict."""

import json
import logging
import math
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from whytrain.errors import UserError
from whytrain.lab.claims import Claim, Request, Verdict
from whytrain.lab.execution import NotYetRun, Progress, Results, Silent, Tally, execute
from whytrain.lab.executors import Inline
from whytrain.lab.files import write_atomically, writing_to
from whytrain.lab.jsonable import jsonable
from whytrain.lab.provenance import provenance
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Study
from whytrain.lab.tasks import Source

_RECORD = "reproduction.json"

_log = logging.getLogger("whytrain")


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A study, run at a preset, with the verdicts on its claims.

    Attributes:
        study: The study.
        preset: The preset.
        seed: The seed.
        seconds: How long the last call took; NaN for one that was interrupted.
        computed: How many pieces it computed.
        reused: How many it found in the run directory.
        outcomes: The claims in the order of the study, each with its verdict.
        datasets: Gives the datasets of requests (a figure's, say) in their order; raises
            `NotYetRun` where a piece is missing.
        commands: The commands that do it again.
        versions: The version of each package that matters, and of Python.
        started: When the last call began, ISO 8601, in UTC.
    """

    study: Study
    preset: str
    seed: int
    seconds: float
    computed: int
    reused: int
    outcomes: list[tuple[Claim, Verdict]]
    datasets: Callable[[Sequence[Request]], list[xr.Dataset]]
    commands: list[str]
    versions: dict[str, str]
    started: str

    @property
    def as_expected(self) -> bool:
        """Whether every verdict is the one that the study expects."""
        return all(verdict.verdict == claim.expected for claim, verdict in self.outcomes)

    def document(self, report: str | None = None) -> dict[str, Any]:
        """Give what `whytrain reproduce --json` prints.

        Args:
            report: The path of the report.

        Returns:
            Values that JSON can hold.
        """
        return {
            "study": self.study.name,
            "preset": self.preset,
            "seed": self.seed,
            "seconds": jsonable(self.seconds),
            "report": report,
            "claims": [_claim_document(claim, verdict) for claim, verdict in self.outcomes],
            "as_expected": self.as_expected,
            "pieces": {"computed": self.computed, "reused": self.reused},
            "started": self.started,
            "versions": self.versions,
        }


def reproduce(
    source: Source,
    preset: str,
    out: Path,
    *,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Compute what a study's claims and figures need, and judge the claims.

    A piece that cannot be computed, or a check that fails, costs its claim the verdict
    (`inconclusive`, with a note) and no other.

    Args:
        source: Where the study comes from.
        preset: The size at which it is reproduced.
        out: The run directory; what it holds is not computed again.
        seed: The seed.
        executor: Who computes; this thread by default.
        progress: Who is told.

    Returns:
        The reproduction.

    Raises:
        UserError: If something asked for is not allowed; nothing has been written then.
    """
    clock = time.perf_counter()
    study = source.study()
    study.preset(preset)
    plan = Results(source, study, seed, MemoryStore())
    tasks = plan.tasks(_requests(study, preset))  # before anything is written
    store = Store.open(out)
    record = provenance(source, seed) | {
        "preset": preset,
        "commands": [_command(source, preset, seed, out)],
    }
    _write_record(out, record | {"seconds": None, "computed": 0, "reused": 0})
    tally = execute(tasks, store, executor or Inline(), progress or Silent(), keep_going=True)
    _report_failures(tally)
    results = Results(source, study, seed, store, tally.failures)
    outcomes = judge(study, preset, results)
    done = {"computed": tally.computed, "reused": tally.reused}
    done |= {"seconds": round(time.perf_counter() - clock, 3)}
    _write_record(out, record | done)
    return _reproduction(record | done, study, results, outcomes)


def reopen(out: Path, source: Callable[[str], Source]) -> Reproduction:
    """Judge the claims of a run directory again, finished or not, without computing anything.

    Args:
        out: The run directory.
        source: Finds the source of a study by its reference.

    Returns:
        The reproduction; a claim whose numbers are missing is `inconclusive`, and says so.

    Raises:
        UserError: If `reproduce` never ran in the directory, or its study is not found.
    """
    store = Store.open(out, create=False)
    try:
        record = json.loads((out / _RECORD).read_bytes())
        reference, preset, seed = record["study"], record["preset"], record["seed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{out} holds no reproduction; run whytrain reproduce first") from error
    found = source(reference)
    study = found.study()
    results = Results(found, study, seed, store)
    return _reproduction(record, study, results, judge(study, study.preset(preset), results))


def judge(study: Study, preset: str, results: Results) -> list[tuple[Claim, Verdict]]:
    """Give the verdict on every claim of a study.

    Args:
        study: The study.
        preset: The preset, which says what numbers the claims need.
        results: The numbers.

    Returns:
        The claims in the order of the study, each with its verdict.
    """
    return [(claim, _verdict(claim, preset, results)) for claim in study.claims]


def _verdict(claim: Claim, preset: str, results: Results) -> Verdict:
    try:
        return claim.check(results(claim.requests(preset)))
    except NotYetRun as error:
        return _no_verdict(f"not yet run: {error}")
    except Exception as error:  # a study's bug must not cost the user the rest of the report
        _log.warning("the check of claim %r failed: %r", claim.id, error)
        return _no_verdict(f"the check failed: {type(error).__name__}: {error}")


def _no_verdict(note: str) -> Verdict:
    return Verdict("inconclusive", math.nan, (math.nan, math.nan), math.nan, 0, note)


def _requests(study: Study, preset: str) -> Iterable[Request]:
    return [
        request for part in (*study.claims, *study.figures) for request in part.requests(preset)
    ]


def _reproduction(
    record: dict[str, Any],
    study: Study,
    results: Results,
    outcomes: list[tuple[Claim, Verdict]],
) -> Reproduction:
    seconds = record["seconds"]
    return Reproduction(
        study=study,
        preset=record["preset"],
        seed=record["seed"],
        seconds=math.nan if seconds is None else seconds,
        computed=record["computed"],
        reused=record["reused"],
        outcomes=outcomes,
        datasets=results,
        commands=record["commands"],
        versions=record["versions"],
        started=record["started"],
    )


def _claim_document(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": verdict.verdict,
        "expected": claim.expected,
        "estimate": jsonable(verdict.estimate),
        "interval": jsonable(verdict.interval),
        "threshold": jsonable(verdict.threshold),
        "runs": verdict.runs,
        "note": verdict.note,
    }


def _report_failures(tally: Tally) -> None:
    for key, failure in tally.failures.items():
        _log.warning("piece %s could not be computed: %s", key[:12], failure.error)


def _write_record(out: Path, record: dict[str, Any]) -> None:
    with writing_to(out):
        content = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_atomically(out / _RECORD, content.encode())


def _command(source: Source, preset: str, seed: int, out: Path) -> str:
    words = ["whytrain", "reproduce", source.reference]
    options = ["--preset", preset, "--seed", str(seed), "--out", str(out)]
    return shlex.join(words + options)
