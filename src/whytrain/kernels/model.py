"""A function of parameters and a batch, checked before kernels or flows are made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.hessian import cast
from whytrain.measures.loss import told
from whytrain.measures.trained import trained

MEMORY = 2**30  # bytes, unless told otherwise
_ALIKE = 1e-8  # relative; an output computed in another order differs by less in float64


@dataclass(frozen=True)
class Model:
    """A function `f(params, x)` at its parameters, in float64, with the points it is asked at.

    Attributes:
        f: The function of the arrays in `params` alone; it can be hashed.
        params: A pytree of arrays of floating-point numbers.
        x: The examples.
        x_test: More examples, or None.
        shape: That of the outputs at `x`: (batch,) or (batch, outputs).
        rows: How many outputs there are at `x_test` and `x`.
    """

    f: Callable[..., Any]
    params: PyTree
    x: PyTree
    x_test: PyTree
    shape: tuple[int, ...]
    rows: int

    @classmethod
    def of(cls, f: Any, params: PyTree, x: PyTree, x_test: PyTree = None) -> "Model":
        """Check a function and what it is called with."""
        with jax.enable_x64(True):
            found = trained(f, params)
            arrays, x, x_test = (cast(tree, jnp.float64) for tree in (found.arrays, x, x_test))
            shape = _outputs_shape(found.loss, arrays, x, "x")
            tests = () if x_test is None else _outputs_shape(found.loss, arrays, x_test, "x_test")
        rows = int(np.prod(shape)) + (int(np.prod(tests)) if tests else 0)
        return cls(found.loss, arrays, x, x_test, shape, rows)

    @property
    def indices(self) -> int:
        """How many outputs there are at `x`."""
        return int(np.prod(self.shape))

    @property
    def pairs(self) -> int:
        """How many entries the tangent kernel has."""
        return self.rows * self.indices

    def numbers(self, values: Any, of: str) -> Float[np.ndarray, "..."]:
        """Read finite numbers that must have the shape of the outputs at `x`."""
        values = as_float64(values, of)
        if values.shape != self.shape:
            raise UserError(
                f"{of} must have the shape of the outputs at x, {self.shape}, got {values.shape}"
            )
        if not np.isfinite(values).all():
            raise UserError(f"{of} must be finite numbers")
        return values

    def sets(self, points: Any) -> Int[np.ndarray, "block size"]:
        """Read sets of positions in `x`; None for each by itself."""
        count = self.shape[0]
        try:
            sets = np.arange(count)[:, None] if points is None else np.asarray(points)
        except ValueError:  # rows of several lengths
            sets = np.empty(0)
        whole = sets.ndim == 2 and sets.size and sets.dtype.kind in "iu"
        if not whole or sets.min() < 0 or sets.max() >= count:
            raise UserError(
                "points must be rows of one length of positions from 0 to "
                f"{count - 1}, such as [[0, 1], [2, 3]], got {points!r:.100}"
            )
        return sets

    def check_memory(self, entries: int, gradients: int, memory: float) -> None:
        """Refuse what would hold more numbers than fit: entries of kernels, and gradients."""
        needed = 8 * (entries + gradients * self.size)
        if needed > memory:
            raise UserError(
                f"this takes about {needed / 2**20:.0f} MiB ({self.indices} outputs, {self.size} "
                f"parameters), more than memory={memory / 2**20:.0f} MiB; take fewer points or a "
                "lower order, hierarchy_along in place of the whole hierarchy, or more memory"
            )

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


def finite(compute: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of JAX in float64; its arrays as NumPy's, which must be finite."""
    with jax.enable_x64(True), told():
        found = jax.tree.map(np.asarray, compute(*arguments))
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found)):
        raise UserError(
            "a kernel is not finite at these parameters: autodiff has no derivative of a norm or a "
            "root at 0 (add a small number under the root), and numbers beyond 1e308 overflow"
        )
    return found


def _outputs_shape(f: Callable[..., Any], params: PyTree, x: PyTree, of: str) -> tuple[int, ...]:
    """The shape of the outputs at a batch, after a look whether they are what kernels are of."""
    count = _count(x, of)
    with told():
        outputs = jax.jit(f)(params, x)
    shape = outputs.shape
    if len(shape) not in (1, 2) or shape[0] != count or not outputs.size:
        raise UserError(
            f"f(params, {of}) must give (batch,) or (batch, outputs) numbers for the {count} "
            f"examples, got an array of shape {shape}"
        )
    if outputs.dtype != jnp.float64:
        raise UserError(
            f"f gives {outputs.dtype} where parameters and {of} are float64; let it keep the "
            "precision of what it is given (in Flax dtype=None, no astype)"
        )
    if not np.isfinite(outputs).all():
        raise UserError(f"f(params, {of}) is not finite; there is nothing to measure")
    with told():
        apart = np.abs(outputs - jax.jit(_each_alone, static_argnums=0)(f, params, x)).max()
    if not apart <= _ALIKE * np.abs(outputs).max():
        raise UserError(
            f"what f says of an example of {of} changes with the rest of the batch, or from call "
            "to call; use normalization in its inference mode, and turn randomness off"
        )
    return shape


def _count(x: PyTree, of: str) -> int:
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(x)}
    if len(counts) != 1 or 0 in counts:
        raise UserError(
            f"{of} must be an array, or a pytree of arrays, whose first axis counts the examples "
            f"(1 or more); got first axes {sorted(counts) or 'none'}"
        )
    return counts.pop()


def _each_alone(f: Callable[..., Any], params: PyTree, x: PyTree) -> Array:
    return jax.vmap(lambda point: f(params, alone(point))[0])(x)


def alone(point: PyTree) -> PyTree:
    """A batch of one example."""
    return jax.tree.map(lambda leaf: leaf[None], point)
