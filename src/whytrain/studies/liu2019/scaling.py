"""`scaling`: how many steps it takes to come within epsilon of the global optimum."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain.dynamics import log_times, simulate
from whytrain.lab import Experiment, Runs, setting
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders

EPSILONS = 10.0 ** -np.arange(2, 11)


@dataclass(frozen=True, kw_only=True)
class ScalingSettings(DescentSettings):
    """As for `success-rate`, and how finely time is resolved."""

    norm: float = setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    times: int = setting(400, "log-spaced times between which crossings are interpolated", low=2)


def compute(settings: ScalingSettings, runs: Runs) -> xr.Dataset:
    """Steps to each epsilon, NaN where a run never came that close.

    The error of a run is the largest of its angle, `|1.a - S| / sqrt(k A)` and `|a.a* - A| / A`.
    """
    reduction = settings.reduction
    ended = simulate(
        reduction,
        settings.method,
        draw_orders(settings, runs),
        settings.steps,
        observables=("angle", "total", "overlap"),
        times=log_times(settings.steps, settings.times),
        early=False,
    )
    power = settings.norm**2
    error = np.maximum.reduce([
        ended.angle.values,
        np.abs(ended.total.values - reduction.total_star) / math.sqrt(settings.k * power),
        np.abs(ended.overlap.values - power) / power,
    ])  # fmt: skip
    hits = np.stack([_last_crossing(error, ended.time.values, eps) for eps in EPSILONS], axis=1)
    return xr.Dataset(
        {"outcome": ended.outcome, "hit": (("run", "epsilon"), hits, {"units": "steps"})},
        {"epsilon": EPSILONS},
    )


def _last_crossing(error: np.ndarray, time: np.ndarray, epsilon: float) -> np.ndarray:
    """When each run comes below epsilon for good, linear in the log of the error between times."""
    above = error >= epsilon
    last = error.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1)  # the last time above
    hits = np.full(len(error), np.nan)
    good = np.flatnonzero(above.any(axis=1) & ~above[:, -1])
    before = np.log(np.maximum(error[good, last[good]], 1e-300))
    after = np.log(np.maximum(error[good, last[good] + 1], 1e-300))
    share = (before - np.log(epsilon)) / (before - after)
    hits[good] = time[last[good]] + share * (time[last[good] + 1] - time[last[good]])
    hits[~above.any(axis=1)] = 0.0
    return hits


def summarize(dataset: xr.Dataset, settings: ScalingSettings) -> dict:
    """The success rate, and mean steps to each epsilon of the runs that came so close."""
    del settings
    return {
        "success_rate": float((dataset.outcome == Outcome.GLOBAL).mean()),
        "epsilon": dataset.epsilon.values.tolist(),
        "steps": dataset.hit.mean("run", skipna=True).values.tolist(),
    }


SCALING = Experiment(
    name="scaling",
    doc="steps to come within epsilon of the global optimum",
    settings=ScalingSettings,
    compute=compute,
    summarize=summarize,
    version=2,
    runs=200,
    block=1024,
)
