"""The update rules: each has `init(landscape, params)` and `step(landscape, state, step, key)`."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from whytrain._types import Numeric
from whytrain.dynamics.schedules import Schedule
from whytrain.errors import UserError
from whytrain.landscapes import Landscape

StepSize = PyTree[Schedule | Float[Numeric, ""]]


class State(NamedTuple):
    """What the next step needs: the parameters, and whatever the method remembers."""

    params: PyTree
    memory: Any = ()


class Method(eqx.Module):
    """An update rule. A subclass gives `step`, and `init` if it remembers anything.

    Example:
        Sign descent, in three lines::

            class SignDescent(Method):
                step_size: float

                def step(self, landscape, state, step, key):
                    move = lambda p, g: p - self.step_size * jnp.sign(g)
                    grad = landscape.grad(state.params)
                    return State(jax.tree.map(move, state.params, grad))
    """

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The state before the first step."""
        del landscape
        return State(params)

    @abc.abstractmethod
    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """The state after one step; `step` counts from 0, `key` is this run's and step's own."""


def sizes_at(step_size: StepSize, step: Int[Array, ""]) -> PyTree:
    """The step sizes at one step: one number, or one for each block of the parameters."""
    return jax.tree.map(
        lambda size: size(step) if callable(size) else size, step_size, is_leaf=callable
    )


class GradientDescent(Method):
    """`params <- params - step_size * grad(params)`.

    Args:
        step_size: A number, a schedule, or a pytree prefix of the parameters with either.

    Example:
        >>> GradientDescent(0.1).step_size
        0.1
    """

    step_size: StepSize

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One plain step."""
        del key
        return State(landscape.plain_step(state.params, sizes_at(self.step_size, step)))


class NormalizedGradientDescent(Method):
    """`params <- retract(params - step_size * tangent(grad(params)))`: descent on the manifold.

    For a `SharedFilter` the filter goes back to length one after every step (Du et al. 2018, Liu
    et al. 2019). Every block moves from the old point.

    Args:
        step_size: A number, a schedule, or `Weights(filter=..., output=...)` with either in each.
    """

    step_size: StepSize

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step along the manifold."""
        del key
        return State(landscape.normalized_step(state.params, sizes_at(self.step_size, step)))


class StochasticGradientDescent(Method):
    """Gradient descent on `batch` fresh samples of the landscape at every step.

    Args:
        step_size: As for `GradientDescent`.
        batch: Samples a step.
        normalized: Move along the manifold and retract, as `NormalizedGradientDescent` does.
    """

    step_size: StepSize
    batch: int = eqx.field(static=True)
    normalized: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if self.batch < 1:
            raise UserError(f"batch must be 1 or more samples, got {self.batch}")

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step on a fresh batch."""
        params = state.params
        slope = landscape.empirical_grad(params, landscape.sample(key, self.batch))
        if self.normalized:
            slope = landscape.tangent(params, slope)
        sizes = sizes_at(self.step_size, step)
        moved = jax.tree.map(
            lambda size, p, g: jax.tree.map(lambda x, y: x - size * y, p, g), sizes, params, slope
        )
        return State(landscape.retract(moved) if self.normalized else moved)


class OptaxMethod(Method):
    """Any Optax gradient transformation, on the landscape's gradient.

    Args:
        transformation: For example `optax.adam(1e-2)`, with any Optax schedule in it.
        normalized: Give it the tangent gradient, and retract after every step.

    Example:
        >>> OptaxMethod(optax.sgd(0.1, momentum=0.9)).normalized
        False
    """

    transformation: optax.GradientTransformation
    normalized: bool = eqx.field(static=True, default=False)

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The parameters and the transformation's own state."""
        del landscape
        return State(params, self.transformation.init(params))

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One update of the transformation."""
        del step, key
        slope = landscape.grad(state.params)
        if self.normalized:
            slope = landscape.tangent(state.params, slope)
        updates, memory = self.transformation.update(slope, state.memory, state.params)
        params = jax.tree.map(jnp.asarray, optax.apply_updates(state.params, updates))
        return State(landscape.retract(params) if self.normalized else params, memory)


class GradientFlow(eqx.Module):
    """The small-step limit `d params / d time = -rates * tangent(grad(params))`.

    Solved by Diffrax with the stiff, fifth-order `Kvaerno5` and an adaptive step. Time is counted
    in units of step size times steps: gradient descent with step size `eta` is near the flow at
    time `eta * steps`.

    Args:
        rates: A number, or a pytree prefix of the parameters; the ratio of step sizes.
        tolerance: Relative and absolute tolerance of the solver.
    """

    rates: PyTree = 1.0
    tolerance: float = 1e-9
