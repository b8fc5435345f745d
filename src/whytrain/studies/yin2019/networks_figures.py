"""Figures of the experiment `networks`: accuracy by estimator, and the departure from a minimum."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from whytrain.lab import Cells, Figure, estimate_mean
from whytrain.report import figures as draw
from whytrain.studies.yin2019.figures import COLORS, LABELS
from whytrain.studies.yin2019.networks import BITS, ESTIMATORS
from whytrain.studies.yin2019.networks_claims import FIGURE_2, both, paired, residual, rise

Datasets = Sequence[xr.Dataset]
Drawing = tuple  # a matplotlib figure and its caption


def _series(x: Sequence[float], values: xr.DataArray, estimator: str, label: str) -> draw.Series:
    """Means over runs with 95 % intervals; `values` has dimensions run and that of `x`."""
    bounds = [estimate_mean(column).interval for column in values.transpose(..., "run").values]
    low, high = np.transpose(bounds)
    return draw.Series(
        x, values.mean("run").values, label, low=low, high=high, color=COLORS[estimator], marker="o"
    )


def _accuracy(datasets: Datasets) -> Drawing:
    panels = []
    for dataset, name in zip(datasets, ("ResNet-8", "LeNet-5"), strict=True):
        series = [
            _series(list(BITS), dataset.accuracy.sel(estimator=e), e, LABELS[e]) for e in ESTIMATORS
        ]
        panels.append(draw.Panel(series, f"test accuracy, {name}"))
    figure = draw.lines(panels, x_label="bits of the activation", x_ticks=list(BITS))
    ends = "; ".join(
        f"{name} {_lead(dataset)}"
        for dataset, name in zip(datasets, ("ResNet-8", "LeNet-5"), strict=True)
    )
    return figure, (
        f"Test accuracy after training from the float network, {datasets[0].sizes['run']} runs, "
        f"bands are 95 % intervals of the mean, on {datasets[0].attrs.get('data', 'images')}. "
        f"How many points ReLU is ahead of identity, run by run: {ends}."
    )


def _lead(dataset: xr.Dataset) -> str:
    """How far ReLU is ahead of identity, in points."""
    leads = [paired(dataset, "relu", "identity", bits) for bits in BITS]
    return " and ".join(
        f"{100 * lead.value:.1f} ({100 * lead.low:.1f} to {100 * lead.high:.1f}) at {bits} bits"
        for bits, lead in zip(BITS, leads, strict=True)
    )


def _escape(datasets: Datasets) -> Drawing:
    [dataset] = datasets
    epochs = dataset.epoch.values.tolist()
    clipped = dataset.left_loss.sel(estimator="clipped_relu")
    panels = [
        draw.Panel(
            [
                _series(
                    epochs,
                    (dataset.left_loss.sel(estimator=e) - clipped).sel(bits=bits),
                    e,
                    LABELS[e],
                )
                for e in ("identity", "relu")
            ],
            f"training loss above that of clipped ReLU, {bits} bits",
            references=[draw.Reference(0.0)],
        )
        for bits in BITS
    ]
    figure = draw.lines(panels, x_label="epochs at the small step size", x_ticks=epochs)
    ends = "; ".join(
        f"{LABELS[e]} {found.value:.4f} ({found.low:.4f} to {found.high:.4f})"
        for e in ("identity", "relu")
        for found in [estimate_mean(rise(dataset, "left_loss", e)[:, BITS.index(FIGURE_2)])]
    )
    return figure, (
        "ResNet-8 at a small step size, from the minimum that clipped ReLU found: training loss "
        f"less that of clipped ReLU on the same batches, run by run; {dataset.sizes['run']} runs, "
        "bands are 95 % intervals of the mean. Only the backward pass differs. At the end, "
        f"{FIGURE_2} bits: {ends}."
    )


def _data(draw: Callable[[Datasets], Drawing]) -> Callable[[Cells], Drawing]:
    return lambda cells: draw([cell.data for cell in cells])


NETWORK_FIGURES = (
    Figure("networks-accuracy", "Accuracy by estimator", both, _data(_accuracy)),
    Figure("networks-escape", "Leaving a good minimum", residual, _data(_escape)),
)
