"""A function of two coordinates as contours, with critical points, a separatrix, and runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from whytrain.errors import UserError
from whytrain.report.figures.labels import ground
from whytrain.report.figures.picture import Picture
from whytrain.report.style import OUTCOMES, color, context, theme

_SIZE = (5.6, 4.4)
_SYMBOLS = {"global": "*", "spurious": "o", "saddle": "X"}
_SIZES = {"global": 190, "spurious": 62, "saddle": 72}


@dataclass(frozen=True)
class Point:
    """A critical point.

    Attributes:
        type: `"global"`, `"spurious"`, or `"saddle"`; gives its symbol and its color.
        x: Its first coordinate.
        y: Its second coordinate.
        label: Its name, written beside it; empty for none.
    """

    type: str
    x: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class Path:
    """The trajectory of one run.

    Attributes:
        x: First coordinates over time.
        y: Second coordinates over time.
        outcome: Where it ended; gives its color.
        line: matplotlib's line style.
    """

    x: ArrayLike
    y: ArrayLike
    outcome: str = "undecided"
    line: str = "-"


def plane(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    *,
    x_label: str,
    y_label: str,
    value_label: str = "loss",
    levels: int | Sequence[float] = 14,
    points: Sequence[Point] = (),
    separatrix: tuple[ArrayLike, ArrayLike] | None = None,
    separatrix_label: str = "separatrix",
    paths: Sequence[Path] = (),
) -> Figure:
    """Draw contours of a function with what happens on it.

    Args:
        x: First coordinates of the grid, increasing.
        y: Second coordinates of the grid, increasing.
        values: The function, of shape `(len(y), len(x))`.
        x_label: Name and unit of the first coordinate.
        y_label: The same of the second.
        value_label: The same of the function.
        levels: The heights of the contours, or about how many of them.
        points: Critical points.
        separatrix: The border between basins, as its two coordinates.
        separatrix_label: Its name.
        paths: Trajectories, colored by their outcomes. A dot marks the start.

    Returns:
        The figure, in the current theme.

    Raises:
        UserError: `values` does not fit the grid, or a type or outcome is unknown.

    Example:
        >>> import numpy as np
        >>> x, y = np.linspace(-2, 2, 41), np.linspace(-1, 1, 21)
        >>> loss = (x**2 - 1) ** 2 + y[:, None] ** 2
        >>> figure = plane(x, y, loss, x_label="x", y_label="y",
        ...                points=[Point("global", 1, 0, "minimum"), Point("saddle", 0, 0)],
        ...                paths=[Path([1.8, 1.2, 1.0], [0.8, 0.2, 0.0], "global")])
        >>> figure.axes[0].get_xlabel()
        'x'
    """
    right, up, height = (np.asarray(array, dtype=float) for array in (x, y, values))
    if height.shape != (len(up), len(right)):
        raise UserError(
            f"values must have shape (len(y), len(x)) = {(len(up), len(right))}, not {height.shape}"
        )
    with context():
        figure = Picture(figsize=_SIZE)
        axes = figure.add_subplot(xlabel=x_label, xlim=(right[0], right[-1]), ylim=(up[0], up[-1]))
        axes.set_title(y_label)
        _draw_contours(axes, right, up, height, levels, value_label)
        for path in paths:
            _draw_path(axes, path)
        if separatrix is not None:
            _draw_separatrix(axes, *separatrix, separatrix_label)
        for point in points:
            _draw_point(axes, point)
        _name_outcomes(axes, paths)
    return figure


def _draw_contours(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    levels: int | Sequence[float],
    label: str,
) -> None:
    """Draw thin contour lines, some with their height, and say what they are."""
    contours = axes.contour(x, y, values, levels, colors=[theme().faint], linewidths=0.9)
    heights = [height for height in contours.levels if values.min() < height < values.max()]
    axes.clabel(contours, heights[1::3], fontsize=8, colors=[theme().soft], fmt="%.3g")
    axes.set_title(f"contours: {label}", loc="right")


def _draw_path(axes: Axes, path: Path) -> None:
    paint = _paint(path.outcome)
    x, y = np.asarray(path.x, dtype=float), np.asarray(path.y, dtype=float)
    axes.plot(x, y, color=paint, linewidth=1.2, alpha=0.85, linestyle=path.line, label=path.outcome)
    axes.plot(x[:1], y[:1], marker="o", markersize=3.2, color=paint)


def _draw_separatrix(axes: Axes, x: ArrayLike, y: ArrayLike, label: str) -> None:
    right, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    axes.plot(right, up, color=theme().ink, linewidth=1.5, linestyle=(0, (4, 2)))
    left, end = axes.get_xlim()
    bottom, top = axes.get_ylim()
    seen = np.flatnonzero((right > left) & (right < end) & (up > bottom) & (up < top))
    if seen.size:
        at = seen[up[seen].argmax()]
        _write(axes, label, float(right[at]), float(up[at]), theme().ink, drop=-8)


def _draw_point(axes: Axes, point: Point) -> None:
    paint = _paint(point.type)
    axes.scatter(
        [point.x],
        [point.y],
        s=_SIZES.get(point.type, 60),
        marker=_SYMBOLS.get(point.type, "D"),
        color=paint,
        edgecolor=theme().paper,
        linewidth=1.2,
        zorder=4,
        clip_on=False,
    )
    if point.label:
        _write(axes, point.label, point.x, point.y, paint, drop=-13)


def _write(axes: Axes, text: str, x: float, y: float, paint: str, drop: float) -> None:
    """Write text below a place, on the side of it that has more room."""
    place = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
    on_left = place[0] > 0.5
    axes.annotate(
        text,
        (x, y),
        xytext=(-7 if on_left else 7, -drop if place[1] < 0.15 else drop),
        textcoords="offset points",
        ha="right" if on_left else "left",
        va="center",
        color=paint,
        fontsize=9.5,
        zorder=5,
        bbox=ground(),
    )


def _name_outcomes(axes: Axes, paths: Sequence[Path]) -> None:
    """Write below the plane which color stands for which outcome, and how many runs had it."""
    counts = Counter(path.outcome for path in paths)
    handles = [
        Line2D([], [], color=_paint(name), label=f"{name}: {counts[name]} of {len(paths)} runs")
        for name in OUTCOMES
        if counts[name]
    ]
    figure = axes.get_figure(root=True)
    if handles and figure is not None:
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=3,
            frameon=False,
            labelcolor="linecolor",
            fontsize=9.5,
            handlelength=1.2,
        )


def _paint(outcome: str) -> str:
    if outcome not in OUTCOMES:
        raise UserError(f"outcome {outcome!r} is unknown, known are {', '.join(OUTCOMES)}")
    return color(outcome)
