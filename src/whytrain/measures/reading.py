"""The network that a checkpoint holds: which layers, how they are stored, in which order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise, product
from math import prod
from typing import Any

import numpy as np

from whytrain.errors import UserError, nearest
from whytrain.measures.agreement import Expected, disagreement, distance
from whytrain.measures.arrays import plain, shown
from whytrain.measures.building import Hints, Network, Plan, build, layer_name
from whytrain.measures.entries import Parts, check_ignored
from whytrain.measures.entries import parts as parts_of
from whytrain.measures.layers import Layer, Padding, shapes
from whytrain.measures.orders import (
    MOST,
    Shape,
    Size,
    chained,
    follows,
    named_before,
    search,
    sizes_of,
)
from whytrain.measures.sources import source
from whytrain.measures.storage import possible_ways


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
    of = "the state dict"
    opened, hints = source(state, of), Hints(order, stride, padding)
    check_ignored(ignore, opened)
    found = parts_of(opened, of, ignore)
    return list(build(found, choose(found, None, hints, None, None), hints).layers)


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
        if (
            _fits(network.layers, x.shape[1:])
            and distance(network.layers, x, said) <= said.tolerance
        ):
            return plan
    if len(found) > MOST:
        raise _ask(parts, found)
    raise differs(build(parts, found[0], hints), x, said)


def differs(network: Network, x: np.ndarray, said: Expected) -> UserError:
    """Say how the outputs of a network differ from those of the model: in shape, or in numbers."""
    out = shapes(network.layers, x.shape[1:])[-1]
    if said.outputs.shape[1:] != out:
        return UserError(
            f"the outputs given have shape {said.outputs.shape}, those of the network {out} an "
            "example; are they of another model?"
        )
    return disagreement(network.layers, x, said)


def _fits(layers: Sequence[Layer], shape: Shape) -> bool:
    try:
        return bool(shapes(layers, shape))
    except UserError:
        return False


def _plans(parts: Parts, shape: Shape | None, hints: Hints) -> Iterator[Plan]:
    """Every network that the entries allow, the likelier ones first.

    Raises:
        UserError: There is none.
    """
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
            looks = "; are they swapped?" if hints.order else "; is a layer missing?"
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
