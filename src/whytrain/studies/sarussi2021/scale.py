"""What does the scale of the initial weights decide?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.measures import (
    agreement_regimes,
    certified_linear,
    linear_agreement,
    max_margin,
    weight_clusters,
)
from whytrain.report import figures as draw
from whytrain.report.numbers import number
from whytrain.studies.sarussi2021.setup import (
    DATA,
    DATA_COLORS,
    SBG,
    LevelSettings,
    NetworkSettings,
    Problem,
    TrainSettings,
    decide,
    drawn,
    each,
    starts,
    train,
)  # fmt: skip

PROBES = 8000


@dataclass(frozen=True, kw_only=True)
class ScaleSettings(NetworkSettings, LevelSettings):
    """Initial weights at several scales; `init_scale` is the smallest."""

    largest: float = lab.setting(
        10.0, "largest standard deviation", low=0, high=1e50, exclusive=True
    )
    scales: int = lab.setting(4, "scales, spaced evenly in their logarithm", low=2)

    @property
    def grid(self) -> np.ndarray:
        """The scales."""
        return np.geomspace(self.init_scale, self.largest, self.scales)

    def isotropic(self, key: Array) -> Array:
        """Probes of the boundary."""
        return self.points(key, PROBES)

    def test(self, key: Array) -> tuple[Array, Array]:
        """Fresh examples."""
        return self.sample(key, 2000)


def compute(settings: ScaleSettings, runs: lab.Runs) -> xr.Dataset:
    """Train from every scale, all in one batch; then clusters, and how linear decisions are."""
    problems = drawn(runs, settings.draw)
    trained, ended = train(settings, starts(problems, settings.grid), settings.level)
    probes = np.repeat(drawn(runs, settings.isotropic), settings.scales, axis=0)
    x, y = (np.repeat(part, settings.scales, axis=0) for part in drawn(runs, settings.test))
    rows = [seen(settings, *one) for one in zip(each(trained), probes, x, y, strict=True)]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    found |= {"reached": ended.stopped.values > 0, "steps": ended.steps.values}
    shape = len(runs), settings.scales
    places = [_placed(one) for one in each(trained)]
    units = np.reshape([place[0] for place in places], (*shape, 2, settings.width, 2))
    svm = np.reshape([place[1] for place in places], (*shape, 2))
    return xr.Dataset(
        {name: (("run", "scale"), np.reshape(v, shape)) for name, v in found.items()}
        | {
            "units": (("run", "scale", "sign", "unit", "axis"), units),
            "svm": (("run", "scale", "axis"), svm),
        },
        {"scale": settings.grid},
    )


def _placed(one: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Units in a plane: along the difference of the centers, and where the rest spreads most.

    They are divided by their root mean square length; first those that count positively. With
    them, the linear SVM's normal in that plane. In two dimensions nothing is left out.
    """
    W = np.stack([one.w, one.u])
    normal = one.w.mean(axis=0) - one.u.mean(axis=0)
    normal /= np.linalg.norm(normal)
    rest = W - (W @ normal)[..., None] * normal
    across = np.linalg.svd(rest.reshape(-1, rest.shape[-1]), full_matrices=False)[2][0]
    axes = np.stack([normal, across], axis=1)
    size = np.sqrt(np.mean(np.sum(W**2, axis=-1)))
    return W @ axes / size, max_margin(one.x, one.y).direction @ axes


def seen(
    settings: TrainSettings, one: Problem, probes: np.ndarray, x: np.ndarray, y: np.ndarray
) -> dict[str, float]:
    """Clusters, regimes and the decisions of one trained network."""
    clusters = weight_clusters(one.w, one.u)
    regimes = agreement_regimes(one.w, one.u, one.x, one.y)
    say = partial(decide, settings.network, one)
    return {
        "linear": linear_agreement(probes, say(probes), clusters.normal[None]).share,
        "ratio": clusters.ratio,
        "clusters": float(clusters.number),
        "rank": clusters.rank,
        "region": certified_linear(one.w, one.u, probes).mean(),
        "neural": regimes.neural,
        "accuracy": float(np.mean(say(x) == y)),
    }


SCALE = lab.Experiment(
    name="init-scale",
    doc="clusters and linearity of the boundary after training from weights of several scales",
    settings=ScaleSettings,
    compute=compute,
    runs=6,
    block=64,
)
SWEEP = SCALE.grid({"quick": {"runs": 6}, "paper": {"runs": 20, "scales": 8}}, data=DATA)


ALONG = "along the difference of both centers"  # an axis of pictures
IN_PLANE = SCALE.grid(runs=2, data="balls", dimension=2, scales=2)


def _reached(cells: lab.Cells) -> np.ndarray:
    return np.concatenate([cell.data.reached.values.all(axis=1) for cell in cells])


def _at(name: str, place: int) -> Callable[[lab.Cells], list[np.ndarray]]:
    """One number at one scale, data by data."""
    return lambda cells: [
        np.concatenate([cell.data[name].values[:, place] for cell in kind])
        for kind in cells.by("data").values()
    ]


def _means(
    name: str, place: int, resolution: float = 0.0
) -> Callable[[lab.Cells], list[lab.Estimate]]:
    return lambda cells: [
        lab.estimate_mean(values, resolution=resolution) for values in _at(name, place)(cells)
    ]


def changed_at(
    name: str, place: int, function: Callable[[np.ndarray], np.ndarray]
) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: a number is another at one scale."""

    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[:, place] = function(values[:, place])
        return values

    return lab.altered(name, change)


def _lines(cells: lab.Cells, name: str, label: str, log: str) -> Any:
    """Means over runs with their intervals; of logarithms where the axis upwards has them."""
    forth, back = (np.log, np.exp) if "y" in log else (np.asarray, np.asarray)
    series = []
    for (kind, group), color in zip(cells.by("data").items(), DATA_COLORS, strict=False):
        columns = forth(group[0].data[name].values.T)
        found = [lab.estimate_mean(v, resolution=1e-4) for v in columns]
        values, low, high = back(np.array([[e.value, *e.interval] for e in found]).T)
        series.append(draw.Series(group[0].data.scale.values, values, label=kind, color=color,
                                  low=low, high=high, marker="o"))  # fmt: skip
    return draw.lines(
        series, x_label="deviation $s$ of the initial weights", y_label=label, log=log
    )


def _draw_linear(cells: lab.Cells) -> tuple:
    return _lines(cells, "linear", "agreement with the best linear rule", log="x"), (
        "At how many random points the trained network decides as the best linear rule that was "
        "found: means with 95 % intervals."
    )


def _draw_ratio(cells: lab.Cells) -> tuple:
    return _lines(cells, "ratio", "cluster ratio", log="xy"), (
        "Largest distance of a unit from its center over the center's length, after training: "
        "geometric means with 95 % intervals."
    )


def _draw_units(cells: lab.Cells) -> tuple:
    cell = cells[0]
    small, large = (f"$s = {number(cell.data.scale.values[place])}$" for place in (0, -1))
    looks = [
        (0, 0, "o", "teal", small), (0, 1, "s", "teal", ""),
        (-1, 0, "o", "brown", large), (-1, 1, "s", "brown", ""),
    ]  # fmt: skip
    series = []
    for place, sign, marker, color, label in looks:
        x, y = cell.data.units.values[0, place, sign].T
        order = np.argsort(x)
        series.append(draw.Series(x[order], y[order], label, color=color, line="", marker=marker))
    figure = draw.lines(series, x_label=ALONG, y_label="across, where the rest spreads most")
    return figure, (
        f"The units of one network on {cell.settings.data} after training, circles with positive "
        "and squares with negative output weight, over their root mean square length. From small "
        f"weights ({small}) they are two clusters, from large ones ({large}) a cloud."
    )


def _draw_boundary(cells: lab.Cells) -> tuple:
    from matplotlib.figure import Figure

    cell = cells[0]
    with draw.context():
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        rays = [
            _draw_decisions(axes, cell, place) for axes, place in zip(panels, (0, -1), strict=True)
        ]
        panels[0].set_ylabel("across")
        figure.supxlabel(ALONG, fontsize=10.5, color=draw.color("gray"))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2,
                      frameon=False)  # fmt: skip
    return figure, (
        f"Where networks of {2 * cell.settings.width} units on two balls in the plane say 1 (blue) "
        f"and −1 (orange). The boundary is made of rays from 0: {rays[0]} from small weights, "
        f"{rays[1]} from large ones. Two that make one line decide as a linear rule does."
    )


def _draw_decisions(axes: Any, cell: lab.Cell, place: int) -> int:
    """Both sides of the network's boundary, beside the SVM's line; how many rays it has."""
    w, u = cell.data.units.values[0, place]
    output = partial(_output, w=w, u=u, slope=cell.settings.slope)
    side = np.linspace(-1, 1, 81)
    grid = output(np.stack(np.meshgrid(side, side), axis=-1))
    axes.contourf(side, side, grid, [-np.inf, 0, np.inf], alpha=0.25,
                  colors=[draw.color("orange"), draw.color("blue")])  # fmt: skip
    # The output grows in proportion along every ray from 0, so that it is 0 on rays.
    angles = np.linspace(0, 2 * np.pi, 7201)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    turns = points[np.flatnonzero(np.diff(np.sign(output(points))))]
    for nth, point in enumerate(turns):
        axes.plot(*_to_edge(0 * point, point), color=draw.color("teal"),
                  label="_" if nth else "boundary of the network")  # fmt: skip
    across, along = cell.data.svm.values[0, place]
    line = np.array([-along, across])
    axes.plot(*_to_edge(-line, line), color=draw.color("ink"), linestyle="--", linewidth=1.2,
              label="linear SVM")  # fmt: skip
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=(-1, 0, 1), yticks=(-1, 0, 1), aspect="equal")
    axes.set_title(f"trained from $s = {number(cell.data.scale.values[place])}$")
    return len(turns)


def _output(points: np.ndarray, w: np.ndarray, u: np.ndarray, slope: float) -> np.ndarray:
    plus, minus = (np.maximum(z, slope * z).sum(axis=-1) for z in (points @ w.T, points @ u.T))
    return plus - minus


def _to_edge(*points: np.ndarray) -> np.ndarray:
    """Points moved along their rays from 0 to the edge of the square; 0 stays."""
    return np.transpose([point / max(np.abs(point).max(), 1e-300) for point in points])


CLAIMS = (
    lab.Claim(
        id="C-T6", title="Small weights end linear, large ones do not", group="experiments",
        source=f"{SBG}, experiments: the observation; sizes and thresholds are ours",
        statement="From small initial weights ($s = 10⁻⁴$) the units form two clusters and the "
        "boundary is linear, up to 0.5 % of isotropic probes; from large ones ($s = 10$) they do "
        "not, and no linear rule that was found agrees on more than 95 %.",
        requests=SWEEP,
        parts=(
            lab.in_every_run(_reached, "runs that come to the loss from every scale", share=0.75),
            lab.Part("agreement with a linear rule, small", _means("linear", 0, 2 / PROBES),
                     lab.above(0.995)),
            lab.Part("agreement with a linear rule, large", _means("linear", -1, 2 / PROBES),
                     lab.below(0.95)),
            lab.Part("cluster ratio, small", _means("ratio", 0), lab.below(0.5)),
            lab.Part("cluster ratio, large", _means("ratio", -1), lab.above(3.0)),
        ),
        faults=(
            lab.Fault("small weights end 1 % less linear",
                      changed_at("linear", 0, lambda share: share - 0.01)),
            lab.Fault("large weights end 99 % linear",
                      changed_at("linear", -1, lambda share: 0.99 + 0.01 * share)),
            lab.Fault("large weights cluster", changed_at("ratio", -1, lambda ratio: ratio / 100)),
            lab.Fault("small weights do not cluster",
                      changed_at("ratio", 0, lambda ratio: 3 + ratio)),
            lab.Fault("one run does not come to the loss", lab.in_one_run("reached", 0.0)),
        ),
        does_not_show="That a better linear rule than the one found does not exist.",
        note=lambda cells: "accuracy on fresh examples, small and large: " + ", ".join(
            f"{kind} {small.mean():.3f} and {large.mean():.3f}" for kind, small, large in zip(
                cells.by("data"), _at("accuracy", 0)(cells), _at("accuracy", -1)(cells),
                strict=True)),
        figures=("units", "boundary", "linear-by-scale", "ratio-by-scale"),
    ),
)  # fmt: skip

TOPIC = lab.Topic((SCALE,), CLAIMS, (
    lab.Figure("units", "Units from small and from large weights", SWEEP, _draw_units),
    lab.Figure("boundary", "The boundary from small and from large weights", IN_PLANE,
               _draw_boundary),
    lab.Figure("linear-by-scale", "Linear agreement by initial scale", SWEEP, _draw_linear),
    lab.Figure("ratio-by-scale", "Cluster ratio by initial scale", SWEEP, _draw_ratio),
))  # fmt: skip
