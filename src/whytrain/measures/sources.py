"""What a user calls a network: its arrays by name, and its outputs that layers are held against."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, plain, words
from whytrain.measures.network import Dense, fits, shapes
from whytrain.measures.network import outputs as outputs_of

Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Source:
    """A network as its owner holds it.

    Attributes:
        entries: All that it holds, by name; parts of a name are separated by dots or slashes.
        call: The model itself on a batch, where it can be called.
        parts: The layers as objects, by name, where there are some: they know what no weight says.
        softmax: Whether `call` gives the softmax of what is measured.
    """

    entries: dict[str, Any]
    call: Call | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    softmax: bool = False


def source(given: Any, of: str) -> Source:
    """Open a state dict, Flax variables, a module of PyTorch or Equinox, an estimator, or a pytree.

    Args:
        given: The network.
        of: What it is, for messages.

    Returns:
        What it holds.

    Raises:
        UserError: It is none of these, or a class in place of an instance.
    """
    if isinstance(given, type):
        raise UserError(f"{of} is the class {given.__name__}; give an instance of it")
    if isinstance(given, Mapping | list | tuple):
        return Source(dict(_flat(given)))
    if callable(getattr(given, "state_dict", None)):
        named = getattr(given, "named_modules", None)
        parts: Any = dict(cast(Any, named)()) if callable(named) else {}
        return Source(dict(_flat(given.state_dict())), caller(given), parts)
    if hasattr(given, "coefs_") and hasattr(given, "intercepts_"):
        return _estimator(given, of)
    found = dict(_leaves(given)) if not isinstance(given, np.ndarray | jax.Array | str) else {}
    if not found:
        other = "or what measures.network(model, inputs) reads, which knows more models"
        if isinstance(given, str | PathLike):
            other = "measures.read_checkpoint(FILE) reads a file"
        raise UserError(
            f"{of} must be a state dict (names and arrays), Flax variables, a module of PyTorch or "
            f"Equinox, or a fitted network of scikit-learn, got {_kind(given)}; {other}"
        )
    return Source(found, caller(given), _equinox_parts(given))


def caller(model: Any) -> Call | None:
    """A model as a function from a batch to outputs, in evaluation mode; None if it is none."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        return lambda x: _call_torch(torch, model, x)
    if isinstance(model, eqx.Module) and callable(model):
        return jax.vmap(eqx.nn.inference_mode(model))
    return model if callable(model) else None


def called(call: Call, x: Any) -> Any:
    """What a model gives for a batch."""
    try:
        found = call(x)
    except UserError:
        raise
    except Exception as error:  # the user's own model may fail in any way
        raise UserError(
            f"the model cannot be called on a batch of inputs of shape {np.shape(x)} "
            f"({type(error).__name__}: {words(error)}); are these its inputs? Else give its "
            "outputs as an array, outputs="
        ) from error
    if not hasattr(found, "shape"):
        raise UserError(
            f"the model, called, gives {_kind(found)} and no array of outputs; give one that "
            "returns the logits alone, or the logits as an array, outputs="
        )
    return found


def _call_torch(torch: Any, model: Any, x: Any) -> Any:
    like = next(model.parameters(), torch.zeros(()))
    with evaluating(model), torch.no_grad():
        x = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.array(x))
        return model(x.to(device=like.device, dtype=like.dtype))


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """A PyTorch module in evaluation mode, every part as it was afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _flat(given: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings and sequences, in the order in which they stand there."""
    nested = given.items() if isinstance(given, Mapping) else enumerate(given)
    for key, value in nested:
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) or _holds_arrays(value):
            yield from _flat(value, f"{name}.")
        elif value is not None:
            yield name, value


def _holds_arrays(value: Any) -> bool:
    """Whether something is a sequence of arrays, and not an array written as lists of numbers."""
    return isinstance(value, list | tuple) and any(
        isinstance(one, Mapping) or getattr(one, "shape", ()) != () or _holds_arrays(one)
        for one in value
    )


def _leaves(given: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a pytree, under the names on the way to them."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(given)[0]:
        if path and hasattr(leaf, "shape"):
            yield ".".join(_word(key) for key in path), leaf


def _word(key: Any) -> str:
    for name in ("name", "key", "idx"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def _equinox_parts(given: Any) -> dict[str, Any]:
    convolution = lambda part: isinstance(part, eqx.nn.Conv)  # noqa: E731
    found, _ = jax.tree_util.tree_flatten_with_path(given, is_leaf=convolution)
    return {".".join(map(_word, path)): part for path, part in found if convolution(part)}


_HERE = "are measured as they stand: give what measures.network(model, inputs) reads"


def _estimator(given: Any, of: str) -> Source:
    """A multi-layer perceptron of scikit-learn, whose class says what it computes."""
    activation, last = given.activation, given.out_activation_
    if activation != "relu" and len(given.coefs_) > 1:
        raise UserError(f"{of} has the activation {activation}; networks with rectifiers {_HERE}")
    if last not in ("softmax", "identity"):
        raise UserError(
            f"{of} has outputs through {last}; the logits of three classes or more {_HERE}"
        )
    entries = {f"coefs_.{i}": array for i, array in enumerate(given.coefs_)}
    entries |= {f"intercepts_.{i}": array for i, array in enumerate(given.intercepts_)}
    softmax = last == "softmax"
    predict = given.predict_proba if softmax else given.predict
    return Source(entries, lambda x: predict(np.asarray(x).reshape(len(x), -1)), {}, softmax)


def _kind(given: Any) -> str:
    return plain(f"a {type(given).__name__}")


TOLERANCE = 1e-4  # of the largest output; float32 agrees with float64 to about 1e-6
COARSE = 2e-2  # where the outputs are stored in half precision or less
COMPARED = 1024  # examples, at most
_ALIKE = 1e-2  # of the largest output: near enough to name a reason
CAUSES = (
    "usual causes: another activation than the rectifier, a skip connection, a normalization after "
    "the activation or one without weights, pooling, the order of the layers or of the examples, a "
    "stride or a padding, inputs scaled otherwise, weights or outputs in reduced precision"
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
    """What the user says that the model gives for some examples; None if nothing was said."""
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
        raise UserError(
            "the outputs hold a number that is not finite; did training diverge, or are the inputs "
            "too large?"
        )
    kind = str(getattr(given, "dtype", "float64")).removeprefix("torch.")
    coarse = kind in ("float16", "bfloat16") or kind.startswith("float8")
    return Expected(found, COARSE if coarse else TOLERANCE, softmax)


def agrees(layers: Sequence[Any], x: np.ndarray, said: Expected) -> bool:
    """Whether a network can take the examples, and gives what the model gives for them."""
    return fits(layers, x.shape[1:]) and _distance(layers, x, said) <= said.tolerance


def _distance(layers: Sequence[Any], x: np.ndarray, said: Expected) -> float:
    """The largest difference to the model's outputs, as a share of the largest of them.

    A number that is added to all outputs of an example, as LogSoftmax does, is no difference: it
    changes no margin.
    """
    found = outputs_of(layers, x[: len(said.outputs)])
    if found.shape != said.outputs.shape:
        return np.inf
    return _apart(_softmax(found) if said.softmax else found, said.outputs)


def differs(layers: Sequence[Any], x: np.ndarray, said: Expected) -> UserError:
    """Say how far off a network is, and why, where the reason can be found."""
    out = shapes(layers, x.shape[1:])[-1]
    if said.outputs.shape[1:] != out:
        return UserError(
            f"the outputs given have shape {said.outputs.shape}, those of the network {out} an "
            "example; are they of another model?"
        )
    x = x[: len(said.outputs)]
    far = _distance(layers, x, said)
    found = f"off by {far:.2g} of the largest output" if np.isfinite(far) else "no numbers"
    others = [(_apart(other, said.outputs), reason) for reason, other in _explanations(layers, x)]
    best, reason = min(others)
    return UserError(
        "the network that these weights make, layers with a rectifier between each two, is not the "
        f"model: its outputs on {len(x)} examples are {found} (allowed: {said.tolerance:g}); "
        + (f"it is (to {best:.1g}) with {reason}" if best <= min(_ALIKE, far / 10) else CAUSES)
    )


def centered(logits: np.ndarray) -> np.ndarray:
    """Without what is added to all logits of an example; one output stays as it is."""
    return logits - logits.mean(axis=1, keepdims=True) if logits.shape[1] > 1 else logits


def _apart(found: np.ndarray, said: np.ndarray) -> float:
    one, other = map(centered, (found, said))
    largest, far = float(np.abs(other).max()), float(np.abs(one - other).max())
    if far == 0:
        return 0.0
    return far / largest if largest and np.isfinite(far) else float("inf")


def _softmax(logits: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.nn.softmax(jnp.asarray(logits)))


def _explanations(layers: Sequence[Any], x: np.ndarray) -> Any:
    """Other networks of the same weights that users have, with what they are called."""
    with jax.enable_x64(True):
        yield "a softmax as last layer: give logits", _softmax(outputs_of(layers, x))
        for name, activation in _ACTIVATIONS.items():
            yield f"{name} in place of the rectifier", outputs_of(layers, x, activation)
        yield "inputs divided by 255", outputs_of(layers, x / 255)
        for i, layer in enumerate(layers):
            if i and isinstance(layer, Dense) and len(set(np.shape(layer.weight))) == 1:
                yield f"a skip connection around layer {i}", _with_skip(layers, x, i)


def _with_skip(layers: Sequence[Any], x: np.ndarray, around: int) -> np.ndarray:
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
    "leaky ReLU (slope 0.01)": lambda x: jax.nn.leaky_relu(x, 0.01),
    "leaky ReLU (slope 0.1)": lambda x: jax.nn.leaky_relu(x, 0.1),
    "leaky ReLU (slope 0.2)": lambda x: jax.nn.leaky_relu(x, 0.2),
    "softplus": jax.nn.softplus,
    "no activation": lambda x: x,
}
