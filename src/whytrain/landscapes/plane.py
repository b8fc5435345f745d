"""Five numbers that carry plain gradient descent on a shared filter, for any activation."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.gaussian import Activation
from whytrain.landscapes.landscape import Landscape


class PlaneOrder(NamedTuple):
    """Order parameters of plain gradient descent.

    The filter is `x` along the teacher's filter and `y` across it; `total = 1.a`,
    `overlap = a.a*`, `size = |a|^2`.
    """

    x: Float[Numeric, "*batch"]
    y: Float[Numeric, "*batch"]
    total: Float[Numeric, "*batch"]
    overlap: Float[Numeric, "*batch"]
    size: Float[Numeric, "*batch"]


class PlaneReduction(Landscape):
    r"""The shared-filter landscape in five order parameters; exact under plain gradient descent.

    All vectors of the filter's gradient lie in the plane of the filter and the teacher's filter,
    and the output weights enter through three sums, so that the step closes in `PlaneOrder` for
    every activation and every backward derivative, whatever `k` and `p`.
    """

    k: Float[Numeric, ""]
    radius_star: Float[Numeric, ""]
    total_star: Float[Numeric, ""]
    power_star: Float[Numeric, ""]
    activation: Activation

    @classmethod
    def of_teacher(
        cls,
        filter_star: Float[Numeric, " p"],
        output_star: Float[Numeric, " k"],
        activation: Activation,
    ) -> "PlaneReduction":
        """The reduction of the landscape of one teacher."""
        star, a_star = jnp.asarray(filter_star), jnp.asarray(output_star)
        return cls(
            jnp.asarray(a_star.shape[0] * 1.0),
            jnp.sqrt(jnp.sum(star**2)),
            jnp.sum(a_star),
            jnp.sum(a_star**2),
            activation,
        )

    def loss(self, params: PlaneOrder) -> Float[Array, ""]:
        """The population loss, from the order parameters alone."""
        _, _, m, m_star, variance, covariance = self._moments(params)
        q_star = self.activation.second_moment(self.radius_star)
        return 0.5 * (
            variance * params.size
            - 2 * covariance * params.overlap
            + (q_star - m_star**2) * self.power_star
            + (m * params.total - m_star * self.total_star) ** 2
        )

    def plain_step(self, params: PlaneOrder, step_sizes: Float[Numeric, ""] | tuple) -> PlaneOrder:
        """The image of one full step; step sizes as `(filter, output)` or one for both."""
        filter_size, output_size = (
            step_sizes if isinstance(step_sizes, tuple) else (step_sizes,) * 2
        )
        x, y, s, u, size = params
        r, angle, m, m_star, variance, covariance = self._moments(params)
        along, across = self.activation.backward_cross(angle, r, self.radius_star)
        mean_pull = (s**2 - size) * m - (s * self.total_star - u) * m_star
        radial = (
            size * self.activation.backward_self(r)
            + mean_pull * self.activation.backward_mean(r)
            - u * along
        )
        toward = -u * across  # along the unit vector (|y|, -x sign(y)) / r
        side = jnp.where(y < 0, -1.0, 1.0)
        shift = m * (m * s - m_star * self.total_star)
        return PlaneOrder(
            x - filter_size * (radial * x + toward * jnp.abs(y)) / r,
            y - filter_size * (radial * y - toward * x * side) / r,
            s - output_size * (variance * s - covariance * self.total_star + shift * self.k),
            u
            - output_size * (variance * u - covariance * self.power_star + shift * self.total_star),
            size
            - 2 * output_size * (variance * size - covariance * u + shift * s)
            + output_size**2 * self._gradient_size(params, variance, covariance, shift),
        )

    def _gradient_size(
        self, params: PlaneOrder, variance: Array, covariance: Array, shift: Array
    ) -> Array:
        """`|V a - C a* + shift 1|^2`, the squared length of the output's gradient."""
        return (
            variance**2 * params.size
            + covariance**2 * self.power_star
            + shift**2 * self.k
            - 2 * variance * covariance * params.overlap
            + 2 * variance * shift * params.total
            - 2 * covariance * shift * self.total_star
        )

    def normalized_step(self, params: PlaneOrder, step_sizes: object) -> PlaneOrder:
        """Not offered: on the sphere three numbers are enough.

        Raises:
            UserError: Always.
        """
        raise UserError("normalized steps close on the sphere: use landscape.on_sphere()")

    def _moments(self, params: PlaneOrder) -> tuple[Any, ...]:
        r = jnp.hypot(params.x, params.y)
        angle = jnp.arctan2(jnp.abs(params.y), params.x)
        m, m_star = self.activation.mean(r), self.activation.mean(self.radius_star)
        variance = self.activation.second_moment(r) - m**2
        covariance = self.activation.cross(angle, r, self.radius_star) - m * m_star
        return r, angle, m, m_star, variance, covariance
