"""Products with the Hessian of a loss, in the precision that is asked for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from whytrain.errors import UserError
from whytrain.measures.parts import check_mean, parts

Vector = Float[np.ndarray, " parameter"]
Product = Callable[[Vector], Vector]


def hessian_product(
    loss: Callable[..., Any],
    params: PyTree,
    *data: Any,
    dtype: Any = jnp.float64,
    batch: int | None = None,
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
        params: A pytree of arrays.
        *data: Pytrees of arrays; those of floating point are brought to `dtype`, as `params` are.
        dtype: The precision.
        batch: How many examples are held at a time, for a loss that is a mean over examples, which
            the first axis of every array of `data` counts; None for all, and any loss.

    Returns:
        The product, and how many parameters there are.

    Raises:
        UserError: `loss` is no scalar, its value changes from call to call or is not finite, or
            with a batch it is no mean over examples.

    Example:
        >>> product, size = hessian_product(lambda p: 3 * p[0] ** 2 + p[0] * p[1], np.ones(2))
        >>> product(np.array([1.0, 0.0])), size
        (array([6., 1.]), 2)
    """
    with jax.enable_x64(True):
        _, first = next(parts(data, batch))
        known, first = _cast((params, first), jnp.float64)
        _check(loss, known, first)
        if batch is not None:
            check_mean(loss, known, first)
        params = _cast(params, dtype)
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        pull = _linearize(loss, params, _cast(data, dtype)) if batch is None else None

    def product(vector: Vector) -> Vector:
        with jax.enable_x64(True):
            v = jnp.asarray(vector, dtype)
            if pull is not None:
                return np.array(_apply(pull, params, v))
            total = jnp.zeros_like(v)
            for share, part in parts(data, batch):
                total += share * _part(loss, params, _cast(part, dtype), v)
            return np.array(total)

    return product, size


@partial(jax.jit, static_argnums=0)
def _linearize(loss: Callable, params: PyTree, data: tuple) -> Any:
    # The Hessian is symmetric, so that the transposed derivative is the derivative; and unlike what
    # `jax.linearize` returns, what `jax.vjp` returns is a pytree that a compiled call can take.
    return jax.vjp(lambda point: jax.grad(loss)(point, *data), params)[1]


@jax.jit
def _apply(pull: Callable, params: PyTree, vector: Array) -> Array:
    _, unravel = ravel_pytree(params)
    return ravel_pytree(pull(unravel(vector))[0])[0]


@partial(jax.jit, static_argnums=0)
def _part(loss: Callable, params: PyTree, data: tuple, vector: Array) -> Array:
    return _apply(_linearize(loss, params, data), params, vector)


def _cast(tree: PyTree, dtype: Any) -> Any:
    def cast(leaf: Any) -> Array:
        array = jnp.asarray(leaf)
        return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(cast, tree)


def _check(loss: Callable, params: PyTree, data: tuple) -> None:
    values = [np.asarray(loss(params, *data)) for _ in range(2)]
    if values[0].shape != ():
        raise UserError(f"the loss must be one number, got an array of shape {values[0].shape}")
    if not np.isfinite(values[0]):
        raise UserError(
            f"the loss is {values[0]} at these parameters; there is no curvature to measure"
        )
    if values[0] != values[1]:
        raise UserError(
            f"the loss changes from call to call ({values[0]:.6g}, {values[1]:.6g}); turn dropout "
            "and other randomness off"
        )
