"""The rectifier, whose Gaussian expectations are all closed."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain.gaussian.activation import Activation, Scalar


def arc_cosine(angle: Scalar) -> Scalar:
    r"""The arc-cosine function of order one, `g(angle) = (pi - angle) cos(angle) + sin(angle)`.

    It decreases from `pi` at 0 through 1 at `pi/2` to 0 at `pi`, and
    `E relu(x) relu(y) = g(angle) / (2 pi)`.

    Source: Cho and Saul, "Kernel Methods for Deep Learning", NeurIPS 2009, order n = 1.

    Example:
        >>> round(float(arc_cosine(math.pi / 2)), 6)
        1.0
    """
    return (math.pi - angle) * jnp.cos(angle) + jnp.sin(angle)


def arc_cosine_shortfall(angle: Scalar) -> Scalar:
    """`pi - arc_cosine(angle)` to full relative precision, also for the smallest angles.

    `2 pi sin^2(angle / 2) + (angle cos(angle) - sin(angle))`, the bracket by its series below 0.3.
    """
    x = jnp.minimum(angle, 0.3) ** 2
    series = 1 / 3 - x / 30 * (1 - x / 28 * (1 - x / 54 * (1 - x / 88 * (1 - x / 130))))
    bracket = jnp.where(angle < 0.3, -(angle**3) * series, angle * jnp.cos(angle) - jnp.sin(angle))
    return 2 * math.pi * jnp.sin(angle / 2) ** 2 + bracket


class ReLU(Activation):
    r"""`sigma(x) = max(x, 0)`, with its true derivative `1{x > 0}`.

    Source: Cho and Saul 2009 for `cross`; Du et al., ICML 2018 (arXiv 1712.00779), Section 3, for
    `backward_cross`. Both are checked against Monte Carlo and autodiff in the tests.

    Example:
        >>> import jax
        >>> with jax.enable_x64(True):
        ...     round(float(ReLU().cross(0.0)), 12)  # E relu(x)^2
        0.5
    """

    @property
    def degree(self) -> int:
        """1."""
        return 1

    @property
    def steepness(self) -> float:
        """1/2, since `(pi - angle) sin(angle) <= pi min(angle, pi - angle)`."""
        return 0.5

    @property
    def scalar(self) -> Callable[[float, float, float], tuple[float, float]]:
        """`(pi - angle) cos + sin` and `(pi - angle) sin`."""
        return _scalar

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`max(x, 0)`."""
        return jnp.maximum(x, 0)

    def backward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`1{x > 0}`."""
        return jnp.where(x > 0, jnp.ones_like(x), 0)

    def mean(self, radius: Scalar) -> Scalar:
        """`radius / sqrt(2 pi)`."""
        return radius / math.sqrt(2 * math.pi)

    def second_moment(self, radius: Scalar) -> Scalar:
        """`radius^2 / 2`."""
        return radius**2 / 2

    def cross(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`radius radius_star g(angle) / (2 pi)`, with `g` of `arc_cosine`."""
        return radius * radius_star * arc_cosine(angle) / (2 * math.pi)

    def shortfall(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`radius (radius - radius_star) / 2 + radius radius_star (pi - g(angle)) / (2 pi)`."""
        turned = radius * radius_star * arc_cosine_shortfall(angle) / (2 * math.pi)
        return radius * (radius - radius_star) / 2 + turned

    def backward_mean(self, radius: Scalar) -> Scalar:
        """`1 / sqrt(2 pi)`, whatever the radius."""
        return jnp.ones_like(radius) / math.sqrt(2 * math.pi)

    def backward_self(self, radius: Scalar) -> Scalar:
        """`radius / 2`."""
        return radius / 2

    def backward_cross(
        self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0
    ) -> tuple[Scalar, Scalar]:
        """`radius_star / (2 pi) * (g(angle), (pi - angle) sin(angle))`, whatever `radius`."""
        across = (math.pi - angle) * jnp.sin(angle) / (2 * math.pi)
        return radius_star * arc_cosine(angle) / (2 * math.pi), radius_star * across


def _scalar(rest: float, cos: float, sin: float) -> tuple[float, float]:
    return rest * cos + sin, rest * sin
