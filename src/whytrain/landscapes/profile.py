"""The shared-filter landscape with the output weights at their best: critical points, outcomes."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from whytrain._lazy import later
from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.gaussian import Activation
from whytrain.landscapes.landscape import CriticalPoint, Kind, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.reduction import Reduction

optimize = later("scipy.optimize")

_GRID = np.linspace(0, math.pi, 201)  # angles among which turns of a function are looked for


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
        """The `S^2/A` below which a minimum at angle `pi` exists, if `covariance` only falls.

        `-C(pi) (V + M k) / (M (V - C(pi)))`; for ReLU `(k + pi - 1) / pi`. Infinite for an odd
        activation, whose opposite filter is as good as the teacher's.

        Raises:
            UserError: The covariance rises somewhere.
        """
        if self._bends:
            raise UserError(
                "existence_threshold is of activations whose covariance falls from angle 0 to pi, "
                "and this one's turns in between; ask critical_points()"
            )
        if self.mean_square < 1e-15:
            return math.inf
        c = self.opposite_covariance
        return -c * self.stiffness / (self.mean_square * (self.variance - c))

    @property
    def _level(self) -> float:
        """The covariance at which the best output weights have no overlap with the teacher's.

        It solves `C (A - T) = -V T` with `T = M S^2 / (V + M k)`.
        """
        t = self.mean_square * self.total_star**2 / self.stiffness
        return float(-self.variance * t / (self.power_star - t))

    @functools.cached_property
    def saddle_angle(self) -> float | None:
        """The first angle at which the best output weights have no overlap with the teacher's.

        That of the saddle between the two basins, or None where there is one basin only, if
        `covariance` only falls. For ReLU it solves `g(angle) = (A - pi q) / (A - q)` with
        `q = S^2 / (k + pi - 1)`.
        """
        if self._bends:
            return min(self._crossings(), default=None)
        if self.opposite_covariance >= self._level - 1e-12 * float(self.variance):
            return None
        return self._crossing(0.0, math.pi)

    def _crossing(self, low: float, high: float) -> float:
        """The angle between two others at which the overlap changes its sign."""
        root = optimize.brentq(
            lambda x: float(self._covariances(x)) - self._level, low, high, xtol=1e-15
        )
        return float(np.asarray(root))

    def _crossings(self) -> list[float]:
        """All angles at which it does."""
        above = self._covariances(_GRID) > self._level
        return [self._crossing(_GRID[i], _GRID[i + 1]) for i in np.flatnonzero(np.diff(above))]

    @functools.cached_property
    def _bends(self) -> list[float]:
        """Angles inside of (0, pi) at which `covariance` turns; none of a monotone activation."""
        rise = at_each(self._rise, _GRID[1:-1])
        sure = np.abs(rise) > 1e-8 * np.abs(rise).max()  # the rest is rounding
        angles, up = _GRID[1:-1][sure], rise[sure] > 0
        turns = [angles[i : i + 2] for i in np.flatnonzero(np.diff(up))]
        return [
            float(optimize.brentq(lambda x: float(at_each(self._rise, np.array([x]))[0]), *turn))
            for turn in turns
        ]

    def critical_points(self) -> Sequence[CriticalPoint]:
        """All critical points: angle 0, angle `pi`, and those in between.

        In between the slope `-u C'` of the loss vanishes: with `u` at the saddle, and with `C'`
        where `covariance` turns. The loss is convex in the output weights, so that a minimum
        over the angle is a minimum and a maximum a saddle.
        """
        if self._bends:
            return self._points_of_bends()
        kind: Kind = "spurious" if self.settled(math.pi).overlap < 0 else "saddle"
        points = [CriticalPoint("global", self.settled(0.0), 0.0), self._opposite(kind)]
        if self.saddle_angle is not None:
            saddle = self.settled(self.saddle_angle)._replace(overlap=np.float64(0.0))
            points.append(CriticalPoint("saddle", saddle, self._settled_loss(saddle)))
        return points

    def _points_of_bends(self) -> list[CriticalPoint]:
        """Those of a covariance that turns: the signs of the slope between them tell the kinds."""
        between = np.sort([*self._bends, *self._crossings()])
        apart = np.diff(between, prepend=0.0) > 1e-5  # roots that are one but for rounding
        angles = np.array([0.0, *between[apart], math.pi])
        middles = (angles[1:] + angles[:-1]) / 2
        slope = -self.settled(middles).overlap * at_each(self._rise, middles)
        falls, rises = [slope[0] > 0, *(slope < 0)], [*(slope > 0), slope[-1] < 0]
        kinds: list[Kind] = [
            "spurious" if f and r else "saddle" for f, r in zip(falls, rises, strict=True)
        ]
        points = [CriticalPoint("global", self.settled(0.0), 0.0), self._opposite(kinds[-1])]
        for angle, kind in zip(angles[1:-1], kinds[1:-1], strict=True):
            place = self.settled(angle)
            points.append(self._named(CriticalPoint(kind, place, self._settled_loss(place))))
        return points

    def _named(self, point: CriticalPoint) -> CriticalPoint:
        """A minimum whose loss is 0 is a global one."""
        best = point.loss < 1e-12 * self.power_star
        return replace(point, kind="global") if best else point

    def _opposite(self, kind: Kind) -> CriticalPoint:
        """The critical point at angle `pi`."""
        place = self.settled(math.pi)
        point = self._named(CriticalPoint(kind, place, self._settled_loss(place)))
        # Near pi the loss changes by overlap * C': fit -C' = first * gap + second * gap^2.
        h = 1e-3
        near, far = -at_each(self._rise, math.pi - np.array([h, 2 * h]))
        first, second = (4 * near - far) / (2 * h), (far - 2 * near) / (2 * h**2)
        if abs(first) > 1e-5:
            return point
        flat = SphereOrder(np.float64(-1.0), np.float64(0.0), np.float64(0.0))
        return replace(point, degenerate=flat, cubic=float(-place.overlap * second / 3))

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
