"""How weights are stored: whether the last axis counts the outputs, or the first."""

from math import prod

from whytrain.errors import UserError
from whytrain.measures.entries import Parts, Weights
from whytrain.measures.orders import Shape

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
