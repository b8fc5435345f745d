"""What becomes of the identity estimator at the spurious minimum: trapped, or out of it?"""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import GradientDescent, simulate
from whytrain.errors import UserError
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw
from whytrain.studies.yin2019.setup import (
    OWN,
    ROOT,
    YIN,
    EstimatorSettings,
    mean_of_finite,
    starts_at_best,
)


@dataclass(frozen=True, kw_only=True)
class FateSettings(lab.Settings):
    """The alignments to try, and how the runs start and move."""

    m: int = lab.setting(10, "number of patches", low=2, high=100_000)
    low: float = lab.setting(0.03, "smallest alignment u", low=0, high=0.5, exclusive=True)
    high: float = lab.setting(0.45, "largest alignment u", low=0, high=0.5, exclusive=True)
    alignments: int = lab.setting(12, "how many", low=1, high=1000)
    tilt: float = lab.setting(
        1e-3, "largest angle to the spurious minimum at the start", unit="rad", low=0, high=1
    )
    step_size: float = lab.setting(0.002, "step size of both blocks", low=0, exclusive=True)
    horizon: float = lab.setting(
        120.0, "time after the collapse, in step size times steps; longer just above u_c", low=1
    )
    times: int = lab.setting(2000, "times at which runs are looked at", low=100, high=100_000)

    def check(self) -> None:
        """The axis runs upwards."""
        if self.low > self.high:
            raise UserError(f"setting 'low' must be <= high = {self.high:g}, got {self.low:g}")

    @property
    def axis(self) -> np.ndarray:
        """The alignments."""
        return np.linspace(self.low, self.high, self.alignments)


def trapping_threshold(m: int) -> float:
    """`u_c`: below it the identity estimator is trapped at a filter of length zero.

    The smaller root of `1 - (4 + 2 nu) u + (nu^2 - 4 nu + 8) u^2` with `nu = m / (m + 1)`, where
    the two equilibria of the sliding motion meet (derived in `docs/yin2019.md`).

    Example:
        >>> [round(trapping_threshold(m), 4) for m in (2, 4, 10, 40)]
        [0.2617, 0.2299, 0.2119, 0.203]
    """
    nu = m / (m + 1)
    a, b = nu**2 - 4 * nu + 8, 4 + 2 * nu
    return (b - math.sqrt(b * b - 4 * a)) / (2 * a)


def sliding_kappa(m: int, u: float) -> float:
    """The time-average of `kappa = 1 - 2 angle / pi` of a trapped run; NaN where none is trapped.

    The root nearer -1 of `kappa^2 (1 - (2 - nu) u) + kappa (1 - nu u) + u = 0`.
    """
    nu = m / (m + 1)
    a, b = 1 - (2 - nu) * u, 1 - nu * u
    root = b * b - 4 * a * u
    return math.nan if root < 0 else (-b - math.sqrt(root)) / (2 * a)


def collapse_time(m: int, u: float, length: float = 1.0) -> float:
    """When the identity estimator brings a filter at the spurious minimum to zero, with `|v*| = 1`.

    `sqrt(2 pi) (m + 1)^2 length / (2 (m - 1) S*^2)`, in units of step size times steps.
    """
    drift = 2 * (m - 1) * u / (ROOT * (m + 1))
    return length / drift if drift else math.inf


def compute(settings: FateSettings, runs: lab.Runs) -> xr.Dataset:
    """Outcome, collapse time over the predicted one, and mean `P/N` at the end, for every u."""
    cells = [_cell(settings, runs, i, float(u)) for i, u in enumerate(settings.axis)]
    joined = xr.concat(cells, dim="alignment").transpose("run", "alignment")
    return joined.assign_coords(alignment=settings.axis)


def _tilts(settings: FateSettings, runs: lab.Runs, number: int) -> np.ndarray:
    """Angles to the spurious minimum, independent from one alignment to the next."""
    with jax.enable_x64(True):
        drawn = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, number)))
        return settings.tilt * np.asarray(drawn(runs.keys()))


def _cell(settings: FateSettings, runs: lab.Runs, number: int, u: float) -> xr.Dataset:
    reduction = EstimatorSettings(m=settings.m, alignment=u, ste="identity").reduction
    tilt = _tilts(settings, runs, number)
    starts = starts_at_best(reduction, math.pi, -np.cos(tilt), np.sin(tilt))
    alone = collapse_time(settings.m, u)
    steps = math.ceil((alone + settings.horizon + slowing(settings.m, u)) / settings.step_size)
    ended = simulate(
        reduction, GradientDescent(settings.step_size), starts, steps,
        observables=("radius", "overlap", "size"),
        times=np.unique(np.linspace(0, steps, settings.times).astype(int)),
    )  # fmt: skip
    # The length falls evenly: from when half of it is gone the end is known.
    time, radius = ended.time.values * settings.step_size, ended.radius.values
    half = np.argmax(radius < 0.5, axis=1)
    run = np.arange(len(runs))
    fallen = time[half] / np.maximum(1 - radius[run, half], 1e-9)
    fallen = np.where(radius.min(axis=1) < 0.05, fallen, np.nan)
    late = slice(-settings.times // 10, None)
    kappa = (ended.overlap / ended["size"]).isel(time=late).mean("time")
    return xr.Dataset({
        "outcome": ended.outcome,
        "collapse": ("run", fallen / alone),
        "kappa": ("run", kappa.values),
    })  # fmt: skip


def slowing(m: int, u: float) -> float:
    """How much longer to wait just above `u_c`, in step size times steps.

    The equilibria that trap a run meet at `u_c` and are gone above it; a run takes a time of order
    `1 / sqrt(u - u_c)` to pass where they were, as at any saddle-node; the factor is twice what was
    measured for m from 2 to 1000. (Nearer than about step_size / 40, the step size decides.)
    """
    above = u - trapping_threshold(m)
    return 10 / math.sqrt(max(above, 5e-5)) if above >= 0 else 0.0


def predicted(settings: FateSettings) -> np.ndarray:
    """The outcome for every alignment: collapsed below `u_c`, global above."""
    trapped = settings.axis < trapping_threshold(settings.m)
    return np.where(trapped, Outcome.COLLAPSED, Outcome.GLOBAL)


def kappa_roots(settings: FateSettings) -> np.ndarray:
    """The root that the time-average of `kappa` of trapped runs is claimed to be."""
    return np.array([sliding_kappa(settings.m, float(u)) for u in settings.axis])


FATE = lab.Experiment(
    name="identity-fate",
    doc="the identity estimator from the spurious minimum: trapped or escaped, over the alignment",
    settings=FateSettings,
    compute=compute,
    summarize=lambda dataset, settings: (
        lab.summarize(dataset)
        | {"threshold": trapping_threshold(settings.m), "roots": kappa_roots(settings).tolist()}
    ),
    runs=8,
    block=256,
    version=2,
)

# None comes nearer to u_c than 1e-3: a step size of 0.002 itself moves it by about 5e-5.
FATES = FATE.grid(
    {
        "quick": {"runs": 8, "alignments": 10, "m": (2, 10)},
        "paper": {"runs": 32, "alignments": 25, "m": (2, 4, 10, 40)},
    }
)


def _collapse_times(cells: lab.Cells) -> list[lab.Estimate]:
    """Measured over predicted time for every alignment, of the runs that collapsed, if any did."""
    return [mean_of_finite(times) for cell in cells for times in cell.data.collapse.values.T]


def _as_predicted(cells: lab.Cells) -> np.ndarray:
    """Whether each run is trapped below `u_c` and at the global minimum above."""
    held = [cell.data.outcome.values == predicted(cell.settings) for cell in cells]
    return np.concatenate([np.ravel(one) for one in held])


def _kappa_errors(cells: lab.Cells) -> lab.Estimate:
    """How far the mean of kappa is from its root, in runs that are to be trapped."""
    errors = []
    for cell in cells:
        trapped = predicted(cell.settings) == Outcome.COLLAPSED
        gap = np.abs(cell.data.kappa.values - kappa_roots(cell.settings))
        errors.append(gap[:, trapped].ravel())
    if not sum(map(len, errors)):
        raise UserError("no alignment is below u_c, so that no run is to be trapped; take less low")
    return lab.largest(np.concatenate(errors))


def _threshold_at(cell: lab.Cell, share: float) -> lab.Cell:
    """Runs are trapped up to this share of `u_c`."""
    axis, border = cell.settings.axis, trapping_threshold(cell.settings.m)
    low, high = sorted((border, share * border))
    kind = Outcome.COLLAPSED if share > 1 else Outcome.GLOBAL
    codes = cell.data.outcome.values
    other = np.where((axis > low) & (axis < high), int(kind), codes)
    return cell.assign(outcome=other.astype(codes.dtype))


_COLLAPSES = lab.in_every_run(
    lambda cells: np.isfinite(cells.pooled("collapse")), "runs whose filter came to $‖w‖ = 0$"
)
_KEPT = lab.Fault("one filter keeps its length", lab.in_one_run("collapse", float("nan")))

CLAIMS = (
    lab.Claim(
        id="Y-T1b", title="The identity stays at no spurious minimum", group="dynamics",
        source=f"{YIN}, Theorem 1",
        statement="With the identity estimator this fails near spurious minima for $m > 1$, "
        "$1ᵀv* ≠ 0$: no run started there stays.",
        requests=FATES,
        parts=(
            lab.in_every_run(lambda cells: cells.pooled("outcome") != Outcome.SPURIOUS,
                             "runs that left the spurious minimum"),
            _COLLAPSES,
        ),
        faults=(
            lab.Fault("one run stays", lab.in_one_run("outcome", Outcome.SPURIOUS)),
            _KEPT,
        ),
        does_not_show="That it fails elsewhere: above $u_c$ these runs reach the global minimum.",
        figures=("fate", "plane"),
    ),
    lab.Claim(
        id="Y-O4", title="When the identity's filter is gone", group="dynamics", source=OWN,
        statement="The identity estimator brings a filter at the spurious minimum to zero at "
        r"time $\frac{\sqrt{2π} (m+1)² ‖w_0‖}{2(m−1)(1ᵀv*)²}$.",
        requests=FATES,
        parts=(
            lab.Part("measured over predicted collapse time, for every $u$", _collapse_times,
                     lab.equals(1.0, 0.01)),
            _COLLAPSES,
        ),
        faults=(
            lab.Fault("it takes 2 % longer", lab.scaled("collapse", 1.02)),
            _KEPT,
        ),
        does_not_show="Starts more than 0.001 rad from the spurious minimum.",
        figures=("fate",),
    ),
    lab.Claim(
        id="Y-O5", title="Trapped below a threshold, out above it", group="dynamics", source=OWN,
        statement=r"The filter is trapped there for $u = \frac{(1ᵀv*)²}{(m+1)‖v*‖²} < u_c$, and "
        "escapes to the global minimum for $u > u_c$, which depends on $m$ alone.",
        requests=FATES,
        parts=(
            lab.in_every_run(_as_predicted, "runs with the predicted fate"),
            lab.Part("largest error of the mean $κ$ of trapped runs", _kappa_errors,
                     lab.at_most(2e-3)),
        ),
        faults=(
            lab.Fault("$u_c$ is 5 % larger", lab.changed(_threshold_at, 1.05)),
            lab.Fault("$u_c$ is 20 % smaller", lab.changed(_threshold_at, 0.8)),
            lab.Fault("the mean $κ$ is off by 0.004", lab.added("kappa", 0.004)),
        ),
        does_not_show="Where $u_c$ lies between two of the alignments that were tried.",
        figures=("fate",),
    ),
)  # fmt: skip


def _fate(cells: lab.Cells):
    panels, found = [], []
    for cell in cells:
        m, border, axis = cell.settings.m, trapping_threshold(cell.settings.m), cell.settings.axis
        codes = cell.data.outcome.values
        trapped, escaped = codes == Outcome.COLLAPSED, codes == Outcome.GLOBAL
        series = [
            draw.Series([0.0, border, border, 0.5], [1.0, 1.0, 0.0, 0.0], color="ink", width=1.0),
            draw.Series(axis, trapped.mean(axis=0), color="collapsed", line="", marker="o"),
        ]
        panels.append(
            draw.Panel(
                series, f"share of runs that stay trapped, $m = {m}$", limits=(-0.08, 1.08),
                references=[draw.Reference(border, f"$u_c = {border:.3f}$", axis="x")],
            )
        )  # fmt: skip
        last = axis[trapped.any(axis=0)].max(initial=0.0)
        first = axis[escaped.any(axis=0)].min(initial=1.0)
        found.append(
            f"$m = {m}$: the last trapped at $u = {last:.3f}$, the first out at {first:.3f}"
        )
    figure = draw.lines(panels, x_label="alignment $u$", x_limits=(0.0, 0.5))
    return figure, (
        "The identity estimator started at the spurious minimum: dots are measured, lines "
        "predicted. Its filter always shrinks to zero; below $u_c$ it then stays there, "
        f"chattering, and above it escapes to the global minimum. {'; '.join(found)}."
    )


FIGURE = lab.Figure("fate", "The identity at the spurious minimum", FATES, _fate)

TOPIC = lab.Topic((FATE,), CLAIMS, (FIGURE,))
