"""The fourteen claims, each with the parts that decide it and the faults that it must refuse."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from whytrain.dynamics import count
from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Part,
    Request,
    above,
    altered,
    at_most,
    below,
    closed_form,
    covers,
    equals,
    estimate_mean,
    estimate_median,
    estimate_rate,
    estimate_rate_difference,
    estimate_slope,
    identity,
    in_every_run,
    largest,
    moved,
)
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019 import requests
from whytrain.studies.liu2019.rates import measured, predicted, slow_constant

LIU, DU, OWN = "Liu et al. 2019", "Du et al. 2018", "derived here"


def ended(kind: Outcome) -> Callable[[Cells], np.ndarray]:
    """Whether each run ended so."""
    return lambda cells: cells.pooled("outcome") == kind


def successes(cell: Cell) -> tuple[int, int]:
    """How many runs came to the global optimum, and of how many."""
    return count(cell.data, Outcome.GLOBAL), cell.runs


def every_outcome(kind: Outcome, share: float) -> Callable[[Cells], Cells]:
    """A fault: this share of all runs, the last ones, ended so; one run at least."""

    def one(codes: np.ndarray) -> np.ndarray:
        first = len(codes) - max(1, round(share * len(codes)))
        return np.where(np.arange(len(codes)) >= first, int(kind), codes).astype(codes.dtype)

    return altered("outcome", one)


# --- the landscape ------------------------------------------------------------------------


def _gap(cells: Cells) -> Estimate:
    """How much more than at a global minimum the loss is at the spurious one; 0 without one."""
    losses = []
    for cell in cells:
        points = cell.settings.reduction.critical_points()
        losses.append(max((p.loss for p in points if p.kind == "spurious"), default=0.0))
    return largest([min(losses)])


def _beyond_the_threshold(preset: str) -> Sequence[Request]:
    """Teachers for whom there is no spurious minimum."""
    return requests.near_spurious(preset, share=1.1)


def _threshold_steps(cells: Cells) -> list[Estimate]:
    """For every k the step of the sweep in which outcomes change, as a share of the threshold."""
    found = []
    for some in cells.by("k").values():
        shares = np.array([requests.threshold_share(cell.settings) for cell in some])
        rates = np.array([count(cell.data, Outcome.SPURIOUS) / cell.runs for cell in some])
        low = shares[rates > 0.5].max(initial=shares[0])
        high = shares[rates < 0.5].min(initial=shares[-1])
        found.append(Estimate((low + high) / 2, min(low, high), max(low, high), None, some.runs))
    return found


def _step_widths(cells: Cells) -> Estimate:
    return largest([found.high - found.low for found in _threshold_steps(cells)])


def _next_share(cells: Cells) -> Cells:
    """Every teacher with the outcomes of the next one of the sweep."""
    later = [
        Cell(cell.settings, other.data)
        for some in cells.by("k").values()
        for cell, other in zip(some, [*some[1:], some[-1]], strict=True)
    ]
    return Cells(later)


def _saddle(cell: Cell) -> float:
    return cell.settings.reduction.saddle_angle or math.nan


def _border(cells: Cells) -> list[Estimate]:
    """Where half of the runs succeed, less the saddle's angle; its step of the axis bounds it."""
    found = []
    for cell in cells:
        rate = (cell.data.outcome == Outcome.GLOBAL).mean("run").values[:, 0]
        angles = cell.data.angle.values
        after = int(np.argmax(rate < 0.5)) if (rate < 0.5).any() else len(angles) - 1
        before = max(after - 1, 0)
        low, high = (float(angles[place]) - _saddle(cell) for place in (before, after))
        found.append(Estimate((low + high) / 2, low, high, None, cell.runs * len(angles)))
    return found


def _turned_axis(cells: Cells) -> Cells:
    return cells.change(
        lambda cell: Cell(cell.settings, cell.data.assign_coords(angle=cell.data.angle + 0.02))
    )


# --- the dynamics -------------------------------------------------------------------------


def _rates(cells: Cells) -> list[Estimate]:
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
        found += [estimate_median(ratio[np.isfinite(ratio)]) for ratio in ratios]
    return found


def _slow(cells: Cells) -> list[Estimate]:
    return [estimate_mean(slow_constant(cell.data, cell.settings)[:, -1]) for cell in cells]


def _steps(cells: Cells) -> np.ndarray:
    """Mean steps to every epsilon, a row for every k."""
    return np.array([cell.data.hit.mean("run").values for cell in cells])


def _exponent(cells: Cells) -> Estimate:
    sizes = np.log([cell.settings.k for cell in cells])
    return estimate_slope(sizes, np.log(_steps(cells)[:, -1]))


def _straight(cells: Cells) -> np.ndarray:
    """Whether the steps of each run lie on a line over log 1/epsilon; not where one is missing."""
    digits = -np.log(cells[0].data.epsilon.values)
    steps = np.concatenate([cell.data.hit.values for cell in cells])
    return np.array([np.corrcoef(digits, row)[0, 1] > 0.99 for row in steps])


def _steeper(cells: Cells) -> Cells:
    return cells.change(lambda cell: cell.assign(hit=cell.data.hit.values * cell.settings.k**1.1))


def _crooked(cells: Cells) -> Cells:
    digits = -np.log(cells[0].data.epsilon.values)
    return altered("hit", lambda steps: steps * digits**3)(cells)


# --- how often ----------------------------------------------------------------------------


def _both_optima(cells: Cells) -> list[Estimate]:
    """The probability of either optimum, at every k."""
    rates = [estimate_rate(*successes(cell)) for cell in cells]
    return rates + [rate.through(lambda success: 1 - success) for rate in rates]


def _leads(cells: Cells) -> list[Estimate]:
    """How much more often than the CNN the ResNet without warm-up succeeds, at every k."""
    cold = cells.sel(architecture="resnet", warmup=False)
    return [
        estimate_rate_difference(successes(one), successes(other))
        for one, other in zip(cold, cells.sel(architecture="cnn"), strict=True)
    ]


def _swapped(cells: Cells) -> Cells:
    """The two networks without warm-up change places."""
    cold, plain = cells.sel(architecture="resnet", warmup=False), cells.sel(architecture="cnn")
    pairs = [
        Cell(a.settings, b.data) for a, b in zip([*cold, *plain], [*plain, *cold], strict=True)
    ]
    return Cells([*cells.sel(warmup=True), *pairs])


def _ladder(cells: Cells) -> list[Cell]:
    """The longest teacher, over rising ratios of step sizes."""
    longest = max(cell.settings.norm for cell in cells)
    return sorted(cells.sel(norm=longest), key=lambda cell: cell.settings.filter_step_size)


def _last_rate(cells: Cells) -> Estimate:
    return estimate_rate(*successes(_ladder(cells)[-1]))


def _fall(cells: Cells) -> Estimate:
    ladder = _ladder(cells)
    return estimate_rate_difference(successes(ladder[0]), successes(ladder[-1]))


def _rises(cells: Cells) -> list[Estimate]:
    """How much the rate rises from one ratio to the next."""
    ladder = [successes(cell) for cell in _ladder(cells)]
    return [estimate_rate_difference(b, a) for a, b in itertools.pairwise(ladder)]


def _upside_down(cells: Cells) -> Cells:
    ladder = _ladder(cells)
    return Cells([
        Cell(a.settings, b.data) for a, b in zip(ladder, reversed(ladder), strict=True)
    ])  # fmt: skip


def _ladder_words(cells: Cells) -> str:
    rates = [a / n for a, n in map(successes, _ladder(cells))]
    path = ", ".join(f"{rate:.3f}" for rate in rates)
    return f"with ‖a*‖ = k the rates over η_w/η_a = 1/16, …, 1 are {path}"


def _batch_exponent(cells: Cells) -> Estimate:
    """The logs of all runs over the log of the batch: a run that changes sides is off by O(1)."""
    logs = np.log(cells.pooled("deviation"))
    where = np.concatenate([np.full(cell.runs, math.log(cell.settings.batch)) for cell in cells])
    return estimate_slope(where, logs)


def _same_end(cells: Cells) -> Estimate:
    """How often both end in the same basin, at the largest batch."""
    last = max(cells, key=lambda cell: cell.settings.batch)
    same = last.data.population_outcome == last.data.sampled_outcome
    return estimate_rate(int(same.sum()), last.runs)


def _slower_in_the_batch(cells: Cells) -> Cells:
    return cells.change(
        lambda cell: cell.assign(deviation=cell.data.deviation.values * cell.settings.batch**0.25)
    )


def _half_elsewhere(cells: Cells) -> Cells:
    """In every fifth run the mini-batch descent ends where the population's does not."""

    def one(cell: Cell) -> Cell:
        ends = cell.data.population_outcome.values
        other = np.where(ends == Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.GLOBAL)
        fifth = np.arange(len(ends)) % 5 == 0
        return cell.assign(sampled_outcome=np.where(fifth, other, ends).astype(ends.dtype))

    return cells.change(one)


CLAIMS = (
    Claim(
        id="loss", title="The loss has a closed form", group="definitions",
        source=f"{DU}, Theorem 3.1",
        statement="The closed form is the population loss: L(v, a) = 1/(4π) [(π−1)‖a‖² + s² + "
        "(π−1)A + S² − 2 (g(φ)−1) u − 2 s S].",
        requests=requests.closed_forms,
        parts=closed_form("loss_z", "the closed form"),
        faults=(Fault("the closed form is 5 % too large", moved("loss_z", "loss_size", 0.05)),),
        does_not_show="Errors of less than about 1 % at single points would not be seen.",
    ),
    Claim(
        id="gradient", title="So has the gradient", group="definitions",
        source=f"{DU}, Theorem 3.1",
        statement="So is the closed gradient: ∂L/∂a = [(π−1) a + s 1 − (g(φ)−1) a* − S 1] / (2π), "
        "and on the sphere ∂L/∂v = −(π−φ) u / (2π) (I − vvᵀ) v*.",
        requests=requests.closed_forms,
        parts=(
            *closed_form("gradient_z", "the closed form along a random direction"),
            identity("autodiff_error", tolerance=1e-10,
                     what="largest relative difference from autodiff of the closed loss"),
        ),
        faults=(
            Fault("the closed form is 20 % too large",
                  moved("gradient_z", "gradient_size", 0.2)),
            Fault("autodiff differs by 1e-9 of the gradient",
                  altered("autodiff_error", lambda error: error + 1e-9)),
        ),
        does_not_show="Points at which the filter has length zero, where there is no gradient.",
    ),
    Claim(
        id="reduction", title="Three numbers carry the descent", group="dynamics", source=OWN,
        statement="Three numbers (φ, s, u) carry normalized gradient descent exactly, whatever k "
        "and p.",
        requests=requests.closed_forms,
        parts=(identity(
            "reduction_error", tolerance=1e-12, what="largest difference of the order parameters "
            "between full and reduced descent at its end",
        ),),
        faults=(Fault("the order parameters differ by 1e-11",
                      altered("reduction_error", lambda error: error + 1e-11)),),
        does_not_show="Other methods: each reduction lists those under which it is exact.",
    ),
    Claim(
        id="spurious-minimum", title="There is a spurious minimum, and it attracts",
        group="landscape", source=f"{LIU}, spurious optimum",
        statement="At φ = π with the best output weights there is a minimum that is not global, "
        "and it attracts runs that start near it.",
        requests=requests.near_spurious,
        parts=(
            in_every_run(ended(Outcome.SPURIOUS), "runs that return from up to 0.3 rad"),
            Part("least loss of the spurious minimum above the global one", _gap, above(0.0)),
        ),
        faults=(
            Fault("one run in a hundred leaves", every_outcome(Outcome.GLOBAL, 0.01)),
            Fault("teachers past the threshold, who have no such minimum",
                  requests=_beyond_the_threshold),
        ),
        does_not_show="How large the basin is.",
        figures=("plane", "slow"),
    ),
    Claim(
        id="existence-threshold", title="Which teachers have a spurious minimum",
        group="landscape", source=OWN,
        statement="The spurious minimum and the saddle exist if and only if S²/A < (k+π−1)/π.",
        requests=requests.threshold,
        parts=(
            Part("where outcomes change, over (k+π−1)/π, to a step of the sweep",
                 _threshold_steps, covers(1.0)),
            Part("longest such step", _step_widths, at_most(0.006)),
        ),
        faults=(Fault("the threshold is off by one step of the sweep, 0.5 %", _next_share),),
        does_not_show="What happens at the threshold itself.",
        figures=("phase-alignment",),
    ),
    Claim(
        id="escape", title="With prior and warm-up every run escapes", group="dynamics",
        source=f"{LIU}, stage I",
        statement="With the shortcut prior (φ₀ ≤ π/3), w₀ = 0, any a₀ in the ball ‖a₀‖ ≤ |S|/√k, "
        "and a long enough warm-up, every run leaves the spurious basin.",
        requests=requests.warmed_up,
        parts=(in_every_run(ended(Outcome.GLOBAL), "runs that come to the global optimum", 0.999,
                            resolution=0.0),),
        faults=(
            Fault("one run fails", lambda cells: Cells([
                *cells[1:], *every_outcome(Outcome.SPURIOUS, 0.0)(cells[:1])])),
            Fault("no warm-up", requests=requests.norms),
        ),
        does_not_show="Other priors and warm-ups; of weaker priors another claim speaks.",
        figures=("success-rate", "phase-prior", "trajectories"),
    ),
    Claim(
        id="convergence", title="It converges geometrically, at known rates", group="dynamics",
        source=f"{LIU}, stage II",
        statement="It then reaches the global optimum geometrically, with rates η_w A/2 (filter) "
        "and η_a (π−1)/(2π) (output).",
        requests=requests.near_global,
        parts=(
            Part("fitted over stated rate, median of the runs", _rates, equals(1.0, 0.01)),
            in_every_run(ended(Outcome.GLOBAL), "runs that converge"),
        ),
        faults=(
            Fault("the angle closes 2 % faster", altered("angle", lambda angle: angle**1.02)),
            Fault("one run in a hundred does not converge",
                  every_outcome(Outcome.SPURIOUS, 0.01)),
        ),
        does_not_show="How long a run takes to come into the region where the rates hold.",
        figures=("trajectories",),
    ),
    Claim(
        id="polynomial-time", title="The time is polynomial", group="dynamics",
        source=f"{LIU}, main theorem",
        statement="Steps to ε grow polynomially in k (here with exponent below 3 at η = 1/k²) and "
        "like log 1/ε.",
        requests=requests.scaling,
        parts=(
            Part("exponent of k in the steps to 1e-10", _exponent, below(3.0)),
            in_every_run(_straight,
                         "runs whose steps to ε have a correlation above 0.99 with log 1/ε"),
            in_every_run(lambda cells: np.isfinite(cells.pooled("hit")),
                         "runs and ε that are reached"),
        ),
        faults=(
            Fault("steps grow by another factor k^1.1", _steeper),
            Fault("steps grow like (log 1/ε)⁴", _crooked),
        ),
        does_not_show="The exponent of step sizes other than η = 1/k².",
        figures=("scaling",),
    ),
    Claim(
        id="cnn-constant-probability", title="A plain CNN falls into either optimum",
        group="experiments", source=DU,
        statement="From a random filter the plain CNN reaches each of the two optima with a "
        "probability bounded away from 0 (here: above 0.1 at every k).",
        requests=requests.plain_networks,
        parts=(Part("probability of either optimum, at every k", _both_optima,
                    above(0.1, resolution=0.01)),),
        faults=(
            Fault("95 % of all runs succeed", every_outcome(Outcome.GLOBAL, 0.95)),
            Fault("95 % of all runs fail", every_outcome(Outcome.SPURIOUS, 0.95)),
        ),
        does_not_show="Teachers other than the study's: the probability depends on S²/A.",
        figures=("success-rate",),
    ),
    Claim(
        id="shortcut-beats-cnn", title="The shortcut beats the CNN", group="experiments",
        source=f"{LIU}, success table",
        statement="Success: ResNet with warm-up = 1 ≥ ResNet without > CNN, at every k.",
        requests=requests.table,
        parts=(
            Part("lead over the CNN of the ResNet without warm-up, at every k", _leads,
                 above(0.0, resolution=0.01)),
            in_every_run(lambda cells: ended(Outcome.GLOBAL)(cells.sel(warmup=True)),
                         "runs with warm-up that succeed", 0.99, resolution=0.0),
        ),
        faults=(
            Fault("the networks without warm-up are exchanged", _swapped),
            Fault("one run in a hundred with warm-up fails", lambda cells: Cells([
                *every_outcome(Outcome.SPURIOUS, 0.01)(cells.sel(warmup=True)),
                *cells.sel(warmup=False)])),
        ),
        does_not_show="Networks trained on data, with more than one hidden layer.",
        figures=("success-rate",),
    ),
    Claim(
        id="warmup-needed", title="Without warm-up it can fail", group="experiments",
        source=f"{LIU}, success table",
        statement="Without warm-up the ResNet can fail (here: in more than one run of a hundred), "
        "and fails more often as η_w/η_a grows.",
        requests=requests.norms,
        parts=(
            Part("success rate at η_w/η_a = 1, ‖a*‖ = k", _last_rate,
                 below(0.99, resolution=0.005)),
            Part("how much it is lower than at η_w/η_a = 1/16", _fall,
                 above(0.0, resolution=0.01)),
            Part("rise from one ratio to the next", _rises, below(0.05, resolution=0.01)),
        ),
        faults=(
            Fault("the ratios are turned round", _upside_down),
            Fault("no run fails", every_outcome(Outcome.GLOBAL, 1.0)),
        ),
        note=_ladder_words,
        does_not_show="Short teachers, ‖a*‖ ≤ √k, who need no warm-up.",
        figures=("warmup",),
    ),
    Claim(
        id="prior-is-not-tight", title="The prior could be weaker", group="caveats", source=OWN,
        statement="For η_w/η_a → 0 the exact border of success is φ₀ = φ_s, the saddle's angle, "
        "past π/3.",
        requests=requests.border,
        parts=(
            Part("50 % crossing less the saddle's angle, to a step of the axis (rad)", _border,
                 equals(0.0, 0.01)),
            Part("least angle of a saddle less π/3 (rad)",
                 lambda cells: largest([min(map(_saddle, cells)) - math.pi / 3]), above(0.0)),
        ),
        faults=(Fault("the border is 0.02 rad past the saddle", _turned_axis),),
        does_not_show="The border at larger η_w/η_a, which the figure has.",
        figures=("phase-prior",),
    ),
    Claim(
        id="spurious-is-slow", title="The spurious minimum is approached slowly",
        group="dynamics", source=OWN,
        statement="The approach to the spurious minimum is only δ_t ≈ 2π / (|ũ| η_w t).",
        requests=requests.near_spurious,
        parts=(Part("δ t |ũ| η_w / 2π after 200,000 steps", _slow, equals(1.0, 0.02)),),
        faults=(
            Fault("the distance is 4 % larger", altered("angle", lambda angle: 1.04 * angle)),
            Fault("the approach is geometric", altered("angle", lambda angle: angle * 0.99
                                                       ** np.arange(angle.shape[1]))),
        ),
        does_not_show="The distance at early times, which has other terms.",
        figures=("slow",),
    ),
    Claim(
        id="samples", title="Mini-batches follow the population", group="experiments",
        source="extension to mini-batches",
        statement="Mini-batch descent on fresh patches follows the population's trajectory; the "
        "deviation falls like 1/√batch.",
        requests=requests.batches,
        parts=(
            Part("exponent of the deviation over the batch", _batch_exponent,
                 equals(-0.5, 0.15, resolution=0.05)),
            Part("share of runs that end where the population's do, at the largest batch",
                 _same_end, above(0.9, resolution=0.02)),
        ),
        faults=(
            Fault("it falls like batch^(−1/4)", _slower_in_the_batch),
            Fault("every fifth run ends elsewhere", _half_elsewhere),
        ),
        does_not_show="A sample that is used more than once.",
        figures=("sampling",),
    ),
)  # fmt: skip
