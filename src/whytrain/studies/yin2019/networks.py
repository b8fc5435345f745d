"""Does the ordering hold for real networks with quantized activations? Table 1 and Figure 2.

From one float network per run, pretrained with the rectifier, the same batches train a quantized
copy for each number of bits and each estimator. Then, at a small step size, the three estimators
go on from the minimum that clipped ReLU found.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.data import Dataset, enlarge, load, normalize, subset
from whytrain.dynamics.training import Trained, train
from whytrain.errors import UserError
from whytrain.networks import ImageNetwork, LeNet5, ResNet8, quantizer, stack
from whytrain.report import figures as draw
from whytrain.studies.yin2019.setup import LABELS, YIN, series
from whytrain.studies.yin2019.setup import THEOREM as ESTIMATORS

BITS = (2, 4)
FIGURE_2 = 4  # bits
NAMES = {"resnet8": "ResNet-8", "lenet5": "LeNet-5"}
DATA = ("digits", "fashion-mnist", "mnist", "cifar10")
CONVENTIONS = ("ceil", "hwgq", "nearest")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(lab.Settings):
    """The network, the data, and how long and how fast it trains."""

    network: str = lab.setting("lenet5", "architecture", choices=("lenet5", "resnet8"))
    data: str = lab.setting("digits", "image set; digits is on every machine", choices=DATA)
    examples: int = lab.setting(1000, "training examples, drawn once for all runs", low=64)
    tested: int = lab.setting(1000, "test examples, drawn once for all runs", low=1)
    batch: int = lab.setting(64, "examples a step", low=1)
    step_size: float = lab.setting(0.1, "step size, divided by 10 for the last third", low=0)
    pretraining: int = lab.setting(6, "epochs of the float network", low=1)
    epochs: int = lab.setting(6, "epochs of each quantized network", low=1)
    small_step_size: float = lab.setting(3e-3, "step size when leaving the minimum", low=0)
    small_epochs: int = lab.setting(3, "epochs at the small step size; 0 for none", low=0)
    convention: str = lab.setting("ceil", "convention of the quantizer", choices=CONVENTIONS)

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
    return enlarge(found, 3, 2) if data == "digits" else found


def architecture(settings: NetworkSettings, dataset: Dataset) -> ImageNetwork:
    """The network of a setting."""
    kinds = {"lenet5": LeNet5, "resnet8": ResNet8}
    return kinds[settings.network](dataset.shape, classes=len(dataset.classes))


def compute(settings: NetworkSettings, runs: lab.Runs) -> xr.Dataset:
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
            accuracy = lab.estimate_mean(cell.accuracy, resolution=1 / settings.tested)
            found = {
                "accuracy": accuracy.through(within).document(),
                "train_loss": lab.told(cell.loss, np.mean),
            }
            if "left_loss" in cell:
                end = cell.left_loss.isel(epoch=-1)
                found["train_loss_at_small_step"] = lab.told(end, np.mean)
            cells[f"{estimator}, {bits} bits"] = found
    return {
        "data": settings.data,
        "float_accuracy": lab.told(dataset.float_accuracy, np.mean),
        "quantized": cells,
    }


NETWORKS = lab.Experiment(
    "networks",
    "LeNet-5 and a small residual network with quantized activations, three estimators",
    NetworkSettings, compute, summarize, runs=5, version=5,
    block=4,  # half of what a claim asks for, so that two processes share it
)  # fmt: skip

RESIDUAL = NETWORKS.grid(
    {
        "quick": {"runs": 8, "examples": 1000, "pretraining": 6, "epochs": 6, "small_epochs": 3},
        "paper": {
            "runs": 10, "data": "fashion-mnist", "examples": 10_000, "tested": 10_000,
            "pretraining": 10, "epochs": 10, "small_epochs": 10, "small_step_size": 2e-4,
        },
    },
    network="resnet8",
)  # fmt: skip
LENET = NETWORKS.grid(
    {
        "quick": {"runs": 8, "examples": 1000, "tested": 4000, "pretraining": 6, "epochs": 6},
        "paper": {
            "runs": 10, "data": "fashion-mnist", "examples": 20_000, "tested": 10_000,
            "pretraining": 20, "epochs": 20,
        },
    },
    network="lenet5",
    small_epochs=0,
)  # fmt: skip
BOTH = RESIDUAL.at(network="resnet8") + LENET.at(network="lenet5")

# In accuracy. "Far better" is here: by more than one point; "as good": not worse by two points.
FAR, ALIKE = 0.01, 0.02
FINE = 0.005  # the length of an interval of an accuracy that need not be shorter


def paired(
    dataset: xr.Dataset, one: str, other: str, bits: int, resolution: float = 0.0
) -> lab.Estimate:
    """How much more accurate one estimator is than another, in the mean over runs.

    Both saw the same batches from the same start, so that their difference is taken run by run.
    """
    accuracy = dataset.accuracy.sel(bits=bits)
    difference = accuracy.sel(estimator=one) - accuracy.sel(estimator=other)
    return lab.estimate_mean(difference.values, resolution=resolution)


def _difference(network: str, one: str, other: str, rule: lab.Rule) -> list[lab.Part]:
    """One estimator less another on a network, a part for each number of bits."""

    def at(bits: int) -> Callable[[lab.Cells], lab.Estimate]:
        def measure(cells: lab.Cells) -> lab.Estimate:
            if not (some := cells.sel(network=network)):
                raise UserError(f"it is about {NAMES[network]} too: leave 'network' as it is")
            [cell] = some
            return paired(cell.data, one, other, bits, resolution=1 / cell.settings.tested)

        return measure

    what = f"accuracy of {LABELS[one]} less {LABELS[other]}, {NAMES[network]}"
    return [lab.Part(f"{what}, {bits} bits", at(bits), rule) for bits in BITS]


def _accuracies(cells: lab.Cells) -> str:
    rows = []
    for cell in cells:
        means = [
            " ".join(f"{value:.3f}" for value in cell.data.accuracy.sel(bits=bits).mean("run"))
            for bits in BITS
        ]
        name = NAMES[cell.settings.network]
        rows.append(f"{name} on {cell.settings.data}: {' and '.join(means)}")
    return f"{'; '.join(rows)} (identity, ReLU, clipped ReLU at 2 and at 4 bits)"


def _set_at(network: str, one: str, other: str, lead: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: on a network one estimator is so much more accurate than another in every run."""

    def change(accuracy: np.ndarray) -> np.ndarray:
        values, (to, of) = accuracy.copy(), map(ESTIMATORS.index, (one, other))
        values[..., to] = values[..., of] + lead
        return values

    return lab.altered("accuracy", change, network=network)


def _left(cells: lab.Cells) -> xr.Dataset:
    """The numbers of the one network that left the minimum."""
    [cell] = cells
    if "left_loss" not in cell.data:
        raise UserError("no network leaves the minimum at small_epochs=0; take 1 or more")
    return cell.data


def _above_clipped(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """How far the estimators are above clipped ReLU, after every epoch from its minimum.

    All left the same minimum on the same batches, so that what the batches do to the loss, and
    what is still to be gained at this step size, drops out.
    """
    return dataset[name] - dataset[name].sel(estimator="clipped_relu")


def _end(dataset: xr.Dataset, name: str = "left_loss", ste: str = "identity") -> np.ndarray:
    """That at the end, run by run."""
    return _above_clipped(dataset, name).sel(estimator=ste, bits=FIGURE_2).isel(epoch=-1).values


def _escape_in_words(cells: lab.Cells) -> str:
    dataset = _left(cells)
    course = dataset.left_loss.sel(bits=FIGURE_2, estimator="identity").mean("run").values
    return (
        f"loss of identity by epoch: {course[0]:.3f} to {course[-1]:.3f}; test error higher by "
        f"{-_end(dataset, 'left_accuracy').mean():.3f}"
    )


CLAIMS = (
    lab.Claim(
        id="Y-E1", title="On real networks ReLU and clipped ReLU are better", group="experiments",
        source=f"{YIN}, Table 1",
        statement="On a deep network clipped ReLU is at least as good as ReLU, and both are far "
        "better than identity; on LeNet-5 ReLU and clipped ReLU are alike. (Here: test accuracy on "
        "small data; far: more than 1 point, at least as good and alike: within 2 points.)",
        requests=BOTH,
        parts=(
            *_difference("resnet8", "relu", "identity", lab.above(FAR, resolution=FINE)),
            *_difference("resnet8", "clipped_relu", "identity", lab.above(FAR, resolution=FINE)),
            *_difference("resnet8", "clipped_relu", "relu", lab.above(-ALIKE, resolution=FINE)),
            *_difference("lenet5", "clipped_relu", "relu", lab.equals(0.0, ALIKE, resolution=FINE)),
        ),
        faults=(
            lab.Fault("on ResNet-8 identity is half a point behind ReLU",
                      _set_at("resnet8", "identity", "relu", -0.005)),
            lab.Fault("on ResNet-8 clipped ReLU is 2.5 points behind ReLU",
                      _set_at("resnet8", "clipped_relu", "relu", -0.025)),
            lab.Fault("on LeNet-5 clipped ReLU is 2.5 points ahead of ReLU",
                      _set_at("lenet5", "clipped_relu", "relu", 0.025)),
        ),
        does_not_show="The accuracies of the paper's networks, which are larger and see more data.",
        note=_accuracies,
        growth=2,
        figures=("networks-accuracy",),
    ),
    lab.Claim(
        id="Y-E2", title="The identity leaves a good minimum", group="experiments",
        source=f"{YIN}, Figure 2",
        statement="The identity estimator leaves a good minimum even at a small step size: the "
        "training loss rises above that of clipped ReLU from the same minimum.",
        requests=RESIDUAL,
        parts=(lab.Part(
            "train loss of identity less that of clipped ReLU after small steps from the minimum "
            f"of clipped ReLU, {FIGURE_2} bits",
            lambda cells: lab.estimate_mean(_end(_left(cells))), lab.above(0.0, resolution=0.0005),
        ),),
        faults=(lab.Fault("identity and clipped ReLU are exchanged",
                          lab.altered("left_loss", lambda loss: loss[:, :, ::-1])),),
        does_not_show="Whether clipped ReLU stays where it was: only the difference is judged.",
        note=_escape_in_words,
        growth=2,
        figures=("networks-escape",),
    ),
)  # fmt: skip


def _means(ste: str, x: Sequence[float], values: xr.DataArray) -> "draw.Series":
    """Means over runs with 95 % intervals; `values` has dimensions run and that of `x`."""
    bands = [lab.estimate_mean(column).interval for column in values.transpose(..., "run").values]
    return series(ste, x, values.mean("run").values, bands)


def _accuracy(cells: lab.Cells):
    rows, means = [], []
    for cell in cells:
        name = NAMES[cell.settings.network]
        for bits in BITS:
            rows += [
                _ahead(cell.data, first, second, bits, f"{name}, {bits} bits")
                for first, second in (("relu", "identity"), ("clipped_relu", "identity"),
                                      ("clipped_relu", "relu"))
            ]  # fmt: skip
            of = cell.data.accuracy.sel(bits=bits).mean("run")
            found = [f"{LABELS[e]} {float(of.sel(estimator=e)):.3f}" for e in ESTIMATORS]
            means.append(f"{name}, {bits} bits: {', '.join(found)}")
    figure = draw.forest_plot(rows, x_label="difference of test accuracy, in points")
    return figure, (
        "By how many points the first estimator is ahead of the second, run by run: from the same "
        f"float network, on the same batches; {cells[0].runs} runs on {cells[0].settings.data}, "
        f"95 % intervals of the mean. Mean accuracies: {'; '.join(means)}."
    )


def _ahead(
    dataset: xr.Dataset, first: str, second: str, bits: int, group: str
) -> "draw.Interval":  # fmt: skip
    """How far one estimator is ahead of another, in points."""
    one = paired(dataset, first, second, bits)
    name = f"{LABELS[first]} − {LABELS[second]}"
    values = (100 * number for number in (one.value, one.low, one.high))
    return draw.Interval(name, *values, group=group, color=first)


def _escape(cells: lab.Cells):
    dataset, shown = _left(cells), ("identity", "relu")
    epochs, above = dataset.epoch.values.tolist(), _above_clipped(dataset, "left_loss")
    panels = [
        draw.Panel(
            [_means(e, epochs, above.sel(estimator=e, bits=bits)) for e in shown],
            f"training loss above that of clipped ReLU, {bits} bits",
            references=[draw.Reference(0.0)],
        )
        for bits in BITS
    ]
    figure = draw.lines(panels, x_label="epochs at the small step size", x_ticks=epochs)
    found = {e: lab.estimate_mean(_end(dataset, ste=e)) for e in shown}
    ends = [f"{LABELS[e]} {x.value:.4f} ({x.low:.4f} to {x.high:.4f})" for e, x in found.items()]
    return figure, (
        f"{NAMES[cells[0].settings.network]} at a small step size, from the minimum that clipped "
        "ReLU found: training loss less that of clipped ReLU on the same batches, run by run; "
        f"{cells[0].runs} runs, bands are 95 % intervals of the mean. Only the backward pass "
        f"differs. At the end, {FIGURE_2} bits: {'; '.join(ends).replace('-', '−')}."
    )


FIGURES = (
    lab.Figure("networks-accuracy", "Accuracy by estimator", BOTH, _accuracy),
    lab.Figure("networks-escape", "Leaving a good minimum", RESIDUAL, _escape),
)

TOPIC = lab.Topic((NETWORKS,), CLAIMS, FIGURES)
