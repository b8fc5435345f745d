"""Labels written beside the data instead of in a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from whytrain.report.export import lay_out
from whytrain.report.style import theme

_LINE_HEIGHT = 1.25


@dataclass(frozen=True)
class EndLabel:
    """A label for the right edge of a panel.

    Attributes:
        text: What it says.
        y: The height that it belongs to, in data coordinates.
        color: Its color.
    """

    text: str
    y: float
    color: str


def ground() -> dict[str, Any]:
    """Return the box behind a label that stands on data."""
    return {"boxstyle": "round,pad=0.2", "facecolor": theme().paper, "alpha": 0.85, "linewidth": 0}


def wrapped(text: str, width: int = 14) -> str:
    r"""Break a label into lines, so that it does not eat the width of the picture.

    Example:
        >>> wrapped("ResNet with warm-up")
        'ResNet with\nwarm-up'
    """
    if "$" in text or "\n" in text:  # a formula cannot be cut, a broken label is as wanted
        return text
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def spread(centers: Sequence[float], heights: Sequence[float], top: float) -> list[float]:
    """Move labels apart, as little as needed, so that none overlaps another or leaves [0, top].

    Args:
        centers: Wanted centers of the labels, in any order.
        heights: Their heights.
        top: The upper end of the room.

    Returns:
        The centers after the move, in the given order.

    Example:
        >>> spread([5.0, 5.0], [2.0, 2.0], 10.0)
        [4.0, 6.0]
    """
    order = sorted(range(len(centers)), key=lambda i: centers[i])
    blocks: list[tuple[list[int], float]] = []
    for i in order:
        blocks.append(([i], _inside(centers[i], heights[i], top)))
        while len(blocks) > 1 and _touch(blocks[-2], blocks[-1], heights):
            (lower, _), (upper, _) = blocks[-2:]
            blocks[-2:] = [_merged([*lower, *upper], centers, heights, top)]
    placed = [0.0] * len(centers)
    for members, center in blocks:
        edge = center - sum(heights[i] for i in members) / 2
        for i in members:
            placed[i] = edge + heights[i] / 2
            edge += heights[i]
    return placed


def _inside(center: float, height: float, top: float) -> float:
    return max(min(center, top - height / 2), height / 2)


def _touch(
    lower: tuple[list[int], float], upper: tuple[list[int], float], heights: Sequence[float]
) -> bool:
    halves = sum(heights[i] for i in [*lower[0], *upper[0]]) / 2
    return upper[1] - lower[1] < halves


def _merged(
    members: list[int], centers: Sequence[float], heights: Sequence[float], top: float
) -> tuple[list[int], float]:
    """Return a block of touching labels, centered on the mean of what they belong to."""
    mean = sum(centers[i] for i in members) / len(members)
    return members, _inside(mean, sum(heights[i] for i in members), top)


def label_right_edges(figure: Figure, panels: Mapping[Axes, Sequence[EndLabel]]) -> None:
    """Write labels right of panels, each at the height of its data, none over another.

    How far apart they must be depends on the height of the panels, and so on the layout, which
    must have room for them: it is computed once here, and again when all has been drawn.
    """
    texts = {axes: [_write(axes, label) for label in labels] for axes, labels in panels.items()}
    if any(texts.values()):
        lay_out(figure)
    line = _LINE_HEIGHT * matplotlib.rcParams["font.size"]
    for axes, written in texts.items():
        room = float(axes.get_window_extent().height * 72 / figure.dpi)
        heights = [(1 + text.get_text().count("\n")) * line for text in written]
        placed = spread([text.xy[1] * room for text in written], heights, room)
        for text, center in zip(written, placed, strict=True):
            text.xy = (1, center / room)


def _write(axes: Axes, label: EndLabel) -> Annotation:
    return axes.annotate(
        wrapped(label.text),
        (1, _fraction(axes, label.y)),
        xycoords="axes fraction",
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=label.color,
        linespacing=1.2,
        annotation_clip=False,
    )


def _fraction(axes: Axes, y: float) -> float:
    """Return a height in data coordinates as a fraction of the panel, within [0, 1]."""
    pixel = axes.transData.transform((axes.get_xlim()[0], y))
    return float(min(max(axes.transAxes.inverted().transform(pixel)[1], 0.0), 1.0))
