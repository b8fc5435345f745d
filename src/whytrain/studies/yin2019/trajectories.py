"""`trajectories`: single runs of coarse gradient descent over time."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain.dynamics import GradientDescent, counts, log_times, simulate
from whytrain.lab import Experiment, Runs, setting
from whytrain.studies.yin2019.descent import OUTCOMES
from whytrain.studies.yin2019.setup import DescentSettings, draw_orders, told


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(DescentSettings):
    """As for `descent`, and how many times are saved."""

    times: int = setting(200, "log-spaced times at which the runs are saved", low=2, high=10_000)


def compute(settings: TrajectorySettings, runs: Runs) -> xr.Dataset:
    """Angle, overlap `v.v*`, length of the filter and loss over time; and where each run ends."""
    return simulate(
        settings.reduction(settings.ste),
        GradientDescent(settings.step_size),
        draw_orders(settings, runs),
        settings.steps,
        observables=("angle", "overlap", "radius", "loss"),
        times=log_times(settings.steps, settings.times),
    )[["angle", "overlap", "radius", "loss", "outcome", "steps"]]


def summarize(dataset: xr.Dataset, settings: TrajectorySettings) -> dict:
    """Counts of outcomes, the shortest filter at the times saved, and the last loss."""
    del settings
    return {
        "outcomes": counts(dataset, OUTCOMES),
        "smallest_filter_norm": told(dataset.radius, np.min),
        "last_loss": told(dataset.loss.isel(time=-1), np.mean),
    }


TRAJECTORIES = Experiment(
    name="trajectories",
    doc="angle, overlap, filter length and loss of single runs over time",
    settings=TrajectorySettings,
    compute=compute,
    summarize=summarize,
    runs=24,
    block=256,
)
