"""Three numbers that carry normalized gradient descent on a shared filter of unit length."""

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from whytrain._types import Numeric
from whytrain.gaussian import Activation
from whytrain.landscapes.basins import proved_basin
from whytrain.landscapes.landscape import at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.profile import AngleProfile, SphereOrder
from whytrain.landscapes.reduction import VectorStep, pair
from whytrain.landscapes.rule import NORMALIZED_DESCENT, NORMALIZED_FLOW, Rule, first_owner
from whytrain.landscapes.weights import Weights


class SphereReduction(AngleProfile):
    r"""The shared-filter landscape on the sphere `|v| = 1`, in three order parameters.

    Exact under normalized gradient descent and under its flow, for every activation and every
    backward derivative.

    The tangential gradient of the filter is `-overlap * pull(angle)` towards the teacher's
    filter, and the output weights are driven through `covariance(angle)` alone. With
    `V = q - m^2`, `M = m^2`, `C = covariance(angle)`, `S = total_star`, `A = power_star`, one step
    of normalized gradient descent is exactly

        angle   <- | angle - arctan(filter_size * overlap * pull(angle)) |
        total   <- total   - output_size * [ (V + M k) total - (C + M k) S ]
        overlap <- overlap - output_size * [ V overlap - C A - M S (S - total) ]

    (and an angle past `pi` is reflected to `2 pi - angle`). The loss needs `|a|^2` too; `loss` here
    is what is left when the output weights hold no more than these sums tell.

    The fields, and the critical points, are those of `AngleProfile`.

    Source: Liu et al., NeurIPS 2019 (arXiv 1909.04653) for the method; the reduction is derived in
    `docs/liu2019.md`.
    """

    exact_under: ClassVar[tuple[Rule, ...]] = (NORMALIZED_DESCENT, NORMALIZED_FLOW)

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
        sizes = pair(step_sizes)
        slope = self.slope(params)
        turned = jnp.abs(params.angle + jnp.arctan(sizes.filter * slope.angle))
        return SphereOrder(
            jnp.where(turned > math.pi, 2 * math.pi - turned, turned),
            params.total - sizes.output * slope.total,
            params.overlap - sizes.output * slope.overlap,
        )

    def normalized_velocity(
        self, params: SphereOrder, rates: Weights | Float[Numeric, ""]
    ) -> SphereOrder:
        """The small-step limit; rates as `Weights(filter, output)` or one for both."""
        own = pair(rates)
        slope = self.slope(params)
        return SphereOrder(
            own.filter * slope.angle, -own.output * slope.total, -own.output * slope.overlap
        )

    def project(self, landscape: Any, params: Weights) -> SphereOrder:
        """The order parameters of weights of a `SharedFilter`."""
        return landscape.order(params)

    # --- where a run must end -------------------------------------------------------------

    def stable(self, rule: Rule, step_sizes: Weights | Float[Numeric, ""]) -> bool:
        """Whether the linearized update at the global minimum contracts with these step sizes.

        The filter's factor is `1 - filter_size * A * pull'(0)`, the outputs' are
        `1 - output_size * V` and `1 - output_size * (V + M k)`; each must stay above -1.
        """
        if rule != NORMALIZED_DESCENT:
            return True
        sizes = pair(step_sizes)
        return bool(
            sizes.filter * self.power_star * self._pull_at_zero < 2
            and sizes.output * self.stiffness < 2
        )

    @functools.cached_property
    def _pull_at_zero(self) -> float:
        """`pull'(0)`."""
        near = 1e-7
        return float(at_each(self.pull, np.array([near]))[0]) / near

    def proof(self, rule: Rule, largest: Weights | Float[Numeric, ""]) -> "ProvedBasins | None":
        """The two regions of `docs/basins.md`, for normalized descent by an activation of theirs.

        That is one with a `steepness`, and without a surrogate.
        """
        if rule != NORMALIZED_DESCENT or not self._as_written("steepness"):
            return None
        return ProvedBasins(self, self._constants(largest))

    def vector_step(
        self, rule: Rule, largest: Weights | Float[Numeric, ""], extremes: Sequence[str]
    ) -> VectorStep | None:
        """Normalized descent by an activation with a `scalar` form, if nothing is watched."""
        if rule != NORMALIZED_DESCENT or extremes or not self._as_written("scalar"):
            return None
        dual, numbers = self.activation.scalar, self._constants(largest)

        def kernel() -> Any:
            from whytrain.landscapes.sphere_kernel import sphere_kernel

            assert dual is not None
            return sphere_kernel(dual)

        constants = tuple(float(x) for x in numbers[:5])
        certificate = (*(float(x) for x in numbers[5:8]), int(numbers[8]))
        return VectorStep(kernel, constants, certificate, proves=self._as_written("steepness"))

    def _as_written(self, shortcut: str) -> bool:
        """Whether the activation has a shortcut, and nobody has changed what it abbreviates."""
        kind = type(self.activation)
        stated = first_owner(kind, shortcut)
        same = all(first_owner(kind, name) >= stated for name in ("cross", "backward_cross"))
        plain = type(self) is SphereReduction
        return plain and same and getattr(self.activation, shortcut) is not None

    def _constants(
        self, largest: Weights | Float[Numeric, ""]
    ) -> tuple[Float[Numeric, ""] | Outcome, ...]:
        """What `proved_basin` needs to know of the landscape and the step sizes."""
        sizes = pair(largest)
        return (
            self.variance, self.mean_square, self.k, self.total_star, self.power_star,
            self.opposite_covariance,
            sizes.filter * (self.activation.steepness or math.inf),
            sizes.output,
            Outcome[self._opposite_kind.upper()],
        )  # fmt: skip

    @functools.cached_property
    def _opposite_kind(self) -> str:
        return self.critical_points()[1].kind


class ProvedBasins(eqx.Module):
    """The minimum that a run is proved to end at, or `UNDECIDED` outside the proved regions.

    Attributes:
        reduction: The landscape.
        constants: What `proved_basin` needs to know of it and of the largest step sizes.

    Example:
        >>> from whytrain.gaussian import ReLU
        >>> with jax.enable_x64(True):
        ...     reduction = SphereReduction.of_sums(9, 1.0, 1.0, ReLU())
        ...     proved = reduction.proof(NORMALIZED_DESCENT, Weights(0.1, 0.1))
        ...     Outcome(int(proved(SphereOrder(0.2, 1.0, 1.0)))).word
        'global'
    """

    reduction: SphereReduction
    constants: tuple[Float[Numeric, ""] | Int[Numeric, ""], ...]

    def __call__(self, params: SphereOrder) -> Int[Numeric, "*batch"]:
        """The number of an `Outcome`. The two regions and their proof: `docs/basins.md`."""
        covariance = self.reduction.covariance(params.angle)
        return proved_basin(covariance, params.total, params.overlap, *self.constants)
