"""What one pass through a traced function makes, and takes: counted, without computing it."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from jax.extend import core


class Passing(NamedTuple):
    """The numbers that a function makes, and the operations that it takes."""

    size: int
    operations: float


def passing(jaxpr: core.Jaxpr) -> Passing:
    """Count them, through calls and loops.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> product = jax.make_jaxpr(lambda w, x: x @ w)(jnp.ones((3, 2)), jnp.ones(3))
        >>> passing(product.jaxpr)
        Passing(size=2, operations=12.0)
    """
    made = list(_made(jaxpr))
    return Passing(sum(size for size, _ in made), sum(count for _, count in made))


def _made(jaxpr: core.Jaxpr, times: int = 1) -> Iterator[tuple[int, float]]:
    for eqn in jaxpr.eqns:
        inner = list(core.jaxprs_in_params(eqn.params))
        for each in inner:
            yield from _made(each, times * eqn.params.get("length", 1))
        if not inner:
            size = sum(math.prod(var.aval.shape) for var in eqn.outvars)  # pyright: ignore[reportAttributeAccessIssue]
            yield times * size, times * 2.0 * size * _contracted(eqn)


def _contracted(eqn: core.JaxprEqn) -> int:
    if eqn.primitive.name == "dot_general":
        (axes, _), _ = eqn.params["dimension_numbers"]
        return math.prod(eqn.invars[0].aval.shape[axis] for axis in axes)  # pyright: ignore[reportAttributeAccessIssue]
    if eqn.primitive.name == "conv_general_dilated":
        kernel = eqn.invars[1].aval.shape  # pyright: ignore[reportAttributeAccessIssue]
        return math.prod(kernel) // kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 1
