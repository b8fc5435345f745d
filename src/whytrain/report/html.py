"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from whytrain.lab.verdicts import SIGNS
from whytrain.report.drawing import Drawing
from whytrain.report.export import inline_svg
from whytrain.report.glyph import interval_glyph
from whytrain.report.numbers import duration, measurement, number, shown
from whytrain.report.words import (
    corrected_words,
    level_words,
    rule_words,
    summary_line,
    verdict_words,
)


def render(content: Mapping[str, Any], drawings: Sequence[Drawing]) -> str:
    """Return the report as an HTML document.

    Args:
        content: What it says.
        drawings: Its figures.

    Returns:
        The document, with styles and pictures in it.
    """
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=content,
            claims=[_claim(claim) for claim in content["claims"]],
            summary=summary_line(content),
            pictures=[_picture(drawing) for drawing in drawings],
        )
    )


def environment() -> jinja2.Environment:
    """Return what fills in the templates, with the filters that they use."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("whytrain.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(number=number, duration=duration, shown=shown)
    return found


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return a claim with what the page shows of it."""
    words = [verdict_words(claim), corrected_words(claim)]
    return {
        **_finding(claim),
        "sign": SIGNS[claim["verdict"]],
        "class": claim["verdict"].replace(" ", "-"),
        "words": "; ".join(filter(None, words)),
        "parts": [_finding(part) | {"sign": SIGNS[part["verdict"]]} for part in claim["parts"]],
    }


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Return a number with what the page shows of it."""
    estimate, low, high = measurement(finding["estimate"], finding["interval"])
    return {
        **finding,
        "estimate_text": estimate,
        "interval_text": f"[{low}, {high}]",
        "level_text": level_words(finding),
        "rule_text": rule_words(finding),
        "glyph": Markup(interval_glyph(finding)),
    }


def _picture(drawing: Drawing) -> dict[str, Any]:
    """Return a figure with its inlined pictures of both themes."""
    themes = {} if drawing.problem else {"light": drawing.light, "dark": drawing.dark}
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "problem": drawing.problem,
        "themes": {
            theme: Markup(inline_svg(document, f"{drawing.name}-{theme}-", drawing.title))
            for theme, document in themes.items()
        },
    }
