"""The norms of single layers, before and after training, and what layers share."""

import math
from dataclasses import dataclass

import numpy as np

from whytrain.measures import norms as norm
from whytrain.measures.arrays import as_float64
from whytrain.measures.network import Convolution, Layer
from whytrain.measures.norms import Norm, convolution_norm
from whytrain.measures.pairs import Pair
from whytrain.measures.stages import layers_of


@dataclass(frozen=True)
class LayerNorms:
    """The norms of one layer; of the weights as they are stored, unless said otherwise.

    Attributes:
        spectral: Of the linear map that the layer is.
        exact: Whether `spectral` is the norm itself; otherwise it is an upper bound.
        residual: What `spectral` is exact to beyond rounding, see `convolution_norm`.
        frobenius: The root of the sum of squared weights.
        distance: The same of the difference to the initial weights.
        distance_1_2: Of the difference as a linear map, the sum over outputs of row norms: for a
            convolution the sum over output channels, times the positions (an upper bound at edges).
        widest: The larger one of its numbers of inputs and outputs.
    """

    spectral: float
    exact: bool
    residual: float
    frobenius: float
    distance: float
    distance_1_2: float
    widest: int


def layer_norms(
    initial: Layer, trained: Layer, into: tuple[int, ...], out: tuple[int, ...]
) -> LayerNorms:
    """The norms of one layer, for the shapes of what enters and what leaves it."""
    weight, first = as_float64(trained.weight), as_float64(initial.weight)
    moved = (weight - first).reshape(len(weight), -1)
    positions = math.prod(out) // len(weight)
    if isinstance(trained, Convolution):
        found = convolution_norm(trained, *(into[:2] if trained.channels_last else into[1:]))
    else:
        found = Norm(norm.spectral(weight), True)
    return LayerNorms(
        *found,
        frobenius=norm.frobenius(weight.reshape(len(weight), -1)),
        distance=norm.frobenius(moved),
        distance_1_2=norm.one_two(moved) * positions,
        widest=max(math.prod(into), math.prod(out)),
    )


def shared_arrays(pair: Pair) -> list[tuple[str, int]]:
    """Arrays that two layers share, told for all but the first, with how many numbers they have.

    They are equal before and after training, bit for bit, and most of their numbers differ from
    each other, which no accident brings about.
    """
    found, seen = [], []
    nets = (
        [layer for layer, _, _ in layers_of(net.layers)] for net in (pair.initial, pair.trained)
    )
    for i, (first, last) in enumerate(zip(*nets, strict=True)):
        for what in ("weight", "bias"):
            if getattr(first, what) is None or getattr(last, what) is None:
                continue
            one = [as_float64(getattr(layer, what)) for layer in (first, last)]
            same = [j for j, other in seen if all(map(np.array_equal, one, other))]
            if same and 2 * len(np.unique(one[1])) > one[1].size:
                found.append(
                    (
                        f"layers {same[0]} and {i} share one {what}: counted once; curvature, "
                        "flatness, kernel and PAC-Bayes bound take it as two",
                        one[1].size,
                    )
                )
            else:
                seen.append((i, one))
    return found
