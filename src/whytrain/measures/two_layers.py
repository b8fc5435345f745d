"""Two dense layers with a rectifier between, whatever they were read from."""

from dataclasses import replace

import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.network import Dense, Network, TwoLayerWeights, shapes
from whytrain.measures.stages import Activation, Reshape, TwoLogits, words_of


def two_layers(network: Network) -> tuple[TwoLayerWeights, float]:
    """The weights of two dense layers, and the slope of the rectifier between them below 0.

    Raises:
        UserError: The network is another one.

    Example:
        >>> layers = (Dense(np.ones((3, 2))), Activation("leaky_relu", 0.2), Dense(np.ones((1, 3))))
        >>> weights, slope = two_layers(Network(layers, ("a", "", "b")))
        >>> weights.hidden, slope
        (3, 0.2)
    """
    stages = [stage for stage in network.layers if not isinstance(stage, Reshape | TwoLogits)]
    dense = [stage for stage in stages if isinstance(stage, Dense)]
    between = [stage for stage in stages[1:-1] if not isinstance(stage, Dense)]
    if len(dense) != 2 or len(dense) + len(between) != len(stages) or len(between) > 1:
        raise UserError(
            f"a two-layer network has two dense layers, this one is {', '.join(words_of(stages))}; "
            "deep measures others"
        )
    bare = all(isinstance(stage, Dense) for stage in network.layers)
    weights, slope = _weights(dense), 0.0 if bare else _slope(between)
    if isinstance(network.layers[-1], TwoLogits):
        zero = np.zeros_like
        V, bias = (np.concatenate([zero(w), w]) for w in (weights.V, weights.output_bias))
        weights = replace(weights, V=V, output_bias=bias)
    return weights, slope


def _slope(between: list) -> float:
    one = between[0] if between else Activation("identity")
    if not isinstance(one, Activation) or one.name not in ("relu", "leaky_relu"):
        raise UserError(f"it is of networks with a rectifier between two layers, not {one}")
    return one.slope if one.name == "leaky_relu" else 0.0


def _weights(dense: list) -> TwoLayerWeights:
    U, V = (as_float64(layer.weight) for layer in dense)
    shapes(dense, (U.shape[1],))  # refuses layers that do not fit together
    biases = [
        np.zeros(len(weight)) if layer.bias is None else as_float64(layer.bias)
        for weight, layer in zip((U, V), dense, strict=True)
    ]
    return TwoLayerWeights(U, V, *biases)


def rectified(network: Network) -> TwoLayerWeights:
    """The weights of two dense layers with ReLU between, as the theories of capacity have it."""
    weights, slope = two_layers(network)
    if slope:
        raise UserError(f"it is of networks with ReLU, this one has the slope {slope:g} below 0")
    return weights
