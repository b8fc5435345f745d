"""The verdicts of a study and the results of an experiment, as people see them."""

import math
from collections.abc import Iterable, Mapping, Sequence

from whytrain._mathematics import plain
from whytrain._tables import Table, Word
from whytrain.lab.claims import Claim, Fault
from whytrain.lab.study import Study
from whytrain.lab.verdicts import SIGNS, Finding, Verdict, corrected

Outcomes = Sequence[tuple[Claim, Verdict]]


def claims_table(study: Study, outcomes: Outcomes, settings: Mapping[str, str]) -> Table:
    """The verdicts, and what is unexpected about them.

    Args:
        study: The study.
        outcomes: Its claims, each with its verdict.
        settings: What the user set, by name.
    """
    about = study.title
    if settings:
        told = ", ".join(f"{name} = {value}" for name, value in settings.items())
        about += f"\nat your settings, {told}, for which the study expects nothing"
    return Table(
        title=study.name,
        columns=("claim", "verdict", ">measured", ">%", "rule"),
        rows=[_claim_row(claim, verdict) for claim, verdict in outcomes],
        notes=(
            _legend([verdict.deciding for _, verdict in outcomes]),
            *_remarks(outcomes, expected=not settings),
        ),
        about=about,
        whole=(1, 2),
    )


def faults_table(study: Study, tried: Iterable[tuple[Claim, Fault, Verdict, bool]]) -> Table:
    """Which planted faults turned the verdicts of their claims.

    Args:
        study: The study.
        tried: Of each fault its claim, itself, the verdict on that, and whether it turned.
    """
    tried = list(tried)
    rows = [
        (claim.id, plain(fault.what), f"{SIGNS[verdict.word]} {verdict.word}",
         "yes" if turned else Word("no", "bad"))
        for claim, fault, verdict, turned in tried
    ]  # fmt: skip
    without = [
        f"{claim.id}: no fault, {claim.no_fault or 'none is planted'}"
        for claim in study.claims
        if not claim.faults
    ]
    count = sum(turned for *_, turned in tried)
    score = f"{count} of {len(tried)} planted faults turned the verdict"
    columns = ("claim", "planted fault", "verdict", "turned")
    return Table(study.name, columns, rows, (*without, score), "planted faults")


def _remarks(outcomes: Outcomes, expected: bool) -> list[str]:
    """What is unexpected, where anything is expected, and what would not survive a correction."""
    remarks = []
    survive = corrected([verdict for _, verdict in outcomes])
    for (claim, verdict), kept in zip(outcomes, survive, strict=True):
        if verdict.word != claim.expected and expected:
            remarks.append(f"{claim.id}: {_why(claim, verdict)}")
        elif kept != verdict.word:
            remarks.append(
                f"{claim.id}: {verdict.word}, but not after correction for {len(outcomes)} claims"
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
