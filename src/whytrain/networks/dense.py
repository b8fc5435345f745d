"""Networks on vectors: layer after layer, with or without shortcuts; half of two layers."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.networks.network import Network, Params, are_counts, check_counts


class FullyConnected(Network):
    """`f(x) = a . x_L / sqrt(n_L)` with `x_l = sqrt(gain) s(W_l x_(l-1) / sqrt(n_(l-1)))`.

    `x_0 = x`, and all entries of `W_l` and `a` are drawn from `N(0, 1)`: the parametrization
    `"ntk"`, in which the tangent kernel has a limit at infinite width (Jacot et al. 2018). In
    `"standard"` the roots of `n` are in what is drawn and not in the formula: `W_l` is from
    `N(0, 1 / n_(l-1))`. At the start both are the same random function; they learn at other speeds.

    A gain of `1 / E s(z)^2` keeps the mean square of the units from layer to layer: 2 for the ReLU,
    1.085487 for the softplus, 2.536175 for tanh. Inputs of length `sqrt(n_0)` start with 1.

    Attributes:
        widths: Inputs, and the units of each hidden layer.
        outputs: How many outputs there are; None for one, without an axis of its own.
        activation: `s`, elementwise.
        gain: What a layer's units are multiplied by, squared.
        parametrization: `"ntk"` or `"standard"`.

    Raises:
        UserError: A width is below 1, there is no such parametrization, or the gain is not above 0.

    Example:
        >>> network = FullyConnected((3, 50, 50))
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jax.numpy.ones((7, 3))).shape
        (7,)
    """

    widths: tuple[int, ...] = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True, default=None)
    activation: Callable[[Any], Any] = eqx.field(static=True, default=jax.nn.relu)
    gain: float = 2.0
    parametrization: str = eqx.field(static=True, default="ntk")

    def __check_init__(self) -> None:
        if not are_counts(self.widths) or len(self.widths) < 2:
            raise UserError(
                "widths must name the inputs and one hidden layer or more, such as (3, 50), got "
                f"{self.widths!r:.100}"
            )
        if self.outputs is not None and not are_counts([self.outputs]):
            raise UserError(
                f"outputs must be 1 or more, or None for one number, got {self.outputs!r:.100}"
            )
        if self.parametrization not in ("ntk", "standard"):
            raise UserError(
                f"parametrization must be 'ntk' or 'standard', got {self.parametrization!r}"
            )
        _check_factor("gain", self.gain)

    def init(self, key: Array) -> Params:
        """Normal parameters: `W1`, `W2`, ..., and `a`."""
        ends = () if self.outputs is None else (self.outputs,)
        shapes = {
            f"W{number}": pair
            for number, pair in enumerate(zip(self.widths[1:], self.widths, strict=False), start=1)
        } | {"a": (*ends, self.widths[-1])}
        keys = jax.random.split(key, len(shapes))
        return {
            name: self._root(shape[-1], drawn=True) * jax.random.normal(each, shape)
            for each, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def __call__(self, params: Params, x: Float[Numeric, "batch n"]) -> Float[Array, "batch ..."]:
        """The outputs at a batch of vectors."""
        for number, before in enumerate(self.widths[:-1], start=1):
            sums = self._root(before, drawn=False) * (x @ params[f"W{number}"].T)
            x = self.gain**0.5 * self.activation(sums)
        return self._root(self.widths[-1], drawn=False) * (x @ params["a"].T)

    def _root(self, width: int, *, drawn: bool) -> float:
        """`1 / sqrt(width)` where the parametrization has it: in what is drawn, or the formula."""
        return 1 / math.sqrt(width) if drawn == (self.parametrization == "standard") else 1.0


class LeakyTwoLayer(Network):
    """`f(x) = v sum_j s(w_j . x) - v sum_j s(u_j . x)`, with `s(z) = max(z, slope * z)`.

    Only the first layer is trained; the second is `+v` for `width` units and `-v` for as many
    (Brutzkus et al. 2018, Sarussi et al. 2021). The derivative at 0 is 1.

    Attributes:
        inputs: The extent of `x`.
        width: Units of each sign.
        slope: That of `s` below 0, between 0 and 1.
        deviation: The standard deviation of the initial `w` and `u`.
        output: `v`; None for `1 / sqrt(2 width)`.

    Raises:
        UserError: A number is out of range.

    Example:
        >>> network = LeakyTwoLayer(3, width=20)
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jax.numpy.ones((7, 3))).shape
        (7,)
    """

    inputs: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    slope: float = 0.3
    deviation: float = 0.01
    output: float | None = None

    def __check_init__(self) -> None:
        check_counts(inputs=self.inputs, width=self.width)
        if not 0 < self.slope < 1:
            raise UserError(f"slope must lie between 0 and 1, got {self.slope}")
        if not self.deviation > 0 or not (self.output is None or self.output > 0):
            raise UserError(
                f"deviation and output must be above 0, got {self.deviation} and {self.output}"
            )

    def init(self, key: Array) -> Params:
        """Normal parameters: `w` and `u`."""
        shape = self.width, self.inputs
        of_w, of_u = jax.random.split(key)
        return {
            "w": self.deviation * jax.random.normal(of_w, shape),
            "u": self.deviation * jax.random.normal(of_u, shape),
        }

    def __call__(self, params: Params, x: Float[Numeric, "batch n"]) -> Float[Array, " batch"]:
        """The output at each of a batch of vectors."""
        v = (2 * self.width) ** -0.5 if self.output is None else self.output
        plus, minus = (jax.nn.leaky_relu(x @ params[name].T, self.slope) for name in ("w", "u"))
        return v * (plus.sum(axis=-1) - minus.sum(axis=-1))


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

    Raises:
        UserError: A size is below 1, or `first` is not above 0.

    Example:
        >>> network = ResidualDense(3, width=20, depth=5)
        >>> params = network.init(jax.random.key(0))
        >>> network(params, jax.numpy.ones((7, 3))).shape
        (7,)
    """

    inputs: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    activation: Callable[[Any], Any] = eqx.field(static=True, default=jax.nn.softplus)
    first: float = 1.085487

    def __check_init__(self) -> None:
        check_counts(inputs=self.inputs, width=self.width, depth=self.depth)
        _check_factor("first", self.first)

    def init(self, key: Array) -> Params:
        """Standard normal parameters: `first`, `layers` (L - 1 of them), and `a`."""
        keys = jax.random.split(key, 3)
        return {
            "first": jax.random.normal(keys[0], (self.width, self.inputs)),
            "layers": jax.random.normal(keys[1], (self.depth - 1, self.width, self.width)),
            "a": jax.random.normal(keys[2], (self.width,)),
        }

    def __call__(self, params: Params, x: Float[Numeric, "batch n"]) -> Float[Array, " batch"]:
        """The output at each of a batch of vectors."""

        def layer(x: Array, weights: Array) -> tuple[Array, None]:
            return x + self.activation(x @ weights.T) / (self.depth * math.sqrt(self.width)), None

        x = math.sqrt(self.first / self.width) * self.activation(x @ params["first"].T)
        return jax.lax.scan(layer, x, params["layers"])[0] @ params["a"]


def _check_factor(name: str, value: float) -> None:
    try:
        fine = bool(0 < value < math.inf)
    except (TypeError, ValueError):  # a word, or several numbers
        fine = False
    if not fine:
        raise UserError(f"{name} must be a finite number above 0, got {value!r:.100}")
