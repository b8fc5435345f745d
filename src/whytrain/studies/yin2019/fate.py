"""`identity-fate`: what becomes of the identity estimator at the spurious minimum."""

import dataclasses
import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain.dynamics import GradientDescent, simulate
from whytrain.errors import UserError
from whytrain.lab import Experiment, Runs, Settings, setting
from whytrain.landscapes import Outcome, PlaneOrder
from whytrain.studies.yin2019.setup import (
    TeacherSettings,
    collapse_time,
    settled,
    sliding_kappa,
    told,
    trapping_threshold,
)


@dataclass(frozen=True, kw_only=True)
class FateSettings(Settings):
    """The alignments to try, and how the runs start and move."""

    m: int = setting(10, "number of patches", low=2, high=100_000)
    low: float = setting(0.03, "smallest alignment u", low=0, high=0.5, exclusive=True)
    high: float = setting(0.45, "largest alignment u", low=0, high=0.5, exclusive=True)
    alignments: int = setting(12, "how many", low=1, high=1000)
    tilt: float = setting(
        1e-3, "largest angle to the spurious minimum at the start", unit="rad", low=0, high=1
    )
    step_size: float = setting(0.002, "step size of both blocks", low=0, exclusive=True)
    horizon: float = setting(
        120.0, "time after the collapse, in step size times steps; longer just above u_c", low=1
    )
    times: int = setting(2000, "times at which runs are looked at", low=100, high=100_000)

    def check(self) -> None:
        """The axis runs upwards."""
        if self.low > self.high:
            raise UserError(f"setting 'low' must be <= high = {self.high:g}, got {self.low:g}")

    @property
    def axis(self) -> np.ndarray:
        """The alignments."""
        return np.linspace(self.low, self.high, self.alignments)

    def teacher(self, u: float) -> TeacherSettings:
        """The teacher with this alignment."""
        return TeacherSettings(m=self.m, alignment=float(u))


def compute(settings: FateSettings, runs: Runs) -> xr.Dataset:
    """Outcome, collapse time over the predicted one, and mean `P/N` at the end, for every u."""
    cells = [_cell(settings, runs, i, float(u)) for i, u in enumerate(settings.axis)]
    joined = xr.concat(cells, dim="alignment").transpose("run", "alignment")
    return joined.assign_coords(alignment=settings.axis)


def _tilts(settings: FateSettings, runs: Runs, number: int) -> np.ndarray:
    """Angles to the spurious minimum, independent from one alignment to the next."""
    with jax.enable_x64(True):
        drawn = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, number)))
        return settings.tilt * np.asarray(drawn(runs.keys()))


def _cell(settings: FateSettings, runs: Runs, number: int, u: float) -> xr.Dataset:
    reduction = settings.teacher(u).reduction("identity")
    tilt = _tilts(settings, runs, number)
    start = settled(reduction, math.pi)
    starts = PlaneOrder(
        -np.cos(tilt), np.sin(tilt), *(np.full(len(runs), float(leaf)) for leaf in start[2:])
    )
    alone = collapse_time(settings.m, u)
    steps = math.ceil((alone + settings.horizon + slowing(settings.m, u)) / settings.step_size)
    ended = simulate(
        reduction, GradientDescent(settings.step_size), starts, steps,
        observables=("radius", "overlap", "size"),
        times=np.unique(np.linspace(0, steps, settings.times).astype(int)),
    )  # fmt: skip
    # The length falls evenly: from when half of it is gone the end is known.
    time, radius = ended.time.values * settings.step_size, ended.radius.values
    half = np.argmax(radius < 0.5, axis=1)
    run = np.arange(len(runs))
    fallen = time[half] / np.maximum(1 - radius[run, half], 1e-9)
    fallen = np.where(radius.min(axis=1) < 0.05, fallen, np.nan)
    late = slice(-settings.times // 10, None)
    kappa = (ended.overlap / ended["size"]).isel(time=late).mean("time")
    return xr.Dataset({
        "outcome": ended.outcome,
        "collapse": ("run", fallen / alone),
        "kappa": ("run", kappa.values),
    })  # fmt: skip


def slowing(m: int, u: float) -> float:
    """How much longer to wait just above `u_c`, in step size times steps.

    The equilibria that trap a run meet at `u_c` and are gone above it; a run takes a time of order
    `1 / sqrt(u - u_c)` to pass where they were, as at any saddle-node; the factor is twice what was
    measured for m from 2 to 1000. (Nearer than about step_size / 40, the step size decides.)
    """
    above = u - trapping_threshold(m)
    return 10 / math.sqrt(max(above, 5e-5)) if above >= 0 else 0.0


def predicted(settings: FateSettings) -> np.ndarray:
    """The outcome for every alignment: collapsed below `u_c`, global above."""
    trapped = settings.axis < trapping_threshold(settings.m)
    return np.where(trapped, Outcome.COLLAPSED, Outcome.GLOBAL)


def kappa_roots(settings: FateSettings) -> np.ndarray:
    """The root that the time-average of `kappa` of trapped runs is claimed to be."""
    return np.array([sliding_kappa(settings.m, float(u)) for u in settings.axis])


def summarize(dataset: xr.Dataset, settings: FateSettings) -> dict:
    """For every alignment the share of trapped runs, and what was predicted."""
    return {
        "threshold": trapping_threshold(settings.m),
        "alignment": settings.axis.tolist(),
        "trapped": (dataset.outcome == Outcome.COLLAPSED).mean("run").values.tolist(),
        "escaped": (dataset.outcome == Outcome.GLOBAL).mean("run").values.tolist(),
        "collapse_over_predicted": [told(one, np.mean) for one in dataset.collapse.values.T],
        "kappa": [told(one, np.mean) for one in dataset.kappa.values.T],
        "kappa_predicted": kappa_roots(settings).tolist(),
    }


def at(settings: FateSettings, u: float) -> FateSettings:
    """The same with a single alignment."""
    return dataclasses.replace(settings, low=u, high=u, alignments=1)


FATE = Experiment(
    name="identity-fate",
    doc="the identity estimator from the spurious minimum: trapped or escaped, over the alignment",
    settings=FateSettings,
    compute=compute,
    summarize=summarize,
    runs=8,
    block=256,
    version=2,
)
