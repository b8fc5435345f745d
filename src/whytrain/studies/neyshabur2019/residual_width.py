"""Do wider residual networks generalize better too, long after they fit?"""

from dataclasses import dataclass, replace

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.data import Dataset
from whytrain.dynamics.training import Trained, train
from whytrain.errors import UserError
from whytrain.networks import ResNet18
from whytrain.studies.neyshabur2019 import curves
from whytrain.studies.neyshabur2019.errors import beyond, fits_and_generalizes
from whytrain.studies.neyshabur2019.trends import ONE_MISSES, PAPER, REVERSED, by_width, values
from whytrain.studies.neyshabur2019.width import ALL_DIGITS, TESTED, prepared

FIT = 0.01  # cross-entropy at which the step size falls, if training goes on
SLOWER = 0.1  # what it is then multiplied by
KINDS = ("digits", "fashion-mnist", "mnist", "cifar10")


@dataclass(frozen=True, kw_only=True)
class ResidualSettings(lab.Settings):
    """A residual network, its data, and the protocol of the paper without its augmentation."""

    data: str = lab.setting("digits", "image set", choices=KINDS)
    width: int = lab.setting(
        8, "channels k of the first blocks; the last have 8 k", low=1, high=10_000
    )
    examples: lab.Derived[int] = lab.setting(
        None, "training examples m; default 600 of digits, 1000 of the others", low=64
    )
    shrink: lab.Derived[int] = lab.setting(
        None, "pixels a side averaged to one; default 1 of digits, 2 of the others", low=1
    )
    step_size: float = lab.setting(
        0.1, "step size until the loss is 0.01, then a tenth of it", low=0, exclusive=True
    )
    batch: int = lab.setting(64, "examples a step", low=1)
    target: float = lab.setting(FIT, "cross-entropy at which training ends", low=0, high=FIT)
    epochs: int = lab.setting(300, "epochs at which either step size ends in any case", low=1)

    @property
    def tested(self) -> int:
        """How many test examples there are."""
        return ALL_DIGITS - self.examples if self.data == "digits" else TESTED

    def check(self) -> None:
        """Fill in the sizes of the sample and its images."""
        small = self.data == "digits"
        self.derive("examples", 600 if small else 1000)
        self.derive("shrink", 1 if small else 2)
        if self.batch > self.examples:
            raise UserError(f"setting 'batch' must be <= examples = {self.examples}")


def shrunk(dataset: Dataset, by: int) -> Dataset:
    """The same images, with squares of pixels averaged to one."""
    height, width, channels = dataset.shape
    if height % by or width % by:
        raise UserError(f"setting 'shrink' must divide the sides {height} and {width}, got {by}")

    def smaller(images: np.ndarray) -> np.ndarray:
        cut = images.reshape(len(images), height // by, by, width // by, by, channels)
        return cut.mean(axis=(2, 4), dtype=np.float32)

    return replace(
        dataset, train_images=smaller(dataset.train_images),
        test_images=smaller(dataset.test_images),
    )  # fmt: skip


def compute(settings: ResidualSettings, runs: lab.Runs) -> xr.Dataset:
    """Errors and epochs.

    The paper's target is a tenth of the default here, which narrow networks come to only slowly.
    The momentum starts from zero again where the step size falls.
    """
    dataset = shrunk(prepared(settings.data, "true", settings.examples), settings.shrink)
    network = ResNet18(dataset.shape, settings.width, len(dataset.classes))

    def go(keys: jax.Array, step_size: float, target: float, starts: dict | None) -> Trained:
        return train(
            network, dataset, keys, epochs=settings.epochs, step_size=step_size,
            batch=settings.batch, target=target, test_every=settings.epochs, starts=starts,
        )  # fmt: skip

    phases = [go(runs.keys(), settings.step_size, FIT, None)]
    if settings.target < FIT:
        # Keys of their own: which epoch it is, when the last of a block is so far, must not count.
        later = jax.vmap(lambda key: jax.random.fold_in(key, 1000))(runs.keys())
        slower = settings.step_size * SLOWER
        phases.append(go(later, slower, settings.target, phases[0].params))
    steps = sum(np.asarray(phase.position.steps)[:, 0] for phase in phases)
    missed = sum(np.asarray(phase.position.training)[:, 0] for phase in phases)
    last = phases[-1].metrics
    found = {
        "test_error": 1 - last["test_accuracy"][:, 0, -1],
        "train_error": 1 - _last(last["train_accuracy"][:, 0]),
        "epochs": steps // (settings.examples // settings.batch),
        "fits": missed == 0,
        "h": np.full(len(runs), settings.width),
        "m": np.full(len(runs), settings.examples),
    }
    return xr.Dataset({name: ("run", np.asarray(of, float)) for name, of in found.items()})


def _last(course: np.ndarray) -> np.ndarray:
    """The value of each run's own last epoch."""
    return np.array([row[np.flatnonzero(np.isfinite(row))[-1]] for row in course])


RESIDUAL_WIDTH = lab.Experiment(
    name="residual-width",
    doc="pre-activation ResNet18 of one width, trained until it fits, and its test error",
    settings=ResidualSettings,
    compute=compute,
    runs=3,
    block=8,
    version=5,
)

RESIDUAL = RESIDUAL_WIDTH.grid({
    "quick": {"runs": 8, "data": "digits", "width": (2, 4, 8)},
    "paper": {"runs": 4, "data": "fashion-mnist", "width": (4, 6, 8, 12, 16)},  # ceil(2^(2 + i/2))
})  # fmt: skip


def _draw(cells: lab.Cells) -> tuple:
    figure = curves.panels(
        cells, [("test error", {"test_error": ""}), ("epochs to the target", {"epochs": ""})],
        x_label="channels", apart=1.3,
    )  # fmt: skip
    narrow, *_, wide = (cell.settings for cell in by_width(cells, 2))
    fit, all_runs = curves.fit(cells)
    first, *_, last = (values(cell.data, "test_error").mean() for cell in by_width(cells))
    return figure, (
        f"Pre-activation ResNet18: {fit} of {all_runs} networks fit their "
        f"sample of {narrow.examples} images, to a cross-entropy of {narrow.target:g}. The mean "
        f"test error goes from {first:.3f} with {narrow.width} channels in its first blocks to "
        f"{last:.3f} "
        f"with {wide.width}; bands are 95 % intervals over {curves.seeds(cells)} seeds. Channels, "
        "images and sample are smaller than the paper's, which are of CIFAR-10."
    )


CLAIMS = (
    lab.Claim(
        id="N-E1-residual", title="So do residual networks", group="experiments",
        source=f"{PAPER}, Figure 1 (left)",
        statement="Residual networks of moderate width fit the sample too (cross-entropy below "
        "0.01), and the test error keeps falling beyond. (Here: fewer channels, fewer and smaller "
        "images than the paper's, no augmentation.)",
        requests=RESIDUAL,
        parts=fits_and_generalizes("misses", "the target"),
        faults=(REVERSED, ONE_MISSES),
        note=beyond("misses"),
        does_not_show="Networks of the paper's size, on its data.",
        growth=2, figures=("residual",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((RESIDUAL_WIDTH,), CLAIMS, (
    lab.Figure("residual", "Residual networks (Figure 1, left)", RESIDUAL, _draw),
))  # fmt: skip
