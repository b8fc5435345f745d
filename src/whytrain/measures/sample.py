"""What a sample tells about two networks, collected in batches of any size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures import norms as norm
from whytrain.measures.agreement import COMPARED
from whytrain.measures.arrays import as_float64, words
from whytrain.measures.margins import margins
from whytrain.measures.weights import TwoLayerWeights

RELEASED_BATCH = 64
_BATCH = 4096
_PIXEL = 255

Each = Float[np.ndarray, " example"]
Pairs = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Examples:
    """A sample that is gone through once.

    Attributes:
        first: The inputs of the first examples, as the user has them.
        batches: Inputs and labels, all of them.
    """

    first: Any
    batches: Iterator[tuple[Any, Any]]

    def hint(self) -> str | None:
        """Say that inputs look like pixels that were not scaled, if they do."""
        x = as_float64(self.first, "the inputs")
        whole = x.size and np.isfinite(x).all() and (x == np.floor(x)).all() and x.min() >= 0
        byte = str(getattr(self.first, "dtype", "")).removeprefix("torch.") == "uint8"
        if whole and (byte or x.max() > 100) and 1 < x.max() <= _PIXEL:
            return (
                f"the inputs are whole numbers from {x.min():g} to {x.max():g}, as pixels are "
                "stored; give them scaled as in training"
            )
        return None


def examples(inputs: Any, labels: Any | None, batch: int = _BATCH) -> Examples:
    """Look at the beginning of a sample.

    Args:
        inputs: Examples along the first axis; sliced, never held as a whole. Or, without labels, an
            iterable of pairs (inputs, labels), such as a PyTorch `DataLoader`.
        labels: The class of each example, from 0.
        batch: How many examples are held at a time.

    Returns:
        The sample.

    Raises:
        UserError: It is empty, or no sample.
    """
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
        raise UserError(f"the batch must be 1 or more examples, got {batch}")
    if labels is not None:
        count = _count(inputs, labels)
        if not count:
            raise UserError("the sample is empty; give at least one example")
        return Examples(inputs[:COMPARED], _cut(inputs, labels, count, batch))
    try:
        pairs = iter(inputs)
    except TypeError:
        raise UserError(
            "without labels the inputs must be an iterable of pairs (inputs, labels), such as a "
            f"DataLoader, got a {type(inputs).__name__}"
        ) from None
    first = next(pairs, None)
    if first is None:
        raise UserError("the sample is empty; give at least one example")
    stream = map(_pair, chain([first], pairs))
    return Examples(_pair(first)[0], stream)


def _count(inputs: Any, labels: Any) -> int:
    try:
        sizes, shape = np.shape(inputs), np.shape(labels)
    except (TypeError, ValueError) as error:
        raise UserError(f"inputs and labels must be arrays ({words(error)})") from error
    if not sizes:
        raise UserError("the inputs must be an array whose first axis counts the examples")
    if shape != sizes[:1]:
        raise UserError(
            f"labels must be one class for each of the {sizes[0]} inputs, a vector of numbers from "
            f"0, got shape {shape}"
        )
    return sizes[0]


def _cut(inputs: Any, labels: Any, count: int, batch: int) -> Iterator[tuple[Any, Any]]:
    for start in range(0, count, batch):
        yield inputs[start : start + batch], labels[start : start + batch]


def _pair(found: Any) -> tuple[Any, Any]:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise UserError(
            "without labels each item of the inputs must be a pair (inputs, labels), got "
            f"{type(found).__name__}"
        )
    return found[0], found[1]


def checked(
    batches: Iterable[tuple[Any, Any]], shape: tuple[int, ...], classes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs in float64 with their labels, checked against the network.

    Args:
        batches: Inputs and labels.
        shape: What the network takes; of one axis for vectors, and then inputs are flattened.
        classes: How many classes there are.

    Yields:
        So many examples at a time.

    Raises:
        UserError: An input or a label does not fit.
    """
    seen = 0
    for x, y in batches:
        x, y = as_float64(x, "the inputs"), as_float64(y, "the labels")
        if len(shape) == 1 and x.ndim and x.size:
            x = x.reshape(len(x), -1)
        _check(x, y, shape, classes, seen)
        seen += len(x)
        yield x, y.astype(np.int64)


def _check(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], classes: int, seen: int) -> None:
    if x.shape[1:] != shape:
        takes, found = (one[0] if len(one) == 1 else one for one in (shape, x.shape[1:] or ("no",)))
        raise UserError(
            f"the network takes {takes} numbers an example, the inputs have {found}; was another "
            "data set meant?"
        )
    if y.shape != (len(x),):
        raise UserError(f"a batch of {len(x)} inputs came with labels of shape {y.shape}")
    bad = np.flatnonzero(~((y == np.floor(y)) & (y >= 0) & (y < classes)))
    if len(bad):
        raise UserError(
            f"labels must be whole numbers from 0 to {classes - 1}, got {y[bad[0]]:g} for example "
            f"{seen + bad[0]}"
        )
    wild = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
    if len(wild):
        raise UserError(f"input {seen + wild[0]} holds a number that is not finite")


def check_outputs(outputs: np.ndarray) -> np.ndarray:
    """The outputs of the trained network, where they are numbers.

    Raises:
        UserError: They overflow.
    """
    if not np.isfinite(outputs).all():
        raise UserError("the outputs of the trained network are too large for float64")
    return outputs


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


def collect(initial: TwoLayerWeights, trained: TwoLayerWeights, sample: Examples) -> Sample:
    """Go once through a sample.

    Args:
        initial: The initial network.
        trained: The trained network.
        sample: The sample.

    Returns:
        What was found.

    Raises:
        UserError: Inputs or labels do not fit the networks, or the outputs overflow.
    """
    columns: list[tuple[Each, Each, Each, Each]] = []
    response, features = np.zeros(initial.hidden), 0.0
    for x, y in checked(sample.batches, (trained.inputs,), trained.classes):
        before = initial.before(x)
        response += np.einsum("ij,ij->j", before, before)
        before += initial.hidden_bias
        np.maximum(before, 0, out=before)
        features += float(np.vdot(before, before))
        tops, bottoms = x.max(axis=1), x.min(axis=1)
        outputs = check_outputs(trained.outputs(x))
        columns.append((norm.row_norms(x), np.maximum(tops, -bottoms), tops, margins(outputs, y)))
    length, inf, signed_max, margin = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    return Sample(length, inf, signed_max, margin, np.sqrt(response), float(np.sqrt(features)))


def test_error(test: Any, batch: int, shape: Any, classes: int, outputs: Any) -> float:
    """The share of a test set that is not classified right.

    Args:
        test: Inputs and labels.
        batch: How many examples are held at a time.
        shape: As in `checked`.
        classes: How many classes there are.
        outputs: The network.
    """
    try:
        inputs, labels = test
    except (TypeError, ValueError):
        raise UserError("test must be a pair of inputs and labels") from None
    batches = checked(examples(inputs, labels, batch).batches, shape, classes)
    found = [margins(check_outputs(np.asarray(outputs(x))), y) for x, y in batches]
    return error(np.concatenate(found))


def error(margins: np.ndarray) -> float:
    """The share of examples whose margin is not positive."""
    return float(np.mean(~(margins > 0)))
