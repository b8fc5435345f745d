"""How fast does the angle come to an optimum? Beside the linearized rate."""

import math
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

from whytrain import lab
from whytrain.dynamics import GradientDescent, fitted_rates, simulate
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, step
from whytrain.studies.yin2019.setup import (
    OWN,
    ROOT,
    THEOREM,
    EstimatorSettings,
    mean_of_finite,
    starts_at_best,
)


@dataclass(frozen=True, kw_only=True)
class RateSettings(EstimatorSettings):
    """An estimator, an optimum, and starts near it."""

    optimum: str = lab.setting(
        "global", "the critical point to start near", choices=("global", "spurious")
    )
    filter_norm: float = lab.setting(1.0, "length of the filter", low=0, exclusive=True)
    distance: float = lab.setting(
        1e-4, "largest angle to it at the start", unit="rad", low=0, high=1
    )
    step_size: float = lab.setting(0.05, "step size of both blocks", low=0, exclusive=True)
    times: int = lab.setting(200, "times at which runs are saved", low=10, high=10_000)

    def check(self) -> None:
        """The optimum exists."""
        super().check()
        if self.optimum == "spurious" and self.alignment >= 0.5:
            raise UserError(
                f"setting 'alignment' must be < 0.5 with optimum=spurious, got {self.alignment:g}: "
                "beyond there is no spurious minimum"
            )


def predicted(settings: RateSettings) -> float:
    """What the logarithm of the angle loses a step: `|P| K(0) step_size / (sqrt(2 pi) |w|)`.

    `P = 1` at the global and `P = -(1 - 2 u)` at the spurious minimum; `K(0)` is the mean of the
    surrogate's two values at zero.

    Raises:
        UserError: One step would overshoot the optimum.
    """
    with jax.enable_x64(True):
        passed = float(step(ESTIMATORS[settings.ste]).passed(np.float64(1e-9)))
    overlap = 1.0 if settings.optimum == "global" else abs(1 - 2 * settings.alignment)
    rate = overlap * passed / (ROOT * settings.filter_norm)
    if rate * settings.step_size >= 1:
        raise UserError(
            f"setting 'step_size' must be < {1 / rate:.3g}, or a step overshoots the optimum, got "
            f"{settings.step_size:g}"
        )
    return -math.log1p(-rate * settings.step_size)


def compute(settings: RateSettings, runs: lab.Runs) -> xr.Dataset:
    """Measured rate over predicted rate, a run."""
    reduction = settings.reduction
    base = 0.0 if settings.optimum == "global" else math.pi
    with jax.enable_x64(True):
        away = np.asarray(jax.vmap(jax.random.uniform)(runs.keys()))
    angles = np.abs(base - settings.distance * (0.1 + 0.9 * away))
    x, y = settings.filter_norm * np.cos(angles), settings.filter_norm * np.sin(angles)
    starts = starts_at_best(reduction, base, x, y)
    steps = int(22 / predicted(settings))
    ended = simulate(
        reduction, GradientDescent(settings.step_size), starts, steps, observables=("x", "y"),
        times=np.unique(np.linspace(0, steps, settings.times).astype(int)),
    )  # fmt: skip
    gap = np.arctan2(np.abs(ended.y.values), np.abs(ended.x.values))
    ratio = fitted_rates(ended.time.values, gap, 1e-9, 1e-6) / predicted(settings)
    return xr.Dataset({"ratio": ("run", ratio), "outcome": ended.outcome})


RATES = lab.Experiment(
    name="rates",
    doc="speed at which the angle comes to an optimum, over the linearized one",
    settings=RateSettings,
    compute=compute,
    summarize=lambda dataset, settings: lab.summarize(dataset) | {"predicted": predicted(settings)},
    runs=32,
    block=1024,
)

NEAR_OPTIMA = RATES.grid(
    {"quick": {"runs": 16}, "paper": {"runs": 200}},
    ste=THEOREM,
    optimum=("global", "spurious"),
    filter_norm=(1.0, 4.0),
    where=lambda at: (at.ste, at.optimum) != ("identity", "spurious"),  # nothing comes to it
)


def _over_predicted(cells: lab.Cells) -> list[lab.Estimate]:
    """The mean ratio for every estimator, optimum and length, of the runs that were fitted."""
    return [mean_of_finite(cell.data.ratio.values) for cell in cells]


def _unfitted(cells: lab.Cells) -> str:
    ratios = cells.pooled("ratio")
    return f"{(~np.isfinite(ratios)).sum()} of {len(ratios)} runs were too short for a fit"


CLAIMS = (
    lab.Claim(
        id="Y-O6", title="How fast the angle closes", group="dynamics", source=OWN,
        statement=r"The angle closes at the rate $\frac{|vᵀv*| (μ′(0+) + μ′(0−))}{2\sqrt{2π} "
        "‖w‖}$: with the identity twice as fast as with ReLU and clipped ReLU.",
        requests=NEAR_OPTIMA,
        parts=(lab.Part("measured over predicted rate, for every estimator, optimum and $‖w‖$",
                        _over_predicted, lab.equals(1.0, 0.01)),),
        faults=(lab.Fault("it closes 2 % faster", lab.scaled("ratio", 1.02)),),
        does_not_show="How long a run takes to come so near.",
        note=_unfitted,
    ),
)  # fmt: skip

TOPIC = lab.Topic((RATES,), CLAIMS)
