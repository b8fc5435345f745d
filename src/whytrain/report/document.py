"""What a report says, as plain values: the one source of its HTML, Markdown, and JSON."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from whytrain.lab import Paper
from whytrain.lab.reproduction import Reproduction
from whytrain.lab.verdicts import SIGNS
from whytrain.report.drawing import Drawing
from whytrain.report.words import score_line

_log = logging.getLogger("whytrain")


def content(reproduction: Reproduction, drawings: Sequence[Drawing]) -> dict[str, Any]:
    """Return what a report says, as values that JSON can hold.

    Args:
        reproduction: The study as it was reproduced.
        drawings: Its figures.

    Returns:
        The dictionary that `report.json` holds: what `whytrain reproduce --json` prints, and more.
    """
    study = reproduction.study
    printed = reproduction.document("report.html")
    return printed | {
        "title": study.title,
        "question": study.question,
        "finding": _finding(reproduction),
        "paper": _paper(study.paper),
        "verdicts": _verdicts(printed["claims"]),
        "runs": reproduction.runs,
        "score": score_line(printed["claims"]),
        "figures": [_figure(drawing) for drawing in drawings],
        "commands": list(reproduction.commands),
    }


def _finding(reproduction: Reproduction) -> str:
    """Return the study's own summary; nothing where it fails, as it may without all numbers."""
    summary = reproduction.study.summary
    try:
        return summary(reproduction.outcomes) if summary else ""
    except Exception as error:
        _log.warning("the study's summary failed: %s: %s", type(error).__name__, error)
        return ""


def _paper(paper: Paper) -> dict[str, Any]:
    return {
        "authors": paper.authors,
        "title": paper.title,
        "venue": paper.venue,
        "year": paper.year,
        "arxiv": paper.arxiv,
        "builds_on": [_paper(earlier) for earlier in paper.builds_on],
    }


def _verdicts(claims: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(claim["verdict"] for claim in claims)
    return {word: counts[word] for word in SIGNS}


def _figure(drawing: Drawing) -> dict[str, Any]:
    stem = f"figures/{drawing.name}"
    files = {} if drawing.problem else {"png": f"{stem}.png", "svg": f"{stem}.svg"}
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "problem": drawing.problem,
        **files,
    }
