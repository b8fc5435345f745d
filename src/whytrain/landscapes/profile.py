"""The shared-filter landscape with the output weights at their best: critical points, outcomes."""

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from whytrain._lazy import later
from whytrain._types import Numeric
from whytrain.gaussian import Activation
from whytrain.landscapes.landscape import CriticalPoint, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.reduction import Reduction

optimize = later("scipy.optimize")


class SphereOrder(NamedTuple):
    """Order parameters: `angle` to the teacher's filter, `total = 1.a`, `overlap = a.a*`."""

    angle: Float[Numeric, "*batch"]
    total: Float[Numeric, "*batch"]
    overlap: Float[Numeric, "*batch"]


class AngleProfile(Reduction):
    r"""What `V, M, C` alone say of a shared filter of unit length, whatever the activation.

    For a filter held at an angle the best output weights solve `V a - C a* + M (s - S) 1 = 0`, and
    their loss `L` has the slope `L'(angle) = -u C'(angle)`. Minima, saddle and the threshold at
    which they exist follow from the sign of the overlap `u` along that curve: the rectifier of
    `liu2019` and the step of `yin2019` are two values of it.

    Args:
        k: Number of patches.
        total_star: `S = 1.a*`.
        power_star: `A = |a*|^2`.
        variance: `V = q - m^2`.
        mean_square: `M = m^2`.
        activation: Gives `covariance` and `pull`.

    Source: derived in `docs/liu2019.md` (critical points) and `docs/yin2019.md` (for the step).
    """

    parameters: ClassVar[type] = SphereOrder

    k: Float[Numeric, ""]
    total_star: Float[Numeric, ""]
    power_star: Float[Numeric, ""]
    variance: Float[Numeric, ""]
    mean_square: Float[Numeric, ""]
    activation: Activation

    # --- the two functions of the angle -----------------------------------------------------

    def covariance(self, angle: Float[Numeric, ""] | float) -> Any:
        """`C = E sigma(x) sigma(y) - m^2`; without a surrogate it falls at the rate `pull`."""
        return self.activation.cross(angle) - self.mean_square

    def pull(self, angle: Float[Numeric, ""] | float) -> Any:
        """The tangential backward pass of the filter for `overlap = 1`; zero at 0 and `pi`."""
        return self.activation.backward_cross(angle)[1]

    def _rise(self, angle: Float[Numeric, ""]) -> Any:
        """The derivative of `covariance`."""
        return jax.grad(self.covariance)(angle)

    def slope(self, params: SphereOrder) -> SphereOrder:
        """`-overlap * pull`, and what the output's gradient does to the two sums."""
        angle, s, u = params
        c, m, v = self.covariance(angle), self.mean_square, self.variance
        total = (v + m * self.k) * s - (c + m * self.k) * self.total_star
        overlap = v * u - c * self.power_star - m * self.total_star * (self.total_star - s)
        return SphereOrder(-u * self.pull(angle), total, overlap)

    # --- critical points --------------------------------------------------------------------

    def settled(self, angle: Float[Numeric, "*batch"]) -> SphereOrder:
        """The order parameters of the best output weights for a filter held at `angle`."""
        angle = np.asarray(angle, dtype=np.float64)
        c = self._covariances(angle)
        s = (c + self.mean_square * self.k) * self.total_star / self.stiffness
        drive = c * self.power_star + self.mean_square * self.total_star * (self.total_star - s)
        return SphereOrder(angle, s, drive / self.variance)

    def settled_output(
        self, output_star: Float[np.ndarray, " k"], angle: Float[Numeric, "*batch"]
    ) -> Float[np.ndarray, "..."]:
        """Those output weights themselves; many angles come as a column."""
        c = self._covariances(angle)
        s = self.settled(angle).total
        return (c * output_star + self.mean_square * (self.total_star - s)) / self.variance

    def _covariances(self, angle: Float[Numeric, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """`covariance` of concrete angles, in float64."""
        flat = at_each(self.covariance, np.ravel(np.asarray(angle, dtype=np.float64)))
        return flat.reshape(np.shape(angle))

    @property
    def stiffness(self) -> Float[Numeric, ""]:
        """`V + M k`: the largest curvature of the output weights."""
        return self.variance + self.mean_square * self.k

    @functools.cached_property
    def opposite_covariance(self) -> float:
        """`C(pi)`."""
        return float(self._covariances(math.pi))

    @property
    def existence_threshold(self) -> float:
        """The `S^2/A` below which a minimum at angle `pi` exists.

        `-C(pi) (V + M k) / (M (V - C(pi)))`; for ReLU `(k + pi - 1) / pi`. Infinite for an odd
        activation, whose opposite filter is as good as the teacher's.
        """
        if self.mean_square < 1e-15:
            return math.inf
        c = self.opposite_covariance
        return -c * self.stiffness / (self.mean_square * (self.variance - c))

    @functools.cached_property
    def saddle_angle(self) -> float | None:
        """The angle of the saddle between the two basins, or None where there is one basin only.

        It solves `C(angle) (A - T) = -V T` with `T = M S^2 / (V + M k)`. For ReLU that is
        `g(angle) = (A - pi q) / (A - q)` with `q = S^2 / (k + pi - 1)`.
        """
        t = self.mean_square * self.total_star**2 / self.stiffness
        level = -self.variance * t / (self.power_star - t)
        if self.opposite_covariance >= level:
            return None
        root = optimize.brentq(
            lambda x: float(self._covariances(x)) - level, 0.0, math.pi, xtol=1e-15
        )
        return float(np.asarray(root))

    def critical_points(self) -> Sequence[CriticalPoint]:
        """All critical points: angle 0, angle `pi`, and the saddle where there is one."""
        points = [CriticalPoint("global", self.settled(0.0), 0.0), self._opposite()]
        if self.saddle_angle is not None:
            saddle = self.settled(self.saddle_angle)._replace(overlap=np.float64(0.0))
            points.append(CriticalPoint("saddle", saddle, self._settled_loss(saddle)))
        return points

    def _opposite(self) -> CriticalPoint:
        """The critical point at angle `pi`."""
        place = self.settled(math.pi)
        loss = self._settled_loss(place)
        kind = "spurious" if place.overlap < 0 else "saddle"
        if loss < 1e-12 * self.power_star:
            kind = "global"
        # Near pi the loss changes by overlap * C': fit -C' = first * gap + second * gap^2.
        h = 1e-3
        near, far = -at_each(self._rise, math.pi - np.array([h, 2 * h]))
        first, second = (4 * near - far) / (2 * h), (far - 2 * near) / (2 * h**2)
        if abs(first) > 1e-5:
            return CriticalPoint(kind, place, loss)
        flat = SphereOrder(np.float64(-1.0), np.float64(0.0), np.float64(0.0))
        return CriticalPoint(kind, place, loss, flat, float(-place.overlap * second / 3))

    def _settled_loss(self, place: SphereOrder) -> float:
        """The loss of the best output weights at their angle."""
        c = float(self._covariances(place.angle))
        s, u = place.total, place.overlap
        m, total, power = self.mean_square, self.total_star, self.power_star
        return float(0.5 * ((self.variance * power - c * u) + m * total * (total - s)))

    # --- where a run ended ---------------------------------------------------------------------

    def outcome(
        self, params: SphereOrder, tolerance: float = 0.01, flat_tolerance: float = 0.1
    ) -> Int[np.ndarray, "*batch"]:
        """The critical point that each of a batch of order parameters has come to.

        Position decides: the sums within `tolerance` of the point's (relative to `sqrt(k A)` and
        `A`) and the angle within `tolerance` of its angle. At a degenerate minimum the approach is
        only as fast as `1/t`, and the angle may be off by `flat_tolerance` provided that the cubic
        term holds the run there (`overlap < 0`). At the saddle the gradient must vanish too, to
        1e-6 of its scale: runs pass near it.
        """
        angle, s, u = (np.asarray(leaf) for leaf in params)
        codes = np.full(angle.shape, Outcome.UNDECIDED, dtype=np.int8)
        power = float(self.power_star)
        for point in self.critical_points():
            flat = point.degenerate is not None
            slack = flat_tolerance if flat else tolerance
            place = point.params
            near = np.abs(angle - place.angle) < slack
            # what an angle that is still off may do to the sums that follow it
            off = tolerance + slack**2
            near &= np.abs(s - float(place.total)) < off * math.sqrt(float(self.k) * power)
            near &= np.abs(u - float(place.overlap)) < off * power
            if point.kind == "saddle":
                near &= self._gradient_vanishes(params)
            elif flat:
                near &= u < 0
            codes = np.where(near, Outcome[point.kind.upper()], codes)
        finite = np.isfinite(angle) & np.isfinite(s) & np.isfinite(u)
        return np.where(finite, codes, Outcome.DIVERGED).astype(np.int8)

    def _gradient_vanishes(self, params: SphereOrder) -> np.ndarray:
        slope = at_each(self.slope, SphereOrder(*(np.atleast_1d(x) for x in params)))
        scale = float(self.power_star) + float(np.sqrt(self.k * self.power_star))
        return (
            np.max([np.abs(x) for x in slope], axis=0).reshape(np.shape(params.angle))
            < 1e-6 * scale
        )
