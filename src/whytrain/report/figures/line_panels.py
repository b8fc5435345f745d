"""Lines with interval bands, in one panel or in several that share their horizontal axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike

from whytrain.errors import UserError
from whytrain.report.figures.axis import check_log, set_decades, set_scales
from whytrain.report.figures.labels import EndLabel, label_right_edges
from whytrain.report.figures.picture import Picture
from whytrain.report.style import CYCLE, color, context, theme

_WIDTH = 5.6
_SINGLE = 3.4
_STACKED = 1.55


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        x: Where it was measured, in increasing order.
        y: What was measured; gaps are NaN.
        label: Its name, written at its right end; empty for none.
        low: The lower ends of the intervals of `y`, drawn as a band with `high`.
        high: The upper ends.
        color: A palette name, an outcome, or a matplotlib color; the next of the palette if None.
        line: matplotlib's line style: `"-"`, `"--"`, `":"`, or `""` for markers only.
        marker: matplotlib's marker: `"o"`, `"s"`, …, or `""` for none.
        width: Width of the line in points.
    """

    x: ArrayLike
    y: ArrayLike
    label: str = ""
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    color: str | None = None
    line: str = "-"
    marker: str = ""
    width: float = 1.8


@dataclass(frozen=True)
class Reference:
    """A thin line across a panel: a threshold, a theoretical value, a time.

    Attributes:
        value: Where it is.
        label: What it is, written at the right end, or at the upper end of a vertical one.
        axis: `"y"` for a horizontal line at that height, `"x"` for a vertical one.
    """

    value: float
    label: str = ""
    axis: str = "y"


@dataclass(frozen=True)
class Panel:
    """The content of one panel.

    Attributes:
        series: Its lines.
        label: The name and unit of what is drawn upwards, written above the panel.
        log: Whether the vertical axis is logarithmic.
        limits: The ends of the vertical axis; either may be None.
        references: Thin lines across it.
    """

    series: Sequence[Series]
    label: str = ""
    log: bool = False
    limits: tuple[float | None, float | None] = (None, None)
    references: Sequence[Reference] = ()


def lines(
    content: Sequence[Series] | Sequence[Panel],
    *,
    x_label: str,
    y_label: str = "",
    log: str = "",
    x_ticks: Sequence[float] | None = None,
    x_limits: tuple[float | None, float | None] = (None, None),
    y_limits: tuple[float | None, float | None] = (None, None),
    references: Sequence[Reference] = (),
) -> Figure:
    """Draw lines with bands, labeled at their ends.

    Args:
        content: Series, which share one panel, or panels, stacked over one horizontal axis.
        x_label: Name and unit of the horizontal axis.
        y_label: The same upwards; for panels it stands in `Panel.label`.
        log: Which axes are logarithmic: `""`, `"x"`, `"y"`, or `"xy"`; for panels only `"x"`
            counts, the rest stands in `Panel.log`.
        x_ticks: Where the horizontal axis has ticks, if not where matplotlib would put them.
        x_limits: The ends of the horizontal axis; either may be None.
        y_limits: The ends of the vertical axis of series.
        references: Thin lines across the panel of series.

    Returns:
        The figure, in the current theme.

    Raises:
        UserError: There is nothing to draw, lengths differ, or `log` names no axis.

    Example:
        >>> k = [16, 25, 36]
        >>> cnn = Series(k, [0.52, 0.5, 0.49], "CNN", low=[0.5, 0.48, 0.47], high=[0.54, 0.52, 0.5])
        >>> figure = lines([cnn], x_label="patches k", y_label="success rate", y_limits=(0, 1))
        >>> len(figure.axes)
        1
    """
    check_log(log)
    panels = _panels(content, y_label, "y" in log, y_limits, references)
    with context():
        figure = Picture(figsize=(_WIDTH, _height(len(panels))))
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        ends = [
            _draw(axes, panel, "x" if "x" in log else "", alone=len(panels) == 1)
            for axes, panel in zip(grid, panels, strict=True)
        ]
        grid[-1].set_xlabel(x_label)
        grid[0].set_xlim(*x_limits)
        _set_ticks(grid[0], log, x_ticks)
        figure.align_ylabels(list(grid))
        label_right_edges(figure, dict(zip(grid, ends, strict=True)))
    return figure


def _panels(
    content: Sequence[Series] | Sequence[Panel],
    label: str,
    log: bool,
    limits: tuple[float | None, float | None],
    references: Sequence[Reference],
) -> list[Panel]:
    """Return the content as panels."""
    if not content:
        raise UserError("lines needs at least one series or panel, got none")
    series = [item for item in content if isinstance(item, Series)]
    if series:
        return [Panel(series, label, log, limits, references)]
    return [item for item in content if isinstance(item, Panel)]


def _height(panels: int) -> float:
    return _SINGLE if panels == 1 else _STACKED * panels + 0.5


def _set_ticks(axes: Axes, log: str, ticks: Sequence[float] | None) -> None:
    if ticks is not None:
        axes.set_xticks(ticks, _apart(ticks, log))
        axes.xaxis.set_minor_locator(NullLocator())
    elif "x" in log:
        set_decades(axes.xaxis)


def _apart(ticks: Sequence[float], log: str) -> list[str]:
    """The ticks' labels, without those that would stand on the one before."""
    places = np.log(ticks) if "x" in log else np.asarray(ticks, dtype=float)
    room, last, labels = 0.09 * np.ptp(places), -np.inf, []
    for tick, place in zip(ticks, places, strict=True):
        fits = place - last >= room
        labels.append(f"{tick:g}" if fits else "")
        last = place if fits else last
    return labels


def _draw(axes: Axes, panel: Panel, log: str, alone: bool) -> list[EndLabel]:
    """Draw one panel, without the labels of its lines, which are returned."""
    set_scales(axes, log + ("y" if panel.log else ""))
    colors = cycle(CYCLE)
    ends = [_draw_series(axes, item, color(item.color or next(colors))) for item in panel.series]
    axes.set_title(panel.label)
    axes.set_ylim(*panel.limits)
    if panel.log:
        set_decades(axes.yaxis, most=7 if alone else 4)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    ends += [_draw_reference(axes, reference) for reference in panel.references]
    return [end for end in ends if end is not None]


def _draw_series(axes: Axes, series: Series, paint: str) -> EndLabel | None:
    x, y = _pair(series.x, series.y, series.label)
    name = series.label or "_"
    if series.low is not None and series.high is not None:
        low, high = _pair(series.low, series.high, series.label)
        _pair(x, low, series.label)
        axes.fill_between(x, low, high, color=paint, alpha=0.2, linewidth=0, label=name)
    axes.plot(
        x, y, linestyle=series.line, marker=series.marker, color=paint, linewidth=series.width,
        label=name,
    )  # fmt: skip
    finite = y[np.isfinite(y)]
    if not series.label or not finite.size:
        return None
    return EndLabel(series.label, float(finite[-1]), paint)


def _pair(x: ArrayLike, y: ArrayLike, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two vectors of one length as arrays."""
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise UserError(
            f"series {label!r} needs vectors of one length, got shapes {first.shape} and "
            f"{second.shape}"
        )
    return first, second


def _draw_reference(axes: Axes, reference: Reference) -> EndLabel | None:
    """Draw a thin dotted line across a panel; a horizontal one has its label at its right end."""
    look = {"color": theme().soft, "linewidth": 1, "linestyle": (0, (1, 2))}
    if reference.axis == "y":
        axes.axhline(reference.value, **look)
        label = EndLabel(reference.label, reference.value, theme().soft)
        return label if reference.label else None
    axes.axvline(reference.value, **look)
    axes.annotate(
        reference.label, (reference.value, 1), xycoords=("data", "axes fraction"), xytext=(4, -2),
        textcoords="offset points", va="top", color=theme().soft, fontsize=9.5,
    )  # fmt: skip
    return None
