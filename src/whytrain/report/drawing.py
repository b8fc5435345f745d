"""A study's figure, drawn for every place where it is shown."""

from __future__ import annotations

import base64
import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Picture

from whytrain.lab import Cells, Figure, Model, Request
from whytrain.lab.execution import NotYetRun
from whytrain.report import export, style
from whytrain.report.seeing import seen as in_words
from whytrain.report.tables import table_of, text_of

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
        data: What it shows, as CSV.
        seen: What is seen, in words.
        problem: Why there is no picture; empty where there is one.
    """

    name: str
    title: str
    caption: str = ""
    png: bytes = b""
    light: str = ""
    dark: str = ""
    data: str = ""
    seen: str = ""
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


def draw_model(model: Model) -> Drawing:
    """Draw the picture of what a study looks at, in both themes.

    Args:
        model: What it looks at.
    """
    return _pictures("model", "The model", lambda: (model.draw(), model.caption))


def _draw(figure: Figure, cells: Cells) -> Drawing:
    return _pictures(figure.name, figure.title, lambda: figure.draw(cells))


def _pictures(name: str, title: str, drawn: Callable[[], tuple[Picture, str]]) -> Drawing:
    with style.context("light"):
        picture, caption = drawn()
        export.arrange(picture)
        light, png = export.svg(picture), export.png(picture)
        data, seen = text_of(table_of(picture)), in_words(picture)
    with style.context("dark"):
        picture, _ = drawn()
        export.arrange(picture)
        dark = export.svg(picture)
    return Drawing(name, title, caption, png, light, dark, data, seen)
