"""One page for several reports: a card for each paper that leads to its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from whytrain._files import write_atomically, writing_to
from whytrain.errors import UserError
from whytrain.lab.verdicts import SIGNS
from whytrain.report.html import environment
from whytrain.report.words import summary_line


def has_reports(directory: str | Path) -> bool:
    """Whether run directories with reports of studies lie in a directory."""
    return bool(_reports(Path(directory)))


def write_papers(directory: str | Path) -> Path:
    """Write `index.html` with a card for each report of a study in the directories below.

    Args:
        directory: Holds run directories, such as `whytrain-results`.

    Returns:
        The path of the page.

    Raises:
        UserError: There is no report, or the page cannot be written.
    """
    directory = Path(directory)
    found = _reports(directory)
    if not found:
        raise UserError(
            f"{str(directory)!r} holds no run directory with a report of a study; "
            "whytrain reproduce STUDY leaves one"
        )
    cards = [_card(place, said) for place, said in found]
    page = environment().get_template("papers.html.j2").render(cards=cards)
    with writing_to(directory):
        write_atomically(directory / "index.html", page.encode())
    return directory / "index.html"


def _reports(directory: Path) -> list[tuple[str, dict[str, Any]]]:
    """The reports of studies, by year of the paper."""
    found = []
    for path in sorted(directory.glob("*/report.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(said, dict) and {"study", "conclusion", "paper", "figures"} <= said.keys():
            found.append((path.parent.name, said))
    return sorted(found, key=lambda pair: (pair[1]["paper"]["year"], pair[0]))


def _weight(figure: dict[str, Any]) -> int:
    """How many claims a figure shows: the first of those that show most stands for its report."""
    return len(figure["claims"])


def _card(place: str, said: dict[str, Any]) -> dict[str, Any]:
    drawn = [figure for figure in said["figures"] if not figure["problem"]]
    verdicts = [
        {"sign": SIGNS[word], "word": word, "count": count}
        for word, count in said["verdicts"].items()
        if count
    ]
    return {
        **said,
        "place": place,
        "summary": summary_line(said),
        "picture": max(drawn, key=_weight, default=None),
        "signs": verdicts,
    }
