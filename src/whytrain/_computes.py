"""What a function computes now: it may read what changes between two calls, such as a global name.

JAX keeps the compiled program of a function by its name and the shapes of its arguments alone. A
program that is kept by this checksum, too, is never that of what the function was.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from whytrain._reads import UnsureError, read


def computes(function: Callable[..., Any], *given: Any) -> bytes:
    """A checksum of all that a function does now, and of the arrays that it reads.

    Its code tells, or else a trace does. What a rule of its own for derivatives does is seen by a
    trace where the function takes the derivative.

    Args:
        function: Written with `jax.numpy`.
        *given: Pytrees; of arrays, or their shapes, only shape and type count.
    """
    arrays, rest = eqx.partition(given, _is_array)
    with contextlib.suppress(UnsureError):
        shapes = [(one.shape, str(one.dtype)) for one in jax.tree.leaves(arrays)]
        return read(function, rest, str(shapes))
    return program(function, *given)


def program(function: Callable[..., Any], *given: Any) -> bytes:
    """A checksum of the trace alone: in another process, or further down in a file, the same."""
    arrays, rest = eqx.partition(given, _is_array)

    def traced(arrays: Any) -> Any:  # a new function each time, or JAX would give what it knows
        return eqx.filter(function(*eqx.combine(arrays, rest)), eqx.is_array_like)

    closed = jax.make_jaxpr(traced)(arrays)
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(closed)).encode())
    for array in _read(closed):
        key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        found.update(np.asarray(jax.random.key_data(array) if key else array).tobytes())
    return found.digest()


def _read(program: Any) -> Iterator[Any]:
    """The arrays that a program and the programs within it read; its text only names them."""
    if isinstance(program, tuple | list):
        for part in program:
            yield from _read(part)
    elif isinstance(program, core.ClosedJaxpr):
        yield from program.consts
        yield from _read(program.jaxpr)
    elif isinstance(program, core.Jaxpr):
        for step in program.eqns:
            values = (getattr(atom, "val", 0) for atom in step.invars)
            yield from (value for value in values if np.ndim(value))
            yield from _read(list(step.params.values()))


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


@dataclass(frozen=True)
class Computed:
    """A function that is equal to its like only where that computes the same."""

    function: Callable[..., Any]
    computes: bytes

    def __call__(self, *given: Any) -> Any:
        """What the function gives."""
        return self.function(*given)
