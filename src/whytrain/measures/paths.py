"""Norms over all paths through a network."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from whytrain.measures.arrays import as_float64
from whytrain.measures.network import Layer, forward
from whytrain.measures.stages import apply, of_paths


def path_norm(layers: Sequence[Any], shape: Sequence[int], power: int) -> float:
    """`( sum over paths of prod |w|^power )^(1 / power)`: the network of `|w|^power` on ones.

    Args:
        layers: The layers; biases are left out.
        shape: The shape of one input.
        power: 1 or 2.

    Returns:
        The path norm.

    Example:
        >>> from whytrain.measures import Dense
        >>> path_norm([Dense(np.array([[3.0, -4.0]])), Dense(np.array([[2.0]]))], (2,), 2)
        10.0
    """
    if not all(isinstance(layer, Layer) for layer in layers):
        with jax.enable_x64(True):
            ones = apply(of_paths(layers, power), jnp.ones((1, *shape)))
            return float(jnp.sum(ones) ** (1 / power))
    sizes = [np.abs(as_float64(layer.weight)) for layer in layers]
    exponents = [_extreme(size) for size in sizes]
    with jax.enable_x64(True):
        bare = [
            eqx.tree_at(
                lambda one: (one.weight, one.bias), layer,
                (np.ldexp(size, -exponent) ** power, None),
                is_leaf=lambda leaf: leaf is None,
            )
            for layer, size, exponent in zip(layers, sizes, exponents, strict=True)
        ]  # fmt: skip
        found = float(jnp.sum(forward(bare, np.ones((1, *shape)))) ** (1 / power))
    return float(np.ldexp(found, sum(exponents)))


def _extreme(size: np.ndarray) -> int:
    """The power of two of the largest number, where squares and sums may leave float64; else 0."""
    exponent = int(np.frexp(size.max(initial=0.0))[1])
    return exponent if abs(exponent) > 64 else 0
