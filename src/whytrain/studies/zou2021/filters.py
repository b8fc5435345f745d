"""Do the filters of a real network tell the same: is Adam's first layer rougher, its error higher?

The paper shows the first layer of AlexNet on CIFAR-10. Here LeNet-5 is trained on small images, by
both optimizers from the same weights, on the same batches, with the same coupled weight decay.
"""

import functools
from dataclasses import dataclass

import jax
import numpy as np
import optax
import xarray as xr
from jaxtyping import Float

from whytrain import lab
from whytrain.data import Dataset, available, enlarge, load, normalize, subset
from whytrain.dynamics import train
from whytrain.errors import UserError
from whytrain.networks import LeNet5
from whytrain.report import figures as draw
from whytrain.studies.zou2021.setup import ZCLG

DATA = ("digits", "fashion-mnist", "mnist")
DIRECTIONS = {
    "sgd": optax.trace(decay=0.9),
    "adam": optax.scale_by_adam(),
}
RATES = {"sgd": 0.02, "adam": 1e-3}
NAMES = {"sgd": "descent with momentum", "adam": "Adam"}


@dataclass(frozen=True, kw_only=True)
class FilterSettings(lab.Settings):
    """LeNet-5, and how it is trained."""

    optimizer: str = lab.setting("adam", "how it moves", choices=tuple(DIRECTIONS))
    data: str = lab.setting("digits", "image set; digits is on every machine", choices=DATA)
    weight_decay: float = lab.setting(5e-4, "coupled, of all weights", low=0)
    examples: int = lab.setting(1000, "training examples, drawn once for all runs", low=64)
    tested: int = lab.setting(597, "test examples, drawn once for all runs", low=1)
    batch: int = lab.setting(50, "examples a step", low=1)
    epochs: int = lab.setting(10, "epochs", low=1)
    learning_rate: lab.Derived[float] = lab.setting(
        None, "step size; default by the optimizer: "
        + ", ".join(f"{name} {rate:g}" for name, rate in RATES.items()),
        low=0, exclusive=True,
    )  # fmt: skip

    def check(self) -> None:
        """The default of the step size, and sizes that there are."""
        self.derive("learning_rate", RATES[self.optimizer])
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
    """Train, then look at the first layer."""
    data = prepared(settings.data, settings.examples, settings.tested)
    direction = optax.chain(
        optax.add_decayed_weights(settings.weight_decay), DIRECTIONS[settings.optimizer]
    )
    trained = train(
        LeNet5(data.shape, classes=len(data.classes)), data, runs.keys(), epochs=settings.epochs,
        step_size=settings.learning_rate, batch=settings.batch, optimizer=direction,
        test_every=settings.epochs, checkpoint=runs.checkpoints["trained"],
    )  # fmt: skip
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
    block=8,
)
ON_DIGITS = FILTERS.grid(
    {"quick": {"runs": 16, "epochs": 6}, "paper": {"runs": 32}}, optimizer=("adam", "sgd")
)
ON_FASHION = FILTERS.grid(
    runs=16, data="fashion-mnist", examples=10_000, tested=10_000, optimizer=("adam", "sgd")
)


def requests(preset: str) -> list[lab.Request]:
    """Digits; with the preset `paper` Fashion-MNIST in their place, where it is."""
    fashion = preset == "paper" and available("fashion-mnist")
    return (ON_FASHION if fashion else ON_DIGITS)(preset)


def _more(name: str, than: float) -> lab.Part:
    """A part: Adam has more of something than descent, run by run from the same weights."""

    def measure(cells: lab.Cells) -> lab.Estimate:
        adam, sgd = (cells.sel(optimizer=o).pooled(name) for o in ("adam", "sgd"))
        unit = 1 / cells[0].settings.tested if name == "test_error" else 1e-6
        return lab.estimate_mean(adam - sgd, resolution=unit)

    what = f"{name.replace('_', ' ')} of Adam minus that of descent"
    return lab.Part(what, measure, lab.above(than))


def _planted(name: str, more: float) -> lab.Fault:
    """A fault: Adam's number is so much above descent's."""

    def plant(cells: lab.Cells) -> lab.Cells:
        of_sgd = cells.sel(optimizer="sgd")[0].data[name].values
        near = of_sgd + more + 1e-4 * np.linspace(-1, 1, len(of_sgd))  # alike would bound nothing
        return cells.change(
            lambda cell: cell.assign(**{name: near}) if cell.settings.optimizer == "adam" else cell
        )

    what = f"{name.replace('_', ' ')} of Adam is {abs(more):g}"
    return lab.Fault(f"{what} {'above' if more > 0 else 'below'} that of descent", plant)


def _draw(cells: lab.Cells) -> tuple:
    names = [name for name in NAMES if len(cells.sel(optimizer=name))]
    from matplotlib.figure import Figure

    with draw.context():
        figure = Figure(figsize=(7.2, 1.7 * len(names)), layout="constrained")
        grid = figure.subplots(len(names), 6, squeeze=False)
    said = []
    for axes, name in zip(grid, names, strict=True):
        some = cells.sel(optimizer=name)
        shown = some[0].data.filters.values[0]
        rough = roughness(shown)
        for place, (one, filt) in enumerate(zip(axes, shown, strict=True)):
            one.imshow(filt, cmap="gray", vmin=-abs(filt).max(), vmax=abs(filt).max())
            one.set(xticks=[], yticks=[])
            if place == 0:
                one.set_title(NAMES[name], loc="left", fontsize="medium")
            one.set_xlabel(f"{rough[place]:.2f}", fontsize="small")
        said.append(f"{NAMES[name]} {lab.estimate_mean(some.pooled('roughness')).value:.2f}")
    return figure, (
        "First-layer filters of the first run, from the same weights; below each its roughness "
        f"(0 constant, 1 noise). Mean over runs and filters: {', '.join(said)}."
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
        note=lambda cells: "mean roughness, at the start and of what was added: " + "; ".join(
            f"{NAMES[o]} {c.pooled('roughness').mean():.3f}, "
            f"{c.pooled('roughness_before').mean():.3f}, "
            f"{c.pooled('roughness_change').mean():.3f}" for o, c in cells.by("optimizer").items()),
    ),
    lab.Claim(
        id="B-E2-error", title="… and its test error higher", group="experiments",
        source=f"{ZCLG}, accuracies on CIFAR-10; here LeNet-5 on small images",
        statement="In the same trainings the test error of Adam is more than 0.01 above that of "
        "gradient descent with momentum.",
        expected="contradicted",
        requests=requests,
        parts=(_more("test_error", 0.01),),
        faults=(_planted("test_error", 0.02),),
        does_not_show=_OTHERS,
        note=lambda cells: "; ".join(
            f"{NAMES[o]}: test error {c.pooled('test_error').mean():.4f}, training error "
            f"{c.pooled('train_error').mean():.4f}" for o, c in cells.by("optimizer").items()),
    ),
)  # fmt: skip
FIGURES = (lab.Figure("filters", "First-layer filters of both optimizers", requests, _draw),)
TOPIC = lab.Topic((FILTERS,), CLAIMS, FIGURES)
