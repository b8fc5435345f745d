"""What every landscape offers: loss, gradient, the manifold it lives on, critical points."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from whytrain._computes import computes
from whytrain.errors import UserError
from whytrain.landscapes.classify import classify
from whytrain.landscapes.rule import Rule

Params = PyTree[Any]
Kind = Literal["global", "spurious", "saddle"]


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes, and what it is.

    Attributes:
        kind: `global` or `spurious` minimum, or `saddle`.
        params: Where it is.
        loss: The loss there.
        degenerate: A direction in which the second derivative vanishes, or None. Curvature alone
            says nothing about such a point.
        cubic: Third-order coefficient of the loss in that direction: the loss grows by
            `cubic * distance^3`.
    """

    kind: Kind
    params: Params
    loss: float
    degenerate: Params | None = None
    cubic: float = 0.0


class Landscape(eqx.Module):
    """A loss over parameters. A subclass needs `loss`; all else has a default that it can sharpen.

    Parameters are any pytree of arrays. Functions are pure and take one parameter point; batches go
    through `jax.vmap`. They compute in the precision of their arguments; `simulate` runs them in
    float64.

    Attributes:
        lowest: The loss of a global minimum, a class attribute that a subclass sets: without
            critical points, minima far below it are undecided.
        parameters: The named tuple of its parameters, another one; None where they may be any
            pytree.

    Example:
        >>> class Bowl(Landscape):
        ...     def loss(self, params):
        ...         return 0.5 * params**2
        >>> float(Bowl().grad(3.0))
        3.0
    """

    lowest: ClassVar[float] = 0.0
    parameters: ClassVar[type | None] = None

    @abc.abstractmethod
    def loss(self, params: Params) -> Float[Array, ""]:
        """The loss that is minimized."""

    def grad(self, params: Params) -> Params:
        """The gradient of `loss`. Default: autodiff."""
        return jax.grad(self.loss)(params)

    def tangent(self, params: Params, vector: Params) -> Params:
        """The part of `vector` tangent to the manifold at `params`. Default: all of it."""
        del params
        return vector

    def retract(self, params: Params) -> Params:
        """The point of the manifold that `params` is moved back to. Default: itself."""
        return params

    def plain_step(self, params: Params, step_sizes: Params) -> Params:
        """One step of gradient descent, `params - step_sizes * grad(params)`."""
        return _minus(params, step_sizes, self.grad(params))

    def normalized_step(self, params: Params, step_sizes: Params) -> Params:
        """One step along the manifold, `retract(params - step_sizes * tangent(grad(params)))`."""
        slope = self.tangent(params, self.grad(params))
        return self.retract(_minus(params, step_sizes, slope))

    def plain_velocity(self, params: Params, rates: Params) -> Params:
        """The limit of small plain steps, `-rates * grad(params)`."""
        return _minus(_zero(params), rates, self.grad(params))

    def normalized_velocity(self, params: Params, rates: Params) -> Params:
        """The limit of small steps along the manifold, `-rates * tangent(params, grad(params))`."""
        slope = self.tangent(params, self.grad(params))
        return _minus(_zero(params), rates, slope)

    def advance(self, rule: Rule, params: Params, step_sizes: Params) -> Params:
        """The parameters after one step of a rule; their velocity, for a flow."""
        return getattr(self, rule.move)(params, step_sizes)

    def sample(self, key: Array, n: int) -> PyTree:
        """`n` inputs from the distribution that the loss averages over.

        Optional: a landscape given by its loss alone has no inputs. Sampling methods need it.

        Raises:
            UserError: The landscape has no data behind it.
        """
        raise UserError(
            f"{type(self).__name__} has no inputs to draw; define sample(key, n), or take a method "
            "that uses the loss alone"
        )

    def empirical_loss(self, params: Params, batch: PyTree) -> Float[Array, ""]:
        """The loss averaged over a batch instead of the population.

        Optional, as `sample` is.

        Raises:
            UserError: The landscape has no data behind it.
        """
        raise UserError(
            f"{type(self).__name__} has no loss over a batch; define empirical_loss(params, "
            "batch), or take a method that uses the loss alone"
        )

    def empirical_grad(self, params: Params, batch: PyTree) -> Params:
        """The gradient that training on a batch uses. Default: autodiff of `empirical_loss`."""
        return jax.grad(self.empirical_loss)(params, batch)

    def proof(self, rule: Rule, largest: Params) -> Callable[[Params], Int[Array, ""]] | None:
        """What is proved of where runs end, if anything. Default: nothing.

        `simulate` stops runs early on it.

        Args:
            rule: The kind of update by which the runs move.
            largest: The largest step sizes that they will take.

        Returns:
            A function of the parameters that gives the number of the `Outcome` at which a run from
            there is proved to end, or 0; written with `jax.numpy`.
        """
        del rule, largest
        return None

    def stable(self, rule: Rule, step_sizes: Params) -> bool:
        """Whether a rule's linearized update at the global minimum contracts. Default: True."""
        del rule, step_sizes
        return True

    def outcome(self, params: Params) -> Int[np.ndarray, " run"]:
        """Which critical point each of a batch of runs has come to, as numbers of `Outcome`.

        Default: `whytrain.landscapes.classify`.
        """
        return classify(self, params)

    def checksum(self, params: Params) -> bytes:
        """A checksum of what it computes now at such parameters: see `whytrain._computes`."""
        return computes(_moves, self, params)

    def observables(self) -> Mapping[str, Callable[[Params], Float[Array, ""]]]:
        """Numbers worth saving of a run, by name. Default: the loss."""
        return {"loss": self.loss}

    def critical_points(self) -> Sequence[CriticalPoint]:
        """The known critical points; an empty sequence says that none is known."""
        return ()


def _moves(landscape: Landscape, params: Params) -> PyTree:
    slope = landscape.grad(params)
    return landscape.retract(landscape.tangent(params, slope)), landscape.loss(params)


def _zero(params: Params) -> Params:
    return jax.tree.map(lambda leaf: leaf * 0, params)


def _minus(params: Params, step_sizes: Params, slope: Params) -> Params:
    """`params - step_sizes * slope`, with one step size for all or a pytree prefix of them."""
    return jax.tree.map(
        lambda size, point, direction: jax.tree.map(
            lambda p, d: p - size * d, point, direction
        ),
        step_sizes, params, slope,
    )  # fmt: skip


def at_each(method: Callable, *batch: Any) -> Any:
    """What a landscape's method gives at each of a batch of points, in float64.

    One program: operation by operation, each would be compiled by itself. (A lambda in place of a
    method would be compiled again at every call.)
    """
    with jax.enable_x64(True):
        now = computes(lambda method, *each: jax.vmap(method)(*each), method, *batch)
        return jax.tree.map(np.asarray, _mapped(method, batch, now))


@eqx.filter_jit
def _mapped(method: Callable, batch: tuple, computes: bytes) -> Any:
    del computes  # a program is of it
    return jax.vmap(method)(*batch)
