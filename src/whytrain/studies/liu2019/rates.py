"""`rates`: how fast runs that start near an optimum come to it, or leave it."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain.dynamics import NormalizedGradientDescent, counts, log_times, simulate
from whytrain.lab import Derived, Experiment, Runs, estimate_mean, normals, setting
from whytrain.landscapes import SphereOrder, Weights
from whytrain.studies.liu2019.setup import TeacherSettings, warn_if_unstable


@dataclass(frozen=True, kw_only=True)
class RateSettings(TeacherSettings):
    """An optimum, how far from it the runs start, and constant step sizes."""

    norm: float = setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    optimum: str = setting(
        "global", "the critical point to start near", choices=("global", "spurious")
    )
    distance: float = setting(
        0.3, "largest angle to it at the start", unit="rad", low=0, high=math.pi / 2
    )
    spread: float = setting(
        0.05, "standard deviation of the sums about the best ones, over sqrt(k A) and A", low=0
    )
    step_size: float = setting(0.1, "step size of the output weights", low=0, exclusive=True)
    filter_step_size: Derived[float] = setting(
        None, "step size of the filter; default step_size", low=0, exclusive=True
    )
    steps: int = setting(200_000, "steps of a run", low=1)
    early: bool = setting(False, "whether proved basins may end a run")
    times: int = setting(200, "log-spaced times at which runs are saved", low=2, high=10_000)

    def check(self) -> None:
        """Fill in the derived default."""
        super().check()
        self.derive("filter_step_size", self.step_size)
        warn_if_unstable(self.reduction, self.filter_step_size, self.step_size)


def compute(settings: RateSettings, runs: Runs) -> xr.Dataset:
    """Angle, total and overlap over time as distances from the critical point, and the outcome."""
    reduction = settings.reduction
    place = reduction.settled(0.0 if settings.optimum == "global" else math.pi)
    sizes = Weights(settings.filter_step_size, settings.step_size)
    ended = simulate(
        reduction,
        NormalizedGradientDescent(sizes),
        _starts(settings, runs, place),
        settings.steps,
        observables=() if settings.early else ("angle", "total", "overlap"),
        times=log_times(settings.steps, settings.times),
        early=settings.early,
    )
    if settings.early:
        return ended[["outcome", "steps"]]
    gap = {name: np.abs(ended[name] - getattr(place, name)) for name in place._fields}
    return ended[["outcome", "steps"]].assign(gap)


def _starts(settings: RateSettings, runs: Runs, place: SphereOrder) -> SphereOrder:
    noise = runs.draw(lambda keys: normals(keys, 3))
    away = settings.distance * (0.1 + 0.9 * np.exp(-(noise[:, 0] ** 2)))
    angle = np.abs(place.angle - away)
    total_scale = settings.spread * settings.norm * math.sqrt(settings.k)
    overlap_scale = settings.spread * settings.norm**2
    return SphereOrder(
        angle, place.total + total_scale * noise[:, 1], place.overlap + overlap_scale * noise[:, 2]
    )


def predicted(settings: RateSettings) -> dict[str, float]:
    """Linearized rates at the global optimum, a step: `eta_w A / 2` and `eta_a (pi - 1) / (2 pi)`.

    A step of size `rate` multiplies the error by `1 - rate`, so that its logarithm falls by
    `-log1p(-rate)`.
    """
    filter_rate = settings.filter_step_size * settings.norm**2 / 2
    output_rate = settings.step_size * (math.pi - 1) / (2 * math.pi)
    return {"angle": -math.log1p(-filter_rate), "overlap": -math.log1p(-output_rate)}


def measured(dataset: xr.Dataset, name: str, low: float = 1e-11, high: float = 1e-4) -> np.ndarray:
    """The rate of every run: how much the log error falls a step between `high` and `low`.

    Of an error that changes sign on its way, only what comes after it was last above `high` counts.
    """
    error, time = dataset[name].values, dataset.time.values
    rates = np.full(len(error), np.nan)
    for run, path in enumerate(error):
        small = np.flip(np.logical_and.accumulate(np.flip(path < high)))
        inside = small & (path > low)
        if inside.sum() >= 2:
            rates[run] = -np.polyfit(time[inside], np.log(path[inside]), 1)[0]
    return rates


def slow_constant(dataset: xr.Dataset, settings: RateSettings) -> np.ndarray:
    """`delta t |u~| eta_w / (2 pi)` over run and time near the spurious minimum; it tends to 1."""
    overlap = abs(settings.reduction.settled(math.pi).overlap)
    factor = overlap * settings.filter_step_size / (2 * math.pi)
    return dataset.angle.values * dataset.time.values * factor


def summarize(dataset: xr.Dataset, settings: RateSettings) -> dict:
    """The outcomes; at the global optimum the measured rates over the predicted ones."""
    results: dict = {"outcomes": counts(dataset)}
    if settings.early:
        return results
    if settings.optimum == "spurious":
        last = slow_constant(dataset, settings)[:, -1]
        return results | {"slow_constant": _mean(last)}
    ratios = {name: measured(dataset, name) / rate for name, rate in predicted(settings).items()}
    return results | {
        f"{name}_rate_over_predicted": _mean(values) for name, values in ratios.items()
    }


def _mean(values: np.ndarray) -> dict:
    values = values[np.isfinite(values)]
    if not len(values):
        return {"estimate": math.nan, "low": math.nan, "high": math.nan}
    return estimate_mean(values).document()


RATES = Experiment(
    name="rates",
    doc="speed of approach to an optimum, from starts near it",
    settings=RateSettings,
    compute=compute,
    summarize=summarize,
    version=3,
    runs=64,
    block=1024,
)
