"""Gaussian expectations of an activation and its slope at pairs of vectors, closed or not."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain.gaussian import Quadrature, ReLU

Entries = Float[Array, " pair"]
_COINCIDE = 16 * np.finfo(float).eps  # of a cosine that rounding alone keeps from 1
_AT_A_TIME = 64  # pairs of vectors whose integrals are taken together


class Pair(NamedTuple):
    """Lengths and angle of two vectors, for every pair of them."""

    length: Entries
    other: Entries
    angle: Entries

    @classmethod
    def of(cls, square: Entries, other: Entries, product: Entries) -> "Pair":
        """Lengths and angle from products; the cosine of coinciding directions is made exact."""
        length, other = jnp.sqrt(square), jnp.sqrt(other)
        cos = jnp.where(length * other > 0, product / (length * other), 0.0)
        cos = jnp.where(1 - jnp.abs(cos) < _COINCIDE, jnp.sign(cos), cos)
        return cls(length, other, jnp.arccos(cos))


class Duals(NamedTuple):
    """Gaussian expectations of an activation `s`.

    Attributes:
        mean: `E s(r z)` of a length `r`.
        square: `E s(r z)^2` of a length `r`.
        both: `E s(u) s(v)` and `E s'(u) s'(v)` of a pair.
    """

    mean: Callable[[Entries], Entries]
    square: Callable[[Entries], Entries]
    both: Callable[[Pair], tuple[Entries, Entries]]


def _relu(pair: Pair) -> tuple[Entries, Entries]:
    units = jax.vmap(ReLU().cross)(pair.angle, pair.length, pair.other)
    return units, (1 - pair.angle / math.pi) / 2


def _erf(pair: Pair) -> tuple[Entries, Entries]:
    scale = (1 + 2 * pair.length**2) * (1 + 2 * pair.other**2)
    product = 2 * pair.length * pair.other
    units = 2 / math.pi * jnp.arcsin(product * jnp.cos(pair.angle) / jnp.sqrt(scale))
    # (1 + 2 a)(1 + 2 b) - 4 c^2 without the cancellation
    rest = 1 + 2 * pair.length**2 + 2 * pair.other**2 + (product * jnp.sin(pair.angle)) ** 2
    return units, 4 / math.pi / jnp.sqrt(rest)


def _erf_square(length: Entries) -> Entries:
    return 2 / math.pi * jnp.arcsin(2 * length**2 / (1 + 2 * length**2))


CLOSED = {
    jax.nn.relu: Duals(jax.vmap(ReLU().mean), jax.vmap(ReLU().second_moment), _relu),
    jax.lax.erf: Duals(jnp.zeros_like, _erf_square, _erf),
    jax.scipy.special.erf: Duals(jnp.zeros_like, _erf_square, _erf),
}


def by_quadrature(
    activation: Callable, kinks: tuple[float, ...], nodes: int, cutoff: float
) -> Duals:
    """By Gauss-Legendre panels that end at the kinks and at the cutoff."""
    units = Quadrature(activation, kinks=kinks, nodes=nodes, cutoff=cutoff)
    mean, square, both = (partial(expectation, units) for expectation in (_mean, _square, _both))
    return Duals(mean, square, both)


@partial(jax.jit, static_argnums=0)
def _mean(units: Quadrature, length: Entries) -> Entries:
    return jax.vmap(units.mean)(length)


@partial(jax.jit, static_argnums=0)
def _square(units: Quadrature, length: Entries) -> Entries:
    return jax.vmap(units.second_moment)(length)


@partial(jax.jit, static_argnums=0)
def _both(units: Quadrature, pair: Pair) -> tuple[Entries, Entries]:
    slopes = dataclasses.replace(units, sigma=lambda x: units.backward(x))

    def one(pair: Pair) -> tuple[Array, Array]:
        places = pair.angle, pair.length, pair.other
        return units.cross(*places), slopes.cross(*places)

    return jax.lax.map(one, pair, batch_size=_AT_A_TIME)
