"""Where a function of one variable is not smooth: found, so that quadrature can end there.

The function is looked at on `places`, closer than 2e-4 of their distance from zero. Between two of
them where it changes far more than around, bisection closes in on the jump. Between jumps, panels
are halved until 20 Gauss-Legendre nodes give what the halves give, and what all the places give.
What is narrower than the places lie apart can be missed, and nothing that looks at finitely many
places can do better; weighed by any normal density it is at most 0.24 * 2e-4 of its height.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.polynomial.legendre import leggauss

Function = Callable[[np.ndarray], np.ndarray]
Places = Float[np.ndarray, " _"]

SPACING = 2e-4  # of places, relative to their distance from zero
NEAREST = 1e-9  # of the places that are not zero's two sides
SIDE = 1e-13  # of a jump or of zero: so close to it, relative to its distance or to 1
_ROUGH = (0.5, 1.5, 4.0, 12.0, 40.0, 120.0, 400.0)  # panels begin with these ends
_MOST = 2000  # jumps, and panels
_STEEP = 8.0  # times the change around is a jump, until bisection shows that it is none
_SMALL = 1e-9  # of the range of values: no jump that matters
_NODES, _WEIGHTS = leggauss(20)


@dataclass(frozen=True)
class Shape:
    """What is known of a function of one variable.

    Attributes:
        ends: Where to end panels, besides zero and what was declared.
        places: Where it was looked at, in order; on both sides of every jump that was found.
        values: Its values there.
    """

    ends: tuple[float, ...]
    places: Places
    values: Places


def shape(function: Function, declared: Sequence[float], reach: float) -> Shape:
    """Look where a function is not smooth.

    Args:
        function: The function, elementwise; finite.
        declared: Where it is known not to be smooth; zero always is.
        reach: How far from zero to look.

    Returns:
        What is to be known for quadrature.

    Example:
        >>> found = shape(lambda x: 1.0 * (np.abs(x) < 1 / 3), (), 1e3)
        >>> np.allclose(found.ends, [-1 / 3, 1 / 3], rtol=0, atol=1e-12)
        True
    """
    places = _places(reach)
    values = function(places)
    low, high = _jumps(function, places, values)
    beside = np.concatenate([low, high])
    places, first = np.unique(np.concatenate([places, beside]), return_index=True)
    values = np.concatenate([values, function(beside)])[first]
    known = np.array([0.0, *declared])
    jumps = (low + high) / 2
    jumps = jumps[~_near(jumps, known)]
    ends = [-reach, reach, *(side * end for side in (-1, 1) for end in _ROUGH if end < reach)]
    ends = np.unique([*ends, *known[np.abs(known) < reach], *jumps])
    halves = _refine(function, ends, places, values)
    return Shape(tuple(np.unique([*jumps, *halves]).tolist()), places, values)


def _places(reach: float) -> Places:
    """Places at which an unnatural number of them comes before each: no round number is hit."""
    count = int(np.log(reach / NEAREST) / SPACING) + 1
    right = np.geomspace(NEAREST * 1.0217, reach, count)
    return np.concatenate([-right[::-1], [-SIDE, SIDE], right])


def _near(places: Places, known: np.ndarray) -> Bool[np.ndarray, " _"]:
    apart = np.abs(places[:, None] - known)
    return np.any(apart < 1e-11 * np.maximum(1, np.abs(known)), axis=1)


def _jumps(function: Function, places: Places, values: Places) -> tuple[Places, Places]:
    """The two sides of every jump that stands out of what is around it."""
    change = np.abs(np.diff(values))
    around = np.median([np.roll(change, shift) for shift in range(-3, 4)], axis=0)
    least = _SMALL * np.ptp(values)
    steep = np.flatnonzero(change > _STEEP * around + least)
    steep = steep[np.argsort(-change[steep], kind="stable")[:_MOST]]
    found_low, found_high = np.empty(0), np.empty(0)
    low, high = places[steep], places[steep + 1]
    for _ in range(4):  # more jumps than one between two places are found one after another
        if not len(low):
            break
        left, right, size = _close_in(function, low, high)
        jump = size > np.maximum(least, 0.1 * np.abs(function(high) - function(low)))
        found_low, found_high = np.append(found_low, left[jump]), np.append(found_high, right[jump])
        low, high = np.append(low[jump], right[jump]), np.append(left[jump], high[jump])
        still = (np.abs(function(high) - function(low)) > least) & (high > low)
        low, high = low[still], high[still]
    return found_low, found_high


def _close_in(function: Function, low: Places, high: Places) -> tuple[Places, Places, Places]:
    """Halve intervals to `SIDE`, keeping the half that changes more; and what is left to change."""
    at_low, at_high = function(low), function(high)
    for _ in range(60):
        middle = (low + high) / 2
        at_middle = function(middle)
        left = np.abs(at_middle - at_low) >= np.abs(at_high - at_middle)
        wide = high - low > SIDE * np.maximum(1, np.abs(middle))
        high, at_high = np.where(wide & left, (middle, at_middle), (high, at_high))
        low, at_low = np.where(wide & ~left, (middle, at_middle), (low, at_low))
    return low, high, np.abs(at_high - at_low)


def _refine(function: Function, ends: Places, places: Places, values: Places) -> list[float]:
    """Where panels had to be halved."""
    total = np.concatenate(
        [[0.0], np.cumsum(np.diff(places) * (values[1:] + values[:-1]) / 2)]
    )  # of all up to each place, by trapezia
    size = max(float(np.abs(values).max()), 1e-300)
    low, high = ends[:-1], ends[1:]
    halved: list[float] = []
    while len(low) and len(halved) < _MOST:
        middle, far = (low + high) / 2, np.maximum(np.abs(low), np.abs(high))
        whole, left, right = (
            _integral(function, *panel, far)
            for panel in ((low, high), (low, middle), (middle, high))
        )
        by_places = np.interp(high, places, total) - np.interp(low, places, total)
        near = np.maximum(np.minimum(np.abs(low), np.abs(high)), 1e-3) * size
        rough = np.abs(whole - left - right)[0] > 1e-11 * near
        rough |= np.abs(whole - left - right)[1] > 1e-11 * near
        rough |= np.abs(whole[0] - by_places) > 1e-6 * np.maximum(near, 0.1 * (high - low) * size)
        rough &= high - low > 2 * SIDE * np.maximum(1, np.abs(middle))
        halved += middle[rough].tolist()
        low, high = np.append(low[rough], middle[rough]), np.append(middle[rough], high[rough])
    return halved


def _integral(
    function: Function, low: Places, high: Places, far: Places
) -> Float[np.ndarray, "2 _"]:
    """The integral over each panel, and that with a normal density of deviation `far`."""
    half = (high - low)[:, None] / 2
    x = (low + high)[:, None] / 2 + half * _NODES
    terms = function(x) * half
    return np.stack([terms @ _WEIGHTS, (terms * np.exp(-((x / far[:, None]) ** 2) / 2)) @ _WEIGHTS])
