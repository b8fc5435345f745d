"""A study's figure, drawn for every place where it is shown."""

from __future__ import annotations

import base64
import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whytrain.lab import Cells, Figure, Request
from whytrain.lab.execution import NotYetRun
from whytrain.report import export, style

_log = logging.getLogger("whytrain")


@dataclass(frozen=True, repr=False)
class Drawing:
    """A figure, or the reason why there is none.

    Attributes:
        name: Its file name without an ending.
        title: What it shows.
        caption: What to conclude from it.
        png: The light picture.
        light: The light picture as an SVG document.
        dark: The dark one.
        problem: Why there is no picture; empty where there is one.
    """

    name: str
    title: str
    caption: str = ""
    png: bytes = b""
    light: str = ""
    dark: str = ""
    problem: str = ""

    def __repr__(self) -> str:
        return f"{self.title}: {self.problem or self.caption}"

    def _repr_html_(self) -> str:
        """The light picture, with its caption: a notebook does not say whether it is dark."""
        data = base64.b64encode(self.png).decode()
        picture = f'<img src="data:image/png;base64,{data}" style="width:100%;max-width:640px">'
        title, words = html.escape(self.title), html.escape(self.problem or self.caption)
        return f"<div><b>{title}</b><br>{'' if self.problem else picture}<p>{words}</p></div>"


def draw(figure: Figure, preset: str, cells: Callable[[Sequence[Request]], Cells]) -> Drawing:
    """Draw a figure of a study in both themes.

    Args:
        figure: The figure.
        preset: The preset whose numbers it shows.
        cells: Gives the numbers of requests; raises `NotYetRun` where they are missing.

    Returns:
        The drawing. A figure that cannot be drawn must not cost the reader the rest of the report,
        so that any error of its code becomes the drawing's `problem`.
    """
    try:
        return _draw(figure, cells(figure.requests(preset)))
    except NotYetRun as error:
        problem = f"Not drawn: its numbers are not computed yet ({error})."
    except Exception as error:
        _log.warning("figure %s is not drawn: %s: %s", figure.name, type(error).__name__, error)
        problem = f"Not drawn: {type(error).__name__}: {error}"
    return Drawing(figure.name, figure.title, problem=problem)


def _draw(figure: Figure, cells: Cells) -> Drawing:
    with style.context("light"):
        picture, caption = figure.draw(cells)
        export.arrange(picture)
        light, png = export.svg(picture), export.png(picture)
    with style.context("dark"):
        picture, _ = figure.draw(cells)
        export.arrange(picture)
        dark = export.svg(picture)
    return Drawing(figure.name, figure.title, caption, png, light, dark)
