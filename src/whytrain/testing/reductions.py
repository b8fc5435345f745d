"""Whether a reduction is exact under the methods that it lists, and refuses the others."""

from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from whytrain.dynamics import Flow, Method, simulate
from whytrain.errors import UserError
from whytrain.landscapes import Landscape, Reduction, at_each


def check_reduction(
    reduction: Reduction,
    landscape: Landscape,
    method: Method | Flow,
    starts: PyTree,
    steps: int = 50,
    tolerance: float = 1e-9,
) -> float | None:
    """Hold a reduction against the whole landscape under a method, from the same starts.

    Where the reduction lists the method's rule, whole runs that are projected in the end must be
    where projected runs end, to `tolerance` of an order parameter or of one, whichever is more;
    with early ends and without, and with its observables saved. Where it does not, `simulate` must
    refuse the pair in one line.

    Args:
        reduction: In which the runs are few numbers.
        landscape: Of which it is the reduction.
        method: How the parameters move.
        starts: Parameters of the landscape, with a leading axis of runs in every leaf.
        steps: Steps to take; the time of a flow.
        tolerance: The largest difference.

    Returns:
        The largest difference, relative as above, or None where the pair is refused.

    Raises:
        AssertionError: The reduction is not exact under a method that it lists, or a pair that it
            does not list is run or refused in more than a line.

    Example:
        >>> from whytrain.dynamics import GradientDescent
        >>> from whytrain.landscapes import SharedFilter, Weights
        >>> network = SharedFilter(np.array([1.0, 0.0]), np.array([1.0, 2.0]))
        >>> starts = Weights(np.array([[0.6, 0.8]]), np.array([[0.1, 0.3]]))
        >>> check_reduction(network.in_plane(), network, GradientDescent(0.05), starts) < 1e-12
        True
        >>> print(check_reduction(network.on_sphere(), network, GradientDescent(0.05), starts))
        None
    """
    name = f"{type(reduction).__name__} under {type(method).__name__}"
    orders = at_each(_Projected(reduction, landscape), starts)
    if method.rule not in reduction.exact_under:
        _refused(name, reduction, method, orders, steps)
        return None
    whole = simulate(landscape, method, starts, steps, early=False)
    ended = at_each(_Projected(reduction, landscape), _final(whole, starts))
    largest = 0.0
    names = tuple(reduction.observables())
    looks: tuple[dict[str, Any], ...] = (
        {"early": False},
        {"observables": names, "times": [0, steps]},
    )
    for how in looks:
        reduced = simulate(reduction, method, orders, steps, **how)
        largest = max(largest, _apart(ended, _final(reduced, orders)))
    assert largest <= tolerance, (
        f"{name} is not exact: an order parameter is {largest:.2g} off after {steps:g}"
    )
    _runs_by_default(reduction, method, orders, steps, names)
    return largest


class _Projected:
    """The projection of a point, as one function."""

    def __init__(self, reduction: Reduction, landscape: Landscape) -> None:
        self.reduction, self.landscape = reduction, landscape

    def __call__(self, params: PyTree) -> Any:
        return self.reduction.project(self.landscape, params)


def _refused(
    name: str, reduction: Reduction, method: Method | Flow, orders: Any, steps: int
) -> None:
    try:
        simulate(reduction, method, orders, steps)
    except UserError as error:
        line = str(error)
        assert "\n" not in line, f"{name} is refused in more than one line: {line}"
        assert type(reduction).__name__ in line, f"{name} is refused without its name: {line}"
        return
    raise AssertionError(f"{name} is not listed as exact, but runs")


def _runs_by_default(
    reduction: Reduction, method: Method | Flow, orders: Any, steps: int, names: tuple[str, ...]
) -> None:
    """Nothing that is listed fails as it is called by default, or with its extremes watched."""
    simulate(reduction, method, orders, steps)
    if isinstance(method, Method):
        watched = simulate(reduction, method, orders, steps, extremes=names)
        assert all(f"least_{name}" in watched for name in names)


def _final(ended: Any, like: PyTree) -> PyTree:
    """The last parameters of a dataset, in the form of the starts."""
    leaves = [ended[name].values for name in ended.data_vars if str(name).startswith("final")]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _apart(one: Any, other: Any) -> float:
    """The largest difference of order parameters; on the plane a sign of `y` is nobody's affair."""
    pairs = zip(_sided(one), _sided(other), strict=True)
    gaps = [np.abs(a - b) / np.maximum(1.0, np.abs(a)) for a, b in pairs]
    return float(np.max(gaps)) if np.isfinite(gaps).all() else float("inf")


def _sided(order: Any) -> list[np.ndarray]:
    named = order._asdict()
    return [np.abs(value) if name == "y" else np.asarray(value) for name, value in named.items()]
