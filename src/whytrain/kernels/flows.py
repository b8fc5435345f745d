"""Training in continuous time: the true flow, and that of the hierarchy cut off at an order."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

from whytrain.errors import UserError
from whytrain.kernels.higher import entries_of, gradients_of, kernels
from whytrain.kernels.model import Model, finite
from whytrain.kernels.solve import MOST_STEPS, STAGES, Path, flow, outputs, truncated
from whytrain.measures.arrays import as_float64, check_whole
from whytrain.measures.loss import told


@dataclass(frozen=True, eq=False)
class FlowPath:
    """What a flow gives at some times.

    Attributes:
        times: The times.
        outputs: Those at the training points.
        test_outputs: Those at the test points; an empty axis where there are none.
        kernel: The tangent kernel `K2`, its rows the outputs at the test points and at the training
            points, its columns those at the training points; None where it was not asked for.
        risk: `sum_a (f_a - y_a)^2 / (2 n)`.
    """

    times: Float[np.ndarray, " time"]
    outputs: Float[np.ndarray, "time n ..."]
    test_outputs: Float[np.ndarray, "time m ..."]
    kernel: Float[np.ndarray, "time row index"] | None
    risk: Float[np.ndarray, " time"]


def truncated_flow(
    f: Any,
    params: PyTree,
    x: Any,
    y: Any,
    order: int,
    times: Any,
    x_test: Any = None,
    *,
    memory: str | int = "1GiB",
) -> FlowPath:
    """Follow the hierarchy from `params` with the kernel of the last order held as it is there.

        f_a' = -sum_b K2[a, b] r_b / n,    K(s)' = -sum_b K(s+1)[..., b] r_b / n,  s = 2 ... order-1

    with `r = f - y` at the `n` training points, and `K(order)` constant: of order 2 it is training
    with a constant tangent kernel, `r(t) = expm(-t K2 / n) r(0)`. From order 3 on nothing keeps the
    solution bounded, and for narrow networks and long times it need not exist.

    Args:
        f: As for `hierarchy`.
        params: As for `hierarchy`.
        x: The training points, as for `hierarchy`.
        y: What the outputs at `x` should be, in their shape.
        order: Of the kernel that is held, 2 or more.
        times: When to look, increasing from 0 or later.
        x_test: More points; they move nothing.
        memory: As for `hierarchy`.

    Returns:
        Outputs, tangent kernel and risk at the times, to about 1e-9.

    Raises:
        UserError: As for `hierarchy`, or the solution ends before the last time.

    Source: Huang and Yau, "Dynamics of Deep Neural Networks and Neural Tangent Hierarchy", ICML
    2020 (arXiv 1909.08156).

    Example:
        >>> path = truncated_flow(lambda w, x: w * x, 0.0, np.ones(1), [1.0], 2, [0.0, 1.0])
        >>> path.outputs.ravel().round(6).tolist()  # 1 - exp(-t)
        [0.0, 0.632121]
    """
    check_whole("order", order, 2)
    model, y, times = _given(f, params, x, y, times, x_test)
    held = STAGES * entries_of(order - 1, model.rows, model.indices) + len(times) * model.pairs
    entries = held + entries_of(order, model.rows, model.indices)
    model.check_memory(entries, gradients_of(order, model.rows), memory)
    tensors = finite(kernels, model.f, model.params, model.x, order, model.x_test)
    start = finite(outputs, model.f, model.params, model.x, model.x_test)
    with jax.enable_x64(True):
        return _seen(model, y, times, truncated(tensors, start, y, times))


def gradient_flow(
    f: Any,
    params: PyTree,
    x: Any,
    y: Any,
    times: Any,
    x_test: Any = None,
    *,
    kernel: bool = False,
    memory: str | int = "1GiB",
) -> FlowPath:
    """Follow `params' = -gradient of R` with `R = sum_a (f_a - y_a)^2 / (2 n)`.

    Args:
        f: As for `hierarchy`.
        params: Where it starts, as for `hierarchy`.
        x: The `n` training points.
        y: What the outputs at `x` should be, in their shape.
        times: When to look, increasing from 0 or later.
        x_test: More points; they move nothing.
        kernel: Whether to give the tangent kernel at the times, too.
        memory: As for `hierarchy`.

    Returns:
        Outputs, risk and, if asked for, tangent kernel at the times. The solver holds each step to
        1e-10 of the parameters.

    Raises:
        UserError: As for `hierarchy`, or the solver does not come to the last time.

    Example:
        >>> path = gradient_flow(lambda w, x: w * x, 0.0, np.ones(1), [1.0], [0.0, 1.0])
        >>> path.risk.round(6).tolist()  # exp(-2 t) / 2
        [0.5, 0.067668]
    """
    model, y, times = _given(f, params, x, y, times, x_test)
    held = len(times) * model.pairs if kernel else 0
    model.check_memory(held, STAGES + (gradients_of(2, model.rows) if kernel else 0), memory)
    with jax.enable_x64(True), told():
        path = flow(model.f, model.params, model.x, y, times, model.x_test, kernel=kernel)
        return _seen(model, y, times, path)


def _given(
    f: Any, params: PyTree, x: Any, y: Any, times: Any, x_test: Any
) -> tuple[Model, np.ndarray, np.ndarray]:
    """What both flows take, checked."""
    model, times = Model.of(f, params, x, x_test), as_float64(times, "times")
    increase = times.ndim == 1 and times.size and np.all(np.diff(times, prepend=-0.0) >= 0)
    if not increase or np.any(np.diff(times) == 0) or not 0 < times[-1] < np.inf:
        raise UserError(
            f"times must increase from 0 or later to a finite last one above 0, got {times!s:.100}"
        )
    return model, model.numbers(y, "y"), times


def _seen(model: Model, y: np.ndarray, times: np.ndarray, path: Path) -> FlowPath:
    """A path as NumPy's arrays, if it came to its end."""
    reached, rows, kernel = jax.tree.map(np.asarray, path)
    fine = np.isfinite(reached) & np.isfinite(rows).all(axis=1)
    if not fine.all():
        raise UserError(_ended(times, int(np.argmin(fine))))
    parts = np.split(rows, [model.rows - model.indices], axis=1)
    tests, found = (part.reshape(len(times), -1, *model.shape[1:]) for part in parts)
    residual = (found - y).reshape(len(times), -1)
    return FlowPath(times, found, tests, kernel, (residual**2).sum(axis=1) / (2 * len(y)))


def _ended(times: np.ndarray, first: int) -> str:
    last = times[first - 1] if first else 0.0
    return (
        f"the solution cannot be followed from t = {last:g} to {times[first]:g}: it leaves all "
        f"bounds, or changes too fast for {MOST_STEPS} steps; look at earlier times, and for a "
        "truncated flow take a wider network or order 2"
    )
