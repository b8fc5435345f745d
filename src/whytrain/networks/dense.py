"""Networks on vectors: layer after layer, with or without shortcuts past each."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from whytrain.errors import UserError
from whytrain.networks.network import Network, Params


class FullyConnected(Network):
    """`f(x) = a . x_L / sqrt(n_L)` with `x_l = sqrt(gain / n_(l-1)) s(W_l x_(l-1))`, `x_0 = x`.

    All entries of `W_l` and `a` are drawn from `N(0, 1)`: the parametrization in which the tangent
    kernel has a limit at infinite width (Jacot et al. 2018). With a gain of 2 the ReLU keeps
    lengths.

    Attributes:
        widths: Inputs, and the units of each hidden layer.
        outputs: How many outputs there are; None for one, without an axis of its own.
        activation: `s`, elementwise.
        gain: The variance that a layer multiplies by.

    Example:
        >>> network = FullyConnected((3, 50, 50))
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jnp.ones((7, 3))).shape
        (7,)
    """

    widths: tuple[int, ...] = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True, default=None)
    activation: Callable[[Any], Any] = eqx.field(static=True, default=jax.nn.relu)
    gain: float = 2.0

    def __check_init__(self) -> None:
        if len(self.widths) < 2 or any(width < 1 for width in self.widths):
            raise UserError(
                "widths must name the inputs and one hidden layer or more, such as (3, 50), got "
                f"{self.widths}"
            )

    def init(self, key: Array) -> Params:
        """Standard normal parameters: `W1`, `W2`, ..., and `a`."""
        pairs = list(zip(self.widths[1:], self.widths[:-1], strict=True))
        *of_layers, last = jax.random.split(key, len(pairs) + 1)
        layers = {
            f"W{number}": jax.random.normal(each, shape)
            for number, (each, shape) in enumerate(zip(of_layers, pairs, strict=True), start=1)
        }
        shape = () if self.outputs is None else (self.outputs,)
        return layers | {"a": jax.random.normal(last, (*shape, self.widths[-1]))}

    def __call__(self, params: Params, x: Float[Array, "batch n"]) -> Float[Array, "batch ..."]:
        """The outputs at a batch of vectors."""
        for number, before in enumerate(self.widths[:-1], start=1):
            x = math.sqrt(self.gain / before) * self.activation(x @ params[f"W{number}"].T)
        return x @ params["a"].T / math.sqrt(self.widths[-1])


class ResidualDense(Network):
    """`f(x) = a . x_L`, a network of `L` layers with a shortcut past each but the first.

        x_1 = sqrt(first / m) s(W_1 x)
        x_l = x_(l-1) + s(W_l x_(l-1)) / (L sqrt(m)),    l = 2, ..., L

    with `N(0, 1)` in all entries of `W_l` and `a` (Li et al. 2020, after Du et al. 2019).

    Attributes:
        inputs: The extent of `x`.
        width: `m`.
        depth: `L`.
        activation: `s`, elementwise.
        first: `1 / E s(z)^2` keeps the length of a unit vector in expectation: 1.085487 for the
            softplus, 2.536175 for tanh.

    Example:
        >>> network = ResidualDense(3, width=20, depth=5)
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jnp.ones((7, 3))).shape
        (7,)
    """

    inputs: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    activation: Callable[[Any], Any] = eqx.field(static=True, default=jax.nn.softplus)
    first: float = 1.085487

    def __check_init__(self) -> None:
        if min(self.inputs, self.width, self.depth) < 1:
            raise UserError(
                "inputs, width and depth must be 1 or more, got "
                f"{self.inputs}, {self.width} and {self.depth}"
            )

    def init(self, key: Array) -> Params:
        """Standard normal parameters: `first`, `layers` (L - 1 of them), and `a`."""
        keys = jax.random.split(key, 3)
        return {
            "first": jax.random.normal(keys[0], (self.width, self.inputs)),
            "layers": jax.random.normal(keys[1], (self.depth - 1, self.width, self.width)),
            "a": jax.random.normal(keys[2], (self.width,)),
        }

    def __call__(self, params: Params, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """The output at each of a batch of vectors."""

        def layer(x: Array, weights: Array) -> tuple[Array, None]:
            return x + self.activation(x @ weights.T) / (self.depth * math.sqrt(self.width)), None

        x = math.sqrt(self.first / self.width) * self.activation(x @ params["first"].T)
        return jax.lax.scan(layer, x, params["layers"])[0] @ params["a"]
