"""Random arrays of several axes, from programs that compile fast."""

import math
from typing import Any

import jax
from jaxtyping import Array


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
