"""Where does long training end in direction?"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.errors import UserError
from whytrain.measures import agreement_regimes, clustered_limit, max_margin, weight_clusters
from whytrain.report import figures as draw
from whytrain.studies.sarussi2021.setup import (
    DATA,
    DATA_COLORS,
    SBG,
    NetworkSettings,
    Problem,
    at_scale,
    drawn,
    each,
    train_long,
)  # fmt: skip

LOSSES = (1e-3, 1e-12, 1e-48, 1e-96)
SMALL, LARGE = 1e-4, 1.0


@dataclass(frozen=True, kw_only=True)
class LongSettings(NetworkSettings):
    """Long training, with steps that grow as the loss falls."""

    data: str = lab.setting("balls", "where examples come from", choices=DATA)
    width: int = lab.setting(20, "units k of each sign", low=1, high=100_000)
    steps: int = lab.setting(40_000, "most steps between two losses", low=1)


def compute(settings: LongSettings, runs: lab.Runs) -> xr.Dataset:
    """Beside the convex program's solution, at each of LOSSES: direction, margin, clusters."""
    problems = at_scale(drawn(runs, settings.draw), settings.init_scale)
    rows, reached = [], []
    for loss in LOSSES:
        problems, ended = train_long(settings, problems, loss)
        rows.append([_seen(settings, one) for one in each(problems)])
        reached.append(ended.stopped.values > 0)
    found = {
        name: (("run", "loss"), np.array([[row[name] for row in at] for at in rows]).T)
        for name in rows[0][0]
    }
    return xr.Dataset(found | {"reached": ("run", np.all(reached, axis=0))}, {"loss": list(LOSSES)})


def _seen(settings: LongSettings, one: Problem) -> dict[str, float]:
    """How far a network is from the limit that its present activities promise."""
    clusters = weight_clusters(one.w, one.u)
    regimes = agreement_regimes(one.w, one.u, one.x, one.y)
    limit = clustered_limit(one.x, one.y, regimes.w_active, regimes.u_active, settings.slope)
    W, k = np.concatenate([one.w, one.u]), len(one.w)
    whole = np.concatenate([np.tile(limit.w, (k, 1)), np.tile(limit.u, (k, 1))])
    sums = [np.maximum(z, settings.slope * z).sum(axis=1)
            for z in (one.x @ one.w.T, one.x @ one.u.T)]  # fmt: skip
    least = np.min(one.y * (sums[0] - sums[1])) / np.linalg.norm(W)
    svm = max_margin(one.x, one.y).direction
    return {
        "cosine": _cosine(W.ravel(), whole.ravel()),
        "normal": _cosine(clusters.normal, limit.w - limit.u),
        "margin": least / (np.sqrt(k) * limit.margin),
        "svm": _cosine(clusters.normal, svm),
        "promised_svm": _cosine(limit.w - limit.u, svm),
        "ratio": clusters.ratio,
        "neural": regimes.neural,
        "perfect": regimes.perfect,
    }


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


LONG = lab.Experiment(
    name="kkt",
    doc="the direction of long training beside the solution of the convex program",
    settings=LongSettings,
    compute=compute,
    runs=6,
    block=64,
)
AGREED = LONG.grid(
    {"quick": {"runs": 24}, "paper": {"runs": 40}},
    init_scale=SMALL,
    cases=({"data": "balls"}, {"data": "gaussians", "separation": 5.0}),
)
APART = LONG.grid(
    {"quick": {"runs": 16}, "paper": {"runs": 60}}, init_scale=LARGE, data="gaussians"
)


def _last(cells: lab.Cells, name: str) -> np.ndarray:
    """A number at the last loss."""
    return np.concatenate([cell.data[name].values[:, -1] for cell in cells])


def _agreed(cells: lab.Cells, name: str) -> np.ndarray:
    """A number at every loss, of the runs that are in perfect agreement at each of them."""
    rows = [cell.data[name].values[np.all(cell.data.perfect == 1, axis=1)] for cell in cells]
    return np.concatenate(rows)


def _far(cells: lab.Cells) -> list[lab.Estimate]:
    """1 - cosine at the last loss, data by data."""
    return [lab.estimate_median(1 - _agreed(kind, "cosine")[:, -1])
            for kind in cells.by("data").values()]  # fmt: skip


def _ends_in_agreement(cells: lab.Cells) -> np.ndarray:
    """Whether runs on balls come to the last loss, in perfect agreement all the way."""
    balls = cells.sel(data="balls")
    perfect = np.concatenate([np.all(cell.data.perfect == 1, axis=1) for cell in balls])
    return perfect & (balls.pooled("reached") > 0)


def _apart(cells: lab.Cells) -> np.ndarray:
    """Of the runs without agreement at the last loss, those whose units are apart."""
    apart = (_last(cells, "ratio") > 0.1)[_last(cells, "neural") < 1]
    if not len(apart):
        raise UserError("every run came to agree; ask for more runs, or for a larger init_scale")
    return apart


def _draw_convergence(cells: lab.Cells) -> tuple:
    series = [
        draw.Series(
            -np.log10(np.array(LOSSES)), 1 - each[0].data.cosine.median("run").values, label=kind,
            color=color, marker="o",
        )
        for (kind, each), color in zip(cells.by("data").items(), DATA_COLORS, strict=False)
    ]  # fmt: skip
    figure = draw.lines(
        series,
        x_label="powers of ten by which the loss fell",
        y_label="1 − cosine of the two directions",
        log="xy",
    )
    return figure, (
        "How far the direction of all weights is from that of the convex program as the loss "
        "falls, medians over runs from small weights."
    )


def _note(cells: lab.Cells) -> str:
    return "; ".join(
        f"{kind}: {len(_agreed(each, 'ratio'))} of {each.runs} runs in perfect agreement; cosine "
        f"of the boundary's normal to the linear SVM's {_last(each, 'svm').mean():.4f}, of the "
        f"program's {_last(each, 'promised_svm').mean():.4f}"
        for kind, each in cells.by("data").items()
    )


def _without(cells: lab.Cells) -> lab.Estimate:
    """How often units do not agree at every example at the last loss."""
    return lab.estimate_rate(int(np.sum(_last(cells, "neural") < 1)), cells.runs)


CLAIMS = (
    lab.Claim(
        id="C-T3", title="In agreement, descent ends at a convex program's solution",
        group="dynamics", source=f"{SBG}, on clustering; program and proof derived here",
        statement="Where from small weights all units come to agree with the labels, as they do "
        "on balls, the direction of the weights converges to $min |w|² + |u|²$ under $y_i (s_w "
        "w·x_i − s_u u·x_i) ≥ 1$, with one $w$ and one $u$ for all units: the median cosine is "
        "above 0.999 at loss $10^{-96}$.",
        requests=AGREED,
        parts=(
            lab.in_every_run(_ends_in_agreement, "runs on balls that come to loss $10^{-96}$ in "
                                                 "perfect agreement", share=0.7),
            lab.Part("1 − cosine at loss $10^{-96}$, median of runs in perfect agreement",
                     _far, lab.below(1e-3)),
            lab.Part("largest cluster ratio of these at loss $10^{-96}$",
                     lambda cells: lab.largest(_agreed(cells, "ratio")[:, -1]), lab.at_most(0.01)),
            lab.Part("largest rise of 1 − cosine of these from loss to loss", lambda cells:
                     lab.largest(-np.diff(_agreed(cells, "cosine"), axis=1)), lab.at_most(0.0)),
        ),
        faults=(
            lab.Fault("the direction is off by 3 degrees",
                      lab.altered("cosine", lambda c: c - (1 - np.cos(np.radians(3))))),
            lab.Fault("one run does not come to $10⁻⁹⁶$", lab.in_one_run("reached", 0.0)),
            lab.Fault("units stay 2 % apart", lab.added("ratio", 0.02)),
            lab.Fault("the direction moves away once", lab.altered(
                "cosine", lambda c: c - 0.1 * (np.arange(c.shape[1]) == 2))),
        ),
        does_not_show="Data on which units are at their kinks; the limit itself, to which the "
        "distance falls only like one over the logarithm of the loss.",
        note=_note,
        figures=("convergence",),
    ),
    lab.Claim(
        id="C-T5", title="Without agreement, no clusters", group="dynamics",
        source="observed here",
        statement="From large weights ($s = 1$) units need not come to agree at every example; "
        "in most runs in which they do not, they do not cluster even at loss $10^{-96}$: the "
        "cluster ratio stays above 0.1.",
        requests=APART,
        parts=(
            lab.in_most_runs(
                _apart, "share of runs without agreement whose cluster ratio is above 0.1"
            ),
            lab.Part("share of runs without agreement at loss $10^{-96}$", _without,
                     lab.above(0.05)),
        ),
        faults=(
            lab.Fault("clusters as close as from small weights",
                      lab.altered("ratio", lambda ratio: ratio / 100)),
        ),
        does_not_show="That agreement is needed on all data: on two balls units come to agree "
        "late, and cluster then.",
        growth=2,
        note=lambda cells: "runs in agreement at loss $10^{-96}$: "
        f"{(_last(cells, 'neural') == 1).sum()} of {cells.runs}",
    ),
)  # fmt: skip

TOPIC = lab.Topic((LONG,), CLAIMS, (
    lab.Figure("convergence", "The direction comes to the program's", AGREED, _draw_convergence),
))  # fmt: skip
