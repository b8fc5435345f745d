"""`success-rate`: where runs of one setting end."""

import xarray as xr

from whytrain.dynamics import count, counts, simulate
from whytrain.lab import Experiment, Runs, binomial_interval
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders


def compute(settings: DescentSettings, runs: Runs) -> xr.Dataset:
    """The outcome of every run and the steps it took."""
    starts = draw_orders(settings, runs)
    ended = simulate(settings.reduction, settings.method, starts, settings.steps)
    return ended[["outcome", "steps"]]


def summarize(dataset: xr.Dataset, settings: DescentSettings) -> dict:
    """Counts of outcomes, the success rate with its exact 95 % interval, and the steps executed."""
    del settings
    successes, runs = count(dataset, Outcome.GLOBAL), dataset.sizes["run"]
    low, high = binomial_interval(successes, runs)
    return {
        "outcomes": counts(dataset),
        "success_rate": {"estimate": successes / runs, "low": low, "high": high},
        "trajectory_steps": int(dataset.steps.sum()),
    }


SUCCESS_RATE = Experiment(
    name="success-rate",
    doc="how often runs from random starts reach the global optimum",
    settings=DescentSettings,
    compute=compute,
    summarize=summarize,
    runs=5000,
)
