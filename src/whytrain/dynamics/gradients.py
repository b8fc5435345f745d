"""Which gradient a step follows: of the whole loss, of fresh samples, of minibatches by epochs."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from whytrain.errors import UserError
from whytrain.landscapes import Landscape


class Gradient(eqx.Module):
    """A direction of ascent, to be given to `OptaxMethod`. A subclass gives `__call__`.

    Example:
        The gradient of the loss plus `strength |params|^2 / 2`, in three lines::

            class Ridge(Gradient):
                strength: float

                def __call__(self, landscape, params, memory, step, key):
                    slope = landscape.grad(params)
                    return jax.tree.map(lambda g, p: g + self.strength * p, slope, params), memory
    """

    def init(self, landscape: Landscape) -> PyTree:
        """What is remembered from one step to the next, before the first. Default: nothing."""
        del landscape
        return ()

    def samples(self) -> int:
        """How many samples a step holds in memory at a time. Default: none."""
        return 0

    @abc.abstractmethod
    def __call__(
        self, landscape: Landscape, params: PyTree, memory: PyTree, step: Int[Array, ""], key: Array
    ) -> tuple[PyTree, PyTree]:
        """The gradient at `params`, and what is remembered; `key` is this run's and step's own."""


class Full(Gradient):
    """The gradient of the loss, `landscape.grad(params)`."""

    def __call__(
        self, landscape: Landscape, params: PyTree, memory: PyTree, step: Int[Array, ""], key: Array
    ) -> tuple[PyTree, PyTree]:
        """`grad(params)`."""
        del step, key
        return landscape.grad(params), memory


class Fresh(Gradient):
    """The gradient on `batch` fresh samples, drawn anew at every step.

    Args:
        batch: Samples a step.
    """

    batch: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_batch(self.batch)

    def samples(self) -> int:
        """`batch`."""
        return self.batch

    def __call__(
        self, landscape: Landscape, params: PyTree, memory: PyTree, step: Int[Array, ""], key: Array
    ) -> tuple[PyTree, PyTree]:
        """The gradient on samples of this step's key."""
        del step
        return landscape.empirical_grad(params, landscape.sample(key, self.batch)), memory


class Epochs(Gradient):
    """The gradient on minibatches: every epoch goes once through a random order of the examples.

    The landscape has examples: `len(landscape)` of them, and `landscape.batch(numbers)`, as an
    `EmpiricalRisk` has. An epoch has `len(landscape) // batch` steps; what does not fill a batch is
    left out, other examples each time.

    Args:
        batch: Examples a step.

    Example:
        >>> from whytrain.dynamics import OptaxMethod
        >>> import optax
        >>> adam = OptaxMethod(optax.adamw(1e-3, weight_decay=1e-2), gradient=Epochs(32))
        >>> adam.gradient.batch
        32
    """

    batch: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_batch(self.batch)

    def samples(self) -> int:
        """`batch`."""
        return self.batch

    def init(self, landscape: Any) -> Int[Array, " example"]:
        """Any order: the first step draws one.

        Raises:
            UserError: The landscape has no examples, or fewer than `batch`.
        """
        if not (hasattr(landscape, "batch") and hasattr(landscape, "__len__")):
            raise UserError(
                f"{type(landscape).__name__} has no examples to go through by epochs; take an "
                "EmpiricalRisk, or fresh samples: Fresh(batch)"
            )
        if self.batch > len(landscape):
            raise UserError(
                f"batch must be 1 to {len(landscape)}, the number of examples, got {self.batch}"
            )
        return jnp.arange(len(landscape), dtype=jnp.int32)

    def __call__(
        self, landscape: Any, params: PyTree, memory: PyTree, step: Int[Array, ""], key: Array
    ) -> tuple[PyTree, PyTree]:
        """The gradient on the next examples of the order; a new order at the end of an epoch."""
        place = step % (len(landscape) // self.batch)
        # The step is the same for all runs of a tile, so that an order is drawn once an epoch only.
        order = jax.lax.cond(
            place == 0, lambda old: jax.random.permutation(key, old), lambda old: old, memory
        )
        chosen = jax.lax.dynamic_slice_in_dim(order, place * self.batch, self.batch)
        return landscape.empirical_grad(params, landscape.batch(chosen)), order


class OverLoss(Gradient):
    """A gradient over the loss, `gradient(params) / min(loss(params), most)`.

    Of the full gradient it is the gradient of the loss's logarithm. Where the loss falls to zero
    without reaching it, as on separable data, plain steps become ever shorter; these do not. With a
    `most` the steps are plain as long as the loss is larger: `OverLoss(most=c)` at step size
    `size * c` is the step size `size * max(1, c / loss)`.

    The loss is the landscape's own, over all examples, whatever the gradient is of. The precision
    has to hold it: down to 1e-300 in float64, to 1e-37 in float32. A loss of 0 ends the run as
    diverged.

    Args:
        gradient: What is divided.
        most: The largest loss that the gradient is divided by.

    Example:
        >>> from whytrain.dynamics import OptaxMethod
        >>> import optax
        >>> OptaxMethod(optax.sgd(0.1), gradient=OverLoss(Epochs(32), most=0.1)).gradient.most
        0.1
    """

    gradient: Gradient = Full()
    most: float = np.inf

    def __check_init__(self) -> None:
        if not isinstance(self.gradient, Gradient):
            raise UserError(f"gradient must be a Gradient such as Full(), got {self.gradient!r}")
        if not self.most > 0:
            raise UserError(f"most must be above 0, got {self.most!r}")

    def init(self, landscape: Landscape) -> PyTree:
        """What the gradient remembers."""
        return self.gradient.init(landscape)

    def samples(self) -> int:
        """Those of the gradient."""
        return self.gradient.samples()

    def __call__(
        self, landscape: Landscape, params: PyTree, memory: PyTree, step: Int[Array, ""], key: Array
    ) -> tuple[PyTree, PyTree]:
        """`gradient(params) / min(loss(params), most)`; not finite where the loss is 0."""
        slope, kept = self.gradient(landscape, params, memory, step, key)
        by = jnp.minimum(landscape.loss(params), self.most)
        return jax.tree.map(lambda g: g / by, slope), kept


class Moved(NamedTuple):
    """What a gradient and a transformation remember."""

    gradient: Any
    transformation: Any


def check_batch(batch: Any) -> None:
    """Refuse what is no number of samples."""
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer):
        raise UserError(f"batch must be a whole number of samples, got {batch!r}")
    if batch < 1:
        raise UserError(f"batch must be 1 or more samples, got {batch}")
