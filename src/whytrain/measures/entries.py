"""The entries of a checkpoint, each accounted for: its layer, its role, and how it is stored."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import numpy as np

from whytrain.errors import UserError, nearest
from whytrain.measures.arrays import plain, shown
from whytrain.measures.network import Shape
from whytrain.measures.sources import Source

_ROLES = {
    "weight": ("weight", "weights", "kernel", "w", "coefs"),
    "bias": ("bias", "biases", "b", "intercepts", "beta"),
    "scale": ("scale", "gamma"),
    "mean": ("running_mean", "moving_mean", "mean"),
    "var": ("running_var", "moving_variance", "moving_var", "var"),
    "counter": ("num_batches_tracked",),
}
_ROLE = {word: role for role, words in _ROLES.items() for word in words}
_SHORT = ("w", "b", "mean", "var")  # whole words only: `raw` is no weight
_LONG = "|".join(sorted(set(_ROLE) - set(_SHORT), key=len, reverse=True))
_LEAF = re.compile(
    rf"(?:(?P<stem>.*?)_?(?P<long>{_LONG})|(?P<short>{'|'.join(_SHORT)}))_?(?P<number>\d*)",
    re.IGNORECASE,
)
_OWN = {"U": "U.weight", "bias": "U.bias", "V": "V.weight", "out_bias": "V.bias"}
_COLLECTIONS = ("params", "batch_stats")


@dataclass(frozen=True, eq=False)
class Entry:
    """An array with its place.

    Attributes:
        name: As the checkpoint has it.
        array: What stands there.
        word: The word that says what it is, such as `kernel`; empty where none does.
    """

    name: str
    array: Any
    word: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array; of none, for what is no array."""
        try:
            return tuple(np.shape(self.array))
        except ValueError:  # lists of unequal lengths
            return ()

    def __str__(self) -> str:
        return f"{plain(self.name)!r} of shape {self.shape}"


@dataclass(frozen=True)
class Weights:
    """The weight and the bias of a dense layer or a convolution.

    Attributes:
        name: Of the layer.
        weight: A matrix, or an array with four axes.
        bias: None if there is none.
        part: The layer as an object, where the user gave one.
    """

    name: str
    weight: Entry
    bias: Entry | None = None
    part: Any = None


@dataclass(frozen=True)
class Normalization:
    """Batch normalization in evaluation mode, `scale (x - mean) / sqrt(var + eps) + shift`.

    Attributes:
        name: Of the layer.
        mean: The running mean.
        var: The running variance.
        scale: None for 1.
        shift: None for 0.
        eps: What keeps the root from 0.
    """

    name: str
    mean: Entry
    var: Entry
    scale: Entry | None
    shift: Entry | None
    eps: float


@dataclass(frozen=True)
class Parts:
    """All that a checkpoint uses.

    Attributes:
        of: What it is, for messages.
        layers: By name, in the order of the checkpoint.
        norms: Batch normalizations by name.
        ignored: Names of entries that were left out as the user asked.
    """

    of: str
    layers: Mapping[str, Weights]
    norms: Mapping[str, Normalization]
    ignored: tuple[str, ...] = ()


def parts(found: Source, of: str, ignore: Sequence[str] = ()) -> Parts:
    """Give every entry its place."""
    ignored = [name for name in found.entries if _matches(name, ignore)]
    kept = {name: array for name, array in found.entries.items() if name not in ignored}
    layers: dict[str, Weights] = {}
    norms: dict[str, Normalization] = {}
    for name, group in _groups(kept, of).items():
        if "mean" in group or "var" in group:
            norms[name] = _normalization(name, group, of, found.parts.get(name))
        elif set(group) <= {"counter"}:
            continue
        else:
            layers[name] = _weights(name, group, of, found.parts.get(name))
    if not layers:
        raise UserError(f"{of}: there is no layer among {shown(found.entries)}")
    return Parts(of, layers, norms, tuple(ignored))


def check_ignored(ignore: Sequence[str], *sources: Source) -> None:
    """Refuse a pattern that ignores nothing."""
    if isinstance(ignore, str):
        raise UserError(f"ignore is a list of names, got the word {plain(ignore)!r}")
    names = list(dict.fromkeys(name for one in sources for name in one.entries))
    for pattern in ignore:
        if not any(_matches(name, [pattern]) for name in names):
            hint = nearest(str(pattern), names) or f"; there is {shown(names)}"
            raise UserError(f"ignore has {plain(pattern)!r}, which no entry is called{hint}")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        fnmatchcase(name, str(pattern)) or name.startswith((f"{pattern}.", f"{pattern}/"))
        for pattern in patterns
    )


def _groups(entries: Mapping[str, Any], of: str) -> dict[str, dict[str, Entry]]:
    """Entries by layer, then by role."""
    groups: dict[str, dict[str, Entry]] = {}
    own = {"U", "V"} <= set(entries)
    collected = any(re.split("[./]", name)[0] == "params" for name in entries)
    unknown: dict[str, list[Entry]] = {}
    for name, array in entries.items():
        layer, word = _place(_OWN.get(name, name) if own else name, collected)
        entry = Entry(name, array, word)
        if not word:
            unknown.setdefault(layer, []).append(entry)
            continue
        group = groups.setdefault(layer, {})
        if _ROLE[word] in group:
            raise UserError(
                f"{of}: {entry.name!r} and {group[_ROLE[word]].name!r} are the same part of the "
                "same layer; name the wrong one in ignore="
            )
        group[_ROLE[word]] = entry
    for layer, members in unknown.items():
        for name, group in _by_shape(layer, members, of):
            if name in groups:
                raise _no_place(members[0], of)
            groups[name] = group
    return groups


def _place(name: str, collected: bool) -> tuple[str, str]:
    """The layer of an entry, and the word for its role."""
    words = re.split("[./]", re.sub(r":\d+$", "", name))
    if collected and words[0] in _COLLECTIONS:
        words = words[1:]
    if len(words) > 1 and words[-1] == "value":
        words = words[:-1]
    if len(words) > 1 and words[-1].isdigit() and words[-2].strip("_").lower() in _ROLE:
        return ".".join([*words[:-2], words[-1]]), words[-2].strip("_").lower()
    found = _LEAF.fullmatch(words[-1]) if words else None
    if found is None:
        return ".".join(words[:-1]), ""
    last = (found["stem"] or "") + (f"_{found['number']}" if found["stem"] else found["number"])
    last = last.removesuffix("_")
    return ".".join([*words[:-1], *([last] if last else [])]), _word(found)


def _word(found: re.Match) -> str:
    return (found["long"] or found["short"]).lower()


def _by_shape(layer: str, members: list[Entry], of: str) -> Iterator[tuple[str, dict[str, Entry]]]:
    """Layers of entries whose names say nothing: a matrix with one vector, or matrices alone."""
    matrices = [entry for entry in members if len(entry.shape) in (2, 4)]
    vectors = [entry for entry in members if len(entry.shape) == 1]
    for entry in members:
        if entry not in (*matrices, *vectors) or _half_known(entry.name):
            raise _no_place(entry, of)
    if len(matrices) == 1 and len(vectors) <= 1:
        yield (
            layer or matrices[0].name,
            dict(zip(("weight", "bias"), [*matrices, *vectors], strict=False)),
        )
    elif matrices and not vectors and not layer:
        yield from ((entry.name, {"weight": entry}) for entry in matrices)
    else:
        raise _no_place((vectors or matrices)[0], of)


def _half_known(name: str) -> bool:
    """Whether a name speaks of a weight in a way that no plain layer has: `weight_ih_l0`."""
    return any(word in name.lower() for word in ("weight", "bias", "kernel"))


def _no_place(entry: Entry, of: str) -> UserError:
    return UserError(
        f"{of}: {entry} is used by no dense layer, convolution or batch normalization; name it in "
        "ignore= if the network does not use it either"
    )


def _weights(name: str, group: Mapping[str, Entry], of: str, part: Any) -> Weights:
    weight = group.get("weight")
    if weight is None or len(weight.shape) == 1 or "scale" in group:
        entry = group.get("scale") or weight or next(iter(group.values()))
        raise UserError(
            f"{of}: {entry} is no matrix and has no running mean: as LayerNorm, GroupNorm, PReLU "
            "and the like have it, which are not measured; name it in ignore= if the network does "
            "not use it"
        )
    if len(weight.shape) not in (2, 4):
        raise UserError(
            f"{of}: {plain(weight.name)!r} has {len(weight.shape)} axes; dense layers have 2 and "
            "convolutions 4, others are not measured"
        )
    if 0 in weight.shape:
        raise UserError(f"{of}: {weight} is empty")
    if "counter" in group:
        raise _no_place(group["counter"], of)
    return Weights(name, weight, group.get("bias"), part)


def _normalization(name: str, group: Mapping[str, Entry], of: str, part: Any) -> Normalization:
    for role in ("mean", "var"):
        if role not in group:
            other = next(iter(group.values()))
            raise UserError(
                f"{of}: {plain(other.name)!r} is a running statistic of batch normalization, which "
                "has a mean and a variance; the other one is missing"
            )
    size = group["mean"].shape
    for entry in group.values():
        if entry.word != "num_batches_tracked" and (entry.shape != size or len(size) != 1):
            raise UserError(
                f"{of}: {entry} is no part of a batch normalization whose mean has shape {size}"
            )
    if "scale" in group and "weight" in group:
        raise _no_place(group["weight"], of)
    usual = 1e-3 if group["var"].word.startswith("moving") else 1e-5  # Keras; PyTorch and Flax
    return Normalization(
        name, group["mean"], group["var"], group.get("scale") or group.get("weight"),
        group.get("bias"), float(getattr(part, "eps", usual)),
    )  # fmt: skip


_OUTPUTS_LAST = ("kernel", "coefs")


def outputs_last(layer: Weights) -> bool | None:
    """Whether the name of a weight says that its last axis counts the outputs; None: it does not.

    Flax, Keras and scikit-learn store (inputs, outputs) and (height, width, inputs, outputs),
    PyTorch and Equinox (outputs, inputs) and (outputs, inputs, height, width).
    """
    if layer.weight.word in _OUTPUTS_LAST:
        return True
    return False if layer.weight.word in ("weight", "weights") else None


def by_bias(layer: Weights) -> bool | None:
    """Whether the bias says that the last axis counts the outputs; None: it does not say."""
    shape = layer.weight.shape
    if layer.bias is None or shape[0] == shape[-1]:
        return None
    fits = [is_vector(layer.bias.shape, shape[axis]) for axis in (0, -1)]
    return None if fits[0] == fits[1] else fits[1]


def is_vector(shape: Shape, size: int) -> bool:
    """Whether a bias of this shape has a number for each output: (out,), (out, 1, 1), (1, out)."""
    return prod(shape) == size and sum(extent != 1 for extent in shape) <= 1


def possible_ways(parts: Parts) -> list[bool]:
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


def stored(parts: Parts, last: bool) -> list[str]:
    """Say how the weights were taken to be stored, where only their names or biases told."""
    layers = parts.layers.values()
    if last in {outputs_last(layer) for layer in layers} and any(
        by_bias(layer) is not None for layer in layers
    ):
        return []
    how = "(inputs, outputs)" if last else "(outputs, inputs)"
    words = sorted({layer.weight.word for layer in layers})
    if all(by_bias(layer) is None for layer in layers):
        if not last and words == ["weight"]:
            return []  # as everybody has it
        return [f"weights are taken as {how}, for no bias of a layer that is not square tells"]
    return [f"weights are taken as {how}, as the biases tell, though they are called otherwise"]
