"""A landscape in a few numbers, and the methods under which these are enough."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from whytrain.errors import UserError
from whytrain.landscapes.classify import NEAR
from whytrain.landscapes.landscape import Landscape, Params
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.rule import Rule, first_owner
from whytrain.landscapes.weights import Weights


class Reduction(Landscape):
    """A landscape in order parameters: numbers of which a method's next ones are a function.

    That is a statement about a pair. The same numbers that close under one method do not under
    another: a step written in them is then another dynamics. A reduction therefore lists the rules
    under which it is exact, and `simulate` refuses every other method. Whether the list is true,
    `whytrain.testing.check_reduction` finds out.

    A subclass has `parameters`, `exact_under`, `loss`, `project`, and for each rule of the list the
    function that the rule names (`plain_step` for `GradientDescent`, and so on). It may bring a
    `proof` and a `vector_step`.

    Attributes:
        parameters: The named tuple of its order parameters.
        exact_under: The rules under which it is exact. A subclass that moves in another way than
            the class from which it has the list has to list its rules anew.
    """

    parameters: ClassVar[type]  # pyright: ignore[reportIncompatibleVariableOverride]
    exact_under: ClassVar[tuple[Rule, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        listed = first_owner(cls, "exact_under")
        if any(first_owner(cls, rule.move) < listed for rule in cls.exact_under):
            cls.exact_under = ()

    @abc.abstractmethod
    def project(self, landscape: Any, params: Params) -> Any:
        """The order parameters of a point of the whole landscape."""

    def advance(self, rule: Rule, params: Any, step_sizes: Any) -> Any:
        """The order parameters after one step of a rule; their velocity, for a flow.

        Raises:
            UserError: The reduction is not exact under the rule.
        """
        if rule not in self.exact_under:
            raise UserError(self.not_exact_under(rule.name))
        return super().advance(rule, params, step_sizes)

    def plain_velocity(self, params: Any, rates: Any) -> Any:
        """The limit of small plain steps: the derivative of `plain_step` by its size, at zero."""
        return _limit(self.plain_step, params, rates)

    def normalized_velocity(self, params: Any, rates: Any) -> Any:
        """The limit of small normalized steps: the derivative of `normalized_step` at zero."""
        return _limit(self.normalized_step, params, rates)

    def grad(self, params: Any) -> Any:
        """Not offered: the gradient of the loss by order parameters is no direction of descent.

        Raises:
            UserError: Always.
        """
        del params
        raise UserError(
            f"{type(self).__name__} has no gradient: descent moves the network's parameters, and "
            f"the order parameters follow; it moves under {self._exact_under()}, for anything else "
            "run the whole landscape"
        )

    def outcome(self, params: Any) -> Int[np.ndarray, " run"]:
        """Which of the known critical points each of a batch of runs is at, to 1 % of its scale.

        A reduction has no gradient to look at: where no point is known runs are undecided, unless
        they are no longer finite.
        """
        rows = np.stack([np.asarray(leaf, np.float64) for leaf in params], axis=1)
        codes = np.full(len(rows), int(Outcome.UNDECIDED))
        for point in self.critical_points():
            place = np.array([float(leaf) for leaf in point.params])
            scale = max(1.0, float(np.linalg.norm(place)))
            near = np.linalg.norm(rows - place, axis=1) < NEAR * scale
            codes[near] = Outcome[point.kind.upper()]
        finite = np.isfinite(rows).all(axis=1)
        return np.where(finite, codes, int(Outcome.DIVERGED)).astype(np.int8)

    def vector_step(
        self, rule: Rule, largest: Weights, extremes: Sequence[str]
    ) -> "VectorStep | None":
        """The step for many runs at once, if there is one for this rule. Default: there is none.

        Args:
            rule: One of `exact_under`.
            largest: The largest step sizes of the run.
            extremes: Observables to watch at every step.
        """
        del rule, largest, extremes
        return None

    def not_exact_under(self, method: str) -> str:
        """What is wrong with a method, and what to do, in one line."""
        return (
            f"{type(self).__name__} is not exact under {method}: its order parameters close under "
            f"{self._exact_under()} only; take that, or run the whole landscape, from starts in "
            "all of its parameters"
        )

    def _exact_under(self) -> str:
        return " and ".join(rule.name for rule in self.exact_under) or "no method"


@dataclass(frozen=True)
class VectorStep:
    """A reduction's step as the compiled loop takes it.

    Attributes:
        kernel: Gives the `Kernel`; Numba is imported when it is called.
        constants: What the kernel has to know of the landscape.
        certificate: What it has to know for a proof of where a run ends.
        proves: Whether it has proofs.
        watched: First values of the kernel's rows after the order parameters.
        extremes: Gives, from the last order parameters and those rows, the extremes by name.
    """

    kernel: Callable[[], Any]
    constants: tuple[float, ...]
    certificate: tuple[float, ...] = ()
    proves: bool = False
    watched: tuple[float, ...] = ()
    extremes: Callable[[Any, Any], Mapping[str, Any]] = lambda _order, _rows: {}


def _limit(step: Callable[[Any, Any], Any], params: Any, rates: Any) -> Any:
    """The derivative of `step(params, h * rates)` by `h` at zero."""
    scaled = lambda h: step(params, jax.tree.map(lambda rate: h * rate, rates))  # noqa: E731
    return jax.jvp(scaled, (jnp.zeros(()),), (jnp.ones(()),))[1]


def pair(sizes: Any) -> Weights:
    """Step sizes of filter and output; one number serves for both.

    Raises:
        UserError: They are neither a number, a schedule, nor two of them.

    Example:
        >>> pair(0.1)
        Weights(filter=0.1, output=0.1)
    """
    if isinstance(sizes, tuple) and len(sizes) == 2:
        return Weights(*sizes)
    if isinstance(sizes, tuple | list | dict):
        raise UserError(
            f"step sizes of a reduction must be one, or Weights(filter=..., output=...), got a "
            f"{type(sizes).__name__} of {len(sizes)}"
        )
    return Weights(sizes, sizes)
