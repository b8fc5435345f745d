"""Single runs of the whole network over time, and where the two basins part."""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import simulate
from whytrain.landscapes import Outcome, SphereOrder, SphereReduction, at_each
from whytrain.report import figures as draw
from whytrain.studies.liu2019.setup import (
    COLORS,
    NETWORKS,
    DescentSettings,
    check_axis,
    draw_weights,
    network,
    orders_of,
)

HALVINGS = 20  # of an interval of pi: to 3e-6 rad


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(DescentSettings):
    """As for `success-rate`, and how many times are saved."""

    times: int = lab.setting(80, "log-spaced times at which the runs are saved", low=2, high=10_000)


def compute_paths(settings: TrajectorySettings, runs: lab.Runs) -> xr.Dataset:
    """Angle, overlap, total and loss over time, from the full state; and where each run ends."""
    landscape = settings.landscape
    horizon = min(settings.steps, int(20 / settings.step_size) + 1)

    def order(field: str):
        return lambda weights: getattr(landscape.order(weights), field)

    starts = draw_weights(settings, runs)
    path = simulate(
        landscape,
        settings.method,
        starts,
        horizon,
        observables={"loss": landscape.loss}
        | {name: order(name) for name in ("angle", "total", "overlap")},
        times=np.unique(np.r_[0, np.geomspace(1, horizon, settings.times).round()].astype(int)),
    )
    ended = simulate(
        settings.reduction, settings.method, orders_of(settings, starts), settings.steps
    )
    return path[["angle", "total", "overlap", "loss"]].assign(
        outcome=ended.outcome, steps=ended.steps
    )


TRAJECTORIES = lab.Experiment(
    name="trajectories",
    doc="angle, overlap and loss of single runs over time",
    settings=TrajectorySettings,
    compute=compute_paths,
    version=2,
    runs=24,
    block=256,
)


@dataclass(frozen=True, kw_only=True)
class SeparatrixSettings(DescentSettings):
    """As for `success-rate`, and the overlaps to start from."""

    warmup: bool = lab.setting(False, "whether the filter's step size starts at step_size^2")
    overlap_low: float = lab.setting(-1.1, "smallest overlap u/A at the start")
    overlap_high: float = lab.setting(1.25, "largest overlap u/A at the start")

    def check(self) -> None:
        """The overlaps are a range."""
        super().check()
        check_axis("overlap", self.overlap_low, self.overlap_high)


def compute_separatrix(settings: SeparatrixSettings, runs: lab.Runs) -> xr.Dataset:
    """One random overlap a run, and the angle at which the outcome changes, by bisection.

    The sum of the output weights starts at its best for the angle. The angle is NaN for an overlap
    from which all runs, or none, reach the global optimum.
    """
    reduction = settings.reduction
    low_end, high_end = settings.overlap_low, settings.overlap_high
    where = low_end + (high_end - low_end) * runs.draw(_uniforms)
    overlap = where * float(reduction.power_star)
    low, high = np.zeros_like(overlap), np.full_like(overlap, math.pi)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        starts = reduction.settled(middle)._replace(overlap=overlap)
        ended = simulate(reduction, settings.method, starts, settings.steps)
        falls = ended.outcome.values == Outcome.GLOBAL
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    parted = (high < math.pi - 1e-3) & (low > 1e-3)
    angle = np.where(parted, (low + high) / 2, np.nan)
    return xr.Dataset({"overlap": ("run", where), "angle": ("run", angle)})


@jax.jit
def _uniforms(keys: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.uniform)(keys)


SEPARATRIX = lab.Experiment(
    name="separatrix",
    doc="at which angle the two basins part, overlap by overlap",
    settings=SeparatrixSettings,
    compute=compute_separatrix,
    runs=400,
    block=1024,
)

PATHS = TRAJECTORIES.grid(
    {"quick": {"runs": 12}, "paper": {"runs": 24}}, cases=tuple(NETWORKS.values())
)


def _draw_paths(cells: lab.Cells) -> tuple:
    panels = [
        draw.Panel(_lines(cells, "angle"), "angle $φ$ to the teacher (rad)"),
        draw.Panel(_lines(cells, "overlap"), "overlap $u/A$"),
        draw.Panel(_lines(cells, "loss"), "loss $L/A$", log=True),
    ]
    figure = draw.lines(panels, x_label="step", log="x")
    rise = {
        network(cell.settings): float((cell.data.angle.max("time") - cell.data.angle[:, 0]).max())
        for cell in cells
    }
    warm, cold = (rise.get(name, math.nan) for name in ("ResNet with warm-up", "ResNet without"))
    return figure, (
        f"Six runs of each network, $k = {cells[0].settings.k}$, from the full state. The angle "
        f"first rises while the overlap is negative (by up to {cold:.2f} rad without warm-up, "
        f"{warm:.3f} rad with), and falls once it is positive: warm-up wins the time in which the "
        "output weights turn round. CNN runs that start past the saddle's angle go to $π$ instead, "
        "and their loss stays up."
    )


def _lines(cells: lab.Cells, name: str) -> "list[draw.Series]":
    """Six runs of each network, named where the angle is."""
    series = []
    for cell in cells:
        who, time = network(cell.settings), cell.data.time.values
        scale = 1.0 if name == "angle" else cell.settings.norm**2
        for run, values in enumerate(cell.data[name].values[:6]):
            shown = np.where(time > 0, values / scale, np.nan)
            label = who if run == 0 and name == "angle" else ""
            x = np.maximum(time, 0.5)
            series.append(draw.Series(x, shown, label, color=COLORS[who], width=0.9))
    return series


def _draw_plane(cells: lab.Cells) -> tuple:
    [border] = [cell for cell in cells if isinstance(cell.settings, SeparatrixSettings)]
    settings, reduction = border.settings, border.settings.reduction
    power = settings.norm**2
    angle, overlap = np.linspace(0, math.pi, 121), np.linspace(-0.45, 0.45, 101) * power
    points = [
        draw.Point(
            point.kind, float(point.params.angle), float(point.params.overlap / power), point.kind
        )
        for point in reduction.critical_points()
        if abs(point.params.overlap / power) < 0.45  # the global one is far above
    ]
    paths = [
        draw.Path(run.angle.values, run.overlap.values / power, Outcome(int(run.outcome)).word)
        for cell in cells
        if cell is not border
        for run in (cell.data.isel(run=place) for place in range(min(9, cell.runs)))
    ]
    parted = border.data.sortby("overlap").dropna("run")
    figure = draw.plane(
        angle, overlap / power, _settled_loss(reduction, angle, overlap) / power,
        x_label="angle $φ$ (rad)", y_label="overlap $u/A$",
        value_label="$L/A$, other weights at their best", levels=12, points=points,
        separatrix=(parted.angle.values, parted.overlap.values), paths=paths,
    )  # fmt: skip
    saddle = reduction.saddle_angle or math.nan
    return figure, (
        f"The plane of angle and overlap, $k = {settings.k}$, $S²/A = {settings.alignment:g}$, "
        f"with equal step sizes. The stable manifold of the saddle ($φ = {saddle:.3f}$, past $π/2 "
        f"= {math.pi / 2:.3f}$) parts the two basins for output sums at their best. Runs above it "
        "leave along the left edge for the global optimum, at $u/A = 1$; runs below it end at the "
        "spurious one. A run may cross the drawn line, for its third coordinate is not in the "
        "picture."
    )


def _settled_loss(reduction: SphereReduction, angle: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """The loss over the plane with the sum of the output weights at its best for the angle."""
    total = reduction.settled(angle).total
    phi, u = np.meshgrid(angle, overlap)
    places = SphereOrder(phi.ravel(), np.broadcast_to(total, phi.shape).ravel(), u.ravel())
    return at_each(reduction.loss, places).reshape(phi.shape)


TOPIC = lab.Topic((TRAJECTORIES, SEPARATRIX), (), (
    lab.Figure("trajectories", "Single runs over time", PATHS, _draw_paths),
    lab.Figure("plane", "The two basins", PATHS.at(warmup=False) + SEPARATRIX.grid(), _draw_plane),
))  # fmt: skip
