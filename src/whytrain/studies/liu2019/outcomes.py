"""Where runs of this study end: counted, drawn, and planted as faults."""

from collections.abc import Callable, Sequence

import numpy as np

from whytrain.dynamics import count
from whytrain.lab import Cell, Cells, altered, estimate_rate
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw


def ended(kind: Outcome) -> Callable[[Cells], np.ndarray]:
    """Whether each run ended so."""
    return lambda cells: cells.pooled("outcome") == kind


def successes(cell: Cell) -> tuple[int, int]:
    """How many runs came to the global optimum, and of how many."""
    return count(cell.data, Outcome.GLOBAL), cell.runs


def ends_at(kind: Outcome, share: float) -> Callable[[Cells], Cells]:
    """A fault: this share of all runs, the last ones, ended so; one run at least."""

    def one(codes: np.ndarray) -> np.ndarray:
        first = len(codes) - max(1, round(share * len(codes)))
        return np.where(np.arange(len(codes)) >= first, int(kind), codes).astype(codes.dtype)

    return altered("outcome", one)


def success_rates(cells: Cells, x: Sequence[float], label: str, color: str) -> draw.Series:
    """Success rates with their exact 95 % intervals."""
    rates = [estimate_rate(*successes(cell)) for cell in cells]
    low, high = ([getattr(rate, end) for rate in rates] for end in ("low", "high"))
    return draw.Series(
        x, [rate.value for rate in rates], label, low=low, high=high, color=color, marker="o"
    )
