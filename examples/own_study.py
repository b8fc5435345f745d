"""A paper as a study in one file: momentum turns the condition number into its square root.

whytrain list examples/own_study.py
whytrain run examples/own_study.py/descent --set condition=1000 --set momentum=true
whytrain reproduce examples/own_study.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

import whytrain as wt
from whytrain.dynamics import log_times
from whytrain.lab import Cells, Estimate, Fault, Paper, Part, Runs, below, estimate_slope


class Bowl(wt.Landscape):
    """`1/2 sum_i lambda_i x_i^2` with curvatures from `1 / condition` to 1."""

    curvatures: jax.Array

    def loss(self, x):
        """The loss."""
        return 0.5 * jnp.sum(self.curvatures * x**2)


@dataclass(frozen=True, kw_only=True)
class DescentSettings(wt.Settings):
    """The bowl, and the step size and momentum that are best for it."""

    condition: float = wt.setting(100.0, "largest over smallest curvature", low=1, exclusive=True)
    dimension: int = wt.setting(20, "number of coordinates", low=2, high=1000)
    momentum: bool = wt.setting(False, "heavy ball instead of gradient descent")
    error: float = wt.setting(1e-6, "distance at which a run has arrived", low=0, exclusive=True)

    @property
    def method(self) -> wt.OptaxMethod:
        """The best constant step size, without or with the best constant momentum."""
        root = math.sqrt(self.condition)
        if self.momentum:
            beta = ((root - 1) / (root + 1)) ** 2
            return wt.OptaxMethod(optax.sgd((1 + math.sqrt(beta)) ** 2, momentum=beta))
        return wt.OptaxMethod(optax.sgd(2 / (1 + 1 / self.condition)))


def compute(settings: DescentSettings, runs: Runs) -> xr.Dataset:
    """The number of steps after which each run stays within `error`."""
    curvatures = np.geomspace(1 / settings.condition, 1, settings.dimension)
    starts = jax.vmap(lambda key: jax.random.normal(key, (settings.dimension,)))(runs.keys())
    steps = int(20 * settings.condition) + 200
    path = wt.simulate(
        Bowl(jnp.asarray(curvatures)),
        settings.method,
        starts,
        steps,
        observables={"distance": lambda x: jnp.sqrt(jnp.sum(x**2))},
        times=log_times(steps, 400),
    )
    away = (path.distance >= settings.error).values
    last = away.shape[1] - 1 - np.argmax(away[:, ::-1], axis=1)
    numbers = {"condition": settings.condition, "momentum": settings.momentum}
    return xr.Dataset({"arrival": ("run", path.time.values[last])} | numbers)


def summarize(dataset: xr.Dataset, settings: DescentSettings) -> dict:
    """The mean number of steps."""
    return {"steps": float(dataset.arrival.mean())}


DESCENT = wt.Experiment(
    "descent", "steps to the bottom of a bowl", DescentSettings, compute, summarize, runs=100
)

DESCENTS = DESCENT.grid(
    {"quick": {"condition": (30, 100, 300)}, "paper": {"condition": (30, 100, 300, 1000, 3000)}},
    momentum=(False, True),
)


def exponent(conditions: Sequence[float], arrivals: Sequence[np.ndarray]) -> Estimate:
    """The exponent of the condition number in the steps of all runs."""
    where = np.repeat(np.log(conditions), [len(steps) for steps in arrivals])
    return estimate_slope(where, np.log(np.concatenate(arrivals)))


def with_momentum(cells: Cells) -> Estimate:
    """That of the heavy ball."""
    ball = cells.sel(momentum=True)
    return exponent([c.settings.condition for c in ball], [c.data.arrival.values for c in ball])


def steeper(cells: Cells) -> Cells:
    """A fault: the steps have another power of the condition number in them."""
    return cells.change(
        lambda c: c.assign(arrival=c.data.arrival.values * c.settings.condition**0.3)
    )


def draw(cells: Cells):
    """Steps over the condition number, a line for each method."""
    series, found = [], []
    for momentum, label in ((False, "gradient descent"), (True, "heavy ball")):
        some = cells.sel(momentum=momentum)
        conditions = list(some.by("condition"))
        steps = [float(cell.data.arrival.mean()) for cell in some]
        series.append(wt.figures.Series(conditions, steps, label, marker="o"))
        found.append(exponent(conditions, [cell.data.arrival.values for cell in some]).value)
    figure = wt.figures.lines(
        series, x_label="condition number", y_label="steps to 1e-6", log="xy", x_ticks=conditions
    )
    plain, ball = found
    return figure, f"Steps grow with exponent {plain:.2f} without and {ball:.2f} with momentum."


study = wt.Study(
    name="polyak1964",
    title="Momentum turns the condition number into its square root",
    question="How much faster does a heavy ball roll down a narrow valley?",
    paper=Paper(
        "Boris T. Polyak",
        "Some methods of speeding up the convergence of iteration methods",
        "USSR Computational Mathematics and Mathematical Physics",
        1964,
    ),
    experiments=(DESCENT,),
    claims=(
        wt.Claim(
            id="square-root",
            title="Momentum takes the root of the condition number",
            group="dynamics",
            source="Polyak 1964, on quadratic functions",
            statement="With the best momentum the steps grow like the square root of the "
            "condition number (here: with an exponent below 0.75, half way from 1/2 to 1).",
            requests=DESCENTS,
            parts=(
                Part("exponent of the condition number in the steps", with_momentum, below(0.75)),
            ),
            faults=(Fault("the exponent is larger by 0.3", steeper),),
            does_not_show="Functions that are not quadratic, where the best momentum is unknown.",
            figures=("steps",),
        ),
    ),
    figures=(wt.Figure("steps", "Steps over the condition number", DESCENTS, draw),),
)
