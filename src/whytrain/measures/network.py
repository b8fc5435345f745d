"""One description of a network: a list of dense and convolutional layers, rectifiers between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64

Padding = int | Literal["circular"] | tuple[tuple[int, int], tuple[int, int]]
Shape = tuple[int, ...]


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
        stride: How far apart the outputs are, one number or one of each axis.
        padding: So many zeros on every side, or on both sides of each axis, or `"circular"`: the
            image on a torus, as many outputs as inputs for stride 1.
        channels_last: Whether images are (example, height, width, channel), as Flax and Keras have
            them.
        dilation: How far apart the entries of the kernel lie on the image.
        groups: Into how many parts the channels are cut, each with a convolution of its own.
    """

    weight: Float[Numeric, "out in kh kw"]
    bias: Float[Numeric, " out"] | None = None
    stride: int | tuple[int, int] = eqx.field(static=True, default=1)
    padding: Padding = eqx.field(static=True, default=0)
    channels_last: bool = eqx.field(static=True, default=False)
    dilation: int | tuple[int, int] = eqx.field(static=True, default=1)
    groups: int = eqx.field(static=True, default=1)

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
            sides = [(0, 0)] * 2
        elif isinstance(self.padding, tuple):
            sides = self.padding
        else:
            sides = [(int(self.padding), int(self.padding))] * 2
        x, weight = (part.astype(jnp.result_type(x, weight)) for part in (x, weight))
        y = jax.lax.conv_general_dilated(
            x, weight, _both(self.stride), sides, rhs_dilation=_both(self.dilation),
            feature_group_count=self.groups,
        )  # fmt: skip
        return y if self.bias is None else y + jnp.asarray(self.bias)[:, None, None]


def _both(number: int | tuple[int, int]) -> tuple[int, int]:
    return number if isinstance(number, tuple) else (number, number)


Layer = Dense | Convolution


def forward(
    layers: Sequence[Any],
    x: Float[Numeric, "example ..."],
    activation: Callable[[Array], Array] = jax.nn.relu,
) -> Float[Array, "..."]:
    """The network's outputs: the layers in turn, a rectifier (or another) between each two.

    Where anything else than layers stands in the list, nothing is put between.

    Example:
        >>> layers = [Dense(np.array([[-1.0]])), Dense(np.array([[2.0]]))]
        >>> print(forward(layers, np.array([[-3.0], [3.0]])))
        [[6.]
         [0.]]
    """
    y, bare = jnp.asarray(x), all(isinstance(layer, Layer) for layer in layers)
    for i, layer in enumerate(layers):
        y = layer(activation(y) if i and bare else y)
    return y


def outputs(
    layers: Sequence[Any], x: np.ndarray, activation: Callable[[Array], Array] = jax.nn.relu
) -> np.ndarray:
    """What `forward` gives, in float64."""
    with jax.enable_x64(True):
        return np.asarray(forward(jax.tree.map(as_float64, list(layers)), x, activation))


def shapes(layers: Sequence[Any], shape: Sequence[int]) -> list[tuple[int, ...]]:
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
            with np.errstate(over="ignore"):  # of numbers beyond float32, which are not looked at
                found.append(jax.eval_shape(lambda x, layer=layer: layer(x), zeros).shape[1:])
            fits = 0 not in found[-1]
        except (TypeError, ValueError, IndexError):
            fits = False
        if not fits:
            weight = np.shape(getattr(layer, "weight", ()))
            raise UserError(
                f"layer {i} with weights of shape {weight} does not fit what "
                f"enters it, of shape {entering}; is the order, a stride or a padding wrong, or is "
                "something between the layers, such as pooling?"
            )
    return found


def fits(layers: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether each layer takes what enters it."""
    try:
        return bool(shapes(layers, shape))
    except UserError:
        return False


@dataclass(frozen=True)
class Network:
    """Layers with what they are called, and what was supposed when they were read.

    Attributes:
        layers: In their order, in float64.
        names: Of each layer.
        notes: What a reader should know, a sentence each.
    """

    layers: tuple[Any, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TwoLayerWeights:
    """`f(x) = V [U x + hidden_bias]_+ + output_bias`.

    The theory has no biases: they enter the outputs, and so the margins, and the count of
    parameters, but no norm.

    Attributes:
        U: Hidden weights; row i is what enters unit i.
        V: Output weights; column i is what leaves unit i.
        hidden_bias: One number a unit, zeros where there are none.
        output_bias: One number a class, zeros where there are none.
    """

    U: Float[np.ndarray, "hidden inputs"]
    V: Float[np.ndarray, "classes hidden"]
    hidden_bias: Float[np.ndarray, " hidden"]
    output_bias: Float[np.ndarray, " classes"]

    @property
    def hidden(self) -> int:
        """How many hidden units there are."""
        return len(self.U)

    @property
    def inputs(self) -> int:
        """The dimension of the inputs."""
        return self.U.shape[1]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.V)

    def before(self, x: Float[np.ndarray, "example inputs"]) -> np.ndarray:
        """What enters the hidden units without the bias, `U x`."""
        return x @ self.U.T

    def outputs(self, x: Float[np.ndarray, "example inputs"]) -> np.ndarray:
        """The logits."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told as such
            hidden = self.before(x)
            hidden += self.hidden_bias
            return np.maximum(hidden, 0, out=hidden) @ self.V.T + self.output_bias

    def network(self, of: str = "the network") -> Network:
        """The same as a list of layers."""
        arrays = {name: as_float64(array, f"{of}: {name}") for name, array in vars(self).items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise UserError(f"{of}: {name!r} holds numbers that are not finite")
        U, V, *biases = arrays.values()
        fits = U.ndim == V.ndim == 2 and V.shape[1] == len(U)
        if not fits or [bias.shape for bias in biases] != [(len(U),), (len(V),)]:
            raise UserError(
                f"{of}: U (hidden, inputs), V (classes, hidden) and their biases do not fit "
                f"together: {', '.join(str(array.shape) for array in arrays.values())}"
            )
        layers = (Dense(U, biases[0]), Dense(V, biases[1]))
        return Network(layers, ("hidden", "output"))
