"""A user's network as the kernels see it: a function of arrays and a batch, looked at first."""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from whytrain._computes import computes
from whytrain.errors import UserError
from whytrain.kernels.pytorch import Module, is_module, module
from whytrain.measures.arrays import a, in_one_line, words
from whytrain.measures.trained import trained


@dataclass(frozen=True)
class Function:
    """A network at its parameters.

    Attributes:
        call: `call(leaves, batch)`, (example, ...).
        leaves: The parameters, arrays of one precision.
        names: What each is called.
        dtype: float64 if a parameter is, else float32.
        outputs: How many outputs an example has.
    """

    call: Callable[[list, Any], Any]
    leaves: list
    names: tuple[str, ...]
    dtype: Any
    outputs: int

    @property
    def shapes(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Of the parameters."""
        return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in self.leaves)

    def values(self, x: np.ndarray) -> np.ndarray:
        """The outputs of a batch: (example, output)."""
        return _rows(self.call(self.leaves, x))

    def along(self, step: list, x: np.ndarray) -> np.ndarray:
        """How the values change along a change of the parameters, of a batch."""
        return _rows(jax.jvp(lambda leaves: self.call(leaves, x), (self.leaves,), (step,))[1])


@contextlib.contextmanager
def precision(dtype: Any) -> Iterator[None]:
    """Let float64 be float64 for parameters in it, whatever the process has set."""
    if dtype != np.float64:
        yield
        return
    with jax.enable_x64(True):
        yield


def precision_of(params: PyTree) -> Any:
    """float64 if a parameter is in it, else float32."""
    kinds = {str(getattr(leaf, "dtype", "")) for leaf in jax.tree.leaves(params)}
    return np.float64 if kinds & {"float64", "torch.float64"} else np.float32


def network(f: Any, params: PyTree, x: np.ndarray, dtype: Any) -> Function | Module:
    """Look at a function or a module of PyTorch, at its parameters and some examples."""
    look = module if is_module(f) else function
    return look(f, params, x, dtype)


def function(f: Any, params: PyTree, x: np.ndarray, dtype: Any) -> Function:
    """Look at a network, at its parameters and some examples.

    Args:
        f: `f(params, batch)`: one array, whose first axis is that of the batch.
        params: A pytree of arrays, or an Equinox module.
        x: Examples, as `examples` gives them.
        dtype: The precision; `precision` must hold.

    Raises:
        UserError: It is no function of one example at a time, or not finite.
    """
    found = trained(f, params)
    leaves, structure = jax.tree.flatten(found.arrays)
    call = _Call(found.loss, structure)
    alike = [
        leaf if getattr(leaf, "dtype", None) == dtype else jnp.asarray(leaf, dtype)
        for leaf in leaves
    ]
    leaves = jax.device_put(alike)  # all at once
    shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
    example = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    call = replace(call, computes=_computes(call, shapes, example))
    outputs = _outputs(call, shapes, example)
    _check_alone(call, leaves, x)
    return Function(call, leaves, found.names, dtype, outputs)


@dataclass(frozen=True)
class _Call:
    """The network as a function of a list of arrays; equal to its like, so that it is cached.

    A function may read what changes between two calls, such as a global name: it is alike only if
    it computes the same, too.
    """

    f: Callable[..., Any]
    structure: Any
    computes: bytes = b""

    def __call__(self, leaves: list, batch: Any) -> Any:
        return self.f(jax.tree.unflatten(self.structure, leaves), batch)


def examples(x: Any, dtype: Any, name: str, like: np.ndarray | None = None) -> np.ndarray:
    """A batch of inputs, finite, in the precision of the network.

    Whole numbers stay what they are, for they may be places in a table, unless `like` is given and
    holds others.

    Raises:
        UserError: It is none.
    """
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must be an array of examples ({words(error)})") from error
    if array.dtype.kind not in "fiub" and not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(f"{name} must be numbers, got {a(x)} of {array.dtype}")
    if array.ndim < 1 or len(array) < 1:
        raise UserError(
            f"{name} must be a batch of one example or more (the first axis counts them), got the "
            f"shape {array.shape}"
        )
    beside_others = like is not None and like.dtype.kind == "f"
    if jnp.issubdtype(array.dtype, jnp.floating) or beside_others:
        array = array.astype(dtype, copy=False)
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise UserError(f"{name} holds {count} numbers that are not finite")
    return array


def differentiated() -> AbstractContextManager[None]:
    """Tell in one line that a network, whose derivatives the block takes, has none in JAX."""
    return in_one_line("f(params, x) cannot be differentiated")


def _told(batch: Any) -> AbstractContextManager[None]:
    """Tell in one line that a network, which runs in the block, does not run in JAX."""
    return in_one_line(
        f"f(params, x) cannot be computed for a batch of shape {batch.shape}, {batch.dtype}",
        "; it takes a batch (jax.vmap a function of one example) and must be written with "
        "jax.numpy",
    )


def _computes(
    call: Callable, leaves: tuple[jax.ShapeDtypeStruct, ...], example: jax.ShapeDtypeStruct
) -> bytes:
    """A checksum of all that a function and its derivative do now."""
    batch = jax.ShapeDtypeStruct((1, *example.shape), example.dtype)

    def with_slope(leaves: list, batch: Any) -> Any:
        values, pull = jax.vjp(lambda at: call(at, batch), leaves)
        return values, pull(values)

    with contextlib.suppress(Exception):  # what has no derivative is told later
        return computes(with_slope, list(leaves), batch)
    with _told(batch):
        return computes(call, list(leaves), batch)


@lru_cache(maxsize=64)
def _outputs(
    call: Callable, leaves: tuple[jax.ShapeDtypeStruct, ...], example: jax.ShapeDtypeStruct
) -> int:
    """How many outputs an example has."""
    shapes = []
    for n in (1, 2):
        batch = jax.ShapeDtypeStruct((n, *example.shape), example.dtype)
        with _told(batch):
            made = jax.eval_shape(call, list(leaves), batch)
        if not isinstance(made, jax.ShapeDtypeStruct):
            raise UserError(
                f"f(params, x) must give one array of outputs, got {a(made)}; return the logits "
                "alone (in Flax model.apply without mutable=...)"
            )
        shapes.append(made.shape)
    if not jnp.issubdtype(made.dtype, jnp.floating):
        raise UserError(f"f(params, x) must give real numbers, got {made.dtype}")
    one, two = shapes
    if one[:1] != (1,) or two[:1] != (2,) or one[1:] != two[1:]:
        raise UserError(
            f"f(params, x) must give outputs for each example: of batches of 1 and 2 it gives the "
            f"shapes {one} and {two}; keep the first axis (squeeze with axis=-1), and jax.vmap a "
            "function of one example"
        )
    if 0 in one:
        raise UserError(f"f(params, x) gives no outputs: of one example an array of shape {one}")
    return math.prod(one[1:])


def _check_alone(call: Callable, leaves: list, x: np.ndarray) -> None:
    """Refuse outputs that depend on the other examples of the batch."""
    few = x[np.unique([0, len(x) // 2, len(x) - 1])]
    few = np.concatenate([few, few[:1] // 2 if x.dtype.kind in "iub" else few[:1] / 2])  # another
    with _told(few):
        together, alone = map(np.asarray, _together(call)(leaves, few))
    if not np.isfinite(alone).all():
        raise UserError(
            "the network's outputs are not finite at these inputs; are parameters or inputs too "
            "large?"
        )
    gap, size = np.abs(together - alone).max(), np.abs(alone).max()
    if gap > float(jnp.finfo(alone.dtype).eps) ** 0.5 * max(size, np.abs(together).max()):
        raise UserError(
            "an example's outputs depend on the batch it is in, so that there is no tangent kernel "
            f"(they change by {gap:.2g} of {size:.2g}); put normalization and dropout into their "
            "evaluation mode (Flax use_running_average=True, Equinox eqx.nn.inference_mode, "
            "PyTorch model.eval())"
        )


@lru_cache(maxsize=64)  # a static argument would be kept for good, and all that it holds
def _together(call: Callable) -> Callable[[list, Any], tuple[Any, Any]]:
    def run(leaves: list, x: Any) -> tuple[Any, Any]:
        return call(leaves, x), jax.vmap(lambda one: call(leaves, one[None])[0])(x)

    return jax.jit(run)


def _rows(outputs: Any) -> np.ndarray:
    return np.asarray(outputs).reshape(len(outputs), -1)
