"""The data of a figure as one table, from which it can be drawn again.

A row is a point of what is drawn: the panel, the kind of mark, the name of its series, and its
numbers. Lines and points have `x` and `y`; bands and error bars `low` and `high` beside `x`; maps
and contours `value` at `x` and `y`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import (
    LineCollection,
    PathCollection,
    PolyCollection,
    QuadMesh,
)
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from whytrain._mathematics import plain

COLUMNS = ("panel", "mark", "series", "x", "y", "low", "high", "value")

CENTERS = "centers"
"""Where a map keeps what its cells stand for: at a border, or on a log axis, not their middles."""

Row = dict[str, Any]


def table_of(figure: Figure) -> list[Row]:
    """Return what a figure shows, point by point.

    Args:
        figure: The figure.

    Returns:
        Rows with the entries of `COLUMNS`; what a mark has not is missing.

    Example:
        >>> from whytrain.report import figures
        >>> rows = table_of(figures.lines([figures.Series([1, 2], [3.0, 4.0], "a")], x_label="x"))
        >>> [(row["mark"], row["series"], row["x"], row["y"]) for row in rows]
        [('line', 'a', 1.0, 3.0), ('line', 'a', 2.0, 4.0)]
    """
    rows = []
    for place, axes in enumerate(panels(figure), 1):
        for mark, series, points in marks(axes):
            rows += [{"panel": place, "mark": mark, "series": series, **one} for one in points]
    return rows


def text_of(rows: Iterable[Row]) -> str:
    """Write rows as CSV: numbers to the last digit, nothing for what is missing."""
    text = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: repr(v) if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def panels(figure: Figure) -> list[Axes]:
    """Return the panels of a figure, without color scales."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def marks(axes: Axes) -> Iterator[tuple[str, str, list[dict[str, float]]]]:
    """Give what is drawn in a panel: the kind of mark, the name of the series, the points."""
    for artist in axes.get_children():
        series = _name(artist.get_label())
        if isinstance(artist, Line2D) and artist.get_transform().contains_branch(axes.transData):
            yield "line", series, _points(x=artist.get_xdata(), y=artist.get_ydata())
        elif isinstance(artist, PolyCollection):
            yield "band", series, _band(artist)
        elif isinstance(artist, QuadMesh):
            yield "map", series, _cells(artist)
        elif isinstance(artist, AxesImage):
            yield "map", series, _pixels(artist)
        elif isinstance(artist, ContourSet):
            yield "contour", series, _contours(artist)
        elif isinstance(artist, PathCollection):
            at = np.asarray(artist.get_offsets(), float).reshape(-1, 2)
            yield "point", series, _points(x=at[:, 0], y=at[:, 1])
        elif isinstance(artist, LineCollection):
            yield "segments", series, _segments(artist)
        elif isinstance(artist, Rectangle) and artist is not axes.patch:
            (left, bottom), width = artist.get_xy(), artist.get_width()
            top = bottom + artist.get_height()
            yield "bar", series, _points(x=[left + width / 2], low=[bottom], high=[top])


def _name(label: Any) -> str:
    text = plain(str(label)).replace("\n", " ")
    return "" if text.startswith("_") else text


def _points(**columns: Any) -> list[dict[str, float]]:
    arrays = [np.asarray(values, float).ravel() for values in columns.values()]
    rows = zip(*arrays, strict=True)
    return [dict(zip(columns, map(float, row), strict=True)) for row in rows]


def _band(artist: PolyCollection) -> list[dict[str, float]]:
    rows = []
    for path in artist.get_paths():
        corners = np.asarray(path.vertices, float)[:-1]
        half = (len(corners) - 2) // 2  # two more at the ends, where both sides meet
        low, high = corners[1 : half + 1], corners[half + 2 : 2 * half + 2][::-1]
        rows += _points(x=low[:, 0], low=low[:, 1], high=high[:, 1])
    return rows


def _cells(mesh: QuadMesh) -> list[dict[str, float]]:
    corners: np.ndarray = np.asarray(mesh.get_coordinates(), float)
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan)
    middle = np.moveaxis((corners[:-1, :-1] + corners[1:, 1:]) / 2, -1, 0)
    centers = getattr(mesh, CENTERS, None)
    x, y = middle if centers is None else np.meshgrid(*centers)
    return _points(x=x, y=y, value=values)


def _pixels(image: AxesImage) -> list[dict[str, float]]:
    values = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    if values.ndim != 2:
        return []
    left, right, bottom, top = image.get_extent()
    down = image.origin == "upper"
    x = left + (np.arange(values.shape[1]) + 0.5) * (right - left) / values.shape[1]
    y = bottom + (np.arange(values.shape[0]) + 0.5) * (top - bottom) / values.shape[0]
    at = np.meshgrid(x, y[::-1] if down else y)
    return _points(x=at[0], y=at[1], value=values)


def _contours(found: ContourSet) -> list[dict[str, float]]:
    rows = []
    for level, path in zip(found.levels, found.get_paths(), strict=False):
        at = np.asarray(path.vertices, float).reshape(-1, 2)
        rows += _points(x=at[:, 0], y=at[:, 1], value=np.full(len(at), level))
    return rows


def _segments(lines: LineCollection) -> list[dict[str, float]]:
    parts = [np.asarray(part, float) for part in lines.get_segments()]
    broken = [row for part in parts for row in (*part, (np.nan, np.nan))]
    at = np.asarray(broken, float).reshape(-1, 2)
    return _points(x=at[:, 0], y=at[:, 1])
