"""`zero-filter`: whether `(v, 0)` is a local minimum, for random output weights `v`."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain.lab import Experiment, Runs, setting
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.setup import TeacherSettings

SLACK = 1e-3  # relative margin within which the condition is not decided numerically


@dataclass(frozen=True, kw_only=True)
class ZeroSettings(TeacherSettings):
    """The teacher, and how many filters are tried around zero."""

    m: int = setting(4, "number of patches", low=1, high=10_000)
    angles: int = setting(181, "angles of short filters", low=3)


def compute(settings: ZeroSettings, runs: Runs) -> xr.Dataset:
    """A run draws `v`; `least` is the least of `f(v', w) - f(v, 0)` over short `w` and `v'` near.

    `margin` is `N + S^2 - 2 (|P| + S S*)` over its scale: the corrected statement is that `(v, 0)`
    is a local minimum where it is positive and none where it is negative.
    """
    star = settings.output_star  # of NumPy: outside a computation JAX would round it
    angles = np.linspace(0, math.pi, settings.angles)
    base = (np.sum(star**2) + np.sum(star) ** 2) / 8

    def one(key: Array) -> dict[str, Array]:
        normal = jax.random.normal(key, (9, len(star)))
        near = normal[0] + 1e-6 * jnp.concatenate([jnp.zeros((1, len(star))), normal[1:]])
        losses = jax.vmap(lambda v: jax.vmap(lambda t: printed.loss(v, star, t))(angles))(near)
        v = normal[0]
        s, overlap = jnp.sum(v), jnp.sum(v * star)
        size = jnp.sum(v**2) + s**2
        margin = (size - 2 * (jnp.abs(overlap) + s * jnp.sum(star))) / size
        return {"least": jnp.min(losses) - base, "margin": margin}

    found = runs.draw(jax.jit(jax.vmap(one)), together=256)
    return xr.Dataset({name: ("run", values) for name, values in found.items()})


def minimum(dataset: xr.Dataset) -> np.ndarray:
    """Whether each `(v, 0)` is a local minimum: nothing near is lower."""
    return dataset.least.values >= 0


def summarize(dataset: xr.Dataset, settings: ZeroSettings) -> dict:
    """The share of output weights for which it is one, and how often the condition says so."""
    del settings
    stated = dataset.margin.values > 0
    return {
        "local_minimum_fraction": float(minimum(dataset).mean()),
        "condition_agrees": float((stated == minimum(dataset)).mean()),
    }


ZERO = Experiment(
    name="zero-filter",
    doc="whether a filter of length zero is a local minimum, for random output weights",
    settings=ZeroSettings,
    compute=compute,
    summarize=summarize,
    runs=1000,
)
