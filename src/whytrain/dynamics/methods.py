"""The update rules: each has `init(landscape, params)` and `step(landscape, state, step, key)`."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from whytrain._lazy import later
from whytrain._types import Numeric
from whytrain.dynamics.gradients import Fresh, Full, Gradient, Moved, check_batch
from whytrain.dynamics.schedules import Schedule
from whytrain.errors import UserError
from whytrain.landscapes import Landscape
from whytrain.landscapes.rule import (
    DESCENT,
    FLOW,
    NORMALIZED_DESCENT,
    NORMALIZED_FLOW,
    Rule,
    first_owner,
)

if TYPE_CHECKING:
    import optax
else:
    optax = later("optax")

StepSize = PyTree[Schedule | Float[Numeric, ""]]


class State(NamedTuple):
    """What the next step needs: the parameters, and whatever the method remembers."""

    params: PyTree
    memory: Any = ()


class _Ruled(eqx.Module):
    """What may follow a rule that landscapes know.

    A class that moves in another way than the one from which it has its rule has none, unless it
    says so.
    """

    rule: ClassVar[Rule | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        stated = first_owner(cls, "rule")
        if any(first_owner(cls, name) < stated for name in ("init", "step", "velocity")):
            cls.rule = None


class Method(_Ruled):
    """An update rule. A subclass gives `step`, and `init` if it remembers anything.

    A method that does what one of `whytrain.landscapes.rule` says may name it as its `rule`, and
    give `step_sizes`: then reductions that are exact under the rule take it, and proofs and
    warnings about it hold. A subclass of a method that has a rule has none if it moves in its own
    way.

    Attributes:
        rule: The kind of update, a class attribute; None where no landscape need know.

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

    def step_sizes(self) -> StepSize | None:
        """The step sizes, or schedules, with which it follows its rule. Default: it has none."""
        return None

    @abc.abstractmethod
    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """The state after one step; `step` counts from 0, `key` is this run's and step's own."""


def sizes_at(step_size: StepSize, step: Int[Numeric, ""]) -> PyTree:
    """The step sizes at one step: one number, or one for each block of the parameters."""
    return jax.tree.map(
        lambda size: size(step) if callable(size) else size, step_size, is_leaf=callable
    )


class _Descent(Method):
    """Steps by a rule, which a subclass gives."""

    step_size: StepSize

    def __check_init__(self) -> None:
        check_sizes("step_size", self.step_size)

    def step_sizes(self) -> StepSize:
        """`step_size`."""
        return self.step_size

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step by the rule."""
        del key
        assert self.rule is not None
        return State(landscape.advance(self.rule, state.params, sizes_at(self.step_sizes(), step)))


class GradientDescent(_Descent):
    """`params <- params - step_size * grad(params)`.

    Args:
        step_size: A number, a schedule, or a pytree prefix of the parameters with either.

    Example:
        >>> GradientDescent(0.1).step_size
        0.1
    """

    rule: ClassVar[Rule | None] = DESCENT


class NormalizedGradientDescent(_Descent):
    """`params <- retract(params - step_size * tangent(grad(params)))`: descent on the manifold.

    For a `SharedFilter` the filter goes back to length one after every step (Du et al. 2018, Liu
    et al. 2019). Every block moves from the old point.

    Args:
        step_size: A number, a schedule, or `Weights(filter=..., output=...)` with either in each.
    """

    rule: ClassVar[Rule | None] = NORMALIZED_DESCENT


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
        check_sizes("step_size", self.step_size)
        check_batch(self.batch)

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One step on a fresh batch."""
        params = state.params
        slope, _ = Fresh(self.batch)(landscape, params, (), step, key)
        if self.normalized:
            slope = landscape.tangent(params, slope)
        sizes = sizes_at(self.step_size, step)
        moved = jax.tree.map(
            lambda size, p, g: jax.tree.map(lambda x, y: x - size * y, p, g), sizes, params, slope
        )
        return State(landscape.retract(moved) if self.normalized else moved)


class OptaxMethod(Method):
    """Any Optax gradient transformation, on the landscape's gradient or another one.

    A step has three parts: a gradient, what the transformation makes of it, and the way back to the
    landscape's manifold:

        params <- retract(params + transformation(tangent(gradient(params))))

    without tangent and retraction unless `normalized`.

    Args:
        transformation: For example `optax.adam(1e-2)`, with any Optax schedule in it;
            `optax.adamw(1e-3, weight_decay=1e-2)` for decoupled weight decay,
            `optax.chain(optax.add_decayed_weights(1e-2), optax.adam(1e-3))` for coupled (L2).
        normalized: Give it the tangent gradient, and retract after every step.
        gradient: Which gradient: `Full()`, `Fresh(batch)`, `Epochs(batch)`, `OverLoss()`, or a
            `Gradient` of your own.

    Example:
        >>> OptaxMethod(optax.sgd(0.1, momentum=0.9)).normalized
        False
    """

    transformation: "optax.GradientTransformation"
    normalized: bool = eqx.field(static=True, default=False)
    gradient: Gradient = Full()

    def __check_init__(self) -> None:
        if not isinstance(self.transformation, optax.GradientTransformation):
            raise UserError(
                "transformation must be an Optax gradient transformation such as optax.adam(1e-2), "
                f"got {self.transformation!r}"
            )
        if not isinstance(self.gradient, Gradient):
            raise UserError(
                f"gradient must be a Gradient such as Epochs(32), got {self.gradient!r}"
            )

    def init(self, landscape: Landscape, params: PyTree) -> State:
        """The parameters, and what gradient and transformation remember."""
        return State(params, Moved(self.gradient.init(landscape), self.transformation.init(params)))

    def step(self, landscape: Landscape, state: State, step: Int[Array, ""], key: Array) -> State:
        """One update of the transformation."""
        memory: Moved = state.memory
        slope, kept = self.gradient(landscape, state.params, memory.gradient, step, key)
        if self.normalized:
            slope = landscape.tangent(state.params, slope)
        updates, found = updated(self.transformation, slope, memory.transformation, state.params)
        params = jax.tree.map(jnp.asarray, optax.apply_updates(state.params, updates))
        moved = landscape.retract(params) if self.normalized else params
        return State(moved, Moved(kept, found))


def updated(
    transformation: "optax.GradientTransformation", slope: PyTree, memory: PyTree, params: PyTree
) -> tuple[PyTree, PyTree]:
    """What a transformation makes of a gradient, and what it remembers.

    Raises:
        UserError: It asks for more than the gradient.
    """
    try:
        return transformation.update(slope, memory, params)
    except TypeError as error:
        _, asks, names = str(error).partition("required keyword-only argument")
        if not asks:
            raise
        raise UserError(
            f"the transformation asks for {names.lstrip('s: ')} beside the gradient; take one that "
            "does not, such as optax.lbfgs(0.1, linesearch=None), or write a Method of your own "
            "whose step passes them"
        ) from error


class Flow(_Ruled):
    """The limit of small steps, a differential equation. A subclass gives `rule`, or `velocity`.

    Solved by Diffrax with the stiff, fifth-order `Kvaerno5` and an adaptive step. Time is counted
    in units of step size times steps: descent with step size `eta` is near its own flow at time
    `eta * steps`, and comes to it like `eta`.

    Attributes:
        rates: A number, or a pytree prefix of the parameters with numbers; the ratio of step sizes.
        tolerance: Relative and absolute tolerance of the solver.
    """

    rates: PyTree = 1.0
    tolerance: float = 1e-9

    def __check_init__(self) -> None:
        check_sizes("rates", self.rates, schedules=False)
        check_sizes("tolerance", self.tolerance, schedules=False)

    def step_sizes(self) -> PyTree:
        """`rates`."""
        return self.rates

    def velocity(self, landscape: Landscape, params: PyTree) -> PyTree:
        """`d params / d time`."""
        assert self.rule is not None
        return landscape.advance(self.rule, params, self.rates)


class GradientFlow(Flow):
    """`d params / d time = -rates * grad(params)`: the limit of `GradientDescent`.

    It moves in all of the parameters, whatever manifold the landscape has.

    Example:
        >>> from whytrain.dynamics import simulate
        >>> class Bowl(Landscape):
        ...     def loss(self, params):
        ...         return 0.5 * params**2
        >>> ended = simulate(Bowl(), GradientFlow(), np.array([1.0]), 1)
        >>> print(f"{ended.final.item() * np.e:.6f}")
        1.000000
    """

    rule: ClassVar[Rule | None] = FLOW


class NormalizedGradientFlow(Flow):
    """`d params / d time = -rates * tangent(grad(params))`: the limit of normalized descent.

    It stays on the landscape's manifold: for a `SharedFilter` the filter keeps its length.
    """

    rule: ClassVar[Rule | None] = NORMALIZED_FLOW


def check_sizes(name: str, sizes: Any, schedules: bool = True) -> None:
    """Refuse what can be neither a step size nor a pytree of them."""
    leaves = jax.tree.leaves(sizes, is_leaf=lambda leaf: leaf is None or callable(leaf))
    for leaf in leaves:
        number = isinstance(leaf, int | float | np.generic | np.ndarray | jax.Array)
        number = (
            number and np.ndim(leaf) == 0 and (isinstance(leaf, jax.Array) or np.isfinite(leaf))
        )
        if isinstance(leaf, bool) or not (number or (schedules and callable(leaf))):
            kinds = "a number or a schedule" if schedules else "a number"
            raise UserError(f"{name} must be {kinds}, or a pytree of them, got {leaf!r}")
    if not leaves:
        raise UserError(f"{name} must hold a number, got {sizes!r}")
