"""The kernel hierarchy: the tangent kernel, how it moves along gradients, how that moves, ..."""

from typing import Any

import numpy as np
from jaxtyping import Float, PyTree

from whytrain.kernels.higher import AT_A_TIME, along, blocks, entries_of, gradients_of, kernels
from whytrain.kernels.model import Model, finite
from whytrain.measures.arrays import check_whole


def hierarchy(
    f: Any, params: PyTree, x: Any, order: int, x_test: Any = None, *, memory: str | int = "1GiB"
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
        x: The examples, by the first axis. Each output of each example is an index: example after
            example.
        order: How far the hierarchy goes, 2 or more. Each step costs as many derivatives of the
            one before as there are indices.
        x_test: More examples. They go before those of `x` in the first index, and stand in no
            other: they move no parameters.
        memory: What the kernels and what leads to them may take, by an estimate: bytes, or words
            such as `"1GiB"`.

    Returns:
        The kernels: `K(r)` has `r` axes, the first of the outputs at `x_test` and `x`, the others
        of those at `x`.

    Raises:
        UserError: The function is not one of single examples, JAX cannot trace it, it does not
            compute in float64, a kernel is not finite, or the memory would not do.

    Source: Huang and Yau, "Dynamics of Deep Neural Networks and Neural Tangent Hierarchy", ICML
    2020 (arXiv 1909.08156).

    Example:
        >>> import jax.numpy as jnp
        >>> def f(params, x):
        ...     return params["a"] * jnp.tanh(params["w"] * x)
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
    x: Any,
    order: int,
    vector: Any,
    x_test: Any = None,
    *,
    memory: str | int = "1GiB",
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
        memory: As for `hierarchy`. Few gradients are held at a time.

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
    held = min(model.shape[0], AT_A_TIME) * model.indices // model.shape[0]
    model.check_memory(2 * model.pairs, gradients_of(order, held), memory)
    v = model.numbers(vector, "vector")
    return finite(along, model.f, model.params, model.x, order, v, model.x_test)


def hierarchy_blocks(
    f: Any,
    params: PyTree,
    x: Any,
    order: int,
    points: Any = None,
    *,
    memory: str | int = "1GiB",
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
