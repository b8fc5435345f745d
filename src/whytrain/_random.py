"""Random arrays, from programs that compile fast and seldom."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float


def normal(key: Array, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """`jax.random.normal(key, shape, dtype)`, to the bit.

    The numbers are drawn along one axis: where there are three, XLA takes ten seconds, not a third
    of one, to compile how the counters of the generator follow from the indices.

    Args:
        key: A key.
        shape: The array's shape.
        dtype: Its type.

    Returns:
        Independent standard normal numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> key = jax.random.key(0)
        >>> bool(jnp.array_equal(normal(key, (2, 3, 4)), jax.random.normal(key, (2, 3, 4))))
        True
    """
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def uniform(key: Array, shape: tuple[int, ...], dtype: Any, low: float, high: float) -> Array:
    """`jax.random.uniform(key, shape, dtype, low, high)`, to the bit; see `normal`."""
    return jax.random.uniform(key, (math.prod(shape),), dtype, low, high).reshape(shape)


def normals(keys: jax.Array, count: int) -> Float[np.ndarray, "key count"]:
    """Standard normal numbers of each key, in float64.

    The first ones of a power of two of them: to compile a program for every `count` would take
    longer than to draw.

    Args:
        keys: Keys.
        count: How many numbers each gives.

    Returns:
        The numbers.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> few, many = normals(keys, 20), normals(keys, 30)
        >>> bool((few == many[:, :20]).all())
        True
    """
    return _first(jax.random.normal, keys, count, 16)


def uniforms(keys: jax.Array, count: int) -> Float[np.ndarray, "key count"]:
    """Numbers of each key, uniform in [0, 1), in float64.

    The first ones of a power of two of them, as for `normals`.

    Args:
        keys: Keys.
        count: How many numbers each gives.

    Returns:
        The numbers.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> few, many = uniforms(keys, 3), uniforms(keys, 9)
        >>> bool((few == many[:, :3]).all())
        True
    """
    return _first(jax.random.uniform, keys, count, 1)


def _first(draw: Callable, keys: jax.Array, count: int, least: int) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(_drawn(draw, keys, max(least, 1 << (count - 1).bit_length())))[:, :count]


@functools.partial(jax.jit, static_argnums=(0, 2))
def _drawn(draw: Callable, keys: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda key: draw(key, (count,)))(keys)
