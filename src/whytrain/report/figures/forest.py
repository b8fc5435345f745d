"""Numbers with their intervals, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whytrain.errors import UserError
from whytrain.report.figures.labels import ground
from whytrain.report.style import color, context, theme

_WIDTH, _ROW = 5.6, 0.27


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Attributes:
        name: What it is, written before the row.
        value: The number.
        low: The lower end of its interval.
        high: The upper end.
        group: Rows that follow each other with one group stand together below its name.
        color: A palette name.
    """

    name: str
    value: float
    low: float
    high: float
    group: str = ""
    color: str = "ink"


def forest_plot(rows: Sequence[Interval], *, x_label: str, reference: float | None = 0.0) -> Figure:
    """Draw intervals below each other.

    Args:
        rows: The numbers, from above.
        x_label: What they are, with its unit.
        reference: Where a thin upright line stands; None for none.

    Returns:
        The figure, in the current theme.

    Raises:
        UserError: There is nothing to draw.

    Example:
        >>> figure = forest_plot([Interval("a less b", 0.2, 0.1, 0.3)], x_label="difference")
        >>> figure.axes[0].get_xlabel()
        'difference'
    """
    if not rows:
        raise UserError("forest_plot needs at least one row, got none")
    places, names = [], []
    for row in rows:
        new = row.group and row.group not in names
        if new:
            names.append(row.group)
        places.append((places[-1] if places else 0.0) + (2.2 if new and places else 1.0))
    with context():
        figure = Figure(figsize=(_WIDTH, _ROW * (places[-1] + 2.5) + 0.5))
        axes = figure.add_subplot(xlabel=x_label, ylim=(places[-1] + 0.8, -0.3))
        if reference is not None:
            axes.axvline(reference, color=theme().soft, linewidth=1, linestyle=(0, (1, 2)))
        for row, place in zip(rows, places, strict=True):
            paint = color(row.color)
            axes.plot(
                [row.low, row.high], [place, place], color=paint, label=f"{row.name}, interval"
            )
            axes.plot([row.value], [place], "o", color=paint, label=row.name)
        axes.set_yticks(places, [row.name for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        _name_groups(axes, rows, places)
    return figure


def _name_groups(axes: Axes, rows: Sequence[Interval], places: Sequence[float]) -> None:
    told = set()
    for row, place in zip(rows, places, strict=True):
        if row.group and row.group not in told:
            told.add(row.group)
            axes.annotate(
                row.group, (0, place - 0.85), xycoords=("axes fraction", "data"),
                color=theme().soft, va="center", annotation_clip=False, bbox=ground(),
            )  # fmt: skip
