"""How fast do features and memory grow at first, and when does Adam turn against the feature?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from whytrain import lab
from whytrain.report import figures as draw
from whytrain.studies.zou2021 import setup
from whytrain.studies.zou2021.separation import BOTH
from whytrain.studies.zou2021.setup import SIGNS, ZCLG, MethodSettings, Patches, Sample, last

EARLY = 0.2  # a feature below has s(Lambda) < 0.01, and the loss is still log 2
CLOSE = 15  # steps that the feature may fall short of its largest value where it should turn


class Neurons(Patches):
    """The same landscape, looked at neuron by neuron."""

    width: int = eqx.field(static=True, default=0)
    alpha: float = eqx.field(static=True, default=0.0)

    def observables(self) -> dict[str, Callable]:
        """Memory, and of each neuron feature and pull of the noise, by `neuron_names`."""
        known = {"memory_mean": lambda w: setup._memory(self, w).mean()}
        for j in range(2):
            for r in range(self.width):
                known[f"feature_{j}_{r}"] = lambda w, j=j, r=r: w[j, r, 0] * SIGNS[j]
                known[f"pull_{j}_{r}"] = lambda w, j=j, r=r: self._pull(w[j, r])
        return known

    def _pull(self, w: Float[Array, " d"]) -> Float[Array, ""]:
        """`2 alpha mean_i max(<w, noise_i>, 0)^(q-1)`, over the examples of both classes.

        At equal logits `<w, j e_0>` moves by `|<w, j e_0>|^(q-1)` less this, times a number: each
        example pulls neurons of its class along its patches, and those of the other away.
        """
        return 2 * self.alpha * (jax.nn.relu(self.train.noise @ w) ** (self.power - 1)).mean()


def neuron_names(width: int, what: str) -> list[str]:
    """The names of a number of all neurons."""
    return [f"{what}_{j}_{r}" for j in range(2) for r in range(width)]


@dataclass(frozen=True, kw_only=True)
class StageSettings(MethodSettings):
    """The first steps, where supports of noise patches are nearly disjoint."""

    optimizer: str = lab.setting("sign", "how it moves", choices=("sign", "adam"))
    samples: int = lab.setting(10, "training examples n, half of each class", low=2, high=100_000)
    dimension: int = lab.setting(2000, "length d of a patch", low=3, high=100_000)
    sparsity: int = lab.setting(40, "coordinates s of a noise patch", low=1, high=100_000)
    width: int = lab.setting(4, "neurons m of each class", low=1, high=100_000)
    steps: int = lab.setting(500, "number of steps", low=100)
    test_samples: int = lab.setting(2, "no test error is looked at", low=2, high=100_000)


def compute(settings: StageSettings, runs: lab.Runs) -> xr.Dataset:
    """When neurons turn, predicted and observed, and how fast memory grows."""
    names = ["memory_mean"] + [
        name for what in ("feature", "pull") for name in neuron_names(settings.width, what)
    ]

    def landscape(train: Sample, test: Sample, decay: Any, power: int) -> Neurons:
        return Neurons(train, test, decay, power, settings.width, settings.feature_noise)

    # Each step: near the balance of both a neuron goes to and fro.
    times = np.arange(settings.steps + 1)
    found = setup.problems(settings, runs)
    path = setup.descend(settings, runs, found, landscape, names, times)
    feature, pull = (
        np.stack([path[name].values for name in neuron_names(settings.width, what)], axis=1)
        for what in ("feature", "pull")
    )
    ways = np.sign(np.abs(feature) ** (settings.power - 1) - pull)
    predicted = np.concatenate([0 * ways[..., :1], ways.cumsum(-1)[..., :-1]], axis=-1).argmax(-1)
    there = np.take_along_axis(feature, predicted[..., None], -1)[..., 0]
    memory, late = path.memory_mean.values, len(times) * 2 // 5
    early = late // 5
    # Without noise nothing is remembered, and no growth is predicted: NaN.
    step = settings.learning_rate * settings.sparsity * settings.noise_size or np.nan
    return xr.Dataset({
        "predicted": (("run", "neuron"), times[predicted]),
        "observed": (("run", "neuron"), times[feature.argmax(-1)]),
        "short": (("run", "neuron"), (feature.max(-1) - there) / settings.learning_rate),
        "growth": ("run", (memory[:, late] - memory[:, early]) / (times[late] - times[early])
                   / (step * math.sqrt(2 / math.pi))),
    })  # fmt: skip


STAGES = lab.Experiment(
    name="stages",
    doc="the first steps of sign descent and Adam, neuron by neuron",
    settings=StageSettings,
    compute=compute,
    version=2,
    runs=8,
    block=16,
)
RUNS = {"quick": {"runs": 12}, "paper": {"runs": 32}}
FIRST = STAGES.grid(RUNS, optimizer=("sign", "adam"))
SIGN, DESCENT, ADAM = FIRST.at(optimizer="sign"), BOTH.at(optimizer="gd"), BOTH.at(optimizer="adam")


def _slopes(cell: lab.Cell) -> np.ndarray:
    """The measured fall of `Lambda^(2 - q)` in stage I over the predicted one, run by run."""
    settings, time = cell.settings, cell.data.time.values
    feature, power = cell.data.feature_least.values, settings.power - 2
    at = np.where((feature > 0) & (feature < EARLY), np.arange(len(time)), 0).max(axis=1)
    end = np.take_along_axis(feature, at[:, None], 1)[:, 0]
    predicted = settings.learning_rate * settings.power / 4 * power * time[at]
    return (feature[:, 0] ** -float(power) - end ** -float(power)) / predicted


def _law(cells: lab.Cells) -> lab.Estimate:
    return lab.estimate_mean(np.concatenate([_slopes(cell) for cell in cells]))


def _close(cells: lab.Cells) -> lab.Estimate:
    """The mean over runs of the share of neurons, which is known to one neuron."""
    short = np.concatenate([cell.data.short.values for cell in cells])
    return lab.estimate_mean((short <= CLOSE).mean(axis=1), resolution=1 / short.shape[1])


def _growth(optimizer: str) -> Callable[[lab.Cells], lab.Estimate]:
    return lambda cells: lab.estimate_mean(cells.sel(optimizer=optimizer).pooled("growth"))


def _flips(cells: lab.Cells) -> np.ndarray:
    """Runs in which the feature rises first, and is against its class at the end."""
    feature = np.concatenate([cell.data.feature_most.values for cell in cells])
    return (feature.max(axis=1) > feature[:, 0]) & (feature[:, -1] < 0)


def _memorized(cells: lab.Cells) -> np.ndarray:
    return last(cells, "memory_least") > 0.5


def _flat(cells: lab.Cells) -> np.ndarray:
    most = np.concatenate([cell.data.memory_most.values for cell in cells])
    return (most.max(axis=1) < 0.1) & (last(cells, "feature_least") > 1)


def _faster(cell: lab.Cell) -> lab.Cell:
    rate = cell.settings.learning_rate
    return lab.Cell(cell.settings.but(learning_rate=1.2 * rate), cell.data)


def _draw(cells: lab.Cells) -> tuple:
    cell = cells.sel(optimizer="sign")[0]
    x, y = (np.ravel(cell.data[name].values) for name in ("predicted", "observed"))
    order = np.argsort(x, kind="stable")
    ends = [0, cell.settings.steps]
    figure = draw.lines(
        [draw.Series(ends, ends, "as predicted", color="gray", line="--", width=1),
         draw.Series(x[order], y[order], color="teal", line="", marker="o")],
        x_label="predicted turning step", y_label="observed turning step of each neuron",
    )  # fmt: skip
    return figure, (
        "Sign descent: the step at which each neuron turns against its feature, beside the step "
        "at which the pull of the feature noise begins to outweigh it. A neuron far from the line "
        "has two maxima that nearly tie."
    )


CLAIMS = (
    lab.Claim(
        id="B-L1", title="Adam moves like sign descent at first", group="dynamics",
        source=f"{ZCLG}, lemma on Adam's first stage",
        statement="While supports are disjoint, $Γ$ grows under sign descent by $η s σ_p "
        r"\sqrt{2/π}$ a step (within 15 %), and under Adam by 1 to $(1−b_1)/\sqrt{1−b_2} = 3.2$ "
        "times as much.",
        requests=FIRST,
        parts=(
            lab.Part("growth of mean $Γ$ over the formula, sign descent", _growth("sign"),
                     lab.equals(1.0, 0.15)),
            lab.Part("the same, Adam", _growth("adam"), lab.above(1.0)),
            lab.Part("and again, Adam", _growth("adam"), lab.below(0.1 / math.sqrt(0.001))),
        ),
        faults=(
            lab.Fault("$Γ$ grows by a fifth less", lab.scaled("growth", 0.8)),
            lab.Fault("$Γ$ grows by a half less", lab.scaled("growth", 0.5)),
            lab.Fault("$Γ$ grows 3 times as fast", lab.scaled("growth", 3.0)),
        ),
        does_not_show="Overlapping supports, where sign descent ends elsewhere than Adam.",
        figures=("turns",),
    ),
    lab.Claim(
        id="B-L2", title="$1/Λ$ falls linearly under gradient descent", group="dynamics",
        source=f"{ZCLG}, stage I; the constant is derived in docs/zou2021.md",
        statement="While the loss is $log 2$, $Λ^{2−q}$ falls by $(q−2)ηq/4$ a step.",
        requests=DESCENT,
        parts=(lab.Part("measured fall over the predicted one", _law, lab.equals(1.0, 0.1)),),
        faults=(lab.Fault("the step size is a fifth larger", lab.changed(_faster)),),
        does_not_show="Unbalanced classes, and much feature noise.",
        figures=("separation",),
    ),
    lab.Claim(
        id="B-L3", title="Gradient descent memorizes nothing", group="dynamics",
        source=f"{ZCLG}, stages I and II of gradient descent",
        statement="Under gradient descent $Λ$ comes to more than 1, while no $Γ$ ever exceeds "
        "0.1, in most runs.",
        requests=DESCENT,
        parts=(lab.in_most_runs(_flat, "share of runs in which it is so"),),
        faults=(setup.planted("memory_most", 0.2, optimizer="gd"),
                setup.planted("feature_least", 0.9, optimizer="gd")),
        does_not_show="How the bounds go with the initial size.",
        growth=2,
        figures=("separation",),
    ),
    lab.Claim(
        id="B-L4", title="A neuron turns when the feature noise outweighs its feature",
        group="dynamics", source="derived in docs/zou2021.md, after the lemma on feature flipping",
        statement="Under sign descent $Λ_r$ is at its largest, to 15 steps of $η$, where "
        "$|Λ_r|^{q−1}$ falls below $2α$ times the mean of $max(⟨w_r, ξ_i⟩, 0)^{q−1}$ over the "
        "examples of both classes: so for more than four fifths of the neurons.",
        requests=SIGN,
        parts=(
            lab.Part(f"neurons whose $Λ_r$ at the predicted turn is within ${CLOSE} η$ of its "
                     "largest value", _close, lab.above(0.8)),
        ),
        faults=(
            lab.Fault("neurons turn 20 steps earlier or later", lab.added("short", 20)),
        ),
        does_not_show="Steps after which the logits differ, and neurons that stay where both are "
        "nearly equal, about one of 500: there the weight decay decides, and the last logits.",
        figures=("turns",),
    ),
    lab.Claim(
        id="B-L5", title="Adam memorizes the noise and turns against the feature",
        group="dynamics", source=f"{ZCLG}, stages I and II of Adam",
        statement="Under Adam $Λ$ rises first and ends below 0, and every $Γ$ ends above 1/2, in "
        "most runs.",
        requests=ADAM,
        parts=(
            lab.in_most_runs(_flips, "share of runs in which $Λ$ of both classes turns"),
            lab.in_most_runs(_memorized, "share of runs in which every $Γ$ ends above 1/2"),
        ),
        faults=(
            lab.Fault("$Λ$ stays at 0.01", lab.altered("feature_most", lambda x: 0.01 + 0 * x)),
            lab.Fault("the least $Γ$ is a third", lab.scaled("memory_least", 1 / 3)),
        ),
        does_not_show="How far below 0 $Λ$ goes with time.",
        growth=2,
        figures=("separation",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((STAGES,), CLAIMS, (
    lab.Figure("turns", "Turning steps", FIRST, _draw),
))  # fmt: skip
