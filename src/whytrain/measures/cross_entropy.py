"""The mean cross-entropy of a network, and how each example's changes along the weights."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from whytrain.measures.network import forward


def cross_entropy(layers: Sequence[Any], x: Any, y: Any) -> Any:
    """The mean cross-entropy of a network's logits, a loss as the instruments of curvature take it.

    Args:
        layers: The network, layers or what `network` has read.
        x: Inputs.
        y: Labels.
    """
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(forward(layers, x), y)
    return jnp.mean(losses)


@jax.jit
def along_weights(params: list[Any], x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logits, and the derivative of each example's loss along the parameters themselves."""

    def losses(at: list[Any]) -> tuple[jax.Array, jax.Array]:
        logits = forward(at, x)
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, y), logits

    _, slopes, logits = jax.jvp(losses, (params,), (params,), has_aux=True)
    return logits, slopes
