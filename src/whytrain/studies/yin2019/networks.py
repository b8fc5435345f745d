"""`networks`: real networks with quantized activations under the three estimators.

From one float network per run, pretrained with the rectifier, the same batches train a quantized
copy for each number of bits and each estimator. Then, at a small step size, the three estimators
go on from the minimum that clipped ReLU found.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from whytrain.data import Dataset, load, normalize, subset
from whytrain.dynamics.training import Trained, train
from whytrain.errors import UserError
from whytrain.lab import Experiment, Runs, Settings, estimate_mean, setting
from whytrain.networks import LeNet5, Network, ResNet8, quantizer, stack
from whytrain.studies.yin2019.setup import told

BITS = (2, 4)
ESTIMATORS = ("identity", "relu", "clipped_relu")
DATA = ("digits", "fashion-mnist", "mnist", "cifar10")
CONVENTIONS = ("ceil", "hwgq", "nearest")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    """The network, the data, and how long and how fast it trains."""

    network: str = setting("lenet5", "architecture", choices=("lenet5", "resnet8"))
    data: str = setting("digits", "image set; digits is on every machine", choices=DATA)
    examples: int = setting(1000, "training examples, drawn once for all runs", low=64)
    tested: int = setting(1000, "test examples, drawn once for all runs", low=1)
    batch: int = setting(64, "examples a step", low=1)
    step_size: float = setting(0.1, "step size, divided by 10 for the last third", low=0)
    pretraining: int = setting(6, "epochs of the float network", low=1)
    epochs: int = setting(6, "epochs of each quantized network", low=1)
    small_step_size: float = setting(3e-3, "step size when leaving the minimum", low=0)
    small_epochs: int = setting(3, "epochs at the small step size; 0 for none", low=0)
    convention: str = setting("ceil", "convention of the quantizer", choices=CONVENTIONS)

    def check(self) -> None:
        """Take no more of digits than there are."""
        if self.data == "digits":  # it has no more
            object.__setattr__(self, "examples", min(self.examples, 1200))
            object.__setattr__(self, "tested", min(self.tested, 597))
        if self.batch > self.examples:
            raise UserError(f"setting 'batch' must be <= examples = {self.examples}")


@functools.cache
def prepared(data: str, examples: int, tested: int) -> Dataset:
    """The subset that a setting names, normalized; `digits` enlarged to 28 by 28 pixels."""
    found = subset(normalize(load(data)), examples, tested, key=jax.random.key(0))
    if data != "digits":
        return found
    images = [
        np.pad(part.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2), (0, 0)))
        for part in (found.train_images, found.test_images)
    ]
    return Dataset(
        found.name, images[0], found.train_labels, images[1], found.test_labels, found.classes
    )


def architecture(settings: NetworkSettings, dataset: Dataset) -> Network:
    """The network of a setting."""
    kinds = {"lenet5": LeNet5, "resnet8": ResNet8}
    return kinds[settings.network](dataset.shape, classes=len(dataset.classes))


def compute(settings: NetworkSettings, runs: Runs) -> xr.Dataset:
    """Loss and accuracy of the float network, of each quantized one, and near the minimum.

    The trainings leave the checkpoints `float`, `quantized` and `left`.
    """
    dataset = prepared(settings.data, settings.examples, settings.tested)
    network, keys = architecture(settings, dataset), runs.keys()
    quantized = stack([
        quantizer(bits, estimator, settings.convention)
        for bits in BITS
        for estimator in ESTIMATORS
    ])  # fmt: skip
    go = functools.partial(train, network, dataset, batch=settings.batch)
    per_epoch = settings.examples // settings.batch

    def falling(epochs: int):
        late = per_epoch * epochs * 2 // 3
        return lambda step: settings.step_size * (1 - 0.9 * (step >= late))

    plain = go(keys, epochs=settings.pretraining, step_size=falling(settings.pretraining),
               test_every=settings.pretraining, checkpoint=runs.checkpoints["float"])  # fmt: skip
    trained = go(
        _fold(keys, 1), epochs=settings.epochs, step_size=falling(settings.epochs),
        activations=quantized, starts=plain.params, test_every=settings.epochs,
        checkpoint=runs.checkpoints["quantized"],
    )  # fmt: skip
    if settings.small_epochs == 0:
        return _labeled(settings, plain, trained)
    minimum = jax.tree.map(_clipped, trained.params)
    left = go(
        _fold(keys, 2), epochs=settings.small_epochs, step_size=settings.small_step_size,
        activations=quantized, starts=minimum, test_every=settings.small_epochs,
        checkpoint=runs.checkpoints["left"],
    )  # fmt: skip
    return _labeled(settings, plain, trained).merge(_course(left))


def _fold(keys: jax.Array, number: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, 1000 + number))(keys)


def _clipped(leaf: Any) -> Any:
    """For every variant the parameters that clipped ReLU found with the same bits."""
    of_bits = np.arange(len(BITS)) * len(ESTIMATORS) + ESTIMATORS.index("clipped_relu")
    return leaf[:, np.repeat(of_bits, len(ESTIMATORS))]


CELLS = ("run", "bits", "estimator")
SHAPE = (-1, len(BITS), len(ESTIMATORS))


def _labeled(settings: NetworkSettings, plain: Trained, trained: Trained) -> xr.Dataset:
    """What the float and the quantized networks ended with."""

    def last(name: str):
        return CELLS, trained.metrics[name][..., -1].reshape(SHAPE)

    return xr.Dataset(
        {
            "float_accuracy": ("run", plain.metrics["test_accuracy"][:, 0, -1]),
            "loss": last("train_loss"),
            "accuracy": last("test_accuracy"),
        },
        {"bits": list(BITS), "estimator": list(ESTIMATORS)},
        {"data": settings.data},
    )


def _course(left: Trained) -> xr.Dataset:
    """Loss and accuracy by epoch, of networks that leave the minimum of clipped ReLU."""

    def course(name: str):
        return (*CELLS, "epoch"), left.metrics[name].reshape(*SHAPE, left.epochs)

    return xr.Dataset(
        {"left_loss": course("train_loss"), "left_accuracy": course("test_accuracy")},
        {"epoch": np.arange(left.epochs) + 1},
    )


def summarize(dataset: xr.Dataset, settings: NetworkSettings) -> dict:
    """The data set used, and accuracy and loss of every cell with 95 % intervals."""

    def within(value: float) -> float:
        return float(np.clip(value, 0, 1))  # the interval of few runs reaches far

    cells = {}
    for bits in BITS:
        for estimator in ESTIMATORS:
            cell = dataset.sel(bits=bits, estimator=estimator)
            accuracy = estimate_mean(cell.accuracy, resolution=1 / settings.tested)
            found = {
                "accuracy": accuracy.through(within).document(),
                "train_loss": told(cell.loss, np.mean),
            }
            if "left_loss" in cell:
                end = cell.left_loss.isel(epoch=-1)
                found["train_loss_at_small_step"] = told(end, np.mean)
            cells[f"{estimator}, {bits} bits"] = found
    return {
        "data": settings.data,
        "float_accuracy": told(dataset.float_accuracy, np.mean),
        "quantized": cells,
    }


NETWORKS = Experiment(
    name="networks",
    doc="LeNet-5 and a small residual network with quantized activations, three estimators",
    settings=NetworkSettings,
    compute=compute,
    summarize=summarize,
    runs=5,
    block=8,
    version=5,
)
