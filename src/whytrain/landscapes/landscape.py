"""What every landscape offers: loss, gradient, the manifold it lives on, critical points."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from whytrain.errors import UserError
from whytrain.landscapes.outcome import Outcome

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
        lowest: The loss of a global minimum, a class attribute that a subclass may set.

    Example:
        >>> class Bowl(Landscape):
        ...     def loss(self, params):
        ...         return 0.5 * params**2
        >>> float(Bowl().grad(jnp.array(3.0)))
        3.0
    """

    lowest: ClassVar[float] = 0.0

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

    def velocity(self, params: Params, rates: Params) -> Params:
        """The small-step limit, `-rates * tangent(params, grad(params))`."""
        slope = self.tangent(params, self.grad(params))
        return _minus(jax.tree.map(lambda leaf: leaf * 0, params), rates, slope)

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

    def verdict(self, params: Params, largest: Params) -> Int[Array, ""]:
        """Where a run at `params` is *proved* to end, as the number of an `Outcome`, or 0.

        `largest` holds the largest step sizes still to come. `simulate` stops runs early on this.
        """
        del params, largest
        return jnp.zeros((), dtype=int)

    def stable(self, step_sizes: Params) -> bool:
        """Whether the linearized update at the global minimum contracts. Default: True."""
        del step_sizes
        return True

    def outcome(self, params: Params) -> Int[np.ndarray, " run"]:
        """Which critical point each of a batch of runs has come to, as numbers of `Outcome`.

        Default: near a point of `critical_points` (1 % of its scale) with a gradient below 1e-3 of
        the gradient's scale there; where none is known, at a vanishing gradient (1e-6) the
        eigenvalues of the Hessian tell a saddle from a minimum, and a minimum is global where its
        loss is within 1e-6 of `lowest`.
        """
        return classify(self, params)

    def observables(self) -> Mapping[str, Callable[[Params], Float[Array, ""]]]:
        """Numbers worth saving of a run, by name. Default: the loss."""
        return {"loss": self.loss}

    def critical_points(self) -> Sequence[CriticalPoint]:
        """The known critical points; an empty sequence says that none is known."""
        return ()


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
        return jax.tree.map(np.asarray, _mapped(method, batch))


@eqx.filter_jit
def _mapped(method: Callable, batch: tuple) -> Any:
    return jax.vmap(method)(*batch)


def classify(landscape: Landscape, params: Params) -> Int[np.ndarray, " run"]:
    """The default of `Landscape.outcome`, for a batch of parameters."""
    points = landscape.critical_points()
    flat, slope = (np.asarray(leaf) for leaf in _flat_and_slope(landscape, params))
    finite = np.isfinite(flat).all(axis=1)
    size = np.linalg.norm(slope, axis=1)
    codes = np.full(finite.shape, int(Outcome.UNDECIDED))
    if points:
        for point in points:
            place = np.asarray(jax.flatten_util.ravel_pytree(point.params)[0])
            scale = max(1.0, float(np.linalg.norm(place)))
            near = np.linalg.norm(flat - place, axis=1) < 0.01 * scale
            codes[near & (size < 1e-3 * scale)] = Outcome[point.kind.upper()]
    else:
        codes = np.where(size < 1e-6, _by_curvature(landscape, params), codes)
    return np.where(finite, codes, int(Outcome.DIVERGED)).astype(np.int8)


@eqx.filter_jit
def _flat_and_slope(landscape: Landscape, params: Params) -> tuple[Array, Array]:
    """The parameters of each run as a vector, and the gradient along the constraint."""

    def one(p: Params) -> tuple[Array, Array]:
        slope = landscape.tangent(p, landscape.grad(p))
        return jax.flatten_util.ravel_pytree(p)[0], jax.flatten_util.ravel_pytree(slope)[0]

    return jax.vmap(one)(params)


def _by_curvature(landscape: Landscape, params: Params) -> Int[np.ndarray, " run"]:
    """Saddle, global or spurious, for points at which the gradient vanishes."""
    saddle, loss = (np.asarray(leaf) for leaf in _curvature(landscape, params))
    lowest = loss <= landscape.lowest + 1e-6
    minimum = np.where(lowest, int(Outcome.GLOBAL), int(Outcome.SPURIOUS))
    return np.where(saddle, int(Outcome.SADDLE), minimum)


@eqx.filter_jit
def _curvature(landscape: Landscape, params: Params) -> tuple[Array, Array]:
    """Whether the Hessian of each run has a negative eigenvalue, and the loss."""

    def one(p: Params) -> tuple[Array, Array]:
        flat, unravel = jax.flatten_util.ravel_pytree(p)
        hessian = jax.hessian(lambda x: landscape.loss(unravel(x)))(flat)
        eigenvalues = jnp.linalg.eigvalsh(hessian)
        return eigenvalues[0] < -1e-6 * jnp.max(jnp.abs(eigenvalues)), landscape.loss(p)

    return jax.vmap(one)(params)
