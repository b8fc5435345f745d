"""How many steps does it take to come within epsilon of the global optimum?"""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import log_times, simulate
from whytrain.report import figures as draw
from whytrain.studies.liu2019.setup import LIU, DescentSettings, draw_orders

EPSILONS = 10.0 ** -np.arange(2, 11)


@dataclass(frozen=True, kw_only=True)
class ScalingSettings(DescentSettings):
    """As for `success-rate`, and how finely time is resolved."""

    norm: float = lab.setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    times: int = lab.setting(
        400, "log-spaced times between which crossings are interpolated", low=2
    )


def compute(settings: ScalingSettings, runs: lab.Runs) -> xr.Dataset:
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


SCALING = lab.Experiment(
    name="scaling",
    doc="steps to come within epsilon of the global optimum",
    settings=ScalingSettings,
    compute=compute,
    version=3,
    runs=200,
    block=1024,
)

SIZES = SCALING.grid(
    {
        "quick": {"runs": 100, "k": (16, 36, 100)},
        "paper": {"runs": 500, "k": (16, 25, 49, 100, 196, 400)},
    }
)


def _steps(cells: lab.Cells, place: int = -1) -> list[float]:
    """Mean steps to one of the epsilons, the smallest by default, for every k."""
    return [float(cell.data.hit.mean("run").values[place]) for cell in cells]


def _exponent(cells: lab.Cells) -> lab.Estimate:
    return lab.estimate_slope(np.log([cell.settings.k for cell in cells]), np.log(_steps(cells)))


def _straight(cells: lab.Cells) -> np.ndarray:
    """Whether the steps of each run lie on a line over log 1/epsilon; not where one is missing."""
    digits = -np.log(EPSILONS)
    rows = np.concatenate([cell.data.hit.values for cell in cells])
    return np.array([np.corrcoef(digits, row)[0, 1] > 0.99 for row in rows])


def _reached(cells: lab.Cells) -> np.ndarray:
    return np.concatenate([np.isfinite(cell.data.hit.values).all(axis=1) for cell in cells])


def _draw(cells: lab.Cells) -> tuple:
    sizes = [cell.settings.k for cell in cells]
    series = [
        draw.Series(sizes, _steps(cells, place), label, color=color, marker="o")
        for (place, label), color in zip(
            ((0, "$ε = 10^{-2}$"), (4, "$ε = 10^{-6}$"), (8, "$ε = 10^{-10}$")),
            draw.sequence(3), strict=True,
        )
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="patches $k$", y_label="steps to error $ε$", log="xy", x_ticks=sizes
    )
    power = f"$k^{{{_exponent(cells).value:.2f}}}$"
    return figure, (
        "Steps until the error stays below $ε$, ResNet with warm-up, $η = 1/k²$. They grow like "
        f"{power}, which is the step size's own power, and by equal amounts for each digit of $ε$: "
        "polynomial in $k$ and logarithmic in $1/ε$."
    )


CLAIMS = (
    lab.Claim(
        id="polynomial-time", title="The time is polynomial", group="dynamics",
        source=f"{LIU}, main theorem",
        statement="The number of steps to $ε$ grows polynomially in $k$ (here with an exponent "
        "below 3 at $η = 1/k²$) and like $log 1/ε$.",
        requests=SIZES,
        parts=(
            lab.Part("exponent of $k$ in the steps to $10⁻¹⁰$", _exponent, lab.below(3.0)),
            lab.in_every_run(_straight, "runs whose steps to $ε$ have a correlation above 0.99 "
                                        "with $log 1/ε$"),
            lab.in_every_run(_reached, "runs that reach every $ε$"),
        ),
        faults=(
            lab.Fault("steps grow by another factor $k^{1.1}$", lab.grown("hit", "k", 1.1)),
            lab.Fault("steps grow like $(log 1/ε)⁴$",
                      lab.altered("hit", lambda steps: steps * (-np.log(EPSILONS)) ** 3)),
        ),
        does_not_show="The exponent of step sizes other than $η = 1/k²$.",
        figures=("scaling",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((SCALING,), CLAIMS, (
    lab.Figure("scaling", "Time to the optimum", SIZES, _draw),
))  # fmt: skip
