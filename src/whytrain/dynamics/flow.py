"""Flows: the small-step limits of descent, solved as differential equations."""

import diffrax
import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float, PyTree

from whytrain._types import Numeric
from whytrain.dynamics.methods import Flow
from whytrain.landscapes import Landscape


@eqx.filter_jit
def solve(
    landscape: Landscape, flow: Flow, params: PyTree, times: Float[Numeric, " time"],
    computes: bytes,
) -> tuple[PyTree, Bool[Array, " run"]]:  # fmt: skip
    """The flow of a block of runs at given times.

    Args:
        landscape: What they flow down.
        flow: How.
        params: Where they start.
        times: Sorted, from 0 on.
        computes: A checksum of what the velocity is now, of which the program is.

    Returns:
        The parameters with axes (run, time) in front, and whether the solver reached the end.
    """
    del computes

    def one(start: PyTree) -> tuple[PyTree, Array]:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda _t, y, _args: flow.velocity(landscape, y)),
            diffrax.Kvaerno5(),
            t0=0.0,
            t1=times[-1],
            dt0=None,
            y0=start,
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.PIDController(rtol=flow.tolerance, atol=flow.tolerance),
            max_steps=100_000,
            throw=False,
        )
        return solution.ys, solution.result == diffrax.RESULTS.successful

    return jax.vmap(one)(params)
