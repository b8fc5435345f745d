"""What people see on the terminal, at most 80 columns wide."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from whytrain._mathematics import plain
from whytrain._tables import WIDTH, in_words
from whytrain._tables import rich_table as _table
from whytrain.commands import Result
from whytrain.lab import Experiment, Reproduction, Study
from whytrain.lab.sweep import Cost

if TYPE_CHECKING:
    import pandas as pd

    from whytrain.measures import SteMeasure

_MOST_ERRORS = 5


def show_claims(reproduction: Reproduction, report: Path) -> None:
    """Print the verdicts, what is unexpected about them, and where the report is.

    Args:
        reproduction: The study, with its verdicts.
        report: The path of the report.
    """
    console = _console()
    reproduction.shown().print(console)
    # No wrapping here: a path is there to be copied.
    console.print(f"report: {escape(str(report))}", soft_wrap=True)
    if not math.isnan(reproduction.seconds):
        console.print(f"{reproduction.seconds:.1f} s")


def show_faults(reproduction: Reproduction) -> None:
    """Print which planted faults turned the verdicts of their claims.

    Args:
        reproduction: The study, with its faults tried.
    """
    reproduction.faults_shown().print(_console())


def show_result(result: Result) -> None:
    """Print the results of one experiment.

    Args:
        result: What its runs found.
    """
    result.shown().print(_console())


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
    cells = {
        str(name): [in_words(value) for value in shown[name].tolist()] for name in rows.columns
    }
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


def show_experiment(experiment: Experiment) -> None:
    """Print the settings of an experiment.

    Args:
        experiment: The experiment.
    """
    experiment.shown().print(_console())


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


def show_ste(found: "SteMeasure", picture: str | None) -> None:
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


def _jumps(found: "SteMeasure") -> str:
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
    console.width = min(console.width, WIDTH)
    return console


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
        table.add_row(escape(claim.id), escape(plain(claim.statement)))
    console.print(table)


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {in_words(value)}" for name, value in settings.items())
