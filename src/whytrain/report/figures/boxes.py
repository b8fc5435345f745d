"""Boxes and arrows: a model in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from whytrain.errors import UserError, nearest
from whytrain.report.style import color, context, theme


@dataclass(frozen=True)
class Box:
    """What stands in a box.

    Attributes:
        name: By what arrows find it.
        x: Its middle, in inches from the left.
        y: Its middle, in inches from below.
        text: What stands in it; formulas between `$`.
        color: A palette name.
        frame: Whether there is a frame around it; without one it is a remark.
    """

    name: str
    x: float
    y: float
    text: str
    color: str = "ink"
    frame: bool = True


@dataclass(frozen=True)
class Arrow:
    """An arrow from one box to another.

    Attributes:
        start: The name of the box it leaves.
        end: The name of the box it enters.
        text: What stands on it.
        color: A palette name.
        bend: How much it is bent, as a share of its length; to the right where positive.
        dashed: Whether its line is dashed.
    """

    start: str
    end: str
    text: str = ""
    color: str = "gray"
    bend: float = 0.0
    dashed: bool = False


def diagram(
    boxes: Sequence[Box], arrows: Sequence[Arrow], *, size: tuple[float, float] = (5.6, 3.2)
) -> Figure:
    """Draw boxes that are joined by arrows.

    Args:
        boxes: The boxes.
        arrows: The arrows between them.
        size: Width and height in inches, in which the places of boxes are told.

    Returns:
        The figure, in the current theme.

    Raises:
        UserError: An arrow leaves or enters a box that is not there.

    Example:
        >>> boxes = [Box("x", 1, 1, "input $x$"), Box("f", 4, 1, "output $f$")]
        >>> figure = diagram(boxes, [Arrow("x", "f", "$w$")])
        >>> len(figure.axes[0].texts)
        3
    """
    with context():
        figure = Figure(figsize=size)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(0, size[1]))
        axes.axis("off")
        placed = {box.name: _draw_box(axes, box) for box in boxes}
        for arrow in arrows:
            _draw_arrow(axes, arrow, *(_found(placed, end) for end in (arrow.start, arrow.end)))
    return figure


def _found(placed: dict[str, Text], name: str) -> Text:
    if name not in placed:
        raise UserError(f"there is no box {name!r}{nearest(name, placed)}")
    return placed[name]


def _draw_box(axes: Axes, box: Box) -> Text:
    paint = color(box.color)
    style = {"boxstyle": "round,pad=0.45", "facecolor": theme().paper, "edgecolor": paint}
    return axes.text(
        box.x, box.y, box.text, ha="center", va="center", color=paint, linespacing=1.5, zorder=3,
        fontsize=10.5 if box.frame else 9.5,
        bbox=style | {"linewidth": 1.1 if box.frame else 0, "alpha": 1.0},
    )  # fmt: skip


def _draw_arrow(axes: Axes, arrow: Arrow, start: Text, end: Text) -> None:
    (x0, y0), (x1, y1) = start.get_position(), end.get_position()
    paint = color(arrow.color)
    patch = FancyArrowPatch(
        (x0, y0), (x1, y1), patchA=start.get_bbox_patch(), patchB=end.get_bbox_patch(),
        arrowstyle="-|>", mutation_scale=11, connectionstyle=f"arc3,rad={arrow.bend}",
        color=paint, linewidth=1.2, linestyle="--" if arrow.dashed else "-", shrinkA=3, shrinkB=3,
        zorder=4,  # after the boxes: only then it is known where they end
    )  # fmt: skip
    axes.add_patch(patch)
    if arrow.text:
        at = (x0 + x1) / 2 + arrow.bend * (y1 - y0) / 2, (y0 + y1) / 2 - arrow.bend * (x1 - x0) / 2
        ground = {"boxstyle": "round,pad=0.15", "facecolor": theme().paper, "linewidth": 0}
        axes.text(*at, arrow.text, ha="center", va="center", fontsize=9.5, color=paint, bbox=ground,
                  zorder=5)  # fmt: skip
