"""Which random key a run has: a matter of its number alone, never of who computes it when."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from whytrain.lab.store import Checkpoints

DRAWN = 1 << 22  # numbers drawn at a time


@dataclass(frozen=True)
class Runs:
    """Consecutive runs of one setting.

    Run `i` has the key `fold_in(fold_in(key(seed), stream), i)`, so that results do not depend on
    how runs are cut into pieces, on who computes a piece, or in which order.

    Attributes:
        seed: The user's seed, `0 <= seed < 2**63`.
        stream: 32 bits that tell apart studies, experiments and settings.
        first: The number of the first run.
        count: How many runs.
        checkpoints: Where a training may be kept that lasts: `runs.checkpoints["NAME"]` is a
            `checkpoint` for `whytrain.dynamics.train`. No result depends on it.
    """

    seed: int
    stream: int
    first: int
    count: int
    checkpoints: Checkpoints = field(default_factory=Checkpoints, compare=False, repr=False)

    def __len__(self) -> int:
        return self.count

    def keys(self) -> jax.Array:
        """Give the keys of the runs.

        Returns:
            A typed key array of shape `(count,)`.

        Example:
            >>> early, late = Runs(0, 7, 0, 4), Runs(0, 7, 2, 2)
            >>> bool((early.keys()[2:] == late.keys()).all())
            True
        """
        return self._keys(np.arange(self.count))

    def draw(
        self, function: Callable[..., Any], *args: Any, together: int = 1024, numbers: int = 1
    ) -> Any:
        """Give what a batched function makes of the keys, always so many at a time.

        One shape, whatever the number of runs, so that the function is compiled once.

        Args:
            function: Takes `together` keys and `args`, gives a pytree of arrays over them.
            args: What else it takes.
            together: Keys a call, at most.
            numbers: How many numbers a key gives; fewer keys go together where it gives many, so
                that memory is bounded.

        Returns:
            The pytree, of NumPy arrays over the runs.

        Example:
            >>> import jax.numpy as jnp
            >>> Runs(0, 7, 0, 3).draw(lambda keys: jnp.zeros(len(keys)), together=2).shape
            (3,)
        """
        parts = []
        together = min(together, 1 << max(1, DRAWN // numbers).bit_length() - 1)
        with jax.enable_x64(True):
            for first in range(0, len(self), together):
                some = np.minimum(np.arange(first, first + together), len(self) - 1)
                parts.append(jax.tree.map(np.asarray, function(self._keys(some), *args)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(self)], *parts)

    def _keys(self, numbers: np.ndarray) -> jax.Array:
        """The keys of some of the runs, counted from the first."""
        with jax.enable_x64(True):  # or JAX drops the upper half of the seed
            whole = (self.first + numbers).astype(np.uint32)
            return _keys(np.int64(self.seed), np.uint32(self.stream), whole)


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
        >>> keys = Runs(0, 7, 0, 3).keys()
        >>> few, many = normals(keys, 20), normals(keys, 30)
        >>> bool((few == many[:, :20]).all())
        True
    """
    with jax.enable_x64(True):
        return np.asarray(_normals(keys, max(16, 1 << (count - 1).bit_length())))[:, :count]


def uniforms(keys: jax.Array, count: int) -> Float[np.ndarray, "key count"]:
    """Numbers of each key, uniform in [0, 1), in float64.

    The first ones of a power of two of them, as for `normals`.

    Args:
        keys: Keys.
        count: How many numbers each gives.

    Returns:
        The numbers.

    Example:
        >>> keys = Runs(0, 7, 0, 3).keys()
        >>> few, many = uniforms(keys, 3), uniforms(keys, 9)
        >>> bool((few == many[:, :3]).all())
        True
    """
    with jax.enable_x64(True):
        return np.asarray(_uniforms(keys, 1 << (count - 1).bit_length()))[:, :count]


@functools.partial(jax.jit, static_argnums=1)
def _uniforms(keys: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)


@functools.partial(jax.jit, static_argnums=1)
def _normals(keys: jax.Array, count: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.normal(key, (count,)))(keys)


@jax.jit
def _keys(seed: jax.Array, stream: jax.Array, numbers: jax.Array) -> jax.Array:
    root = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), stream)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(root, numbers)
