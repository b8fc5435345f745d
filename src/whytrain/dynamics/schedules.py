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
        UserError: A step size is not a finite number >= 0, or `steps` is no whole number >= 0.

    Example:
        >>> schedule = warm_up(0.25, 1.0, steps=10)
        >>> float(schedule(9)), float(schedule(10))
        (0.25, 1.0)
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
        raise UserError(f"steps of a warm-up must be a whole number, 0 or more, got {steps!r}")
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


def extent(schedule: Schedule | Float[Numeric, ""], steps: int) -> tuple[float, float]:
    """The smallest and the largest of the first `steps` step sizes.

    Those of an unknown schedule are all looked at.

    Example:
        >>> extent(warm_up(0.25, 1.0, steps=10), 10), extent(warm_up(0.25, 1.0, steps=10), 11)
        ((0.25, 0.25), (0.25, 1.0))
    """
    if isinstance(schedule, WarmUp):
        early, late = int(schedule.steps), steps - int(schedule.steps)
        stages = ((schedule.first, early), (schedule.second, late))
        sizes = [float(size) for size, taken in stages if taken > 0]
    elif isinstance(schedule, Constant) or not callable(schedule):
        sizes = [float(table(schedule, 0, 1)[0])]
    else:
        windows = (
            table(schedule, first, min(first + _WINDOW, steps))
            for first in range(0, steps, _WINDOW)
        )
        sizes = [float(of(window)) for window in windows for of in (np.min, np.max)]
    return min(sizes), max(sizes)


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
