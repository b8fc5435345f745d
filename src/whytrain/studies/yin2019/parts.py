"""What the claims measure, and the faults that are planted in it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from whytrain.dynamics import count
from whytrain.lab import (
    Cell,
    Cells,
    Estimate,
    Fault,
    Part,
    above,
    altered,
    at_most,
    equals,
    estimate_mean,
    estimate_rate,
    identity,
    in_every_run,
    largest,
    moved,
)
from whytrain.landscapes import Outcome
from whytrain.studies.yin2019.descent import monotone
from whytrain.studies.yin2019.fate import kappa_roots, predicted
from whytrain.studies.yin2019.setup import THEOREM, trapping_threshold
from whytrain.studies.yin2019.zero import SLACK, minimum

Plant = Callable[[Cells], Cells]
FAR = {"radius": (30.0, np.inf), "distance": (0.0, 1e-2), "gap": (0.0, 1e-2)}
CRITICAL = (Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE)
SMOOTH = 0.01  # the largest move upward over the whole fall, for many samples
LONG = 0.05  # filters that become shorter pass a singular point, where rounding decides


def smallest(values: ArrayLike) -> Estimate:
    """How small exact numbers are, of which the smallest alone decides."""
    least = float(np.min(values))
    return Estimate(least, least, least, None, np.size(values))


def added(name: str, size: float) -> Plant:
    """Every value is larger by so much."""
    return altered(name, lambda values: values + size)


def in_one_run(name: str, value: float) -> Plant:
    """The first run of all has this value."""

    def plant(cells: Cells) -> Cells:
        values = cells[0].data[name].values.copy()
        values.flat[0] = value
        return Cells([cells[0].assign(**{name: values}), *cells[1:]])

    return plant


def too_large(name: str, share: float) -> Fault:
    """The closed form of this name is too large by a share of itself."""
    plant = moved(f"{name}_z", f"{name}_size", share)
    return Fault(f"the closed form of {name} is {share:.0%} too large", plant)


# --- closed forms -------------------------------------------------------------------------


def positive_inner(name: str) -> tuple[Part, Part]:
    """The inner product is the stated one, and never negative."""
    return (
        identity(f"{name}_inner_error", tolerance=1e-12,
                 what="largest error of the stated inner product"),
        in_every_run(lambda cells: cells.pooled(f"{name}_inner") >= 0,
                     "points at which it is not negative"),
    )  # fmt: skip


def other_inner(name: str) -> tuple[Fault, Fault]:
    """The inner product is another, or negative somewhere."""
    return (
        Fault("the inner product is off by 2e-12", added(f"{name}_inner_error", 2e-12)),
        Fault("at one point it is negative", in_one_run(f"{name}_inner", -1e-9)),
    )


def _reduction_errors(cells: Cells) -> Estimate:
    errors = [
        cell.data[f"{name}_reduction"].values[~(cell.data[f"{name}_shortest"].values <= LONG)]
        for cell in cells
        for name in THEOREM
    ]
    return largest(np.concatenate(errors))


REDUCTION = Part(
    f"largest difference of full and reduced descent at its end, where ‖w‖ stays above {LONG:g}",
    _reduction_errors, at_most(1e-12),
)  # fmt: skip


def left_out(cells: Cells) -> str:
    """How many descents became too short to compare."""
    short = np.concatenate([cells.pooled(f"{name}_shortest") <= LONG for name in THEOREM])
    return f"{short.sum()} of {len(short)} descents are left out: they pass ‖w‖ = {LONG:g}"


# --- critical points ----------------------------------------------------------------------


def _kind_as_stated(cells: Cells) -> np.ndarray:
    u, rise = cells.pooled("u"), cells.pooled("least_rise")
    return np.where(u < 0.5, rise > -1e-7, rise < -1e-7)


EXISTENCE = (
    in_every_run(lambda cells: cells.pooled("as_stated"),
                 "teachers that have saddle and spurious minimum exactly where u < 1/2"),
    identity("saddle_error", tolerance=1e-9, what="largest error of the saddle's angle (rad)"),
    identity("residual", tolerance=1e-12, what="largest gradient at a critical point"),
    in_every_run(lambda cells: cells.pooled("both_sides_fall"),
                 "saddles on both sides of which the loss falls"),
    in_every_run(_kind_as_stated,
                 "teachers whose point at θ = π is a minimum exactly where u < 1/2"),
)  # fmt: skip


def border_at(u: float) -> Plant:
    """Saddle and spurious minimum end before u = 1/2."""

    def one(cell: Cell) -> Cell:
        gone = (cell.data.u.values > u) & (cell.data.u.values < 0.5)
        return cell.assign(as_stated=cell.data.as_stated.values & ~gone)

    return lambda cells: cells.change(one)


def lowest_falls(rises: np.ndarray) -> np.ndarray:
    """From the steepest of the spurious minima there is a way down."""
    return np.where(rises == rises.max(), -1e-6, rises)


def only_zeros(name: str) -> tuple[Part, Part]:
    """The coarse gradient vanishes with the output's at the critical angles and nowhere else."""
    return (
        identity(f"{name}_at_critical", tolerance=1e-12,
                 what="largest coarse gradient at critical angles"),
        Part("least coarse gradient elsewhere",
             lambda cells: smallest(cells.pooled(f"{name}_elsewhere")), above(1e-9)),
    )  # fmt: skip


def other_zeros(name: str) -> tuple[Fault, Fault]:
    """It does not vanish, or it vanishes elsewhere too: at the saddle, of which nothing is told."""

    def untold(cell: Cell) -> Cell:
        return cell.assign(**{f"{name}_elsewhere": cell.data[f"{name}_untold"].values})

    return (
        Fault("it is 2e-12 at a critical angle", added(f"{name}_at_critical", 2e-12)),
        Fault("the search is not told of the saddle, and finds a zero elsewhere",
              lambda cells: cells.change(untold)),
    )  # fmt: skip


def no_minimum(cells: Cells) -> np.ndarray:
    """Whether each `(v, 0)` is no local minimum."""
    return np.concatenate([~minimum(cell.data) for cell in cells])


def as_the_condition_says(cells: Cells) -> np.ndarray:
    """Whether `(v, 0)` is a local minimum where the margin is positive, if it can be told."""
    margin = cells.pooled("margin")
    return (~no_minimum(cells) == (margin > 0))[np.abs(margin) > SLACK]


def another_factor(share: float) -> Plant:
    """The 2 in the condition is larger by a share of itself."""
    return altered("margin", lambda margin: 1 - (1 + share) * (1 - margin))


# --- bounds -------------------------------------------------------------------------------


def grows(name: str, over: str, power: float, what: str, tolerance: float = 0.1) -> Part:
    """The largest value goes like this power of the scale, where other terms are gone.

    The exponents between neighboring scales are exact numbers, whose range is the interval.
    """

    def exponents(cells: Cells) -> Estimate:
        scale, (low, high) = cells[0].data[over].values, FAR[over]
        far = (scale >= low) & (scale <= high)
        x, y = np.log(scale[far]), np.log(worst(cells, name)[far])
        local = np.diff(y) / np.diff(x)
        mean = float((y[-1] - y[0]) / (x[-1] - x[0]))
        return Estimate(mean, float(local.min()), float(local.max()), None, cells.runs)

    return Part(f"exponent of {what}", exponents, equals(power, tolerance))


def worst(cells: Cells, name: str) -> np.ndarray:
    """The largest value of all runs at every scale."""
    return np.max([cell.data[name].values.max(axis=0) for cell in cells], axis=0)


def worst_in_words(name: str, over: str) -> Callable[[Cells], str]:
    """The largest values at both ends of the scale."""

    def note(cells: Cells) -> str:
        values, scale = worst(cells, name), cells[0].data[over].values
        ends = [f"{values[i]:.3g} at {scale[i]:g}" for i in (0, -1)]
        return f"largest values: {' and '.join(ends)}"

    return note


def steeper(name: str, over: str, power: float) -> Plant:
    """The values have another power of the scale in them."""
    return lambda cells: cells.change(
        lambda cell: cell.assign(
            **{name: cell.data[name].values * cell.data[over].values**power}
        )
    )  # fmt: skip


def _over_length(cells: Cells) -> Estimate:
    scale = np.maximum(1.0, cells[0].data.radius.values)
    return largest(worst(cells, "relu_ratio") / scale)


BOUNDED_BY_LENGTH = Part(
    "largest needed A over max(1, ‖w‖), for ‖v‖ ≤ 3 and ‖w‖ from 1 to 1000",
    _over_length, at_most(20.0),
)  # fmt: skip


# --- descent ------------------------------------------------------------------------------


def _came_to_rest(cells: Cells) -> np.ndarray:
    return np.isin(cells.pooled("outcome"), CRITICAL)


NEVER_RISES = in_every_run(
    lambda cells: np.concatenate([monotone(cell.data) for cell in cells]),
    "runs whose loss never rose", 0.99,
)  # fmt: skip
CONVERGES = in_every_run(_came_to_rest, "runs that came to a saddle or a minimum", 0.99)


def shortest(cells: Cells) -> str:
    """How short the filters became."""
    return f"‖w‖ ≥ {cells.pooled('least_radius').min():.2f} throughout"


def where_they_ended(cells: Cells) -> str:
    """How many runs came to each kind of point."""
    kinds = [f"{sum(count(c.data, kind) for c in cells)} {kind.word}" for kind in CRITICAL]
    return f"they came to {', '.join(kinds)}"


# --- the identity at the spurious minimum -------------------------------------------------


def leaves(cells: Cells) -> np.ndarray:
    """Whether each run ended elsewhere."""
    return cells.pooled("outcome") != Outcome.SPURIOUS


def collapses(cells: Cells) -> np.ndarray:
    """Whether each filter became nothing."""
    return np.isfinite(cells.pooled("collapse"))


def collapse_times(cells: Cells) -> list[Estimate]:
    """Measured over predicted time for every alignment, of the runs that collapsed, if any did."""
    columns = [column for cell in cells for column in cell.data.collapse.values.T]
    finite = [column[np.isfinite(column)] for column in columns]
    return [
        estimate_mean(some) if len(some) else Estimate.unknown(len(column))
        for some, column in zip(finite, columns, strict=True)
    ]


def as_predicted(cells: Cells) -> np.ndarray:
    """Whether each run is trapped below `u_c` and at the global minimum above."""
    held = [cell.data.outcome.values == predicted(cell.settings) for cell in cells]
    return np.concatenate([np.ravel(one) for one in held])


def kappa_errors(cells: Cells) -> Estimate:
    """How far the mean of kappa is from its root, in runs that are to be trapped."""
    errors = []
    for cell in cells:
        trapped = predicted(cell.settings) == Outcome.COLLAPSED
        gap = np.abs(cell.data.kappa.values - kappa_roots(cell.settings))
        errors.append(gap[:, trapped].ravel())
    return largest(np.concatenate(errors))


def threshold_at(share: float) -> Plant:
    """Runs are trapped up to this share of `u_c`."""

    def one(cell: Cell) -> Cell:
        axis, border = cell.settings.axis, trapping_threshold(cell.settings.m)
        low, high = sorted((border, share * border))
        kind = Outcome.COLLAPSED if share > 1 else Outcome.GLOBAL
        codes = cell.data.outcome.values
        other = np.where((axis > low) & (axis < high), int(kind), codes)
        return cell.assign(outcome=other.astype(codes.dtype))

    return lambda cells: cells.change(one)


# --- rates and samples --------------------------------------------------------------------


def rates(cells: Cells) -> list[Estimate]:
    """Measured over predicted rate, for every estimator, optimum and length."""
    finite = [cell.data.ratio.values[np.isfinite(cell.data.ratio.values)] for cell in cells]
    return [estimate_mean(ratios) for ratios in finite]


def unfitted(cells: Cells) -> str:
    """How many runs give no rate."""
    ratios = cells.pooled("ratio")
    return f"{(~np.isfinite(ratios)).sum()} of {len(ratios)} runs were too short for a fit"


def _roughness(cells: Cells, end: Callable) -> np.ndarray:
    """That of every run at the fewest, or at the most, samples."""
    return np.concatenate([
        cell.data.roughness.sel(samples=end(cell.data.samples.values)).values for cell in cells
    ])  # fmt: skip


def smooth(cells: Cells) -> Estimate:
    """In what share of the runs the loss is smooth at the most samples."""
    held = _roughness(cells, max) < SMOOTH
    return estimate_rate(int(held.sum()), len(held))


def lead_of_the_roughest(cells: Cells) -> Estimate:
    """How much rougher than twice that it is at the fewest samples, run by run."""
    return estimate_mean(_roughness(cells, min) - 2 * _roughness(cells, max))


def roughness_in_words(cells: Cells) -> str:
    """Its means over the sample sizes."""
    means = [cell.data.roughness.mean("run").values for cell in cells]
    steps = ", ".join(f"{x:.4f}" for x in np.mean(means, axis=0))
    sizes = ", ".join(f"{size:,}" for size in cells[0].data.samples.values)
    return f"means at {sizes} samples: {steps}"


def all_as_at(samples: int) -> Plant:
    """The roughness does not depend on the samples: it is that of so many."""

    def one(cell: Cell) -> Cell:
        values, at = cell.data.roughness.values, cell.data.samples.values == samples
        return cell.assign(roughness=np.repeat(values[:, at], len(at), axis=1))

    return lambda cells: cells.change(one)
