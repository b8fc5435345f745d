"""The network that a checkpoint holds: which layers, how they are stored, in which order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from math import prod
from typing import Any

import numpy as np

from whytrain.errors import UserError, nearest
from whytrain.measures.arrays import plain, shown
from whytrain.measures.building import Hints, Plan, build, layer_name
from whytrain.measures.entries import Parts, Weights, check_ignored, possible_ways
from whytrain.measures.entries import parts as parts_of
from whytrain.measures.network import Layer, Network, Padding, Shape, TwoLayerWeights
from whytrain.measures.sources import Expected, Source, agrees, differs, source
from whytrain.measures.two_layers import rectified

MOST = 1000  # orders that are looked for, and networks that are compared with outputs
_STEPS = 20_000  # of the search


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
    """All orders, or so many that they cannot be compared."""
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


def layers(
    state: Any,
    *,
    order: Sequence[str] | None = None,
    stride: Mapping[str, int] | None = None,
    padding: Mapping[str, Padding] | None = None,
    ignore: Sequence[str] = (),
) -> list[Layer]:
    """Make layers of a state dict: matrices are dense, arrays with four axes convolutions.

    Batch normalization is folded into the layer before it where it is certain that it stands
    between that layer and its activation. `deep` takes state dicts too, and outputs that decide
    what names and shapes do not.

    Args:
        state: From name to array, as PyTorch's `state_dict` has them; or variables of Flax, a
            module of PyTorch or Equinox, an estimator of scikit-learn.
        order: The layers in their order, with or without `.weight`; needed only where neither
            numbers in the names nor shapes tell.
        stride: Of convolutions by name, where it is not 1.
        padding: Of convolutions by name, where it is not 0.
        ignore: Entries, by name or pattern, that the network does not use.

    Returns:
        The layers, in float64.

    Raises:
        UserError: A name is not there, there is no layer, the order cannot be told, or an entry
            has no place in such a network (layer normalization, recurrent layers and the like).

    Example:
        >>> state = {"0.weight": np.ones((4, 1, 3, 3)), "2.weight": np.ones((2, 16))}
        >>> [type(layer).__name__ for layer in layers(state, padding={"0": 1})]
        ['Convolution', 'Dense']
    """
    hints = Hints(order, stride, padding)
    return list(_read(state, "the state dict", hints, ignore).layers)


def two_layer(
    state: Any,
    hidden: str | None = None,
    output: str | None = None,
    of: str = "the checkpoint",
    *,
    ignore: Sequence[str] = (),
) -> TwoLayerWeights:
    """Find the weights of a two-layer network among named arrays.

    Without names, the two matrices are taken in the order in which their shapes fit together, as a
    PyTorch state dict of `Linear`, `ReLU`, `Linear` has them, whatever their names; Flax, Keras and
    scikit-learn store matrices transposed, which names and biases tell. This package's `TwoLayer`
    calls them `U`, `bias`, `V`, `out_bias`.

    Args:
        state: From name to array, or a network as `capacity` takes it.
        hidden: The name of the hidden layer, with or without `.weight`.
        output: The name of the output layer.
        of: What holds it, for messages.
        ignore: Entries, by name or pattern, that are not to be used.

    Returns:
        The weights in float64.

    Raises:
        UserError: A name is not there, an entry has no place, or the arrays do not make a two-layer
            network.

    Example:
        >>> state = {"0.weight": np.ones((5, 3)), "0.bias": np.ones(5), "2.weight": np.ones((2, 5))}
        >>> found = two_layer(state)
        >>> found.hidden, found.inputs, found.classes
        (5, 3, 2)
    """
    if isinstance(state, TwoLayerWeights):
        return state
    hints = Hints(layer_order(hidden, output, None))
    return rectified(_read(state, of, hints, ignore, flat=True))


def _read(
    given: Any, of: str, hints: Hints, ignore: Sequence[str], *, flat: bool = False
) -> Network:
    """The network of which names and shapes tell all."""
    opened = source(given, of)
    check_ignored(ignore, opened)
    found = used(opened, of, ignore, hints, flat=flat)
    return build(found, choose(found, None, hints, None, None), hints)


def used(found: Source, of: str, ignore: Sequence[str], hints: Hints, *, flat: bool) -> Parts:
    """The entries that are used; of two dense layers, if the network is to have those."""
    entries = parts_of(found, of, ignore)
    if flat:
        _check_two(entries, hints)
    return entries


def layer_order(
    hidden: str | None, output: str | None, order: Sequence[str] | None
) -> Sequence[str] | None:
    """The order of two layers, however it was given."""
    if hidden is None and output is None:
        return order
    if hidden is None or output is None:
        raise UserError("name both layers, hidden and output, or none")
    if order is not None:
        raise UserError("give hidden and output, or order, not both")
    return [hidden, output]


def _check_two(found: Parts, hints: Hints) -> None:
    """Refuse what has not two dense layers."""
    if hints.order is None and len(found.layers) != 2:
        raise UserError(
            f"{found.of} has {len(found.layers)} matrices ({shown(found.layers)}), a two-layer "
            "network has two; name them as hidden and output and the others in ignore=, or measure "
            "all layers with deep"
        )
    for layer in found.layers.values():
        if len(layer.weight.shape) != 2:
            raise UserError(
                f"{found.of}: {layer.weight} is a convolution; capacity is of two dense layers, "
                "deep measures convolutions too"
            )


def choose(
    parts: Parts, shape: Shape | None, hints: Hints, x: np.ndarray | None, said: Expected | None
) -> Plan:
    """The one way to make a network of the entries.

    Where names and shapes leave several, the outputs of the model decide.

    Args:
        parts: The entries.
        shape: Of one input; None if it is not known.
        hints: What the user says.
        x: Examples in float64, for the outputs.
        said: The outputs of the model, if they are known.

    Returns:
        The plan.

    Raises:
        UserError: No way fits, or several do and nothing decides.
    """
    found = list(islice(_plans(parts, shape, hints), MOST + 1))
    if said is None:
        if len(found) > 1 or not found[0].sure:
            raise _ask(parts, found)
        return found[0]
    assert x is not None
    for plan in found:
        network = build(parts, plan, hints)
        if agrees(network.layers, x, said):
            return plan
    if len(found) > MOST:
        raise _ask(parts, found)
    raise differs(build(parts, found[0], hints).layers, x, said)


def _plans(parts: Parts, shape: Shape | None, hints: Hints) -> Iterator[Plan]:
    """Every network that the entries allow, the likelier ones first."""
    ways = possible_ways(parts)
    ordered = some = False
    for last in ways:
        sizes = sizes_of(parts, last)
        for order in _orders(parts, sizes, shape, hints, last):
            ordered = True
            for owners, sure in _owners(parts, sizes):
                some = True
                yield Plan(last, order, owners, sure)
    if not ordered:
        raise _no_order(parts, ways, shape, hints)
    if not some:
        raise UserError(
            f"{parts.of}: there are more batch normalizations ({shown(parts.norms)}) than layers "
            "that they can follow"
        )


def _orders(
    parts: Parts, sizes: Mapping[str, Size], shape: Shape | None, hints: Hints, last: bool
) -> list[tuple[str, ...]]:
    """The orders in which each layer takes what the one before it gives."""
    if hints.order is not None:
        order = _given(parts, hints.order)
        return [order] if chained(order, sizes, shape, last) else []
    # Where names and shapes contradict each other, shapes are right.
    return search(sizes, shape, last, named_before(list(sizes))) or search(sizes, shape, last, {})


def _given(parts: Parts, order: Sequence[str]) -> tuple[str, ...]:
    if isinstance(order, str):
        raise UserError(f"order is a list of names, got the word {plain(order)!r}")
    found = []
    for given in order:
        name = layer_name(parts, given)
        biases = [w.bias for w in parts.layers.values() if w.bias and w.bias.name == given]
        if biases:
            raise UserError(f"{parts.of}: {biases[0]} is a bias, a layer is a matrix")
        if name is None:
            hint = nearest(str(given), parts.layers) or f"; its layers are {shown(parts.layers)}"
            raise UserError(f"{parts.of} has no layer {plain(given)!r}{hint}")
        found.append(name)
    if len(set(found)) != len(found):
        raise UserError(f"a layer stands twice in the order {shown(found)}; each has its own place")
    for name, layer in parts.layers.items():
        if name not in found:
            raise UserError(
                f"{parts.of}: {layer.weight} is in no place of the order {shown(found)}; name it "
                "in ignore= if the network does not use it"
            )
    return tuple(found)


def _owners(
    parts: Parts, sizes: Mapping[str, Size]
) -> Iterator[tuple[tuple[tuple[str, str], ...], bool]]:
    """The layers that the normalizations may follow, and whether that is known."""
    choices, sure = [], True
    for name, norm in parts.norms.items():
        owner = _directly_before(name, [*parts.layers, *parts.norms])
        if owner in sizes and sizes[owner].out == norm.mean.shape[0]:
            choices.append([owner])
            continue
        sure = False
        choices.append([n for n, size in sizes.items() if size.out == norm.mean.shape[0]])
        if not choices[-1]:
            raise UserError(
                f"{parts.of}: {norm.mean} follows no layer: none has so many outputs; is it before "
                "all layers? That is not measured"
            )
    for i, owners in enumerate(product(*choices)):
        if i >= MOST:
            return
        if len(set(owners)) == len(owners):
            yield tuple(zip(parts.norms, owners, strict=True)), sure


def _directly_before(name: str, names: Sequence[str]) -> str:
    """The neighbor in a sequence of modules, if something without weights stands after the name.

    `0`, `1`, `3` are a linear layer, its normalization and, after an activation, another layer. Of
    `0`, `1`, `2` it cannot be told where the activation is; of `0`, `2`, `3` something stands
    between.
    """
    found = re.fullmatch(r"((?:.*\.)?(?:layers_)?)(\d+)", name, re.DOTALL)
    if found is None:
        return ""
    stem, number = found[1], int(found[2])
    return "" if f"{stem}{number + 1}" in names else f"{stem}{number - 1}"


def _ask(parts: Parts, plans: Sequence[Plan]) -> UserError:
    """What has to be said, where several networks are possible."""
    give = "or give outputs= (logits of some examples, or the model), which decide"
    one = plans[0]
    if {plan.outputs_last for plan in plans} == {True, False}:
        return UserError(
            f"{parts.of}: cannot tell whether {next(iter(parts.layers.values())).weight} is stored "
            "(outputs, inputs) or (inputs, outputs); end the names in .weight for the first, in "
            f".kernel for the second, {give}"
        )
    if len({plan.order for plan in plans}) > 1:
        if len(one.order) == 2:
            first, second = (parts.layers[name].weight for name in one.order)
            return UserError(
                f"{parts.of}: cannot tell which of {first} and {second} is the hidden layer; name "
                f"them as hidden and output, as order=, {give}"
            )
        return UserError(
            f"{parts.of}: cannot tell which order its layers have, {shown(one.order)} or another; "
            f"give order= (a list of names), {give}"
        )
    name, _ = one.owners[0]
    return UserError(
        f"{parts.of}: cannot tell whether the batch normalization {plain(name)!r} stands between a "
        "layer and its activation, where it can be folded into the layer; give outputs= (logits of "
        "some examples, or the model), which decide"
    )


_STRANGE = (
    "; is a layer missing, or is one of them no layer of the network, as of an optimizer or an "
    "average? Then name it in ignore="
)


def _no_order(parts: Parts, ways: Sequence[bool], shape: Shape | None, hints: Hints) -> UserError:
    """Why no network can be made: the inputs do not fit, or the layers not each other."""
    turned = [not last for last in ways if not last not in ways]
    for last in ways:
        sizes = sizes_of(parts, last)
        if shape is not None and (orders := _orders(parts, sizes, None, hints, last)):
            return _no_inputs(parts, sizes[orders[0][0]], shape, last, turned)
    order = _given(parts, hints.order) if hints.order is not None else tuple(parts.layers)
    sizes = sizes_of(parts, ways[0])
    for one, two in pairwise(order):
        if not follows(sizes[one], sizes[two]):
            first, second = (parts.layers[name].weight for name in (one, two))
            looks = "; are they swapped?" if hints.order else _STRANGE
            if any(_orders(parts, sizes_of(parts, last), shape,
                           hints, last) for last in turned):  # fmt: skip
                looks = f"; they look transposed{_transpose(ways[0])}"
            stored = "(inputs, outputs)" if ways[0] else "(outputs, inputs)"
            return UserError(
                f"{parts.of}: {second} does not follow {first}, taken as {stored}: a layer takes "
                f"as many inputs as the one before it has outputs{looks}"
            )
    raise AssertionError("an order without a fault was refused")


def _no_inputs(
    parts: Parts, first: Size, shape: Shape, last: bool, turned: Sequence[bool]
) -> UserError:
    for other in turned:
        sizes = sizes_of(parts, other)
        if search(sizes, shape, other, {}):
            return UserError(
                f"{parts.of}: the inputs have {prod(shape)} numbers an example, which fits only "
                f"if the weights are transposed; they look transposed{_transpose(last)}"
            )
    if not first.dense:
        axis = "last" if last else "first"
        where = "(height, width, channel)" if last else "(channel, height, width)"
        return UserError(
            f"the network takes images {where} with {first.into} channels in the {axis} axis, the "
            f"inputs have shape {shape} an example; was another data set, or another layout, meant?"
        )
    return UserError(
        f"the network takes {first.into} numbers an example, the inputs have {prod(shape)}; was "
        "another data set meant?"
    )


def _transpose(last: bool) -> str:
    stored = "(inputs, outputs)" if last else "(outputs, inputs)"
    return f": as they are named they should be {stored}; give array.T of each matrix"
