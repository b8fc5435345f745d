"""Do clustered units decide linearly?"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from whytrain import lab
from whytrain._types import Numeric
from whytrain.measures import agreement_regimes, certified_linear, weight_clusters
from whytrain.report import figures as draw
from whytrain.report.numbers import number
from whytrain.studies.sarussi2021.setup import (
    DATA,
    DATA_COLORS,
    SBG,
    LevelSettings,
    NetworkSettings,
    Problem,
    at_scale,
    decide,
    drawn,
    each,
    train,
)  # fmt: skip

FACTORS = (2.0, 1.0)
_PLANE = 3  # the dimension in which random clusters are probed
_UNITS = 2


class Clusters(NamedTuple):
    """Units on spheres of one radius around two centers, and where they are asked."""

    plus: Float[Numeric, "*run d"]
    minus: Float[Numeric, "*run d"]
    radius: Float[Numeric, "*run"]
    w: Float[Numeric, "*run unit d"]
    u: Float[Numeric, "*run unit d"]
    x: Float[Numeric, "*run probe d"]


@dataclass(frozen=True, kw_only=True)
class ClusteringSettings(NetworkSettings, LevelSettings):
    """How many points a boundary is probed at."""

    probes: int = lab.setting(
        40_000, "points at which each boundary is probed", low=10, high=10_000_000
    )

    def clusters(self, key: Array) -> Clusters:
        """Random centers, and units at a distance from them of up to half of theirs."""
        centers, units, radius, probes = jax.random.split(key, 4)
        plus, minus = jax.random.normal(centers, (2, _PLANE))
        away = jax.random.normal(units, (2, _UNITS, _PLANE))
        away = away / jnp.linalg.norm(away, axis=2, keepdims=True)
        r = 0.4 * jax.random.uniform(radius) * jnp.linalg.norm(plus - minus)
        x = jax.random.normal(probes, (self.probes, _PLANE))
        return Clusters(plus, minus, r, plus + r * away[0], minus + r * away[1], x)

    def isotropic(self, key: Array) -> Array:
        """Probes of the trained network."""
        return self.points(jax.random.fold_in(key, 1), self.probes)


def compute(settings: ClusteringSettings, runs: lab.Runs) -> xr.Dataset:
    """Clusters after training, and where the boundaries of these and of random ones are linear."""
    problems, ended = train(
        settings, at_scale(drawn(runs, settings.draw), settings.init_scale), settings.level
    )
    trained, made = each(problems), _each(drawn(runs, settings.clusters, together=4))
    probes = drawn(runs, settings.isotropic, together=4)
    rows = [
        _of_trained(settings, one, x) | _of_made(settings, clusters)
        for one, x, clusters in zip(trained, probes, made, strict=True)
    ]
    found = {name: ("run", np.array([row[name] for row in rows])) for name in rows[0]}
    return xr.Dataset(found | {"reached": ("run", ended.stopped.values > 0)})


def _each(clusters: Clusters) -> list[Clusters]:
    return [Clusters(*leaves) for leaves in zip(*clusters, strict=True)]


def _of_trained(settings: ClusteringSettings, one: Problem, x: np.ndarray) -> dict[str, Any]:
    clusters = weight_clusters(one.w, one.u)
    regimes = agreement_regimes(one.w, one.u, one.x, one.y)
    sure = certified_linear(one.w, one.u, x)
    wrong = decide(settings.network, one, x) != np.sign(x @ clusters.normal)
    return {
        "ratio": clusters.ratio, "clusters": clusters.number, "rank": clusters.rank,
        "neural": regimes.neural, "perfect": regimes.perfect, "region": sure.mean(),
        "certified": sure.sum(), "violations": (sure & wrong).sum(), "wrong": wrong.mean(),
    }  # fmt: skip


def _of_made(settings: ClusteringSettings, one: Clusters) -> dict[str, Any]:
    """Probes of random clusters; and a pair of units made to flip the sign where it can."""
    normal = one.plus - one.minus
    gap, length = np.abs(one.x @ normal), np.linalg.norm(one.x, axis=1)
    wrong = decide(settings.network, one, one.x) != np.sign(one.x @ normal)
    inside = {factor: gap > factor * one.radius * length for factor in FACTORS}
    return {
        "made_certified": inside[2.0].sum(), "made_violations": (inside[2.0] & wrong).sum(),
        "beyond_1": (inside[1.0] & wrong).sum(), "sharp": _flips(settings, one),
    }  # fmt: skip


def _flips(settings: ClusteringSettings, one: Clusters) -> bool:
    """Whether `w = plus - r x`, `u = minus + r x` decide otherwise at a gap of `1.99 r`."""
    normal = one.plus - one.minus
    along = normal / np.linalg.norm(normal)
    across = one.x[0] - one.x[0] @ along * along
    across /= np.linalg.norm(across)
    cosine = 1.99 * one.radius / np.linalg.norm(normal)
    x = cosine * along + np.sqrt(1 - cosine**2) * across
    w, u = (one.plus - one.radius * x)[None], (one.minus + one.radius * x)[None]
    return bool(decide(settings.network, one._replace(w=w, u=u), x[None])[0] < 0)


CLUSTERING = lab.Experiment(
    name="clustering",
    doc="clusters of the units after training, and where they make the boundary linear",
    settings=ClusteringSettings,
    compute=compute,
    runs=8,
    block=16,
)
KINDS = CLUSTERING.grid({"quick": {"runs": 12}, "paper": {"runs": 40}}, data=DATA)


def _count(cells: lab.Cells, *names: str) -> lab.Estimate:
    total = float(sum(cells.pooled(name).sum() for name in names))
    return lab.Estimate(total, total, total, None, cells.runs)


def _draw_units(cells: lab.Cells) -> tuple:
    kinds = cells.by("data")
    series = [
        draw.Series(np.sort(each.pooled("ratio")), np.arange(1, each.runs + 1) / each.runs,
                    label=kind, color=color)
        for (kind, each), color in zip(kinds.items(), DATA_COLORS, strict=False)
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="cluster ratio $r/|w̄|$", y_label="share of runs below", log="x"
    )
    return figure, (
        "The largest distance of a unit from the center of its sign over the center's length, "
        f"after training from $s = {number(cells[0].settings.init_scale)}$: the smaller, the "
        "closer."
    )


CLAIMS = (
    lab.Claim(
        id="C-T2", title="Clusters make the boundary linear", group="landscape",
        source=f"{SBG}, clusters imply a linear boundary; constant derived here",
        statement="If all units of a sign lie within $r$ of their center, the network decides "
        "as $sign((w̄ − ū)·x)$ wherever $|(w̄ − ū)·x| > 2r|x|$; no constant below 2 will do.",
        requests=KINDS,
        parts=(
            lab.Part("violations at probes within the region, of random and of trained clusters",
                     lambda cells: _count(cells, "violations", "made_violations"),
                     lab.at_most(0.0)),
            lab.Part("probes within the region",
                     lambda cells: _count(cells, "certified", "made_certified"),
                     lab.above(1e6)),
            lab.Part("violations with the constant 1 in place of 2",
                     lambda cells: _count(cells, "beyond_1"), lab.above(0.0)),
            lab.in_every_run(lambda cells: cells.pooled("sharp"),
                             "clusters of which some units flip the sign at the constant 1.99",
                             share=0.85),
        ),
        faults=(
            lab.Fault("one probe is decided otherwise", lab.in_one_run("made_violations", 1)),
            lab.Fault("the constant 1 does as well", lab.altered("beyond_1", np.zeros_like)),
            lab.Fault("some clusters bear the constant 1.99", lab.in_one_run("sharp", 0.0)),
        ),
        does_not_show="What the network does outside of the region.",
        note=lambda cells: "share of isotropic probes within the region after training: " +
        ", ".join(f"{kind} {each.pooled('region').mean():.2f}"
                  for kind, each in cells.by("data").items()),
        figures=("cluster-ratio",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((CLUSTERING,), CLAIMS, (
    lab.Figure("cluster-ratio", "How close the units of a sign are", KINDS, _draw_units),
))  # fmt: skip
