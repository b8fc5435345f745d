"""Parts that many claims have: a closed form beside Monte Carlo, an identity, every run."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from whytrain.lab.claims import Cell, Cells, Part
from whytrain.lab.statistics import LEVEL, Estimate, estimate_rate, largest
from whytrain.lab.verdicts import at_most, covers, every_run

_NORMAL = float(stats.norm.isf((1 - LEVEL) / 2))
_FARTHEST = 6.0  # standard errors, beyond which no correct closed form is at one point


def closed_form(z: str, what: str) -> tuple[Part, Part]:
    """A closed form lies in Monte Carlo's 95 % intervals about as often as they promise.

    The interval of that share has 99.9 %, so that a correct closed form is not refused by chance;
    one that is ever missed by six standard errors is refused.

    Args:
        z: The variable that holds Monte Carlo less closed form, in standard errors.
        what: What was compared, in words.

    Returns:
        The part on the share of points, and the part on the farthest point.
    """

    def share(cells: Cells) -> Estimate:
        held = np.abs(cells.pooled(z)) < _NORMAL
        return estimate_rate(int(held.sum()), len(held))

    return (
        Part(f"share of points at which Monte Carlo's 95 % interval covers {what}", share,
             covers(LEVEL)),
        Part(f"largest distance between {what} and Monte Carlo, in standard errors",
             lambda cells: largest(np.abs(cells.pooled(z))), at_most(_FARTHEST)),
    )  # fmt: skip


def identity(*errors: str, tolerance: float, what: str) -> Part:
    """These errors are what rounding leaves.

    Args:
        *errors: The variables that hold them.
        tolerance: What rounding may leave.
        what: What they are, in words.
    """

    def worst(cells: Cells) -> Estimate:
        return largest(np.max([cells.pooled(name) for name in errors], axis=0))

    return Part(what, worst, at_most(tolerance))


def in_every_run(
    held: Callable[[Cells], ArrayLike],
    what: str,
    share: float = LEVEL,
    *,
    resolution: float | None = None,
) -> Part:
    """It held in every run.

    Args:
        held: Gives whether it did, run by run.
        what: The runs in which it did, in words.
        share: The share of all runs that the exact interval has to exceed.
        resolution: As in `Rule`.
    """

    def rate(cells: Cells) -> Estimate:
        good = np.ravel(np.asarray(held(cells), dtype=bool))
        return estimate_rate(int(good.sum()), len(good))

    return Part(what, rate, every_run(share, resolution=resolution))


def moved(name: str, size: str, share: float) -> Callable[[Cells], Cells]:
    """A planted fault: the closed form is too large by a share of itself.

    Args:
        name: The variable that holds Monte Carlo less closed form, in standard errors.
        size: The variable that holds the closed form in standard errors.
        share: How much of itself.
    """

    def one(cell: Cell) -> Cell:
        return cell.assign(**{name: cell.data[name].values - share * cell.data[size].values})

    return lambda cells: cells.change(one)


def altered(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Cells], Cells]:
    """A planted fault: one variable is another function of what was measured.

    Args:
        name: The variable.
        function: Gives its wrong values from the right ones.
    """
    return lambda cells: cells.change(
        lambda cell: cell.assign(**{name: function(cell.data[name].values)})
    )
