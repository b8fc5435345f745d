"""Reproducing a paper: every claim of a study, with its verdict."""

import json
import logging
import math
import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whytrain.errors import UserError
from whytrain.lab.claims import Cells, Claim
from whytrain.lab.execution import Progress, Results, Silent, Tally, execute
from whytrain.lab.executors import Inline
from whytrain.lab.experiment import Request
from whytrain.lab.files import write_atomically, writing_to
from whytrain.lab.jsonable import jsonable
from whytrain.lab.judging import Trial, trials, undecided
from whytrain.lab.provenance import provenance
from whytrain.lab.settings import fingerprint
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Study
from whytrain.lab.tasks import Source
from whytrain.lab.verdicts import Finding, Verdict, Word, corrected

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
        wanted: How many pieces claims and figures ask for at first.
        outcomes: The claims in the order of the study, each with its verdict.
        faults: The planted faults, each with its claim and the verdict on that; those whose numbers
            were never asked for are left out.
        cells: Gives the numbers of requests (a figure's, say) in their order; raises `NotYetRun`
            where a piece is missing.
        runs: How many runs there are behind claims and figures, each counted once.
        plan: The hash of what was fixed before numbers were seen: statements, rules and requests.
        planned: That hash at the time when the numbers were asked for.
        commands: The commands that do it again.
        versions: The version of each package that matters, and of Python.
        started: When the last call began, ISO 8601, in UTC.
        claims: The ids of the claims that were asked for; none if all.
        settings: What the user set, by name; where anything is, the study expects nothing.
    """

    study: Study
    preset: str
    seed: int
    seconds: float
    computed: int
    reused: int
    wanted: int
    outcomes: list[tuple[Claim, Verdict]]
    faults: list[tuple[Trial, Verdict]] = field(default_factory=list)
    cells: Callable[[Sequence[Request]], Cells]
    runs: int
    plan: str
    planned: str
    commands: list[str]
    versions: dict[str, str]
    started: str
    claims: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def as_expected(self) -> bool:
        """Whether every verdict is the one that the study expects, or any at a user's settings."""
        if self.settings:
            return all(verdict.state == "judged" for _, verdict in self.outcomes)
        return all(verdict.word == claim.expected for claim, verdict in self.outcomes)

    @property
    def corrected(self) -> list[Word]:
        """The words that survive Holm's correction over the report, in the order of the claims."""
        return corrected([verdict for _, verdict in self.outcomes])

    @property
    def all_turned(self) -> bool:
        """Whether each planted fault turned the verdict of its claim."""
        return all(trial.turned(verdict) for trial, verdict in self.faults)

    def document(self, report: str | None = None) -> dict[str, Any]:
        """Give what `whytrain reproduce --json` prints.

        Args:
            report: The path of the report.

        Returns:
            Values that JSON can hold.
        """
        found = zip(self.outcomes, self.corrected, strict=True)
        return {
            "study": self.study.name,
            "preset": self.preset,
            "seed": self.seed,
            "settings": self.settings,
            "seconds": jsonable(self.seconds),
            "report": report,
            "claims": [
                claim_document(claim, verdict) | {"corrected": word, "faults": self._tried(claim)}
                for (claim, verdict), word in found
            ],
            "as_expected": self.as_expected,
            "plan": self.plan,
            "as_planned": self.plan == self.planned,
            "pieces": {"computed": self.computed, "reused": self.reused, "wanted": self.wanted},
            "started": self.started,
            "versions": self.versions,
        }

    def _tried(self, claim: Claim) -> list[dict[str, Any]]:
        return [
            {"fault": fault.what, "verdict": verdict.word, "turned": trial.turned(verdict)}
            for trial, verdict in self.faults
            if trial.claim is claim and (fault := trial.fault) is not None
        ]


def reproduce(
    source: Source,
    preset: str,
    out: Path,
    *,
    seed: int = 0,
    check: bool = False,
    claims: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Compute what a study's claims and figures need, and judge the claims.

    A claim that its numbers do not decide is looked at again with more runs, as its rules allow. A
    piece that cannot be computed, or a check that fails, costs its claim the verdict (`failed`,
    with a note) and no other.

    Args:
        source: Where the study comes from.
        preset: The size at which it is reproduced.
        out: The run directory; what it holds is not computed again.
        seed: The seed.
        check: Whether the numbers are computed that planted faults ask for besides.
        claims: Ids of the claims that are meant, with their figures; all of them by default.
        settings: What is written for a setting, by its name: claims are judged there.
        executor: Who computes; this thread by default.
        progress: Who is told.

    Returns:
        The reproduction.

    Raises:
        UserError: If something asked for is not allowed; nothing has been written then.
    """
    clock = time.perf_counter()
    settings = dict(settings or {})
    study = source.study().narrowed(claims, settings)
    study.preset(preset)
    those = trials(study, preset) + (trials(study, preset, faults=True) if check else [])
    asked = [*_first(study, preset), *(r for trial in those for r in trial.requests())]
    planned = Results(source, study, seed, MemoryStore()).tasks(asked)  # before a word is written
    store = Store.open(out)
    record = provenance(source, seed) | {
        "preset": preset,
        "plan": plan(study, preset),
        "claims": list(claims),
        "settings": settings,
        "commands": [_command(source, preset, seed, out, claims, settings)],
    }
    _write_record(out, record | {"seconds": None, "computed": 0, "reused": 0})
    execution = (store, executor or Inline(), progress or Silent())
    tally = execute(planned, *execution, keep_going=True)
    results = Results(source, study, seed, store, tally.failures)
    while more := _missing(results, undecided(those, results)):
        further = execute(more, *execution, keep_going=True)
        tally = Tally(
            tally.computed + further.computed, tally.reused, {**tally.failures, **further.failures}
        )
        results = Results(source, study, seed, store, tally.failures)
    _report_failures(tally)
    done = {"computed": tally.computed, "reused": tally.reused}
    done |= {"seconds": round(time.perf_counter() - clock, 3)}
    _write_record(out, record | done)
    return _reproduction(record | done, study, results)


def reopen(out: Path, source: Callable[[str], Source]) -> Reproduction:
    """Judge the claims of a run directory again, finished or not, without computing anything.

    Args:
        out: The run directory.
        source: Finds the source of a study by its reference.

    Returns:
        The reproduction; a claim whose numbers are missing is `not run`, and says so.

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
    study = found.study().narrowed(record.get("claims", ()), record.get("settings", {}))
    study.preset(preset)
    return _reproduction(record, study, Results(found, study, seed, store))


def plan(study: Study, preset: str) -> str:
    """Hash what a study fixes before it sees numbers: statements, rules, looks and requests.

    Args:
        study: The study.
        preset: The preset.

    Returns:
        A SHA-256 digest in hexadecimal.
    """
    return fingerprint(*(claim.plan(preset) for claim in study.claims))


def _first(study: Study, preset: str) -> list[Request]:
    """What claims and figures need at first; what a claim has no further look at is cut alike."""
    return [
        request for part in (*study.claims, *study.figures) for request in part.requests(preset)
    ]


def _missing(results: Results, asked: Sequence[Request]) -> list[Any]:
    """The tasks whose pieces are neither there nor known to fail."""
    present = results.store.keys() | set(results.failures)
    return [task for task in results.tasks(asked) if task.key not in present]


def _reproduction(record: dict[str, Any], study: Study, results: Results) -> Reproduction:
    preset, seconds = record["preset"], record["seconds"]
    first = _first(study, preset)
    wanted = {task.key for task in results.tasks(first)}
    outcomes = [(trial.claim, trial.verdict(results)) for trial in trials(study, preset)]
    faults = [(trial, trial.verdict(results)) for trial in trials(study, preset, faults=True)]
    fixed = plan(study, preset)
    unfinished = {"computed": len(wanted & results.store.keys()), "reused": 0}
    counted = record if seconds is not None else unfinished
    return Reproduction(
        study=study,
        preset=preset,
        seed=record["seed"],
        seconds=math.nan if seconds is None else seconds,
        computed=counted["computed"],
        reused=counted["reused"],
        wanted=len(wanted),
        outcomes=outcomes,
        faults=[(trial, verdict) for trial, verdict in faults if verdict.state != "not run"],
        cells=results.cells,
        runs=results.runs(first),
        plan=fixed,
        planned=record.get("plan", fixed),
        commands=record["commands"],
        versions=record["versions"],
        started=record["started"],
        claims=tuple(record.get("claims", ())),
        settings=record.get("settings", {}),
    )


def claim_document(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    """Give what JSON says of a claim: the word, and all that it follows from.

    Args:
        claim: The claim.
        verdict: The verdict on it.
    """
    return {
        "id": claim.id,
        "title": claim.title,
        "group": claim.group,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": verdict.word,
        "expected": claim.expected,
        **_finding_document(verdict.deciding),
        "p_value": verdict.p_value,
        "runs": verdict.runs,
        "look": verdict.look,
        "note": verdict.note,
        "does_not_show": claim.does_not_show,
        "no_fault": claim.no_fault,
        "figures": list(claim.figures),
        "parts": [
            _finding_document(finding) | {"verdict": finding.word} for finding in verdict.findings
        ],
    }


def _finding_document(finding: Finding | None) -> dict[str, Any]:
    """What the word follows from: the numbers, and the rule they are held against."""
    if finding is None:
        names = ("what", "estimate", "relation", "threshold", "tolerance", "level")
        return {**dict.fromkeys(names), "interval": [None, None]}
    estimate, rule = finding.estimate, finding.rule
    return {
        "what": finding.what,
        "estimate": jsonable(estimate.value),
        "interval": jsonable(estimate.interval),
        "relation": rule.relation,
        "threshold": jsonable(rule.threshold),
        "tolerance": jsonable(rule.tolerance),
        "level": estimate.level,
    }


def _report_failures(tally: Tally) -> None:
    """One line for each cause: a set of images that is not here stops many pieces."""
    for error, count in Counter(failure.error for failure in tally.failures.values()).items():
        pieces = "1 piece" if count == 1 else f"{count} pieces"
        _log.warning("%s could not be computed: %s", pieces, error)


def _write_record(out: Path, record: dict[str, Any]) -> None:
    with writing_to(out):
        content = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_atomically(out / _RECORD, content.encode())


def _command(
    source: Source, preset: str, seed: int, out: Path, claims: Sequence[str],
    settings: Mapping[str, str],
) -> str:  # fmt: skip
    words = ["whytrain", "reproduce", source.reference]
    options = ["--preset", preset, "--seed", str(seed), "--out", str(out)]
    options += [word for id in claims for word in ("--claim", id)]
    options += [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    return shlex.join(words + options)
