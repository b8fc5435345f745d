"""`sampling`: mini-batch descent on fresh Gaussian patches beside the population's trajectory."""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain.dynamics import StochasticGradientDescent, simulate
from whytrain.lab import Experiment, Runs, estimate_rate, setting
from whytrain.landscapes import Outcome, Weights, at_each
from whytrain.studies.liu2019.setup import DescentSettings, draw_weights


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(DescentSettings):
    """A small plain network by default: every step draws `batch * k * p` numbers."""

    k: int = setting(9, "number of patches", low=1, high=10_000)
    p: int = setting(4, "length of a patch", low=1, high=10_000)
    norm: float = setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    architecture: str = setting("cnn", "network", choices=("resnet", "cnn"))
    warmup: bool = setting(False, "whether the filter's step size starts at step_size^2")
    batch: int = setting(64, "fresh inputs a step", low=1)
    horizon: int = setting(300, "steps on mini-batches", low=1)


def compute(settings: SamplingSettings, runs: Runs) -> xr.Dataset:
    """Both trajectories from the same start: how far apart they are, and where each ends.

    After `horizon` steps the mini-batch run is handed to the population's dynamics, which says in
    whose basin it is. The deviation is that of `(angle, overlap / A)` after `horizon` steps.
    """
    landscape, method = settings.landscape, settings.method
    starts = draw_weights(settings, runs)
    noisy = StochasticGradientDescent(method.step_size, settings.batch, normalized=True)
    with jax.enable_x64(True):
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(runs.keys())
    ends = {
        "population": simulate(landscape, method, starts, settings.horizon, early=False),
        "sampled": simulate(landscape, noisy, starts, settings.horizon, early=False, keys=keys),
    }
    orders, outcomes = {}, {}
    for name, end in ends.items():
        weights = Weights(end.final_filter.values, end.final_output.values)
        orders[name] = at_each(landscape.order, weights)
        late = simulate(settings.reduction, method, orders[name], settings.steps)
        outcomes[f"{name}_outcome"] = late.outcome
    power = settings.norm**2
    apart = np.hypot(
        orders["sampled"].angle - orders["population"].angle,
        (orders["sampled"].overlap - orders["population"].overlap) / power,
    )
    return xr.Dataset({"deviation": ("run", apart), **outcomes})


def summarize(dataset: xr.Dataset, settings: SamplingSettings) -> dict:
    """Root mean square deviation, and both success rates with exact 95 % intervals."""
    del settings
    runs = dataset.sizes["run"]
    results: dict = {"deviation": math.sqrt(float((dataset.deviation**2).mean()))}
    for name in ("population", "sampled"):
        successes = int((dataset[f"{name}_outcome"] == Outcome.GLOBAL).sum())
        results[f"{name}_success_rate"] = estimate_rate(successes, runs).document()
    return results


SAMPLING = Experiment(
    name="sampling",
    doc="mini-batch descent on fresh patches beside the population's trajectory",
    settings=SamplingSettings,
    compute=compute,
    summarize=summarize,
    version=2,
    runs=64,
    block=256,
)
