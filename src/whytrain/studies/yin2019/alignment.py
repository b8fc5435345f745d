"""`alignment-map`: the angle between the coarse and the true gradient of the filter."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain.gaussian import ESTIMATORS
from whytrain.lab import Experiment, Runs, setting
from whytrain.landscapes import PlaneOrder
from whytrain.studies.yin2019.setup import TeacherSettings, told


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings(TeacherSettings):
    """The estimator, and the axes of the map."""

    ste: str = setting("relu", "straight-through estimator", choices=tuple(ESTIMATORS))
    filter_norm: float = setting(1.0, "length of the filter", low=1e-100, high=1e100)
    spread: float = setting(
        0.05, "standard deviation of the output weights about p v*", low=0, high=1e100
    )
    angles: int = setting(41, "angles of the filter, inside (0, pi)", low=1, high=1000)
    overlaps: int = setting(40, "values of P, from -1 to 1 without 0", low=2, high=1000)

    @property
    def angle_axis(self) -> np.ndarray:
        """The angles."""
        return (np.arange(self.angles) + 0.5) * math.pi / self.angles

    @property
    def overlap_axis(self) -> np.ndarray:
        """The overlaps."""
        return (np.arange(self.overlaps) + 0.5) * 2 / self.overlaps - 1


def compute(settings: AlignmentSettings, runs: Runs) -> xr.Dataset:
    """The angle in radians for output weights about `P v*`, over run, angle and overlap."""
    reduction = settings.reduction(settings.ste)
    star = settings.output_star  # of NumPy: outside a computation JAX would round it

    def one(key: Array) -> Array:
        noise = settings.spread * jax.random.normal(key, (settings.m,))
        noise = noise - jnp.sum(noise * star) * star  # P stays as it is

        def at(angle: Array, overlap: Array) -> Array:
            v = overlap * star + noise
            x, y = settings.filter_norm * jnp.cos(angle), settings.filter_norm * jnp.sin(angle)
            place = PlaneOrder(x, y, jnp.sum(v), overlap, jnp.sum(v**2))
            radial, across = reduction.filter_slope(place)
            # The true gradient is -P / (2 pi r) across the filter.
            return jnp.arctan2(jnp.abs(radial), -across * jnp.sign(overlap))

        over = jax.vmap(jax.vmap(at, (None, 0)), (0, None))
        return over(jnp.asarray(settings.angle_axis), jnp.asarray(settings.overlap_axis))

    apart = runs.draw(jax.jit(jax.vmap(one)), together=4)
    return xr.Dataset(
        {"apart": (("run", "angle", "overlap"), apart, {"units": "rad"})},
        {
            "angle": ("angle", settings.angle_axis, {"units": "rad"}),
            "overlap": settings.overlap_axis,
        },
    )


def summarize(dataset: xr.Dataset, settings: AlignmentSettings) -> dict:
    """Mean and largest angle between the two, over the map."""
    del settings
    return {"mean": told(dataset.apart, np.mean), "largest": told(dataset.apart)}


ALIGNMENT = Experiment(
    name="alignment-map",
    doc="angle between coarse and true gradient of the filter, over its angle and the overlap",
    settings=AlignmentSettings,
    compute=compute,
    summarize=summarize,
    runs=16,
    block=256,
)
