"""The teacher and the estimators of Yin et al., and what several questions need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain import lab
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, step
from whytrain.landscapes import PlaneOrder, PlaneReduction, aligned_output
from whytrain.report import figures as draw

YIN, PUBLISHED, OWN = "Yin et al. 2019", "Yin et al. 2019, published version", "derived here"

THEOREM = ("identity", "relu", "clipped_relu")  # the estimators of the paper
LABELS = {"identity": "identity", "relu": "ReLU", "clipped_relu": "clipped ReLU"}
ROOT = math.sqrt(2 * math.pi)


@dataclass(frozen=True, kw_only=True)
class TeacherSettings(lab.Settings):
    """The teacher: unit `w*`, unit `v*` with `(1.v*)^2 = alignment (m + 1)`."""

    m: int = lab.setting(10, "number of patches", low=1, high=100_000)
    alignment: float = lab.setting(
        0.3, "u = (1.v*)^2 / ((m + 1) |v*|^2), from 0 to m/(m + 1)", low=0, high=1
    )

    def check(self) -> None:
        """An output vector with this sum exists."""
        most = self.m / (self.m + 1)
        if self.alignment > most * (1 + 1e-12):
            raise UserError(
                f"setting 'alignment' must be <= m/(m + 1) = {most:.6g} (Cauchy-Schwarz), "
                f"got {self.alignment:g}"
            )
        if self.m == 1 and self.alignment < most * (1 - 1e-12):
            raise UserError(
                f"with m = 1 the output weight is 1 or -1 and setting 'alignment' is 0.5, got "
                f"{self.alignment:g}; add alignment=0.5, or take m >= 2"
            )

    @property
    def total_star(self) -> float:
        """`S* = 1.v*`."""
        return math.sqrt(self.alignment * (self.m + 1))

    @property
    def output_star(self) -> Float[np.ndarray, " m"]:
        """`v*`."""
        return aligned_output(self.m, self.alignment * (self.m + 1), 1.0)


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings(TeacherSettings):
    """The teacher, and the estimator by which a student of it moves."""

    ste: str = lab.setting("relu", "straight-through estimator", choices=tuple(ESTIMATORS))

    @property
    def reduction(self) -> PlaneReduction:
        """The landscape in its five order parameters, with the estimator's backward pass."""
        return PlaneReduction.of_sums(self.m, self.total_star, 1.0, step(ESTIMATORS[self.ste]))


def starts_at_best(
    reduction: PlaneReduction,
    angle: float,
    x: Float[np.ndarray, " run"],
    y: Float[np.ndarray, " run"],
) -> PlaneOrder:
    """Filters at `(x, y)` with the output weights that are the best at an angle."""
    best = reduction.lift(reduction.on_sphere().settled(angle))
    return PlaneOrder(x, y, *(np.full(len(x), float(leaf)) for leaf in best[2:]))


def mean_of_finite(values: Float[np.ndarray, " run"]) -> lab.Estimate:
    """The mean over the runs that have a number; unknown where none has."""
    finite = values[np.isfinite(values)]
    return lab.estimate_mean(finite) if len(finite) else lab.Estimate.unknown(len(values))


def label(ste: str) -> str:
    """An estimator's name in a figure."""
    return LABELS.get(ste, ste.replace("_", " "))


def series(ste: str, x: Any, y: Any, bounds: Sequence = ()) -> "draw.Series":
    """An estimator's line in a figure, in its own color, with a band between `(low, high)`."""
    low, high = np.transpose(bounds) if len(bounds) else (None, None)
    x = np.asarray(x)
    return draw.Series(
        x, y, label(ste), low=low, high=high, color=ste if ste in LABELS else None, marker="o"
    )
