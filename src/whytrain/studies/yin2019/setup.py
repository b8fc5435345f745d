"""The network, the teacher and the starts of Yin et al., as settings and random draws."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike
from scipy.special import ndtr

from whytrain.errors import UnstableStepWarning, UserError
from whytrain.gaussian import ESTIMATORS, step
from whytrain.lab import Runs, Settings, normals, setting
from whytrain.landscapes import PlaneOrder, PlaneReduction, aligned_output

THEOREM = ("identity", "relu", "clipped_relu")  # the estimators of the paper
ROOT = math.sqrt(2 * math.pi)


@dataclass(frozen=True, kw_only=True)
class TeacherSettings(Settings):
    """The teacher: unit `w*`, unit `v*` with `(1.v*)^2 = alignment (m + 1)`."""

    m: int = setting(10, "number of patches", low=1, high=100_000)
    alignment: float = setting(
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

    def reduction(self, ste: str) -> PlaneReduction:
        """The landscape in its five order parameters, with an estimator's backward pass."""
        return PlaneReduction.of_sums(self.m, self.total_star, 1.0, step(ESTIMATORS[ste]))


@dataclass(frozen=True, kw_only=True)
class DescentSettings(TeacherSettings):
    """The estimator, how the network starts, and how it moves."""

    ste: str = setting("relu", "straight-through estimator", choices=tuple(ESTIMATORS))
    n: int = setting(8, "length of a patch; no result depends on it", low=2, high=100_000)
    output_scale: float = setting(
        0.3, "standard deviation of the entries of v_0", low=0, high=1e100
    )
    filter_norm: float = setting(1.0, "length of w_0", low=1e-100, high=1e100)
    angle: float | None = setting(
        None, "angle of w_0 to w*; default uniform in (0, pi)", unit="rad", low=0, high=math.pi
    )
    step_size: float = setting(0.05, "step size of both blocks", low=0, high=1e100, exclusive=True)
    steps: int = setting(20_000, "steps of a run", low=1)

    def check(self) -> None:
        """The teacher exists; a step size at which no run settles is warned of."""
        super().check()
        largest = 8 / (self.m + 1)  # 2 over the largest curvature of the output weights
        if self.step_size >= largest:
            warnings.warn(
                f"step_size = {self.step_size:g} is unstable: the linearized update at the global "
                "minimum does not contract, and runs that never settle count as diverged; take "
                f"less than 8/(m + 1) = {largest:.4g}",
                UnstableStepWarning,
                stacklevel=3,
            )


def told(values: ArrayLike, reduce: Callable[[np.ndarray], Any] = np.max) -> float | str:
    """One number for many, the largest by default; in words where some are not finite.

    Args:
        values: The numbers.
        reduce: Makes one of them.

    Example:
        >>> told([1.0, 3.0]), told([1.0, math.nan])
        (3.0, '1, without 1 of 2 that are not finite')
    """
    found = np.asarray(values)
    good = found[np.isfinite(found)]
    if len(good) == found.size:
        return float(reduce(found))
    least = f"{reduce(good):.6g}" if len(good) else "nothing"
    return f"{least}, without {found.size - len(good)} of {found.size} that are not finite"


def draw_orders(settings: DescentSettings, runs: Runs) -> PlaneOrder:
    """The order parameters of random starts."""

    def orders(keys: Array) -> PlaneOrder:
        normal = normals(keys, settings.m + 1)
        v = settings.output_scale * normal[:, : settings.m]
        theta = math.pi * ndtr(normal[:, settings.m])
        if settings.angle is not None:
            theta = np.full(len(keys), settings.angle)
        x, y = settings.filter_norm * np.cos(theta), settings.filter_norm * np.sin(theta)
        overlap = (v * settings.output_star).sum(axis=1)
        return PlaneOrder(x, y, v.sum(axis=1), overlap, (v**2).sum(axis=1))

    return runs.draw(orders, numbers=settings.m)


def settled(reduction: PlaneReduction, angle: float, length: float = 1.0) -> PlaneOrder:
    """A filter at this angle with the output weights at their best for it."""
    place = reduction.lift(reduction.on_sphere().settled(angle))
    return place._replace(x=length * np.cos(angle), y=length * np.sin(angle))


def trapping_threshold(m: int) -> float:
    """`u_c`: below it the identity estimator is trapped at a filter of length zero.

    The smaller root of `1 - (4 + 2 nu) u + (nu^2 - 4 nu + 8) u^2` with `nu = m / (m + 1)`, where
    the two equilibria of the sliding motion meet (derived in `docs/yin2019.md`).

    Example:
        >>> [round(trapping_threshold(m), 4) for m in (2, 4, 10, 40)]
        [0.2617, 0.2299, 0.2119, 0.203]
    """
    nu = m / (m + 1)
    a, b = nu**2 - 4 * nu + 8, 4 + 2 * nu
    return (b - math.sqrt(b * b - 4 * a)) / (2 * a)


def sliding_kappa(m: int, u: float) -> float:
    """The time-average of `kappa = 1 - 2 angle / pi` of a trapped run; NaN where none is trapped.

    The root nearer -1 of `kappa^2 (1 - (2 - nu) u) + kappa (1 - nu u) + u = 0`.
    """
    nu = m / (m + 1)
    a, b = 1 - (2 - nu) * u, 1 - nu * u
    root = b * b - 4 * a * u
    return math.nan if root < 0 else (-b - math.sqrt(root)) / (2 * a)


def collapse_time(m: int, u: float, length: float = 1.0) -> float:
    """When the identity estimator brings a filter at the spurious minimum to zero, with `|v*| = 1`.

    `sqrt(2 pi) (m + 1)^2 length / (2 (m - 1) S*^2)`, in units of step size times steps.
    """
    drift = 2 * (m - 1) * u / (ROOT * (m + 1))
    return length / drift if drift else math.inf
