"""The kernel hierarchy: the tangent kernel, how it moves along gradients, how that moves, ..."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from whytrain._types import Numeric
from whytrain.kernels.model import MEMORY, Model, alone, finite
from whytrain.measures.arrays import check_whole

Function = Callable[..., Any]
Kernel = Callable[[Array], Array]  # of the parameters as one vector


def hierarchy(
    f: Any, params: PyTree, x: PyTree, order: int, x_test: PyTree = None, *, memory: float = MEMORY
) -> tuple[Float[np.ndarray, "..."], ...]:
    """Give the kernels `K2, ..., K_order` of a function at its parameters.

    With `g_a` the gradient of output `a` by the parameters,

        K2[a, b] = g_a . g_b
        K(r+1)[a1, ..., ar, b] = (gradient of K(r)[a1, ..., ar]) . g_b

    so that `K3[a, b, c] = g_b . H_a g_c + g_a . H_b g_c`, `H_a` the Hessian of output `a`. Under
    `params' = -gradient of R`, `R = sum_a (f_a - y_a)^2 / (2 n)` over `n` examples,

        f_a' = -sum_b K2[a, b] r_b / n,    K(r)' = -sum_b K(r+1)[..., b] r_b / n,    r = f - y.

    Every kernel is symmetric in its first two indices, bit for bit, and in no others. All is
    computed in float64. A function with kinks, such as a ReLU network, has the kernels of the
    smooth piece that the parameters lie in; its own flow leaves them at every kink.

    Args:
        f: `f(params, x)`, the outputs at a batch: (batch,) or (batch, outputs). What it says of an
            example must depend on that example alone.
        params: A pytree of arrays, or an Equinox module, of which the arrays of floating-point
            numbers are differentiated in and nothing else.
        x: The batch, an array or a pytree of arrays whose first axis counts the examples. Each
            output of each example is an index: example after example.
        order: How far the hierarchy goes, 2 or more. Each step costs as many derivatives of the
            one before as there are indices.
        x_test: More examples. They go before those of `x` in the first index, and stand in no
            other: they move no parameters.
        memory: How many bytes the kernels and what leads to them may take, by an estimate.

    Returns:
        The kernels: `K(r)` has `r` axes, the first of the outputs at `x_test` and `x`, the others
        of those at `x`.

    Raises:
        UserError: The function is not one of single examples, JAX cannot trace it, it does not
            compute in float64, a kernel is not finite, or the memory would not do.

    Source: Huang and Yau, "Dynamics of Deep Neural Networks and Neural Tangent Hierarchy", ICML
    2020 (arXiv 1909.08156).

    Example:
        >>> def f(params, x):
        ...     return params["a"] * jax.numpy.tanh(params["w"] * x)
        >>> k2, k3 = hierarchy(f, {"a": 1.0, "w": 0.0}, np.array([1.0, 2.0]), order=3)
        >>> k2.tolist(), k3.shape
        ([[1.0, 2.0], [2.0, 4.0]], (2, 2, 2))
    """
    check_whole("order", order, 2)
    model = Model.of(f, params, x, x_test)
    entries = entries_of(order, model.rows, model.indices)
    model.check_memory(entries, gradients_of(order, model.rows), memory)
    return finite(kernels, model.f, model.params, model.x, order, model.x_test)


def hierarchy_along(
    f: Any,
    params: PyTree,
    x: PyTree,
    order: int,
    vector: Any,
    x_test: PyTree = None,
    *,
    memory: float = MEMORY,
) -> Float[np.ndarray, "row index"]:
    """Contract a kernel with a vector in all but two indices, without the kernel.

        K = sum_{c, d, ...} K(order)[a, b, c, d, ...] v_c v_d ...

    is the derivative of `K2`, taken `order - 2` times, along `u = sum_c v_c g_c`; `v` is held and
    `u` moves with the parameters. So under the flow of `hierarchy`, with `v` the residual `r` and
    `n` examples, `K2' = -hierarchy_along(3, r) / n`, and as the residual moves too,
    `K2'' = (hierarchy_along(4, r) + hierarchy_along(3, K2 r)) / n^2`.

    Args:
        f: As for `hierarchy`.
        params: As for `hierarchy`.
        x: As for `hierarchy`.
        order: That of the kernel, 2 or more.
        vector: A number for each output at `x`, in the outputs' shape.
        x_test: As for `hierarchy`.
        memory: As for `hierarchy`; of no more than a few Jacobians.

    Returns:
        The contraction, with the axes of `K2`.

    Raises:
        UserError: As for `hierarchy`, or `vector` is not of the outputs' shape.

    Example:
        >>> along = hierarchy_along(lambda w, x: w**2 * x, 1.0, np.array([1.0, 2.0]), 3, [1, 0])
        >>> along.tolist()  # K2 = 4 w^2 x x', and u = 2 w x at the first point
        [[16.0, 32.0], [32.0, 64.0]]
    """
    check_whole("order", order, 2)
    model = Model.of(f, params, x, x_test)
    model.check_memory(model.pairs, gradients_of(order, model.rows), memory)
    v = model.numbers(vector, "vector")
    return finite(along, model.f, model.params, model.x, order, v, model.x_test)


def hierarchy_blocks(
    f: Any,
    params: PyTree,
    x: PyTree,
    order: int,
    points: Any = None,
    *,
    memory: float = MEMORY,
) -> tuple[Float[np.ndarray, "block ..."], ...]:
    """Give the entries of the hierarchy whose indices are all of one set of points.

    Args:
        f: As for `hierarchy`.
        params: As for `hierarchy`.
        x: As for `hierarchy`.
        order: As for `hierarchy`.
        points: Sets of one size, a row each, by the points' positions in `x`. Default: each point
            by itself, for the diagonals `K(r)[a, ..., a]`.
        memory: As for `hierarchy`.

    Returns:
        For each order an array whose first axis is of the sets; the others are those of
        `hierarchy` at the points of a set.

    Raises:
        UserError: As for `hierarchy`, or a point is not there.

    Example:
        >>> k2, k3 = hierarchy_blocks(lambda w, x: w**2 * x, 1.0, np.array([1.0, 2.0]), 3)
        >>> k2.ravel().tolist(), k3.ravel().tolist()  # 4 w^2 x^2, and 8 w x^2 times 2 w x
        ([4.0, 16.0], [16.0, 128.0])
    """
    check_whole("order", order, 2)
    model = Model.of(f, params, x)
    sets = model.sets(points)
    indices = sets.shape[1] * model.indices // model.shape[0]
    entries = len(sets) * entries_of(order, indices, indices)
    model.check_memory(entries, gradients_of(order, indices), memory)
    return finite(blocks, model.f, model.params, model.x, order, sets)


@partial(jax.jit, static_argnames=("f", "order"))
def kernels(
    f: Function, params: PyTree, x: PyTree, order: int, x_test: PyTree = None
) -> tuple[Array, ...]:
    """`hierarchy` unchecked, as a function of arrays: for `jax.vmap` over parameters."""
    theta, rows, kernel = _start(f, params, x, x_test)
    found = [kernel]
    for _ in range(order - 2):
        found.append(_raised(found[-1], rows))
    return tuple(each(theta) for each in found)


@partial(jax.jit, static_argnames=("f", "order"))
def along(
    f: Function, params: PyTree, x: PyTree, order: int, vector: Array, x_test: PyTree = None
) -> Array:
    """`hierarchy_along` unchecked, as a function of arrays."""
    theta, rows, kernel = _start(f, params, x, x_test)
    for _ in range(order - 2):
        kernel = _moved(kernel, lambda theta: vector.ravel() @ rows(theta))
    return kernel(theta)


@partial(jax.jit, static_argnames=("f", "order"))
def blocks(
    f: Function, params: PyTree, x: PyTree, order: int, sets: Int[Numeric, "block size"]
) -> tuple[Array, ...]:
    """`hierarchy_blocks` unchecked, as a function of arrays."""
    return jax.lax.map(lambda points: kernels(f, params, _taken(x, points), order), sets)


def _start(f: Function, params: PyTree, x: PyTree, x_test: PyTree) -> tuple[Array, Kernel, Kernel]:
    """The parameters as one vector; as functions of it the gradients at `x`, and `K2`."""
    theta, unravel = ravel_pytree(params)

    def gradients(theta: Array, points: PyTree) -> Float[Array, "index parameter"]:
        def at(point: PyTree) -> Array:
            return jax.jacrev(lambda theta: f(unravel(theta), alone(point)).ravel())(theta)

        return jax.vmap(at)(points).reshape(-1, theta.size)

    def kernel(theta: Array) -> Float[Array, "row index"]:
        g = gradients(theta, x)
        square = g @ g.T
        # A product need not be symmetric to the last bit. This is, and so are its derivatives.
        square = (square + square.T) / 2
        return square if x_test is None else jnp.r_[gradients(theta, x_test) @ g.T, square]

    return theta, lambda theta: gradients(theta, x), kernel


def _raised(kernel: Kernel, rows: Kernel) -> Kernel:
    """The next kernel: its last index is that of the gradient that the one before moves along."""

    def higher(theta: Array) -> Array:
        slopes = jax.lax.map(lambda g: jax.jvp(kernel, (theta,), (g,))[1], rows(theta))
        return jnp.moveaxis(slopes, 0, -1)

    return higher


def _moved(kernel: Kernel, field: Kernel) -> Kernel:
    """The derivative of a kernel along a field of directions."""
    return lambda theta: jax.jvp(kernel, (theta,), (field(theta),))[1]


def _taken(x: PyTree, points: Any) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[points], x)


def entries_of(order: int, rows: int, indices: int) -> int:
    """How many numbers the kernels up to an order hold."""
    return sum(rows * indices ** (r - 1) for r in range(2, order + 1))


def gradients_of(order: int, rows: int) -> int:
    """How many gradients are held, with what leads to them: each derivative doubles them."""
    return 2**order * rows
