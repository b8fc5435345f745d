"""How often do runs from random starts reach the global optimum, network by network?"""

import numpy as np
import xarray as xr

from whytrain.dynamics import counts, simulate
from whytrain.dynamics.counting import LANDSCAPE
from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Experiment,
    Fault,
    Figure,
    Part,
    Runs,
    Topic,
    above,
    estimate_rate,
    estimate_rate_difference,
    in_every_run,
)
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw
from whytrain.studies.liu2019.outcomes import ended, ends_at, success_rates, successes
from whytrain.studies.liu2019.setup import (
    COLORS,
    DU,
    LIU,
    NETWORKS,
    DescentSettings,
    draw_orders,
    length,
    network,
    prior,
)


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
    rate = estimate_rate(numbers[Outcome.GLOBAL.word], sum(numbers.values()))
    return {
        "outcomes": numbers,
        "success_rate": rate.document(),
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

# The teacher of the table has S^2/A = 1, which is what independent weights give on average, and
# |a*| = k, large enough that warm-up matters; the topic `warmup` has others.
TABLE = SUCCESS_RATE.grid(
    {
        "quick": {"runs": 1000, "k": (16, 49, 100)},
        "paper": {"runs": 5000, "k": (16, 25, 36, 49, 64, 81, 100)},
    },
    cases=tuple(NETWORKS.values()),
)


def _both_optima(cells: Cells) -> list[Estimate]:
    """The probability of either optimum, at every k."""
    rates = [estimate_rate(*successes(cell)) for cell in cells]
    return rates + [rate.through(lambda success: 1 - success) for rate in rates]


def _without_warmup(cells: Cells) -> list[tuple[Cell, Cell]]:
    """The ResNet without warm-up beside the CNN, at every k."""
    cold, plain = cells.sel(architecture="resnet", warmup=False), cells.sel(architecture="cnn")
    return list(zip(cold, plain, strict=False))  # of one network alone there is no pair


def _leads(cells: Cells) -> list[Estimate]:
    return [
        estimate_rate_difference(successes(cold), successes(plain))
        for cold, plain in _without_warmup(cells)
    ]


def _swapped(cells: Cells) -> Cells:
    pairs = _without_warmup(cells)
    swapped = [Cell(a.settings, b.data) for one in pairs for a, b in (one, one[::-1])]
    return Cells([*cells.sel(warmup=True), *swapped])


def _draw(cells: Cells) -> tuple:
    by_name = {
        name: Cells([cell for cell in cells if network(cell.settings) == name]) for name in NETWORKS
    }
    series = [
        success_rates(some, [cell.settings.k for cell in some], name, COLORS[name])
        for name, some in by_name.items()
        if some
    ]
    figure = draw.lines(
        series, x_label="patches k", y_label="success rate", x_ticks=list(cells.by("k")),
        y_limits=(0, 1.04),
    )  # fmt: skip
    words = {one.label: _range_in_words(np.asarray(one.y)) for one in series}
    at = cells[0].settings
    warm, cold, plain = (words.get(name, "(not run)") for name in NETWORKS)
    return figure, (
        f"Success over the number of patches; {cells[0].runs} runs a point, bands are exact 95 % "
        f"intervals. With the shortcut and warm-up {warm} reach the global optimum, without "
        f"warm-up {cold}, of the plain CNN's {plain}: the shortcut does much of it, and warm-up "
        f"removes what is left. Teacher: S²/A = {at.alignment:g}, ‖a*‖ = {length(at)}, prior angle "
        f"{prior(at)}."
    )


def _range_in_words(rates: np.ndarray) -> str:
    return "all runs" if rates.min() == 1 else f"{rates.min():.1%} to {rates.max():.1%}"


TOPIC = Topic(
    experiments=(SUCCESS_RATE,),
    claims=(
        Claim(
            id="cnn-constant-probability", title="A plain CNN falls into either optimum",
            group="experiments", source=DU,
            statement="From a random filter the plain CNN reaches each of the two optima with a "
            "probability bounded away from 0 (here: above 0.1 at every k).",
            requests=TABLE.at(architecture="cnn"),
            parts=(Part("probability of either optimum, at every k", _both_optima,
                        above(0.1, resolution=0.01)),),
            faults=(
                Fault("95 % of all runs succeed", ends_at(Outcome.GLOBAL, 0.95)),
                Fault("95 % of all runs fail", ends_at(Outcome.SPURIOUS, 0.95)),
            ),
            does_not_show="Teachers other than the study's: the probability depends on S²/A.",
            figures=("success-rate",),
        ),
        Claim(
            id="shortcut-beats-cnn", title="The shortcut beats the CNN", group="experiments",
            source=f"{LIU}, success table",
            statement="Success: ResNet with warm-up = 1 ≥ ResNet without > CNN, at every k.",
            requests=TABLE,
            parts=(
                Part("lead over the CNN of the ResNet without warm-up, at every k", _leads,
                     above(0.0, resolution=0.01)),
                in_every_run(lambda cells: ended(Outcome.GLOBAL)(cells.sel(warmup=True)),
                             "runs with warm-up that succeed", 0.99, resolution=0.0),
            ),
            faults=(
                Fault("the networks without warm-up are exchanged", _swapped),
                Fault("one run in a hundred with warm-up fails", lambda cells: Cells([
                    *ends_at(Outcome.SPURIOUS, 0.01)(cells.sel(warmup=True)),
                    *cells.sel(warmup=False)])),
            ),
            does_not_show="Networks trained on data, with more than one hidden layer.",
            figures=("success-rate",),
        ),
    ),
    figures=(Figure("success-rate", "Success over the number of patches", TABLE, _draw),),
)  # fmt: skip
