"""What the networks say about Table 1 and Figure 2 of Yin et al. 2019."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from whytrain.lab import Claim, Request, Verdict, mean_interval, one_sided
from whytrain.studies.yin2019.networks import BITS, NetworkSettings

Datasets = Sequence[xr.Dataset]

# In accuracy. "Far better" is here: by more than one point; "as good": not worse by two points.
FAR, ALIKE = 0.01, 0.02
FIGURE_2 = 4  # bits
RESIDUAL: dict[str, dict[str, Any]] = {
    "quick": {"examples": 1000, "pretraining": 6, "epochs": 6, "small_epochs": 3},
    "paper": {"examples": 10_000, "tested": 10_000, "pretraining": 10, "epochs": 10,
              "small_epochs": 10, "small_step_size": 2e-4},
}  # fmt: skip
LENET: dict[str, dict[str, Any]] = {
    "quick": {"examples": 1000, "tested": 4000, "pretraining": 6, "epochs": 6},
    "paper": {"examples": 20_000, "tested": 10_000, "pretraining": 20, "epochs": 20},
}
RUNS = {"quick": 8, "paper": 10}


def residual(preset: str) -> Sequence[Request]:
    """The residual network, with the departure from its minimum."""
    settings = NetworkSettings(network="resnet8", **RESIDUAL[preset])
    return [Request("networks", settings, RUNS[preset])]


def both(preset: str) -> Sequence[Request]:
    """The residual network, then LeNet-5."""
    lenet = NetworkSettings(network="lenet5", small_epochs=0, **LENET[preset])
    return [*residual(preset), Request("networks", lenet, RUNS[preset])]


def paired(dataset: xr.Dataset, one: str, other: str, bits: int) -> tuple[float, float, float]:
    """How much more accurate one estimator is than another: mean over runs, and its interval.

    Both saw the same batches from the same start, so that their difference is taken run by run.
    """
    accuracy = dataset.accuracy.sel(bits=bits)
    difference = (accuracy.sel(estimator=one) - accuracy.sel(estimator=other)).values
    return float(difference.mean()), *mean_interval(difference)


def _ordering(datasets: Datasets) -> Verdict:
    deep, shallow = datasets
    gaps = [paired(deep, "relu", "identity", bits) for bits in BITS]
    leads = [paired(deep, "clipped_relu", "relu", bits) for bits in BITS]
    alike = [paired(shallow, "clipped_relu", "relu", bits) for bits in BITS]
    holds = (
        all(low > FAR for _, low, _ in gaps)
        and all(low > -ALIKE for _, low, _ in leads)
        and all(low > -ALIKE and high < ALIKE for _, low, high in alike)
    )
    fails = (
        any(high < FAR for _, _, high in gaps)
        or any(high < -ALIKE for _, _, high in leads)
        or any(high < -ALIKE or low > ALIKE for _, low, high in alike)
    )
    estimate, low, high = min(gaps, key=lambda gap: gap[1])
    word = "supported" if holds else "contradicted" if fails else "inconclusive"
    runs = deep.sizes["run"] + shallow.sizes["run"]
    note = (
        "accuracy of ReLU less identity, ResNet-8, worse of 2 and 4 bits; "
        f"{_row(deep, 'ResNet-8')}; "
        f"{_row(shallow, 'LeNet-5')} (identity, ReLU, clipped ReLU at 2 and at 4 bits)"
    )
    return Verdict(word, estimate, (low, high), FAR, runs, note)


def _row(dataset: xr.Dataset, name: str) -> str:
    cells = [
        " ".join(f"{value:.3f}" for value in dataset.accuracy.sel(bits=bits).mean("run").values)
        for bits in BITS
    ]
    return f"{name} on {dataset.attrs.get('data', 'its data')}: {' and '.join(cells)}"


def rise(dataset: xr.Dataset, name: str, estimator: str = "identity") -> np.ndarray:
    """How far an estimator is above clipped ReLU at the end of the small steps, (run, bits).

    Both left the same minimum on the same batches, so that what the batches do to the loss, and
    what is still to be gained at this step size, drops out.
    """
    last = dataset[name].isel(epoch=-1)
    return (last.sel(estimator=estimator) - last.sel(estimator="clipped_relu")).values


def _escape(datasets: Datasets) -> Verdict:
    [dataset] = datasets
    four = BITS.index(FIGURE_2)
    losses = rise(dataset, "left_loss")[:, four]
    low, high = mean_interval(losses)
    estimate = float(losses.mean())
    own = dataset.left_loss.sel(estimator="identity").mean("run").values
    errors = -rise(dataset, "left_accuracy").mean(axis=0)
    note = (
        "train loss of identity less that of clipped ReLU after small steps from the minimum of "
        f"clipped ReLU, {FIGURE_2} bits; loss of identity by epoch: {_course(own[four])}; test "
        f"error higher by {errors[four]:.3f}"
    )
    return one_sided(low, high, 0.0, estimate, dataset.sizes["run"], note)


def _course(values: np.ndarray) -> str:
    return f"{values[0]:.3f} to {values[-1]:.3f}"


NETWORK_CLAIMS = (
    Claim(
        "Y-E1", "Yin et al. 2019, Table 1",
        "On a deep network clipped ReLU is at least as good as ReLU, and both are far better than "
        "identity; on LeNet-5 ReLU and clipped ReLU are alike. (Here: test accuracy on small data; "
        "far: more than 1 point, at least as good and alike: within 2 points.)",
        both, _ordering,
    ),
    Claim(
        "Y-E2", "Yin et al. 2019, Figure 2",
        "The identity estimator leaves a good minimum even at a small step size: the training loss "
        "rises above that of clipped ReLU, which stays.",
        residual, _escape,
    ),
)  # fmt: skip
