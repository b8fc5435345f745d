"""Axes: scales, and the numbers written at their ticks."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from whytrain.errors import UserError
from whytrain.report.numbers import scientific

_PLAIN = range(-2, 4)
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))  # of a decade, from coarse to fine


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
    axis.set_major_locator(FixedLocator(_ticks(low, high, most)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def _ticks(low: float, high: float, most: int) -> list[float]:
    """The ticks of the finest division of decades that has no more than `most` of them.

    Example:
        >>> _ticks(0.5, 200, 7)
        [1.0, 3.0, 10.0, 30.0, 100.0]
        >>> _ticks(1, 1e9, 4)
        [1.0, 1000.0, 1000000.0, 1000000000.0]
        >>> _ticks(0.029, 0.056, 4)
        [0.03, 0.04, 0.05]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    chosen: list[float] = []
    for steps in _STEPS:
        found = [step * 10.0**e for e in decades for step in steps]
        seen = [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(seen) > most:
            return chosen or seen[:: math.ceil(len(seen) / most)]
        chosen = seen
    return chosen


def power(value: float) -> str:
    """Return a positive number as it stands at a logarithmic axis.

    Example:
        >>> [power(value) for value in (0.01, 1.0, 200.0, 1e-9, 2e6)]
        ['0.01', '1', '200', '10⁻⁹', '2·10⁶']
    """
    exponent = math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if exponent in _PLAIN else scientific(value)
