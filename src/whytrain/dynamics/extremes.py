"""Watching numbers at every step of a run: their least value, and their largest rise."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from whytrain.dynamics.methods import Method, State
from whytrain.errors import UserError, nearest
from whytrain.landscapes import Landscape


class _Watch(NamedTuple):
    inner: PyTree  # the memory of the method itself
    last: Float[Array, "*run watched"]
    least: Float[Array, "*run watched"]
    rise: Float[Array, "*run watched"]


class WithExtremes(eqx.Module):
    """A method whose memory also holds the extremes of some observables of the landscape."""

    method: Method
    names: tuple[str, ...] = eqx.field(static=True, default=())

    @classmethod
    def of(cls, landscape: Landscape, method: Method, names: Sequence[str]) -> "WithExtremes":
        """The method, and what to watch.

        Raises:
            UserError: The landscape has no observable of that name.
        """
        known = landscape.observables()
        for name in names:
            if name not in known:
                hint = nearest(name, known) or f"; known: {', '.join(sorted(known))}"
                raise UserError(f"extreme {name!r} is not an observable of the landscape{hint}")
        return cls(method, tuple(names))

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The method's own state, and the first values."""
        state = self.method.init(landscape, params)
        now = self._values(landscape, params)
        return State(state.params, _Watch(state.memory, now, now, jnp.zeros_like(now)))

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step of the method, and what it did to the extremes."""
        watch: _Watch = state.memory
        moved = self.method.step(landscape, State(state.params, watch.inner), step, key)
        now = self._values(landscape, moved.params)
        least, rise = jnp.minimum(watch.least, now), jnp.maximum(watch.rise, now - watch.last)
        return State(moved.params, _Watch(moved.memory, now, least, rise))

    def extremes(self, state: State) -> dict[str, np.ndarray]:
        """The extremes of a batch of runs, by name."""
        watch: _Watch = state.memory
        return {
            f"{word}_{name}": np.asarray(values[:, i])
            for word, values in (("least", watch.least), ("rise", watch.rise))
            for i, name in enumerate(self.names)
        }

    def _values(self, landscape: Landscape, params: PyTree) -> Float[Array, " watched"]:
        known: dict[str, Callable] = dict(landscape.observables())
        values = [jnp.asarray(known[name](params), float) for name in self.names]
        return jnp.stack(values) if values else jnp.zeros(0)
