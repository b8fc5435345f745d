"""`success-rate`: where runs of one setting end."""

import xarray as xr

from whytrain.dynamics import counts, simulate
from whytrain.dynamics.counting import LANDSCAPE
from whytrain.lab import Experiment, Runs, estimate_rate
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders


def compute(settings: DescentSettings, runs: Runs) -> xr.Dataset:
    """The outcome of every run and the steps it took."""
    starts = draw_orders(settings, runs)
    ended = simulate(settings.reduction, settings.method, starts, settings.steps)
    return ended[["outcome", "steps"]]


def reduce(dataset: xr.Dataset) -> xr.Dataset:
    """How many runs had each outcome, and the steps they took together."""
    return xr.Dataset({**counts(dataset), "trajectory_steps": dataset.steps.sum()})


def summarize(sums: xr.Dataset, settings: DescentSettings) -> dict:
    """Counts of outcomes, the success rate with its exact 95 % interval, and the steps executed."""
    del settings
    numbers = {outcome.word: int(sums[outcome.word]) for outcome in LANDSCAPE}
    successes, runs = numbers[Outcome.GLOBAL.word], sum(numbers.values())
    return {
        "outcomes": numbers,
        "success_rate": estimate_rate(successes, runs).document(),
        "trajectory_steps": int(sums.trajectory_steps),
    }


SUCCESS_RATE = Experiment(
    name="success-rate",
    doc="how often runs from random starts reach the global optimum",
    settings=DescentSettings,
    compute=compute,
    summarize=summarize,
    version=2,
    runs=5000,
    reduce=reduce,
)
