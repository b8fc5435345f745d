"""Products with the Hessian of a loss, in the precision that is asked for."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from whytrain._computes import Computed, computes
from whytrain.errors import UserError
from whytrain.measures.arrays import a
from whytrain.measures.loss import (
    across,
    check_examples,
    check_finite,
    check_loss,
    check_mean,
    parts,
    seen_by_jax,
    told,
)
from whytrain.measures.trained import Trained, trained

Vector = Float[np.ndarray, " parameter"]
Product = Callable[[Vector], Vector]


def hessian_product(
    loss: Any, params: PyTree, *data: Any, dtype: Any = jnp.float64, batch: int | None = None
) -> tuple[Product, int]:
    """Give `v -> H v` with `H` the Hessian of `loss(params, *data)` at `params`.

        H v = d/dp <grad loss(p), v>

    (Pearlmutter 1994). What does not depend on `v`, all activations and their gradients, is
    computed once. With a batch it is computed again for every product, a part of the data at a
    time, so that no more than a part is ever held; the product is the same up to rounding. A
    rectifier's kinks are passed as autodiff passes them: `H` is the Hessian of the piece that
    `params` lie in.

    Args:
        loss: A scalar function of the parameters and the data; without randomness, such as dropout.
        params: A pytree of arrays, or an Equinox module, of which the arrays of floating-point
            numbers are differentiated in and nothing else.
        *data: Pytrees of arrays; those of floating point are brought to `dtype`, as `params` are.
        dtype: The precision.
        batch: How many examples are held at a time, for a loss that is a mean over examples, which
            the first axis of every array of `data` counts; None for all, and also for a sum, or
            data that are no examples.

    Returns:
        The product, and how many parameters there are. A product that is not finite raises a
        `UserError` that names the parameters.

    Raises:
        UserError: `loss` is no scalar, its value changes from call to call or is not finite, its
            gradient is not finite, JAX cannot trace it, it is no mean over examples (such as with
            batch normalization in training mode), or among `params` there is what cannot be
            differentiated.

    Example:
        >>> product, size = hessian_product(lambda p: 3 * p[0] ** 2 + p[0] * p[1], np.ones(2))
        >>> product(np.array([1.0, 0.0])), size
        (array([6., 1.]), 2)
    """
    place = Place.of(loss, params, data, batch)
    return place.product(dtype), place.size


@dataclass(frozen=True)
class Place:
    """A loss at a point, checked; the products with its Hessian.

    Attributes:
        trained: The loss and its parameters, in float64.
        data: What else the loss takes.
        batch: How many examples are held at a time, or None.
    """

    trained: Trained
    data: tuple
    batch: int | None

    @classmethod
    def of(cls, loss: Any, params: PyTree, data: tuple, batch: int | None) -> "Place":
        """Check a loss at a point, see `hessian_product`."""
        with jax.enable_x64(True):
            found = trained(loss, params)
            found = replace(found, arrays=cast(found.arrays, jnp.float64))
            first = check_parts(found, data, batch)
            with told():
                now = computes(jax.grad(_no_count(found.loss)), found.arrays, *first)
        return cls(replace(found, loss=Computed(found.loss, now)), data, batch)

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.trained.arrays))

    def product(self, dtype: Any = jnp.float64, *, check: bool = True) -> Product:
        """Give `v -> H v` in a precision; unless told otherwise, it refuses what is not finite."""
        loss = self.trained.loss

        def checked(vector: Array, what: str) -> np.ndarray:
            found = np.array(vector)
            if check:
                check_finite(found, self.trained.names, self.trained.arrays, what)
            return found

        with jax.enable_x64(True):
            params = cast(self.trained.arrays, dtype)
            whole = None
            if self.batch is None:
                with told():
                    gradient, whole = _linearize(loss, params, cast(self.data, dtype))
                checked(gradient, "gradient")

        def product(vector: Vector) -> Vector:
            with jax.enable_x64(True):
                v = jnp.asarray(vector, dtype)
                if whole is not None:
                    return checked(_apply(whole, params, v), "second derivative")
                total = jnp.zeros_like(v)
                for share, part in parts(self.data, self.batch):
                    with told():
                        gradient, moved = _part(loss, params, cast(part, dtype), v)
                    checked(gradient, "gradient")
                    total += share * moved
                return checked(total, "second derivative")

        return product


def _no_count(loss: Callable) -> Callable:
    """The loss; one that is no floating-point number is refused."""

    def real(params: PyTree, *data: Any) -> Any:
        value = seen_by_jax(loss)(params, *data)
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise UserError(
                f"the loss must be a floating-point number to have derivatives, got {value.dtype}; "
                "a count, such as of errors, is flat: take a loss such as the cross-entropy"
            )
        return value

    return real


def check_parts(found: Trained, data: tuple, batch: int | None) -> tuple:
    """Check a loss on the first part of the data, which is given, and whether it is a mean."""
    if batch is not None and not isinstance(batch, int | np.integer):
        raise UserError(f"a batch must be a whole number of examples, got {batch!r}")
    _, first = next(parts(data, batch))
    first = cast(first, jnp.float64)
    value = check_loss(found.loss, found.arrays, first)
    with told():
        if batch is None:
            check_examples(found.loss, found.arrays, first, value)
        else:
            for part in (first, cast(across(data, batch), jnp.float64)):
                check_mean(found.loss, found.arrays, part)
    return first


def cast(tree: PyTree, dtype: Any) -> Any:
    """Bring the arrays of floating-point numbers of a pytree to a precision."""

    def to(leaf: Any) -> Array:
        try:
            array = jnp.asarray(leaf)
        except (TypeError, ValueError):
            raise UserError(f"data must be pytrees of arrays, got {a(leaf)} in them") from None
        return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(to, tree)


def power_of_two(vector: np.ndarray) -> float:
    """A power of two near the largest number of a vector; 1 where there is none."""
    largest = float(np.abs(vector).max(initial=0.0))
    return math.ldexp(1.0, max(math.frexp(largest)[1] - 1, -1000)) if largest else 1.0


@partial(jax.jit, static_argnums=0)
def _linearize(loss: Callable, params: PyTree, data: tuple) -> tuple[Array, Any]:
    # The Hessian is symmetric, so that the transposed derivative is the derivative; and unlike what
    # `jax.linearize` returns, what `jax.vjp` returns is a pytree that a compiled call can take.
    gradient, pull = jax.vjp(lambda point: jax.grad(seen_by_jax(loss))(point, *data), params)
    return ravel_pytree(gradient)[0], pull


@jax.jit
def _apply(pull: Callable, params: PyTree, vector: Array) -> Array:
    _, unravel = ravel_pytree(params)
    return ravel_pytree(pull(unravel(vector))[0])[0]


@partial(jax.jit, static_argnums=0)
def _part(loss: Callable, params: PyTree, data: tuple, vector: Array) -> tuple[Array, Array]:
    gradient, pull = _linearize(loss, params, data)
    return gradient, _apply(pull, params, vector)
