"""What there is to reproduce, a study a line; no study is loaded for it, for that takes seconds."""

import json
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from whytrain._signs import SIGNS
from whytrain._tables import WIDTH, rich_table
from whytrain.studies.catalog import CATALOG


def show_studies(results: Path) -> None:
    """Print the built-in studies.

    Args:
        results: Where reproductions go, for what was found there.
    """
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    table = rich_table("study", "question", ">claims", ">exp", "here")
    for name, entry in CATALOG.items():
        numbers = str(entry.claims), str(len(entry.experiments))
        said = _said_here(results / f"{name}-quick")
        table.add_row(escape(name), escape(entry.question), *numbers, said)
    console.print(table)
    more = escape("whytrain list STUDY[/EXPERIMENT]")
    console.print(f"[dim]exp: experiments; here: last run here; more: {more}[/]")


def _said_here(directory: Path) -> str:
    """Verdicts and seconds of the last reproduction in a directory; empty if there is none."""
    try:
        found = json.loads((directory / "report.json").read_text())
        counts = Counter(SIGNS[claim["verdict"]] for claim in found["claims"])
        words = [f"{count} {sign}" for sign, count in counts.items()]
        return " ".join([*words, f"{found['seconds']:.0f} s"])
    except (OSError, ValueError, LookupError, TypeError):  # none, or a damaged one
        return ""
