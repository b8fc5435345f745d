"""What a function computes now: it may read what changes between two calls, such as a global name.

JAX keeps the compiled program of a function by its name and the shapes of its arguments alone. A
program that is kept by this checksum, too, is never that of what the function was.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core


def computes(function: Callable[..., Any], *given: Any) -> bytes:
    """A checksum of all that a function does now, and of the arrays that it reads, by a trace.

    What a rule of its own for derivatives does is seen where the function takes the derivative.
    Where all code is that of packages, which read nothing that changes, there is nothing to see.

    Args:
        function: Written with `jax.numpy`.
        *given: Pytrees; of arrays, or their shapes, only shape and type count.
    """
    if not foreign((function, given)):
        return b""
    arrays, rest = eqx.partition(given, _is_array)

    def traced(arrays: Any) -> Any:  # a new function each time, or JAX would give what it knows
        return eqx.filter(function(*eqx.combine(arrays, rest)), eqx.is_array_like)

    closed = jax.make_jaxpr(traced)(arrays)
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(closed)).encode())
    for array in _read(closed):
        key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        found.update(np.asarray(jax.random.key_data(array) if key else array).tobytes())
    return found.digest()


_PACKAGES = {"whytrain", "jax", "jaxlib", "numpy", "optax", "equinox", "builtins"}
_PYTREES = Mapping | list | tuple


def foreign(thing: Any) -> bool:
    """Whether there is code of none of the packages in a function, a module or a pytree."""
    seen, open = set(), [thing]
    while open:
        one = open.pop()
        if id(one) not in seen:
            seen.add(id(one))
            if not isinstance(one, partial | MethodType | _PYTREES) and not _of_package(one):
                return True
            open.extend(_parts(one))
    return False


def _parts(thing: Any) -> Iterator[Any]:
    """What may hold code: in containers, closures, wrapped functions and fields."""
    if isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif isinstance(thing, MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, FunctionType):
        for cell in thing.__closure__ or ():
            with contextlib.suppress(ValueError):  # it is empty
                yield cell.cell_contents
    elif is_dataclass(thing):
        yield from (getattr(thing, one.name, None) for one in fields(thing))
    if not isinstance(thing, type):
        yield getattr(thing, "__wrapped__", None)


def _of_package(thing: Any) -> bool:
    code = thing if isinstance(thing, FunctionType | type) else type(thing)
    return (code.__module__ or "").partition(".")[0] in _PACKAGES


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
