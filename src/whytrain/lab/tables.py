"""The verdicts of a study and the results of an experiment, as people see them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whytrain._mathematics import plain
from whytrain._tables import Table, Word
from whytrain.lab.claims import Claim
from whytrain.lab.verdicts import SIGNS, Finding, Verdict

if TYPE_CHECKING:
    from whytrain.lab.reproduction import Reproduction


def claims_table(found: "Reproduction") -> Table:
    """The verdicts, and what is unexpected about them.

    Args:
        found: The study, with its verdicts.
    """
    about = found.study.title
    if found.settings:
        told = ", ".join(f"{name} = {value}" for name, value in found.settings.items())
        about += f"\nat your settings, {told}, for which the study expects nothing"
    return Table(
        title=found.study.name,
        columns=("claim", "verdict", ">measured", ">%", "rule"),
        rows=[_claim_row(claim, verdict) for claim, verdict in found.outcomes],
        notes=(_legend([verdict.deciding for _, verdict in found.outcomes]), *_remarks(found)),
        about=about,
        whole=(1, 2),
    )


def faults_table(found: "Reproduction") -> Table:
    """Which planted faults turned the verdicts of their claims.

    Args:
        found: The study, with its faults tried.
    """
    turned = [trial.turned(verdict) for trial, verdict in found.faults]
    rows = [
        (trial.claim.id, plain(trial.fault.what), f"{SIGNS[verdict.word]} {verdict.word}",
         "yes" if yes else Word("no", "bad"))
        for (trial, verdict), yes in zip(found.faults, turned, strict=True)
        if trial.fault is not None
    ]  # fmt: skip
    without = [
        f"{claim.id}: no fault, {claim.no_fault or 'none is planted'}"
        for claim in found.study.claims
        if not claim.faults
    ]
    score = f"{sum(turned)} of {len(turned)} planted faults turned the verdict"
    columns = ("claim", "planted fault", "verdict", "turned")
    return Table(found.study.name, columns, rows, (*without, score), "planted faults")


def _remarks(found: "Reproduction") -> list[str]:
    """What is unexpected, and what would not survive a correction."""
    remarks = []
    for (claim, verdict), kept in zip(found.outcomes, found.corrected, strict=True):
        if verdict.word != claim.expected and not found.settings:
            remarks.append(f"{claim.id}: {_why(claim, verdict)}")
        elif kept != verdict.word:
            remarks.append(
                f"{claim.id}: {verdict.word}, but not after correction for "
                f"{len(found.outcomes)} claims"
            )
    return remarks


def _claim_row(claim: Claim, verdict: Verdict) -> list[str | Word]:
    tone = "good" if verdict.word == claim.expected else "bad"
    said = Word(f"{SIGNS[verdict.word]} {verdict.word}", tone)
    return [claim.id, said, *_finding_cells(verdict.deciding)]


def _legend(findings: Sequence[Finding | None]) -> str:
    """What the columns mean, as far as something stands in them."""
    shown = [finding for finding in findings if finding is not None]
    words = ["measured: estimate [interval] at the confidence in %"]
    if any(finding.estimate.level is None for finding in shown):
        words.append("or [range found] where nothing is random")
    legend = ", ".join(words)
    if any(finding.rule.relation == "every" for finding in shown):
        legend += "; all > t: in every run, which shows it for more than this share of all"
    return legend


def _finding_cells(finding: Finding | None) -> list[str]:
    """Estimate with interval, its level, and the rule."""
    if finding is None:
        return ["–", "", ""]
    found = finding.estimate
    numbers = _number(found.value)
    if finding.rule.relation != "<=":  # of errors the largest says it all
        numbers += f" [{_number(found.low)}, {_number(found.high)}]"
    level = "" if found.level is None else f"{100 * found.level:.4g}"
    rule = str(finding.rule).replace("every run, share", "all").replace(" ± ", "±")  # to fit a line
    return [numbers, level, rule]


def _why(claim: Claim, verdict: Verdict) -> str:
    """Why a verdict is not the expected one, as far as it is known."""
    finding = verdict.deciding
    what = f"{finding.what}: {verdict.word}" if finding else verdict.word
    told = [f"{what}, where {claim.expected} was expected", verdict.note]
    return plain("; ".join(filter(None, told)))


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"
