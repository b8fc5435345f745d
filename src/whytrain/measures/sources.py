"""What a user calls a network, as arrays by name: state dicts, variables, modules, estimators."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import plain, words

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
        raise UserError(
            f"{of} must be a state dict (names and arrays), Flax variables, a module of PyTorch or "
            f"Equinox, or a fitted network of scikit-learn, got {_kind(given)}"
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
    """What a model gives for a batch.

    Raises:
        UserError: It fails, or gives something else than an array.
    """
    try:
        found = call(x)
    except UserError:
        raise
    except Exception as error:  # the user's own model may fail in any way
        raise UserError(
            f"the model cannot be called on a batch of inputs of shape {np.shape(x)} "
            f"({type(error).__name__}: {words(error)}); give its outputs as an array, outputs="
        ) from error
    if not hasattr(found, "shape"):
        raise UserError(
            f"the model, called, gives {_kind(found)} and no array of outputs; give them as an "
            "array, outputs="
        )
    return found


def _call_torch(torch: Any, model: Any, x: Any) -> Any:
    modes = [(part, part.training) for part in model.modules()]
    like = next(iter(model.parameters()))
    model.eval()
    try:
        with torch.no_grad():
            x = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.array(x))
            return model(x.to(device=like.device, dtype=like.dtype))
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


def _estimator(given: Any, of: str) -> Source:
    """A multi-layer perceptron of scikit-learn, whose class says what it computes."""
    activation, last = given.activation, given.out_activation_
    if activation != "relu" and len(given.coefs_) > 1:
        raise UserError(f"{of} has the activation {activation}; only the rectifier is measured")
    if last not in ("softmax", "identity"):
        raise UserError(
            f"{of} has outputs through {last}; measured are the logits of a classifier of three "
            "classes or more"
        )
    entries = {f"coefs_.{i}": array for i, array in enumerate(given.coefs_)}
    entries |= {f"intercepts_.{i}": array for i, array in enumerate(given.intercepts_)}
    softmax = last == "softmax"
    predict = given.predict_proba if softmax else given.predict
    return Source(entries, lambda x: predict(np.asarray(x).reshape(len(x), -1)), {}, softmax)


def _kind(given: Any) -> str:
    return plain(f"a {type(given).__name__}")
