"""The networks of the study, the data that they fit, and powers of the width."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain import lab
from whytrain.errors import UserError
from whytrain.networks import FullyConnected, Network, ResidualDense

LLY = "Li, Luo and Yip 2022"
HY = "Huang and Yau 2020"
NETWORKS = {"residual": "with shortcuts", "connected": "fully connected"}
COLORS = {"residual": "residual", "connected": "plain"}
TOGETHER = 4  # runs that are computed at a time
MOST = 10**8  # parameters of a network: beyond its memory XLA ends the process
# Each with 1 / E s(z)^2, with which units keep their mean square from layer to layer.
ACTIVATIONS: dict[str, tuple[Callable, float]] = {
    "tanh": (jnp.tanh, 2.536175),
    "softplus": (jax.nn.softplus, 1.085487),
}

# These programs run for a second or two, and at XLA's highest level compile for thirty.
compiled = partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 1}
)


class Problem(NamedTuple):
    """What a network starts from, and what it is to fit."""

    params: Any
    x: Float[Array, "n d"]
    y: Float[Array, " n"]


def check_size(inputs: int, width: int, depth: int) -> None:
    """Refuse a network of more parameters than can be computed with.

    Raises:
        UserError: It has more than `MOST`.
    """
    size = width * (inputs + width * (depth - 1))
    if size > MOST:
        raise UserError(
            f"{depth} hidden layers of width {width} have {size:.1e} parameters, and at most "
            f"{MOST:.0e} can be computed with; take a smaller width or fewer layers"
        )


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(lab.Settings):
    """A network at random parameters, and random data: one draw of both a run."""

    network: str = lab.setting("residual", "architecture", choices=tuple(NETWORKS))
    width: int = lab.setting(64, "units m of each hidden layer", low=1, high=100_000)
    depth: int = lab.setting(3, "hidden layers L", low=1, high=1000)
    activation: str = lab.setting("tanh", "activation", choices=tuple(ACTIVATIONS))
    examples: int = lab.setting(8, "training examples n", low=2, high=100_000)
    inputs: int = lab.setting(10, "length d of an input", low=2, high=100_000)

    def check(self) -> None:
        """There are not too many parameters."""
        check_size(self.inputs, self.width, self.depth)

    @property
    def model(self) -> Network:
        """The network."""
        activation, gain = ACTIVATIONS[self.activation]
        if self.network == "residual":
            return ResidualDense(self.inputs, self.width, self.depth, activation, gain)
        widths = (self.inputs, *[self.width] * self.depth)
        return FullyConnected(widths, activation=activation, gain=gain)

    def draw(self, key: Array) -> Problem:
        """Normal parameters, random inputs, and targets that are off by 1 or -1 at the start.

        So every run starts with the loss 1/2: that of random targets varies, and all else with it.
        """
        of_params, of_inputs, of_targets = jax.random.split(key, 3)
        x, params = self.points(of_inputs), self.model.init(of_params)
        off = jax.random.rademacher(of_targets, (self.examples,), x.dtype)
        return Problem(params, x, self.model(params, x) + off)

    def points(self, key: Array) -> Float[Array, "n d"]:
        """Random inputs on the unit sphere.

        `FullyConnected` divides its inputs by `sqrt(d)`, and gets them so much longer.
        """
        x = jax.random.normal(key, (self.examples, self.inputs))
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        return x * math.sqrt(self.inputs) if self.network == "connected" else x


def power(cells: lab.Cells, name: str, axis: str = "width") -> lab.Estimate:
    """The power of a setting with which a number goes, of one network."""
    by = cells.by(axis)
    groups = [np.log(each.pooled(name)) for each in by.values()]
    return lab.estimate_power(list(by), groups)


def powers(name: str, *networks: str) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """The powers of the width with which a number goes, a network each."""
    chosen = networks or tuple(NETWORKS)
    return lambda cells: [power(cells.sel(network=each), name) for each in chosen]


def grown(name: str, by: float) -> Callable[[lab.Cells], lab.Cells]:
    """A fault: a number grows by another power of the width."""
    return lab.grown(name, "width", by)


def mean_line(cells: lab.Cells, name: str, axis: str = "width") -> dict[str, Any]:
    """The mean logarithm of a number over a setting, with its interval, for a line of a figure."""
    by = cells.by(axis)
    found = [lab.estimate_mean(np.log(each.pooled(name))) for each in by.values()]
    ends = np.exp([[each.value, each.low, each.high] for each in found])
    return {"x": np.array(list(by)), "y": ends[:, 0], "low": ends[:, 1], "high": ends[:, 2]}
