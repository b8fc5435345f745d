"""A function with all that the hierarchy and the flows are asked at, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, PyTree

from whytrain.errors import UserError
from whytrain.kernels.function import examples, function
from whytrain.kernels.plan import bytes_of, in_words
from whytrain.measures.arrays import as_float64
from whytrain.measures.loss import told


@dataclass(frozen=True)
class Model:
    """A function at its parameters, in float64, with the points it is asked at.

    Attributes:
        f: `f(params, x)`; it can be hashed.
        params: Arrays.
        x: The examples.
        x_test: More examples, or None.
        shape: That of the outputs at `x`.
        rows: How many outputs there are at `x_test` and `x`.
    """

    f: Callable[..., Any]
    params: list
    x: np.ndarray
    x_test: np.ndarray | None
    shape: tuple[int, ...]
    rows: int

    @classmethod
    def of(cls, f: Any, params: PyTree, x: Any, x_test: Any = None) -> "Model":
        """Check a function and what it is called with."""
        x = examples(x, np.float64, "x")
        x_test = None if x_test is None else examples(x_test, np.float64, "x_test", like=x)
        if x_test is not None and x_test.shape[1:] != x.shape[1:]:
            raise UserError(
                f"examples of x_test must have the shape of those of x, {x.shape[1:]}, got "
                f"{x_test.shape[1:]}"
            )
        with jax.enable_x64(True):
            found = function(f, params, x, np.float64)
            values = finite(jax.jit(found.call), found.leaves, x)
        if values.dtype != np.float64:
            raise UserError(
                f"f gives {values.dtype} where parameters and x are float64; let it keep the "
                "precision of what it is given (in Flax dtype=None, no astype)"
            )
        rows = values.size + (0 if x_test is None else len(x_test) * found.outputs)
        return cls(found.call, found.leaves, x, x_test, values.shape, rows)

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

    def check_memory(self, entries: int, gradients: int, memory: str | int) -> None:
        """Refuse what would hold more numbers than fit: entries of kernels, and gradients."""
        needed, room = 8 * (entries + gradients * self.size), bytes_of(memory)
        if needed > room:
            raise UserError(
                f"this takes about {in_words(needed)} ({self.indices} outputs, {self.size} "
                f"parameters), more than memory= ({in_words(room)}); take fewer points or a "
                "lower order, hierarchy_along in place of the whole hierarchy, or more memory"
            )

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(leaf.size for leaf in self.params)


def finite(compute: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of JAX in float64; its arrays as NumPy's, which must be finite."""
    with jax.enable_x64(True), told():
        found = jax.tree.map(np.asarray, compute(*arguments))
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found)):
        raise UserError(
            "outputs or kernels are not finite at these parameters: autodiff has no derivative of "
            "a norm or root at 0 (add a small number under it), and numbers beyond 1e308 overflow"
        )
    return found
