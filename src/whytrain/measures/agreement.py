"""Whether the network that is measured is the user's: its outputs beside those of the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64
from whytrain.measures.layers import Dense, Layer
from whytrain.measures.sources import Source, called, caller

TOLERANCE = 1e-4  # of the largest output; float32 agrees with float64 to about 1e-6
COARSE = 2e-2  # where the outputs are stored in half precision or less
COMPARED = 1024  # examples, at most
_ALIKE = 1e-2  # of the largest output: near enough to name a reason
CAUSES = (
    "usual causes: another activation than the rectifier, a skip connection, a normalization after "
    "the activation or one without weights, pooling, the order of the layers or of the examples, a "
    "stride or a padding, inputs scaled otherwise, outputs in reduced precision"
)

Logits = Float[np.ndarray, "example classes"]


@dataclass(frozen=True)
class Expected:
    """Outputs of the model on the first examples.

    Attributes:
        outputs: One row an example.
        tolerance: The largest difference that is none, as a share of the largest output.
        softmax: Whether they are the softmax of what is measured.
    """

    outputs: Logits
    tolerance: float
    softmax: bool = False


def expected(outputs: Any, network: Source | None, x: Any) -> Expected | None:
    """What the user says that the model gives for some examples; None if nothing was said.

    Args:
        outputs: An array of logits for the first examples, or the model; None for the network
            itself, where it can be called.
        network: The trained network as its owner holds it.
        x: The first examples.

    Returns:
        The outputs.

    Raises:
        UserError: They are no numbers, or are not one row an example.
    """
    call, softmax = None, False
    if outputs is None:
        call = network and network.call
        softmax = bool(network and network.softmax)
        if call is None:
            return None
    elif not hasattr(outputs, "shape") and not isinstance(outputs, list | tuple):
        call = caller(outputs)
        if call is None:
            raise UserError(
                "outputs must be an array of logits, or the model, which is called; got a "
                f"{type(outputs).__name__}"
            )
    given: Any = outputs if call is None else called(call, x)
    if call is not None and len(np.shape(given)) and len(given) != len(x):
        raise UserError(f"the model gives {len(given)} outputs for {len(x)} examples")
    found = as_float64(given, "the outputs")
    if found.ndim != 2 or len(found) == 0:
        raise UserError(
            "outputs must be logits of the first examples, of shape (examples, classes), got shape "
            f"{found.shape}"
        )
    if not np.isfinite(found).all():
        raise UserError("the outputs hold a number that is not finite")
    kind = str(getattr(given, "dtype", "float64")).removeprefix("torch.")
    coarse = kind in ("float16", "bfloat16") or kind.startswith("float8")
    return Expected(found, COARSE if coarse else TOLERANCE, softmax)


def distance(layers: Sequence[Layer], x: np.ndarray, said: Expected) -> float:
    """The largest difference to the model's outputs, as a share of the largest of them.

    A number that is added to all outputs of an example, as LogSoftmax does, is no difference: it
    changes no margin.

    Args:
        layers: The network.
        x: Examples in float64, as many as there are outputs or more.
        said: The outputs of the model.
    """
    found = _outputs(layers, x[: len(said.outputs)], jax.nn.relu)
    if found.shape != said.outputs.shape:
        return np.inf
    return _apart(_softmax(found) if said.softmax else found, said.outputs)


def disagreement(layers: Sequence[Layer], x: np.ndarray, said: Expected) -> UserError:
    """Say how far off a network is, and why, where the reason can be found."""
    x = x[: len(said.outputs)]
    far = distance(layers, x, said)
    found = f"off by {far:.2g} of the largest output" if np.isfinite(far) else "no numbers"
    others = [(_apart(other, said.outputs), reason) for reason, other in _explanations(layers, x)]
    best, reason = min(others)
    return UserError(
        "the network that these weights make, layers with a rectifier between each two, is not the "
        f"model: its outputs on {len(x)} examples are {found} (allowed: {said.tolerance:g}); "
        + (f"it is (to {best:.1g}) with {reason}" if best <= _ALIKE else CAUSES)
    )


def _apart(found: np.ndarray, said: np.ndarray) -> float:
    one, other = (each - each.mean(axis=1, keepdims=True) for each in (found, said))
    largest, far = float(np.abs(other).max()), float(np.abs(one - other).max())
    if far == 0:
        return 0.0
    return far / largest if largest and np.isfinite(far) else float("inf")


def _outputs(layers: Sequence[Layer], x: np.ndarray, activation: Callable) -> np.ndarray:
    with jax.enable_x64(True):
        y: Any = jnp.asarray(x)
        for i, layer in enumerate(layers):
            y = layer(activation(y) if i else y)
        return np.asarray(y)


def _softmax(logits: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.nn.softmax(jnp.asarray(logits)))


def _explanations(layers: Sequence[Layer], x: np.ndarray) -> Any:
    """Other networks of the same weights that users have, with what they are called."""
    with jax.enable_x64(True):
        yield "a softmax as last layer: give logits", _softmax(_outputs(layers, x, jax.nn.relu))
        for name, activation in _ACTIVATIONS.items():
            yield f"{name} in place of the rectifier", _outputs(layers, x, activation)
        yield "inputs divided by 255", _outputs(layers, x / 255, jax.nn.relu)
        for i, layer in enumerate(layers):
            if i and isinstance(layer, Dense) and len(set(np.shape(layer.weight))) == 1:
                yield f"a skip connection around layer {i}", _with_skip(layers, x, i)


def _with_skip(layers: Sequence[Layer], x: np.ndarray, around: int) -> np.ndarray:
    """`h + relu(layer(h))` at one layer."""
    h: Any = jnp.asarray(x)
    for i, layer in enumerate(layers):
        y = layer(h.reshape(len(h), -1) if isinstance(layer, Dense) else h)
        y = jax.nn.relu(y) if i < len(layers) - 1 else y
        h = h + y if i == around else y
    return np.asarray(h)


_ACTIVATIONS: dict[str, Callable] = {
    "tanh": jnp.tanh,
    "GELU": lambda x: jax.nn.gelu(x, approximate=False),
    "GELU (tanh)": lambda x: jax.nn.gelu(x, approximate=True),
    "SiLU": jax.nn.silu,
    "sigmoid": jax.nn.sigmoid,
    "ELU": jax.nn.elu,
    "leaky ReLU (0.01)": lambda x: jax.nn.leaky_relu(x, 0.01),
    "softplus": jax.nn.softplus,
    "no activation": lambda x: x,
}
