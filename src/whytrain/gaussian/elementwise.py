"""What a user gives to be integrated, looked at before: a function of each number, and kinks."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.errors import UserError

_POINTS = (-1.3, -0.2, 0.4, 2.1)


def check_elementwise(name: str, function: Callable[[Any], Any]) -> None:
    """Refuse what is no function of each number by itself, written with `jax.numpy`.

    Args:
        name: What it is called.
        function: The function.

    Raises:
        UserError: It is not.
    """
    points = np.array(_POINTS)
    try:
        # Within another function: JAX crashes now and then where it is to keep one of NumPy's.
        shape = jax.ShapeDtypeStruct(points.shape, jnp.result_type(float))
        jax.eval_shape(lambda x: function(x), shape)
        with jax.ensure_compile_time_eval():
            together = np.asarray(function(jnp.asarray(points)))
            alone = [np.asarray(function(jnp.asarray(point))) for point in points]
    except Exception as error:
        words = " ".join(str(error).split()) or "no words"
        raise UserError(
            f"{name} must be a function of an array, elementwise, written with jax.numpy "
            f"({type(error).__name__}: {words:.100})"
        ) from error
    shapes = {one.shape for one in alone}
    if together.shape != points.shape or shapes != {()} or together.dtype.kind not in "fiub":
        raise UserError(
            f"{name} must give one real number for each that it takes, of an array and of one; it "
            f"gives {together.dtype} of the shapes {together.shape} and {alone[0].shape}"
        )
    if not np.allclose(together, alone, rtol=1e-4, atol=1e-4, equal_nan=True):
        raise UserError(f"{name} must be elementwise: what it gives at a number depends on others")


def check_nodes(nodes: Any) -> None:
    """Refuse what is no number of nodes.

    Args:
        nodes: Gauss-Legendre nodes a panel.

    Raises:
        UserError: It is no whole number, or too small.
    """
    if isinstance(nodes, bool) or not isinstance(nodes, int | np.integer) or nodes < 2:
        raise UserError(f"nodes must be a whole number, 2 or more, got {nodes!r}")


def read_kinks(kinks: Any) -> tuple[float, ...]:
    """Places on the line, as Python's numbers.

    Args:
        kinks: The places.

    Raises:
        UserError: They are none.
    """
    try:
        found = () if isinstance(kinks, str) else tuple(map(float, kinks))
        if all(map(math.isfinite, found)) and not isinstance(kinks, str):
            return found
    except (TypeError, ValueError):
        pass
    raise UserError(f"kinks must be a sequence of finite numbers, got {kinks!r}")
