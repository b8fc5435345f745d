"""What does the scale of the initial weights decide?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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

    largest: float = lab.setting(10.0, "largest standard deviation", low=0, exclusive=True)
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


IN_PLANE = SCALE.grid(runs=2, data="balls", dimension=2, scales=2)


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


def _changed(
    name: str, place: int, function: Callable[[np.ndarray], np.ndarray]
) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: a number is another at one scale."""

    def one(cell: lab.Cell) -> lab.Cell:
        values = cell.data[name].values.copy()
        values[:, place] = function(values[:, place])
        return cell.assign(**{name: values})

    return lambda cells: cells.change(one)


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
    return draw.lines(series, x_label="deviation of the initial weights", y_label=label, log=log)


def _draw_linear(cells: lab.Cells) -> tuple:
    return _lines(cells, "linear", "agreement with the best linear rule", log="x"), (
        "Share of isotropic probes at which the trained network decides as the best linear rule "
        "that was found: means with 95 % intervals."
    )


def _draw_ratio(cells: lab.Cells) -> tuple:
    return _lines(cells, "ratio", "cluster ratio", log="xy"), (
        "Largest distance of a unit from its center over the center's length, after training: "
        "geometric means with 95 % intervals."
    )


def _draw_units(cells: lab.Cells) -> tuple:
    cell = cells[0]
    looks = [(0, 0, "o", "teal"), (0, 1, "s", "teal"), (-1, 0, "o", "brown"), (-1, 1, "s", "brown")]
    series = []
    for place, sign, marker, color in looks:
        x, y = cell.data.units.values[0, place, sign].T
        order = np.argsort(x)
        series.append(draw.Series(x[order], y[order], color=color, line="", marker=marker))
    figure = draw.lines(series, x_label="along the difference of the centers",
                        y_label="where the rest spreads most")  # fmt: skip
    small, large = cell.data.scale.values[[0, -1]]
    return figure, (
        f"The units of one network on {cell.settings.data} after training, circles with positive "
        f"and squares with negative output weight, in units of their root mean square length: from "
        f"{small:g} (green: two clusters) and from {large:g} (brown)."
    )


def _draw_boundary(cells: lab.Cells, place: int) -> tuple:
    """Where the network's output is 0, beside the line at which the linear SVM decides."""
    cell = cells[0]
    w, u = cell.data.units.values[0, place]
    slope, k = cell.settings.slope, cell.settings.width
    # The output grows in proportion along every ray from 0, so that it is 0 on rays.
    angles = np.linspace(0, 2 * np.pi, 7201)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    plus, minus = (np.maximum(z, slope * z).sum(axis=1) for z in (points @ w.T, points @ u.T))
    turns = np.flatnonzero(np.diff(np.sign(plus - minus)))
    across, along = cell.data.svm.values[0, place]
    series = [_ray(point, color="teal") for point in points[turns]]
    series += [_ray(sign * np.array([-along, across]), line="--", width=1.2) for sign in (-1, 1)]
    series[0], series[-1] = replace(series[0], label="network"), replace(series[-1], label="SVM")
    figure = draw.lines(series, x_label="along the difference of the centers", y_label="across",
                        x_limits=(-1, 1), y_limits=(-1, 1))  # fmt: skip
    return figure, (
        f"Where a network of {2 * k} units on two balls in two dimensions decides, trained from "
        f"{cell.data.scale.values[place]:g}: {len(turns)} rays from 0. The linear SVM decides on "
        "the dashed line."
    )


def _ray(point: np.ndarray, *, color: str = "ink", line: str = "-", width: float = 1.8) -> Any:
    """From 0 to the edge of the square, in order of x."""
    ends = np.stack([np.zeros(2), point / np.abs(point).max()])
    x, y = ends[np.argsort(ends[:, 0])].T
    return draw.Series(x, y, color=color, line=line, width=width)


CLAIMS = (
    lab.Claim(
        id="C-T6", title="Small weights end linear, large ones do not", group="experiments",
        source=f"{SBG}, experiments: the observation; sizes and thresholds are ours",
        statement="From small initial weights ($s = 10⁻⁴$) the units form two clusters and the "
        "boundary is linear, up to 0.5 % of isotropic probes; from large ones ($s = 10$) they do "
        "not, and no linear rule that was found agrees on more than 95 %.",
        requests=SWEEP,
        parts=(
            lab.in_every_run(lambda cells: cells.pooled("reached"),
                             "runs that come to the loss", share=0.9),
            lab.Part("agreement with a linear rule, small", _means("linear", 0, 2 / PROBES),
                     lab.above(0.995)),
            lab.Part("agreement with a linear rule, large", _means("linear", -1, 2 / PROBES),
                     lab.below(0.95)),
            lab.Part("cluster ratio, small", _means("ratio", 0), lab.below(0.5)),
            lab.Part("cluster ratio, large", _means("ratio", -1), lab.above(3.0)),
        ),
        faults=(
            lab.Fault("small weights end 1 % less linear",
                      _changed("linear", 0, lambda share: share - 0.01)),
            lab.Fault("large weights end 99 % linear",
                      _changed("linear", -1, lambda share: 0.99 + 0.01 * share)),
            lab.Fault("large weights cluster", _changed("ratio", -1, lambda ratio: ratio / 100)),
            lab.Fault("small weights do not cluster",
                      _changed("ratio", 0, lambda ratio: 3 + ratio)),
            lab.Fault("one run does not come to the loss", lab.in_one_run("reached", 0.0)),
        ),
        does_not_show="That a better linear rule than the one found does not exist.",
        note=lambda cells: "accuracy on fresh examples, small and large: " + ", ".join(
            f"{kind} {small.mean():.3f} and {large.mean():.3f}" for kind, small, large in zip(
                cells.by("data"), _at("accuracy", 0)(cells), _at("accuracy", -1)(cells),
                strict=True)),
        figures=("units", "boundary-small", "boundary-large", "linear-by-scale", "ratio-by-scale"),
    ),
)  # fmt: skip

TOPIC = lab.Topic((SCALE,), CLAIMS, (
    lab.Figure("units", "Units from small and from large weights", SWEEP, _draw_units),
    lab.Figure("boundary-small", "The boundary from small weights", IN_PLANE,
               partial(_draw_boundary, place=0)),
    lab.Figure("boundary-large", "The boundary from large weights", IN_PLANE,
               partial(_draw_boundary, place=-1)),
    lab.Figure("linear-by-scale", "Linear agreement by initial scale", SWEEP, _draw_linear),
    lab.Figure("ratio-by-scale", "Cluster ratio by initial scale", SWEEP, _draw_ratio),
))  # fmt: skip
