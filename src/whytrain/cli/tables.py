"""What people see on the terminal, at most 80 columns wide."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whytrain.lab import Claim, Experiment, Finding, Reproduction, Study, Verdict
from whytrain.lab.settings import allowed
from whytrain.lab.sweep import Cost
from whytrain.lab.verdicts import SIGNS

if TYPE_CHECKING:
    import pandas as pd
from whytrain.measures import SteMeasure

_WIDTH = 80
_MOST_ERRORS = 5


def show_claims(reproduction: Reproduction, report: Path) -> None:
    """Print the verdicts, what is unexpected about them, and where the report is.

    Args:
        reproduction: The study, with its verdicts.
        report: The path of the report.
    """
    console, study = _console(), reproduction.study
    console.print(f"[bold]{escape(study.name)}[/]: {escape(study.title)}")
    if reproduction.settings:
        told = ", ".join(f"{name} = {value}" for name, value in reproduction.settings.items())
        console.print(f"at your settings, {escape(told)}, for which the study expects nothing")
    table = _table("claim", "verdict", ">measured", ">%", "rule")
    for column in table.columns[1:3]:
        column.no_wrap = True
    for claim, verdict in reproduction.outcomes:
        table.add_row(*_claim_row(claim, verdict))
    console.print(table)
    console.print(escape(_legend([verdict.deciding for _, verdict in reproduction.outcomes])))
    for (claim, verdict), kept in zip(reproduction.outcomes, reproduction.corrected, strict=True):
        if verdict.word != claim.expected and not reproduction.settings:
            console.print(f"[red]{escape(claim.id)}[/]: {escape(_why(claim, verdict))}")
        elif kept != verdict.word:
            console.print(
                f"{escape(claim.id)}: {verdict.word}, but not after correction for "
                f"{len(reproduction.outcomes)} claims"
            )
    # No wrapping here: a path is there to be copied.
    console.print(f"report: {escape(str(report))}", soft_wrap=True)
    if not math.isnan(reproduction.seconds):
        console.print(f"{reproduction.seconds:.1f} s")


def show_faults(reproduction: Reproduction) -> None:
    """Print which planted faults turned the verdicts of their claims.

    Args:
        reproduction: The study, with its faults tried.
    """
    console = _console()
    table = _table("claim", "planted fault", "verdict", "turned")
    for trial, verdict in reproduction.faults:
        assert trial.fault is not None
        turned = trial.turned(verdict)
        word = f"{SIGNS[verdict.word]} {verdict.word}"
        answer = "yes" if turned else "[red]no[/]"
        table.add_row(escape(trial.claim.id), escape(trial.fault.what), word, answer)
    console.print(table)
    for claim in reproduction.study.claims:
        if not claim.faults:
            why = claim.no_fault or "none is planted"
            console.print(f"{escape(claim.id)}: no fault, {escape(why)}")
    turned = sum(trial.turned(verdict) for trial, verdict in reproduction.faults)
    console.print(f"{turned} of {len(reproduction.faults)} planted faults turned the verdict")


def show_results(document: Mapping[str, Any]) -> None:
    """Print the results of one experiment.

    Args:
        document: What `run_experiment` returned.
    """
    console = _console()
    title = f"{document['study']}/{document['experiment']}"
    console.print(f"[bold]{escape(title)}[/]: {document['runs']} runs, seed {document['seed']}")
    table = _table("result", ">value")
    for name, value in _flat(document["results"]):
        table.add_row(escape(name), escape(value))
    console.print(table)
    console.print(f"{document['seconds']:.1f} s")


def show_status(found: Mapping[str, Any]) -> None:
    """Print how far the work in a run directory is, and why settings failed.

    Args:
        found: What `status` of a sweep or of a reproduction returned.
    """
    console = _console()
    if found["command"] == "reproduce":
        what, size = f"{found['study']}, preset {found['preset']}", ""
    else:
        what, size = found["experiment"], f" of {found['runs']} runs"
    console.print(f"[bold]{escape(what)}[/]: {found['cells']} settings{size}, seed {found['seed']}")
    console.print(f"{found['done']} done, {found['failed']} failed, {found['missing']} missing")
    for failure in found["errors"][:_MOST_ERRORS]:
        console.print(f"[red]failed[/]: {escape(str(failure['error']))}")
        console.print(f"  at {escape(_pairs(failure['settings']))}")
    if len(found["errors"]) > _MOST_ERRORS:
        console.print(f"and {len(found['errors']) - _MOST_ERRORS} more; --json shows all")


def show_cost(cost: Cost) -> None:
    """Print what a sweep will cost.

    Args:
        cost: What `sweep_cost` returned.
    """
    console = _console()
    hours = cost.missing * cost.seconds
    console.print(f"{cost.cells} settings, {cost.missing} pieces to compute")
    console.print(f"{cost.seconds:.3g} s a piece here, {hours:.3g} s in all, in one process")
    console.print(f"{cost.bytes} bytes a piece, {cost.missing * cost.bytes / 1e6:.3g} MB in all")


def show_rows(rows: "pd.DataFrame", limit: int) -> None:
    """Print the first rows of a table, with as many columns as there is room for.

    Args:
        rows: The table.
        limit: How many rows.
    """
    console = Console(highlight=False)
    shown = rows.head(limit)
    cells = {str(name): [_word(value) for value in shown[name].tolist()] for name in rows.columns}
    width, fitting = 0, []
    for name, values in cells.items():
        width += max(map(len, [name, *values])) + 1
        if width > console.width and fitting:
            break
        fitting.append(name)
    table = _table(*(f">{name}" for name in fitting))
    for row in zip(*(cells[name] for name in fitting), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)
    console.print(f"{len(shown)} of {len(rows)} rows")
    if len(fitting) < len(cells):
        more = ", ".join(name for name in cells if name not in fitting)
        console.print(f"more columns (--columns): {escape(more)}")


def show_studies(studies: Sequence[Study], here: Sequence[str]) -> None:
    """Print what there is to reproduce, a study a line.

    Args:
        studies: The studies.
        here: What was found of each in this directory, if it was reproduced.
    """
    console = _console()
    table = _table("study", "question", ">claims", "here")
    for study, said in zip(studies, here, strict=True):
        table.add_row(escape(study.name), escape(study.question), str(len(study.claims)), said)
    console.print(table)
    more = escape("whytrain list STUDY[/EXPERIMENT]")
    console.print(f"[dim]here: last run in this directory; more: {more}[/]")


def show_experiment(experiment: Experiment) -> None:
    """Print the settings of an experiment.

    Args:
        experiment: The experiment.
    """
    console = _console()
    console.print(f"[bold]{escape(experiment.name)}[/]: {escape(experiment.doc)}")
    console.print(_settings_table(experiment))


def show_study(study: Study) -> None:
    """Print one study with the settings of its experiments.

    Args:
        study: The study.
    """
    console = _console()
    _show_heading(console, study)
    for experiment in study.experiments:
        show_experiment(experiment)
    _show_statements(console, study)


def show_ste(found: SteMeasure, picture: str | None) -> None:
    """Print what was measured of a straight-through estimator.

    Args:
        found: The measure.
        picture: Where its picture is, if one was drawn.
    """
    console = _console()
    console.print(
        f"[bold]{escape(found.name)}[/]: {found.verdict} "
        f"(m = {found.m}, u = {found.alignment:g}, ‖w‖ = {found.length:g})"
    )
    console.print(
        f"least E μ'(s x) over its largest: {found.descent:.3g}; mean cosine between coarse and "
        f"true gradient: {found.correlation:.3f}"
    )
    table = _table("critical point", ">angle", ">loss", ">|E g|", "stable", ">rate", ">gone after")
    for point in found.points:
        table.add_row(
            point.kind, f"{point.angle:.3f}", f"{point.loss:.3g}", f"{point.slope:.2g}",
            "yes" if point.stable else "no", f"{point.rate:.3g}",
            "–" if point.collapse is None else f"{point.collapse:.3g}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"of standard normal inputs {found.lost:.2%} are above 0 and send nothing back; at "
        f"{_jumps(found)}"
    )
    console.print(escape(found.recommendation))
    console.print(f"[dim]Holds for: {escape(found.assumptions)}.[/]")
    if picture is not None:
        console.print(f"picture: {escape(picture)}", soft_wrap=True)


def _jumps(found: SteMeasure) -> str:
    """What is sent back at the borders, in words."""
    if not found.borders:
        return "no place does the derivative jump"
    words = (
        f"x = {x:.4g} it sends {there:.3g} (below {below:.3g}, above {above:.3g})"
        for x, below, there, above in found.borders[:4]
    )
    return ", ".join(words)


def _console() -> Console:
    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    return console


def _table(*columns: str) -> Table:
    """Make a table; a column whose name starts with `>` is aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify = "right" if column.startswith(">") else "left"
        table.add_column(column.lstrip(">"), justify=justify, overflow="fold")
    table.columns[0].no_wrap = True  # names are there to be read and copied whole
    return table


def _claim_row(claim: Claim, verdict: Verdict) -> list[str]:
    color = "green" if verdict.word == claim.expected else "red"
    return [
        escape(claim.id),
        f"[{color}]{SIGNS[verdict.word]} {verdict.word}[/]",
        *_finding_cells(verdict.deciding),
    ]


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
    return [escape(numbers), level, escape(rule)]


def _why(claim: Claim, verdict: Verdict) -> str:
    """Why a verdict is not the expected one, as far as it is known."""
    finding = verdict.deciding
    what = f"{finding.what}: {verdict.word}" if finding else verdict.word
    told = [f"{what}, where {claim.expected} was expected", verdict.note]
    return "; ".join(filter(None, told))


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _show_heading(console: Console, study: Study) -> None:
    paper = study.paper
    console.print(f"[bold]{escape(study.name)}[/]: {escape(study.question)}")
    console.print(escape(f"{paper.authors}. {paper.title}. {paper.venue} {paper.year}."))
    console.print()


def _show_statements(console: Console, study: Study) -> None:
    if not study.claims:
        return
    table = _table("claim", "statement")
    for claim in study.claims:
        table.add_row(escape(claim.id), escape(claim.statement))
    console.print(table)


def _settings_table(experiment: Experiment) -> Table:
    table = _table("setting", "default", "meaning")
    for field in dataclasses.fields(experiment.settings):
        unit = field.metadata.get("unit")
        doc = field.metadata.get("doc", "") + (f" [{unit}]" if unit else "")
        meaning = f"{doc}: {allowed(experiment.settings, field)}"
        table.add_row(escape(field.name), escape(_word(field.default)), escape(meaning))
    return table


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_word(value)}" for name, value in settings.items())


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Walk nested results, naming each leaf by the way to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, _word(value)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
