"""Where random numbers come from: an integer seed, or a JAX key; every instrument takes both."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from whytrain.errors import UserError


def generator(seed: Any, key: Any) -> np.random.Generator:
    """NumPy's generator for a seed, or for a key where there is one.

    Args:
        seed: An integer, 0 or more, or a key.
        key: A key, or an integer, that goes before the seed; or None.

    Returns:
        The generator.

    Raises:
        UserError: It is neither.

    Example:
        >>> draws = [generator(*given).integers(100) for given in ((3, None), (0, 3))]
        >>> bool(draws[0] == draws[1])
        True
    """
    found = _checked(seed if key is None else key)
    if isinstance(found, int):
        return np.random.default_rng(found)
    return np.random.default_rng(np.asarray(jax.random.key_data(found)))


def jax_key(seed: Any, key: Any) -> Array:
    """A JAX key for a seed, or the key where there is one; see `generator`."""
    found = _checked(seed if key is None else key)
    return jax.random.key(found) if isinstance(found, int) else found


def _checked(given: Any) -> Any:
    array = isinstance(given, np.ndarray | np.generic | jax.Array)
    if array and given.shape == () and jnp.issubdtype(given.dtype, jax.dtypes.prng_key):
        return given
    if array and given.shape == (2,) and given.dtype == np.uint32:  # what jax.random.PRNGKey makes
        return jax.random.wrap_key_data(jnp.asarray(given))
    whole = array and given.shape == () and np.issubdtype(given.dtype, np.integer)
    if whole or (isinstance(given, int) and not isinstance(given, bool)):
        if not 0 <= int(given) < 2**63:
            raise UserError(f"a seed must be an integer from 0 to 2^63 - 1, got {int(given)}")
        return int(given)
    what = f"an array of {given.dtype}, shape {given.shape}" if array else repr(given)
    raise UserError(f"a seed is an integer, a key what jax.random.key(0) makes; got {what:.100}")
