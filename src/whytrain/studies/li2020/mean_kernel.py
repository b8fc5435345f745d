"""Does the mean tangent kernel of a finite ReLU network differ from the one at infinite width?"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from whytrain import lab
from whytrain.kernels import infinite_kernel
from whytrain.networks import FullyConnected
from whytrain.report import figures as draw

INPUTS = np.array([[-0.9895229, -0.5992491], [0.3, 1.1]])
MARGIN = 0.002
LIMIT = "limit of infinite width"


@dataclass(frozen=True, kw_only=True)
class MeanSettings(lab.Settings):
    """Networks without biases; a run is the mean over some of them."""

    width: int = lab.setting(20, "units of each hidden layer", low=1)
    layers: int = lab.setting(4, "matrices of weights, the last a vector", low=2)
    variance: float = lab.setting(
        2.0, "of a unit's weights times its inputs", low=0, exclusive=True
    )
    networks: int = lab.setting(1000, "networks in a run", low=1)

    @property
    def network(self) -> FullyConnected:
        """With ReLU."""
        return FullyConnected((2, *[self.width] * (self.layers - 1)), gain=self.variance)


def compute(settings: MeanSettings, runs: lab.Runs) -> xr.Dataset:
    """The mean kernel at one input and between two, over what each has at infinite width."""
    how = settings.width, settings.layers, settings.networks
    numbers = settings.networks * settings.width * (2 + settings.width * (settings.layers - 2))
    found = runs.draw(partial(_means, how), np.float32(settings.variance), numbers=numbers)
    limit = infinite_kernel(settings.network, INPUTS).tangent
    return xr.Dataset({
        "diagonal": ("run", found[:, 0] / limit[0, 0]), "across": ("run", found[:, 1] / limit[0, 1]),
        "kernel": ("run", found[:, 0].astype(float)),
    })  # fmt: skip


@partial(jax.jit, static_argnums=0)
def _means(how: tuple[int, int, int], keys: Array, variance: Array) -> Float[Array, "run 2"]:
    width, layers, networks = how

    def mean(key: Array) -> Array:
        keys = jax.random.split(key, networks)
        return jnp.mean(jax.vmap(lambda key: _kernel(width, layers, variance, key))(keys), axis=0)

    return jax.lax.map(mean, keys)


def _kernel(width: int, layers: int, variance: Array, key: Array) -> Float[Array, " 2"]:
    """`K[0, 0]` and `K[0, 1]` of one network, layer by layer; see `FullyConnected`."""
    extents = [2] + [width] * (layers - 1)
    shapes = [(width, before) for before in extents[:-1]] + [(width,)]
    keys = jax.random.split(key, layers)
    *hidden, last = (
        jax.random.normal(each, shape, jnp.float32) / math.sqrt(shape[-1])
        for each, shape in zip(keys, shapes, strict=True)
    )
    h, seen, slopes = jnp.asarray(INPUTS, jnp.float32), [], []
    for weights in hidden:
        seen.append(h)
        sums = h @ weights.T
        slopes.append(jnp.sqrt(variance) * (sums > 0))
        h = slopes[-1] * sums
    found, signal = (h @ h.T)[0] / width, jnp.broadcast_to(last, h.shape)
    for weights, before, slope in zip(hidden[::-1], seen[::-1], slopes[::-1], strict=True):
        signal = signal * slope
        found += (before @ before.T)[0] / before.shape[1] * (signal @ signal.T)[0]
        signal = signal @ weights
    return found
