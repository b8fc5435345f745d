import math

import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Claim, Figure, Paper, Request, Settings, Study, Verdict
from whytrain.lab.execution import NotYetRun
from whytrain.lab.reproduction import Reproduction
from whytrain.report import figures


def no_requests(preset):
    return ()


def never(datasets):
    raise AssertionError("the report does not judge claims")


def claim(name, expected="supported", statement="L = 0 at φ = 0"):
    return Claim(name, "Liu 2019, Thm 1", statement, no_requests, never, expected)


def draw_rate(datasets):
    series = figures.Series([16, 25], [0.5, 0.6], "CNN", low=[0.4, 0.5], high=[0.6, 0.7])
    return figures.lines([series], x_label="k", y_label="rate"), "The rate rises with k."


def draw_nothing(datasets):
    raise ValueError("the field is <empty>")


def needs_runs(preset):
    return [Request("late", Settings(), 500)]


def datasets(requests):
    if requests:
        raise NotYetRun("1 of 1 pieces of late")
    return []


FIGURES = (
    Figure("rate", "Success & k", no_requests, draw_rate),
    Figure("broken", "Broken", no_requests, draw_nothing),
    Figure("late", "Late", needs_runs, never),
)
OUTCOMES = [
    (
        claim("escape", statement="if a < b & c: <script>alert(1)</script>"),
        Verdict("supported", 0.0, (0.0, 7.4e-4), 1e-3, 5000, "No run of a|b failed."),
    ),
    (claim("as-printed", "contradicted"), Verdict("contradicted", 0.9, (0.88, 0.92), 1.0, 100)),
    (
        claim("unknown"),
        Verdict("inconclusive", math.nan, (math.nan, math.nan), math.nan, 0, "not yet run"),
    ),
]


@pytest.fixture
def reproduction():
    """Give a study with three verdicts, and figures that are drawn, broken, and missing."""
    older = Paper("Du", "Gradient Descent Learns", "ICML", 2018)
    paper = Paper("Liu, Chen", "Shortcut Connections", "NeurIPS", 2019, "1909.04653", (older,))
    claims = tuple(stated for stated, _ in OUTCOMES)
    study = Study("toy", "Why a toy", "Does it play?", paper, (), claims, FIGURES)
    return Reproduction(
        study=study,
        preset="quick",
        seed=7,
        seconds=12.5,
        computed=3,
        reused=1,
        outcomes=OUTCOMES,
        datasets=datasets,
        commands=["whytrain reproduce toy --seed 7"],
        versions={"whytrain": "0.1.0"},
        started="2026-01-02T03:04:05+00:00",
    )


@pytest.fixture
def field():
    """Give a success rate that falls over the tilt and, slower, over the step size."""
    tilt, step = np.linspace(0, 3, 9), np.geomspace(0.01, 1, 7)
    rate = 1 / (1 + np.exp(5 * (tilt[:, None] - 1.5 + np.log10(step))))
    return xr.Dataset(
        {"success_rate": (("tilt", "step_size"), rate)},
        {
            "tilt": ("tilt", tilt, {"long_name": "initial angle", "units": "rad"}),
            "step_size": step,
        },
    )
