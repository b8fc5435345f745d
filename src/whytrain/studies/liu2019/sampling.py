"""Does descent on mini-batches of fresh patches follow the population's trajectory?"""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import StochasticGradientDescent, simulate
from whytrain.landscapes import Outcome, Weights, at_each
from whytrain.report import figures as draw
from whytrain.studies.liu2019.setup import DescentSettings, draw_weights


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(DescentSettings):
    """A small plain network by default: every step draws `batch * k * p` numbers."""

    k: int = lab.setting(9, "number of patches", low=1, high=10_000)
    p: int = lab.setting(4, "length of a patch", low=1, high=10_000)
    norm: float = lab.setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    architecture: str = lab.setting("cnn", "network", choices=("resnet", "cnn"))
    warmup: bool = lab.setting(False, "whether the filter's step size starts at step_size^2")
    batch: int = lab.setting(64, "fresh inputs a step", low=1)
    horizon: int = lab.setting(300, "steps on mini-batches", low=1)


def compute(settings: SamplingSettings, runs: lab.Runs) -> xr.Dataset:
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


SAMPLING = lab.Experiment(
    name="sampling",
    doc="mini-batch descent on fresh patches beside the population's trajectory",
    settings=SamplingSettings,
    compute=compute,
    version=2,
    runs=64,
    block=256,
)

BATCHES = SAMPLING.grid(
    {
        "quick": {"runs": 192, "horizon": 100, "batch": (8, 32, 128)},
        "paper": {"runs": 256, "horizon": 300, "batch": (16, 64, 256, 1024)},
    }
)


def _exponent(cells: lab.Cells) -> lab.Estimate:
    """The logs of all runs over the log of the batch: a run that changes sides is off by O(1)."""
    logs = np.log(cells.pooled("deviation"))
    where = np.concatenate([np.full(cell.runs, math.log(cell.settings.batch)) for cell in cells])
    return lab.estimate_slope(where, logs)


def _same_end(cells: lab.Cells) -> lab.Estimate:
    """How often both end in the same basin, at the largest batch."""
    last = max(cells, key=lambda cell: cell.settings.batch)
    same = last.data.population_outcome == last.data.sampled_outcome
    return lab.estimate_rate(int(same.sum()), last.runs)


def _every_fifth_elsewhere(cell: lab.Cell) -> lab.Cell:
    ends = cell.data.population_outcome.values
    other = np.where(ends == Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.GLOBAL)
    fifth = np.arange(len(ends)) % 5 == 0
    return cell.assign(sampled_outcome=np.where(fifth, other, ends).astype(ends.dtype))


def _draw(cells: lab.Cells) -> tuple:
    sizes = [cell.settings.batch for cell in cells]
    low, middle, high = np.transpose([
        np.quantile(cell.data.deviation.values, (0.25, 0.5, 0.75)) for cell in cells
    ])  # fmt: skip
    guide = middle[0] * np.sqrt(sizes[0] / np.array(sizes))
    series = [
        draw.Series(sizes, middle, "median of runs", low=low, high=high, color="ink", marker="o"),
        draw.Series(sizes, guide, "one over the root", color="gray", line="--", width=1.0),
    ]
    figure = draw.lines(
        series, x_label="batch", y_label="deviation from the population's run", log="xy",
        x_ticks=sizes,
    )  # fmt: skip
    return figure, (
        "Mini-batch descent on fresh patches beside the population's trajectory from the same "
        "start; the band holds the middle half of the runs. The deviation falls like one over the "
        "root of the batch: "
        "what is proved of the population carries over to large batches."
    )


CLAIMS = (
    lab.Claim(
        id="samples", title="Mini-batches follow the population", group="experiments",
        source="extension to mini-batches",
        statement="Mini-batch descent on fresh patches follows the population's trajectory; the "
        "deviation falls like one over the root of the batch.",
        requests=BATCHES,
        parts=(
            lab.Part("exponent of the deviation over the batch", _exponent,
                     lab.equals(-0.5, 0.15, resolution=0.05)),
            lab.Part("share of runs that end where the population's do, at the largest batch",
                     _same_end, lab.above(0.9, resolution=0.02)),
        ),
        faults=(
            lab.Fault("it falls like the fourth root of the batch",
                      lab.grown("deviation", "batch", 0.25)),
            lab.Fault("every fifth run ends elsewhere", lab.changed(_every_fifth_elsewhere)),
        ),
        does_not_show="A sample that is used more than once.",
        figures=("sampling",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((SAMPLING,), CLAIMS, (
    lab.Figure("sampling", "Mini-batches", BATCHES, _draw),
))  # fmt: skip
