"""Calling a loss that a user wrote: one line tells what fails, or is no finite real number."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from whytrain.errors import UserError
from whytrain.measures.naming import a, some


def check_loss(loss: Callable[..., Any], arrays: PyTree, data: tuple) -> float:
    """Evaluate a loss, twice.

    Args:
        loss: `loss(arrays, *data)`.
        arrays: Its parameters.
        data: What else it takes.

    Returns:
        Its value.

    Raises:
        UserError: It fails, or is not one real number that is finite and the same again.
    """
    first, again = (_value(loss, arrays, data) for _ in range(2))
    if not np.isfinite(first):
        raise UserError(f"the loss is {first} at these parameters; there is nothing to measure")
    if first != again:
        raise UserError(
            f"the loss changes from call to call ({first:.6g}, {again:.6g}); turn dropout "
            "and other randomness off"
        )
    return first


def check_finite(vector: np.ndarray, names: Sequence[str], arrays: PyTree, what: str) -> None:
    """Name the parameters at which a derivative is not finite.

    Args:
        vector: The derivative, over the raveled parameters.
        names: What the leaves are called.
        arrays: The parameters.
        what: What the derivative is called.

    Raises:
        UserError: There are such parameters.
    """
    if np.isfinite(vector).all():
        return
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(arrays)]
    wrong = [int((~np.isfinite(part)).sum()) for part in np.split(vector, np.cumsum(sizes)[:-1])]
    found = [
        f"{name} ({count} of {size} numbers)"
        for name, count, size in zip(names, wrong, sizes, strict=True)
        if count
    ]
    raise UserError(
        f"the {what} of the loss is not finite with respect to {some(found)}; autodiff has none "
        "for a norm or a root at 0 (add a small number under the root, or move the parameters), "
        "and numbers beyond 1e308 overflow (scale the loss)"
    )


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell in one line that a loss, which runs in the block, does not run in JAX.

    Raises:
        UserError: In place of any other exception in the block.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever the user's code or JAX makes of it
        words = " ".join(str(error).split())[:200]
        raise UserError(
            f"the loss cannot be computed: {type(error).__name__}: {words}; it is called as "
            "loss(params, *data) and must be written with jax.numpy (no PyTorch, no float())"
        ) from error


def seen_by_jax(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss; where JAX traces it, JAX must be what computes it.

    Raises:
        UserError: When it is traced and returns what does not come from its parameters.
    """

    def seen(params: PyTree, *data: Any) -> Any:
        value = loss(params, *data)
        if not isinstance(value, jax.core.Tracer):
            raise UserError(
                "the loss does not depend on the parameters as far as JAX sees: it returned "
                f"{a(value)}; compute it from its first argument with jax.numpy (no PyTorch)"
            )
        return value

    return seen


def _value(loss: Callable[..., Any], arrays: PyTree, data: tuple) -> float:
    with told():
        found = loss(arrays, *data)
        if isinstance(found, tuple | list | Mapping):
            raise UserError(f"the loss must be one number, got {a(found)}; return the loss alone")
        value = np.asarray(found)
    if value.shape != ():
        raise UserError(f"the loss must be one number, got an array of shape {value.shape}")
    real = any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer))
    if not real:
        what = a(found) if value.dtype == object else f"an array of {value.dtype}"
        raise UserError(f"the loss must be one real number, got {what}")
    return float(value)
