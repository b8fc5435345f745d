"""Data that are held a part at a time, under a loss that is a mean over examples."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from whytrain.errors import UserError

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


def check_mean(loss: Callable[..., Any], params: PyTree, part: tuple) -> None:
    """Look whether the loss of some examples is the mean of the losses of their halves.

    Args:
        loss: The loss.
        params: Its parameters.
        part: Some examples; of one alone nothing can be seen.

    Raises:
        UserError: It is another number, so that losses of parts do not make up that of all.
    """
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
