"""Flows as functions of arrays, for `jax.jit` and `jax.vmap`; `flows` checks what users give."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from whytrain._lazy import later
from whytrain._types import Numeric
from whytrain.kernels.higher import kernels

diffrax = later("diffrax")

TOLERANCE = 1e-10  # of a step of the solver, relative and absolute
MOST_STEPS = 10_000
STAGES = 16  # copies of its state that the solver keeps


class Path(NamedTuple):
    """A flow as arrays of JAX.

    Attributes:
        times: The times; infinite from the first on that was not reached.
        outputs: Those at test and training points.
        kernel: `K2`, or None.
    """

    times: Float[Array, " time"]
    outputs: Float[Array, "time row"]
    kernel: Float[Array, "time row index"] | None


@jax.jit
def truncated(
    tensors: tuple[Any, ...],
    start: Float[Numeric, " row"],
    y: Float[Numeric, "n ..."],
    times: Float[Numeric, " time"],
) -> Path:
    """`truncated_flow` unchecked, from what `kernels` and `outputs` give: for `jax.vmap`."""
    *moving, held = (start, *tensors)

    def velocity(_t: Any, state: tuple, _args: Any) -> tuple:
        residual = state[0][-y.size :] - y.ravel()
        return tuple(-(kernel @ residual) / len(y) for kernel in (*state[1:], held))

    # With the kernel held, of order 2, there is no second part.
    reached, (rows, *second) = _solve(velocity, tuple(moving), times, lambda state: state[:2])
    constant = jnp.broadcast_to(held, (len(times), *held.shape))
    return Path(reached, rows, second[0] if second else constant)


@partial(jax.jit, static_argnames=("f", "kernel"))
def flow(
    f: Callable[..., Any],
    params: PyTree,
    x: Any,
    y: Float[Numeric, "n ..."],
    times: Float[Numeric, " time"],
    x_test: Any = None,
    *,
    kernel: bool = False,
) -> Path:
    """`gradient_flow` unchecked, as a function of arrays: for `jax.vmap` over parameters."""

    def seen(params: PyTree) -> tuple[Array, Array | None]:
        there = kernels(f, params, x, 2, x_test)[0] if kernel else None
        return outputs(f, params, x, x_test), there

    reached, (rows, tangent) = follow(f, params, x, y, times, seen)
    return Path(reached, rows, tangent)


def follow(
    f: Callable[..., Any],
    params: PyTree,
    x: Any,
    y: Float[Numeric, "n ..."],
    times: Float[Numeric, " time"],
    seen: Callable[[PyTree], Any],
) -> tuple[Float[Array, " time"], Any]:
    """The gradient flow of `R = sum_a (f_a - y_a)^2 / (2 n)`.

    Args:
        f: `f(params, x)`.
        params: Where it starts.
        x: The training points.
        y: What the outputs should be.
        times: When to look.
        seen: What is to be seen of the parameters.

    Returns:
        The times, infinite from the first on that was not reached, and what was seen.
    """

    def risk(params: PyTree) -> Array:
        return jnp.sum((f(params, x) - y) ** 2) / (2 * len(y))

    def velocity(_t: Any, params: PyTree, _args: Any) -> PyTree:
        return jax.tree.map(jnp.negative, jax.grad(risk)(params))

    return _solve(velocity, params, times, seen)


@partial(jax.jit, static_argnames="f")
def outputs(
    f: Callable[..., Any], params: PyTree, x: Any, x_test: Any = None
) -> Float[Array, " row"]:
    """The outputs at test and training points, in the order of the kernels' first index."""
    parts = [f(params, points).ravel() for points in (x_test, x) if points is not None]
    return jnp.concatenate(parts)


def _solve(
    velocity: Callable, start: PyTree, times: Array, seen: Callable[[PyTree], Any]
) -> tuple[Any, Any]:
    """What is to be seen of a solution at the times, each of which ends a step."""
    steps = diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times, fn=lambda _t, state, _args: seen(state)),
        stepsize_controller=diffrax.ClipStepSizeController(steps, step_ts=times),
        max_steps=MOST_STEPS,
        throw=False,
    )
    return solution.ts, solution.ys
