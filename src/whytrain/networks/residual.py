"""Residual networks of pre-activated blocks, with batch normalization before each activation."""

from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain.networks.layers import Images, batch_last, convolve, draw_weights, normalize
from whytrain.networks.network import (
    Activation,
    ImageNetwork,
    Output,
    Params,
    Statistics,
    check_counts,
)

if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar

Blocks = tuple[tuple[int, int], ...]


class Residual(ImageNetwork):
    """A stem, residual blocks of two 3 by 3 convolutions, a global average, and a linear layer.

    The blocks are pre-activated (He et al. 2016, "Identity Mappings"): `x + conv(act(norm(conv(
    act(norm(x))))))`. Where a block has more channels or a stride, its shortcut takes every
    `stride`-th pixel and fills up with zero channels. (Other implementations convolve there.) Batch
    normalization is without scale and shift and precedes every activation, the last before the
    global average.

    Attributes:
        width: Channels of the first block.
        stem: Stride of the first convolution.
        blocks: Of every block its channels over `width`, and its stride.
    """

    width: eqx.AbstractVar[int]
    stem: AbstractClassVar[int]
    blocks: AbstractClassVar[Blocks]

    def __check_init__(self) -> None:
        check_counts(width=self.width)

    def init(self, key: Array) -> Params:
        """Random float32 parameters: normal with variance 2 / fan_in, a bias in the last layer."""
        channels = [self.width, *(self.width * factor for factor, _ in self.blocks)]
        pairs = {"stem": (self.width, self.shape[2])}
        for block in range(1, len(channels)):
            before, after = channels[block - 1 : block + 1]
            pairs |= {f"block_{block}a": (after, before), f"block_{block}b": (after, after)}
        shapes: dict[str, tuple[int, ...]] = {name: (*pair, 3, 3) for name, pair in pairs.items()}
        shapes["linear"] = (self.classes, channels[-1])
        return draw_weights(key, shapes) | {"bias": jnp.zeros(self.classes, jnp.float32)}

    def __call__(
        self,
        params: Params,
        x: Float[Array, "batch height width channel"],
        activation: Activation = jax.nn.relu,
        statistics: Statistics | None = None,
    ) -> Output:
        """The logits of a batch."""
        used: Statistics = {}

        def activate(name: str, x: Array) -> Array:
            x, used[name] = normalize(x, statistics[name] if statistics else None)
            return activation(x)

        x = convolve(batch_last(x), params["stem"], self.stem)
        for block, (_, stride) in enumerate(self.blocks, start=1):
            first, second = f"block_{block}a", f"block_{block}b"
            inner = convolve(activate(first, x), params[first], stride)
            inner = convolve(activate(second, inner), params[second])
            x = inner + _shortcut(x, inner.shape[0], stride)
        x = jnp.mean(activate("last", x), axis=(1, 2))
        return Output((params["linear"] @ x).T + params["bias"], used)


class ResNet8(Residual):
    """Three residual blocks of `width`, `2 width` and `4 width` channels: eight layers.

    The stem halves the image, as the second and third block do, which makes the network small
    enough for a CPU.

    Attributes:
        shape: Height, width and channels of an image, of any size.
        width: Channels of the first block.
        classes: How many classes there are.

    Example:
        >>> import jax
        >>> network = ResNet8((32, 32, 3))
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jnp.ones((5, 32, 32, 3)), jax.nn.relu).logits.shape
        (5, 10)
    """

    stem: ClassVar[int] = 2
    blocks: ClassVar[Blocks] = ((1, 1), (2, 2), (4, 2))

    shape: tuple[int, int, int] = eqx.field(static=True)
    width: int = eqx.field(static=True, default=8)
    classes: int = eqx.field(static=True, default=10)


class ResNet18(Residual):
    """Eight residual blocks of `width` to `8 width` channels: eighteen layers.

    Channels double, and the image is halved, at every second block from the third on. With width
    64 it has the channels of the usual network of that name.

    Attributes:
        shape: Height, width and channels of an image, of any size.
        width: Channels of the first block.
        classes: How many classes there are.

    Example:
        >>> import jax
        >>> params = ResNet18((32, 32, 3), width=4).init(jax.random.key(0))
        >>> params["block_8b"].shape
        (32, 32, 3, 3)
    """

    stem: ClassVar[int] = 1
    blocks: ClassVar[Blocks] = (
        (1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1),
    )  # fmt: skip

    shape: tuple[int, int, int] = eqx.field(static=True)
    width: int = eqx.field(static=True, default=64)
    classes: int = eqx.field(static=True, default=10)


def _shortcut(x: Images, channels: int, stride: int) -> Images:
    """Every `stride`-th pixel, with zero channels behind."""
    kept = x[:, ::stride, ::stride]
    return jnp.pad(kept, ((0, channels - x.shape[0]), (0, 0), (0, 0), (0, 0)))
