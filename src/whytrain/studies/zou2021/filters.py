"""Do the filters of a real network tell the same: is Adam's first layer rougher, its error higher?

The paper shows the first layer of AlexNet on CIFAR-10. Here LeNet-5 is trained on small images, by
both optimizers from the same weights, on the same batches, with the same coupled weight decay.
"""

import functools
from dataclasses import dataclass
from typing import cast

import jax
import numpy as np
import optax
import xarray as xr
from jaxtyping import Float

from whytrain import lab
from whytrain.data import Dataset, available, enlarge, load, normalize, subset
from whytrain.dynamics import Trained, train
from whytrain.errors import UserError
from whytrain.networks import LeNet5
from whytrain.report import figures as draw
from whytrain.studies.zou2021.setup import ZCLG

DATA = ("digits", "fashion-mnist", "mnist")
NAMES = {"adam": "Adam", "sgd": "descent with momentum"}
DIRECTIONS = {"adam": optax.scale_by_adam(), "sgd": optax.trace(decay=0.9)}


@dataclass(frozen=True, kw_only=True)
class FilterSettings(lab.Settings):
    """LeNet-5, and how it is trained; a run trains it by both optimizers."""

    data: str = lab.setting("digits", "image set; digits is on every machine", choices=DATA)
    weight_decay: float = lab.setting(5e-4, "coupled, of all weights", low=0)
    examples: int = lab.setting(1000, "training examples, drawn once for all runs", low=64)
    tested: int = lab.setting(597, "test examples, drawn once for all runs", low=1)
    batch: int = lab.setting(50, "examples a step", low=1)
    epochs: int = lab.setting(10, "epochs", low=1)
    adam_rate: float = lab.setting(1e-3, "step size of Adam", low=0, exclusive=True)
    sgd_rate: float = lab.setting(0.02, "of descent with momentum 0.9", low=0, exclusive=True)

    def check(self) -> None:
        """Sizes that there are."""
        if self.data == "digits" and (self.examples > 1200 or self.tested > 597):
            raise UserError("digits has 1200 examples to train on and 597 to test")
        if self.batch > self.examples:
            raise UserError(f"batch must be at most examples = {self.examples}, got {self.batch}")


@functools.cache
def prepared(data: str, examples: int, tested: int) -> Dataset:
    """Normalized images of 28 by 28 pixels."""
    found = subset(normalize(load(data)), examples, tested, key=jax.random.key(0))
    return enlarge(found, 3, 2) if data == "digits" else found


def roughness(filters: Float[np.ndarray, "*n size size"]) -> Float[np.ndarray, "*n"]:
    """`mean (w_i - w_j)^2 / (2 mean w^2)` over neighboring weights: 0 if constant, 1 if noise.

    Of independent weights with mean 0 the expected numerator is twice the variance. Filters that
    alternate have 2.

    Example:
        >>> roughness(np.array([[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]])).tolist()
        [0.0, 2.0]
    """
    differences = [np.diff(filters, axis=axis) ** 2 for axis in (-1, -2)]
    mean = sum(each.sum(axis=(-1, -2)) for each in differences) / sum(
        each.shape[-1] * each.shape[-2] for each in differences
    )
    return mean / (2 * np.mean(filters**2, axis=(-1, -2)))


def compute(settings: FilterSettings, runs: lab.Runs) -> xr.Dataset:
    """Train by both, from the same weights and on the same batches; then look at the first layer.

    The trainings leave the checkpoints `adam` and `sgd`.
    """
    data = prepared(settings.data, settings.examples, settings.tested)
    network, keys = LeNet5(data.shape, classes=len(data.classes)), runs.keys()
    found = []
    for name, rate in (("adam", settings.adam_rate), ("sgd", settings.sgd_rate)):
        direction = optax.chain(optax.add_decayed_weights(settings.weight_decay), DIRECTIONS[name])
        trained = train(
            network, data, keys, epochs=settings.epochs, step_size=rate, batch=settings.batch,
            optimizer=direction, test_every=settings.epochs, checkpoint=runs.checkpoints[name],
        )  # fmt: skip
        found.append(_seen(trained))
    names = xr.DataArray(list(NAMES), dims="optimizer", name="optimizer")
    return cast(xr.Dataset, xr.concat(found, names))


def _seen(trained: Trained) -> xr.Dataset:
    before, after = (
        np.asarray(params["convolution_1"][:, 0, :, 0], np.float64)
        for params in (trained.initial, trained.params)
    )
    ends = {name: values[:, 0, -1] for name, values in trained.metrics.items()}
    return xr.Dataset({
        "filters": (("run", "filter", "row", "column"), after.astype(np.float32)),
        "roughness": ("run", roughness(after).mean(axis=1)),
        "roughness_before": ("run", roughness(before).mean(axis=1)),
        "roughness_change": ("run", roughness(after - before).mean(axis=1)),
        "train_error": ("run", 1 - ends["train_accuracy"]),
        "test_error": ("run", 1 - ends["test_accuracy"]),
    })  # fmt: skip


FILTERS = lab.Experiment(
    name="image-filters",
    doc="LeNet-5 on images: test error and first-layer filters by the optimizer",
    settings=FilterSettings,
    compute=compute,
    runs=8,
    block=4,
)
ON_DIGITS = FILTERS.grid({"quick": {"runs": 8, "epochs": 6}, "paper": {"runs": 32}})
ON_FASHION = FILTERS.grid(runs=16, data="fashion-mnist", examples=10_000, tested=10_000)


def requests(preset: str) -> list[lab.Request]:
    """Digits; with the preset `paper` Fashion-MNIST in their place, where it is."""
    fashion = preset == "paper" and available("fashion-mnist")
    return (ON_FASHION if fashion else ON_DIGITS)(preset)


def _of(cells: lab.Cells, name: str, optimizer: str) -> np.ndarray:
    """A number of one optimizer, run by run."""
    return np.concatenate([cell.data[name].sel(optimizer=optimizer).values for cell in cells])


def _more(name: str, than: float) -> lab.Part:
    """A part: Adam has more of something than descent, run by run."""

    def measure(cells: lab.Cells) -> lab.Estimate:
        unit = 1 / cells[0].settings.tested if name == "test_error" else 1e-6
        differences = _of(cells, name, "adam") - _of(cells, name, "sgd")
        return lab.estimate_mean(differences, resolution=unit)

    what = f"{name.replace('_', ' ')} of Adam minus that of descent"
    return lab.Part(what, measure, lab.above(than, resolution=0.01))


def _planted(name: str, more: float) -> lab.Fault:
    """A fault: Adam's number is so much above descent's."""

    def one(cell: lab.Cell) -> lab.Cell:
        of_sgd = _of(lab.Cells([cell]), name, "sgd")
        near = of_sgd + more + 1e-4 * np.linspace(-1, 1, len(of_sgd))  # alike would bound nothing
        return cell.assign(**{name: np.stack([near, of_sgd])})

    what = f"{name.replace('_', ' ')} of Adam is {abs(more):g}"
    return lab.Fault(f"{what} {'above' if more > 0 else 'below'} that of descent",
                     lab.changed(one))  # fmt: skip


def _draw(cells: lab.Cells) -> tuple:
    from matplotlib.figure import Figure

    with draw.context():
        figure = Figure(figsize=(5.6, 3.0), layout="constrained")
        grid = figure.subplots(len(NAMES), 6)
    for axes, (name, words) in zip(grid, NAMES.items(), strict=True):
        shown = cells[0].data.filters.sel(optimizer=name).values[0]
        rough = roughness(shown)
        for place, (one, filt) in enumerate(zip(axes, shown, strict=True)):
            one.imshow(filt, cmap="gray", vmin=-abs(filt).max(), vmax=abs(filt).max())
            one.set(xticks=[], yticks=[])
            one.set_xlabel(f"{rough[place]:.2f}")
        axes[0].set_title(words)
    said = ", ".join(f"{words} {_of(cells, 'roughness', name).mean():.2f}"
                     for name, words in NAMES.items())  # fmt: skip
    return figure, (
        "The filters of the first run, from the same weights; below each its roughness "
        f"(0 constant, 1 noise). Mean over runs and filters: {said}."
    )


_OTHERS = "Other networks, data and step sizes: those here were chosen once, by no test error."

CLAIMS = (
    lab.Claim(
        id="B-E2", title="Adam's first layer is rougher", group="experiments",
        source=f"{ZCLG}, filters of AlexNet on CIFAR-10; here LeNet-5 on small images",
        statement="From the same weights, on the same batches and with the same weight decay, the "
        "first-layer filters of Adam are rougher than those of gradient descent with momentum.",
        requests=requests,
        parts=(_more("roughness", 0.0),),
        faults=(_planted("roughness", -0.001),),
        does_not_show=_OTHERS,
        growth=2,
        figures=("filters",),
        note=lambda cells: "mean roughness, at the start and of what was added: " + "; ".join(
            ", ".join([f"{words} {_of(cells, 'roughness', o).mean():.3f}"]
                      + [f"{_of(cells, f'roughness_{part}', o).mean():.3f}"
                         for part in ("before", "change")])
            for o, words in NAMES.items()),
    ),
    lab.Claim(
        id="B-E2-error", title="… and its test error higher", group="experiments",
        source=f"{ZCLG}, accuracies on CIFAR-10; here LeNet-5 on small images",
        statement="In the same trainings the test error of Adam is more than 0.02 above that of "
        "gradient descent with momentum.",
        expected="contradicted",
        requests=requests,
        parts=(_more("test_error", 0.02),),
        faults=(_planted("test_error", 0.03),),
        does_not_show=_OTHERS,
        growth=2,
        note=lambda cells: "; ".join(
            f"{words}: test error {_of(cells, 'test_error', o).mean():.4f}, training error "
            f"{_of(cells, 'train_error', o).mean():.4f}" for o, words in NAMES.items()),
    ),
)  # fmt: skip
FIGURES = (lab.Figure("filters", "First-layer filters of both optimizers", requests, _draw),)
TOPIC = lab.Topic((FILTERS,), CLAIMS, FIGURES)
