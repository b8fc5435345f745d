"""A study small enough for tests: random walks with a drift. It is also a user's own file."""

import time
import warnings
from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr

import whytrain
from whytrain.lab import (
    Fault,
    Figure,
    Paper,
    Part,
    Request,
    Settings,
    above,
    altered,
    below,
    estimate_mean,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class Walk(Settings):
    steps: int = setting(4, "number of steps", low=1)
    drift: float = setting(0.5, "mean of a step", low=-1, high=1, unit="1/step")
    scale: float | None = setting(None, "deviation of a step; 1/√steps by default", low=0)
    kind: str = setting("normal", "distribution of a step", choices=("normal", "coin"))
    pause: float = setting(0.0, "seconds that a piece sleeps", low=0)
    broken: bool = setting(False, "whether computing raises")

    def check(self):
        if self.drift == 1:
            warnings.warn(
                "a drift of 1\nis very strong", whytrain.UnstableStepWarning, stacklevel=2
            )


def compute(settings, runs):
    if settings.broken:
        raise RuntimeError("broken on purpose")
    time.sleep(settings.pause)
    scale = settings.steps**-0.5 if settings.scale is None else settings.scale
    with jax.enable_x64(True):
        steps = jax.vmap(lambda key: jax.random.normal(key, (settings.steps,)))(runs.keys())
        ends = np.asarray(settings.drift * settings.steps + scale * steps.sum(axis=1))
    return xr.Dataset({"end": ("run", ends), "steps": settings.steps})


def summarize(dataset, settings):
    sum_of_bits = int(np.bitwise_xor.reduce(dataset.end.values.view(np.int64)))
    undefined = float("nan")
    return {
        "mean": estimate_mean(dataset.end).document(),
        "bits": sum_of_bits,
        "u": undefined,
    }


def requests(preset):
    runs = {"quick": 250, "paper": 500}[preset]
    return [Request("walk", Walk(), runs), Request("walk", Walk(drift=0.0), runs)]


def slow_requests(preset):
    return [Request("walk", Walk(pause=0.3), 800)]


def mean_end(cells):
    return estimate_mean(cells.sel(drift=0.5).pooled("end"))


def turned(cells):
    return altered("end", lambda ends: -ends)(cells)


def draw(cells):
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(3, 2))
    figure.subplots().hist(cells[0].data.end.values)
    return figure, "Walks end to the right of where they start."


def make(name="toy", *claims):
    return whytrain.Study(
        name=name,
        title="Random walks with a drift",
        question="Where does a walk end?",
        paper=Paper("A. Walker, B. Runner", "On walks", "Journal of Steps", 1905),
        experiments=(
            whytrain.Experiment("walk", "Walks along a line.", Walk, compute, summarize, 250, 100),
        ),
        claims=claims,
        figures=(Figure("ends", "Where walks end", requests, draw),),
    )


UP = whytrain.Claim(
    id="up", title="Walks go up", group="dynamics", source="Theorem 1",
    statement="With a drift d > 0 a walk goes up.", requests=requests,
    parts=(Part("mean end of a walk", mean_end, above(0.0, resolution=0.01)),),
    faults=(Fault("the drift is turned round", turned),),
    does_not_show="Walks without a drift.", figures=("ends",),
)  # fmt: skip
DOWN = whytrain.Claim(
    id="down", title="Walks go down", group="caveats", source="Theorem 2",
    statement="With a drift d > 0 a walk goes down.", requests=requests,
    parts=(Part("mean end of a walk", mean_end, below(0.0)),),
    faults=(Fault("the drift is turned round", turned),),
    does_not_show="Walks without a drift.", expected="contradicted",
    note=lambda cells: "it goes up",
)  # fmt: skip

study = make("toy", UP, DOWN)
