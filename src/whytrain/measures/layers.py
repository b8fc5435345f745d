"""Deeper ReLU networks: any list of dense and convolutional layers."""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError

Padding = int | Literal["circular"]


class Dense(eqx.Module):
    """`x -> weight x + bias`; what has more axes is flattened first.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,), or None.
    """

    weight: Float[Numeric, "out in"]
    bias: Float[Numeric, " out"] | None = None

    def __call__(self, x: Float[Array, "example ..."]) -> Float[Array, "example out"]:
        """The layer on a batch, without activation."""
        y = x.reshape(len(x), -1) @ jnp.asarray(self.weight).T
        return y if self.bias is None else y + self.bias


class Convolution(eqx.Module):
    """A two-dimensional convolution of images (example, channel, height, width), as PyTorch has it.

    Attributes:
        weight: (output channels, input channels, kernel height, kernel width).
        bias: (output channels,), or None.
        stride: How far apart the outputs are.
        padding: So many zeros on every side, or `"circular"`: the image on a torus, as many outputs
            as inputs for stride 1.
        channels_last: Whether images are (example, height, width, channel), as Flax and Keras have
            them.
    """

    weight: Float[Numeric, "out in kh kw"]
    bias: Float[Numeric, " out"] | None = None
    stride: int = eqx.field(static=True, default=1)
    padding: Padding = eqx.field(static=True, default=0)
    channels_last: bool = eqx.field(static=True, default=False)

    def __call__(self, x: Float[Array, "example ..."]) -> Float[Array, "example ..."]:
        """The layer on a batch, without activation."""
        if not self.channels_last:
            return self._convolved(x)
        return jnp.moveaxis(self._convolved(jnp.moveaxis(x, -1, 1)), 1, -1)

    def _convolved(self, x: Float[Array, "example in h w"]) -> Float[Array, "example out oh ow"]:
        weight = jnp.asarray(self.weight)
        if self.padding == "circular":
            around = [((k - 1) // 2, k // 2) for k in weight.shape[2:]]
            x = jnp.pad(x, [(0, 0), (0, 0), *around], mode="wrap")
            sides = (0, 0)
        else:
            sides = (int(self.padding), int(self.padding))
        x, weight = (part.astype(jnp.result_type(x, weight)) for part in (x, weight))
        y = jax.lax.conv_general_dilated(x, weight, (self.stride,) * 2, [sides, sides])
        return y if self.bias is None else y + jnp.asarray(self.bias)[:, None, None]


Layer = Dense | Convolution


def forward(layers: Sequence[Layer], x: Float[Numeric, "example ..."]) -> Float[Array, "..."]:
    """The network's outputs: the layers in turn, a rectifier between each two.

    Example:
        >>> layers = [Dense(np.array([[-1.0]])), Dense(np.array([[2.0]]))]
        >>> print(forward(layers, np.array([[-3.0], [3.0]])))
        [[6.]
         [0.]]
    """
    y = jnp.asarray(x)
    for i, layer in enumerate(layers):
        y = layer(jax.nn.relu(y) if i else y)
    return y


def shapes(layers: Sequence[Layer], shape: Sequence[int]) -> list[tuple[int, ...]]:
    """The shape of what enters every layer, and of what leaves the last.

    Args:
        layers: The layers.
        shape: The shape of one input.

    Returns:
        One shape more than there are layers.

    Raises:
        UserError: A layer does not fit what enters it.
    """
    found = [tuple(int(n) for n in shape)]
    for i, layer in enumerate(layers):
        entering = found[-1]
        zeros = jax.ShapeDtypeStruct((1, *entering), np.float32)
        try:
            found.append(jax.eval_shape(lambda x, layer=layer: layer(x), zeros).shape[1:])
            fits = 0 not in found[-1]
        except (TypeError, ValueError, IndexError):
            fits = False
        if not fits:
            raise UserError(
                f"layer {i} with weights of shape {np.shape(layer.weight)} does not fit what "
                f"enters it, of shape {entering}; is the order, a stride or a padding wrong, or is "
                "something between the layers, such as pooling?"
            )
    return found
