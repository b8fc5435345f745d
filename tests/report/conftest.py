import numpy as np
import pytest
import xarray as xr

from whytrain.lab import (
    Cells,
    Claim,
    Estimate,
    Fault,
    Figure,
    Finding,
    Paper,
    Part,
    Request,
    Settings,
    Study,
    Verdict,
    above,
    at_most,
    equals,
)
from whytrain.lab.execution import NotYetRun
from whytrain.lab.reproduction import Reproduction, Trial
from whytrain.report import figures


def no_requests(preset):
    return ()


def never(cells):
    raise AssertionError("the report does not judge claims")


def claim(name, expected="supported", statement="L = 0 at φ = 0"):
    return Claim(
        id=name, title=f"About {name}", group="dynamics", source="Liu 2019, Thm 1",
        statement=statement, requests=no_requests, parts=(Part("rate", never, above(0.0)),),
        faults=(Fault("off by 2 %"),), does_not_show="All the rest.", expected=expected,
        figures=("rate",),
    )  # fmt: skip


def found(value, low, high, rule, what="rate", level=0.975):
    return Finding(what, Estimate(value, low, high, level, 100), rule)


def draw_rate(cells):
    series = figures.Series([16, 25], [0.5, 0.6], "CNN", low=[0.4, 0.5], high=[0.6, 0.7])
    return figures.lines([series], x_label="k", y_label="rate"), "The rate rises with k."


def draw_nothing(cells):
    raise ValueError("the field is <empty>")


def needs_runs(preset):
    return [Request("late", Settings(), 500)]


def cells(requests):
    if requests:
        raise NotYetRun("1 of 1 pieces of late")
    return Cells([])


FIGURES = (
    Figure("rate", "Success & k", no_requests, draw_rate),
    Figure("broken", "Broken", no_requests, draw_nothing),
    Figure("late", "Late", needs_runs, never),
)
OUTCOMES = [
    (
        claim("escape", statement="if a < b & c: <script>alert(1)</script>"),
        Verdict(
            (
                found(0.0, 0.0, 7.4e-4, at_most(1e-3), "failures", level=None),
                found(1.0, 0.995, 1.005, equals(1.0, 0.01), "ratio"),
            ),
            5000,
            "No run of a|b failed.",
        ),
    ),
    (claim("as-printed", "contradicted"), Verdict((found(0.9, 0.88, 0.92, above(1.0)),), 100)),
    (claim("unknown"), Verdict(state="not run", note="not run: 1 of 1 pieces are missing")),
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
        wanted=4,
        outcomes=OUTCOMES,
        faults=[
            (Trial(stated, "quick", stated.faults[0]), verdict) for stated, verdict in OUTCOMES[:2]
        ],
        runs=500,
        plan="c0ffee" * 10,
        planned="c0ffee" * 10,
        cells=cells,
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
