"""Figures of the experiment `networks`: accuracy by estimator, and the departure from a minimum."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from whytrain.lab import Figure, mean_interval
from whytrain.report import figures as draw
from whytrain.studies.yin2019.networks import BITS, ESTIMATORS
from whytrain.studies.yin2019.networks_claims import both, residual

Datasets = Sequence[xr.Dataset]
Drawing = tuple  # a matplotlib figure and its caption

NAMES = {"identity": "identity", "relu": "ReLU", "clipped_relu": "clipped ReLU"}
COLORS = {"identity": "orange", "relu": "green", "clipped_relu": "blue"}


def _series(x: Sequence[float], values: xr.DataArray, estimator: str, label: str) -> draw.Series:
    """Means over runs with 95 % intervals; `values` has dimensions run and that of `x`."""
    bounds = [mean_interval(column) for column in values.transpose(..., "run").values]
    low, high = np.transpose(bounds)
    return draw.Series(
        x, values.mean("run").values, label, low=low, high=high, color=COLORS[estimator], marker="o"
    )


def _accuracy(datasets: Datasets) -> Drawing:
    panels = []
    for dataset, name in zip(datasets, ("ResNet-8", "LeNet-5"), strict=True):
        series = [
            _series(list(BITS), dataset.accuracy.sel(estimator=e), e, NAMES[e]) for e in ESTIMATORS
        ]
        panels.append(draw.Panel(series, f"test accuracy, {name}"))
    figure = draw.lines(panels, x_label="bits of the activation", x_ticks=list(BITS))
    deep = datasets[0].accuracy.mean("run")
    ends = "; ".join(
        f"{bits} bits: " + ", ".join(f"{NAMES[e]} {float(deep.sel(bits=bits, estimator=e)):.3f}"
                                     for e in ESTIMATORS)
        for bits in BITS
    )  # fmt: skip
    return figure, (
        f"Test accuracy after training from the float network, {datasets[0].sizes['run']} runs, "
        f"bands are 95 % intervals of the mean, on {datasets[0].attrs.get('data', 'images')}. "
        f"ResNet-8, float {float(datasets[0].float_accuracy.mean()):.3f}, {ends}."
    )


def _escape(datasets: Datasets) -> Drawing:
    [dataset] = datasets
    panels = []
    for bits in BITS:
        series = [
            _series(
                dataset.epoch.values.tolist(),
                dataset.left_loss.sel(bits=bits, estimator=e),
                e,
                NAMES[e],
            )
            for e in ESTIMATORS
        ]
        panels.append(draw.Panel(series, f"training loss, {bits} bits"))
    figure = draw.lines(
        panels, x_label="epochs at the small step size", x_ticks=dataset.epoch.values.tolist()
    )
    return figure, (
        "Training loss of ResNet-8 at a small step size, from the minimum that clipped ReLU found; "
        f"{dataset.sizes['run']} runs, bands are 95 % intervals of the mean. The three estimators "
        "see the same batches; only the backward pass differs."
    )


NETWORK_FIGURES = (
    Figure("networks-accuracy", "Accuracy by estimator", both, _accuracy),
    Figure("networks-escape", "Leaving a good minimum", residual, _escape),
)
