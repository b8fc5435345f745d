"""Does coarse gradient descent converge, and where? From random starts (Theorem 1, equation 13)."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import ndtr

from whytrain import lab
from whytrain.dynamics import GradientDescent, count, log_times, simulate
from whytrain.errors import UnstableStepWarning
from whytrain.landscapes import Outcome, PlaneOrder, gaussian_coordinates, plane_sums
from whytrain.report import figures as draw
from whytrain.studies.yin2019.fate import trapping_threshold
from whytrain.studies.yin2019.setup import PUBLISHED, THEOREM, YIN, EstimatorSettings, label, series

CRITICAL = (Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE)
ROUNDING = 1e-12  # a rise of the loss that is rounding


@dataclass(frozen=True, kw_only=True)
class DescentSettings(EstimatorSettings):
    """The estimator, how the network starts, and how it moves."""

    n: int = lab.setting(8, "length of a patch; no result depends on it", low=2, high=100_000)
    output_scale: float = lab.setting(
        0.3, "standard deviation of the entries of v_0", low=0, high=1e100
    )
    filter_norm: float = lab.setting(1.0, "length of w_0", low=1e-100, high=1e100)
    angle: float | None = lab.setting(
        None, "angle of w_0 to w*; default uniform in (0, pi)", unit="rad", low=0, high=math.pi
    )
    step_size: float = lab.setting(
        0.05, "step size of both blocks", low=0, high=1e100, exclusive=True
    )
    steps: int = lab.setting(20_000, "steps of a run", low=1)

    def check(self) -> None:
        """The teacher exists; a step size at which no run settles is warned of."""
        super().check()
        largest = 8 / (self.m + 1)  # 2 over the largest curvature of the output weights
        if self.step_size >= largest:
            warnings.warn(
                f"step_size = {self.step_size:g} is unstable: the linearized update at the global "
                "minimum does not contract, and runs that never settle count as diverged; take "
                f"less than 8/(m + 1) = {largest:.4g}",
                UnstableStepWarning,
                stacklevel=3,
            )


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(DescentSettings):
    """As for `descent`, and how many times are saved."""

    times: int = lab.setting(
        200, "log-spaced times at which the runs are saved", low=2, high=10_000
    )


def draw_orders(settings: DescentSettings, runs: lab.Runs) -> PlaneOrder:
    """The order parameters of random starts, by their law: the cost depends on no `m` or `n`."""
    normal = runs.draw(lambda keys: lab.normals(keys, 4))
    scale, m = settings.output_scale, settings.m
    x, y, size = gaussian_coordinates(normal[:, :3], m)
    total, overlap = plane_sums(scale * x, scale * y, m, settings.alignment * (m + 1), 1.0)
    theta = math.pi * ndtr(normal[:, 3])
    if settings.angle is not None:
        theta = np.full(len(runs), settings.angle)
    along, across = settings.filter_norm * np.cos(theta), settings.filter_norm * np.sin(theta)
    return PlaneOrder(along, across, total, overlap, scale**2 * size)


def _descend(settings: DescentSettings, runs: lab.Runs, **watched) -> xr.Dataset:
    method = GradientDescent(settings.step_size)
    starts = draw_orders(settings, runs)
    return simulate(settings.reduction, method, starts, settings.steps, **watched)


def ends(settings: DescentSettings, runs: lab.Runs) -> xr.Dataset:
    """Outcome, steps, the largest rise of the loss in one step, and the least filter length."""
    ended = _descend(settings, runs, extremes=("loss", "radius"))
    return ended[["outcome", "steps", "rise_loss", "least_radius"]]


def paths(settings: TrajectorySettings, runs: lab.Runs) -> xr.Dataset:
    """Angle, overlap `v.v*`, length of the filter and loss over time; and where each run ends."""
    shown, times = ("angle", "overlap", "radius", "loss"), log_times(settings.steps, settings.times)
    return _descend(settings, runs, observables=shown, times=times)[[*shown, "outcome", "steps"]]


DESCENT = lab.Experiment(
    "descent",
    "where coarse gradient descent from random starts ends, and whether its loss ever rose",
    DescentSettings, ends, lab.summarize, runs=1000, version=3,
)  # fmt: skip
TRAJECTORIES = lab.Experiment(
    "trajectories",
    "angle, overlap, filter length and loss of single runs over time",
    TrajectorySettings, paths, lab.summarize, runs=24, block=256, version=2,
)  # fmt: skip

ALIGNMENTS = (0.02, 0.1, 0.3, 0.45, 0.7)
OUTCOMES = DESCENT.grid(
    {"quick": {"runs": 500}, "paper": {"runs": 5000}}, ste=THEOREM, alignment=ALIGNMENTS
)
PATHS = TRAJECTORIES.grid(runs=12, ste=("relu", "identity"))


def _long_filters(ste: str) -> lab.Grid:
    """Random starts over the teacher's alignment, with filters that stay long."""
    return DESCENT.grid(
        {"quick": {"runs": 300, "m": 10}, "paper": {"runs": 5000, "m": (4, 10, 40)}},
        ste=ste,
        alignment=ALIGNMENTS,
        filter_norm=3.0,
        steps=60_000,  # near u = 1/2 a run comes to its minimum only slowly
        output_scale=lambda at: 0.3 * (10 / at.m) ** 0.5,
    )


_NEVER_RISES = lab.in_every_run(
    lambda cells: cells.pooled("rise_loss") <= ROUNDING, "runs whose loss never rose", 0.99
)
_CONVERGES = lab.in_every_run(
    lambda cells: np.isin(cells.pooled("outcome"), CRITICAL),
    "runs that came to a saddle or a minimum",
    0.99,
)
_RISES = lab.Fault("in one run the loss rises by $2·10⁻¹²$", lab.in_one_run("rise_loss", 2e-12))


def _where_they_ended(cells: lab.Cells) -> str:
    kinds = [f"{sum(count(c.data, kind) for c in cells)} {kind.word}" for kind in CRITICAL]
    return f"they came to {', '.join(kinds)}"


CLAIMS = (
    lab.Claim(
        id="Y-13", title="With ReLU the loss falls at every step", group="dynamics",
        source=f"{YIN}, equation (13)",
        statement="With the ReLU estimator and a small step size the loss falls at every step "
        "while $‖w‖ ≥ c_w$.",
        requests=_long_filters("relu"),
        parts=(_NEVER_RISES,),
        faults=(_RISES,),
        does_not_show="Filters that become short: from $‖w_0‖ = 1$ the loss does rise in many "
        "runs.",
        note=lambda cells: f"$‖w‖$ at least {cells.pooled('least_radius').min():.2f} throughout",
    ),
    lab.Claim(
        id="Y-T1a", title="With ReLU every run converges", group="dynamics",
        source=f"{YIN}, Theorem 1",
        statement="With the ReLU estimator, while $‖v‖ ≤ C_v$ and $‖w‖ ≥ c_w$, the loss "
        "decreases and the iterates converge to a saddle or a minimum.",
        requests=_long_filters("relu"),
        parts=(_NEVER_RISES, _CONVERGES),
        faults=(
            _RISES,
            lab.Fault("one run does not come to rest",
                      lab.in_one_run("outcome", Outcome.UNDECIDED)),
        ),
        does_not_show="Filters that become short: all runs here start from $‖w_0‖ = 3$.",
        note=_where_they_ended,
        figures=("outcomes", "plane"),
    ),
    lab.Claim(
        id="Y-PUB5", title="With the clipped ReLU every run converges", group="dynamics",
        source=f"{PUBLISHED}, Theorem 1",
        statement="Theorem 1 holds for the clipped ReLU too.",
        requests=_long_filters("clipped_relu"),
        parts=(_NEVER_RISES, _CONVERGES),
        faults=(
            _RISES,
            lab.Fault("one run is trapped at a filter of length zero",
                      lab.in_one_run("outcome", Outcome.COLLAPSED)),
        ),
        does_not_show="Filters that become short: all runs here start from $‖w_0‖ = 3$.",
        note=_where_they_ended,
        figures=("outcomes",),
    ),
)  # fmt: skip


def _outcomes(cells: lab.Cells):
    panels = []
    for outcome, what in (
        (Outcome.GLOBAL, "share of runs at the global minimum"),
        (Outcome.COLLAPSED, "share trapped at a filter of length zero"),
    ):
        lines = []
        for ste, some in cells.by("ste").items():
            rates = [lab.estimate_rate(count(cell.data, outcome), cell.runs) for cell in some]
            shares, bands = [rate.value for rate in rates], [rate.interval for rate in rates]
            lines.append(series(ste, list(some.by("alignment")), shares, bands))
        panels.append(draw.Panel(lines, what, limits=(-0.03, 1.05)))
    figure = draw.lines(panels, x_label="alignment $u = (1^⊤v^*)^2/((m+1)‖v^*‖^2)$")
    m, runs = cells[0].settings.m, cells[0].runs
    caption = f"Random starts, $m = {m}$, {runs} runs a point, bands are exact 95 % intervals."
    if not set(THEOREM) <= set(cells.by("ste")):
        return figure, caption
    return figure, (
        f"{caption} ReLU and clipped ReLU end at a critical point, the spurious minimum included; "
        "they go together. The identity never ends at the spurious minimum: below "
        f"$u_c = {trapping_threshold(m):.3f}$ it is trapped at a filter of length zero instead, "
        f"and above "
        "it its instability even helps. What is poor about it is that it does not converge."
    )


def _plane(cells: lab.Cells):
    settings = cells[0].settings
    angle, overlap = np.linspace(0, math.pi, 121), np.linspace(-0.8, 1.2, 81)
    points = [
        draw.Point(
            point.kind, float(np.arctan2(point.params.y, point.params.x)),
            float(point.params.overlap), point.kind,
        )
        for point in settings.reduction.critical_points()
    ]  # fmt: skip
    paths = [
        draw.Path(
            *_cut(run.angle.values, run.overlap.values), Outcome(int(run.outcome)).word,
            line="--" if cell.settings.ste == "identity" else "-",
        )
        for cell in cells
        for run in (cell.data.isel(run=i) for i in range(min(8, cell.runs)))
    ]  # fmt: skip
    figure = draw.plane(
        angle, overlap, _least_loss(settings, angle, overlap), x_label="angle $θ$ (rad)",
        y_label="overlap $v^⊤v^*$", value_label="loss, other weights at their best", levels=12,
        points=points, paths=paths,
    )  # fmt: skip
    ended = [
        f"Of {cell.runs} runs of the {label(cell.settings.ste)} estimator "
        f"{count(cell.data, Outcome.GLOBAL)} end at the left, at the global minimum, and "
        f"{count(cell.data, Outcome.SPURIOUS)} at the right."
        for cell in cells
    ]
    return figure, (
        f"From the same random starts, $u = {settings.alignment:g}$, ReLU (solid) and identity "
        f"(dashed), eight runs of each are drawn. {' '.join(ended)} A path of the identity ends "
        "where its filter shrinks to zero, for there it has no angle any more."
    )


def _cut(angle: np.ndarray, overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """End where the angle jumps, as it does at a filter of length zero."""
    jumps = 1 + np.flatnonzero(np.abs(np.diff(angle)) > 0.6)
    end = jumps[0] if len(jumps) else len(angle)
    return angle[:end], overlap[:end]


def _least_loss(settings: DescentSettings, angle: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """The least loss of output weights with this overlap, at this angle."""
    # Minimize |v|^2 + (1.v)^2 - 2 S* 1.v under v.v* = P: a line of minima in the span of 1 and v*.
    star, m, total = settings.output_star, settings.m, settings.total_star
    inverse = np.eye(m) - 1 / (m + 1)
    best, push = inverse @ np.ones(m) * total, inverse @ star
    kappa = 1 - 2 * angle / math.pi
    values = np.empty((len(overlap), len(angle)))
    for i, p in enumerate(overlap):
        v = best + (p - best @ star) / (push @ star) * push
        s = v.sum()
        values[i] = (v @ v + s**2 - 2 * (kappa * p + s * total) + 1 + total**2) / 8
    return values


FIGURES = (
    lab.Figure("outcomes", "Where the three estimators end", OUTCOMES, _outcomes),
    lab.Figure("plane", "The two minima and the runs", PATHS, _plane),
)

TOPIC = lab.Topic((DESCENT, TRAJECTORIES), CLAIMS, FIGURES)
