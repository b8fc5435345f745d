"""`descent`: where coarse gradient descent ends, and whether its loss ever rose."""

import numpy as np
import xarray as xr

from whytrain.dynamics import GradientDescent, counts, simulate
from whytrain.lab import Experiment, Runs
from whytrain.landscapes import Outcome
from whytrain.studies.yin2019.setup import DescentSettings, draw_orders, told

OUTCOMES = (
    Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE,
    Outcome.COLLAPSED, Outcome.UNDECIDED, Outcome.DIVERGED,
)  # fmt: skip
ROUNDING = 1e-12  # a rise of the loss that is rounding


def compute(settings: DescentSettings, runs: Runs) -> xr.Dataset:
    """Outcome, steps, the largest rise of the loss in one step, and the least filter length."""
    ended = simulate(
        settings.reduction(settings.ste),
        GradientDescent(settings.step_size),
        draw_orders(settings, runs),
        settings.steps,
        extremes=("loss", "radius"),
    )
    return ended[["outcome", "steps", "rise_loss", "least_radius"]]


def monotone(dataset: xr.Dataset) -> np.ndarray:
    """Whether the loss of each run never rose."""
    return dataset.rise_loss.values <= ROUNDING


def summarize(dataset: xr.Dataset, settings: DescentSettings) -> dict:
    """Counts of outcomes, the share of monotone runs, the shortest filter, and the steps."""
    del settings
    return {
        "outcomes": counts(dataset, OUTCOMES),
        "monotone_fraction": float(monotone(dataset).mean()),
        "smallest_filter_norm": told(dataset.least_radius, np.min),
        "trajectory_steps": int(dataset.steps.sum()),
    }


DESCENT = Experiment(
    name="descent",
    doc="where coarse gradient descent from random starts ends, and whether its loss ever rose",
    settings=DescentSettings,
    compute=compute,
    summarize=summarize,
    version=2,
    runs=1000,
)
