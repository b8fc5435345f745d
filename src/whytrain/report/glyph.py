"""A word-sized picture of an interval against its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 132, 16, 6
_LEAST = 1e-300


def interval_glyph(claim: Mapping[str, Any]) -> str:
    """Draw estimate, interval and threshold on one line, the tolerance as a band: an SVG element.

    The element says nothing that the numbers beside it do not, and is hidden from screen readers;
    its colors come from the page.

    Args:
        claim: An entry of the report's claims, or of the parts of one.

    Returns:
        The element; empty where a number is missing or infinite, or where all are equal.

    Example:
        >>> nothing = {"estimate": None, "interval": [None, None], "threshold": 0.5, "tolerance": 0}
        >>> interval_glyph(nothing)
        ''
    """
    border, width = claim["threshold"], claim["tolerance"]
    values = [claim["estimate"], *claim["interval"], border]
    if any(value is None or not math.isfinite(value) for value in values):
        return ""
    if max(values) - min(values) < _LEAST:
        return ""
    places = _places([*values, border - width, border + width])
    estimate, low, high, threshold, least, most = places
    middle = _HEIGHT / 2
    band = f'<path class="band" d="M{least} 1H{most}V{_HEIGHT - 1}H{least}Z"/>' if width else ""
    return (
        f'<svg class="glyph" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'{band}<path class="axis" d="M0 {middle}H{_WIDTH}"/>'
        f'<path class="threshold" d="M{threshold} 1V{_HEIGHT - 1}"/>'
        f'<path class="interval" d="M{low} {middle}H{high}"/>'
        f'<circle class="estimate" cx="{estimate}" cy="{middle}" r="3.5"/></svg>'
    )


def _places(values: list[float]) -> list[float]:
    """Return the values as distances from the left edge."""
    low, high = min(values), max(values)
    scale = (_WIDTH - 2 * _MARGIN) / (high - low)
    return [round(_MARGIN + (value - low) * scale, 1) for value in values]
