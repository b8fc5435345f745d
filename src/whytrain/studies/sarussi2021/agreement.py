"""When do all units agree with the labels, and do they go on to?"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import GradientDescent, log_times, simulate
from whytrain.report.numbers import number
from whytrain.studies.sarussi2021.setup import (
    DATA,
    SBG,
    NetworkSettings,
    TeacherLoss,
    at_scale,
    drawn,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AgreementSettings(NetworkSettings):
    """Data of two balls, and a fixed number of steps."""

    data: str = lab.setting("balls", "where examples come from", choices=DATA)
    step_size: float = lab.setting(1.0, "step size", low=0, high=1e50, exclusive=True)
    steps: int = lab.setting(500, "steps", low=2)


def compute(settings: AgreementSettings, runs: lab.Runs) -> xr.Dataset:
    """The step at which a run is first seen in perfect agreement, and whether it ever leaves."""
    problems = at_scale(drawn(runs, settings.draw), settings.init_scale)
    loss, method = TeacherLoss(settings.network), GradientDescent(settings.step_size)
    times = log_times(settings.steps)
    ended = simulate(
        loss, method, problems, settings.steps,
        observables=("imperfect",), times=times, extremes=("imperfect",),
    )  # fmt: skip
    inside = ended.imperfect.values == 0
    entered = np.where(inside.any(axis=1), times[inside.argmax(axis=1)], np.nan)
    signed = problems.y[..., None] * problems.x
    least = (signed @ signed.transpose(0, 2, 1)).min(axis=(1, 2))
    return xr.Dataset({
        "entered": ("run", entered),
        "left": ("run", ended.rise_imperfect.values > 0),
        "least": ("run", least),
    })  # fmt: skip


AGREEMENT = lab.Experiment(
    name="agreement",
    doc="when training enters the regime of perfect agreement, and whether it leaves it again",
    settings=AgreementSettings,
    compute=compute,
    runs=8,
    block=64,
)
SCALES = AGREEMENT.grid({"quick": {"runs": 8}, "paper": {"runs": 40}}, init_scale=(1e-4, 1e-2, 0.1))


CLAIMS = (
    lab.Claim(
        id="C-T4", title="On orthogonally separable data agreement lasts", group="dynamics",
        source=f"a sufficient condition, derived here; that there is one: {SBG}",
        statement="If $y_i y_j x_i·x_j ≥ 0$ for all pairs, gradient descent that is once in the "
        "regime of perfect agreement (every $w_j$ has the sign of every label, every $u_j$ the "
        "other) stays there; from small weights it is there after a few steps.",
        requests=SCALES,
        parts=(
            lab.Part("largest $−y_i y_j x_i·x_j$",
                     lambda cells: lab.largest(-cells.pooled("least")), lab.at_most(0.0)),
            lab.in_every_run(lambda cells: np.isfinite(cells.pooled("entered"))
                             & ~cells.pooled("left").astype(bool),
                             "runs that enter perfect agreement and never leave it", share=0.8),
            lab.Part("latest step of the entry, from $s = 10⁻⁴$",
                     lambda cells: lab.largest(cells.sel(init_scale=1e-4).pooled("entered")),
                     lab.at_most(5.0)),
        ),
        faults=(
            lab.Fault("one run leaves it", lab.in_one_run("left", 1.0)),
            lab.Fault("one run never enters it", lab.in_one_run("entered", np.nan)),
            lab.Fault("a pair of examples points apart", lab.in_one_run("least", -1e-3)),
            lab.Fault("entry takes ten more steps", lab.added("entered", 10)),
        ),
        does_not_show="Data that are not orthogonally separable: there a run may enter and leave.",
        note=lambda cells: "step of entry, median: " + ", ".join(
            f"{np.median(each.pooled('entered')):g} from $s = {number(scale)}$"
            for scale, each in cells.by("init_scale").items()),
    ),
)  # fmt: skip

TOPIC = lab.Topic((AGREEMENT,), CLAIMS)
