"""Which reductions have a compiled loop, under which methods, and what the loop is to know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

from whytrain.dynamics.methods import GradientDescent, Method, NormalizedGradientDescent
from whytrain.dynamics.schedules import table
from whytrain.gaussian import StepPiecewise
from whytrain.landscapes import Landscape, PlaneReduction, SphereReduction, Weights, at_each

WINDOW = 1 << 16  # step sizes are tabulated for this many steps at a time


@dataclass(frozen=True)
class Program:
    """A run's way through the compiled loop.

    Attributes:
        kernel: Gives the compiled kernel; Numba is imported when it is called.
        sizes: Step sizes or schedules of filter and output.
        constants: As the kernel has them.
        certificate: As the kernel has it.
        early: Whether proofs may end a run.
        watched: First values of the kernel's rows after the order parameters.
        extremes: Gives, from the last order parameters and those rows, the extremes by name.
    """

    kernel: Callable[[], Any]
    sizes: Weights
    constants: tuple[float, ...]
    certificate: tuple[float, ...] = ()
    early: bool = False
    watched: tuple[float, ...] = ()
    extremes: Callable[[Any, Float[np.ndarray, "watched run"]], dict] = lambda _order, _rows: {}


def find_program(
    landscape: Landscape, method: Method, steps: int, early: bool, extremes: Sequence[str]
) -> Program | None:
    """The program for a landscape under a method, or None where there is none."""
    if isinstance(landscape, SphereReduction) and isinstance(method, NormalizedGradientDescent):
        if landscape.activation.scalar is not None and not extremes:
            return _on_sphere(landscape, method, steps, early)
    elif isinstance(landscape, PlaneReduction) and isinstance(method, GradientDescent):
        activation = landscape.activation
        if isinstance(activation, StepPiecewise) and set(extremes) <= {"loss", "radius"}:
            return _in_plane(landscape, activation, method, extremes)
    return None


def _on_sphere(
    landscape: SphereReduction, method: NormalizedGradientDescent, steps: int, early: bool
) -> Program:
    def kernel() -> Any:
        from whytrain.dynamics.sphere_kernel import sphere_kernel

        assert landscape.activation.scalar is not None
        return sphere_kernel(landscape.activation.scalar)

    sizes = _pair(method.step_size)
    numbers = landscape.constants(largest_sizes(sizes, steps))
    constants = tuple(float(x) for x in numbers[:5])
    certificate = (*(float(x) for x in numbers[5:8]), int(numbers[8]))
    proofs = early and landscape.activation.steepness is not None
    return Program(kernel, sizes, constants, certificate, proofs)


def _in_plane(
    landscape: PlaneReduction, activation: StepPiecewise, method: GradientDescent,
    names: Sequence[str],
) -> Program:  # fmt: skip
    def kernel() -> Any:
        from whytrain.dynamics.plane_kernel import plane_kernel

        return plane_kernel(activation.surrogate)

    def extremes(order: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
        # The kernel looks before each step; the look after the last one is taken here.
        loss = at_each(landscape.loss, order)
        found = {}
        for name, now, (last, least, rise) in (
            ("loss", loss, rows[:3]),
            ("radius", np.hypot(order.x, order.y), rows[3:]),
        ):
            found[f"least_{name}"] = np.minimum(least, now)
            found[f"rise_{name}"] = np.maximum(rise, now - last)
        return {f"{word}_{name}": found[f"{word}_{name}"] for name in names
                for word in ("least", "rise")}  # fmt: skip

    numbers = (landscape.k, landscape.total_star, landscape.power_star)
    return Program(
        kernel, _pair(method.step_size), tuple(float(x) for x in numbers),
        watched=(np.inf, np.inf, 0.0) * 2, extremes=extremes,
    )  # fmt: skip


def largest_sizes(sizes: PyTree, steps: int) -> PyTree:
    """The largest value of each schedule over the whole run."""

    def most(schedule: Any) -> float:
        return max(
            float(table(schedule, a, min(a + WINDOW, steps)).max()) for a in range(0, steps, WINDOW)
        )

    return jax.tree.map(most, sizes, is_leaf=callable)


def _pair(sizes: Any) -> Weights:
    # NumPy's numbers: they are read at every window, and reading one of JAX takes longer.
    sizes = jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, sizes)
    return Weights(*sizes) if isinstance(sizes, tuple) else Weights(sizes, sizes)
