"""Calling a loss that a user wrote, on all data or a part at a time; what fails is one line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from whytrain.errors import UserError
from whytrain.measures.arrays import a, in_one_line, some


def check_loss(loss: Callable[..., Any], arrays: PyTree, data: tuple) -> float:
    """Evaluate a loss, twice."""
    first, again = (_value(loss, arrays, data) for _ in range(2))
    if not np.isfinite(first):
        raise UserError(f"the loss is {first} at these parameters; there is nothing to measure")
    if first != again:
        raise UserError(
            f"the loss changes from call to call ({first:.6g}, {again:.6g}); turn dropout "
            "and other randomness off"
        )
    return first


def check_finite(vector: np.ndarray, names: Sequence[str], arrays: PyTree, what: str) -> None:
    """Name the parameters at which a derivative is not finite."""
    if np.isfinite(vector).all():
        return
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(arrays)]
    wrong = [int((~np.isfinite(part)).sum()) for part in np.split(vector, np.cumsum(sizes)[:-1])]
    found = [
        f"{name} ({count} of {size} numbers)"
        for name, count, size in zip(names, wrong, sizes, strict=True)
        if count
    ]
    raise UserError(
        f"the {what} of the loss is not finite with respect to {some(found)}; autodiff has none "
        "for a norm or a root at 0 (add a small number under the root, or move the parameters), "
        "and numbers beyond 1e308 overflow (scale the loss)"
    )


def told() -> AbstractContextManager[None]:
    """Tell in one line that a loss, which runs in the block, does not run in JAX."""
    return in_one_line(
        "the loss cannot be computed",
        "; it is called as loss(params, *data) and must be written with jax.numpy (no PyTorch, no "
        "float())",
    )


def seen_by_jax(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss; where JAX traces it, JAX must be what computes it."""

    def seen(params: PyTree, *data: Any) -> Any:
        value = loss(params, *data)
        if not isinstance(value, jax.core.Tracer):
            raise UserError(
                "the loss does not depend on the parameters as far as JAX sees: it returned "
                f"{a(value)}; compute it from its first argument with jax.numpy (no PyTorch)"
            )
        return value

    return seen


def _value(loss: Callable[..., Any], arrays: PyTree, data: tuple) -> float:
    with told():
        found = loss(arrays, *data)
        if isinstance(found, tuple | list | Mapping):
            raise UserError(f"the loss must be one number, got {a(found)}; return the loss alone")
        value = np.asarray(found)
    if value.shape != ():
        raise UserError(f"the loss must be one number, got an array of shape {value.shape}")
    real = any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer))
    if not real:
        what = a(found) if value.dtype == object else f"an array of {value.dtype}"
        raise UserError(f"the loss must be one real number, got {what}")
    return float(value)


_HALVED = 4  # examples, below which a half is not worth comparing
_ALIKE = 1e-6  # relative; in float64 a mean is the mean of its halves to much less


def parts(data: tuple, batch: int | None) -> Iterator[tuple[float, tuple]]:
    """Cut data along the first axis of every array.

    Args:
        data: Pytrees of arrays; such as are memory-mapped are read a part at a time.
        batch: Examples in a part; None for all data in one, whatever they are.

    Yields:
        The share of the examples in a part, and the part.

    Raises:
        UserError: The batch is not 1 or more, or arrays have not one number of examples.

    Example:
        >>> list(parts((np.arange(3),), 2))
        [(0.6666666666666666, (array([0, 1]),)), (0.3333333333333333, (array([2]),))]
    """
    if batch is None:
        yield 1.0, data
        return
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(data)}
    if batch < 1 or len(counts) != 1 or 0 in counts:
        raise UserError(
            "with a batch (1 or more) the first axis of every array of the data counts the "
            f"examples; got batch {batch} and first axes {sorted(counts) or 'none'}"
        )
    [count] = counts
    for start in range(0, count, batch):
        part = jax.tree.map(lambda leaf, at=start: leaf[at : at + batch], data)
        yield min(batch, count - start) / count, part


def check_examples(loss: Callable[..., Any], params: PyTree, data: tuple, whole: float) -> None:
    """Refuse a loss in which examples act on each other, as batch normalization in training does.

    Such a loss is neither the mean nor the sum of the losses of both halves of the data. What
    cannot be cut in halves, because first axes differ or the loss does not take a part, has no
    examples.
    """
    leaves = [np.shape(leaf) for leaf in jax.tree.leaves(data)]
    counts = {shape[0] if shape else 0 for shape in leaves}
    if len(counts) != 1 or max(counts) < _HALVED:
        return
    [count] = counts
    try:
        halves = [
            (share, float(loss(params, *half))) for share, half in parts(data, (count + 1) // 2)
        ]
    except Exception:  # the user's loss does not take a part of the data
        return
    found = [sum(share * value for share, value in halves), sum(value for _, value in halves)]
    size = max(abs(whole), *(abs(value) for _, value in halves))
    if not any(abs(one - whole) <= _ALIKE * size for one in found):
        raise UserError(
            f"the loss of {count} examples is {whole:.6g}, neither the mean ({found[0]:.6g}) nor "
            f"the sum ({found[1]:.6g}) of the losses of their halves, as with batch normalization "
            "in training mode: normalize by running statistics; if it is this loss that you mean, "
            "close over the data, loss = lambda params: f(params, X, y)"
        )


def across(data: tuple, batch: int) -> tuple:
    """As many examples as a part has, or a few more, from all over the data.

    What is sorted by class has one class in its first part.
    """
    count, wanted = len(jax.tree.leaves(data)[0]), max(batch, 8)
    step = max(count // wanted, 1)
    return jax.tree.map(lambda leaf: leaf[::step][:wanted], data)


def check_mean(loss: Callable[..., Any], params: PyTree, part: tuple) -> None:
    """Look whether the loss of some examples is the mean of the losses of their halves."""
    count = len(jax.tree.leaves(part)[0])
    if count < 2:
        return
    whole = float(loss(params, *part))
    halves = [share * float(loss(params, *half)) for share, half in parts(part, (count + 1) // 2)]
    if not abs(sum(halves) - whole) <= _ALIKE * max(abs(whole), *map(abs, halves)):
        raise UserError(
            f"the loss of {count} examples is {whole:.6g}, the mean over their halves "
            f"{sum(halves):.6g}: with a batch it must be a mean over examples (no sum, and no "
            "batch normalization); leave the batch out"
        )
