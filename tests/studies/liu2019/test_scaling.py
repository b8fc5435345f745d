"""Steps to epsilon, and the claim on them in worlds where it is true and false."""

import math

import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Runs
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019.scaling import EPSILONS, SCALING, SIZES, TOPIC, ScalingSettings
from worlds import ended, gate

RUNS = 400


def scaling(exponent, digits=1.0):
    made = []
    for request in SIZES("quick"):
        steps = request.settings.k**exponent * np.log(1 / EPSILONS) ** digits
        noise = 1 + 0.001 * np.random.default_rng(request.settings.k).standard_normal(RUNS)
        hits = ("run", "epsilon"), noise[:, None] * steps
        made.append(ended(RUNS, RUNS).assign(hit=hits).assign_coords(epsilon=EPSILONS))
    return made


test_claims = gate(
    TOPIC,
    {"polynomial-time": scaling(2.0)},
    {"polynomial-time": [scaling(4.0), scaling(2.0, digits=6.0)]},
)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ["total", "overlap"])
def test_a_run_has_come_near_where_its_sums_have_from_either_side(name, sign, monkeypatch):
    """Sums that halve their relative error at every step, on top of an angle that is 0."""
    settings = ScalingSettings(k=4)
    star = {"total": settings.reduction.total_star, "overlap": settings.norm**2}
    unit = {"total": math.sqrt(4) * settings.norm, "overlap": settings.norm**2}
    away = 0.5 ** np.arange(40)
    series = {"angle": 0 * away, **{of: value + 0 * away for of, value in star.items()}}
    series[name] = star[name] + sign * unit[name] * away
    courses = xr.Dataset(
        {of: (("run", "time"), value[None]) for of, value in series.items()},
        {"time": np.arange(40.0)},
    ).assign(outcome=("run", [int(Outcome.GLOBAL)]))
    monkeypatch.setattr("whytrain.studies.liu2019.scaling.simulate", lambda *_, **__: courses)
    hits = SCALING.compute(settings, Runs(0, 1, 0, 1)).hit.values[0]
    np.testing.assert_allclose(hits, -np.log2(EPSILONS), rtol=1e-6)


def test_time_to_epsilon_grows_as_epsilon_falls():
    dataset = SCALING.compute(ScalingSettings(k=4), Runs(0, 1, 0, 5))
    assert (np.diff(dataset.hit.values, axis=1) > 0).all()
    assert (dataset.outcome == Outcome.GLOBAL).all()
