"""`separatrix`: at which angle the two basins part, overlap by overlap."""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain.dynamics import simulate
from whytrain.errors import UserError
from whytrain.lab import Experiment, Runs, setting
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019.setup import DescentSettings

HALVINGS = 20  # of an interval of pi: to 3e-6 rad


@dataclass(frozen=True, kw_only=True)
class SeparatrixSettings(DescentSettings):
    """As for `success-rate`, and the overlaps to start from."""

    warmup: bool = setting(False, "whether the filter's step size starts at step_size^2")
    overlap_low: float = setting(-1.1, "smallest overlap u/A at the start")
    overlap_high: float = setting(1.25, "largest overlap u/A at the start")

    def check(self) -> None:
        """The overlaps are a range."""
        super().check()
        if self.overlap_low > self.overlap_high:
            raise UserError(
                f"setting 'overlap_low' must be <= overlap_high = {self.overlap_high:g}, got "
                f"{self.overlap_low:g}"
            )


def compute(settings: SeparatrixSettings, runs: Runs) -> xr.Dataset:
    """One random overlap a run, and the angle at which the outcome changes, by bisection.

    The sum of the output weights starts at its best for the angle. The angle is NaN for an overlap
    from which all runs, or none, reach the global optimum.
    """
    reduction = settings.reduction
    low_end, high_end = settings.overlap_low, settings.overlap_high
    where = low_end + (high_end - low_end) * runs.draw(_uniforms)
    overlap = where * float(reduction.power_star)
    low, high = np.zeros_like(overlap), np.full_like(overlap, math.pi)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        starts = reduction.settled(middle)._replace(overlap=overlap)
        ended = simulate(reduction, settings.method, starts, settings.steps)
        falls = ended.outcome.values == Outcome.GLOBAL
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    parted = (high < math.pi - 1e-3) & (low > 1e-3)
    angle = np.where(parted, (low + high) / 2, np.nan)
    return xr.Dataset({"overlap": ("run", where), "angle": ("run", angle)})


@jax.jit
def _uniforms(keys: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.uniform)(keys)


def summarize(dataset: xr.Dataset, settings: SeparatrixSettings) -> dict:
    """The share of overlaps that have such an angle, and the angle's range."""
    del settings
    angle = dataset.angle.values[np.isfinite(dataset.angle.values)]
    least, most = (angle.min(), angle.max()) if angle.size else (math.nan, math.nan)
    return {
        "parted": angle.size / dataset.sizes["run"],
        "smallest_angle": float(least),
        "largest_angle": float(most),
    }


SEPARATRIX = Experiment(
    name="separatrix",
    doc="at which angle the two basins part, overlap by overlap",
    settings=SeparatrixSettings,
    compute=compute,
    summarize=summarize,
    runs=400,
    block=1024,
)
