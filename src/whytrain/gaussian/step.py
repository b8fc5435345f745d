r"""The step `1{x > 0}` with any surrogate derivative: expectations over one normal, or closed.

Let `x` be the input along the student's filter of length `r`, and `theta` the angle between the
filters. The teacher's half of a product is `1{y > 0}` with `y = x cos + x' sin`, and `x'` can be
integrated out. With `K(s) = E mu'(s x)`, `phi` and `Phi` the normal density and distribution,

    E x' mu'(r x) 1{y > 0} = sin(theta) K(r sin(theta)) / sqrt(2 pi)
    E x  mu'(r x) 1{y > 0} = E x mu'(r x) Phi(x cot(theta))

so that the surrogate acts on the angle through the one function `K` (derived in
`docs/yin2019.md`).
"""

import abc
import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from whytrain.gaussian.activation import Activation, Scalar
from whytrain.gaussian.elementwise import check_elementwise, check_nodes, read_kinks
from whytrain.gaussian.estimators import Estimator, PiecewiseConstant
from whytrain.gaussian.quadrature import CUTOFF, least, panels

DENSITY = 1 / math.sqrt(2 * math.pi)  # of a standard normal at 0


class Step(Activation):
    r"""`sigma(x) = 1{x > 0}`, forward; what is sent backward is up to the two kinds below.

    `E sigma^2 = 1/2` and `E sigma(x) sigma(y) = (pi - angle) / (2 pi)`, whatever the radii.

    Source: Yin et al., ICLR 2019 (arXiv 1903.05662), Lemma 1.
    """

    @property
    def degree(self) -> int:
        """0: a filter's length does not count."""
        return 0

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`1{x > 0}`."""
        return jnp.where(x > 0, jnp.ones_like(x), 0)

    def mean(self, radius: Scalar) -> Scalar:
        """1/2."""
        return 0.5 * jnp.ones_like(radius)

    def second_moment(self, radius: Scalar) -> Scalar:
        """1/2."""
        return 0.5 * jnp.ones_like(radius)

    def cross(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`(pi - angle) / (2 pi)`."""
        del radius, radius_star
        return (math.pi - angle) / (2 * math.pi)

    def shortfall(self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0) -> Scalar:
        """`angle / (2 pi)`."""
        del radius, radius_star
        return angle / (2 * math.pi)

    @abc.abstractmethod
    def passed(self, radius: Scalar) -> Scalar:
        """`K = E mu'(radius x)`: how much of the gradient the surrogate lets through."""

    @abc.abstractmethod
    def leak(self, radius: Scalar) -> Scalar:
        """`E |x| mu'(radius x) 1{x < 0}`: what it lets through where the unit is off."""

    def backward_self(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x) 1{x > 0}`, which is `backward_mean + leak`."""
        return self.backward_mean(radius) + self.leak(radius)


class StepPiecewise(Step):
    r"""The step with a piecewise constant surrogate `base + sum_i h_i 1{x > t_i}`: all closed.

    With `T_i = t_i / r`,

        E x mu'(r x)          = sum_i h_i phi(T_i)
        E |x| mu'(r x) 1{x<0} = base phi(0) + sum_{t_i < 0} h_i (phi(0) - phi(T_i))
        K(s)                  = base + sum_i h_i Phi(-t_i / s)
        E z mu'(z.w) 1{z.w* > 0} = sum_i h_i phi(T_i) Phi(T_i cot) w/r + K(r sin) phi(0) w*/r*

    Every term is regular at angle 0 and pi; no quotient of two that vanish is left.

    Args:
        surrogate: The surrogate derivative.

    Source: Yin et al. 2019, Lemmas 4 and 7 for `identity` and `relu`; the rest is derived in
    `docs/yin2019.md`.
    """

    surrogate: PiecewiseConstant = eqx.field(static=True)

    def backward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The surrogate derivative."""
        return self.surrogate(jnp.asarray(x))

    def passed(self, radius: Scalar) -> Scalar:
        """`base + sum_i h_i Phi(-t_i / radius)`."""
        total = self.surrogate.base * jnp.ones_like(radius)
        for place, height in self.surrogate.jumps:
            total = total + height * (0.5 if place == 0 else ndtr(-place / radius))
        return total

    def leak(self, radius: Scalar) -> Scalar:
        """`base phi(0) + sum_{t_i < 0} h_i (phi(0) - phi(t_i / radius))`."""
        total = self.surrogate.base * DENSITY * jnp.ones_like(radius)
        for place, height in self.surrogate.jumps:
            if place < 0:
                total = total - height * DENSITY * jnp.expm1(-((place / radius) ** 2) / 2)
        return total

    def backward_mean(self, radius: Scalar) -> Scalar:
        """`sum_i h_i phi(t_i / radius)`."""
        total = jnp.zeros_like(radius)
        for place, height in self.surrogate.jumps:
            total = total + height * _density(place / radius)
        return total

    def backward_cross(
        self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0
    ) -> tuple[Scalar, Scalar]:
        """The class docstring's vector, along the filter and across it."""
        del radius_star
        cos, sin = jnp.cos(angle), _sine(angle)
        own, cot = jnp.zeros_like(sin), cos / jnp.maximum(sin, least(sin))
        for place, height in self.surrogate.jumps:
            share = 0.5 if place == 0 else ndtr(place / radius * cot)
            own = own + height * _density(place / radius) * share
        star = DENSITY * self.passed(radius * sin)
        return own + star * cos, star * sin


class StepQuadrature(Step):
    r"""The step with any surrogate derivative: each expectation one Gauss-Legendre quadrature.

    Panels end at the kinks, where `Phi(x cot)` turns, and at a ladder of places that follow the
    surrogate's own scale, so that 1e-9 holds for radii from 1e-3 to 1e3.

    Args:
        derivative: `mu'`, elementwise, written with `jax.numpy`.
        kinks: Where it is not smooth. Zero is always one.
        nodes: Gauss-Legendre nodes a panel.

    Raises:
        UserError: The derivative is not elementwise or not written with `jax.numpy`, a kink is not
            finite, or nodes are fewer than 2.
    """

    derivative: Callable[[Array], Array] = eqx.field(static=True)
    kinks: tuple[float, ...] = eqx.field(static=True, default=(), converter=read_kinks)
    nodes: int = eqx.field(static=True, default=20)

    def __check_init__(self) -> None:
        check_elementwise("derivative", self.derivative)
        check_nodes(self.nodes)

    def backward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The surrogate derivative."""
        return self.derivative(jnp.asarray(x))

    def passed(self, radius: Scalar) -> Scalar:
        """`E mu'(radius x)`."""
        return self._line(lambda x: self.backward(radius * x), radius)

    def leak(self, radius: Scalar) -> Scalar:
        """`E |x| mu'(radius x) 1{x < 0}`."""
        return self._line(lambda x: jnp.maximum(-x, 0.0) * self.backward(radius * x), radius)

    def backward_mean(self, radius: Scalar) -> Scalar:
        """`E x mu'(radius x)`."""
        return self._line(lambda x: x * self.backward(radius * x), radius)

    def backward_cross(
        self, angle: Scalar, radius: Scalar = 1.0, radius_star: Scalar = 1.0
    ) -> tuple[Scalar, Scalar]:
        """`E x mu'(radius x) Phi(x cot)` and `sin K(radius sin) phi(0)`."""
        del radius_star
        cos, sin = jnp.cos(angle), _sine(angle)
        safe = jnp.maximum(sin, least(sin))
        turn = 9 * jnp.abs(safe / jnp.where(cos == 0, least(cos), cos))
        along = self._line(
            lambda x: x * self.backward(radius * x) * ndtr(x * (cos / safe)), radius, (-turn, turn)
        )
        return along, DENSITY * sin * self.passed(radius * sin)

    def _line(
        self, f: Callable[[Array], Array], radius: Scalar, ends: tuple[Scalar, ...] = ()
    ) -> Array:
        """`E f(x)`; where the radius is zero, that of the surrogate's two sides of zero."""
        radius = jnp.maximum(radius, least(radius))
        own = [jnp.asarray(self.kinks) / radius]  # in one operation: there may be a thousand
        own += [side * rung / radius for side in (-1, 1) for rung in _LADDER]
        fixed = [0.0, -3.0, 3.0]
        x, weights = panels([*fixed, *own, *ends], -CUTOFF, CUTOFF, self.nodes)
        return jnp.sum(weights * f(x) * jnp.exp(-(x**2) / 2)) * DENSITY


_LADDER = (0.5, 1.5, 4.0, 12.0, 40.0)


def step(estimator: Estimator) -> Step:
    """The step with an estimator's backward pass: closed where that is piecewise constant.

    Example:
        >>> from whytrain.gaussian import ESTIMATORS
        >>> type(step(ESTIMATORS["relu"])).__name__, type(step(ESTIMATORS["sigmoid"])).__name__
        ('StepPiecewise', 'StepQuadrature')
    """
    if isinstance(estimator.derivative, PiecewiseConstant):
        return StepPiecewise(estimator.derivative)
    return StepQuadrature(estimator.derivative, estimator.kinks)


def _sine(angle: Scalar) -> Scalar:
    """That of an angle in [0, pi], which is not negative; float32 rounds pi up."""
    return jnp.maximum(jnp.sin(angle), 0.0)


def _density(x: Scalar) -> Scalar:
    return DENSITY * jnp.exp(-(x**2) / 2)
