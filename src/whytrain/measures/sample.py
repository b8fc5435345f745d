"""What a sample tells about two networks, collected in batches of any size; and its margins."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from whytrain._tables import Documented
from whytrain.errors import UserError
from whytrain.measures import norms as norm
from whytrain.measures.arrays import as_float64, words
from whytrain.measures.network import TwoLayerWeights
from whytrain.measures.sources import COMPARED

Margins = Float[np.ndarray, " example"]
FEW = 10  # examples below a quantile, under which it is said to be unsure


def margins(
    logits: Float[np.ndarray, "example classes"], labels: Int[np.ndarray, " example"]
) -> Margins:
    """`logits[i, y] - max_{j != y} logits[i, j]` with `y = labels[i]`; positive where it is right.

    Its Lipschitz constant in the Euclidean length of the logits is `sqrt(2)`. Implementations that
    subtract the largest logit *including* that of the label give 0 to every right example; those
    that take an absolute value call wrong examples right.

    Example:
        >>> margins(np.array([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), np.array([0, 2])).tolist()
        [2.0, -3.0]
    """
    rows = np.arange(len(labels))
    others = np.array(logits, dtype=np.float64)
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    return own - others.max(axis=1)


def quantile(margins: Margins, share: float) -> float:
    """The margin that a share of the examples stays below, linear between neighboring examples.

    As `numpy.quantile` and `torch.quantile` have it. The papers' figures take the share 0.05: one
    example in twenty may have a smaller margin.

    Raises:
        UserError: The share is not in [0, 1].

    Example:
        >>> print(f"{quantile(np.arange(1.0, 102.0), 0.05):.1f}")
        6.0
    """
    if isinstance(share, str) or not 0 <= share <= 1:
        raise UserError(f"the quantile of the margin must be from 0 to 1, got {share}")
    return float(np.quantile(margins, share))


def unsure(share: float, examples: int) -> list[str]:
    """Say that a quantile rests on few examples, if it does.

    Example:
        >>> unsure(0.05, 40)[0].partition(";")[0]
        'the margin rests on 2 examples below its quantile'
        >>> unsure(0.05, 1000)
        []
    """
    if share * examples >= FEW:
        return []
    few = math.ceil(share * examples)
    return [
        f"the margin rests on {few} example{'' if few == 1 else 's'} below its quantile; take more "
        "examples or a larger quantile"
    ]


UNCHECKED = (
    "the network that was measured may not be yours: nothing was compared with its outputs (give "
    "outputs=, logits of some examples or the model itself); "
)


def positive_quantile(
    margins: Margins, share: float, compared: int = 0, hint: str | None = None
) -> float:
    """As `quantile`, refused where it is not positive.

    Args:
        margins: The margins.
        share: The share of examples that may have a smaller one.
        compared: On how many examples the network's outputs were those of the user's model. Where
            they were not compared, that is the likelier reason than the training, and said first.
        hint: What else may be the reason.

    Raises:
        UserError: The margin is not positive, so that no bound which divides by it says anything.
    """
    if not np.isfinite(margins).all():
        raise UserError("the margins of the trained network are too large for float64")
    value = quantile(margins, share)
    if value > 0:
        return value
    wrong = float(np.mean(~(margins > 0)))
    more = (
        "train until fewer are misclassified"
        if wrong >= 1
        else f"train on, or take a margin quantile above {wrong:.3g}"
    )
    reasons = [f"its outputs are those of the model on {compared} examples"] if compared else []
    reasons += [hint] if hint else []
    after = "are these the labels of these examples? " if compared else "where the outputs agree: "
    raise UserError(
        f"{'' if compared else UNCHECKED}the margin at quantile {share:g} is {value:.4g}, not "
        f"positive ({wrong:.1%} of the examples are not classified right): the bounds divide by it "
        f"and would mean nothing; {''.join(f'{reason}; ' for reason in reasons)}{after}{more}"
    )


def margin_of(
    margins: Margins, share: float, compared: int, hint: str | None = None
) -> tuple[float, list[str]]:
    """The quantile, and what to say where it is not positive and the network is known to be yours.

    Raises:
        UserError: It is not positive, and no outputs were compared, see `positive_quantile`.
    """
    try:
        return positive_quantile(margins, share, compared, hint), []
    except UserError as refused:
        if not compared or not np.isfinite(margins).all():
            raise
        return quantile(margins, share), [f"no bartlett2017, no neyshabur2018: {refused}"]


def ramp(margins: Margins, gamma: float) -> Margins:
    """The ramp loss: 0 where the margin exceeds `gamma`, 1 where it is negative, linear between.

        ramp = clip(1 - margin / gamma, 0, 1)

    For `gamma = 0` it is the error, `1{margin <= 0}`. The paper's equation (1) prints `margin /
    gamma` for the middle branch, which would be discontinuous and would grow with the margin.

    Raises:
        UserError: `gamma` is negative.

    Example:
        >>> ramp(np.array([-1.0, 0.0, 0.25, 1.0, 2.0]), 1.0).tolist()
        [1.0, 1.0, 0.75, 0.0, 0.0]
    """
    if not gamma >= 0:
        raise UserError(f"the margin of the ramp must be 0 or more, got {gamma:g}")
    if gamma == 0:
        return (margins <= 0).astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny margin: all others are far from it
        return np.clip(1 - margins / gamma, 0, 1)


RELEASED_BATCH = 64
_BATCH = 4096
_PIXEL = 255
ONE_OUTPUT = (
    "a margin needs 2 classes or more, the network has 1 output; measures.network(model, inputs) "
    "reads one output f as the logits 0 and f"
)

Each = Float[np.ndarray, " example"]
Pairs = Iterable[tuple[Any, Any]]


@dataclass(repr=False, frozen=True, kw_only=True)
class OfClassifier(Documented):
    """What every measure of a classifier says of its sample.

    Attributes:
        margin: The margin at the quantile, `gamma`.
        quantile: The share of training margins that may be smaller than the margin.
        train_error: The share of training examples that are not classified right.
        test_error: The same on the test set, if one was given.
        notes: What is not to be trusted about these numbers, a sentence each.
        compared: On how many examples the network's outputs were those of the user's model.
    """

    margin: float
    quantile: float
    train_error: float
    test_error: float | None
    notes: tuple[str, ...]
    compared: int = 0

    def __repr__(self) -> str:
        said = "checked" if self.checked else "not checked against the model"
        return (
            f"{type(self).__name__}(margin {self.margin:.4g} at quantile {self.quantile:g}, "
            f"training error {self.train_error:.3g}, {said}; document() has all numbers)"
        )

    @property
    def checked(self) -> bool:
        """Whether the network is known to be the user's model: its outputs were compared."""
        return self.compared > 0


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
    """Look at the beginning of a sample."""
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
            f"DataLoader, not of type {type(inputs).__name__}"
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
        told = len(shape) == 2 and shape[0] == sizes[0]
        hint = f"; give labels{'.ravel()' if shape[-1] == 1 else '.argmax(axis=1)'}" if told else ""
        raise UserError(
            f"labels must be one class for each of the {sizes[0]} inputs, a vector of numbers from "
            f"0, got shape {shape}{hint}"
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
    """Inputs in float64 with their labels, checked against the network."""
    seen = 0
    for x, y in batches:
        x, y = as_float64(x, "the inputs"), _classes(y)
        if len(shape) == 1 and x.ndim and x.size:
            x = x.reshape(len(x), -1)
        _check(x, y, shape, classes, seen)
        seen += len(x)
        yield x, y.astype(np.int64)


def _classes(labels: Any) -> np.ndarray:
    try:
        return as_float64(labels, "the labels")
    except UserError as refused:
        hint = "np.unique(labels, return_inverse=True)[1] numbers classes from 0"
        raise UserError(f"{refused}; {hint}") from None


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
        hint = "; they look as if they count from 1" if y.min() == 1 and y.max() == classes else ""
        raise UserError(
            f"labels must be whole numbers from 0 to {classes - 1}, got {y[bad[0]]:g} for example "
            f"{seen + bad[0]}{hint}"
        )
    wild = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
    if len(wild):
        raise UserError(f"input {seen + wild[0]} holds a number that is not finite")


def check_outputs(outputs: np.ndarray) -> np.ndarray:
    """The outputs of the trained network, where they are numbers."""
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
    """Go once through a sample."""
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


def test_error(test: Any, batch: int, shape: Any, classes: int, outputs: Any) -> float | None:
    """The share of a test set that is not classified right; None without one."""
    if test is None:
        return None
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
