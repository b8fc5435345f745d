"""Straight-through estimators: the derivatives that stand in for that of a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Estimator:
    """A surrogate derivative.

    Attributes:
        name: Its name in `ESTIMATORS` and on the command line.
        derivative: `mu'(x)`, elementwise, written with `jax.numpy`, at unit scale.
        kinks: Where it is not smooth.
        source: Where it comes from.
        doc: What it is, in one line.
    """

    name: str
    derivative: Callable[[Array], Array]
    kinks: tuple[float, ...]
    source: str
    doc: str


@dataclass(frozen=True)
class PiecewiseConstant:
    r"""The derivative `base + sum_i height_i 1{x > place_i}`; its expectations are all closed.

    Args:
        base: Its value far to the left.
        jumps: Pairs `(place, height)`, from left to right.
        closed: Whether it takes the larger of its two values at a jump, and not the smaller.

    Example:
        >>> window = PiecewiseConstant(0.0, ((0.0, 1.0), (1.0, -1.0)))
        >>> window(jnp.array([-0.5, 0.0, 0.5, 1.0, 1.5])).tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0]
    """

    base: float
    jumps: tuple[tuple[float, float], ...] = ()
    closed: bool = False

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The derivative at `x`, elementwise."""
        value = jnp.full(jnp.shape(x), self.base, jnp.result_type(x, float))
        for place, height in self.jumps:
            beyond = x >= place if (height > 0) == self.closed else x > place
            value = value + jnp.where(beyond, height, 0.0).astype(value.dtype)
        return value

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where it jumps."""
        return tuple(place for place, _ in self.jumps)


def _approx_sign(x: Array) -> Array:
    return jnp.maximum(2 - 2 * jnp.abs(x), 0.0)


def _swish_sign(x: Array) -> Array:
    # beta (2 - beta x tanh(beta x / 2)) / (1 + cosh(beta x)), with beta = 5, without overflow
    y = 5.0 * jnp.abs(x)
    decay = jnp.exp(-y)
    return 10.0 * decay * (2 - y * jnp.tanh(y / 2)) / (1 + decay) ** 2


def _sigmoid(x: Array) -> Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def _smooth_step(x: Array) -> Array:
    return jnp.maximum(0.75 * (1 - x**2), 0.0)


_RELU = PiecewiseConstant(0.0, ((0.0, 1.0),))
_CLIPPED = PiecewiseConstant(0.0, ((0.0, 1.0), (1.0, -1.0)))
_HARD_TANH = PiecewiseConstant(0.0, ((-1.0, 1.0), (1.0, -1.0)), closed=True)
_CAI = "Cai, He, Sun and Vasconcelos, CVPR 2017 (arXiv 1702.00953)"

ESTIMATORS: Mapping[str, Estimator] = MappingProxyType({
    estimator.name: estimator
    for estimator in (
        Estimator(
            "identity", PiecewiseConstant(1.0), (),
            "Hinton, lectures 2012; Bengio, Léonard and Courville 2013 (arXiv 1308.3432)",
            "1: the gradient goes straight through",
        ),
        Estimator("relu", _RELU, _RELU.kinks, _CAI, "1{x > 0}: the derivative of max(x, 0)"),
        Estimator(
            "clipped_relu", _CLIPPED, _CLIPPED.kinks, _CAI,
            "1{0 < x < 1}: the derivative of min(max(x, 0), 1)",
        ),
        Estimator(
            "hard_tanh", _HARD_TANH, _HARD_TANH.kinks,
            "Hubara, Courbariaux et al., NeurIPS 2016 (BinaryNet, arXiv 1602.02830)",
            "1{|x| <= 1}: the derivative of the hard tanh",
        ),
        Estimator(
            "approx_sign", _approx_sign, (-1.0, 0.0, 1.0),
            "Liu, Wu et al., ECCV 2018 (Bi-Real Net, arXiv 1808.00278)",
            "max(2 - 2 |x|, 0): the derivative of a piecewise quadratic sign",
        ),
        Estimator(
            "swish_sign", _swish_sign, (),
            "Darabi et al. 2018 (BNN+, arXiv 1812.11800), with beta = 5",
            "the derivative of the sign swish; negative beyond |x| = 0.48",
        ),
        Estimator(
            "sigmoid", _sigmoid, (),
            "Bengio, Léonard and Courville 2013 (arXiv 1308.3432)",
            "s(x) (1 - s(x)): the derivative of the logistic function s",
        ),
        Estimator(
            "piecewise_polynomial", _smooth_step, (-1.0, 1.0),
            "defined here: the smoothest cubic from 0 to 1 on [-1, 1]",
            "max(3/4 (1 - x^2), 0): the derivative of the cubic smooth step",
        ),
    )
})  # fmt: skip
"""The surrogate derivatives in use, by name."""
