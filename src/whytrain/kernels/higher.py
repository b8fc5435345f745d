"""The kernels of the hierarchy as functions of arrays, for `jax.jit` and `jax.vmap`; unchecked."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from whytrain._types import Numeric

AT_A_TIME = 16  # points whose gradients are held where not all are

Function = Callable[..., Any]
Kernel = Callable[[Array], Array]  # of the parameters as one vector


@partial(jax.jit, static_argnames=("f", "order"))
def kernels(
    f: Function, params: PyTree, x: Any, order: int, x_test: Any = None
) -> tuple[Array, ...]:
    """`hierarchy` unchecked, as a function of arrays: for `jax.vmap` over parameters."""
    theta, rows, kernel = _start(f, params, x, x_test)
    found = [kernel]
    for _ in range(order - 2):
        found.append(_raised(found[-1], rows))
    return tuple(each(theta) for each in found)


@partial(jax.jit, static_argnames=("f", "order"))
def along(
    f: Function, params: PyTree, x: Any, order: int, vector: Array, x_test: Any = None
) -> Array:
    """`hierarchy_along` unchecked, as a function of arrays."""
    theta, unravel = ravel_pytree(params)
    kernel = _by_rows(f, unravel, x, x_test)

    def field(theta: Array) -> Array:
        return jax.grad(lambda theta: jnp.vdot(f(unravel(theta), x), vector))(theta)

    for _ in range(order - 2):
        kernel = _moved(kernel, field)
    return kernel(theta)


@partial(jax.jit, static_argnames=("f", "order"))
def blocks(
    f: Function, params: PyTree, x: Any, order: int, sets: Int[Numeric, "block size"]
) -> tuple[Array, ...]:
    """`hierarchy_blocks` unchecked, as a function of arrays."""
    return jax.lax.map(lambda points: kernels(f, params, x[points], order), sets)


def _start(f: Function, params: PyTree, x: Any, x_test: Any) -> tuple[Array, Kernel, Kernel]:
    """The parameters as one vector; as functions of it the gradients at `x`, and `K2`."""
    theta, unravel = ravel_pytree(params)

    def rows(theta: Array, points: Array) -> Float[Array, "index parameter"]:
        found = jax.vmap(lambda point: _gradients(f, unravel, theta, point))(points)
        return found.reshape(-1, theta.size)

    def kernel(theta: Array) -> Float[Array, "row index"]:
        g = rows(theta, x)
        return _joined(None if x_test is None else rows(theta, x_test) @ g.T, g @ g.T)

    return theta, lambda theta: rows(theta, x), kernel


def _by_rows(f: Function, unravel: Callable, x: Any, x_test: Any) -> Kernel:
    """`K2` as products of the Jacobian with a gradient: the gradients of one point at a time."""

    def rows(theta: Array, points: Array) -> Float[Array, "row index"]:
        def along(g: Array) -> Array:
            return jax.jvp(lambda theta: f(unravel(theta), x).ravel(), (theta,), (g,))[1]

        def at(point: Array) -> Array:
            return jax.vmap(along)(_gradients(f, unravel, theta, point))

        found = jax.lax.map(at, points, batch_size=AT_A_TIME)
        return found.reshape(-1, found.shape[-1])

    return lambda theta: _joined(None if x_test is None else rows(theta, x_test), rows(theta, x))


def _gradients(
    f: Function, unravel: Callable, theta: Array, point: Array
) -> Float[Array, "output parameter"]:
    return jax.jacrev(lambda theta: f(unravel(theta), point[None]).ravel())(theta)


def _joined(tests: Array | None, square: Float[Array, "index index"]) -> Float[Array, "row index"]:
    # The square need not be symmetric to the last bit. This is, and so are its derivatives.
    square = (square + square.T) / 2
    return square if tests is None else jnp.concatenate([tests, square])


def _raised(kernel: Kernel, rows: Kernel) -> Kernel:
    """The next kernel: its last index is that of the gradient that the one before moves along."""

    def higher(theta: Array) -> Array:
        slopes = jax.lax.map(lambda g: jax.jvp(kernel, (theta,), (g,))[1], rows(theta))
        return jnp.moveaxis(slopes, 0, -1)

    return higher


def _moved(kernel: Kernel, field: Kernel) -> Kernel:
    """The derivative of a kernel along a field of directions."""
    return lambda theta: jax.jvp(kernel, (theta,), (field(theta),))[1]


def entries_of(order: int, rows: int, indices: int) -> int:
    """How many numbers the kernels up to an order hold."""
    return sum(rows * indices ** (r - 1) for r in range(2, order + 1))


def gradients_of(order: int, rows: int) -> int:
    """How many gradients are held, with what leads to them: each derivative doubles them."""
    return 2**order * rows
