"""A small residual network, with batch normalization before each activation."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain.networks.layers import Images, batch_last, convolve, draw_weights, normalize
from whytrain.networks.network import Activation, Network, Output, Params, Statistics


class ResNet8(Network):
    """A stem, three residual blocks of two 3 by 3 convolutions, and a linear layer: eight layers.

    The blocks are pre-activated (He et al. 2016, "Identity Mappings"): `x + conv(act(norm(conv(
    act(norm(x))))))`, with `width`, `2 width` and `4 width` channels; the second and third halve
    the image, their shortcut takes every second pixel and fills up with zero channels. The stem
    halves the image too, which makes the network small enough for a CPU. Batch normalization is
    without scale and shift and precedes every activation, the last before the global average.

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

    shape: tuple[int, int, int] = eqx.field(static=True)
    width: int = eqx.field(static=True, default=8)
    classes: int = eqx.field(static=True, default=10)

    def init(self, key: Array) -> Params:
        """Random float32 parameters: normal with variance 2 / fan_in, a bias in the last layer."""
        k = self.width
        widths = {"stem": (k, self.shape[2])}
        for block, (before, after) in enumerate([(k, k), (k, 2 * k), (2 * k, 4 * k)], start=1):
            widths |= {f"block_{block}a": (after, before), f"block_{block}b": (after, after)}
        shapes: dict[str, tuple[int, ...]] = {name: (*pair, 3, 3) for name, pair in widths.items()}
        shapes["linear"] = (self.classes, 4 * k)
        return draw_weights(key, shapes) | {"bias": jnp.zeros(self.classes, jnp.float32)}

    def __call__(
        self,
        params: Params,
        images: Float[Array, "batch height width channel"],
        activation: Activation,
        statistics: Statistics | None = None,
    ) -> Output:
        """The logits of a batch."""
        used: Statistics = {}

        def activate(name: str, x: Array) -> Array:
            x, used[name] = normalize(x, statistics[name] if statistics else None)
            return activation(x)

        x = convolve(batch_last(images), params["stem"], stride=2)
        for block in (1, 2, 3):
            first, second = f"block_{block}a", f"block_{block}b"
            stride = 1 if block == 1 else 2
            inner = convolve(activate(first, x), params[first], stride)
            inner = convolve(activate(second, inner), params[second])
            x = inner + _shortcut(x, inner.shape[0], stride)
        x = jnp.mean(activate("last", x), axis=(1, 2))
        return Output((params["linear"] @ x).T + params["bias"], used)


def _shortcut(x: Images, channels: int, stride: int) -> Images:
    """Every `stride`-th pixel, with zero channels behind."""
    kept = x[:, ::stride, ::stride]
    return jnp.pad(kept, ((0, channels - x.shape[0]), (0, 0), (0, 0), (0, 0)))
