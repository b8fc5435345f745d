"""Axes: scales, and the numbers written at their ticks."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from whytrain.errors import UserError
from whytrain.report.numbers import scientific

_PLAIN = range(-2, 4)


def check_log(log: str) -> None:
    """Raise `UserError` unless `log` names axes: `""`, `"x"`, `"y"`, or `"xy"`."""
    if log not in {"", "x", "y", "xy", "yx"}:
        raise UserError(f"log must be '', 'x', 'y' or 'xy', not {log!r}")


def set_scales(axes: Axes, log: str) -> None:
    """Make the axes that `log` names logarithmic."""
    for name in log:
        axes.set(**{f"{name}scale": "log"})


def set_decades(axis: Axis, most: int = 7) -> None:
    """Put ticks at decades, or closer where the axis spans few, and write them as 0.1, 10⁶.

    The limits of the axis must be final. There are about `most` ticks at most.
    """
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else math.inf
    steps = (1, 2, 5) if decades < 0.2 * most else (1, 3) if decades < 0.43 * most else (1,)
    axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=most))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def power(value: float) -> str:
    """Return a positive number as it stands at a logarithmic axis.

    Example:
        >>> [power(value) for value in (0.01, 1.0, 200.0, 1e-9, 2e6)]
        ['0.01', '1', '200', '10⁻⁹', '2·10⁶']
    """
    exponent = math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if exponent in _PLAIN else scientific(value)
