"""What every network offers: initial parameters, and outputs as a function of them."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from whytrain.errors import UserError

Activation = Callable[[Any], Any]
Params = dict[str, Any]  # arrays, of JAX or NumPy
Statistics = dict[str, Any]  # pairs of mean and variance, by name


def are_counts(values: Any) -> bool:
    """Whether something is a tuple or list of whole numbers from 1 on."""
    return isinstance(values, tuple | list) and all(
        isinstance(each, int | np.integer) and not isinstance(each, bool) and each >= 1
        for each in values
    )


def check_counts(**sizes: Any) -> None:
    """Refuse sizes one of which is no whole number from 1 on."""
    for name, size in sizes.items():
        if not are_counts([size]):
            raise UserError(f"{name} must be a whole number from 1 on, got {size!r:.100}")


class Output(NamedTuple):
    """What a network says about a batch.

    Attributes:
        logits: One number for each class.
        statistics: Mean and variance that each batch normalization used, by its name.
    """

    logits: Float[Array, "batch class"]
    statistics: Statistics


class Network(eqx.Module):
    """A function of parameters and inputs. A subclass gives `init` and `__call__`.

    Example:
        A linear function of vectors, in four lines::

            class Linear(Network):
                inputs: int

                def init(self, key):
                    return {"w": jax.random.normal(key, (self.inputs,))}

                def __call__(self, params, x):
                    return x @ params["w"]
    """

    @abc.abstractmethod
    def init(self, key: Array) -> Params:
        """Random initial parameters: a dictionary of arrays."""

    @abc.abstractmethod
    def __call__(self, params: Params, x: Float[Array, "batch ..."]) -> Any:
        """The outputs at a batch of inputs: an array whose first axis is that of the batch."""


class ImageNetwork(Network):
    """A classifier of images; its activation is an argument, so that it can be exchanged.

    Attributes:
        shape: Height, width and channels of an image.
        classes: How many classes there are.

    Raises:
        UserError: One of them is no whole number from 1 on.
    """

    shape: eqx.AbstractVar[tuple[int, int, int]]
    classes: eqx.AbstractVar[int]

    def __check_init__(self) -> None:
        if not are_counts(self.shape) or len(self.shape) != 3:
            raise UserError(
                "shape must be height, width and channels of an image, such as (28, 28, 1), got "
                f"{self.shape!r:.100}"
            )
        check_counts(classes=self.classes)

    @abc.abstractmethod
    def init(self, key: Array) -> Params:
        """Random initial parameters in float32."""

    @abc.abstractmethod
    def __call__(
        self,
        params: Params,
        x: Float[Array, "batch height width channel"],
        activation: Activation = jax.nn.relu,
        statistics: Statistics | None = None,
    ) -> Output:
        """The logits of a batch.

        Args:
            params: The parameters.
            x: The batch.
            activation: Applied elementwise, such as `jax.nn.relu` or a `Quantizer`.
            statistics: What batch normalization uses in evaluation; None for the moments of this
                batch, as in training.
        """
