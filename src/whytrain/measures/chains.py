"""The stages that a value has gone through on its way from the inputs, however a model is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.errors import UserError
from whytrain.measures.stages import ACTIVATIONS, Activation, Reshape, Residual, Scale

_GRID = np.concatenate([np.linspace(-8, 8, 161), np.linspace(-0.9, 0.9, 19)])
_FAR = np.array([-100.0, -50.0, -20.0, 20.0, 50.0, 100.0])  # where numbers may be cut off
_WHOLE = 1e-6  # off, and a factor is meant to be a whole number
_SAME = 3e-5  # of functions, whose constants may have been rounded to float32


@dataclass(frozen=True, eq=False)
class Chain:
    """A value that depends on the inputs.

    Attributes:
        stages: All that was done to the inputs.
        shape: Of one example, as the last stage leaves it.
    """

    stages: tuple
    shape: tuple[int, ...]

    def then(self, stage: Any, shape: Sequence[int] | None = None) -> "Chain":
        """One stage more."""
        return Chain((*self.stages, stage), tuple(self.shape if shape is None else shape))

    def shaped(self, shape: Sequence[int]) -> "Chain":
        """The same numbers in another shape."""
        shape = tuple(int(n) for n in shape)
        return self if shape == self.shape else self.then(Reshape(shape), shape)

    def scaled(self, factor: Any, shift: Any) -> "Chain":
        """`factor x + shift`; nothing where that is `x`."""
        factor, shift = (
            np.broadcast_to(np.asarray(one, np.float64), self.shape) for one in (factor, shift)
        )
        if (factor == 1).all() and not shift.any():
            return self
        return self.then(Scale(factor, shift))


def added(one: Chain, other: Chain) -> Chain:
    """The sum of two values: a skip, from where both have come the same way."""
    common = 0
    for a, b in zip(one.stages, other.stages, strict=False):
        if a is not b:
            break
        common += 1
    body, shortcut = one.stages[common:], other.stages[common:]
    if len(body) < len(shortcut):
        body, shortcut = shortcut, body
    return Chain((*one.stages[:common], Residual(body, shortcut)), one.shape)


def recognized(function: Callable[[np.ndarray], Any]) -> tuple[float, float, Activation] | None:
    """The activation that a function of a number is, `a f(x) + b`; None if it is none known.

    Example:
        >>> recognized(lambda x: 0.5 * np.maximum(x, 0.1 * x))
        (0.5, 0.0, Activation(name='leaky_relu', slope=0.1))
    """
    grid = np.concatenate([_GRID, _FAR])
    values = np.asarray(function(grid), np.float64)
    if not np.isfinite(values).all():
        return None
    if np.ptp(values) == 0:  # such as a branch that starts with the factor 0
        return 0.0, float(values[0]), Activation("identity")
    near = slice(len(_GRID))
    at = {x: float(np.asarray(function(np.array([x])), np.float64)[0]) for x in (-1.0, 0.0, 1.0)}
    for found in _candidates(at):
        with jax.enable_x64(True):
            shape = np.asarray(found(jnp.asarray(grid)), np.float64)
        design = np.stack([shape, np.ones_like(shape)], axis=1)
        if found.homogeneous:  # fixed at 0 and 1, so that no least squares rounds it
            a, b = at[1.0] - at[0.0], at[0.0]
        else:
            a, b = (float(one) for one in np.linalg.lstsq(design[near], values[near])[0])
        a, b = (
            float(np.round(one)) if abs(one - np.round(one)) < _WHOLE else one for one in (a, b)
        )
        size = np.maximum(np.abs(values[near]).max(), np.abs(values))
        if a and (np.abs(a * shape + b - values) <= _SAME * size).all():
            return a, b, found
    return None


def _whole(number: float) -> float:
    near = float(np.round(number))
    return near if abs(number - near) < _WHOLE else number


def _candidates(at: dict[float, float]) -> list[Activation]:
    rise = at[1.0] - at[0.0]
    fall = at[0.0] - at[-1.0]
    alpha = float(f"{fall / rise:.7g}") if rise else 1.0
    found = [Activation("identity"), Activation("relu"), Activation("leaky_relu", alpha)]
    elu = float(f"{fall / rise / (1 - np.exp(-1.0)):.6g}") if rise else 1.0
    found += [Activation(name) for name in ACTIVATIONS if name not in ("identity", "relu")]
    return [*found, Activation("elu", elu)]


def no_place(what: Any) -> UserError:
    """Refuse an operation by its name."""
    what = " ".join(str(what).split())[:200]
    return UserError(
        f"the model has {what}, which is not measured: a network is made of dense layers, "
        "two-dimensional convolutions, known activations, batch normalization in evaluation mode, "
        "pooling, changes of shape, and sums of two branches"
    )
