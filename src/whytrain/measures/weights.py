"""The weights of a two-layer network, found in whatever a checkpoint calls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.building import Hints, Network, build
from whytrain.measures.entries import check_ignored, parts
from whytrain.measures.layers import Dense
from whytrain.measures.pairs import check_two
from whytrain.measures.reading import choose
from whytrain.measures.sources import source


@dataclass(frozen=True)
class TwoLayerWeights:
    """`f(x) = V [U x + hidden_bias]_+ + output_bias`.

    The theory has no biases: they enter the outputs, and so the margins, and the count of
    parameters, but no norm.

    Attributes:
        U: Hidden weights; row i is what enters unit i.
        V: Output weights; column i is what leaves unit i.
        hidden_bias: One number a unit, zeros where there are none.
        output_bias: One number a class, zeros where there are none.
    """

    U: Float[np.ndarray, "hidden inputs"]
    V: Float[np.ndarray, "classes hidden"]
    hidden_bias: Float[np.ndarray, " hidden"]
    output_bias: Float[np.ndarray, " classes"]

    @property
    def hidden(self) -> int:
        """How many hidden units there are."""
        return len(self.U)

    @property
    def inputs(self) -> int:
        """The dimension of the inputs."""
        return self.U.shape[1]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.V)

    def before(self, x: Float[np.ndarray, "example inputs"]) -> np.ndarray:
        """What enters the hidden units without the bias, `U x`."""
        return x @ self.U.T

    def outputs(self, x: Float[np.ndarray, "example inputs"]) -> np.ndarray:
        """The logits."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told as such
            hidden = self.before(x)
            hidden += self.hidden_bias
            return np.maximum(hidden, 0, out=hidden) @ self.V.T + self.output_bias

    def network(self, of: str = "the network") -> Network:
        """The same as a list of layers.

        Raises:
            UserError: A number is not finite, or the shapes do not fit together.
        """
        arrays = {name: as_float64(array, f"{of}: {name}") for name, array in vars(self).items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise UserError(f"{of}: {name!r} holds numbers that are not finite")
        U, V, *biases = arrays.values()
        fits = U.ndim == V.ndim == 2 and V.shape[1] == len(U)
        if not fits or [bias.shape for bias in biases] != [(len(U),), (len(V),)]:
            raise UserError(
                f"{of}: U (hidden, inputs), V (classes, hidden) and their biases do not fit "
                f"together: {', '.join(str(array.shape) for array in arrays.values())}"
            )
        layers = (Dense(U, biases[0]), Dense(V, biases[1]))
        return Network(layers, ("hidden", "output"))


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
    opened, hints = source(state, of), Hints(layer_order(hidden, output, None))
    check_ignored(ignore, opened)
    found = parts(opened, of, ignore)
    check_two(found, hints)
    return from_network(build(found, choose(found, None, hints, None, None), hints))


def layer_order(
    hidden: str | None, output: str | None, order: Sequence[str] | None
) -> Sequence[str] | None:
    """The order of two layers, however it was given.

    Raises:
        UserError: Only one of them is named.
    """
    if hidden is None and output is None:
        return order
    if hidden is None or output is None:
        raise UserError("name both layers, hidden and output, or none")
    if order is not None:
        raise UserError("give hidden and output, or order, not both")
    return [hidden, output]


def from_network(network: Network) -> TwoLayerWeights:
    """The weights of two dense layers.

    Raises:
        UserError: There are not two.
    """
    if len(network.layers) != 2 or not all(isinstance(one, Dense) for one in network.layers):
        raise UserError(
            f"a two-layer network has two dense layers, this one {len(network.layers)} "
            f"({', '.join(network.names)}); deep measures others"
        )
    U, V = (as_float64(layer.weight) for layer in network.layers)
    biases = [
        np.zeros(len(weight)) if layer.bias is None else as_float64(layer.bias)
        for weight, layer in zip((U, V), network.layers, strict=True)
    ]
    return TwoLayerWeights(U, V, *biases)
