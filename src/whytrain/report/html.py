"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from whytrain._mathematics import plain, typeset
from whytrain.lab.verdicts import SIGNS
from whytrain.report.drawing import Drawing
from whytrain.report.export import inline_svg
from whytrain.report.glyph import interval_glyph
from whytrain.report.numbers import duration, measurement, number, shown
from whytrain.report.sources import Code
from whytrain.report.words import (
    corrected_words,
    level_words,
    rule_words,
    summary_line,
    verdict_words,
)

GROUPS = {
    "definitions": "Definitions and closed forms",
    "landscape": "The landscape",
    "dynamics": "Training",
    "experiments": "Experiments",
    "caveats": "Caveats and corrections",
}
"""The groups of claims, in the order in which a report has them."""


def render(
    content: Mapping[str, Any],
    drawings: Sequence[Drawing],
    code: Mapping[str, Code],
    model: Drawing | None = None,
) -> str:
    """Return the report as an HTML document.

    Args:
        content: What it says.
        drawings: Its figures.
        code: Where its claims are stated.
        model: The picture of what it looks at.

    Returns:
        The document, with styles and pictures in it.
    """
    claims = [_claim(claim, code.get(claim["id"])) for claim in content["claims"]]
    pairs = zip(content["figures"], drawings, strict=True)
    pictures = [
        _picture(drawing) | {"place": place, "claims": figure["claims"], "csv": figure.get("csv")}
        for place, (figure, drawing) in enumerate(pairs, 1)
    ]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=content,
            claims=claims,
            groups=_groups(claims),
            titles={claim["id"]: claim["title"] for claim in claims},
            summary=summary_line(content),
            pictures=pictures,
            places={picture["name"]: picture["place"] for picture in pictures},
            model=model and _picture(model),
        )
    )


def _groups(claims: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The groups that have claims; groups and claims that are contradicted come first."""
    found = [
        (name, title, sorted((c for c in claims if c["group"] == name), key=_urgency))
        for name, title in GROUPS.items()
    ]
    return sorted((group for group in found if group[2]), key=lambda group: _urgency(group[2][0]))


def _urgency(claim: Mapping[str, Any]) -> int:
    return {"contradicted": 0, "supported": 2}.get(claim["verdict"], 1)


def environment() -> jinja2.Environment:
    """Return what fills in the templates, with the filters that they use."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("whytrain.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(number=number, duration=duration, shown=shown, typeset=typeset)
    return found


def _claim(claim: Mapping[str, Any], code: Code | None) -> dict[str, Any]:
    """Return a claim with what the page shows of it."""
    words = [verdict_words(claim), corrected_words(claim)]
    return {
        **_finding(claim),
        "sign": SIGNS[claim["verdict"]],
        "class": claim["verdict"].replace(" ", "-"),
        "source_code": code,
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
    said = f"{plain(drawing.title)}. {drawing.seen}"
    themes = {} if drawing.problem else {"light": drawing.light, "dark": drawing.dark}
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "problem": drawing.problem,
        "themes": {
            theme: Markup(inline_svg(document, f"{drawing.name}-{theme}-", said))
            for theme, document in themes.items()
        },
    }
