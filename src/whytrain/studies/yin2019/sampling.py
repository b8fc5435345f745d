"""What does a finite sample change? The loss along the negative coarse gradient (Figure 1)."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from whytrain import lab
from whytrain.gaussian import ESTIMATORS, step
from whytrain.landscapes import SharedFilter, Weights
from whytrain.report import figures as draw
from whytrain.studies.yin2019.setup import YIN, EstimatorSettings

SIZES = (10, 100, 1000, 10_000)
SMOOTH = 0.01  # the largest move upward over the whole fall, for many samples


@dataclass(frozen=True, kw_only=True)
class SampleSettings(EstimatorSettings):
    """The network, the estimator, and the step sizes to try."""

    m: int = lab.setting(8, "number of patches", low=1, high=1000)
    n: int = lab.setting(10, "length of a patch", low=2, high=1000)
    largest_step: float = lab.setting(1.0, "largest step size", low=0, high=1e100, exclusive=True)
    grid: int = lab.setting(101, "step sizes from 0 to the largest", low=10)


def compute(settings: SampleSettings, runs: lab.Runs) -> xr.Dataset:
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


SAMPLING = lab.Experiment(
    "sample-size",
    "empirical loss along the negative coarse gradient, for several sample sizes",
    SampleSettings, compute, lab.summarize, runs=16, block=16,
)  # fmt: skip

SAMPLES = SAMPLING.grid({"quick": {"runs": 24}, "paper": {"runs": 100}})


def _at(cells: lab.Cells, size: int) -> np.ndarray:
    """The roughness of every run at so many samples."""
    return np.concatenate([cell.data.roughness.sel(samples=size).values for cell in cells])


def _smooth(cells: lab.Cells) -> np.ndarray:
    return _at(cells, SIZES[-1]) < SMOOTH


def _rougher(cells: lab.Cells) -> np.ndarray:
    """Whether it is more than twice as rough at the fewest samples.

    Run by run: one that hardly falls may be rougher by any factor, and would decide a mean.
    """
    return _at(cells, SIZES[0]) > 2 * _at(cells, SIZES[-1])


def _roughness_in_words(cells: lab.Cells) -> str:
    means = [cell.data.roughness.mean("run").values for cell in cells]
    steps = ", ".join(f"{x:.4f}" for x in np.mean(means, axis=0))
    return f"means at {', '.join(f'{size:,}' for size in SIZES)} samples: {steps}"


def _all_as_at_100(roughness: np.ndarray) -> np.ndarray:
    """The roughness does not depend on the samples, it is that of so many."""
    return np.repeat(roughness[:, [SIZES.index(100)]], len(SIZES), axis=1)


CLAIMS = (
    lab.Claim(
        id="Y-R1", title="With more samples the way down is smooth", group="experiments",
        source=f"{YIN}, Remark 1 and Figure 1",
        statement="Along the negative coarse gradient the empirical loss falls only at a coarse "
        "scale for few samples, and smoothly for many. (Here: its largest move upward over its "
        "whole fall is, in most runs, below 1 % for 10,000 samples, and more than twice as large "
        "for 10.)",
        requests=SAMPLES,
        parts=(
            lab.in_most_runs(_smooth, "share of runs whose largest sample is smooth to 1 %",
                             resolution=0.1),
            lab.in_most_runs(_rougher, "share of runs that are more than twice as rough at 10 "
                             "samples as at 10,000", resolution=0.1),
        ),
        faults=(
            lab.Fault("every sample is rougher by 1.1 % of the fall",
                      lab.added("roughness", 0.011)),
            lab.Fault("every sample is as rough as 100 are",
                      lab.altered("roughness", _all_as_at_100)),
        ),
        does_not_show="Steps other than the first one from a random start.",
        note=_roughness_in_words,
        figures=("samples",),
    ),
)  # fmt: skip


def _staircase(cells: lab.Cells):
    dataset = cells[0].data
    run = int(dataset.roughness.values[:, 0].argmax())
    curves = [
        draw.Series(dataset.step.values, curve, color="ink", width=1.4)
        for curve in dataset.loss.values[run]
    ]
    panels = [
        draw.Panel([curve], f"loss on {size} samples")
        for curve, size in zip(curves, SIZES, strict=True)
    ]
    figure = draw.lines(panels, x_label="step size along the negative coarse gradient")
    rough = dataset.roughness.mean("run").values
    return figure, (
        "One run: the loss on a sample, after one step along the negative coarse gradient of the "
        "same sample. With few samples it is a staircase that falls only on the whole; with many "
        "it is smooth. Largest upward move over the whole fall, mean over "
        f"{cells[0].runs} runs: {rough[0]:.3f} at {SIZES[0]} samples, "
        f"{rough[-1]:.4f} at {SIZES[-1]}."
    )


FIGURE = lab.Figure("samples", "The coarse gradient on samples", SAMPLES, _staircase)

TOPIC = lab.Topic((SAMPLING,), CLAIMS, (FIGURE,))
