"""Three numbers that carry normalized gradient descent on a shared filter of unit length."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import brentq

from whytrain._types import Numeric
from whytrain.gaussian import Activation
from whytrain.landscapes.basins import proved_basin
from whytrain.landscapes.landscape import CriticalPoint, Landscape
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.weights import Weights


class SphereOrder(NamedTuple):
    """Order parameters: `angle` to the teacher's filter, `total = 1.a`, `overlap = a.a*`."""

    angle: Float[Numeric, "*batch"]
    total: Float[Numeric, "*batch"]
    overlap: Float[Numeric, "*batch"]


class SphereReduction(Landscape):
    r"""The shared-filter landscape on the sphere `|v| = 1`, in three order parameters.

    The tangential gradient of the filter is `-overlap * pull(angle)` towards the teacher's
    filter, and the output weights are driven through `covariance(angle)` alone. With
    `V = q - m^2`, `M = m^2`, `C = covariance(angle)`, `S = total_star`, `A = power_star`, one step
    of normalized gradient descent is exactly

        angle   <- | angle - arctan(filter_size * overlap * pull(angle)) |
        total   <- total   - output_size * [ (V + M k) total - (C + M k) S ]
        overlap <- overlap - output_size * [ V overlap - C A - M S (S - total) ]

    (and an angle past `pi` is reflected to `2 pi - angle`). The loss needs `|a|^2` too; `loss` here
    is what is left when the output weights hold no more than these sums tell.

    Args:
        k: Number of patches.
        total_star: `S = 1.a*`.
        power_star: `A = |a*|^2`.
        variance: `V`.
        mean_square: `M`.
        activation: Gives `covariance` and `pull`.

    Source: Liu et al., NeurIPS 2019 (arXiv 1909.04653) for the method; the reduction is derived in
    `docs/liu2019.md`.
    """

    k: Float[Numeric, ""]
    total_star: Float[Numeric, ""]
    power_star: Float[Numeric, ""]
    variance: Float[Numeric, ""]
    mean_square: Float[Numeric, ""]
    activation: Activation

    @classmethod
    def of_teacher(
        cls, output_star: Float[Numeric, " k"], activation: Activation
    ) -> "SphereReduction":
        """The reduction for a teacher with these output weights and any unit filter."""
        a_star = np.asarray(output_star, dtype=np.float64)
        return cls.of_sums(a_star.size, math.fsum(a_star), math.fsum(a_star**2), activation)

    @classmethod
    def of_sums(
        cls, k: int, total_star: Any, power_star: Any, activation: Activation
    ) -> "SphereReduction":
        """The reduction for a teacher of whom only `k`, `1.a*` and `|a*|^2` are known."""
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            square = float(activation.mean(1.0)) ** 2
            variance = float(activation.second_moment(1.0)) - square
        numbers = (k, total_star, power_star, variance, square)
        traced = [x if isinstance(x, jax.Array) else np.float64(x) for x in numbers]
        return cls(traced[0], traced[1], traced[2], traced[3], traced[4], activation)

    # --- the two functions of the angle -----------------------------------------------------

    def covariance(self, angle: Float[Numeric, ""] | float) -> Any:
        """`C = E sigma(x) sigma(y) - m^2`; it falls with the angle at the rate `pull`."""
        return self.activation.cross(angle) - self.mean_square

    def pull(self, angle: Float[Numeric, ""] | float) -> Any:
        """The tangential gradient of the filter for `overlap = 1`; zero at 0 and at `pi`."""
        return self.activation.backward_cross(angle)[1]

    # --- the landscape ----------------------------------------------------------------------

    def loss(self, params: SphereOrder) -> Float[Array, ""]:
        """The smallest loss of any output weights with these two sums.

        The part of `|a|^2` outside the span of `1` and `a*`, which decays on its own by the factor
        `1 - output_size * V` a step, is taken to be gone.
        """
        s, u = params.total, params.overlap
        # |a - a*|^2 in the span of 1 and a*, by its Gram matrix.
        k, total, power = self.k, self.total_star, self.power_star
        ds, du = s - total, u - power
        determinant = k * power - total**2
        parallel = determinant <= 1e-12 * k * power
        both = (power * ds**2 - 2 * total * ds * du + k * du**2) / jnp.where(
            parallel, 1.0, determinant
        )
        gap = jnp.where(parallel, ds**2 / k, both)
        return (
            0.5 * self.variance * gap
            + self.activation.shortfall(params.angle) * u
            + 0.5 * self.mean_square * ds**2
        )

    def normalized_step(
        self, params: SphereOrder, step_sizes: Weights | Float[Numeric, ""]
    ) -> SphereOrder:
        """The image of one full step; step sizes as `Weights(filter, output)` or one for both."""
        sizes = _pair(step_sizes)
        slope = self._slope(params)
        turned = jnp.abs(params.angle + jnp.arctan(sizes.filter * slope.angle))
        return SphereOrder(
            jnp.where(turned > math.pi, 2 * math.pi - turned, turned),
            params.total - sizes.output * slope.total,
            params.overlap - sizes.output * slope.overlap,
        )

    def velocity(self, params: SphereOrder, rates: Weights | Float[Numeric, ""]) -> SphereOrder:
        """The small-step limit; rates as `Weights(filter, output)` or one for both."""
        pair = _pair(rates)
        slope = self._slope(params)
        return SphereOrder(
            pair.filter * slope.angle, -pair.output * slope.total, -pair.output * slope.overlap
        )

    def _slope(self, params: SphereOrder) -> SphereOrder:
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
        s = (c + self.mean_square * self.k) * self.total_star / self._stiffness
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
        with jax.enable_x64(True):
            flat = jax.vmap(self.covariance)(jnp.ravel(jnp.asarray(angle)))
        return np.asarray(flat).reshape(np.shape(angle))

    @property
    def _stiffness(self) -> Float[Numeric, ""]:
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
        return -c * self._stiffness / (self.mean_square * (self.variance - c))

    @functools.cached_property
    def saddle_angle(self) -> float | None:
        """The angle of the saddle between the two basins, or None where there is one basin only.

        It solves `C(angle) (A - T) = -V T` with `T = M S^2 / (V + M k)`. For ReLU that is
        `g(angle) = (A - pi q) / (A - q)` with `q = S^2 / (k + pi - 1)`.
        """
        t = self.mean_square * self.total_star**2 / self._stiffness
        level = -self.variance * t / (self.power_star - t)
        if self.opposite_covariance >= level:
            return None
        root = brentq(lambda x: float(self._covariances(x)) - level, 0.0, math.pi, xtol=1e-15)
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
        # Near pi the loss changes by -overlap * pull: fit pull = first * gap + second * gap^2.
        h = 1e-3
        with jax.enable_x64(True):
            near, far = float(self.pull(math.pi - h)), float(self.pull(math.pi - 2 * h))
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

    # --- where a run must end, and where it ended -------------------------------------------

    def stable(self, step_sizes: Weights | Float[Numeric, ""]) -> bool:
        """Whether the linearized update at the global minimum contracts with these step sizes.

        The filter's factor is `1 - filter_size * A * pull'(0)`, the outputs' are
        `1 - output_size * V` and `1 - output_size * (V + M k)`; each must stay above -1.
        """
        sizes = _pair(step_sizes)
        near = 1e-7
        with jax.enable_x64(True):
            slope = float(self.pull(near)) / near
        return bool(
            sizes.filter * self.power_star * slope < 2 and sizes.output * self._stiffness < 2
        )

    def verdict(
        self, params: SphereOrder, largest: Weights | Float[Numeric, ""]
    ) -> Int[Array, "*batch"]:
        """The minimum that a run is proved to end at, or `UNDECIDED` outside the proved regions.

        Args:
            params: Where the run is.
            largest: The largest step sizes that it will take from here on.

        Returns:
            The number of an `Outcome`. The two regions and their proof: `docs/basins.md`.
        """
        steepness = self.activation.steepness
        if steepness is None:
            return jnp.zeros(jnp.shape(params.angle), dtype=int)
        covariance = self.covariance(params.angle)
        constants = self.constants(largest)
        return proved_basin(covariance, params.total, params.overlap, *constants)

    def constants(
        self, largest: Weights | Float[Numeric, ""]
    ) -> tuple[Float[Numeric, ""] | Outcome, ...]:
        """What `proved_basin` needs to know of the landscape and the step sizes."""
        sizes = _pair(largest)
        return (
            self.variance, self.mean_square, self.k, self.total_star, self.power_star,
            self.opposite_covariance,
            sizes.filter * (self.activation.steepness or math.inf),
            sizes.output,
            Outcome[self._opposite_kind.upper()],
        )  # fmt: skip

    @functools.cached_property
    def _opposite_kind(self) -> str:
        return self._opposite().kind

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
        for point in self.critical_points():
            flat = point.degenerate is not None
            slack = flat_tolerance if flat else tolerance
            place = point.params
            near = np.abs(angle - place.angle) < slack
            # what an angle that is still off may do to the sums that follow it
            near &= np.abs(s - place.total) < (tolerance + slack**2) * math.sqrt(
                self.k * self.power_star
            )
            near &= np.abs(u - place.overlap) < (tolerance + slack**2) * self.power_star
            if point.kind == "saddle":
                near &= self._gradient_vanishes(params)
            elif flat:
                near &= u < 0
            codes = np.where(near, Outcome[point.kind.upper()], codes)
        finite = np.isfinite(angle) & np.isfinite(s) & np.isfinite(u)
        return np.where(finite, codes, Outcome.DIVERGED).astype(np.int8)

    def _gradient_vanishes(self, params: SphereOrder) -> np.ndarray:
        with jax.enable_x64(True):
            slope = jax.vmap(self._slope)(SphereOrder(*(jnp.atleast_1d(x) for x in params)))
        scale = float(self.power_star) + float(np.sqrt(self.k * self.power_star))
        return (
            np.max([np.abs(x) for x in slope], axis=0).reshape(np.shape(params.angle))
            < 1e-6 * scale
        )


def _pair(sizes: Weights | Float[Numeric, ""]) -> Weights:
    return sizes if isinstance(sizes, Weights) else Weights(sizes, sizes)
