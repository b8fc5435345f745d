"""What the networks say about Table 1 and Figure 2 of Yin et al. 2019."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Part,
    Request,
    Rule,
    above,
    equals,
    estimate_mean,
)
from whytrain.studies.yin2019.networks import BITS, ESTIMATORS, NetworkSettings

# In accuracy. "Far better" is here: by more than one point; "as good": not worse by two points.
FAR, ALIKE = 0.01, 0.02
FINE = 0.005  # the length of an interval of an accuracy that need not be shorter
FIGURE_2 = 4  # bits
RESIDUAL: dict[str, dict[str, Any]] = {
    "quick": {"examples": 1000, "pretraining": 6, "epochs": 6, "small_epochs": 3},
    "paper": {"data": "fashion-mnist", "examples": 10_000, "tested": 10_000, "pretraining": 10,
              "epochs": 10, "small_epochs": 10, "small_step_size": 2e-4},
}  # fmt: skip
LENET: dict[str, dict[str, Any]] = {
    "quick": {"examples": 1000, "tested": 4000, "pretraining": 6, "epochs": 6},
    "paper": {"data": "fashion-mnist", "examples": 20_000, "tested": 10_000, "pretraining": 20,
              "epochs": 20},
}  # fmt: skip
RUNS = {"quick": 8, "paper": 10}
NAMES = {"resnet8": "ResNet-8", "lenet5": "LeNet-5"}
WORDS = {"identity": "identity", "relu": "ReLU", "clipped_relu": "clipped ReLU"}


def residual(preset: str) -> Sequence[Request]:
    """The residual network, with the departure from its minimum."""
    settings = NetworkSettings(network="resnet8", **RESIDUAL[preset])
    return [Request("networks", settings, RUNS[preset])]


def both(preset: str) -> Sequence[Request]:
    """The residual network, then LeNet-5."""
    lenet = NetworkSettings(network="lenet5", small_epochs=0, **LENET[preset])
    return [*residual(preset), Request("networks", lenet, RUNS[preset])]


def paired(
    dataset: xr.Dataset, one: str, other: str, bits: int, resolution: float = 0.0
) -> Estimate:
    """How much more accurate one estimator is than another, in the mean over runs.

    Both saw the same batches from the same start, so that their difference is taken run by run.
    """
    accuracy = dataset.accuracy.sel(bits=bits)
    difference = accuracy.sel(estimator=one) - accuracy.sel(estimator=other)
    return estimate_mean(difference.values, resolution=resolution)


def _difference(network: str, one: str, other: str, rule: Rule) -> list[Part]:
    """One estimator less another on a network, a part for each number of bits."""

    def at(bits: int) -> Callable[[Cells], Estimate]:
        def measure(cells: Cells) -> Estimate:
            [cell] = cells.sel(network=network)
            return paired(cell.data, one, other, bits, resolution=1 / cell.settings.tested)

        return measure

    what = f"accuracy of {WORDS[one]} less {WORDS[other]}, {NAMES[network]}"
    return [Part(f"{what}, {bits} bits", at(bits), rule) for bits in BITS]


def _accuracies(cells: Cells) -> str:
    rows = []
    for cell in cells:
        means = [
            " ".join(f"{value:.3f}" for value in cell.data.accuracy.sel(bits=bits).mean("run"))
            for bits in BITS
        ]
        name = NAMES[cell.settings.network]
        rows.append(f"{name} on {cell.settings.data}: {' and '.join(means)}")
    return f"{'; '.join(rows)} (identity, ReLU, clipped ReLU at 2 and at 4 bits)"


def _set_at(network: str, one: str, other: str, lead: float) -> Callable[[Cells], Cells]:
    """A fault: on a network one estimator is so much more accurate than another in every run."""

    def change(cell: Cell) -> Cell:
        if cell.settings.network != network:
            return cell
        values, (to, of) = cell.data.accuracy.values.copy(), map(ESTIMATORS.index, (one, other))
        values[..., to] = values[..., of] + lead
        return cell.assign(accuracy=values)

    return lambda cells: cells.change(change)


def rise(dataset: xr.Dataset, name: str, estimator: str = "identity") -> np.ndarray:
    """How far an estimator is above clipped ReLU at the end of the small steps, (run, bits).

    Both left the same minimum on the same batches, so that what the batches do to the loss, and
    what is still to be gained at this step size, drops out.
    """
    last = dataset[name].isel(epoch=-1)
    return (last.sel(estimator=estimator) - last.sel(estimator="clipped_relu")).values


def _risen(cells: Cells) -> Estimate:
    [cell] = cells
    return estimate_mean(rise(cell.data, "left_loss")[:, BITS.index(FIGURE_2)])


def _escape_in_words(cells: Cells) -> str:
    [cell] = cells
    four = cell.data.sel(bits=FIGURE_2, estimator="identity")
    course = four.left_loss.mean("run").values
    errors = -rise(cell.data, "left_accuracy").mean(axis=0)[BITS.index(FIGURE_2)]
    return (
        f"loss of identity by epoch: {course[0]:.3f} to {course[-1]:.3f}; test error higher by "
        f"{errors:.3f}"
    )


def _exchanged(cells: Cells) -> Cells:
    """Identity and clipped ReLU have left with each other's losses."""
    return cells.change(lambda cell: cell.assign(left_loss=cell.data.left_loss.values[:, :, ::-1]))


NETWORK_CLAIMS = (
    Claim(
        id="Y-E1", title="On real networks ReLU and clipped ReLU are better", group="experiments",
        source="Yin et al. 2019, Table 1",
        statement="On a deep network clipped ReLU is at least as good as ReLU, and both are far "
        "better than identity; on LeNet-5 ReLU and clipped ReLU are alike. (Here: test accuracy on "
        "small data; far: more than 1 point, at least as good and alike: within 2 points.)",
        requests=both,
        parts=(
            *_difference("resnet8", "relu", "identity", above(FAR, resolution=FINE)),
            *_difference("resnet8", "clipped_relu", "identity", above(FAR, resolution=FINE)),
            *_difference("resnet8", "clipped_relu", "relu", above(-ALIKE, resolution=FINE)),
            *_difference("lenet5", "clipped_relu", "relu", equals(0.0, ALIKE, resolution=FINE)),
        ),
        faults=(
            Fault("on ResNet-8 identity is half a point behind ReLU",
                  _set_at("resnet8", "identity", "relu", -0.005)),
            Fault("on ResNet-8 clipped ReLU is 2.5 points behind ReLU",
                  _set_at("resnet8", "clipped_relu", "relu", -0.025)),
            Fault("on LeNet-5 clipped ReLU is 2.5 points ahead of ReLU",
                  _set_at("lenet5", "clipped_relu", "relu", 0.025)),
        ),
        does_not_show="The accuracies of the paper's networks, which are larger and see more data.",
        note=_accuracies,
        growth=2,
        figures=("networks-accuracy",),
    ),
    Claim(
        id="Y-E2", title="The identity leaves a good minimum", group="experiments",
        source="Yin et al. 2019, Figure 2",
        statement="The identity estimator leaves a good minimum even at a small step size: the "
        "training loss rises above that of clipped ReLU from the same minimum.",
        requests=residual,
        parts=(Part(
            "train loss of identity less that of clipped ReLU after small steps from the minimum "
            f"of clipped ReLU, {FIGURE_2} bits", _risen, above(0.0, resolution=0.0005),
        ),),
        faults=(Fault("identity and clipped ReLU are exchanged", _exchanged),),
        does_not_show="Whether clipped ReLU stays where it was: only the difference is judged.",
        note=_escape_in_words,
        growth=2,
        figures=("networks-escape",),
    ),
)  # fmt: skip
