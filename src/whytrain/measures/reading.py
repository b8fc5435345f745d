"""The network that a checkpoint holds: which layers, how they are stored, in which order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from math import prod
from typing import Any

import numpy as np

from whytrain.errors import UserError, nearest
from whytrain.measures.agreement import Expected, disagreement, distance
from whytrain.measures.arrays import as_float64, plain, shown
from whytrain.measures.entries import (
    Normalization,
    Parts,
    Weights,
    check_ignored,
    outputs_last,
)
from whytrain.measures.entries import parts as parts_of
from whytrain.measures.layers import Convolution, Dense, Layer, Padding, shapes
from whytrain.measures.sources import source

_MOST = 1000  # networks that are compared with the outputs
_STEPS = 20_000  # of the search for orders

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """Layers with what they are called, and what was supposed when they were read.

    Attributes:
        layers: In their order, in float64.
        names: Of each layer.
        notes: What a reader should know, a sentence each.
    """

    layers: tuple[Layer, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hints:
    """What no weight says.

    Attributes:
        order: The layers by name.
        stride: Of convolutions by name, where it is not 1.
        padding: Of convolutions by name, where it is not 0.
    """

    order: Sequence[str] | None = None
    stride: Mapping[str, int] | None = None
    padding: Mapping[str, Padding] | None = None


@dataclass(frozen=True)
class Plan:
    """One way to make a network of the entries.

    Attributes:
        outputs_last: Whether the last axis of the weights counts the outputs.
        order: The layers by name.
        owners: The layer that each batch normalization follows, by the names of both.
        sure: Whether each normalization is known to stand between its layer and the activation.
    """

    outputs_last: bool
    order: tuple[str, ...]
    owners: tuple[tuple[str, str], ...] = ()
    sure: bool = True


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
    found = list(islice(_plans(parts, shape, hints), _MOST + 1))
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
    if len(found) > _MOST:
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


def build(parts: Parts, plan: Plan, hints: Hints) -> Network:
    """Make the layers.

    Args:
        parts: The entries.
        plan: How they are to be read.
        hints: Strides and paddings.

    Returns:
        The network, batch normalizations folded into the layers that they follow.

    Raises:
        UserError: An entry is missing, has a wrong shape or holds a number that is not finite.
    """
    for name in (*plan.order, *(norm for norm, _ in plan.owners)):
        if name not in parts.layers and name not in parts.norms:
            raise UserError(
                f"{parts.of} has no {plain(name)!r}; it has {shown([*parts.layers, *parts.norms])}"
            )
    _check_hints(plan, parts, hints)
    follows = {owner: norm for norm, owner in plan.owners}
    layers, notes = [], []
    for name in plan.order:
        weight, bias = _arrays(parts, parts.layers[name], plan.outputs_last)
        if name in follows:
            norm = parts.norms[follows[name]]
            weight, bias = _folded(parts, norm, weight, bias)
            notes.append(
                f"batch normalization {plain(norm.name)} (eps {norm.eps:g}) is folded into layer "
                f"{plain(name)}: its norms and distances are those of the folded weights"
            )
        layers.append(_layer(parts.layers[name], weight, bias, plan, hints))
    if parts.ignored:
        notes.append(f"ignored as asked: {shown(parts.ignored)}")
    return Network(tuple(layers), plan.order, tuple(_stored(parts, plan) + notes))


def _stored(parts: Parts, plan: Plan) -> list[str]:
    """Say how the weights were taken to be stored, where only their names or biases told."""
    layers = parts.layers.values()
    if plan.outputs_last in {outputs_last(layer) for layer in layers} and any(
        by_bias(layer) is not None for layer in layers
    ):
        return []
    how = "(inputs, outputs)" if plan.outputs_last else "(outputs, inputs)"
    words = sorted({layer.weight.word for layer in layers})
    if all(by_bias(layer) is None for layer in layers):
        if not plan.outputs_last and words == ["weight"]:
            return []  # as everybody has it
        return [f"weights are taken as {how}, for no bias of a layer that is not square tells"]
    return [f"weights are taken as {how}, as the biases tell, though they are called otherwise"]


def _check_hints(plan: Plan, parts: Parts, hints: Hints) -> None:
    for given in (hints.stride or {}, hints.padding or {}):
        for name in given:
            if _name(parts, name) not in plan.order:
                raise UserError(
                    f"stride and padding are for {shown(plan.order)}, got {plain(name)!r}"
                )


def _name(parts: Parts, given: Any) -> str | None:
    """The layer that a user means: by its name, or by that of its weight."""
    for name, layer in parts.layers.items():
        if given in (name, layer.weight.name) or str(given).replace("/", ".") == name:
            return name
    return None


def _arrays(parts: Parts, layer: Weights, last: bool) -> tuple[np.ndarray, np.ndarray | None]:
    weight = _numbers(parts, layer.weight.name, layer.weight.array)
    if last:
        axes = (1, 0) if weight.ndim == 2 else (3, 2, 0, 1)
        weight = np.ascontiguousarray(weight.transpose(axes))
    if layer.bias is None:
        return weight, None
    bias = _numbers(parts, layer.bias.name, layer.bias.array)
    if not _is_vector(bias.shape, len(weight)):
        raise UserError(
            f"{parts.of}: {plain(layer.bias.name)!r} has shape {bias.shape}, but "
            f"{plain(layer.weight.name)!r} has {len(weight)} rows"
        )
    return weight, bias.reshape(-1)


def _is_vector(shape: Shape, size: int) -> bool:
    """Whether a bias of this shape has a number for each output: (out,), (out, 1, 1), (1, out)."""
    return prod(shape) == size and sum(extent != 1 for extent in shape) <= 1


def _numbers(parts: Parts, name: str, array: Any) -> np.ndarray:
    name = plain(name)
    if str(getattr(array, "dtype", "")).removeprefix("torch.") in ("int8", "uint8", "bool"):
        raise UserError(
            f"{parts.of}: {name!r} is stored as {array.dtype}; give weights as the network uses "
            "them, not quantized"
        )
    found = as_float64(array, f"{parts.of}: {name!r}")
    if not np.isfinite(found).all():
        raise UserError(
            f"{parts.of}: {name!r} holds numbers that are not finite; did training diverge?"
        )
    return found


def _folded(
    parts: Parts, norm: Normalization, weight: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`scale (W x + b - mean) / sqrt(var + eps) + shift` as one layer."""
    entries = (norm.mean, norm.var, norm.scale, norm.shift)
    mean, var, scale, shift = (
        None if one is None else _numbers(parts, one.name, one.array) for one in entries
    )
    assert mean is not None
    assert var is not None
    if (var + norm.eps <= 0).any() or (var < 0).any():
        raise UserError(f"{parts.of}: {plain(norm.var.name)!r} holds a variance below 0")
    with np.errstate(over="ignore", invalid="ignore"):
        factor = (1.0 if scale is None else scale) / np.sqrt(var + norm.eps)
        moved = (0.0 if bias is None else bias) - mean
        found = (
            weight * factor.reshape(-1, *[1] * (weight.ndim - 1)),
            factor * moved + (0.0 if shift is None else shift),
        )
    if not all(np.isfinite(one).all() for one in found):
        raise UserError(
            f"{parts.of}: batch normalization {plain(norm.name)!r} makes weights too large for "
            "float64"
        )
    return found


def _layer(
    layer: Weights, weight: np.ndarray, bias: np.ndarray | None, plan: Plan, hints: Hints
) -> Layer:
    if weight.ndim == 2:
        return Dense(weight, bias)
    told = _told(layer)
    names = {layer.name, layer.weight.name, layer.name.replace(".", "/")}
    stride = next((s for n, s in (hints.stride or {}).items() if n in names), told[0])
    padding = next((p for n, p in (hints.padding or {}).items() if n in names), told[1])
    return Convolution(
        weight, bias, *_checked(layer.name, stride, padding), channels_last=plan.outputs_last
    )


def _checked(name: str, stride: Any, padding: Any) -> tuple[int, Padding]:
    """A stride and a padding as they can be measured: one number, the same on every side."""
    found = []
    for what, given, least in (("stride", stride, 1), ("padding", padding, 0)):
        sides = {int(n) for n in np.ravel(given)} if _whole(given) else {given}
        if given == "circular" and what == "padding":
            found.append(given)
        elif _whole(given) and len(sides) == 1 and min(sides) >= least:
            found.append(sides.pop())
        else:
            raise UserError(
                f"the {what} of {plain(name)!r} must be one whole number from {least} on"
                f"{', or circular' if what == 'padding' else ''}, got {plain(given)}"
            )
    return found[0], found[1]


def _whole(given: Any) -> bool:
    return not isinstance(given, str) and np.asarray(given).dtype.kind in "iu"


def _told(layer: Weights) -> tuple[Any, Any]:
    """Stride and padding, of the layer's object if there is one; what is not measured, refused."""
    part = layer.part
    if part is None or not hasattr(part, "stride"):
        return 1, 0
    for word, value in (("dilation", getattr(part, "dilation", 1)),
                        ("groups", getattr(part, "groups", 1))):  # fmt: skip
        if set(np.ravel(value).tolist()) != {1}:
            raise UserError(
                f"layer {plain(layer.name)!r} has {word} {value}, which is not measured"
            )
    mode = str(getattr(part, "padding_mode", "zeros")).lower()
    padding, sizes = part.padding, layer.weight.shape[2:]
    if padding in ("valid", "VALID"):
        padding = 0
    if padding in ("same", "SAME"):
        padding = [(size - 1) // 2 for size in sizes] if all(s % 2 for s in sizes) else "same"
    if mode == "zeros" or (_whole(padding) and not np.any(padding)):
        return part.stride, padding
    whole = _whole(padding) and all(size == 2 * np.max(padding) + 1 for size in sizes)
    if mode == "circular" and whole and len(set(np.ravel(padding).tolist())) == 1:
        return part.stride, "circular"
    raise UserError(
        f"layer {plain(layer.name)!r} has padding_mode {mode!r} with padding {plain(padding)}, "
        "which is not measured"
    )


def by_bias(layer: Weights) -> bool | None:
    """Whether the bias says that the last axis counts the outputs; None: it does not say."""
    shape = layer.weight.shape
    if layer.bias is None or shape[0] == shape[-1]:
        return None
    fits = [_is_vector(layer.bias.shape, shape[axis]) for axis in (0, -1)]
    return None if fits[0] == fits[1] else fits[1]


def _stored_how(parts: Parts) -> list[bool]:
    """Whether outputs come last: the ways that are possible, one for all layers."""
    layers = parts.layers.values()
    for evidence in (by_bias, outputs_last):
        found = {evidence(layer) for layer in layers} - {None}
        if len(found) > 1:
            one, other = (next(w for w in layers if evidence(w) is k) for k in (False, True))
            raise UserError(
                f"{parts.of}: {one.weight} is stored (outputs, inputs), {other.weight} (inputs, "
                "outputs); all must be stored alike"
            )
        if found:
            return [bool(found.pop())]
    return [False, True]


def _plans(parts: Parts, shape: Shape | None, hints: Hints) -> Iterator[Plan]:
    """Every network that the entries allow, the likelier ones first.

    Raises:
        UserError: There is none.
    """
    ways = _stored_how(parts)
    ordered = some = False
    for last in ways:
        sizes = {name: _size(layer, last) for name, layer in parts.layers.items()}
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


@dataclass(frozen=True)
class _Size:
    """What a layer takes and gives: numbers, or channels of a convolution."""

    into: int
    out: int
    dense: bool


def _size(layer: Weights, last: bool) -> _Size:
    shape = layer.weight.shape
    out, into = (shape[-1], shape[-2]) if last else (shape[0], shape[1])
    return _Size(into, out, len(shape) == 2)


def _orders(
    parts: Parts, sizes: Mapping[str, _Size], shape: Shape | None, hints: Hints, last: bool
) -> list[tuple[str, ...]]:
    """The orders in which each layer takes what the one before it gives."""
    if hints.order is not None:
        order = _given(parts, hints.order)
        return [order] if _chained(order, sizes, shape, last) else []
    for named in (True, False):  # shapes tell more than names
        found = _search(sizes, shape, last, _before(list(sizes)) if named else {})
        if found or len(sizes) == 1:
            return found
    return []


def _given(parts: Parts, order: Sequence[str]) -> tuple[str, ...]:
    if isinstance(order, str):
        raise UserError(f"order is a list of names, got the word {plain(order)!r}")
    found = []
    for given in order:
        name = _name(parts, given)
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


def _chained(
    order: Sequence[str], sizes: Mapping[str, _Size], shape: Shape | None, last: bool
) -> bool:
    return _starts(sizes[order[0]], shape, last) and all(
        _follows(sizes[one], sizes[two]) for one, two in pairwise(order)
    )


def _starts(size: _Size, shape: Shape | None, last: bool) -> bool:
    if shape is None:
        return True
    if size.dense:
        return prod(shape) == size.into
    return len(shape) == 3 and shape[-1 if last else 0] == size.into


def _follows(one: _Size, two: _Size) -> bool:
    if one.dense or not two.dense:
        return one.dense == two.dense and one.out == two.into
    return two.into % one.out == 0  # an image, flattened


def _search(
    sizes: Mapping[str, _Size], shape: Shape | None, last: bool, before: Mapping[str, set[str]]
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
            if steps > _STEPS or len(found) > _MOST:
                return
            fits = _follows(sizes[order[-1]], size) if order else _starts(size, shape, last)
            if name not in order and fits and before.get(name, set()) <= set(order):
                extend((*order, name))

    extend(())
    return found


_FIRST = {"input", "in", "stem", "first"}
_LAST = {"output", "out", "head", "classifier", "logits", "readout", "last", "final"}


def _before(names: Sequence[str]) -> dict[str, set[str]]:
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


def _owners(
    parts: Parts, sizes: Mapping[str, _Size]
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
        if i >= _MOST:
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
        sizes = {name: _size(layer, last) for name, layer in parts.layers.items()}
        if shape is not None and (orders := _orders(parts, sizes, None, hints, last)):
            return _no_inputs(parts, sizes[orders[0][0]], shape, last, turned)
    order = _given(parts, hints.order) if hints.order is not None else tuple(parts.layers)
    sizes = {name: _size(layer, ways[0]) for name, layer in parts.layers.items()}
    for one, two in pairwise(order):
        if not _follows(sizes[one], sizes[two]):
            first, second = (parts.layers[name].weight for name in (one, two))
            looks = "; are they swapped?" if hints.order else "; is a layer missing?"
            if any(_orders(parts, {n: _size(w, last) for n, w in parts.layers.items()}, shape,
                           hints, last) for last in turned):  # fmt: skip
                looks = f"; they look transposed{_transpose(ways[0])}"
            stored = "(inputs, outputs)" if ways[0] else "(outputs, inputs)"
            return UserError(
                f"{parts.of}: {second} does not follow {first}, taken as {stored}: a layer takes "
                f"as many inputs as the one before it has outputs{looks}"
            )
    raise AssertionError("an order without a fault was refused")


def _no_inputs(
    parts: Parts, first: _Size, shape: Shape, last: bool, turned: Sequence[bool]
) -> UserError:
    for other in turned:
        sizes = {name: _size(layer, other) for name, layer in parts.layers.items()}
        if _search(sizes, shape, other, {}):
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
