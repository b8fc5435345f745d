"""The figures of the report."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from whytrain.dynamics import count
from whytrain.lab import Cells, Figure, estimate_rate
from whytrain.landscapes import Outcome
from whytrain.report import figures as draw
from whytrain.studies.yin2019 import requests
from whytrain.studies.yin2019.setup import (
    THEOREM,
    DescentSettings,
    trapping_threshold,
)

COLORS = {"identity": "orange", "relu": "blue", "clipped_relu": "green"}
LABELS = {"identity": "identity", "relu": "ReLU", "clipped_relu": "clipped ReLU"}
Datasets = Sequence[xr.Dataset]
Drawing = tuple  # a matplotlib figure and its caption


def _outcomes(datasets: Datasets) -> Drawing:
    axis, n = requests.ALIGNMENTS, len(requests.ALIGNMENTS)
    panels = []
    for outcome, label in (
        (Outcome.GLOBAL, "share of runs at the global minimum"),
        (Outcome.COLLAPSED, "share trapped at a filter of length zero"),
    ):
        series = []
        for i, name in enumerate(THEOREM):
            part = datasets[i * n : (i + 1) * n]
            found = [(count(d, outcome), d.sizes["run"]) for d in part]
            ends = np.array([estimate_rate(*pair).interval for pair in found])
            rates = [successes / runs for successes, runs in found]
            series.append(
                draw.Series(
                    axis, rates, LABELS[name], low=ends[:, 0], high=ends[:, 1],
                    color=COLORS[name], marker="o",
                )
            )  # fmt: skip
        panels.append(draw.Panel(series, label, limits=(-0.03, 1.05)))
    figure = draw.lines(panels, x_label="alignment u = (1ᵀv*)² / ((m+1)‖v*‖²)")
    return figure, (
        f"Random starts, m = 10, {datasets[0].sizes['run']} runs a point, bands are exact 95 % "
        "intervals. ReLU and clipped ReLU end at a critical point, the spurious minimum included; "
        "they go together. The identity never ends at the spurious minimum: below u_c = "
        f"{trapping_threshold(10):.3f} it is trapped at a filter of length zero instead, and above "
        "it its instability even helps. What is poor about it is that it does not converge."
    )


def _fate(datasets: Datasets) -> Drawing:
    sizes = next(s for s in requests.FATE_SIZES.values() if len(s) == len(datasets))
    panels, found = [], []
    for dataset, m in zip(datasets, sizes, strict=True):
        border, axis = trapping_threshold(m), dataset.alignment.values
        codes = dataset.outcome.values
        trapped, escaped = codes == Outcome.COLLAPSED, codes == Outcome.GLOBAL
        series = [
            draw.Series([0.0, border, border, 0.5], [1.0, 1.0, 0.0, 0.0], color="ink", width=1.0),
            draw.Series(axis, trapped.mean(axis=0), color="orange", line="", marker="o"),
        ]
        panels.append(
            draw.Panel(
                series, f"share of runs that stay trapped, m = {m}", limits=(-0.08, 1.08),
                references=[draw.Reference(border, f"u_c = {border:.3f}", axis="x")],
            )
        )  # fmt: skip
        last = axis[trapped.any(axis=0)].max(initial=0.0)
        first = axis[escaped.any(axis=0)].min(initial=1.0)
        found.append(f"m = {m}: the last trapped at u = {last:.3f}, the first out at {first:.3f}")
    figure = draw.lines(panels, x_label="alignment u", x_limits=(0.0, 0.5))
    return figure, (
        "The identity estimator started at the spurious minimum: dots are measured, lines "
        "predicted. Its filter always shrinks to zero; below u_c(m) it then stays there, "
        f"chattering, and above it escapes to the global minimum. {'; '.join(found)}."
    )


def _map(datasets: Datasets) -> Drawing:
    which = THEOREM.index("relu")
    dataset = datasets[which]
    cosine = np.cos(dataset.apart).mean("run").to_dataset(name="cosine")
    figure = draw.phase_diagram(
        cosine, x="overlap", y="angle", value="cosine", level=0.5,
        x_label="overlap P = vᵀv*", y_label="angle θ of the filter (rad)",
        value_label="cosine between coarse and true gradient",
    )  # fmt: skip
    least = [
        f"{LABELS[name]} {float(np.cos(other.apart).min()):.3f}"
        for name, other in zip(THEOREM, datasets, strict=True)
    ]
    return figure, (
        "ReLU estimator, m = 10, ‖w‖ = 1; on the line the cosine is 1/2. It is nowhere negative, "
        "which is the positive "
        "correlation of the paper; but over most of the map it is small, for the coarse gradient "
        "also has a part along the filter, which the loss does not see. Least cosines over the "
        f"map: {', '.join(least)}."
    )


def _samples(datasets: Datasets) -> Drawing:
    dataset = datasets[0]
    run = int(dataset.roughness.values[:, 0].argmax())
    panels = []
    for i, size in enumerate(dataset.samples.values):
        curve = dataset.loss.values[run, i]
        panels.append(
            draw.Panel(
                [draw.Series(dataset.step.values, curve, color="blue", width=1.4)],
                f"loss on {size} samples",
            )
        )
    figure = draw.lines(panels, x_label="step size along the negative coarse gradient")
    rough = dataset.roughness.mean("run").values
    return figure, (
        "One run: the loss on a sample, after one step along the negative coarse gradient of the "
        "same sample. With few samples it is a staircase that falls only on the whole; with many "
        "it is smooth. Largest upward move over the whole fall, mean over "
        f"{dataset.sizes['run']} runs: {rough[0]:.3f} at {dataset.samples.values[0]} samples, "
        f"{rough[-1]:.4f} at {dataset.samples.values[-1]}."
    )


def _bounds(datasets: Datasets) -> Drawing:
    radius = datasets[0].radius.values
    series = [
        draw.Series(
            radius, np.max([d[f"{name}_ratio"].max("run").values for d in datasets], axis=0),
            LABELS[name], color=COLORS[name], marker="o",
        )
        for name in ("relu", "clipped_relu")
    ]  # fmt: skip
    law = draw.Series(
        radius, math.sqrt(math.pi / 2) * radius, "√(π/2) ‖w‖", color="ink", line="--", width=1.0
    )  # fmt: skip
    figure = draw.lines(
        [*series, law], x_label="filter length ‖w‖", y_label="constant A that is needed", log="xy"
    )
    return figure, (
        "The least A in ‖E g‖² ≤ A (‖f_v‖² + ⟨E g, f_w⟩) over random places with ‖v‖ ≤ 3. For the "
        "ReLU estimator it grows with the filter, so that no A of ‖v‖ alone will do, as Lemma 5 "
        "has it; an upper bound on ‖w‖ mends it. For the clipped ReLU one A serves all."
    )


def _plane(datasets: Datasets) -> Drawing:
    settings = DescentSettings()
    reduction = settings.reduction("relu")
    angle, overlap = np.linspace(0, math.pi, 121), np.linspace(-0.8, 1.2, 81)
    points = [
        draw.Point(
            point.kind, float(np.arctan2(point.params.y, point.params.x)),
            float(point.params.overlap), point.kind,
        )
        for point in reduction.critical_points()
    ]  # fmt: skip
    paths = [
        draw.Path(*_cut(run.angle.values, run.overlap.values), Outcome(int(run.outcome)).word)
        for dataset in datasets
        for run in (dataset.isel(run=i) for i in range(dataset.sizes["run"]))
    ]
    figure = draw.plane(
        angle, overlap, _loss(settings, angle, overlap), x_label="angle θ (rad)",
        y_label="overlap P", value_label="loss, other weights at their best", levels=12,
        points=points, paths=paths,
    )  # fmt: skip
    return figure, (
        "Twelve runs of the ReLU and twelve of the identity estimator, u = 0.3, from the same "
        "random starts. The ReLU's go to either minimum, as their angle decides. Of the identity's "
        "none stays at the right: there its filter shrinks to zero, its angle jumps to the left "
        "edge (a gap in the path), and the run comes to the global minimum."
    )


def _cut(angle: np.ndarray, overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave a gap wherever the angle jumps, as it does at a filter of length zero."""
    jumps = 1 + np.flatnonzero(np.abs(np.diff(angle)) > 1)
    return np.insert(angle, jumps, np.nan), np.insert(overlap, jumps, np.nan)


def _loss(settings: DescentSettings, angle: np.ndarray, overlap: np.ndarray) -> np.ndarray:
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


def _data(draw: Callable[[Datasets], Drawing]) -> Callable[[Cells], Drawing]:
    return lambda cells: draw([cell.data for cell in cells])


FIGURES = (
    Figure("outcomes", "Where the three estimators end", requests.outcomes, _data(_outcomes)),
    Figure("fate", "The identity at the spurious minimum", requests.fates, _data(_fate)),
    Figure("alignment", "Coarse against true gradient", requests.maps, _data(_map)),
    Figure("plane", "The two minima and the runs", requests.paths, _data(_plane)),
    Figure("samples", "The coarse gradient on samples", requests.samples, _data(_samples)),
    Figure("bounds", "The constant of Lemma 5", requests.bounds, _data(_bounds)),
)
