"""Ending a run where a number has fallen far enough."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from whytrain._types import Numeric
from whytrain.dynamics.arguments import numbers_of
from whytrain.dynamics.methods import State
from whytrain.landscapes import Landscape

STOPPED = 100  # in place of an outcome, until the run is classified by where it is


class _Stop(NamedTuple):
    inner: PyTree  # the memory of the method itself
    stopped: Bool[Array, "*run"]
    steps: Int[Array, "*run"]


class WithStop(eqx.Module):
    """A method that stands still from the first point on at which a number is low enough.

    The numbers are those of the point from which a step would go, so that a gradient that the step
    needs too is computed once.
    """

    method: Any  # a Method, or one that watches extremes
    names: tuple[str, ...] = eqx.field(static=True)
    lowest: Float[Numeric, " name"]

    @classmethod
    def of(cls, method: Any, stop: Mapping[str, float]) -> Any:
        """The method, which ends where told; itself where nothing is."""
        if not stop:
            return method
        return cls(method, tuple(stop), np.array([float(value) for value in stop.values()]))

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The method's own state; no run has stopped."""
        state = self.method.init(landscape, params)
        return State(state.params, _Stop(state.memory, jnp.zeros((), bool), jnp.zeros((), int)))

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step of the method, unless the run has stopped, or stops here."""
        stop: _Stop = state.memory
        now = State(state.params, stop.inner)
        known = numbers_of(landscape)
        low = [known[name](now.params) <= self.lowest[i] for i, name in enumerate(self.names)]
        stopped = stop.stopped | jnp.any(jnp.stack(low))
        moved = self.method.step(landscape, now, step, key)
        params, inner = jax.tree.map(lambda new, old: jnp.where(stopped, old, new), moved, now)
        steps = jnp.where(stopped, stop.steps, step + 1)
        return State(params, _Stop(inner, stopped, steps.astype(stop.steps.dtype)))


def has_stopped(state: State) -> Bool[Array, " run"] | bool:
    """Which of a batch of runs have stopped; none where none may."""
    return state.memory.stopped if isinstance(state.memory, _Stop) else False


def inner_state(state: State) -> State:
    """The state of the method itself."""
    if isinstance(state.memory, _Stop):
        return State(state.params, state.memory.inner)
    return state


def stopped(state: State) -> tuple[np.ndarray, np.ndarray] | None:
    """Which of a batch of runs have stopped, and after how many steps; None if none may."""
    if not isinstance(state.memory, _Stop):
        return None
    return np.asarray(state.memory.stopped), np.asarray(state.memory.steps)
