"""How many runs of an ensemble had an outcome."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from whytrain.landscapes import Outcome

LANDSCAPE = (
    Outcome.UNDECIDED,
    Outcome.GLOBAL,
    Outcome.SPURIOUS,
    Outcome.SADDLE,
    Outcome.DIVERGED,
)
"""The outcomes of a landscape on a manifold, where no filter can collapse."""


def count(dataset: xr.Dataset, outcome: Outcome) -> int:
    """How many runs had an outcome."""
    return int(np.sum(dataset.outcome.values == outcome))


def counts(dataset: xr.Dataset, outcomes: Sequence[Outcome] = LANDSCAPE) -> dict[str, int]:
    """The number of runs with each outcome, by its word."""
    return {outcome.word: count(dataset, outcome) for outcome in outcomes}
