"""The orders in which layers can follow each other, by their shapes and by their names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from whytrain.errors import UserError
from whytrain.measures.entries import Parts, Weights

MOST = 1000  # orders that are looked for, and networks that are compared with outputs
_STEPS = 20_000  # of the search

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """What a layer takes and gives: numbers, or channels of a convolution."""

    into: int
    out: int
    dense: bool


def sizes_of(parts: Parts, last: bool) -> dict[str, Size]:
    """The sizes of all layers, whether the last axis of their weights counts the outputs or not."""
    return {name: _size(layer, last) for name, layer in parts.layers.items()}


def _size(layer: Weights, last: bool) -> Size:
    shape = layer.weight.shape
    out, into = (shape[-1], shape[-2]) if last else (shape[0], shape[1])
    return Size(into, out, len(shape) == 2)


def chained(
    order: Sequence[str], sizes: Mapping[str, Size], shape: Shape | None, last: bool
) -> bool:
    """Whether each layer takes what the one before it gives, and the first one the inputs."""
    return starts(sizes[order[0]], shape, last) and all(
        follows(sizes[one], sizes[two]) for one, two in pairwise(order)
    )


def starts(size: Size, shape: Shape | None, last: bool) -> bool:
    """Whether a layer can take the inputs, where their shape is known."""
    if shape is None:
        return True
    if size.dense:
        return prod(shape) == size.into
    return len(shape) == 3 and shape[-1 if last else 0] == size.into


def follows(one: Size, two: Size) -> bool:
    """Whether a layer can take what another one gives."""
    if one.dense or not two.dense:
        return one.dense == two.dense and one.out == two.into
    return two.into % one.out == 0  # an image, flattened


def search(
    sizes: Mapping[str, Size], shape: Shape | None, last: bool, before: Mapping[str, set[str]]
) -> list[tuple[str, ...]]:
    """All orders, or so many that they cannot be compared.

    Raises:
        UserError: The search would take too long.
    """
    found: list[tuple[str, ...]] = []
    steps = 0

    def extend(order: tuple[str, ...]) -> None:
        nonlocal steps
        steps += 1
        if len(order) == len(sizes):
            found.append(order)
            return
        for name, size in sizes.items():
            if steps > _STEPS or len(found) > MOST:
                return
            fits = follows(sizes[order[-1]], size) if order else starts(size, shape, last)
            if name not in order and fits and before.get(name, set()) <= set(order):
                extend((*order, name))

    extend(())
    if steps > _STEPS:
        raise UserError(
            f"{len(sizes)} layers of few shapes follow each other in too many orders to try; give "
            "order= (a list of their names)"
        )
    return found


_FIRST = {"input", "in", "stem", "first"}
_LAST = {"output", "out", "head", "classifier", "logits", "readout", "last", "final"}


def named_before(names: Sequence[str]) -> dict[str, set[str]]:
    """The layers that come before each, as far as their names say: by numbers, or `output`."""
    before = {name: {other for other in names if _earlier(other, name)} for name in names}
    for words, put in ((_FIRST, True), (_LAST, False)):
        said = [n for n in names if words & set(re.split(r"[._\d]+", n.rpartition(".")[2].lower()))]
        if len(said) == 1:
            for other in set(names) - set(said):
                before[other if put else said[0]].add(said[0] if put else other)
    return before


def _earlier(one: str, other: str) -> bool:
    """Whether the numbers in two names say that one comes before the other: `fc2` and `fc10`."""
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a == b:
            continue
        stem_a, number_a = _numbered(a)
        stem_b, number_b = _numbered(b)
        return stem_a == stem_b and number_a < number_b
    return False


def _numbered(word: str) -> tuple[str, tuple[int, ...]]:
    """A word without its numbers, and the numbers; `dense` goes before `dense_1`."""
    return re.sub(r"\d+", "#", word).removesuffix("_#"), tuple(map(int, re.findall(r"\d+", word)))
