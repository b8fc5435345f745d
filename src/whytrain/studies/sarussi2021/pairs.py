"""The same on images of two classes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.data import available, load
from whytrain.measures import linear_svm
from whytrain.studies.sarussi2021.scale import PROBES, changed_at, seen
from whytrain.studies.sarussi2021.setup import (
    BIAS,
    SBG,
    LevelSettings,
    Problem,
    TrainSettings,
    drawn,
    each,
    starts,
    train,
)  # fmt: skip

SIDES = {"digits": 8, "fashion-mnist": 14}  # pixels a side; Fashion-MNIST is averaged two by two
DIGITS = ((0, 1), (3, 5), (4, 9), (1, 7), (3, 8))
FASHION = ((0, 1), (1, 3), (5, 9))


@dataclass(frozen=True, kw_only=True)
class PairSettings(TrainSettings, LevelSettings):
    """Two classes of images, with a constant feature in place of a bias."""

    images: str = lab.setting("digits", "which images", choices=tuple(SIDES))
    one: int = lab.setting(0, "class with the sign 1", low=0, high=9)
    other: int = lab.setting(1, "class with the sign -1", low=0, high=9)
    examples: int = lab.setting(200, "training examples n", low=2, high=100_000)

    largest: float = lab.setting(
        10.0, "the other standard deviation", low=0, high=1e50, exclusive=True
    )

    @property
    def inputs(self) -> int:
        """Features of an example, with the constant one."""
        return SIDES[self.images] ** 2 + 1

    def draw(self, key: Array) -> dict[str, Array]:
        """Weights of deviation 1, and an order of the images."""
        of_weights, of_order = jax.random.split(key)
        count = len(_pair(self.images, self.one, self.other)[1])
        return {**self.network.init(of_weights), "order": jax.random.permutation(of_order, count)}

    def isotropic(self, key: Array) -> Array:
        """Probes of the boundary."""
        return self.points(key, PROBES)


def compute(settings: PairSettings, runs: lab.Runs) -> xr.Dataset:
    """Train on examples of a pair from small and large weights; decisions beside the SVM's."""
    draws, probes = drawn(runs, settings.draw), drawn(runs, settings.isotropic)
    parts = [_split(settings, order) for order in draws["order"]]
    x, y = (np.stack([part[place] for part in parts]) for place in (0, 1))
    scales = [settings.init_scale, settings.largest]
    problems = Problem(draws["w"], draws["u"], x, y)
    trained, ended = train(settings, starts(problems, scales), settings.level)
    rows = []
    for place, one in enumerate(each(trained)):
        run = place // len(scales)
        test_x, test_y = parts[run][2:]
        svm = np.where(test_x @ linear_svm(one.x, one.y) >= 0, 1.0, -1.0)
        rows.append(
            seen(settings, one, probes[run], test_x, test_y) | {"svm": np.mean(svm == test_y)}
        )
    found = {name: [row[name] for row in rows] for name in rows[0]}
    found |= {"reached": ended.stopped.values > 0}
    shape = len(runs), len(scales)
    return xr.Dataset(
        {name: (("run", "scale"), np.reshape(v, shape)) for name, v in found.items()},
        {"scale": scales},
    )


def _split(settings: PairSettings, order: np.ndarray) -> tuple[np.ndarray, ...]:
    """Training and test examples in this order, centered and scaled by the training ones."""
    x, y = _pair(settings.images, settings.one, settings.other)
    n = settings.examples
    x, y = x[order], y[order]
    x = x - x[:n].mean(axis=0)
    x = x / np.linalg.norm(x[:n], axis=1).max()
    x = np.hstack([x, np.full((len(x), 1), BIAS)])
    return x[:n], y[:n], x[n:], y[n:]


@cache
def _pair(images: str, one: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes as vectors with the signs 1 and -1, in order."""
    found = load(images)
    x = np.concatenate([found.train_images, found.test_images])[..., 0].astype(float)
    side = SIDES[images]
    x = x.reshape(len(x), side, x.shape[1] // side, side, -1).mean(axis=(2, 4)).reshape(len(x), -1)
    labels = np.concatenate([found.train_labels, found.test_labels])
    chosen = np.isin(labels, (one, other))
    return x[chosen], np.where(labels[chosen] == one, 1.0, -1.0)


PAIRS = lab.Experiment(
    name="real-pairs",
    doc="two classes of images: decisions after training from small and from large weights",
    settings=PairSettings,
    compute=compute,
    runs=5,
    block=64,
)
PRESETS = {"quick": {"runs": 5}, "paper": {"runs": 20}}
ON_DIGITS = PAIRS.grid(PRESETS, cases=tuple({"one": a, "other": b} for a, b in DIGITS))
ON_FASHION = PAIRS.grid(
    {"quick": {"runs": 5}, "paper": {"runs": 10}},
    cases=tuple({"images": "fashion-mnist", "one": a, "other": b} for a, b in FASHION),
)


def requests(preset: str) -> list[lab.Request]:
    """Pairs of digits; with the preset `paper` those of Fashion-MNIST too, where it is."""
    fashion = preset == "paper" and available("fashion-mnist")
    return ON_DIGITS(preset) + (ON_FASHION(preset) if fashion else [])


def _pairs(name: str, place: int) -> Callable[[lab.Cells], list[np.ndarray]]:
    return lambda cells: [cell.data[name].values[:, place] for cell in cells]


def _differences(cells: lab.Cells) -> lab.Estimate:
    accuracy = np.concatenate([cell.data.accuracy.values for cell in cells])
    return lab.estimate_mean(accuracy[:, 0] - accuracy[:, 1])


def _beside_svm(cells: lab.Cells) -> lab.Estimate:
    gaps = [cell.data.accuracy.values[:, 0] - cell.data.svm.values[:, 0] for cell in cells]
    return lab.estimate_mean(np.concatenate(gaps), resolution=1e-3)


def _said(cell: lab.Cell) -> str:
    at, (small, large) = cell.settings, cell.data.accuracy.mean("run").values
    svm = float(cell.data.svm.mean())
    return f"{at.images} {at.one}/{at.other} {small:.3f}, {large:.3f}, {svm:.3f}"


CLAIMS = (
    lab.Claim(
        id="C-T6-images", title="The same on images of two classes", group="experiments",
        source=f"{SBG}, experiments on pairs of digits; data, sizes and thresholds are ours",
        statement="On pairs of digits (and of Fashion-MNIST in the preset paper, where it is) "
        "networks from small weights ($s = 10⁻⁴$) decide linearly, as accurately as a linear SVM "
        "up to 1 %; from large ones ($s = 10$) they do not, and are less accurate.",
        requests=requests,
        parts=(
            lab.Part("agreement with a linear rule, small, pair by pair", lambda cells: [
                lab.estimate_mean(v, resolution=2 / PROBES) for v in _pairs("linear", 0)(cells)],
                lab.above(0.96)),
            lab.Part("agreement with a linear rule, large, pair by pair", lambda cells: [
                lab.estimate_mean(v, resolution=2 / PROBES) for v in _pairs("linear", 1)(cells)],
                lab.below(0.95)),
            lab.Part("accuracy of small less that of the linear SVM", _beside_svm,
                     lab.equals(0.0, 0.01)),
            lab.Part("accuracy of small less that of large", _differences, lab.above(0.0)),
        ),
        faults=(
            lab.Fault("small weights end 5 % less linear",
                      changed_at("linear", 0, lambda v: v - 0.05)),
            lab.Fault("large weights end 8 % more linear",
                      changed_at("linear", 1, lambda v: v + 0.08)),
            lab.Fault("the SVM is 3 % more accurate", changed_at("svm", 0, lambda v: v + 0.03)),
            lab.Fault("large weights are 5 % more accurate",
                      changed_at("accuracy", 1, lambda v: v + 0.05)),
        ),
        does_not_show="Images that no linear rule separates, and larger samples.",
        note=lambda cells: "accuracy small, large, SVM: " + "; ".join(map(_said, cells)),
    ),
)  # fmt: skip

TOPIC = lab.Topic((PAIRS,), CLAIMS)
