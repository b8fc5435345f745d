"""`trajectories`: single runs of the whole network over time."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain.dynamics import simulate
from whytrain.lab import Experiment, Runs, setting
from whytrain.studies.liu2019 import success
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders, draw_weights


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(DescentSettings):
    """As for `success-rate`, and how many times are saved."""

    times: int = setting(80, "log-spaced times at which the runs are saved", low=2, high=10_000)


def compute(settings: TrajectorySettings, runs: Runs) -> xr.Dataset:
    """Angle, overlap, total and loss over time, from the full state; and where each run ends."""
    landscape = settings.landscape
    horizon = min(settings.steps, int(20 / settings.step_size) + 1)

    def order(field: str):
        return lambda weights: getattr(landscape.order(weights), field)

    path = simulate(
        landscape,
        settings.method,
        draw_weights(settings, runs),
        horizon,
        observables={"loss": landscape.loss}
        | {name: order(name) for name in ("angle", "total", "overlap")},
        times=np.unique(np.r_[0, np.geomspace(1, horizon, settings.times).round()].astype(int)),
    )
    ended = simulate(
        settings.reduction, settings.method, draw_orders(settings, runs), settings.steps
    )
    return path[["angle", "total", "overlap", "loss"]].assign(
        outcome=ended.outcome, steps=ended.steps
    )


def summarize(dataset: xr.Dataset, settings: TrajectorySettings) -> dict:
    """Outcomes, and the largest angle and last loss of the runs."""
    return success.summarize(success.reduce(dataset), settings) | {
        "largest_angle": float(dataset.angle.max()),
        "last_loss": float(dataset.loss.isel(time=-1).mean()),
    }


TRAJECTORIES = Experiment(
    name="trajectories",
    doc="angle, overlap and loss of single runs over time",
    settings=TrajectorySettings,
    compute=compute,
    summarize=summarize,
    version=2,
    runs=24,
    block=256,
)
