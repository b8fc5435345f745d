"""The figures of the report."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from whytrain.dynamics import count
from whytrain.lab import Cells, Figure, estimate_rate
from whytrain.landscapes import Outcome, SphereOrder, SphereReduction, at_each
from whytrain.report import figures as draw
from whytrain.studies.liu2019 import requests
from whytrain.studies.liu2019.phases import success_rates
from whytrain.studies.liu2019.rates import slow_constant

COLORS = {"ResNet with warm-up": "blue", "ResNet without": "green", "CNN": "orange"}
Datasets = Sequence[xr.Dataset]
Drawing = tuple  # a matplotlib figure and its caption


def _rate_series(
    x: Sequence[float], datasets: Datasets, label: str, color: str | None
) -> draw.Series:
    """Success rates with their exact 95 % intervals."""
    rates, lows, highs = [], [], []
    for dataset in datasets:
        successes, runs = count(dataset, Outcome.GLOBAL), dataset.sizes["run"]
        low, high = estimate_rate(successes, runs).interval
        rates.append(successes / runs)
        lows.append(low)
        highs.append(high)
    return draw.Series(x, rates, label, low=lows, high=highs, color=color, marker="o")


def _sizes(
    datasets: Datasets, quick: Sequence[int], paper: Sequence[int], each: int = 1
) -> list[int]:
    """The sizes that a preset's datasets belong to."""
    return list(quick if len(datasets) == each * len(quick) else paper)


def _success_rate(datasets: Datasets) -> Drawing:
    sizes = _sizes(datasets, *requests.SIZES.values(), each=3)
    series = [
        _rate_series(sizes, datasets[i::3], name, COLORS[name])
        for i, name in enumerate(requests.NETWORKS)
    ]
    figure = draw.lines(
        series, x_label="patches k", y_label="success rate", x_ticks=sizes, y_limits=(0, 1.04)
    )
    runs = datasets[0].sizes["run"]
    warm, cold, plain = (_range_in_words(s.y) for s in series)
    return figure, (
        f"Success over the number of patches; {runs} runs a point, bands are exact 95 % intervals. "
        f"With the shortcut and warm-up {warm} reach the global optimum, without warm-up {cold}, "
        f"of the plain CNN's {plain}: the shortcut does much of it, and warm-up removes what is "
        "left. Teacher: S²/A = 1, ‖a*‖ = k, prior angle π/3."
    )


def _range_in_words(rates: ArrayLike) -> str:
    low, high = float(np.min(rates)), float(np.max(rates))
    return "all runs" if low == 1 else f"{low:.1%} to {high:.1%}"


def _trajectories(datasets: Datasets) -> Drawing:
    panels = []
    for name, label, log in (
        ("angle", "angle φ to the teacher (rad)", False),
        ("overlap", "overlap u / A", False),
        ("loss", "loss / A", True),
    ):
        series = []
        for dataset, network in zip(datasets, requests.NETWORKS, strict=True):
            scale = 1.0 if name == "angle" else _power(network)
            for run in range(min(6, dataset.sizes["run"])):
                values = dataset[name].values[run] / scale
                shown = np.where(dataset.time.values > 0, values, np.nan)
                title = network if run == 0 and name == "angle" else ""
                series.append(
                    draw.Series(
                        np.maximum(dataset.time.values, 0.5),
                        shown,
                        title,
                        color=COLORS[network],
                        width=0.9,
                    )
                )
        panels.append(draw.Panel(series, label, log=log))
    figure = draw.lines(panels, x_label="step", log="x")
    rise = [float((d.angle.max("time") - d.angle.isel(time=0)).max()) for d in datasets]
    return figure, (
        "Six runs of each network, k = 25, from the full state. The angle first rises while the "
        "overlap "
        f"is negative (by up to {rise[1]:.2f} rad without warm-up, {rise[0]:.3f} rad with), and "
        "falls once "
        "it is positive: warm-up wins the time in which the output weights turn round. CNN runs "
        "that "
        "start past the saddle's angle go to π instead, and their loss stays up."
    )


def _power(network: str) -> float:
    for request in requests.single_runs("quick"):
        if {
            k: getattr(request.settings, k) for k in requests.NETWORKS[network]
        } == requests.NETWORKS[network]:
            return request.settings.norm**2
    raise KeyError(network)


def _plane(datasets: Datasets) -> Drawing:
    *single, border = datasets
    settings = requests.plane("quick")[-1].settings
    reduction = settings.reduction
    power = settings.norm**2
    angle, overlap = np.linspace(0, math.pi, 121), np.linspace(-1.1, 1.25, 101) * power
    loss = _settled_loss(reduction, angle, overlap) / power
    points = [
        draw.Point(
            point.kind, float(point.params.angle), float(point.params.overlap / power), point.kind
        )
        for point in reduction.critical_points()
    ]
    paths = []
    for dataset in single:
        for run in range(min(9, dataset.sizes["run"])):
            outcome = Outcome(int(dataset.outcome.values[run])).word
            paths.append(
                draw.Path(dataset.angle.values[run], dataset.overlap.values[run] / power, outcome)
            )
    border = border.sortby("overlap").dropna("run")
    figure = draw.plane(
        angle, overlap / power, loss, x_label="angle φ (rad)", y_label="overlap u / A",
        value_label="loss / A, other weights at their best", levels=12, points=points,
        separatrix=(border.angle.values, border.overlap.values), paths=paths,
    )  # fmt: skip
    saddle = reduction.saddle_angle or math.nan
    return figure, (
        f"The plane of angle and overlap, k = {settings.k}, S²/A = {settings.alignment:g}, with "
        "equal step "
        "sizes: the stable manifold of the saddle "
        f"(φ = {saddle:.3f}, past π/2 = {math.pi / 2:.3f}) parts the two basins for output sums "
        "at their "
        "best. Runs left of it end at the global optimum, right of it at the spurious one; a run "
        "may "
        "cross the drawn line, for its third coordinate is not in the picture."
    )


def _settled_loss(reduction: SphereReduction, angle: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """The loss over the plane with the sum of the output weights at its best for the angle."""
    total = reduction.settled(angle).total
    phi, u = np.meshgrid(angle, overlap)
    places = SphereOrder(phi.ravel(), np.broadcast_to(total, phi.shape).ravel(), u.ravel())
    return at_each(reduction.loss, places).reshape(phi.shape)


def _prior_diagram(datasets: Datasets) -> Drawing:
    settings = requests.prior_diagram("quick")[0].settings
    saddle = settings.reduction.saddle_angle or math.nan
    ratios = datasets[0].ratio.values[[0, -1]]
    figure = draw.phase_diagram(
        success_rates(datasets[0]), x="ratio", y="angle", log="x",
        borders=[
            ("paper's prior π/3", ratios, [math.pi / 3] * 2),
            ("saddle φₛ", ratios, [saddle, saddle]),
        ],
        x_label="η_w / η_a", y_label="prior angle φ₀ (rad)", value_label="success rate",
    )  # fmt: skip
    return figure, (
        f"ResNet without warm-up, k = {settings.k}, ‖a*‖ = k, {datasets[0].sizes['run']} runs a "
        "cell. As "
        f"η_w/η_a falls the border becomes sharp at the saddle's angle φₛ = {saddle:.3f}, well "
        "past the "
        "paper's π/3: the prior is sufficient, not necessary. At equal step sizes even good "
        "priors fail "
        "now and then, which is what warm-up is for."
    )


def _alignment_diagram(datasets: Datasets) -> Drawing:
    settings = requests.alignment_diagram("quick")[0].settings
    edge = settings.reduction.existence_threshold
    ratios = datasets[0].ratio.values[[0, -1]]
    figure = draw.phase_diagram(
        success_rates(datasets[0]), x="ratio", y="alignment", log="xy",
        borders=[("(k + π − 1)/π", ratios, [edge, edge])],
        x_label="η_w / η_a", y_label="teacher's S²/A", value_label="success rate",
    )  # fmt: skip
    return figure, (
        f"Plain CNN from random filters, k = {settings.k}, {datasets[0].sizes['run']} runs a "
        f"cell. Above S²/A = (k+π−1)/π = {edge:.2f} the spurious minimum does not exist and every "
        "run succeeds; the further below it, the more fail, up to half of them, whatever the ratio "
        "of step sizes."
    )


def _norms(datasets: Datasets) -> Drawing:
    names = ["‖a*‖ = 1", "‖a*‖ = √k", "‖a*‖ = k"]
    n = len(requests.RATIOS)
    series = [
        _rate_series(requests.RATIOS, datasets[i * n : (i + 1) * n], name, color)
        for i, (name, color) in enumerate(zip(names, ("gray", "purple", "green"), strict=True))
    ]
    figure = draw.lines(series, x_label="η_w / η_a", y_label="success rate", log="x")
    return figure, (
        "ResNet without warm-up, k = 25, prior π/3, S²/A = 1. Whether it can fail depends on the "
        "length "
        "of the teacher's output times the ratio of step sizes: short teachers never need "
        "warm-up, long "
        "ones do, the more so the faster the filter moves."
    )


def _scaling(datasets: Datasets) -> Drawing:
    sizes = _sizes(datasets, *requests.SCALING_SIZES.values())
    shown = (0, 4, 8)
    series = [
        draw.Series(
            sizes, [float(d.hit.isel(epsilon=i).mean()) for d in datasets],
            f"ε = 10⁻{'²³⁴⁵⁶⁷⁸⁹'[i]}" if i < 8 else "ε = 10⁻¹⁰", color=color, marker="o",
        )
        for i, color in zip(shown, ("sky", "blue", "ink"), strict=True)
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="patches k", y_label="steps to error ε", log="xy", x_ticks=sizes
    )
    slope = np.polyfit(np.log(sizes), np.log(np.asarray(series[-1].y)), 1)[0]
    return figure, (
        f"Steps until the error stays below ε, ResNet with warm-up, η = 1/k². They grow like "
        f"k^{slope:.2f}, which is the step size's own power, and by equal amounts for each digit "
        "of ε: "
        "polynomial in k and logarithmic in 1/ε."
    )


def _slow(datasets: Datasets) -> Drawing:
    series = []
    for dataset, request, color in zip(
        datasets, requests.near_spurious("quick"), ("orange", "purple", "blue"), strict=True
    ):
        values = slow_constant(dataset, request.settings)
        late = dataset.time.values > 100
        # no-break spaces: a label may break after the comma only
        label = (
            f"k\u00a0=\u00a0{request.settings.k}, S²/A\u00a0=\u00a0{request.settings.alignment:g}"
        )
        series.append(
            draw.Series(
                dataset.time.values[late], values.mean(axis=0)[late], label, color=color,
                low=values.min(axis=0)[late], high=values.max(axis=0)[late],
            )
        )  # fmt: skip
    figure = draw.lines(
        series, x_label="step t", y_label="δ t |ũ| η_w / 2π", log="x",
        references=[draw.Reference(1.0, "theory")],
    )  # fmt: skip
    return figure, (
        "Distance δ = π − φ of runs near the spurious minimum, times t and the constant of the "
        "theory; "
        "bands are the range over runs. It tends to 1: the approach is as slow as 1/t, for the "
        "minimum is "
        "degenerate."
    )


def _sampling(datasets: Datasets) -> Drawing:
    sizes = _sizes(datasets, *requests.BATCHES.values())
    quartiles = np.array([np.quantile(d.deviation.values, (0.25, 0.5, 0.75)) for d in datasets])
    guide = quartiles[0, 1] * np.sqrt(sizes[0] / np.array(sizes))
    figure = draw.lines(
        [
            draw.Series(
                sizes, quartiles[:, 1], "median of runs", low=quartiles[:, 0], high=quartiles[:, 2],
                color="blue", marker="o",
            ),
            draw.Series(sizes, guide, "1/√batch", color="gray", line="--", width=1.0),
        ],
        x_label="batch", y_label="deviation from the population's run", log="xy", x_ticks=sizes,
    )  # fmt: skip
    return figure, (
        "Mini-batch descent on fresh patches beside the population's trajectory from the same "
        "start; "
        "the band holds the middle half of the runs. The deviation falls like 1/√batch: what "
        "is proved of the population carries over to large batches."
    )


def _data(draw: Callable[[Datasets], Drawing]) -> Callable[[Cells], Drawing]:
    return lambda cells: draw([cell.data for cell in cells])


FIGURES = (
    Figure("success-rate", "Success over the number of patches",
           requests.table, _data(_success_rate)),
    Figure("trajectories", "Single runs over time", requests.single_runs, _data(_trajectories)),
    Figure("plane", "The two basins", requests.plane, _data(_plane)),
    Figure("phase-prior", "How good a prior is needed",
           requests.prior_diagram, _data(_prior_diagram)),
    Figure(
        "phase-alignment", "Which teachers have a spurious minimum", requests.alignment_diagram,
        _alignment_diagram,
    ),
    Figure("warmup", "When warm-up is needed", requests.norms, _data(_norms)),
    Figure("scaling", "Time to the optimum", requests.scaling, _data(_scaling)),
    Figure("slow", "The slow approach to the spurious minimum",
           requests.near_spurious, _data(_slow)),
    Figure("sampling", "Mini-batches", requests.batches, _data(_sampling)),
)  # fmt: skip
