"""The network, the teacher and the starts of Liu et al., as settings and random draws."""

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from whytrain import lab
from whytrain.dynamics import NormalizedGradientDescent, constant, warm_up
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.gaussian import ReLU
from whytrain.landscapes import (
    SharedFilter,
    SphereOrder,
    SphereReduction,
    Weights,
    aligned_output,
    at_each,
    ball_coordinates,
    plane_sums,
    sphere_angle,
)
from whytrain.landscapes.rule import NORMALIZED_DESCENT

LIU, DU, OWN = "Liu et al. 2019", "Du et al. 2018", "derived here"
NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet with warm-up": {"architecture": "resnet", "warmup": True},
    "ResNet without": {"architecture": "resnet", "warmup": False},
    "CNN": {"architecture": "cnn", "warmup": False},
}
COLORS = dict(zip(NETWORKS, ("warmed up", "residual", "plain"), strict=True))


@dataclass(frozen=True, kw_only=True)
class TeacherSettings(lab.Settings):
    """The teacher: `a*` by its sum and length, `v*` by its angle to the first filter."""

    k: int = lab.setting(25, "number of patches", low=1, high=100_000)
    p: int = lab.setting(8, "length of a patch", low=1, high=100_000)
    alignment: float = lab.setting(1.0, "S^2/A of the teacher, from 0 to k", low=0)
    norm: lab.Derived[float] = lab.setting(
        None, "length sqrt(A) of a*; default k", low=0, high=1e100, exclusive=True
    )

    def check(self) -> None:
        """An output vector with this sum exists, and the default length is filled in."""
        if self.alignment > self.k:
            raise UserError(
                f"setting 'alignment' must be <= k = {self.k} (Cauchy-Schwarz: S^2 <= k A), "
                f"got {self.alignment:g}"
            )
        if self.k == 1 and self.alignment != 1:
            raise UserError(f"with k = 1 the alignment S^2/A is 1, got {self.alignment:g}")
        self.derive("norm", float(self.k))

    @property
    def output_star(self) -> Float[np.ndarray, " k"]:
        """`a*` of length `norm` whose sum is `norm sqrt(alignment)`.

        The part across `1` is a ramp: every direction there gives the same runs in law, for the
        ball of starts is round.
        """
        return aligned_output(self.k, self.alignment, self.norm)

    @property
    def reduction(self) -> SphereReduction:
        """The landscape in its three order parameters."""
        total = self.norm * math.sqrt(self.alignment)
        return _reduction(self.k, total, self.norm**2)


@functools.lru_cache
def _reduction(k: int, total: float, power: float) -> SphereReduction:
    """One landscape for all pieces of a setting: it remembers what it has found of itself."""
    return SphereReduction.of_sums(k, total, power, ReLU())


@dataclass(frozen=True, kw_only=True)
class DescentSettings(TeacherSettings):
    """How the network starts and how it moves."""

    architecture: str = lab.setting("resnet", "network", choices=("resnet", "cnn"))
    warmup: bool = lab.setting(True, "whether the filter's step size starts at step_size^2")
    angle: float | None = lab.setting(
        None, "angle of v_0 to v* (resnet only); default pi/3", unit="rad", low=0, high=math.pi
    )
    step_size: lab.Derived[float] = lab.setting(
        None, "step size of the output weights; default 1/k^2", low=0, exclusive=True
    )
    filter_step_size: lab.Derived[float] = lab.setting(
        None, "step size of the filter; default step_size", low=0, exclusive=True
    )
    radius: lab.Derived[float] = lab.setting(
        None, "radius of the ball of a_0; default |S|/sqrt(k)", low=0, high=1e100
    )
    warmup_steps: lab.Derived[int] = lab.setting(
        None, "steps of the warm-up; default 7/step_size, which theory asks for", low=0
    )
    steps: lab.Derived[int] = lab.setting(None, "most steps of a run; default 200/step_size", low=1)

    def check(self) -> None:
        """Fill in the derived defaults and check the geometry."""
        super().check()
        self.derive("step_size", 1 / self.k**2)
        self.derive("filter_step_size", self.step_size)
        self.derive("radius", self.norm * math.sqrt(self.alignment / self.k))
        self.derive("warmup_steps", math.ceil(7 / self.step_size))
        self.derive("steps", max(1000, math.ceil(200 / self.step_size)))
        if self.architecture == "cnn":
            object.__setattr__(self, "angle", None)  # its filter starts anywhere on the sphere
        else:
            self.derive("angle", math.pi / 3)
            if self.p == 1 and self.angle not in (0.0, math.pi):
                raise UserError(
                    f"with p = 1 the angle of two filters is 0 or pi, got {self.angle:g}; take p "
                    ">= 2"
                )

        warn_if_unstable(self.reduction, self.filter_step_size, self.step_size)

    @property
    def method(self) -> NormalizedGradientDescent:
        """Normalized gradient descent, with warm-up of the filter's step size if asked for."""
        size = self.filter_step_size
        first = min(self.step_size**2, size)
        # Without warm-up it is a warm-up of no steps, so that both are one compiled program.
        schedule = warm_up(first, size, self.warmup_steps if self.warmup else 0)
        return NormalizedGradientDescent(Weights(schedule, constant(self.step_size)))

    @property
    def landscape(self) -> SharedFilter:
        """The landscape of the whole network."""
        shortcut = np.full(self.p, 1 / math.sqrt(self.p))
        filter_star = _turned(shortcut, self.angle or 0.0)
        resnet = self.architecture == "resnet"
        return SharedFilter(filter_star, self.output_star, shortcut=shortcut if resnet else None)


def check_axis(name: str, low: float, high: float) -> None:
    """An axis runs upwards."""
    if low > high:
        raise UserError(f"setting '{name}_low' must be <= {name}_high = {high:g}, got {low:g}")


def warn_if_unstable(reduction: SphereReduction, filter_size: float, output_size: float) -> None:
    """Say so where the linearized update at the global optimum does not contract."""
    if not reduction.stable(NORMALIZED_DESCENT, Weights(filter_size, output_size)):
        warnings.warn(
            f"filter_step_size = {filter_size:g} and step_size = {output_size:g} are unstable: the "
            "linearized update at the global optimum does not contract, and runs that never settle "
            "count as diverged; take smaller steps",
            UnstableStepWarning,
            stacklevel=3,
        )


def draw_weights(settings: DescentSettings, runs: lab.Runs) -> Weights:
    """The whole starts: `a_0` uniform in its ball; `v_0` the shortcut, or uniform on the sphere."""
    return runs.draw(functools.partial(_weights, settings), numbers=settings.k + settings.p)


def orders_of(settings: DescentSettings, weights: Weights) -> SphereOrder:
    """The order parameters of whole starts."""
    if settings.angle is None:
        return at_each(settings.landscape.order, weights)
    # The angle is given; measuring it again would round it.
    a = weights.output
    overlap = (a * settings.output_star).sum(axis=1)
    return SphereOrder(np.full(len(a), settings.angle), a.sum(axis=1), overlap)


def draw_orders(settings: DescentSettings, runs: lab.Runs) -> SphereOrder:
    """The order parameters of such starts, by their own law: the cost depends on no `k` or `p`."""
    uniforms = runs.draw(lambda keys: lab.uniforms(keys, 4))
    x, y = (settings.radius * leaf for leaf in ball_coordinates(uniforms[:, :2], settings.k))
    total, overlap = plane_sums(x, y, settings.k, settings.alignment, settings.norm)
    if settings.angle is None:
        return SphereOrder(sphere_angle(uniforms[:, 2:], settings.p), total, overlap)
    return SphereOrder(np.full(len(runs), settings.angle), total, overlap)


def _weights(settings: DescentSettings, keys: Array) -> Weights:
    # The first k of k + 2 coordinates of a uniform point on a sphere are uniform in the ball
    # (Barthe et al., "A probabilistic approach to the geometry of the l_p^n-ball", 2005).
    k, p = settings.k, settings.p
    normal = lab.normals(keys, k + 2 + p)
    around, v = normal[:, : k + 2], normal[:, k + 2 :]
    output = settings.radius * around[:, :k] / np.linalg.norm(around, axis=1, keepdims=True)
    if settings.architecture == "resnet":
        return Weights(np.zeros((len(keys), p)), output)
    return Weights(v / np.linalg.norm(v, axis=1, keepdims=True), output)


def _turned(v: Float[np.ndarray, " p"], angle: float) -> Float[np.ndarray, " p"]:
    """A unit vector at `angle` to the unit vector `v`."""
    if len(v) == 1:
        return v * math.cos(angle)
    across = np.eye(len(v))[0] - v[0] * v
    turned = math.cos(angle) * v + math.sin(angle) * across / np.linalg.norm(across)
    return turned / np.linalg.norm(turned)


def network(settings: DescentSettings) -> str:
    """The name of a network, as in `NETWORKS`; of a CNN whatever its warm-up."""
    if settings.architecture == "cnn":
        return "CNN"
    return "ResNet with warm-up" if settings.warmup else "ResNet without"


def ratio(settings: DescentSettings) -> float:
    """The filter's step size over that of the output weights."""
    return settings.filter_step_size / settings.step_size


def length(settings: TeacherSettings) -> str:
    """The length of `a*` in words."""
    k, norm = settings.k, settings.norm
    return {1.0: "1", math.sqrt(k): "√k", float(k): "k"}.get(norm, f"{norm:g}")


def prior(settings: DescentSettings) -> str:
    """The angle of `v_0` to `v*` in words."""
    angle = settings.angle
    return "any" if angle is None else "$π/3$" if angle == math.pi / 3 else f"{angle:g}"
