"""How far down does gradient descent come when its gradients are noisy?

A study in one file: settings, an experiment, a claim with a fault that it must refuse, a figure. It
runs as it is; put your question in place of this one, from top to bottom.

whytrain list template.py                                   what there is to set
whytrain run template.py/descent --set step_size=0.5        one experiment
whytrain reproduce template.py --check                      the claim, and its planted fault
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

import whytrain as wt
from whytrain import lab


# 1. SETTINGS: what can be set with --set, with a default, a meaning, and what is allowed.
@dataclass(frozen=True, kw_only=True)
class Noisy(wt.Settings):
    """Descent on `x^2 / 2` with gradients `x + z`, `z` standard normal."""

    step_size: float = wt.setting(0.1, "step size h", low=0, high=2, exclusive=True)
    steps: int = wt.setting(400, "number of steps", low=2, high=100_000)


# 2. AN EXPERIMENT: from settings and random keys, one a run, to numbers along the dimension `run`.
#    All that is random comes from the keys, so that the same seed gives the same bits.
def compute(settings: Noisy, runs: lab.Runs) -> xr.Dataset:
    """The mean of `x^2` over the second half of each run; all start at 1."""
    noise = lab.normals(runs.keys(), settings.steps)  # a row for each run
    x, squares = np.ones(len(noise)), []
    for z in noise.T:
        x = x - settings.step_size * (x + z)
        squares.append(x**2)
    return xr.Dataset({"square": ("run", np.mean(squares[settings.steps // 2 :], axis=0))})


DESCENT = wt.Experiment("descent", "descent with noisy gradients", Noisy, compute)

# What the claim and the figure ask for: three step sizes, with fewer runs in the preset `quick`.
DESCENTS = DESCENT.grid(
    {"quick": {"runs": 300}, "paper": {"runs": 10_000}}, step_size=(0.05, 0.2, 0.8)
)


# 3. A CLAIM: a number with an interval, and a rule that was fixed before the number was seen.
def theory(step_size: float) -> float:
    """The mean of `x^2` at rest, `v = (1 - h)^2 v + h^2`, hence `v = h / (2 - h)`."""
    return step_size / (2 - step_size)


def over_theory(cells: lab.Cells) -> lab.Estimate:
    """The mean of `x^2` over what theory says, of the runs at all step sizes."""
    return lab.estimate_mean(
        np.concatenate([c.data.square.values / theory(c.settings.step_size) for c in cells])
    )


FLOOR = wt.Claim(
    id="floor",
    title="Noise keeps gradient descent above the minimum",
    group="dynamics",
    source="derived here",
    statement="With step size h and gradient noise of variance 1, E x^2 at rest is h / (2 - h).",
    requests=DESCENTS,
    # The whole interval must lie within 10 % of theory. Where it does not, and is longer than the
    # resolution, the claim asks for more runs, twice at most.
    parts=(lab.Part("mean of x^2 over theory", over_theory, lab.equals(1, 0.1, resolution=0.05)),),
    # A claim that nothing could contradict says nothing: this is the smallest mistake that it must
    # notice. `--check` plants it into the numbers, and says whether the verdict turned.
    faults=(lab.Fault("E x^2 is larger by 30 %", lab.altered("square", lambda mean: 1.3 * mean)),),
    does_not_show="Losses that are not quadratic, and noise that depends on x.",
    figures=("floor",),
)


# 4. A FIGURE: drawn from the same numbers, with a caption that says what to conclude.
def draw(cells: lab.Cells):
    """The measured mean of `x^2` beside the theory."""
    sizes = [cell.settings.step_size for cell in cells]
    found = [lab.estimate_mean(cell.data.square) for cell in cells]
    grid = np.geomspace(min(sizes), max(sizes), 50)
    series = [
        wt.figures.Series(grid, theory(grid), "h / (2 - h)"),
        wt.figures.Series(
            sizes, [one.value for one in found], "measured", marker="o",
            low=[one.low for one in found], high=[one.high for one in found],
        ),
    ]  # fmt: skip
    figure = wt.figures.lines(series, x_label="step size h", y_label="mean of x² at rest", log="xy")
    return (
        figure,
        "Half the step size, about half the floor: a constant step never averages noise out.",
    )


# 5. THE STUDY: what `whytrain` looks for in this file.
study = wt.Study(
    name="template",
    title="Noise keeps gradient descent above the minimum",
    question="How far down does gradient descent come when its gradients are noisy?",
    paper=lab.Paper(authors="Nobody yet", title="A study of one's own", venue="", year=2026),
    experiments=(DESCENT,),
    claims=(FLOOR,),
    figures=(wt.Figure("floor", "What noise leaves", DESCENTS, draw),),
)
