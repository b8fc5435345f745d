"""`phase-prior` and `phase-alignment`: the success rate over two settings."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain.dynamics import simulate
from whytrain.errors import UserError
from whytrain.lab import Derived, Experiment, Runs, setting
from whytrain.landscapes import Outcome, SphereOrder
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders


@dataclass(frozen=True, kw_only=True)
class RatioSettings(DescentSettings):
    """The axis of the ratio of step sizes, without warm-up unless asked for."""

    warmup: bool = setting(False, "whether the filter's step size starts at step_size^2")
    ratio_low: float = setting(0.01, "smallest filter_step_size / step_size", low=0, exclusive=True)
    ratio_high: float = setting(1.0, "largest filter_step_size / step_size", low=0, exclusive=True)
    ratios: int = setting(17, "log-spaced ratios", low=1, high=1000)

    def check(self) -> None:
        """The axis runs upwards."""
        super().check()
        _check_axis("ratio", self.ratio_low, self.ratio_high)

    @property
    def ratio_axis(self) -> np.ndarray:
        """The ratios."""
        return np.geomspace(self.ratio_low, self.ratio_high, self.ratios)

    def at_ratio(self, ratio: float) -> DescentSettings:
        """The settings with the filter's step size at this ratio."""
        return dataclasses.replace(self, filter_step_size=ratio * self.step_size)


@dataclass(frozen=True, kw_only=True)
class PriorSettings(RatioSettings):
    """Angle of the prior against the ratio of step sizes."""

    angle_low: float = setting(0.1, "smallest angle of v_0 to v*", unit="rad", low=0, high=math.pi)
    angle_high: float = setting(3.0, "largest angle of v_0 to v*", unit="rad", low=0, high=math.pi)
    angles: int = setting(25, "angles", low=1, high=1000)

    def check(self) -> None:
        """A prior is a matter of the network with a shortcut."""
        super().check()
        if self.architecture != "resnet":
            raise UserError(
                "setting 'architecture' must be 'resnet' here: only it has a prior angle"
            )
        _check_axis("angle", self.angle_low, self.angle_high)

    @property
    def angle_axis(self) -> np.ndarray:
        """The angles."""
        return np.linspace(self.angle_low, self.angle_high, self.angles)


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings(RatioSettings):
    """Alignment of the teacher against the ratio of step sizes."""

    architecture: str = setting("cnn", "network", choices=("resnet", "cnn"))
    alignment_low: float = setting(0.1, "smallest S^2/A", low=0, exclusive=True)
    alignment_high: Derived[float] = setting(
        None, "largest S^2/A; default k", low=0, exclusive=True
    )
    alignments: int = setting(17, "log-spaced alignments", low=1, high=1000)

    def check(self) -> None:
        """The axis runs upwards and ends at k at most."""
        super().check()
        self.derive("alignment_high", float(self.k))
        _check_axis("alignment", self.alignment_low, self.alignment_high)
        if self.alignment_high > self.k:
            raise UserError(
                f"setting 'alignment_high' must be <= k = {self.k}, got {self.alignment_high:g}"
            )

    @property
    def alignment_axis(self) -> np.ndarray:
        """The alignments."""
        axis = np.geomspace(self.alignment_low, self.alignment_high, self.alignments)
        return np.minimum(axis, self.k)


def compute_prior(settings: PriorSettings, runs: Runs) -> xr.Dataset:
    """Outcomes over run, angle and ratio; all cells share their starts."""
    start = draw_orders(settings, runs)
    angles = settings.angle_axis
    starts = SphereOrder(
        np.tile(angles, len(runs)), *(np.repeat(leaf, len(angles)) for leaf in start[1:])
    )
    outcome = np.empty((len(runs), len(angles), settings.ratios), np.int8)
    for column, ratio in enumerate(settings.ratio_axis):
        method = settings.at_ratio(ratio).method
        ended = simulate(settings.reduction, method, starts, settings.steps)
        outcome[:, :, column] = ended.outcome.values.reshape(len(runs), -1)
    return xr.Dataset(
        {"outcome": (("run", "angle", "ratio"), outcome)},
        {"angle": ("angle", angles, {"units": "rad"}), "ratio": settings.ratio_axis},
    )


def compute_alignment(settings: AlignmentSettings, runs: Runs) -> xr.Dataset:
    """Outcomes over run, alignment and ratio; all cells share their random keys."""
    alignments = settings.alignment_axis
    outcome = np.empty((len(runs), len(alignments), settings.ratios), np.int8)
    for row, alignment in enumerate(alignments):
        teacher = dataclasses.replace(settings, alignment=alignment, radius=None)
        starts = draw_orders(teacher, runs)
        for column, ratio in enumerate(settings.ratio_axis):
            method = settings.at_ratio(ratio).method
            ended = simulate(teacher.reduction, method, starts, settings.steps)
            outcome[:, row, column] = ended.outcome.values
    return xr.Dataset(
        {"outcome": (("run", "alignment", "ratio"), outcome)},
        {"alignment": alignments, "ratio": settings.ratio_axis},
    )


def success_rates(dataset: xr.Dataset) -> xr.Dataset:
    """The success rate of every cell."""
    return (dataset.outcome == Outcome.GLOBAL).mean("run").to_dataset(name="success_rate")


def summarize(dataset: xr.Dataset, settings: RatioSettings) -> dict:
    """The axes and the success rate of every cell, a row for each value of the first axis."""
    del settings
    rates = success_rates(dataset).success_rate
    first = str(rates.dims[0])
    return {
        first: rates[first].values.tolist(),
        "ratio": rates.ratio.values.tolist(),
        "success_rate": rates.values.tolist(),
    }


def _check_axis(name: str, low: float, high: float) -> None:
    if low > high:
        raise UserError(f"setting '{name}_low' must be <= {name}_high = {high:g}, got {low:g}")


PHASE_PRIOR = Experiment(
    name="phase-prior",
    doc="success rate over the prior's angle and the ratio of step sizes",
    settings=PriorSettings,
    compute=compute_prior,
    summarize=summarize,
    version=2,
    runs=200,
    block=1024,
)
PHASE_ALIGNMENT = Experiment(
    name="phase-alignment",
    doc="success rate over the teacher's alignment and the ratio of step sizes",
    settings=AlignmentSettings,
    compute=compute_alignment,
    summarize=summarize,
    version=2,
    runs=200,
    block=1024,
)
