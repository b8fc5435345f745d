"""`sample-size`: the empirical loss along the negative coarse gradient (Figure 1 of the paper)."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain.gaussian import ESTIMATORS, step
from whytrain.lab import Experiment, Runs, setting
from whytrain.landscapes import SharedFilter, Weights
from whytrain.studies.yin2019.setup import TeacherSettings, told

SIZES = (10, 100, 1000, 10_000)


@dataclass(frozen=True, kw_only=True)
class SampleSettings(TeacherSettings):
    """The network, the estimator, and the step sizes to try."""

    m: int = setting(8, "number of patches", low=1, high=1000)
    n: int = setting(10, "length of a patch", low=2, high=1000)
    ste: str = setting("relu", "straight-through estimator", choices=tuple(ESTIMATORS))
    largest_step: float = setting(1.0, "largest step size", low=0, high=1e100, exclusive=True)
    grid: int = setting(101, "step sizes from 0 to the largest", low=10)


def compute(settings: SampleSettings, runs: Runs) -> xr.Dataset:
    """The loss on a sample after one step of each size, for samples of every size.

    `rises`: share of the moves to the next step size, on the way to the least loss, that go up.
    `roughness`: the largest of them over the whole fall.
    """
    curve = runs.draw(_curves, settings, together=2)
    rises, roughness = np.vectorize(_roughness, signature="(n)->(),()")(curve)
    return xr.Dataset(
        {
            "loss": (("run", "samples", "step"), curve),
            "rises": (("run", "samples"), rises),
            "roughness": (("run", "samples"), roughness),
        },
        {"samples": list(SIZES), "step": np.linspace(0, settings.largest_step, settings.grid)},
    )


@functools.partial(jax.jit, static_argnums=1)
def _curves(keys: Array, settings: SampleSettings) -> Array:
    return jax.vmap(lambda key: _curve(settings, key))(keys)


def _curve(settings: SampleSettings, key: Array) -> Array:
    for_start, for_patches = jax.random.split(key)
    normal = jax.random.normal(for_start, (settings.m + settings.n,))
    star = jnp.eye(settings.n)[0]
    network = SharedFilter(star, jnp.asarray(settings.output_star), step(ESTIMATORS[settings.ste]))
    w = normal[settings.m :]
    student = Weights(w / jnp.sqrt(jnp.sum(w**2)), 0.3 * normal[: settings.m])
    patches = network.sample(for_patches, SIZES[-1])
    sizes = jnp.linspace(0, settings.largest_step, settings.grid)

    def along(batch: Array) -> Array:
        slope = network.empirical_grad(student, batch)
        move = lambda size: jax.tree.map(lambda p, g: p - size * g, student, slope)  # noqa: E731
        return jax.lax.map(lambda size: network.empirical_loss(move(size), batch), sizes)

    return jnp.stack([along(patches[:size]) for size in SIZES])


def _roughness(curve: np.ndarray) -> tuple[float, float]:
    best = int(curve.argmin())
    moves = np.diff(curve[: best + 1])
    if not len(moves):
        return 1.0, 1.0  # no step helps at all
    return float((moves > 0).mean()), float(max(moves.max(), 0.0) / (curve[0] - curve[best]))


def summarize(dataset: xr.Dataset, settings: SampleSettings) -> dict:
    """Means over the runs, for every sample size."""
    del settings
    return {
        "samples": dataset.samples.values.tolist(),
        "rises": [told(one, np.mean) for one in dataset.rises.values.T],
        "roughness": [told(one, np.mean) for one in dataset.roughness.values.T],
    }


SAMPLING = Experiment(
    name="sample-size",
    doc="empirical loss along the negative coarse gradient, for several sample sizes",
    settings=SampleSettings,
    compute=compute,
    summarize=summarize,
    runs=16,
    block=16,
)
