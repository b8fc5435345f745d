"""Does Adam end at another solution than gradient descent, from the same start?"""

from collections.abc import Callable

import numpy as np

from whytrain import lab
from whytrain.report import figures as draw
from whytrain.studies.zou2021.setup import TRAINING, ZCLG, last, planted

RUNS = {"quick": {"runs": 8}, "paper": {"runs": 32}}
# Gradient descent starts from neurons that may be near 0, and then takes long to leave.
BOTH = TRAINING.grid(RUNS, optimizer="adam", steps=10_000) + TRAINING.grid(
    RUNS, optimizer="gd", steps=20_000
)


FITS = "share of runs with training error 0 and so small a slope"


def _stationary(cell: lab.Cell) -> np.ndarray:
    """Which runs end where the training error is 0 and the slope as small as the theorem says."""
    settings, end = cell.settings, cell.data.isel(time=-1)
    bound = 1 / (settings.steps * settings.learning_rate)
    slope = end.gradient_norm**2 if settings.optimizer == "gd" else end.slope_sum
    return ((slope <= bound) & (end.train_error == 0)).values


def _fits(optimizer: str) -> Callable[[lab.Cells], np.ndarray]:
    return lambda cells: np.concatenate([_stationary(c) for c in cells.sel(optimizer=optimizer)])


def _blank(optimizer: str, error: float) -> Callable[[lab.Cells], np.ndarray]:
    return lambda cells: np.abs(last(cells.sel(optimizer=optimizer), "blank_error") - error) < 0.01


def _bad(cells: lab.Cells) -> np.ndarray:
    return last(cells.sel(optimizer="adam"), "test_error") > 0.8


def _good(cells: lab.Cells) -> np.ndarray:
    return last(cells.sel(optimizer="gd"), "test_error") <= 0.01


def panels(cells: lab.Cells, names: dict[str, str]) -> "list[draw.Panel]":
    """A panel a number, with a line an optimizer: the mean over runs, between least and most."""
    found = []
    for name, words in names.items():
        series = []
        for optimizer, some in cells.by("optimizer").items():
            y = some[0].data[name].values[:, 1:]
            series.append(draw.Series(
                some[0].data.time.values[1:], y.mean(0), {"gd": "descent"}.get(optimizer, "Adam"),
                y.min(0), y.max(0), color={"gd": "gd"}.get(optimizer, "adam"),
            ))  # fmt: skip
        found.append(draw.Panel(series, words))
    return found


def _draw(cells: lab.Cells) -> tuple:
    figure = draw.lines(
        panels(cells, {
            "feature_least": "$Λ$, feature learned (worse class)",
            "memory_least": "least $Γ$, noise memorized",
            "test_error": "test error",
        }), x_label="steps", log="x",
    )  # fmt: skip
    ends = {
        each: last(some, "feature_least").mean() for each, some in cells.by("optimizer").items()
    }
    return figure, (
        "Both optimizers from the same starts; means over runs, bands from least to most. Descent "
        f"learns the feature ($Λ = {ends['gd']:.2f}$) and no noise; Adam first memorizes the "
        f"noise, "
        f"and then turns against the feature ($Λ = {ends['adam']:.2f}$)."
    )


CLAIMS = (
    lab.Claim(
        id="B-T1", title="Adam fits and does not generalize", group="dynamics",
        source=f"{ZCLG}, theorem on Adam, nonconvex",
        statement="With small weight decay Adam comes to a point with training error 0, $|∇|_1 "
        "≤ 1/(Tη)$ and test error of at least 1/2 (here: in most runs, and above 0.8).",
        requests=BOTH.at(optimizer="adam"),
        parts=(
            lab.in_most_runs(_fits("adam"), FITS),
            lab.in_most_runs(_bad, "share of runs with a test error above 0.8"),
        ),
        faults=(planted("test_error", 0.78, optimizer="adam"),
                planted("train_error", 0.02, optimizer="adam")),
        does_not_show=r"The rates of the theorem, whose regime $n² s ∼ \sqrt{d}$ is out of "
        "reach.",
        growth=2,
        figures=("separation",),
    ),
    lab.Claim(
        id="B-T2", title="Gradient descent fits and generalizes", group="dynamics",
        source=f"{ZCLG}, theorem on gradient descent, nonconvex",
        statement="From the same starts gradient descent comes to a point with training error "
        "0, $|∇|² ≤ 1/(Tη)$ and test error at most 0.01 (here: in most runs).",
        requests=BOTH.at(optimizer="gd"),
        parts=(
            lab.in_most_runs(_fits("gd"), FITS),
            lab.in_most_runs(_good, "share of runs with a test error of at most 0.01"),
        ),
        faults=(planted("test_error", 0.02, optimizer="gd"),
                planted("train_error", 0.02, optimizer="gd")),
        does_not_show="That a start at which all neurons of a class are far below 0 is escaped.",
        growth=2,
        figures=("separation",),
    ),
    lab.Claim(
        id="B-L6", title="Adam learns the feature with the wrong sign", group="dynamics",
        source="derived in docs/zou2021.md",
        statement="Without noise (second patch 0) every example is misclassified after Adam, none "
        "after gradient descent, in most runs.",
        requests=BOTH,
        parts=(
            lab.in_most_runs(_blank("adam", 1.0), "share of Adam's runs with error 1"),
            lab.in_most_runs(_blank("gd", 0.0), "share of descent's runs with error 0"),
        ),
        faults=(planted("blank_error", 0.5, optimizer="adam"),
                planted("blank_error", 0.5, optimizer="gd")),
        does_not_show="What happens where the feature noise is small: see B-C1.",
        growth=2,
        figures=("separation",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((TRAINING,), CLAIMS, (
    lab.Figure("separation", "Feature and noise over time", BOTH, _draw),
))  # fmt: skip
