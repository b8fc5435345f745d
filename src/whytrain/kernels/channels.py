"""Convolutions with the channels last: the layout that XLA has fast code for on a processor.

XLA brings the convolutions of a program into this layout, but not those in a loop's body, which it
computes number by number, a hundred times slower. Here they are brought into it before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core

from whytrain.kernels.uses import bind


def channels_last(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same function of an array, its convolutions laid out anew.

    Example:
        >>> import jax.numpy as jnp
        >>> f = lambda x: jax.lax.conv(x, jnp.ones((1, 2, 3, 3)), (1, 1), "VALID")
        >>> channels_last(f)(jnp.ones((1, 2, 3, 3))).shape
        (1, 1, 1, 1)
    """

    def run(x: Any) -> Any:
        closed, made = jax.make_jaxpr(f, return_shape=True)(x)
        return jax.tree.unflatten(jax.tree.structure(made), _follow(closed, [x]))

    return run


def _follow(closed: core.ClosedJaxpr, given: Sequence[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *given], strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, core.Literal) else env[var]

    for eqn in jaxpr.eqns:
        made = _step(eqn, [read(var) for var in eqn.invars])
        env.update(zip(eqn.outvars, made, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _step(eqn: core.JaxprEqn, given: list[Any]) -> Sequence[Any]:
    if eqn.primitive.name in ("jit", "pjit"):
        return _follow(eqn.params["jaxpr"], given)
    if eqn.primitive.name == "conv_general_dilated":
        return [_convolve(*given, **eqn.params)]
    return bind(eqn, given)


def _convolve(image: Any, kernel: Any, dimension_numbers: Any, **how: Any) -> Any:
    (n, c, *places), (o, i, *offsets), (to_n, to_c, *to_places) = dimension_numbers
    rank = len(places)
    last = (0, rank + 1, *range(1, rank + 1))
    made = jax.lax.conv_general_dilated(
        image.transpose(n, *places, c), kernel.transpose(*offsets, i, o), **how,
        dimension_numbers=jax.lax.ConvDimensionNumbers(last, (rank + 1, rank, *range(rank)), last),
    )  # fmt: skip
    order = (to_n, *to_places, to_c)
    return made.transpose([order.index(axis) for axis in range(rank + 2)])
