"""Gaussian expectations of any activation that a user writes, by quadrature."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.gaussian.activation import Activation, Scalar
from whytrain.gaussian.elementwise import check_elementwise, check_nodes, read_kinks

# Beyond this radius a two-dimensional standard normal holds 3e-18 of its mass.
CUTOFF = 9.0
_FARTHEST = 38.0  # where float64 has no number for the density any more
# Angles from the rays x = 0 and y = 0 at which panels end, where there are kinks elsewhere.
_RUNGS = (0.3, 1e-2, 2e-4, 2e-6)


class Quadrature(Activation):
    r"""Any activation and any backward derivative; expectations by Gauss-Legendre panels.

    Expectations over the plane of the two filters are taken in polar coordinates,

        E f(x, y) = 1/(2 pi) int dt int f(rho cos t, rho cos(t - angle)) rho e^{-rho^2/2} drho,

    with panels that end where an argument of the activation crosses a kink. A kink at zero is a
    ray, so that a homogeneous activation is integrated without loss at any angle; a kink elsewhere
    splits each radius, and panels shrink toward the directions in which it is far away.

    Between its kinks an activation must be smooth on the scale of one standard deviation, which is
    `1 / radius` of its own: one that is (`tanh` for lengths up to 2) reaches 1e-12, and with
    declared kinks or jumps 1e-9, in units of its largest value within reach. Constants and lines
    between kinks do so at any angle for lengths from 1e-3 to 1e6. A smooth function seen at a
    greater length loses digits (`tanh` has 1e-8 left at 5 and 2e-6 at 10) unless the places where
    it bends are declared as kinks (for `tanh` -4, -1, 1, 4). A kink that is not declared leaves
    about 1e-3.

    Args:
        sigma: The activation, elementwise, written with `jax.numpy`.
        derivative: `mu'`, elementwise. Default: the autodiff derivative of `sigma` (for a step
            that is zero everywhere: give a surrogate).
        kinks: Where `sigma` or `mu'` is not smooth. Zero is always one.
        nodes: Gauss-Legendre nodes a panel.
        cutoff: Beyond this radius nothing is counted; a larger one for what grows fast, as `exp`.

    Raises:
        UserError: A function is not elementwise or not written with `jax.numpy`, a kink is not
            finite, or nodes or cutoff are out of range.

    Example:
        >>> with jax.enable_x64(True):
        ...     softplus = Quadrature(jax.nn.softplus)
        ...     round(float(softplus.mean(1.0)), 8)
        0.80605918
    """

    sigma: Callable[[Array], Array] = eqx.field(static=True)
    derivative: Callable[[Array], Array] | None = eqx.field(static=True, default=None)
    kinks: tuple[float, ...] = eqx.field(static=True, default=(), converter=read_kinks)
    nodes: int = eqx.field(static=True, default=40)
    cutoff: float = eqx.field(static=True, default=CUTOFF)

    def __check_init__(self) -> None:
        check_elementwise("sigma", self.sigma)
        if self.derivative is not None:
            check_elementwise("derivative", self.derivative)
        check_nodes(self.nodes)
        number = isinstance(self.cutoff, int | float) and not isinstance(self.cutoff, bool)
        if not (number and CUTOFF <= self.cutoff <= _FARTHEST):
            raise UserError(
                f"cutoff must be a number from {CUTOFF:g} to {_FARTHEST:g} standard deviations, "
                f"got {self.cutoff!r}"
            )

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`sigma(x)` as the user wrote it."""
        return self.sigma(jnp.asarray(x))

    def backward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`mu'(x)` as the user wrote it, or the autodiff derivative of `sigma`."""
        x = jnp.asarray(x)
        if self.derivative is not None:
            return self.derivative(x)
        return jax.jvp(self.sigma, (x,), (jnp.ones_like(x),))[1]

    def mean(self, radius: Scalar) -> Scalar:
        """`E sigma(radius x)`."""
        return self._line(lambda x: self.forward(radius * x), radius)

    def second_moment(self, radius: Scalar) -> Scalar:
        """`E sigma(radius x)^2`."""
        return self._line(lambda x: self.forward(radius * x) ** 2, radius)

    def cross(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`E sigma(radius x) sigma(radius_star y)`."""
        return self._plane(
            lambda x, y: self.forward(radius * x) * self.forward(radius_star * y),
            angle, radius, radius_star,
        )  # fmt: skip

    def backward_mean(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x)`."""
        return self._line(lambda x: x * self.backward(radius * x), radius)

    def backward_self(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x) sigma(radius x)`."""
        return self._line(
            lambda x: x * self.backward(radius * x) * self.forward(radius * x), radius
        )

    def backward_cross(
        self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0
    ) -> tuple[Scalar, Scalar]:
        """`E x mu'(radius x) sigma(radius_star y)` and the same with the coordinate across."""

        def product(x: Array, y: Array) -> Array:
            return self.backward(radius * x) * self.forward(radius_star * y)

        def along(x: Array, y: Array) -> Array:
            return x * product(x, y)

        across = self._plane(product, angle, radius, radius_star, weight="across")
        return self._plane(along, angle, radius, radius_star), across

    def _line(self, f: Callable[[Array], Array], radius: Scalar) -> Array:
        """`E f(x)` for one standard normal `x`."""
        ends = [0.0, *(kink / radius for kink in self.kinks)]
        x, weights = panels(ends, -self.cutoff, self.cutoff, self.nodes)
        return jnp.sum(weights * f(x) * jnp.exp(-(x**2) / 2)) / math.sqrt(2 * math.pi)

    def _plane(
        self,
        f: Callable[[Array, Array], Array],
        angle: Scalar,
        radius: Scalar,
        radius_star: Scalar,
        weight: str = "one",
    ) -> Array:
        """`E f(x, y)`, or `E x' f(x, y)` with `x'` the coordinate across the filter."""
        quarter = math.pi / 2
        # The rays on which x = 0 and y = 0, and on which a kink of x meets one of y. A function of
        # the direction is smooth between them, but near x = 0 it varies as e^{-(c / turn)^2 / 2}
        # with c = kink / radius, of whatever size: panels shrink toward these rays.
        rays = [quarter, angle - quarter, angle + quarter]
        if any(self.kinks):
            rays += [
                _on_range(ray + side * rung)
                for ray in (-quarter, *rays) for side in (-1, 1) for rung in _RUNGS
            ]  # fmt: skip
        for kink in self.kinks:
            for other in self.kinks:
                up = other * radius - kink * radius_star * jnp.cos(angle)
                ray = jnp.arctan2(up, kink * radius_star * jnp.sin(angle))
                rays += [_on_range(ray), _on_range(ray + math.pi)]
        turn, turn_weights = panels(rays, -quarter, 3 * quarter, self.nodes)

        def radial(t: Array) -> Array:
            x, y = jnp.cos(t), jnp.cos(t - angle)
            ends = [kink / _away_from_zero(radius * x) for kink in self.kinks]
            ends += [kink / _away_from_zero(radius_star * y) for kink in self.kinks]
            rho, weights = panels([3.0, *ends], 0.0, self.cutoff, self.nodes)
            density = weights * rho * jnp.exp(-(rho**2) / 2)
            across = rho * jnp.sin(t) if weight == "across" else 1.0
            return jnp.sum(density * across * f(rho * x, rho * y))

        return jnp.sum(turn_weights * jax.vmap(radial)(turn)) / (2 * math.pi)


def _on_range(turn: Scalar) -> Scalar:
    """The same direction in [-pi/2, 3 pi/2)."""
    return (turn + math.pi / 2) % (2 * math.pi) - math.pi / 2


def _away_from_zero(x: Array) -> Array:
    return jnp.where(jnp.abs(x) < least(x), least(x), x)


def least(x: Float[Numeric, "..."]) -> float:
    """A number that takes the place of zero in a divisor: 2e-300 in float64, 1e-30 in float32."""
    return 1e8 * float(jnp.finfo(jnp.result_type(x, float)).tiny)


def panels(
    ends: Sequence[Float[Numeric, "..."]], low: float, high: float, nodes: int
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Gauss-Legendre nodes and weights on the panels that `ends` cut out of `[low, high]`."""
    inside = jnp.concatenate([jnp.ravel(jnp.asarray(end) * 1.0) for end in ends])
    inside = jnp.sort(jnp.clip(inside, low, high))
    edges = jnp.concatenate([jnp.array([low]), inside, jnp.array([high])])
    points, weights = np.polynomial.legendre.leggauss(nodes)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * points).ravel(), (half * weights).ravel()
