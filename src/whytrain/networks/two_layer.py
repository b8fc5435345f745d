"""The two-layer network of Neyshabur et al. 2019: linear, activation, linear, with biases."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain._random import uniform
from whytrain.networks.network import (
    Activation,
    ImageNetwork,
    Output,
    Params,
    Statistics,
    check_counts,
)


class TwoLayer(ImageNetwork):
    """`logits = V sigma(U x + bias) + out_bias` on the pixels `x` of an image; no normalization.

    The parameters are `U` (width, pixels), `bias`, `V` (classes, width) and `out_bias`, all drawn
    uniformly from `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`.

    Attributes:
        shape: Height, width and channels of an image.
        width: Hidden units.
        classes: How many classes there are.

    Example:
        >>> network = TwoLayer((8, 8, 1), width=16)
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jnp.zeros((5, 8, 8, 1)), jax.nn.relu).logits.shape
        (5, 10)
    """

    shape: tuple[int, int, int] = eqx.field(static=True)
    width: int = eqx.field(static=True)
    classes: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_counts(width=self.width)

    def init(self, key: Array) -> Params:
        """Random initial parameters in float32."""
        height, width, channels = self.shape
        pixels = height * width * channels
        shapes = {
            "U": (self.width, pixels), "bias": (self.width,),
            "V": (self.classes, self.width), "out_bias": (self.classes,),
        }  # fmt: skip
        reach = {"U": pixels, "bias": pixels, "V": self.width, "out_bias": self.width}
        keys = jax.random.split(key, len(shapes))
        return {
            name: uniform(each, shape, jnp.float32, -1, 1) / reach[name] ** 0.5
            for each, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def __call__(
        self,
        params: Params,
        x: Float[Array, "batch height width channel"],
        activation: Activation = jax.nn.relu,
        statistics: Statistics | None = None,
    ) -> Output:
        """The logits of a batch; there are no statistics."""
        del statistics
        x = x.reshape(x.shape[0], -1)
        hidden = activation(x @ params["U"].T + params["bias"])
        return Output(hidden @ params["V"].T + params["out_bias"], {})
