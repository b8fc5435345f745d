"""Reproducing a paper: every claim of a study, with its verdict."""

import logging
import math
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whytrain._json import jsonable
from whytrain._tables import Shown, Table
from whytrain.errors import UserError
from whytrain.lab.claims import Cell, Cells, Claim, Fault
from whytrain.lab.directory import Sweep, provenance, read_record, single_values, write_record
from whytrain.lab.execution import (
    NotYetRun,
    PieceFailed,
    Progress,
    Results,
    Silent,
    Tally,
    execute,
    told_as_failed,
)
from whytrain.lab.executors import Inline
from whytrain.lab.experiment import Request
from whytrain.lab.settings import as_dict, fingerprint
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Study
from whytrain.lab.tables import claims_table, faults_table
from whytrain.lab.tasks import Source
from whytrain.lab.verdicts import Finding, Verdict, Word, corrected

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger("whytrain")


@dataclass(frozen=True)
class Trial:
    """A claim, as it is or with a fault planted.

    Attributes:
        claim: The claim.
        preset: The preset, which says what numbers it needs.
        fault: What is planted, if anything.
    """

    claim: Claim
    preset: str
    fault: Fault | None = None

    def requests(self, look: int = 1) -> list[Request]:
        """The numbers that a look needs.

        Args:
            look: Its number, from 1.
        """
        other = self.fault and self.fault.requests
        return self.claim.at_look(look, (other or self.claim.requests)(self.preset))

    def verdict(self, results: Results) -> Verdict:
        """Judge by the numbers there are, with as many looks as are needed and can be had.

        Args:
            results: The numbers.

        Returns:
            The verdict. A check that fails has none, and costs no other claim its own.
        """
        verdict = Verdict(state="not run")
        try:
            for look in range(1, self.claim.looks + 1):
                verdict = self.claim.judge(self._cells(results, look), look)
                if not self.claim.needs_more(verdict):
                    break
        except PieceFailed as error:
            return self._without(verdict, "failed", f"it failed: {error}")
        except NotYetRun as error:
            return self._without(verdict, "not run", f"not run: {error}")
        except UserError as error:  # such as numbers that are not there at a user's settings
            return Verdict(state="failed", note=f"it cannot be judged: {error}")
        except Exception as error:  # a study's bug must not cost the user the rest of the report
            _log.warning("the check of claim %r failed: %r", self.claim.id, error)
            why = f"the check failed: {type(error).__name__}: {error}"
            return Verdict(state="failed", note=why)
        return verdict

    def wants(self, verdict: Verdict) -> list[Request]:
        """The numbers that a further look needs, if there is to be one.

        Args:
            verdict: What the looks until now said.
        """
        more = verdict.state == "judged" and self.claim.needs_more(verdict)
        return self.requests(verdict.look + 1) if more else []

    def turned(self, verdict: Verdict) -> bool:
        """Whether a fault turned the verdict into the opposite of what is expected.

        Args:
            verdict: That on the claim with the fault.
        """
        opposite = "supported" if self.claim.expected == "contradicted" else "contradicted"
        return verdict.word == opposite

    def _cells(self, results: Results, look: int) -> Cells:
        cells = results.cells(self.requests(look))
        return self.fault.plant(cells) if self.fault else cells

    @staticmethod
    def _without(verdict: Verdict, state: str, why: str) -> Verdict:
        """The verdict until now, where there is one, or a state and its reason."""
        if verdict.findings:
            note = "; ".join(filter(None, [verdict.note, f"more runs are missing, {why}"]))
            return replace(verdict, note=note)
        return Verdict(state="failed" if state == "failed" else "not run", note=why)


def trials(study: Study, preset: str, *, faults: bool = False) -> list[Trial]:
    """All claims of a study, or all of its planted faults.

    Args:
        study: The study.
        preset: The preset.
        faults: Whether the faults are meant.
    """
    if not faults:
        return [Trial(claim, preset) for claim in study.claims]
    return [Trial(claim, preset, fault) for claim in study.claims for fault in claim.faults]


def undecided(those: Iterable[Trial], results: Results) -> list[Request]:
    """What further looks need that have not been taken.

    Args:
        those: Claims.
        results: The numbers there are.
    """
    return [request for trial in those for request in trial.wants(trial.verdict(results))]


@dataclass(frozen=True, kw_only=True, repr=False)
class Reproduction(Shown):
    """A study, run at a preset, with the verdicts on its claims; it shows itself as their table.

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
        figures: The figures that were drawn, by name; a notebook shows them.
        report: The path of the report, if one was written.
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
    figures: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None

    def shown(self) -> Table:
        """The verdicts."""
        return claims_table(self.study, self.outcomes, self.settings)

    def faults_shown(self) -> Table:
        """Which planted faults turned the verdicts of their claims."""
        return faults_table(self.study, self._tried())

    def status(self) -> dict[str, Any]:
        """Say how far it is.

        Returns:
            `command`, `study`, `preset`, `seed`; the counts `cells` (of settings that claims and
            figures ask for), `done`, `failed`, `missing`; `errors`, a list of `experiment`,
            `settings` and `error`; and `digest`, a hash of the verdicts with their numbers.
        """
        found = [(request, self._found(request)) for request in self._asked()]
        errors = [
            {"experiment": r.experiment, "settings": as_dict(r.settings), "error": str(one)}
            for r, one in found
            if isinstance(one, PieceFailed)
        ]
        done = sum(isinstance(one, Cell) for _, one in found)
        return {
            "command": "reproduce",
            "study": self.study.name,
            "preset": self.preset,
            "seed": self.seed,
            "cells": len(found),
            "done": done,
            "failed": len(errors),
            "missing": len(found) - done - len(errors),
            "errors": errors,
            "digest": fingerprint(self.document()["claims"]),
        }

    def table(self) -> "pd.DataFrame":
        """Give the finished settings as rows: experiment, runs, settings, single results.

        A result that has the name of a setting is named `NAME_result`.
        """
        import pandas as pd

        rows = []
        for request in self._asked():
            if isinstance(cell := self._found(request), Cell):
                experiment = self.study.experiment(request.experiment)
                with told_as_failed(experiment.name):
                    results = jsonable(experiment.results(cell.data, cell.settings))
                asked = {"experiment": experiment.name, "runs": cell.runs}
                asked |= as_dict(cell.settings)
                found = single_values(results)
                rows.append(asked | {f"{k}_result" if k in asked else k: found[k] for k in found})
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["experiment", "runs"])

    def _asked(self) -> list[Request]:
        return list(dict.fromkeys(_first(self.study, self.preset)))

    def _found(self, request: Request) -> Cell | NotYetRun:
        try:
            return self.cells([request])[0]
        except NotYetRun as error:
            return error

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
        tried: dict[str, list] = {claim.id: [] for claim in self.study.claims}
        for claim, fault, verdict, turned in self._tried():
            said = {"fault": fault.what, "verdict": verdict.word, "turned": turned}
            tried[claim.id].append(said)
        return {
            "study": self.study.name,
            "preset": self.preset,
            "seed": self.seed,
            "settings": self.settings,
            "seconds": jsonable(self.seconds),
            "report": report,
            "claims": [
                claim_document(claim, verdict) | {"corrected": word, "faults": tried[claim.id]}
                for (claim, verdict), word in found
            ],
            "as_expected": self.as_expected,
            "plan": self.plan,
            "as_planned": self.plan == self.planned,
            "pieces": {"computed": self.computed, "reused": self.reused, "wanted": self.wanted},
            "started": self.started,
            "versions": self.versions,
        }

    def _tried(self) -> list[tuple[Claim, Fault, Verdict, bool]]:
        """Of each planted fault its claim, itself, the verdict on that, and whether it turned."""
        return [
            (trial.claim, trial.fault, verdict, trial.turned(verdict))
            for trial, verdict in self.faults
            if trial.fault is not None
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
        "command": "reproduce",
        "preset": preset,
        "plan": plan(study, preset),
        "claims": list(claims),
        "settings": settings,
        "commands": [_command(source, preset, seed, out, claims, settings)],
    }
    store.note(record)
    write_record(store, record | {"seconds": None, "computed": 0, "reused": 0})
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
    write_record(store, record | done)
    return _reproduction(record | done, study, results)


def reopen(place: str | Path, source: Callable[[str], Source]) -> "Reproduction | Sweep":
    """Open a run directory as it is, finished or not, without computing anything.

    Args:
        place: The directory, a path or a URL.
        source: Finds the source of a study by its reference.

    Returns:
        What was asked for there last. The claims of a reproduction are judged again; one whose
        numbers are missing is `not run`, and says so.

    Raises:
        UserError: If it is no run directory, or its study is not found.
    """
    store = Store.open(place, create=False)
    record = read_record(store)
    if record["command"] != "reproduce":
        return Sweep.open(place)
    try:
        reference, preset, seed = record["study"], record["preset"], record["seed"]
        claims, settings = record["claims"], record["settings"]
    except KeyError as error:
        raise UserError(f"{place}: the record of what was asked lacks {error}") from error
    found = source(reference)
    study = found.study().narrowed(claims, settings)
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
        claims=tuple(record["claims"]),
        settings=record["settings"],
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


def _command(
    source: Source, preset: str, seed: int, out: Path, claims: Sequence[str],
    settings: Mapping[str, str],
) -> str:  # fmt: skip
    words = ["whytrain", "reproduce", source.reference]
    options = ["--preset", preset, "--seed", str(seed), "--out", str(out)]
    options += [word for id in claims for word in ("--claim", id)]
    options += [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    return shlex.join(words + options)
