"""Numbers as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DASH = "–"
_MINUS = "−"


def scientific(value: float, digits: int = 4) -> str:
    """Return a number with a power of ten.

    Args:
        value: The number, positive.
        digits: How many significant digits are kept.

    Example:
        >>> scientific(1e-9), scientific(2.345e6, 2), scientific(9.99e4, 1)
        ('10⁻⁹', '2.3·10⁶', '10⁵')
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    tens = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    factor = f"{float(mantissa):.{digits}g}"
    return tens if factor == "1" else f"{factor}·{tens}"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number, in scientific notation where it is very small or very large.

    Args:
        value: The number; None and NaN become a dash.
        digits: How many significant digits are kept.

    Example:
        >>> [number(value) for value in (0.51234, 105000, 2.5e-13, math.inf, None)]
        ['0.5123', '105,000', '2.5·10⁻¹³', '∞', '–']
    """
    if value is None or math.isnan(value):
        return _DASH
    if value < 0:
        return _MINUS + number(-value, digits)
    if math.isinf(value):
        return "∞"
    if value == int(value) and value < 1e6:
        return f"{int(value):,}"
    if 1e-3 <= value < 1e6:
        return f"{value:.{digits}g}" if value < 10**digits else f"{value:,.0f}"
    return scientific(value, digits)


def measurement(estimate: float | None, interval: Sequence[float | None]) -> tuple[str, str, str]:
    """Return an estimate and the ends of its interval, precise enough to tell them apart.

    Args:
        estimate: The measured value.
        interval: The lower and the upper end.

    Returns:
        The three as text, with two digits of the width of the interval.

    Example:
        >>> measurement(0.99996, (0.9999, 1.0))
        ('0.99996', '0.99990', '1.00000')
        >>> measurement(0.0, (0.0, 7.38e-4))
        ('0', '0', '7.38·10⁻⁴')
    """
    values = (estimate, *interval)
    finite = [value for value in values if value is not None and math.isfinite(value)]
    size = max(map(abs, finite), default=0.0)
    if all(value == int(value) for value in finite) or not 1e-3 <= size < 1e6:
        first, low, high = (number(value, 3) for value in values)
    else:
        decimals = _decimals(max(finite) - min(finite) or size / 100)
        first, low, high = (_fixed(value, decimals) for value in values)
    return first, low, high


def _decimals(width: float) -> int:
    """Return how many decimals show two digits of a width, at most 12.

    Example:
        >>> [_decimals(width) for width in (30.0, 0.03, 0.0015)]
        [0, 3, 4]
    """
    return min(max(1 - math.floor(math.log10(width) + 1e-9), 0), 12)


def _fixed(value: float | None, decimals: int) -> str:
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{value:,.{decimals}f}".replace("-", _MINUS)


def duration(seconds: float | None) -> str:
    """Return a time in the units that people use.

    Example:
        >>> [duration(seconds) for seconds in (0.25, 41.7, 75, 7380)]
        ['0.2 s', '42 s', '1 min 15 s', '2 h 3 min']
        >>> duration(None)
        'not finished'
    """
    if seconds is None:
        return "not finished"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shown(value: Any) -> str:
    """Return one value of a table: six digits of a number, a dash for what there is none of.

    Args:
        value: A number, a word or None.
    """
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
