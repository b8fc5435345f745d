"""Runs near an optimum: their rates by hand, and the claims in worlds that a test makes up."""

import math

import numpy as np
import pytest

from judged import world
from whytrain.dynamics import log_times
from whytrain.errors import UserError
from whytrain.lab import Runs
from whytrain.studies.liu2019 import study
from whytrain.studies.liu2019.near_optimum import (
    NEAR_GLOBAL,
    NEAR_SPURIOUS,
    RATES,
    SWEEP,
    TOPIC,
    RateSettings,
    _thresholds,
    predicted,
)
from worlds import ended, gate

RUNS = 400


def near(grid, gap, successes=RUNS):
    """Runs near an optimum, their distances from it given by `gap(settings, name, time)`."""
    made = []
    for request in grid("quick"):
        time = log_times(request.settings.steps, 200)
        dataset = ended(successes, RUNS).assign_coords(time=time)
        for name in ("angle", "overlap"):
            path = np.maximum(gap(request.settings, name, np.maximum(time, 1)), 1e-300)
            spread = 1 + 1e-4 * np.random.default_rng(0).standard_normal((RUNS, 1))
            dataset[name] = ("run", "time"), path**spread
        made.append(dataset)
    return made


def geometric(factor):
    """Errors that fall `factor` times as fast as predicted."""
    return lambda settings, name, t: 0.1 * np.exp(-factor * predicted(settings)[name] * t)


def slow(settings, name, time):
    overlap = abs(settings.reduction.settled(math.pi).overlap)
    return 2 * math.pi / (overlap * settings.filter_step_size * time)


def thresholds(border):
    found = []
    for request in SWEEP("quick"):
        share = request.settings.alignment * math.pi / (request.settings.k + math.pi - 1)
        found.append(ended(0 if share < border else RUNS, RUNS))
    return found


def returning(runs=RUNS):
    """Runs of which so many come back to the spurious optimum."""
    return [ended(RUNS - runs, RUNS) for _ in NEAR_SPURIOUS("quick")]


test_claims = gate(
    TOPIC,
    {
        "spurious-minimum": returning(),
        "spurious-is-slow": near(NEAR_SPURIOUS, slow, 0),
        "existence-threshold": thresholds(1.0),
        "convergence": near(NEAR_GLOBAL, geometric(1.0)),
    },
    {
        "spurious-minimum": [returning(RUNS - 3)],
        "spurious-is-slow": [
            near(NEAR_SPURIOUS, lambda *at, factor=factor: factor * slow(*at), 0)
            for factor in (0.01, 0.95, 1.05)
        ],
        "existence-threshold": [thresholds(0.985), thresholds(1.015), thresholds(0), thresholds(9)],
        "convergence": [
            near(NEAR_GLOBAL, geometric(0.9)), near(NEAR_GLOBAL, geometric(1.0), RUNS - 1),
        ],
    },
)  # fmt: skip


def test_one_alignment_shows_no_threshold():
    [claim] = study.narrowed(["existence-threshold"], {"alignment": "2"}).claims
    cells = world(claim, [ended(RUNS, RUNS) for _ in claim.requests("quick")])
    with pytest.raises(UserError, match="leave alignment unset"):
        claim.judge(cells)


@pytest.mark.parametrize(
    ("claim", "optimum"), [("convergence", "spurious"), ("spurious-is-slow", "global")]
)
def test_a_claim_is_about_its_own_optimum(claim, optimum):
    with pytest.raises(UserError, match=f"asks for nothing at optimum={optimum}"):
        study.narrowed([claim], {"optimum": optimum})


def test_rates_near_the_global_optimum_are_the_linearized_ones():
    settings = RateSettings(k=9, step_size=0.05, filter_step_size=0.03, steps=3000)
    results = RATES.results(RATES.compute(settings, Runs(0, 1, 0, 20)), settings)
    assert results["outcomes"]["global"] == 20
    assert results["angle_rate_over_predicted"] == pytest.approx(1, abs=0.01)
    assert predicted(settings)["angle"] == pytest.approx(0.015, rel=0.01)


def test_the_approach_to_the_spurious_minimum_is_slow():
    # d delta / dt = -|u~| eta_w delta^2 / (2 pi): its inverse grows evenly with time
    settings = RateSettings(k=25, optimum="spurious", spread=0.0, steps=20_000, times=20)
    dataset = RATES.compute(settings, Runs(0, 1, 0, 5))
    overlap = settings.reduction.settled(math.pi).overlap
    early, late = dataset.time.values[[-3, -1]]
    grown = (1 / dataset.angle.values[:, -1] - 1 / dataset.angle.values[:, -3]) / (late - early)
    np.testing.assert_allclose(grown, abs(overlap) * 0.1 / (2 * math.pi), rtol=2e-3)


@pytest.mark.parametrize(("border", "end"), [(0, 0.9825), (9, 1.0225)])
def test_outcomes_that_never_change_have_their_threshold_at_an_end_of_the_sweep(border, end):
    [claim] = [claim for claim in TOPIC.claims if claim.id == "existence-threshold"]
    for found in _thresholds(world(claim, thresholds(border))):
        assert (found.low, found.value, found.high) == pytest.approx((end, end, end))
