"""Empirical risk: the landscape of a network on given data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from whytrain._types import Numeric
from whytrain.landscapes import Landscape
from whytrain.networks.network import Activation, Network, Output, Params, cross_entropy

Loss = Callable[[Any, Any], Any]


class Batch(NamedTuple):
    """Images with their labels."""

    images: Float[Array, "batch height width channel"]
    labels: Int[Array, " batch"]


class EmpiricalRisk(Landscape):
    """The mean loss of a network over a data set, as a function of its parameters.

    A landscape like any other: `simulate` descends on it, and `sample` draws minibatches (with
    replacement) for stochastic methods. `train` is the fast way for epochs of minibatches.

    Attributes:
        network: The architecture.
        images: All images, `(example, height, width, channel)`.
        labels: Their classes.
        activation: The network's activation. With a `Quantizer`, `grad` is the coarse gradient.
        cost: `cost(logits, labels)`, a mean over examples.

    Example:
        >>> from whytrain.networks import TwoLayer
        >>> network = TwoLayer((2, 2, 1), width=3, classes=2)
        >>> risk = EmpiricalRisk(network, jnp.ones((4, 2, 2, 1)), jnp.array([0, 1, 0, 1]))
        >>> params = jax.tree.map(lambda leaf: 0 * leaf, network.init(jax.random.key(0)))
        >>> print(f"{risk.loss(params):.4f}")
        0.6931
    """

    network: Network
    images: Float[Numeric, "example height width channel"]
    labels: Int[Numeric, " example"]
    activation: Activation = jax.nn.relu
    cost: Loss = eqx.field(static=True, default=cross_entropy)

    def loss(self, params: Params) -> Float[Array, ""]:
        """The mean loss over all examples."""
        return self.empirical_loss(
            params, Batch(jnp.asarray(self.images), jnp.asarray(self.labels))
        )

    def sample(self, key: Array, n: int) -> Batch:
        """`n` examples, drawn with replacement."""
        chosen = jax.random.randint(key, (n,), 0, len(self.labels))
        return self.batch(chosen)

    def batch(self, chosen: Int[Array, " batch"]) -> Batch:
        """The examples with these numbers."""
        return Batch(jnp.asarray(self.images)[chosen], jnp.asarray(self.labels)[chosen])

    def empirical_loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The mean loss over a batch."""
        return self.loss_and_output(params, batch)[0]

    def loss_and_output(self, params: Params, batch: Batch) -> tuple[Float[Array, ""], Output]:
        """The mean loss over a batch, and all that the network says about it."""
        output = self.network(params, batch.images, self.activation)
        return self.cost(output.logits, batch.labels), output
