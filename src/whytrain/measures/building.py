"""The layers of a network, made of the entries of a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, plain, shown
from whytrain.measures.entries import Normalization, Parts, Weights, is_vector, stored
from whytrain.measures.network import Convolution, Dense, Layer, Network, Padding
from whytrain.measures.stages import leaky


@dataclass(frozen=True)
class Hints:
    """What no weight says.

    Attributes:
        order: The layers by name.
        stride: Of convolutions by name, where it is not 1.
        padding: Of convolutions by name, where it is not 0.
        slope: Of the rectifiers between the layers below 0.
    """

    order: Sequence[str] | None = None
    stride: Mapping[str, int] | None = None
    padding: Mapping[str, Padding] | None = None
    slope: float = 0.0


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


def build(parts: Parts, plan: Plan, hints: Hints) -> Network:
    """Make the layers."""
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
    stages = leaky(layers, hints.slope)
    return Network(stages, plan.order, tuple(stored(parts, plan.outputs_last) + notes))


def _check_hints(plan: Plan, parts: Parts, hints: Hints) -> None:
    for given in (hints.stride or {}, hints.padding or {}):
        for name in given:
            if layer_name(parts, name) not in plan.order:
                raise UserError(
                    f"stride and padding are for {shown(plan.order)}, got {plain(name)!r}"
                )


def layer_name(parts: Parts, given: Any) -> str | None:
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
    if not is_vector(bias.shape, len(weight)):
        raise UserError(
            f"{parts.of}: {plain(layer.bias.name)!r} has shape {bias.shape}, but "
            f"{plain(layer.weight.name)!r} has {len(weight)} rows"
        )
    return weight, bias.reshape(-1)


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
