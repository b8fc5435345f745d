"""Step sizes over time. A schedule is a function of the step number, as in Optax."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from whytrain._computes import computes
from whytrain._types import Numeric
from whytrain.errors import UserError

Schedule = Callable[[Int[Numeric, ""]], Float[Array, ""]]


class Constant(eqx.Module):
    """The same step size always."""

    value: Float[Numeric, ""]

    def __call__(self, step: Int[Numeric, "*n"]) -> Float[Array, "*n"]:
        """The step size at `step`."""
        return jnp.broadcast_to(jnp.asarray(self.value), jnp.shape(step))


class WarmUp(eqx.Module):
    """A first step size for `steps` steps, then a second one."""

    first: Float[Numeric, ""]
    second: Float[Numeric, ""]
    steps: Int[Numeric, ""]

    def __call__(self, step: Int[Numeric, "*n"]) -> Float[Array, "*n"]:
        """The step size at `step`."""
        return jnp.where(jnp.asarray(step) < self.steps, self.first, self.second)


def constant(value: float) -> Constant:
    """The schedule `value` at every step.

    Raises:
        UserError: `value` is not a finite number >= 0.

    Example:
        >>> float(constant(0.5)(7))
        0.5
    """
    return Constant(_size("value", value))


def warm_up(first: float, second: float, steps: int) -> WarmUp:
    """Two stages: `first` while `step < steps`, then `second` (Liu et al. 2019, Section 3).

    Raises:
        UserError: A step size is not a finite number >= 0, or `steps` is negative.

    Example:
        >>> schedule = warm_up(0.25, 1.0, steps=10)
        >>> float(schedule(9)), float(schedule(10))
        (0.25, 1.0)
    """
    if steps < 0:
        raise UserError(f"steps of a warm-up must be 0 or more, got {steps}")
    return WarmUp(_size("first", first), _size("second", second), np.int64(steps))


def table(
    schedule: Schedule | Float[Numeric, ""], start: int, stop: int
) -> Float[np.ndarray, " n"]:
    """The step sizes of steps `start, ..., stop - 1`, in float64."""
    if isinstance(schedule, WarmUp):
        early = np.arange(start, stop) < int(schedule.steps)
        return np.where(early, float(schedule.first), float(schedule.second))
    if isinstance(schedule, Constant):
        schedule = schedule.value
    if not callable(schedule):
        return np.full(stop - start, float(schedule))
    # In parts of one length: another length would be another compilation.
    starts = range(start, stop, _PART)
    with jax.enable_x64(True):
        now = computes(lambda schedule, step: schedule(step), schedule, jnp.asarray(start))
        parts = [np.asarray(_evaluate(schedule, jnp.asarray(first), now)) for first in starts]
    return np.concatenate(parts)[: stop - start].astype(np.float64)


def largest(schedule: Schedule | Float[Numeric, ""], steps: int) -> float:
    """The largest of the first `steps` step sizes; those of an unknown schedule are all looked at.

    Example:
        >>> largest(warm_up(0.25, 1.0, steps=10), 10), largest(warm_up(0.25, 1.0, steps=10), 11)
        (0.25, 1.0)
    """
    if isinstance(schedule, WarmUp):
        early, late = int(schedule.steps), steps - int(schedule.steps)
        stages = ((schedule.first, early), (schedule.second, late))
        return max(float(size) for size, taken in stages if taken > 0)
    if isinstance(schedule, Constant) or not callable(schedule):
        return float(table(schedule, 0, 1)[0])
    starts = range(0, steps, _WINDOW)
    return max(float(table(schedule, a, min(a + _WINDOW, steps)).max()) for a in starts)


_PART = 4096
_WINDOW = 1 << 16


@eqx.filter_jit
def _evaluate(schedule: Any, first: Int[Array, ""], computes: bytes) -> Float[Array, " n"]:
    del computes  # a program is of it
    return jax.vmap(schedule)(first + jnp.arange(_PART))


def _size(name: str, value: float) -> np.float64:
    if not np.isfinite(value) or value < 0:
        raise UserError(f"step size {name} must be a finite number >= 0, got {value}")
    return np.float64(value)
