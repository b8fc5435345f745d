"""Where does success end, over the prior's angle, the teacher's alignment and the step sizes?"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import simulate
from whytrain.errors import UserError
from whytrain.landscapes import Outcome, SphereOrder
from whytrain.report import figures as draw
from whytrain.studies.liu2019.setup import (
    OWN,
    DescentSettings,
    TeacherSettings,
    check_axis,
    draw_orders,
    length,
)


@dataclass(frozen=True, kw_only=True)
class RatioSettings(DescentSettings):
    """The axis of the ratio of step sizes, without warm-up unless asked for."""

    warmup: bool = lab.setting(False, "whether the filter's step size starts at step_size^2")
    ratio_low: float = lab.setting(
        0.01, "smallest filter_step_size / step_size", low=0, exclusive=True
    )
    ratio_high: float = lab.setting(
        1.0, "largest filter_step_size / step_size", low=0, exclusive=True
    )
    ratios: int = lab.setting(17, "log-spaced ratios", low=1, high=1000)

    def check(self) -> None:
        """The axis runs upwards."""
        super().check()
        check_axis("ratio", self.ratio_low, self.ratio_high)

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

    angle_low: float = lab.setting(
        0.1, "smallest angle of v_0 to v*", unit="rad", low=0, high=math.pi
    )
    angle_high: float = lab.setting(
        3.0, "largest angle of v_0 to v*", unit="rad", low=0, high=math.pi
    )
    angles: int = lab.setting(25, "angles", low=1, high=1000)

    def check(self) -> None:
        """A prior is a matter of the network with a shortcut."""
        super().check()
        if self.architecture != "resnet":
            raise UserError(
                "setting 'architecture' must be 'resnet' here: only it has a prior angle"
            )
        check_axis("angle", self.angle_low, self.angle_high)

    @property
    def angle_axis(self) -> np.ndarray:
        """The angles."""
        return np.linspace(self.angle_low, self.angle_high, self.angles)


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings(RatioSettings):
    """Alignment of the teacher against the ratio of step sizes."""

    architecture: str = lab.setting("cnn", "network", choices=("resnet", "cnn"))
    alignment_low: float = lab.setting(0.1, "smallest S^2/A", low=0, exclusive=True)
    alignment_high: lab.Derived[float] = lab.setting(
        None, "largest S^2/A; default k", low=0, exclusive=True
    )
    alignments: int = lab.setting(17, "log-spaced alignments", low=1, high=1000)

    def check(self) -> None:
        """The axis runs upwards and ends at k at most."""
        super().check()
        self.derive("alignment_high", float(self.k))
        check_axis("alignment", self.alignment_low, self.alignment_high)
        if self.alignment_high > self.k:
            raise UserError(
                f"setting 'alignment_high' must be <= k = {self.k}, got {self.alignment_high:g}"
            )

    @property
    def alignment_axis(self) -> np.ndarray:
        """The alignments."""
        axis = np.geomspace(self.alignment_low, self.alignment_high, self.alignments)
        return np.minimum(axis, self.k)


def compute_prior(settings: PriorSettings, runs: lab.Runs) -> xr.Dataset:
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


def compute_alignment(settings: AlignmentSettings, runs: lab.Runs) -> xr.Dataset:
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
    axes = {str(name): axis.values.tolist() for name, axis in rates.coords.items()}
    return axes | {"success_rate": rates.values.tolist()}


PHASE_PRIOR = lab.Experiment(
    name="phase-prior",
    doc="success rate over the prior's angle and the ratio of step sizes",
    settings=PriorSettings,
    compute=compute_prior,
    summarize=summarize,
    version=3,
    runs=200,
    block=1024,
)
PHASE_ALIGNMENT = lab.Experiment(
    name="phase-alignment",
    doc="success rate over the teacher's alignment and the ratio of step sizes",
    settings=AlignmentSettings,
    compute=compute_alignment,
    summarize=summarize,
    version=3,
    runs=200,
    block=1024,
)

PRIORS = PHASE_PRIOR.grid({
    "quick": {"runs": 100, "angles": 25, "ratios": 9},
    "paper": {"runs": 1000, "angles": 59, "ratios": 25},
})  # fmt: skip
ALIGNMENTS = PHASE_ALIGNMENT.grid(
    {
        "quick": {"runs": 200, "alignments": 17, "ratios": 5},
        "paper": {"runs": 1000, "alignments": 33, "ratios": 17},
    },
    ratio_low=0.1,
)


def saddle(at: Any) -> float:
    """The angle of a teacher's saddle; NaN where there is none."""
    teacher = TeacherSettings(k=at.k, alignment=at.alignment, norm=at.norm)
    return teacher.reduction.saddle_angle or math.nan


# The prior's angle, finely about the saddle's, at a small ratio; for teachers who have a saddle.
BORDER = PHASE_PRIOR.grid(
    {"quick": {"runs": 200}, "paper": {"runs": 1000}},
    cases=({"k": 16, "alignment": 1.0}, {"k": 49, "alignment": 1.0}, {"k": 49, "alignment": 4.0}),
    where=lambda settings: not math.isnan(saddle(settings)),
    norm=1.0, ratio_low=1e-4, ratio_high=1e-4, ratios=1, angles=31,
    angle_low=lambda at: np.nan_to_num(saddle(at), nan=1.0) - 0.03,
    angle_high=lambda at: np.nan_to_num(saddle(at), nan=1.0) + 0.03,
)  # fmt: skip


def _border(cells: lab.Cells) -> list[lab.Estimate]:
    """Where half of the runs succeed, less the saddle's angle; its step of the axis bounds it."""
    found = []
    for cell in cells:
        rate = success_rates(cell.data).success_rate.values[:, 0]
        angles = cell.data.angle.values
        if not angles[0] < saddle(cell.settings) < angles[-1]:
            raise UserError("the axis of angles does not hold the saddle's; leave it unset")
        after = int(np.argmax(rate < 0.5)) if (rate < 0.5).any() else len(angles) - 1
        before = max(after - 1, 0)
        low, high = (float(angles[place]) - saddle(cell.settings) for place in (before, after))
        found.append(lab.Estimate((low + high) / 2, low, high, None, cell.runs * len(angles)))
    return found


def _beyond_the_prior(cells: lab.Cells) -> lab.Estimate:
    return lab.largest([min(saddle(cell.settings) for cell in cells) - math.pi / 3])


def _turned_axis(cell: lab.Cell) -> lab.Cell:
    return lab.Cell(cell.settings, cell.data.assign_coords(angle=cell.data.angle + 0.02))


def _draw_priors(cells: lab.Cells) -> tuple:
    [cell] = cells
    at, border = cell.settings, saddle(cell.settings)
    ratios = cell.data.ratio.values[[0, -1]]
    figure = draw.phase_diagram(
        success_rates(cell.data), x="ratio", y="angle", log="x",
        borders=[
            ("paper's prior $π/3$", ratios, [math.pi / 3] * 2),
            ("saddle $φ_s$", ratios, [border, border]),
        ],
        x_label="$η_w/η_a$", y_label="prior angle $φ_0$ (rad)", value_label="success rate",
    )  # fmt: skip
    return figure, (
        f"ResNet {'with' if at.warmup else 'without'} warm-up, $k = {at.k}$, $‖a*‖ = "
        f"{length(at)}$, "
        f"{cell.runs} runs a cell. As $η_w/η_a$ falls the border becomes sharp at the saddle's "
        f"angle $φ_s = {border:.3f}$, well past the paper's $π/3$: the prior is sufficient, not "
        f"necessary. At "
        "equal step sizes even good priors fail now and then, which is what warm-up is for."
    )


def _draw_alignments(cells: lab.Cells) -> tuple:
    [cell] = cells
    at, edge = cell.settings, cell.settings.reduction.existence_threshold
    ratios = cell.data.ratio.values[[0, -1]]
    figure = draw.phase_diagram(
        success_rates(cell.data), x="ratio", y="alignment", log="xy",
        borders=[("$(k + π − 1)/π$", ratios, [edge, edge])],
        x_label="$η_w/η_a$", y_label="teacher's $S²/A$", value_label="success rate",
    )  # fmt: skip
    who = "Plain CNN from random filters" if at.architecture == "cnn" else "ResNet"
    return figure, (
        f"{who}, $k = {at.k}$, {cell.runs} runs a cell. Above $S²/A = (k+π−1)/π = {edge:.2f}$ the "
        "spurious minimum does not exist and every run succeeds; the further below it, the more "
        "fail, up to half of them, whatever the ratio of step sizes."
    )


CLAIMS = (
    lab.Claim(
        id="prior-is-not-tight", title="The prior could be weaker", group="caveats", source=OWN,
        statement="For $η_w/η_a → 0$ the exact border of success is $φ_0 = φ_s$, the saddle's "
        "angle, past $π/3$.",
        requests=BORDER,
        parts=(
            lab.Part("50 % crossing less the saddle's angle, to a step of the axis (rad)", _border,
                     lab.equals(0.0, 0.01)),
            lab.Part("least angle of a saddle less $π/3$ (rad)",
                     _beyond_the_prior, lab.above(0.0)),
        ),
        faults=(lab.Fault("the border is 0.02 rad past the saddle", lab.changed(_turned_axis)),),
        does_not_show="The border at larger $η_w/η_a$, which the figure has.",
        figures=("phase-prior",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((PHASE_PRIOR, PHASE_ALIGNMENT), CLAIMS, (
    lab.Figure("phase-prior", "How good a prior is needed", PRIORS, _draw_priors),
    lab.Figure("phase-alignment", "Which teachers have a spurious minimum",
               ALIGNMENTS, _draw_alignments),
))  # fmt: skip
