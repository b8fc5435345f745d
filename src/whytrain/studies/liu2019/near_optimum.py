"""Does an optimum attract runs that start near it, and how fast?"""

import functools
import math
import operator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import (
    NormalizedGradientDescent,
    count,
    counts,
    fitted_rates,
    log_times,
    simulate,
)
from whytrain.errors import UserError
from whytrain.landscapes import Outcome, SphereOrder, Weights
from whytrain.report import figures as draw
from whytrain.studies.liu2019.setup import LIU, OWN, TeacherSettings, warn_if_unstable
from whytrain.studies.liu2019.success import ended, ends_at


@dataclass(frozen=True, kw_only=True)
class RateSettings(TeacherSettings):
    """An optimum, how far from it the runs start, and constant step sizes."""

    norm: float = lab.setting(1.0, "length sqrt(A) of a*", low=0, exclusive=True)
    optimum: str = lab.setting(
        "global", "the critical point to start near", choices=("global", "spurious")
    )
    distance: float = lab.setting(
        0.3, "largest angle to it at the start", unit="rad", low=0, high=math.pi / 2
    )
    spread: float = lab.setting(
        0.05, "standard deviation of the sums about the best ones, over sqrt(k A) and A", low=0
    )
    step_size: float = lab.setting(0.1, "step size of the output weights", low=0, exclusive=True)
    filter_step_size: lab.Derived[float] = lab.setting(
        None, "step size of the filter; default step_size", low=0, exclusive=True
    )
    steps: int = lab.setting(200_000, "steps of a run", low=1)
    early: bool = lab.setting(False, "whether proved basins may end a run")
    times: int = lab.setting(200, "log-spaced times at which runs are saved", low=2, high=10_000)

    def check(self) -> None:
        """Fill in the derived default."""
        super().check()
        self.derive("filter_step_size", self.step_size)
        warn_if_unstable(self.reduction, self.filter_step_size, self.step_size)


def compute(settings: RateSettings, runs: lab.Runs) -> xr.Dataset:
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


def _starts(settings: RateSettings, runs: lab.Runs, place: SphereOrder) -> SphereOrder:
    noise = runs.draw(lambda keys: lab.normals(keys, 3))
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
    """The rate at which every run comes to the optimum."""
    return fitted_rates(dataset.time.values, dataset[name].values, low, high)


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
        return results | {
            "slow_constant": lab.told(slow_constant(dataset, settings)[:, -1], np.mean)
        }
    return results | {
        f"{name}_rate_over_predicted": lab.told(measured(dataset, name) / rate, np.mean)
        for name, rate in predicted(settings).items()
    }


RATES = lab.Experiment(
    name="rates",
    doc="speed of approach to an optimum, from starts near it",
    settings=RateSettings,
    compute=compute,
    summarize=summarize,
    version=3,
    runs=64,
    block=1024,
)

PRESETS = {"quick": {"runs": 64}, "paper": {"runs": 500}}
NEAR_GLOBAL = RATES.grid(
    PRESETS, k=25, optimum="global", step_size=0.02, filter_step_size=(0.01, 0.02, 0.04),
    steps=20_000,
).at(optimum="global")  # fmt: skip
NEAR_SPURIOUS = RATES.grid(
    PRESETS,
    cases=({"k": 25, "alignment": 1.0}, {"k": 25, "alignment": 4.0}, {"k": 100, "alignment": 1.0}),
    where=lambda settings: settings.reduction.saddle_angle is not None,
    optimum="spurious",
).at(optimum="spurious")


def _near_pi(share: float, *k: int) -> lab.Grid:
    """Runs that start close to angle pi, for an alignment at this share of the threshold."""
    return RATES.grid(
        PRESETS, k=k, alignment=lambda at: share * (at.k + math.pi - 1) / math.pi,
        optimum="spurious", distance=0.01, spread=1e-5, early=True,
    ).at(optimum="spurious")  # fmt: skip


SHARES = np.linspace(0.98, 1.02, 9) + 0.0025  # of the threshold, in steps of 0.5 %
SWEEP = functools.reduce(operator.add, (_near_pi(float(share), 9, 25, 100) for share in SHARES))
BEYOND = _near_pi(1.1, 25, 100)


# --- the global optimum -------------------------------------------------------------------


def _rates(cells: lab.Cells) -> list[lab.Estimate]:
    """Fitted over predicted rates, of the typical run; one too short for a fit is left out.

    A run that starts with next to nothing of the overlap's own mode shows another rate.
    """
    found = []
    for cell in cells:
        rates = predicted(cell.settings)
        ratios = [measured(cell.data, "angle") / rates["angle"]]
        # The overlap's own rate shows where the angle's square, which drives it, falls faster.
        if 2 * rates["angle"] > 1.2 * rates["overlap"]:
            fitted = measured(cell.data, "overlap", low=1e-10, high=1e-6)
            ratios.append(fitted / rates["overlap"])
        found += [lab.estimate_median(ratio[np.isfinite(ratio)]) for ratio in ratios]
    return found


# --- the spurious minimum -----------------------------------------------------------------


def _gap(cells: lab.Cells) -> lab.Estimate:
    """How much more than at a global minimum the loss is at the spurious one; 0 without one."""
    losses = []
    for cell in cells:
        points = cell.settings.reduction.critical_points()
        losses.append(max((p.loss for p in points if p.kind == "spurious"), default=0.0))
    return lab.largest([min(losses)])


def _slow(cells: lab.Cells) -> list[lab.Estimate]:
    return [lab.estimate_mean(slow_constant(cell.data, cell.settings)[:, -1]) for cell in cells]


def _draw(cells: lab.Cells) -> tuple:
    panels = []
    for cell in cells:
        values = slow_constant(cell.data, cell.settings)
        late = cell.data.time.values > 100
        series = draw.Series(
            cell.data.time.values[late], values.mean(axis=0)[late], color="spurious",
            low=values.min(axis=0)[late], high=values.max(axis=0)[late],
        )  # fmt: skip
        of = f"$k = {cell.settings.k}$, $S²/A = {cell.settings.alignment:g}$"
        panels.append(
            draw.Panel(
                [series], f"$δ_t |ũ| η_wt/2π$, {of}", limits=(0.0, 1.2),
                references=[draw.Reference(1.0, "theory")],
            )
        )  # fmt: skip
    figure = draw.lines(panels, x_label="step $t$", log="x")
    return figure, (
        "Distance $δ_t = π − φ$ of runs near the spurious minimum, times $t$ and the constant of "
        "the theory; lines are means, bands the range over runs. It tends to 1: the approach is as "
        "slow as $1/t$, for the minimum is degenerate."
    )


# --- where it exists ----------------------------------------------------------------------


def _sweeps(cells: lab.Cells) -> list[list[lab.Cell]]:
    """For every k the cells of the sweep over the alignment."""
    sweeps = [list(some) for some in cells.by("k").values()]
    if min(map(len, sweeps)) < 2:
        raise UserError("the threshold is looked for over S²/A; leave alignment unset")
    return sweeps


def _thresholds(cells: lab.Cells) -> list[lab.Estimate]:
    """For every k the step of the sweep in which outcomes change, as a share of the threshold."""
    found = []
    for some in _sweeps(cells):
        k, alignments = some[0].settings.k, np.array([cell.settings.alignment for cell in some])
        shares = alignments * math.pi / (k + math.pi - 1)
        rates = np.array([count(cell.data, Outcome.SPURIOUS) / cell.runs for cell in some])
        low = shares[rates > 0.5].max(initial=shares[0])
        high = shares[rates < 0.5].min(initial=shares[-1])
        runs = sum(cell.runs for cell in some)
        found.append(lab.Estimate((low + high) / 2, min(low, high), max(low, high), None, runs))
    return found


def _step_widths(cells: lab.Cells) -> lab.Estimate:
    return lab.largest([found.high - found.low for found in _thresholds(cells)])


def _next_share(cells: lab.Cells) -> lab.Cells:
    """Every teacher with the outcomes of the next one of the sweep."""
    return lab.Cells([
        lab.Cell(cell.settings, other.data)
        for some in _sweeps(cells)
        for cell, other in zip(some, [*some[1:], some[-1]], strict=True)
    ])  # fmt: skip


CLAIMS = (
    lab.Claim(
        id="spurious-minimum", title="There is a spurious minimum, and it attracts",
        group="landscape", source=f"{LIU}, spurious optimum",
        statement="At $φ = π$ with the best output weights there is a minimum that is not "
        "global, and it attracts runs that start near it.",
        requests=NEAR_SPURIOUS,
        parts=(
            lab.in_every_run(ended(Outcome.SPURIOUS), "runs that return from up to 0.3 rad"),
            lab.Part("least loss of the spurious minimum above the global one",
                     _gap, lab.above(0.0)),
        ),
        faults=(
            lab.Fault("one run in a hundred leaves", ends_at(Outcome.GLOBAL, 0.01)),
            lab.Fault("teachers past the threshold, who have no such minimum",
                      requests=BEYOND),
        ),
        does_not_show="How large the basin is.",
        figures=("plane", "slow"),
    ),
    lab.Claim(
        id="spurious-is-slow", title="The spurious minimum is approached slowly",
        group="dynamics", source=OWN,
        statement=r"The approach to the spurious minimum is only $δ_t ≈ \frac{2π}{|ũ| η_w t}$.",
        requests=NEAR_SPURIOUS,
        parts=(lab.Part("$δ_t |ũ| η_w t/2π$ after 200,000 steps", _slow, lab.equals(1.0, 0.02)),),
        faults=(
            lab.Fault("the distance is 4 % larger", lab.scaled("angle", 1.04)),
            lab.Fault("the approach is geometric", lab.altered("angle", lambda angle: angle * 0.99
                                                               ** np.arange(angle.shape[1]))),
        ),
        does_not_show="The distance at early times, which has other terms.",
        figures=("slow",),
    ),
    lab.Claim(
        id="existence-threshold", title="Which teachers have a spurious minimum",
        group="landscape", source=OWN,
        statement=r"The spurious minimum and the saddle exist if and only if $\frac{S²}{A} < "
        r"\frac{k+π−1}{π}$.",
        requests=SWEEP,
        parts=(
            lab.Part("where outcomes change, over $(k+π−1)/π$, to a step of the sweep",
                     _thresholds, lab.covers(1.0)),
            lab.Part("longest such step", _step_widths, lab.at_most(0.006)),
        ),
        faults=(lab.Fault("the threshold is off by one step of the sweep, 0.5 %", _next_share),),
        does_not_show="What happens at the threshold itself.",
        figures=("phase-alignment",),
    ),
    lab.Claim(
        id="convergence", title="It converges geometrically, at known rates", group="dynamics",
        source=f"{LIU}, stage II",
        statement="A run that escapes reaches the global optimum geometrically, with the rates "
        r"$η_w A/2$ (filter) and $η_a \frac{π−1}{2π}$ (output).",
        requests=NEAR_GLOBAL,
        parts=(
            lab.Part("fitted over stated rate, median of the runs", _rates, lab.equals(1.0, 0.01)),
            lab.in_every_run(ended(Outcome.GLOBAL), "runs that converge"),
        ),
        faults=(
            lab.Fault("the angle closes 2 % faster",
                      lab.altered("angle", lambda angle: angle**1.02)),
            lab.Fault("one run in a hundred does not converge",
                      ends_at(Outcome.SPURIOUS, 0.01)),
        ),
        does_not_show="How long a run takes to come into the region where the rates hold.",
        figures=("trajectories",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((RATES,), CLAIMS, (
    lab.Figure("slow", "The slow approach to the spurious minimum", NEAR_SPURIOUS, _draw),
))  # fmt: skip
