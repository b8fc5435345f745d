"""LeNet-5, with batch normalization before each activation."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain.errors import UserError
from whytrain.networks.layers import batch_last, convolve_and_pool, draw_weights, normalize
from whytrain.networks.network import Activation, ImageNetwork, Output, Params, Statistics


class LeNet5(ImageNetwork):
    """Two convolutions of 5 by 5, each with average pooling, then three linear layers.

    As in LeCun et al. 1998, without their sparse connection table: 6 and 16 filters, 120 and 84
    units; on images of 28 by 28 the convolutions have no border, as is common. Pooling comes before
    normalization and activation, so that what the next layer reads is as coarse as the activation
    says. Each activation is preceded by batch normalization without scale and shift (Yin et al.
    2019, Section 4).

    Attributes:
        shape: Height, width and channels of an image; height and width are `16, 20, 24, ...`.
        classes: How many classes there are.

    Example:
        >>> import jax
        >>> network = LeNet5((28, 28, 1))
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jnp.ones((5, 28, 28, 1)), jax.nn.relu).logits.shape
        (5, 10)
    """

    shape: tuple[int, int, int] = eqx.field(static=True)
    classes: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        super().__check_init__()
        if any(extent < 16 or extent % 4 for extent in self.shape[:2]):
            raise UserError(
                f"LeNet5 takes images whose height and width are multiples of 4 from 16 on, got "
                f"{self.shape[0]} by {self.shape[1]}; pad them"
            )

    def init(self, key: Array) -> Params:
        """Random float32 parameters: normal with variance 2 / fan_in, a bias in the last layer."""
        rows, columns = ((extent - 12) // 4 for extent in self.shape[:2])
        shapes = {
            "convolution_1": (6, self.shape[2], 5, 5), "convolution_2": (16, 6, 5, 5),
            "linear_3": (120, 16 * rows * columns), "linear_4": (84, 120),
            "linear_5": (self.classes, 84),
        }  # fmt: skip
        return draw_weights(key, shapes) | {"bias_5": jnp.zeros(self.classes, jnp.float32)}

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

        x = batch_last(x)
        x = activate("1", convolve_and_pool(x, params["convolution_1"]))
        x = activate("2", convolve_and_pool(x, params["convolution_2"]))
        x = x.reshape(-1, x.shape[-1])
        x = activate("3", params["linear_3"] @ x)
        x = activate("4", params["linear_4"] @ x)
        return Output((params["linear_5"] @ x).T + params["bias_5"], used)
