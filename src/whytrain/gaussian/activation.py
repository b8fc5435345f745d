"""What a landscape asks of an activation: its Gaussian expectations, forward and backward."""

import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float

from whytrain._types import Numeric

Scalar = Float[Numeric, ""]


class Activation(eqx.Module):
    r"""An activation `sigma` with the derivative `mu'` that the backward pass uses for it.

    Let `x` and `y` be standard normal with correlation `cos(angle)`. `x` is the input along the
    student's filter of length `radius`, `y` the one along the teacher's of length `radius_star`,
    and `z` the input itself, of which `x` is one coordinate. Each method below is one expectation,
    a scalar for scalar arguments; batches go through `jax.vmap`.

    `mu' = sigma'` gives the true gradient. Any other `mu'` is a surrogate, and the gradient a
    coarse one.
    """

    @property
    def degree(self) -> int | None:
        """The `d` with `sigma(c x) = c^d sigma(x)` for all `c > 0`, or None.

        Where there is one, a filter of any length does what a unit filter does whose output
        weights are multiplied by `length^d`: outcomes are those of the sphere.
        """
        return None

    @property
    def steepness(self) -> float | None:
        """A proved `b` with `0 <= across <= b min(angle, pi - angle)` at unit radii, or None.

        `across` is the second value of `backward_cross`. Where there is such a number, and
        `across` is also `-d cross / d angle` (no surrogate), `simulate` may use early verdicts.
        """
        return None

    @property
    def scalar(self) -> Callable[[float, float, float], tuple[float, float]] | None:
        """`2 pi (cross, across)` at unit radii by arithmetic on `(pi - angle, cos, sin)`, or None.

        Where there is such a function, ensembles of reduced runs go through a compiled loop.
        """
        return None

    @abc.abstractmethod
    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The activation `sigma(x)` itself, elementwise."""

    @abc.abstractmethod
    def backward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative `mu'(x)` used in the backward pass, elementwise."""

    @abc.abstractmethod
    def mean(self, radius: Scalar) -> Scalar:
        """`m = E sigma(radius x)`."""

    @abc.abstractmethod
    def second_moment(self, radius: Scalar) -> Scalar:
        """`q = E sigma(radius x)^2`."""

    @abc.abstractmethod
    def cross(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """The dual activation `c = E sigma(radius x) sigma(radius_star y)`."""

    def shortfall(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`q - c = E sigma(radius x) (sigma(radius x) - sigma(radius_star y))`.

        An activation that has a form without the cancellation overrides this one: near the optimum
        all of the loss is in it.
        """
        return self.second_moment(radius) - self.cross(angle, radius, radius_star)

    @abc.abstractmethod
    def backward_mean(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x)`: the length of `alpha = E z mu'(z.w)` along the filter."""

    @abc.abstractmethod
    def backward_self(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x) sigma(radius x)`: the length of `beta` along the filter."""

    @abc.abstractmethod
    def backward_cross(
        self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0
    ) -> tuple[Scalar, Scalar]:
        """The two coordinates of `gamma = E z mu'(z.w) sigma(z.w*)`.

        Returns:
            `(along, across)`: along the filter, and across it towards the teacher's filter.
        """
