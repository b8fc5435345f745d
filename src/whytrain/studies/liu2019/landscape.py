"""`landscape`: the closed forms beside autodiff, Monte Carlo and full-state descent."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain.lab import Experiment, Runs, Settings, setting
from whytrain.landscapes import SharedFilter, SphereReduction, Weights

# Points at a time: one shape each, compiled once, and bounded memory where points are sampled at.
TOGETHER = 4
MANY = 64


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(Settings):
    """A size of network and the effort to spend on each random point."""

    k: int = setting(9, "number of patches", low=1, high=10_000)
    p: int = setting(4, "length of a patch", low=2, high=10_000)
    samples: int = setting(20_000, "Monte Carlo samples a point", low=2)
    steps: int = setting(3000, "steps of descent, full beside reduced", low=1)
    step_size: float = setting(0.02, "step size of that descent", low=0, exclusive=True)


def compute(settings: LandscapeSettings, runs: Runs) -> xr.Dataset:
    """One random student and one random teacher a run.

    `loss_z` and `gradient_z`: closed form less Monte Carlo, in standard errors (of the gradient,
    along one random direction). `autodiff_error`: closed gradient less autodiff of the closed loss,
    over its length. `reduction_error`: largest difference of the order parameters between full and
    reduced descent at its end.
    """
    closed = functools.partial(_closed_forms, settings.k, settings.p, settings.samples)
    size = settings.step_size
    reduced = functools.partial(_reduction_error, settings.k, settings.p, settings.steps, size)
    return xr.Dataset({
        name: ("run", values)
        for check, together in ((closed, TOGETHER), (reduced, MANY))
        for name, values in runs.draw(jax.jit(jax.vmap(check)), together=together).items()
    })  # fmt: skip


def _random_point(k: int, p: int, key: Array) -> tuple[SharedFilter, Weights]:
    """A random teacher and a random student."""
    normal = jax.random.normal(key, (2 * (k + p),))  # one draw: each would be compiled by itself
    filter_star, v, output_star, a = jnp.split(normal, [p, 2 * p, 2 * p + k])
    filter_star = filter_star / jnp.sqrt(jnp.sum(filter_star**2))
    return SharedFilter(filter_star, output_star / np.sqrt(k)), Weights(v, a / np.sqrt(k))


def _closed_forms(k: int, p: int, samples: int, key: Array) -> dict[str, Array]:
    """Loss and gradient beside autodiff and Monte Carlo."""
    for_point, for_patches, for_direction = jax.random.split(key, 3)
    landscape, student = _random_point(k, p, for_point)
    patches = landscape.sample(for_patches, samples)
    towards = Weights(*jnp.split(jax.random.normal(for_direction, (p + k,)), [p]))
    grad = landscape.grad(student)
    auto = jax.grad(landscape.loss)(student)
    residual = landscape.predict(student, patches) - landscape.teacher(patches)
    change = jax.jvp(lambda w: landscape.predict(w, patches), (student,), (towards,))[1]
    slope = jnp.sum(grad.filter * towards.filter) + jnp.sum(grad.output * towards.output)
    return {
        "loss_z": _z(landscape.loss(student), 0.5 * residual**2),
        "gradient_z": _z(slope, residual * change),
        "autodiff_error": _distance(grad, auto) / _distance(grad, Weights(0.0, 0.0)),
    }


def _reduction_error(k: int, p: int, steps: int, step_size: float, key: Array) -> dict[str, Array]:
    """Full descent beside reduced descent, by the largest difference at the end."""
    landscape, student = _random_point(k, p, jax.random.split(key, 3)[0])
    star = jnp.asarray(landscape.output_star)
    reduction = SphereReduction.of_sums(k, jnp.sum(star), jnp.sum(star**2), landscape.activation)
    sizes = Weights(step_size, step_size)

    def step(_: Array, both: tuple) -> tuple:
        return landscape.normalized_step(both[0], sizes), reduction.normalized_step(both[1], sizes)

    full = landscape.retract(student)
    full, order = jax.lax.fori_loop(0, steps, step, (full, landscape.order(full)))
    apart = jnp.stack(landscape.order(full)) - jnp.stack(order)
    return {"reduction_error": jnp.max(jnp.abs(apart))}


def _z(exact: Array, sample: Array) -> Array:
    return (jnp.mean(sample) - exact) / (jnp.std(sample, ddof=1) / np.sqrt(sample.shape[0]))


def _distance(a: Weights, b: Weights) -> Array:
    return jnp.sqrt(jnp.sum((a.filter - b.filter) ** 2) + jnp.sum((a.output - b.output) ** 2))


def summarize(dataset: xr.Dataset, settings: LandscapeSettings) -> dict:
    """Share of points whose 95 % Monte Carlo interval covers the closed form; largest errors."""
    del settings
    covered = {
        f"{name}_coverage": float((abs(dataset[f"{name}_z"]) < 1.959964).mean())
        for name in ("loss", "gradient")
    }
    largest = {name: float(dataset[name].max()) for name in ("autodiff_error", "reduction_error")}
    return covered | largest


LANDSCAPE = Experiment(
    name="landscape",
    doc="closed forms beside autodiff, Monte Carlo and full-state descent",
    settings=LandscapeSettings,
    compute=compute,
    summarize=summarize,
    runs=64,
    block=1024,
)
