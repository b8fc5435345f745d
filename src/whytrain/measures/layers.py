"""Deeper ReLU networks: any list of dense and convolutional layers."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.measures.weights import as_float64

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
    """

    weight: Float[Numeric, "out in kh kw"]
    bias: Float[Numeric, " out"] | None = None
    stride: int = eqx.field(static=True, default=1)
    padding: Padding = eqx.field(static=True, default=0)

    def __call__(self, x: Float[Array, "example in h w"]) -> Float[Array, "example out oh ow"]:
        """The layer on a batch, without activation."""
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


def layers(
    state: Mapping[str, Any],
    *,
    names: Sequence[str] | None = None,
    stride: Mapping[str, int] | None = None,
    padding: Mapping[str, Padding] | None = None,
) -> list[Layer]:
    """Make layers of a state dict: matrices are dense, arrays with four axes convolutions.

    Args:
        state: From name to array, as PyTorch's `state_dict` has them.
        names: The layers in their order, with or without `.weight`; default: the weights in the
            order of the state dict (a file may have lost it).
        stride: Of convolutions by name, where it is not 1.
        padding: Of convolutions by name, where it is not 0.

    Returns:
        The layers, in float64.

    Raises:
        UserError: A name is not there, there is no layer, or a layer has another number of axes
            (batch normalization, recurrent layers and the like are not measured).

    Example:
        >>> state = {"0.weight": np.ones((4, 1, 3, 3)), "2.weight": np.ones((2, 16))}
        >>> [type(layer).__name__ for layer in layers(state, padding={"0": 1})]
        ['Convolution', 'Dense']
    """
    if names is None:
        names = [name for name in state if name.endswith("weight")]
    if not names:
        raise UserError(f"there is no layer among {', '.join(state) or 'nothing'}")
    plain = [name.removesuffix(".weight") for name in names]
    for given in (stride or {}, padding or {}):
        for name in given:
            if name not in plain:
                raise UserError(f"stride and padding are for {', '.join(plain)}, got {name!r}")
    return [
        _layer(state, name, (stride or {}).get(name, 1), (padding or {}).get(name, 0))
        for name in plain
    ]


def _layer(state: Mapping[str, Any], name: str, stride: int, padding: Padding) -> Layer:
    key = f"{name}.weight"
    if key not in state:
        raise UserError(f"there is no {key!r}; there is {', '.join(state)}")
    weight = as_float64(state[key])
    bias = as_float64(state[f"{name}.bias"]) if f"{name}.bias" in state else None
    if weight.ndim == 2:
        return Dense(weight, bias)
    if weight.ndim == 4:
        return Convolution(weight, bias, stride, padding)
    raise UserError(
        f"{key!r} has {weight.ndim} axes; dense layers have 2 and convolutions 4, others are not "
        "measured"
    )


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
        zeros = jax.ShapeDtypeStruct((1, *found[-1]), np.float32)
        try:
            found.append(jax.eval_shape(lambda x, layer=layer: layer(x), zeros).shape[1:])
        except (TypeError, ValueError) as error:
            raise UserError(
                f"layer {i} with weights of shape {np.shape(layer.weight)} does not fit what "
                f"enters it, of shape {found[-1]}; is the order, a stride or a padding wrong?"
            ) from error
    return found
