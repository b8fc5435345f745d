"""The tangent kernel of any network: exact, in blocks that fit a memory."""

import contextlib
import math
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from whytrain.errors import KinkWarning, UserError
from whytrain.kernels.function import (
    Function,
    differentiated,
    examples,
    network,
    precision,
    precision_of,
)
from whytrain.kernels.plan import Plan, Wanted, bytes_of, choose, choose_jacobian, in_words
from whytrain.kernels.program import Program, Signals, block, program
from whytrain.kernels.pytorch import Module, is_module, parameters


def tangent_kernel(
    f: Any,
    params: PyTree,
    x1: Any,
    x2: Any = None,
    *,
    outputs: str = "full",
    method: str = "auto",
    memory: str | int = "1GiB",
    by_layer: bool = False,
    explain: bool = False,
    out: str | Path | None = None,
) -> Any:
    """The empirical tangent kernel `K[a, b] = <df(x_a)/dparams, df(x_b)/dparams>`.

    Exact: what `structured` does not recognize goes through a Jacobian. For a layer `y = W h` the
    derivative is an outer product, so that its part of the kernel is

        <h(x_a), h(x_b)> <df(x_a)/dy, df(x_b)/dy>

    and no Jacobian is made. A convolution, and a weight that is used more than once, is a sum of
    such products over places; its gradient is summed over them, a matrix of the weight's size for
    each output. Dense and convolutional layers and the biases added to them are found in the
    function as JAX traces it, through `jit`, `checkpoint`, transposition, slices and written-out
    `scan`s; norms and whatever else has parameters goes through the Jacobian.

    A rectifier's derivative at exactly 0 is what JAX gives the function that was used: 0 for
    `jax.nn.relu`, 1/2 for `jnp.maximum(x, 0)`.

    Args:
        f: `f(params, batch)`: an array of outputs, (example,) or (example, ...), each of which
            depends on its own example alone. `jax.vmap` makes it of a function of one example. Or
            a module of PyTorch, in evaluation mode; its kernel goes through `torch.func`.
        params: The parameters: a pytree of arrays, or an Equinox module. Its arrays of floating
            point are differentiated in. One in float64 makes all computations float64, float32
            otherwise. Of a module its parameters by name (what is not named is held as it is), or
            None for its own that require a gradient.
        x1: A batch of inputs: an array whose first axis counts them.
        x2: Another; None for the same.
        outputs: `"full"` for all pairs of outputs, `"trace"` for the sum over equal outputs,
            `"diagonal"` for each output by itself.
        method: `"structured"` as above; `"jacobian"`: whole gradients, contracted; `"products"`:
            a row at a time, the least memory; `"auto"`: the one that should take the least time of
            those that fit.
        memory: Bytes that may be used, the result among them and the interpreter not: a number, or
            words such as `"1GiB"`.
        by_layer: Whether each parameter's contribution is wanted.
        explain: Whether the plan is wanted too.
        out: A directory for the kernel as a Zarr array, written a block at a time; it must not be
            there.

    Returns:
        The kernel, a NumPy array: `"full"`: (n1 m, n2 m), with rows and columns in the order
        (example, output), for m outputs; `"trace"`: (n1, n2); `"diagonal"`: (m, n1, n2). With
        `by_layer` a dictionary of such arrays by parameter; with `out` the Zarr array; with
        `explain` a pair with the `Plan`.

    Raises:
        UserError: An argument is not as said, an example's outputs depend on others (batch
            normalization in training), a derivative is not finite, or the memory does not suffice.

    Warns:
        KinkWarning: A rectifier is at exactly 0.

    Source: Jacot, Gabriel and Hongler, "Neural tangent kernel", 2018 (arXiv 1806.07572).

    Example:
        >>> linear = lambda w, x: x @ w
        >>> x = np.array([[1.0, 2.0], [0.0, 1.0]])
        >>> tangent_kernel(linear, np.ones(2), x).tolist()
        [[5.0, 2.0], [2.0, 1.0]]
    """
    if outputs not in ("full", "trace", "diagonal"):
        raise UserError(f"outputs must be 'full', 'trace' or 'diagonal', got {outputs!r}")
    if by_layer and out is not None:
        raise UserError("out= takes one kernel; leave by_layer out, or keep the kernels in memory")
    room = bytes_of(memory)
    if not callable(f):
        raise UserError(
            f"f must be a function f(params, x) or a PyTorch module, not of type {type(f).__name__}"
        )
    params = parameters(f, params) if is_module(f) else params
    dtype = precision_of(params)
    with precision(dtype):
        a = examples(x1, dtype, "x1")
        b = a if x2 is None else examples(x2, dtype, "x2", like=a)
        if a.shape[1:] != b.shape[1:] or a.dtype != b.dtype:
            raise UserError(f"x1 and x2 must be alike, got {_kind(a)} and {_kind(b)}")
        found = network(f, params, a, dtype)
        names = found.names if by_layer else ("",)
        shape = _shape(outputs, len(a), len(b), found.outputs)
        itemsize = np.dtype(dtype).itemsize
        room = _beside(room, len(names) * math.prod(shape) * itemsize, out)
        want = Wanted(len(a), len(b), x2 is None, outputs, by_layer, room, itemsize)
        with differentiated():
            if isinstance(found, Module):
                plan, fill = _of_module(found, method, want)
            else:
                plan, fill = _of_function(found, method, want, a)
        parts = [_empty(shape, dtype, plan.points * found.outputs, out) for _ in names]
        with differentiated(), _whole_or_gone(out):
            zeros = fill(want, plan, a, b, parts)
    if zeros:
        warnings.warn(_at_kinks(zeros), KinkWarning, stacklevel=2)
    kernel = dict(zip(names, parts, strict=True)) if by_layer else parts[0]
    return (kernel, plan) if explain else kernel


def _of_function(
    network: Function, method: str, want: Wanted, x: np.ndarray
) -> tuple[Plan, Callable]:
    """How the kernel of a function is computed, and what fills it in."""
    layered, dense = (_program(network, x, layers) for layers in (True, False))
    plan = choose(method, layered, dense, network.names, want)
    if plan.method == "products":
        return plan, partial(_by_products, network, dense)
    used = layered if plan.method == "structured" else dense
    if want.same and plan.points == want.rows:
        return plan, partial(_at_once, used, network.leaves)

    def make(x: np.ndarray, old: Signals | None) -> Signals:
        some = jnp.asarray(x)
        if plan.keep:
            return used.signals(network.leaves, some)
        return used.again(network.leaves, some, old)

    return plan, partial(_by_signals, make)


def _of_module(network: Module, method: str, want: Wanted) -> tuple[Plan, Callable]:
    """The same for a module of PyTorch: its Jacobian."""
    if method not in ("auto", "jacobian"):
        raise UserError(f"a module of PyTorch goes through its Jacobian; got method={method!r}")
    size = sum(leaf.size for leaf in network.leaves)
    plan = choose_jacobian(network.names, size, network.outputs, want)

    def make(x: np.ndarray, _: Signals | None) -> Signals:
        gradients = dict(enumerate(network.gradients(x)))
        return {"single": {}, "gradients": gradients, "zeros": np.zeros(len(x))}

    return plan, partial(_by_signals, make)


def _program(network: Function, x: np.ndarray, layers: bool) -> Program:
    return program(network.call, network.shapes, jax.ShapeDtypeStruct(x.shape[1:], x.dtype), layers)


def _batch(x: np.ndarray, at: int, points: int) -> np.ndarray:
    """Some examples; the last is repeated at the end, so that all batches are of one size."""
    return x[np.minimum(np.arange(at, at + points), len(x) - 1)]


def _shape(outputs: str, rows: int, columns: int, m: int) -> tuple[int, ...]:
    if outputs == "full":
        return rows * m, columns * m
    return (rows, columns) if outputs == "trace" else (m, rows, columns)


def _beside(memory: int, result: int, out: Any) -> int:
    """The bytes that the result leaves over."""
    if out is None and result > memory / 2:
        raise UserError(
            f"the kernel itself takes {in_words(result)}, more than half of memory= "
            f"({in_words(memory)}); raise it, take outputs='trace', or give out='K.zarr'"
        )
    return memory if out is not None else memory - result


def _empty(shape: tuple[int, ...], dtype: Any, side: int, out: Any) -> Any:
    if out is None:
        return np.zeros(shape, dtype)
    import zarr

    if Path(out).exists():
        raise UserError(f"{str(out)!r} is there already; nothing is written over it")
    chunks = tuple(min(size, side) for size in shape)
    return zarr.create_array(store=str(out), shape=shape, chunks=chunks, dtype=dtype)


@contextlib.contextmanager
def _whole_or_gone(out: Any) -> Iterator[None]:
    """Leave no array behind that is filled in part."""
    try:
        yield
    except BaseException:
        if out is not None:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _kind(x: np.ndarray) -> str:
    return f"{x.dtype} of shape {x.shape}"


def _at_kinks(examples: int) -> str:
    count = "one example puts" if examples == 1 else f"{examples} examples put"
    return (
        f"{count} exactly 0 into a rectifier (an input without bias that is all zero?); its "
        "derivative there is a convention: 0 for jax.nn.relu, 1/2 for jnp.maximum(x, 0)"
    )


def _at_once(
    used: Program,
    leaves: list,
    want: Wanted,
    plan: Plan,
    a: np.ndarray,
    b: np.ndarray,
    found: Sequence[Any],
) -> int:
    """Fill in a kernel that is a single block, by one program; give the rectifiers at 0."""
    parts, zeros = used.square(leaves, a, want.outputs, want.by_layer)
    for name, kernel in enumerate(found):
        if (key := name if want.by_layer else -1) in parts:
            kernel[...] = _finite(parts[key]).reshape(kernel.shape)
    return _zeros(zeros, plan.points)


def _by_signals(
    make: Callable[[np.ndarray, Signals | None], Signals],
    want: Wanted,
    plan: Plan,
    a: np.ndarray,
    b: np.ndarray,
    found: Sequence[Any],
) -> int:
    """Fill in the kernel block by block; give the examples with a rectifier at 0.

    `make` gives what the kernel is made of at some examples, and may take the memory of what it
    gave before.
    """
    zeros, points = 0, plan.points

    def at(x: np.ndarray, place: int, old: Signals | None = None) -> Signals:
        return make(_batch(x, place, points), old)

    columns = [at(b, place) for place in range(0, len(b), points)] if plan.keep else []
    left = right = None
    for i, row in enumerate(range(0, len(a), points)):
        left = columns[i] if plan.keep and want.same else at(a, row, left)
        zeros += _zeros(left["zeros"], len(a) - row)
        for j, column in enumerate(range(0, len(b), points)):
            if want.same and j < i:
                continue
            if plan.keep:
                others = columns[j]
            elif want.same and j == i:
                others = left
            else:
                others = right = at(b, column, right)
            if not want.same and i == 0:
                zeros += _zeros(others["zeros"], len(b) - column)
            parts = block(left, others, want.outputs, want.by_layer)
            for name, kernel in enumerate(found):
                if (key := name if want.by_layer else -1) in parts:
                    _write(kernel, parts[key], row, column, want)
    return zeros


def _zeros(zeros: Any, examples: int) -> int:
    """How many examples of a batch, without those that fill it up, have a rectifier at 0."""
    return int((np.asarray(zeros)[:examples] > 0).sum())


def _finite(part: Any) -> np.ndarray:
    part = np.asarray(part)
    if not np.isfinite(part).all():
        raise UserError(
            "the kernel is not finite at these parameters: autodiff has no derivative of a norm or "
            "root at 0 (add a small number under it), and numbers beyond "
            f"{jnp.finfo(part.dtype).max:.0e} overflow"
        )
    return part


def _write(kernel: Any, part: Any, row: int, column: int, want: Wanted) -> None:
    """Put a block where it belongs, and its mirror image where both batches are one."""
    part = _finite(part)
    if want.outputs == "full":
        m = part.shape[1]
        part = part.reshape(part.shape[0] * m, -1)
        row, column = row * m, column * m
    part = part[..., : kernel.shape[-2] - row, : kernel.shape[-1] - column]
    height, width = part.shape[-2:]
    low, high = max(row, column), min(row + height, column + width)
    if want.same and low < high:  # equal to its mirror image but for rounding
        part = np.array(part)
        own = part[..., low - row : high - row, low - column : high - column]
        own[:] = (own + np.swapaxes(own, -1, -2)) / 2
    kernel[..., row : row + height, column : column + width] = part
    if want.same:
        kernel[..., column : column + width, row : row + height] = np.swapaxes(part, -1, -2)


def _by_products(
    network: Function,
    used: Program,
    want: Wanted,
    plan: Plan,
    a: np.ndarray,
    b: np.ndarray,
    found: Sequence[Any],
) -> int:
    """Fill in the kernel column by column: a gradient, and how the outputs change along it."""
    zeros, points = 0, plan.points
    for x in (a,) if want.same else (a, b):
        for at in range(0, len(x), points):
            some = used.zeros(network.leaves, jnp.asarray(_batch(x, at, points)))
            zeros += _zeros(some, len(x) - at)
    kernel = _columns(network.call, want.outputs)
    for row in range(0, len(a), points):
        rows = _batch(a, row, points)
        for column in range(row if want.same else 0, len(b)):
            _write(found[0], kernel(network.leaves, rows, b[column]), row, column, want)
    return zeros


@lru_cache(maxsize=64)  # a static argument would be kept for good, and all that it holds
def _columns(call: Callable, outputs: str) -> Callable[[list, Any, Any], Any]:
    return jax.jit(partial(_column, call, outputs))


def _column(call: Callable, outputs: str, leaves: list, rows: Any, x: Any) -> Any:
    """The kernel of a batch with one example."""
    value, pull = jax.vjp(lambda p: call(p, x[None])[0].reshape(-1), leaves)

    def along(chosen: Any) -> Any:
        [gradient] = pull(chosen)
        change = jax.jvp(lambda p: call(p, rows), (leaves,), (gradient,))[1]
        return change.reshape(len(rows), -1)

    part = jax.lax.map(along, jnp.eye(value.size, dtype=value.dtype))  # (output', example, output)
    if outputs == "full":
        return part.transpose(1, 2, 0)[:, :, None]
    same = jnp.diagonal(part, axis1=0, axis2=2)  # (example, output)
    return same.sum(axis=1)[:, None] if outputs == "trace" else same.T[:, :, None]
