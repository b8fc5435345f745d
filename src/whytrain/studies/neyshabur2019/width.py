"""Two-layer networks of one width, trained until they fit, and measured: most topics need them."""

import functools
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.data import Dataset, load, normalize, random_labels, subset
from whytrain.dynamics.training import train
from whytrain.errors import UserError
from whytrain.measures import Capacity, capacity
from whytrain.networks import TwoLayer

LEVELS = np.linspace(0, 1, 41)
PIXELS = (0.305,), (0.376,)  # mean and standard deviation of the pixels of all digits
ALL_DIGITS, TESTED = 1797, 10_000  # images of digits; test images of any other set


@dataclass(frozen=True, kw_only=True)
class WidthSettings(lab.Settings):
    """A network, its data, and the protocol of the paper."""

    data: str = lab.setting("digits", "image set", choices=("digits", "fashion-mnist", "mnist"))
    labels: str = lab.setting(
        "true", "the images' own classes, or drawn", choices=("true", "random")
    )
    width: int = lab.setting(256, "hidden units h", low=1, high=100_000)
    examples: lab.Derived[int] = lab.setting(
        None, "training examples m; default 600 of digits, 2000 of the others", low=64
    )
    step_size: float = lab.setting(
        0.01, "step size, constant; momentum is 0.9", low=0, exclusive=True
    )
    batch: int = lab.setting(64, "examples a step", low=1)
    target: float = lab.setting(0.01, "cross-entropy over an epoch at which training ends", low=0)
    epochs: int = lab.setting(3000, "epochs at which it ends in any case", low=1)

    @property
    def tested(self) -> int:
        """How many test examples there are."""
        return ALL_DIGITS - self.examples if self.data == "digits" else TESTED

    def check(self) -> None:
        """Fill in the number of examples."""
        self.derive("examples", 600 if self.data == "digits" else 2000)
        if self.batch > self.examples:
            raise UserError(f"setting 'batch' must be <= examples = {self.examples}")


@functools.cache
def prepared(data: str, labels: str, examples: int) -> Dataset:
    """The sample and the test set: drawn once, the same for every width and run.

    Of `digits` everything outside the sample is test set. Pixels are normalized, those of other
    sets with the numbers of the authors' code. Random labels are drawn for the sample; on a test
    set they would say nothing.
    """
    found, key = load(data), jax.random.key(2019)
    mean, deviation = PIXELS if data == "digits" else (None, None)
    found = normalize(found, mean, deviation)
    if data == "digits":
        images = np.concatenate([found.train_images, found.test_images])
        classes = np.concatenate([found.train_labels, found.test_labels])
        if not 1 <= examples < len(images):
            raise UserError(f"digits has {len(images)} images; examples must be fewer")
        order = np.asarray(jax.random.permutation(key, len(images)))
        sample, rest = order[:examples], order[examples:]
        found = replace(
            found, train_images=images[sample], train_labels=classes[sample],
            test_images=images[rest], test_labels=classes[rest],
        )  # fmt: skip
    else:
        found = subset(found, examples, key=key)
    if labels == "random":
        drawn = random_labels(found, jax.random.fold_in(key, 1))
        found = replace(found, train_labels=drawn.train_labels)
    return found


def compute(settings: WidthSettings, runs: lab.Runs) -> xr.Dataset:
    """Errors, epochs, norms, rows of Table 1, bounds, distributions of units and margins.

    Run 0 leaves the checkpoints `run-0-initial` and `run-0-trained`, which `measure network`
    takes; and so on.
    """
    dataset = prepared(settings.data, settings.labels, settings.examples)
    network = TwoLayer(dataset.shape, settings.width, len(dataset.classes))
    meanwhile = runs.checkpoints["training"]
    trained = train(
        network, dataset, runs.keys(), epochs=settings.epochs, step_size=settings.step_size,
        batch=settings.batch, target=settings.target, test_every=settings.epochs,
        checkpoint=meanwhile,
    )  # fmt: skip
    per_epoch = settings.examples // settings.batch
    rows = []
    for run in range(len(runs)):
        row = {
            "test_error": 1 - trained.metrics["test_accuracy"][run, 0, -1],
            "epochs": int(np.asarray(trained.position.steps)[run, 0]) // per_epoch,
            "fits": not bool(np.asarray(trained.position.training)[run, 0]),
            "m": settings.examples, "h": settings.width,
        }  # fmt: skip
        initial, last = _of_run(trained.initial, run), _of_run(trained.params, run)
        for name, params in {"initial": initial, "trained": last}.items():
            runs.checkpoints[f"run-{runs.first + run}-{name}"].write(
                params, **lab.as_dict(settings)
            )
        rows.append(row | _measured(initial, last, dataset))
    meanwhile.remove()
    return _labeled(rows)


def _of_run(params: dict, run: int) -> dict[str, np.ndarray]:
    """The weights of one network."""
    return {name: np.asarray(leaf[run, 0]) for name, leaf in params.items()}


def _measured(initial: dict, last: dict, dataset: Dataset) -> dict:
    """What the instrument says of one network; nothing where its margin is not positive."""
    try:
        found = capacity(initial, last, dataset.train_images, dataset.train_labels)
    except UserError:
        return {}
    return flat(found)


def flat(found: Capacity) -> dict:
    """The numbers of one measurement by name: `row_` of Table 1, `C_` of bounds, `..._levels`."""
    normalized = found.normalized_margins()
    return {
        "train_error": found.train_error, "margin": found.margin,
        "median_margin": float(np.median(found.margins)),
        "median_normalized_margin": float(np.median(normalized)),
        "unit_capacity": float(found.unit_capacity.mean()),
        "unit_impact": float(found.unit_impact.mean()),
        "angle": float(np.median(found.unit_angle)),
        "unit_capacity_levels": np.quantile(found.unit_capacity, LEVELS),
        "angle_levels": np.quantile(found.unit_angle, LEVELS),
        "normalized_margin_levels": np.quantile(normalized, LEVELS),
        "sum_of_squares_error": _sums(found),
        **found.norms,
        **{f"row_{name}": value for name, value in found.measures.items()},
        **{f"C_{name}": bound.capacity for name, bound in found.bounds.items()},
    }  # fmt: skip


def _sums(found: Capacity) -> float:
    """How far squared unit capacities and impacts are from summing to the Frobenius norms."""
    capacities = float((found.unit_capacity**2).sum()) / found.norms["U_distance_frobenius"] ** 2
    impacts = float((found.unit_impact**2).sum()) / found.norms["V_frobenius"] ** 2
    return max(abs(capacities - 1), abs(impacts - 1))


def _labeled(rows: list[dict]) -> xr.Dataset:
    full = max(rows, key=len)
    arrays = {}
    for name, value in full.items():
        empty = np.full(np.shape(value), np.nan)
        values = np.stack([np.asarray(row.get(name, empty), np.float64) for row in rows])
        arrays[name] = (("run", "level")[: values.ndim], values)
    return xr.Dataset(arrays, {"level": LEVELS})


def summarize(dataset: xr.Dataset, settings: WidthSettings) -> dict:
    """How many networks fit, and means with 95 % intervals of errors, units and the new bound.

    Means are over the networks that could be measured, of which `measured` is the number.
    """
    steps = {"test_error": 1 / settings.tested, "epochs": 1.0}
    shown = ("test_error", "epochs", "unit_capacity", "unit_impact", "C_neyshabur2019")
    found: dict = {"fit": int(dataset.fits.sum()), "width": settings.width, "measured": 0}
    for name in shown:
        values = dataset[name].values if name in dataset else np.array([])
        values = values[np.isfinite(values)]
        if len(values):
            resolution = steps.get(name, 0.0)
            found[name] = lab.estimate_mean(values, resolution=resolution).document()
            found["measured"] = len(values)
    return found


WIDTH = lab.Experiment(
    name="width",
    doc="two-layer networks of one width, trained until they fit, and their capacity",
    settings=WidthSettings,
    compute=compute,
    summarize=summarize,
    runs=3,
    block=8,
)

NARROW = 8  # networks of this width differ ten times as much from run to run as wider ones


def _runs(at: Any) -> int:
    few, many = (8, 64) if at.data == "digits" else (5, 10)
    return many if at.width <= NARROW else few


# Networks of every width: on the data of the preset; on digits, where the caveats show; and of one
# width with true and with random labels.
ON_DIGITS = {"data": "digits", "width": (8, 32, 128, 512, 2048)}
ON_FASHION = {"data": "fashion-mnist", "width": (8, 32, 128, 512, 2048, 4096, 8192)}
WIDTHS = WIDTH.grid({"quick": ON_DIGITS, "paper": ON_FASHION}, runs=_runs)
DIGITS = WIDTH.grid(runs=_runs, **ON_DIGITS)
LABELS = WIDTH.grid(
    {"quick": {"data": "digits"}, "paper": {"data": "fashion-mnist"}},
    width=512,
    labels=("true", "random"),
    runs=_runs,
)
