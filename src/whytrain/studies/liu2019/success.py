"""How often do runs from random starts reach the global optimum, and is warm-up needed?"""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import count, counts, simulate
from whytrain.dynamics.counting import LANDSCAPE
from whytrain.errors import UserError
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw
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
    ratio,
)


def compute(settings: DescentSettings, runs: lab.Runs) -> xr.Dataset:
    """The outcome of every run and the steps it took."""
    starts = draw_orders(settings, runs)
    found = simulate(settings.reduction, settings.method, starts, settings.steps)
    return found[["outcome", "steps"]]


def reduce(dataset: xr.Dataset) -> xr.Dataset:
    """How many runs had each outcome, and the steps they took together."""
    return xr.Dataset({**counts(dataset), "trajectory_steps": dataset.steps.sum()})


def summarize(sums: xr.Dataset, settings: DescentSettings) -> dict:
    """Counts of outcomes, the success rate with its exact 95 % interval, and the steps executed."""
    del settings
    numbers = {outcome.word: int(sums[outcome.word]) for outcome in LANDSCAPE}
    rate = lab.estimate_rate(numbers[Outcome.GLOBAL.word], sum(numbers.values()))
    return {
        "outcomes": numbers,
        "success_rate": rate.document(),
        "trajectory_steps": int(sums.trajectory_steps),
    }


SUCCESS_RATE = lab.Experiment(
    name="success-rate",
    doc="how often runs from random starts reach the global optimum",
    settings=DescentSettings,
    compute=compute,
    summarize=summarize,
    version=3,
    runs=5000,
    reduce=reduce,
)

# The teacher of the table has S^2/A = 1, which is what independent weights give on average, and
# |a*| = k, large enough that warm-up matters; `COLD` has others.
TABLE = SUCCESS_RATE.grid(
    {
        "quick": {"runs": 1000, "k": (16, 49, 100)},
        "paper": {"runs": 5000, "k": (16, 25, 36, 49, 64, 81, 100)},
    },
    cases=tuple(NETWORKS.values()),
)
# Over k, priors up to the paper's pi/3, and teachers.
WARMED_UP = TABLE.at(warmup=True) + SUCCESS_RATE.grid(
    {"quick": {"runs": 500}, "paper": {"runs": 5000}},
    k=(16, 49),
    angle=(math.pi / 6, math.pi / 3),
    alignment=(1 / 16, 1.0, 4.0),
    norm=(1.0, None),
)
# Over the teacher's length, 1 to k, and the ratio of step sizes.
COLD = functools.reduce(operator.add, [
    SUCCESS_RATE.grid(
        {"quick": {"runs": 1000}, "paper": {"runs": 5000}},
        k=25,
        warmup=False,
        norm=lambda at, power=power: at.k**power,
        step_size=lambda at: 1 / at.k**2,
        filter_step_size=lambda at, share=share: share * at.step_size,
    )
    for power in (0.0, 0.5, 1.0)
    for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
])  # fmt: skip


def ended(kind: Outcome) -> Callable[[lab.Cells], np.ndarray]:
    """Whether each run ended so."""
    return lambda cells: cells.pooled("outcome") == kind


def successes(cell: lab.Cell) -> tuple[int, int]:
    """How many runs came to the global optimum, and of how many."""
    return count(cell.data, Outcome.GLOBAL), cell.runs


def ends_at(kind: Outcome, share: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: this share of all runs, the last ones, ended so; one run at least."""

    def one(codes: np.ndarray) -> np.ndarray:
        first = len(codes) - max(1, round(share * len(codes)))
        return np.where(np.arange(len(codes)) >= first, int(kind), codes).astype(codes.dtype)

    return lab.altered("outcome", one)


def success_rates(cells: lab.Cells, x: Sequence[float], label: str, color: str) -> "draw.Series":
    """Success rates with their exact 95 % intervals."""
    rates = [lab.estimate_rate(*successes(cell)) for cell in cells]
    low, high = ([getattr(rate, end) for rate in rates] for end in ("low", "high"))
    return draw.Series(
        x, [rate.value for rate in rates], label, low=low, high=high, color=color, marker="o"
    )


# --- network by network -------------------------------------------------------------------


def _both_optima(cells: lab.Cells) -> list[lab.Estimate]:
    """The probability of either optimum, at every k."""
    rates = [lab.estimate_rate(*successes(cell)) for cell in cells]
    return rates + [rate.through(lambda success: 1 - success) for rate in rates]


def _without_warmup(cells: lab.Cells) -> list[tuple[lab.Cell, lab.Cell]]:
    """The ResNet without warm-up beside the CNN, at every k."""
    cold, plain = cells.sel(architecture="resnet", warmup=False), cells.sel(architecture="cnn")
    return list(zip(cold, plain, strict=False))  # of one network alone there is no pair


def _leads(cells: lab.Cells) -> list[lab.Estimate]:
    return [
        lab.estimate_rate_difference(successes(cold), successes(plain))
        for cold, plain in _without_warmup(cells)
    ]


def _swapped(cells: lab.Cells) -> lab.Cells:
    pairs = _without_warmup(cells)
    swapped = [lab.Cell(a.settings, b.data) for one in pairs for a, b in (one, one[::-1])]
    return lab.Cells([*cells.sel(warmup=True), *swapped])


def _draw_sizes(cells: lab.Cells) -> tuple:
    by_name = {
        name: lab.Cells([cell for cell in cells if network(cell.settings) == name])
        for name in NETWORKS
    }
    series = [
        success_rates(some, [cell.settings.k for cell in some], name, COLORS[name])
        for name, some in by_name.items()
        if some
    ]
    figure = draw.lines(
        series, x_label="patches $k$", y_label="success rate", x_ticks=list(cells.by("k")),
        y_limits=(None, 1.02),
    )  # fmt: skip
    words = {one.label: _range_in_words(np.asarray(one.y)) for one in series}
    at = cells[0].settings
    warm, cold, plain = (words.get(name, "(not run)") for name in NETWORKS)
    return figure, (
        f"{cells[0].runs} runs a point, bands are exact 95 % "
        f"intervals. With the shortcut and warm-up {warm} reach the global optimum, without "
        f"warm-up {cold}, of the plain CNN's {plain}: the shortcut does much of it, and warm-up "
        f"removes what is left. Teacher: $S²/A = {at.alignment:g}$, $‖a*‖ = {length(at)}$, prior "
        f"angle {prior(at)}."
    )


def _range_in_words(rates: np.ndarray) -> str:
    low, high = 100 * rates.min(), 100 * rates.max()
    return "all runs" if low == 100 else f"{low:.1f} % to {high:.1f} %"


# --- without warm-up ----------------------------------------------------------------------


def _ladder(cells: lab.Cells) -> list[lab.Cell]:
    """The longest teacher, over rising ratios of step sizes."""
    longest = cells.sel(norm=max(cell.settings.norm for cell in cells))
    if len(longest) < 2:
        raise UserError("the claim compares ratios of step sizes; leave filter_step_size unset")
    return sorted(longest, key=lambda cell: cell.settings.filter_step_size)


def _last_rate(cells: lab.Cells) -> lab.Estimate:
    return lab.estimate_rate(*successes(_ladder(cells)[-1]))


def _fall(cells: lab.Cells) -> lab.Estimate:
    ladder = _ladder(cells)
    return lab.estimate_rate_difference(successes(ladder[0]), successes(ladder[-1]))


def _rises(cells: lab.Cells) -> list[lab.Estimate]:
    """How much the rate rises from one ratio to the next."""
    ladder = [successes(cell) for cell in _ladder(cells)]
    return [lab.estimate_rate_difference(b, a) for a, b in itertools.pairwise(ladder)]


def _upside_down(cells: lab.Cells) -> lab.Cells:
    ladder = _ladder(cells)
    pairs = zip(ladder, reversed(ladder), strict=True)
    return lab.Cells([lab.Cell(a.settings, b.data) for a, b in pairs])


def _rates_in_words(cells: lab.Cells) -> str:
    ladder = _ladder(cells)
    path = ", ".join(f"{count / runs:.3f}" for count, runs in map(successes, ladder))
    norm = length(ladder[0].settings)
    return f"with $‖a*‖ = {norm}$ the rates over $η_w/η_a = 1/16, …, 1$ are {path}"


def _draw_warmup(cells: lab.Cells) -> tuple:
    norms = cells.by("norm")
    series = [
        success_rates(
            some,
            [ratio(cell.settings) for cell in some],
            f"$‖a^*‖ = {length(some[0].settings)}$",
            color,
        )
        for some, color in zip(norms.values(), draw.sequence(len(norms)), strict=True)
    ]
    widths = (4.5, 3.0, 1.8)  # the first two lie on one another
    series = [replace(one, width=width) for one, width in zip(series, widths, strict=False)]
    figure = draw.lines(series, x_label="$η_w/η_a$", y_label="success rate", log="x")
    at = cells[0].settings
    return figure, (
        f"ResNet without warm-up, $k = {at.k}$, prior {prior(at)}, $S²/A = {at.alignment:g}$. "
        "Whether it can fail depends on the length of the teacher's output times the ratio of step "
        "sizes: short teachers never need warm-up, long ones do, the more so the faster the filter "
        "moves."
    )


CLAIMS = (
    lab.Claim(
        id="cnn-constant-probability", title="A plain CNN falls into either optimum",
        group="experiments", source=DU,
        statement="From a random filter the plain CNN reaches each of the two optima with a "
        "probability bounded away from 0 (here: above 0.1 at every $k$).",
        requests=TABLE.at(architecture="cnn"),
        parts=(lab.Part("probability of either optimum, at every $k$", _both_optima,
                        lab.above(0.1, resolution=0.01)),),
        faults=(
            lab.Fault("95 % of all runs succeed", ends_at(Outcome.GLOBAL, 0.95)),
            lab.Fault("95 % of all runs fail", ends_at(Outcome.SPURIOUS, 0.95)),
        ),
        does_not_show="Teachers other than the study's: the probability depends on $S²/A$.",
        figures=("success-rate",),
    ),
    lab.Claim(
        id="shortcut-beats-cnn", title="The shortcut beats the CNN", group="experiments",
        source=f"{LIU}, success table",
        statement="At every $k$ the ResNet with warm-up always succeeds, and without warm-up it "
        "succeeds more often than the CNN.",
        requests=TABLE,
        parts=(
            lab.Part("lead over the CNN of the ResNet without warm-up, at every $k$", _leads,
                     lab.above(0.0, resolution=0.01)),
            lab.in_every_run(lambda cells: ended(Outcome.GLOBAL)(cells.sel(warmup=True)),
                             "runs with warm-up that succeed", 0.99, resolution=0.0),
        ),
        faults=(
            lab.Fault("the networks without warm-up are exchanged", _swapped),
            lab.Fault("one run in a hundred with warm-up fails", lambda cells: lab.Cells([
                *ends_at(Outcome.SPURIOUS, 0.01)(cells.sel(warmup=True)),
                *cells.sel(warmup=False)])),
        ),
        does_not_show="Networks trained on data, with more than one hidden layer.",
        figures=("success-rate",),
    ),
    lab.Claim(
        id="escape", title="With prior and warm-up every run escapes", group="dynamics",
        source=f"{LIU}, stage I",
        statement="With the shortcut prior ($φ_0 ≤ π/3$), $w_0 = 0$, any $a_0$ in the ball "
        r"$‖a_0‖ ≤ |S|/\sqrt{k}$, and a long enough warm-up, every run leaves the spurious basin.",
        requests=WARMED_UP,
        parts=(lab.in_every_run(ended(Outcome.GLOBAL), "runs that come to the global optimum",
                                0.999, resolution=0.0),),
        faults=(
            lab.Fault("one run fails", lab.in_one_run("outcome", Outcome.SPURIOUS)),
            lab.Fault("no warm-up", requests=COLD),
        ),
        does_not_show="Other priors and warm-ups; of weaker priors another claim speaks.",
        figures=("success-rate", "phase-prior", "trajectories"),
    ),
    lab.Claim(
        id="warmup-needed", title="Without warm-up it can fail", group="experiments",
        source=f"{LIU}, success table",
        statement="Without warm-up the ResNet can fail (here: in more than one run of a "
        "hundred), and fails more often as $η_w/η_a$ grows.",
        requests=COLD,
        parts=(
            lab.Part("success rate at $η_w/η_a = 1$, $‖a*‖ = k$", _last_rate,
                     lab.below(0.99, resolution=0.005)),
            lab.Part("how much it is lower than at $η_w/η_a = 1/16$", _fall,
                     lab.above(0.0, resolution=0.01)),
            lab.Part("rise from one ratio to the next", _rises, lab.below(0.05, resolution=0.01)),
        ),
        faults=(
            lab.Fault("the ratios are turned round", _upside_down),
            lab.Fault("no run fails", ends_at(Outcome.GLOBAL, 1.0)),
        ),
        note=_rates_in_words,
        does_not_show=r"Short teachers, $‖a*‖ ≤ \sqrt{k}$, who need no warm-up.",
        figures=("warmup",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((SUCCESS_RATE,), CLAIMS, (
    lab.Figure("success-rate", "Success over the number of patches", TABLE, _draw_sizes),
    lab.Figure("warmup", "When warm-up is needed", COLD, _draw_warmup),
))  # fmt: skip
