"""What a sample tells about two networks, collected in batches of any size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures.margins import margins
from whytrain.measures.weights import TwoLayerWeights, as_float64

RELEASED_BATCH = 64
_BATCH = 4096

Each = Float[np.ndarray, " example"]
Pairs = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Sample:
    """A few numbers an example, and two sums over all of them.

    Nothing depends on how the examples were cut into batches, nor (but for `signed_max`, which
    keeps it) on their order, up to the rounding of float64.

    Attributes:
        length: `||x||` of each example.
        inf: `max_k |x_k|` of each example.
        signed_max: `max_k x_k` of each example.
        margin: The trained network's margin on each example.
        response: `||u0_j X||_2` of each hidden unit of the initial network, without biases.
        features: `||[U0 X + bias0]_+||_F`.
    """

    length: Each
    inf: Each
    signed_max: Each
    margin: Each
    response: Float[np.ndarray, " hidden"]
    features: float

    def released_inf(self) -> float:
        """The root of `sum_batches max(x)^2 / m` over batches of 64, as the code has it."""
        starts = np.arange(0, len(self.signed_max), RELEASED_BATCH)
        tops = np.maximum.reduceat(self.signed_max, starts)
        return float(np.sqrt(np.sum(tops**2) / len(self.signed_max)))


def collect(
    initial: TwoLayerWeights,
    trained: TwoLayerWeights,
    inputs: Any,
    labels: Any | None,
    batch: int = _BATCH,
) -> Sample:
    """Go once through a sample.

    Args:
        initial: The initial network.
        trained: The trained network.
        inputs: Examples along the first axis, all else is flattened; sliced, never held as a whole.
            Or, without labels, an iterable of pairs (inputs, labels), such as a PyTorch
            `DataLoader`.
        labels: The class of each example, from 0.
        batch: How many examples are held at a time.

    Returns:
        What was found.

    Raises:
        UserError: The sample is empty, shapes or labels do not fit the networks, or the outputs
            overflow.
    """
    columns: list[tuple[Each, Each, Each, Each]] = []
    response, features = np.zeros(initial.hidden), 0.0
    for x, y in batches(inputs, labels, batch, trained):
        before = initial.before(x)
        response += np.einsum("ij,ij->j", before, before)
        before += initial.hidden_bias
        np.maximum(before, 0, out=before)
        features += float(np.vdot(before, before))
        tops, bottoms = x.max(axis=1), x.min(axis=1)
        length = np.sqrt(np.einsum("ij,ij->i", x, x))
        outputs = trained.outputs(x)
        if not np.isfinite(outputs).all():
            raise UserError("the outputs of the trained network are too large for float64")
        columns.append((length, np.maximum(tops, -bottoms), tops, margins(outputs, y)))
    length, inf, signed_max, margin = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    return Sample(length, inf, signed_max, margin, np.sqrt(response), float(np.sqrt(features)))


def batches(
    inputs: Any, labels: Any | None, batch: int, network: TwoLayerWeights
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Flattened float64 inputs with their labels, checked against the network.

    Yields:
        So many examples at a time.

    Raises:
        UserError: As `collect` says.
    """
    if batch < 1:
        raise UserError(f"the batch must be 1 or more examples, got {batch}")
    seen = 0
    for x, y in _cut(inputs, labels, batch):
        x, y = as_float64(x, "the inputs"), as_float64(y, "the labels")
        x = x.reshape(len(x), -1) if x.ndim else x
        _check(x, y, network, seen)
        seen += len(x)
        yield x, y.astype(np.int64)
    if not seen:
        raise UserError("the sample is empty; give at least one example")


def _cut(inputs: Any, labels: Any | None, batch: int) -> Iterator[tuple[Any, Any]]:
    if labels is None:
        yield from inputs
        return
    if np.ndim(inputs) == 0:
        raise UserError("the inputs must be an array whose first axis counts the examples")
    count, shape = np.shape(inputs)[0], np.shape(labels)
    if shape != (count,):
        raise UserError(
            f"labels must be one class for each of the {count} inputs, a vector of numbers from 0, "
            f"got shape {shape}"
        )
    for start in range(0, count, batch):
        yield inputs[start : start + batch], labels[start : start + batch]


def _check(x: np.ndarray, y: np.ndarray, network: TwoLayerWeights, seen: int) -> None:
    if x.ndim != 2 or x.shape[1] != network.inputs:
        found = x.shape[1] if x.ndim == 2 else "none"
        raise UserError(
            f"the network takes {network.inputs} numbers an example, the inputs have {found}; was "
            "another data set meant?"
        )
    if y.shape != (len(x),):
        raise UserError(f"a batch of {len(x)} inputs came with labels of shape {y.shape}")
    bad = np.flatnonzero((y != np.floor(y)) | (y < 0) | (y >= network.classes))
    if len(bad):
        raise UserError(
            f"labels must be whole numbers from 0 to {network.classes - 1}, got {y[bad[0]]:g} for "
            f"example {seen + bad[0]}"
        )
    wild = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(wild):
        raise UserError(f"input {seen + wild[0]} holds a number that is not finite")
