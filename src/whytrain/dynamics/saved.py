"""What is saved of runs over time: observables, at the times asked for."""

from collections.abc import Mapping

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, PyTree

from whytrain._computes import computes
from whytrain.dynamics import arguments, loop
from whytrain.dynamics.arguments import Observed
from whytrain.dynamics.batches import picked
from whytrain.dynamics.own import Landscapes
from whytrain.errors import UserError
from whytrain.landscapes import Landscape


class Observe:
    """All observables of a batch of parameters, compiled together."""

    def __init__(
        self, functions: Mapping[str, Observed], landscape: Landscape, starts: PyTree
    ) -> None:
        self.functions, self.landscape = dict(functions), landscape
        self.computes = b""
        if functions:
            self.computes = computes(_numbers, self.functions, landscape, picked(starts, 0))

    def __call__(self, params: PyTree, own: PyTree = None) -> dict[str, Array]:
        """The observables of all runs, at their parameters."""
        scapes = Landscapes(self.landscape, own, self.computes)
        return _observed(self.functions, scapes, params)


class Saved:
    """The observables of a block at the times asked for."""

    def __init__(self, observe: Observe, times: np.ndarray, own: PyTree = None) -> None:
        self.observe, self.own, self.times = observe, own, set(np.asarray(times).tolist())
        self.rows: dict[str, list[np.ndarray]] = {name: [] for name in observe.functions}
        self.count = len(times)

    def wants(self, time: float) -> bool:
        """Whether something is saved at a time."""
        return time in self.times and bool(self.rows)

    def record(self, params: PyTree, going: Bool[np.ndarray, "time run"]) -> None:
        """Keep the observables of one time or more, NaN for runs that have stopped.

        Args:
            params: Parameters with a leading axis of times x runs.
            going: Which runs still went on.
        """
        for name, values in self.observe(params, self.own).items():
            numbers = np.asarray(values, dtype=np.float64)
            if numbers.size != going.size:
                raise UserError(
                    f"observable {name!r} must be one number, got shape {numbers.shape[1:]}"
                )
            numbers = numbers.reshape(going.shape)
            self.rows[name] += list(np.where(going, numbers, np.nan))

    def values(self, runs: int) -> dict[str, np.ndarray]:
        """One array (run, time) an observable; NaN after the last run has stopped."""
        out = {}
        for name, rows in self.rows.items():
            rows = rows + [np.full(runs, np.nan)] * (self.count - len(rows))
            out[name] = np.stack(rows, axis=1)
        return out


@eqx.filter_jit
def _observed(
    functions: dict[str, Observed], landscapes: Landscapes, params: PyTree
) -> dict[str, Array]:
    def one(params: PyTree, own: PyTree) -> dict[str, Array]:
        return _numbers(functions, landscapes.of(own), params)

    return loop.each(one)(params, landscapes.own)


def _numbers(
    functions: dict[str, Observed], landscape: Landscape, params: PyTree
) -> dict[str, Array]:
    known = arguments.numbers_of(landscape)
    return {name: (f or known[name])(params) for name, f in functions.items()}
