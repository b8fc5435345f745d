"""What every network offers: initial parameters, and logits as a function of them."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from whytrain.networks.layers import Moments

Activation = Callable[[Any], Any]
Params = dict[str, Array]
Statistics = dict[str, Moments]


class Output(NamedTuple):
    """What a network says about a batch.

    Attributes:
        logits: One number for each class.
        statistics: Mean and variance that each batch normalization used, by its name.
    """

    logits: Float[Array, "batch class"]
    statistics: Statistics


class Network(eqx.Module):
    """An architecture; its parameters are a dictionary of arrays, its activation an argument.

    Attributes:
        shape: Height, width and channels of an image.
        classes: How many classes there are.
    """

    shape: eqx.AbstractVar[tuple[int, int, int]]
    classes: eqx.AbstractVar[int]

    @abc.abstractmethod
    def init(self, key: Array) -> Params:
        """Random initial parameters in float32."""

    @abc.abstractmethod
    def __call__(
        self,
        params: Params,
        images: Float[Array, "batch height width channel"],
        activation: Activation,
        statistics: Statistics | None = None,
    ) -> Output:
        """The logits of a batch.

        Args:
            params: The parameters.
            images: The batch.
            activation: Applied elementwise, such as `jax.nn.relu` or a `Quantizer`.
            statistics: What batch normalization uses in evaluation; None for the moments of this
                batch, as in training.
        """


def cross_entropy(
    logits: Float[Array, "batch class"], labels: Int[Array, " batch"]
) -> Float[Array, ""]:
    """`mean_i [ log sum_c exp(logits[i, c]) - logits[i, labels[i]] ]`, in nats.

    Example:
        >>> print(f"{cross_entropy(jnp.zeros((3, 10)), jnp.arange(3)):.4f}")
        2.3026
    """
    return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels))
