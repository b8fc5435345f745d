"""What a compiled loop takes of a reduction: its step for many runs at once, in Numba."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

LANES = 64  # runs that move together; a constant, so that each run's arithmetic is always the same


def jit(
    function: Callable, inline: Literal["never", "always"] = "never", *, outermost: bool = False
) -> Any:
    """Compile a function; if a type checker has wrapped it, the function inside.

    Inlined, its body goes where it is called: a vector loop has no room for long calls. The
    outermost one is called by Python; the others are spared what that takes to compile.
    """
    # Contraction (fused multiply-add) is the one liberty the compiler has; it is the same for
    # every lane.
    hidden = not outermost and inline == "never"
    njit: Any = numba.njit
    compiler = njit(
        nogil=True, error_model="numpy", fastmath={"contract"}, inline=inline,
        no_cpython_wrapper=hidden, no_cfunc_wrapper=True,
    )  # fmt: skip
    return compiler(inspect.unwrap(function))


def polynomial(
    f: Callable[[np.ndarray], np.ndarray], degree: int, high: float, low: float = 0.0
) -> tuple[float, ...]:
    """Coefficients, lowest first, of the Chebyshev interpolant of `f` on `[low, high]`."""
    fit = Chebyshev.interpolate(f, degree, domain=[low, high])
    return tuple(float(c) for c in fit.convert(kind=Polynomial).coef)


class Kernel(NamedTuple):
    """How a reduction's runs move; all four are compiled functions or numbers.

    Attributes:
        rows: Numbers a run.
        choose: Whether a run takes the first walk through the next chunk, from `(state, run, steps,
            largest filter size, largest output size, constants)`.
        walks: Two loops that move `LANES` runs, in place, from `(lanes, filter_sizes, output_sizes,
            start, stop, constants)`; the second has to serve all runs.
        judge: Marks a run's outcome if it is known, from `(state, run, outcome, constants,
            certificate, early)`.
        identity: Tells it from all other kernels, if it is made of this package's functions and of
            numbers alone: what is compiled for it is then kept between processes.
    """

    rows: int
    choose: Any
    walks: tuple[Any, Any]
    judge: Any
    identity: str = ""
