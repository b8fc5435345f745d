"""Ending a run where a number has fallen far enough, or where a function says so."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int8, PyTree

from whytrain._types import Numeric
from whytrain.dynamics.arguments import numbers_of
from whytrain.dynamics.methods import State
from whytrain.landscapes import Landscape

Stop = Mapping[str, Any]  # by name: a value, or a function of the parameters that says whether

STOPPED = 100  # in place of an outcome, until the run is classified by where it is


class _Stop(NamedTuple):
    inner: PyTree  # the memory of the method itself
    reason: Int8[Array, "*run"]  # the place in `stop` of what ended the run, from 1 on, or 0
    steps: Int[Array, "*run"]


class WithStop(eqx.Module):
    """A method that stands still from the first point on at which a condition holds.

    The numbers are those of the point from which a step would go, so that a gradient that the step
    needs too is computed once.
    """

    method: Any  # a Method, or one that watches extremes
    names: tuple[str, ...] = eqx.field(static=True)
    functions: tuple[Callable | None, ...] = eqx.field(static=True)  # None: a number by its name
    lowest: Float[Numeric, " name"]

    @classmethod
    def of(cls, method: Any, stop: Stop) -> Any:
        """The method, which ends where told; itself where nothing is."""
        if not stop:
            return method
        functions = tuple(each if callable(each) else None for each in stop.values())
        lowest = np.array([0.0 if callable(each) else float(each) for each in stop.values()])
        return cls(method, tuple(stop), functions, lowest)

    def reason(self, landscape: Landscape, params: PyTree) -> Int8[Array, ""]:
        """The place of the first condition that holds, from 1 on; 0 if none does."""
        known = numbers_of(landscape)
        holds = jnp.stack([
            known[name](params) <= self.lowest[place] if function is None else function(params)
            for place, (name, function) in enumerate(zip(self.names, self.functions, strict=True))
        ])  # fmt: skip
        return jnp.where(jnp.any(holds), 1 + jnp.argmax(holds), 0).astype(jnp.int8)

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The method's own state; no run has stopped."""
        state = self.method.init(landscape, params)
        return State(state.params, _Stop(state.memory, jnp.int8(0), jnp.zeros((), int)))

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step of the method, unless the run has stopped, or stops here."""
        stop: _Stop = state.memory
        now = State(state.params, stop.inner)
        reason = jnp.where(stop.reason, stop.reason, self.reason(landscape, now.params))
        stopped = reason > 0
        moved = self.method.step(landscape, now, step, key)
        params, inner = jax.tree.map(lambda new, old: jnp.where(stopped, old, new), moved, now)
        steps = jnp.where(stopped, stop.steps, step + 1)
        return State(params, _Stop(inner, reason, steps.astype(stop.steps.dtype)))


def has_stopped(state: State) -> Bool[Array, " run"] | None:
    """Which of a batch of runs have stopped; None if none may."""
    return state.memory.reason > 0 if isinstance(state.memory, _Stop) else None


def inner_state(state: State) -> State:
    """The state of the method itself."""
    if isinstance(state.memory, _Stop):
        return State(state.params, state.memory.inner)
    return state


def stopped(state: State) -> tuple[np.ndarray, np.ndarray] | None:
    """Why each of a batch of runs has stopped, and after how many steps; None if none may."""
    if not isinstance(state.memory, _Stop):
        return None
    return np.asarray(state.memory.reason), np.asarray(state.memory.steps)
