"""The weights of a two-layer network, found in whatever a checkpoint calls them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError, nearest


def as_float64(array: Any, of: str = "an array") -> np.ndarray:
    """An array of NumPy, JAX or PyTorch, on any device, as float64 of NumPy.

    Args:
        array: The array.
        of: What it is, for messages.

    Returns:
        Its numbers.

    Raises:
        UserError: It does not hold real numbers: words, dates and complex numbers are not made
            into some.

    Example:
        >>> as_float64([1, 2]).dtype
        dtype('float64')
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = array.numpy() if array.is_complex() else array.double().numpy()
    array = np.asarray(array)
    if array.dtype.kind in "cmMOSU" or array.dtype.names:
        raise UserError(f"{of} must be real numbers, got {array.dtype}")
    return array.astype(np.float64, copy=False)


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


def two_layer(
    state: Mapping[str, Any] | TwoLayerWeights,
    hidden: str | None = None,
    output: str | None = None,
    of: str = "the checkpoint",
) -> TwoLayerWeights:
    """Find the weights of a two-layer network among named arrays.

    Without names, the two matrices are taken whose shapes fit together, (hidden, inputs) and
    (classes, hidden), as a PyTorch state dict of `Linear`, `ReLU`, `Linear` has them, whatever
    their names; or `U`, `bias`, `V`, `out_bias`, as this package's `TwoLayer` names them. The bias
    of `NAME.weight` is `NAME.bias`, if there is one.

    Args:
        state: From name to array.
        hidden: The name of the hidden layer, with or without `.weight`.
        output: The name of the output layer.
        of: What holds it, for messages.

    Returns:
        The weights in float64.

    Raises:
        UserError: A name is not there, or the arrays do not make a two-layer network.

    Example:
        >>> state = {"0.weight": np.ones((5, 3)), "0.bias": np.ones(5), "2.weight": np.ones((2, 5))}
        >>> found = two_layer(state)
        >>> found.hidden, found.inputs, found.classes
        (5, 3, 2)
    """
    if isinstance(state, TwoLayerWeights):
        return state
    names = dict(zip(("hidden", "output"), _names(state, hidden, output, of), strict=True))
    U, V = (as_float64(state[name], f"{of}: {name!r}") for name in names.values())
    biases = []
    for name, rows in zip(names.values(), (len(U), len(V)), strict=True):
        bias = _bias(name)
        biases.append(as_float64(state[bias]) if bias in state else np.zeros(rows))
        if biases[-1].shape != (rows,):
            raise UserError(
                f"{of}: {bias!r} has shape {biases[-1].shape}, but {name!r} has {rows} rows"
            )
    if V.shape[1] != len(U):
        raise UserError(
            f"{of}: {names['output']!r} of shape {V.shape} does not follow {names['hidden']!r} of "
            f"shape {U.shape}: (classes, hidden) must follow (hidden, inputs); are they swapped?"
        )
    biased = [_bias(name) for name in names.values()]
    for name, array in zip((*names.values(), *biased), (U, V, *biases), strict=True):
        if not np.isfinite(array).all():
            raise UserError(
                f"{of}: {name!r} holds numbers that are not finite; did training diverge?"
            )
    return TwoLayerWeights(U, V, *biases)


def _bias(weight: str) -> str:
    """The name of the bias that belongs to a matrix."""
    if weight in ("U", "V"):
        return {"U": "bias", "V": "out_bias"}[weight]
    return weight.removesuffix("weight") + "bias"


def _names(
    state: Mapping[str, Any], hidden: str | None, output: str | None, of: str
) -> tuple[str, str]:
    """The names of both matrices: the given ones, the usual ones, or those whose shapes fit."""
    matrices = [name for name, array in state.items() if np.ndim(array) == 2]
    if hidden is not None or output is not None:
        if hidden is None or output is None:
            known = ", ".join(matrices)
            raise UserError(f"name both layers, hidden and output, or none; {of} has {known}")
        return _named(state, matrices, hidden, of), _named(state, matrices, output, of)
    for pair in (("hidden.weight", "output.weight"), ("U", "V")):
        if all(name in matrices for name in pair):
            return pair
    if len(matrices) != 2:
        raise UserError(
            f"{of} has {len(matrices)} matrices ({', '.join(matrices) or 'none'}), a two-layer "
            "network has two; name them as hidden and output"
        )
    one, two = matrices
    fits = [np.shape(state[b])[1] == np.shape(state[a])[0] for a, b in ((one, two), (two, one))]
    if fits[0] == fits[1]:
        raise UserError(
            f"{of}: cannot tell which of {one!r} {np.shape(state[one])} and {two!r} "
            f"{np.shape(state[two])} is the hidden layer; name them as hidden and output"
        )
    return (one, two) if fits[0] else (two, one)


def _named(state: Mapping[str, Any], matrices: list[str], name: str, of: str) -> str:
    for candidate in (name, f"{name}.weight"):
        if candidate in matrices:
            return candidate
    if name in state:
        raise UserError(f"{of}: {name!r} has shape {np.shape(state[name])}, a layer is a matrix")
    layers = [matrix.removesuffix(".weight") for matrix in matrices]
    hint = nearest(name, layers) or f"; its layers are {', '.join(layers) or 'none'}"
    raise UserError(f"{of} has no layer {name!r}{hint}")
