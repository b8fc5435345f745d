"""What is seen in a figure, in words, for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whytrain._mathematics import plain
from whytrain.report.numbers import number
from whytrain.report.tables import marks, panels

_MOST = 8  # series that are told one by one in a panel


def seen(figure: Figure) -> str:
    """Say what a figure shows: axes, and how each series runs.

    Args:
        figure: The figure, drawn.

    Returns:
        Sentences in plain text.

    Example:
        >>> from whytrain.report import figures
        >>> series = figures.Series([1, 2, 3], [0.5, 0.2, 0.1], "CNN")
        >>> seen(figures.lines([series], x_label="width", y_label="error"))
        'error over width. CNN: falls from 0.5 at 1 to 0.1 at 3.'
    """
    shown = panels(figure)
    bottom = next((axes.get_xlabel() for axes in shown[::-1] if axes.get_xlabel()), "")
    told = [_panel(axes, bottom) for axes in shown]
    if len(told) == 1:
        return told[0]
    return " ".join(f"Panel {place}: {words}" for place, words in enumerate(told, 1))


def _panel(axes: Axes, bottom: str) -> str:
    up = _one_line(axes.get_ylabel() or axes.get_title() or axes.get_title(loc="left"))
    right = _one_line(axes.get_xlabel() or bottom)
    found: dict[tuple[str, str], list[list[dict[str, float]]]] = {}
    for mark, name, points in marks(axes):
        found.setdefault((mark, name), []).append(points)
    told = [words for (mark, name), many in found.items() if (words := _many(mark, name, many))]
    more = [f"and {len(told) - _MOST} more series"] if len(told) > _MOST else []
    axes_words = " over ".join(filter(None, [up, right]))
    return ". ".join(filter(None, [axes_words, "; ".join([*told[:_MOST], *more])])) + "."


def _many(mark: str, name: str, many: list[list[dict[str, float]]]) -> str:
    """One series, or how many there are of a name, and where."""
    if len(many) == 1:
        return _series(mark, name, many[0])
    values = [p["y"] for points in many for p in points if np.isfinite(p.get("y", np.nan))]
    if mark != "line" or not values:
        return ""
    who = f"{name}: " if name else ""
    ends = f"{number(min(values), 3)} and {number(max(values), 3)}"
    return f"{who}{len(many)} lines between {ends}"


def _one_line(text: str) -> str:
    return " ".join(plain(text).split()).rstrip(".")


def _series(mark: str, name: str, points: list[dict[str, float]]) -> str:
    if mark == "map" and points:
        return _map(points)
    if mark not in ("line", "point", "bar") or not points:
        return ""
    x = np.array([point["x"] for point in points])
    y = np.array([point["y"] if "y" in point else point["high"] for point in points])
    kept = np.isfinite(y) & np.isfinite(x)
    x, y = x[kept], y[kept]
    if not len(x):
        return ""
    who = f"{name}: " if name else ""
    if len(x) == 1:
        return f"{who}{number(y[0], 3)} at {number(x[0], 3)}"
    if mark == "point":
        return f"{who}{len(x)} points from {number(y.min(), 3)} to {number(y.max(), 3)}"
    return who + _course(x, y)


def _course(x: np.ndarray, y: np.ndarray) -> str:
    """How a line runs from its first to its last point.

    Example:
        >>> _course(np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 2.0]))
        'from 1 at 1 over 5 at 2 to 2 at 3'
    """
    ends = f"{number(y[0], 3)} at {number(x[0], 3)}", f"{number(y[-1], 3)} at {number(x[-1], 3)}"
    if y.min() == y.max():
        return f"{number(y[0], 3)} from {number(x[0], 3)} to {number(x[-1], 3)}"
    low, high = min(y[0], y[-1]), max(y[0], y[-1])
    slack = 0.05 * (y.max() - y.min())
    if y.min() < low - slack:
        between = y.argmin()
    elif y.max() > high + slack:
        between = y.argmax()
    else:
        word = "falls " if y[-1] < y[0] else "rises "
        return f"{word}from {ends[0]} to {ends[1]}"
    middle = f"{number(y[between], 3)} at {number(x[between], 3)}"
    return f"from {ends[0]} over {middle} to {ends[1]}"


def _map(points: Iterable[dict[str, float]]) -> str:
    known = [point for point in points if np.isfinite(point["value"])]
    if not known:
        return ""
    words = []
    for word, choose in (("least", min), ("largest", max)):
        one = choose(known, key=lambda point: point["value"])
        at = f"({number(one['x'], 3)}, {number(one['y'], 3)})"
        words.append(f"{word} {number(one['value'], 3)} at {at}")
    return "map of values, " + ", ".join(words)
