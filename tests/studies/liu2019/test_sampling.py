"""Mini-batches beside the population, and the claim in worlds where it is true and false."""

import numpy as np
import pytest
import xarray as xr

from judged import world
from whytrain.lab import Runs
from whytrain.studies.liu2019.sampling import BATCHES, SAMPLING, TOPIC, SamplingSettings
from worlds import gate

RUNS = 400


def batches(exponent, same=RUNS):
    made = []
    for batch in (request.settings.batch for request in BATCHES("quick")):
        noise = np.exp(0.3 * np.random.default_rng(batch).standard_normal(RUNS))
        made.append(
            xr.Dataset({
                "deviation": ("run", batch**exponent * noise),
                "population_outcome": ("run", np.ones(RUNS, np.int8)),
                "sampled_outcome": ("run", np.where(np.arange(RUNS) < same, 1, 2)),
            })
        )  # fmt: skip
    return made


test_claims = gate(
    TOPIC, {"samples": batches(-0.5)}, {"samples": [batches(-0.1), batches(-1.0)]}
)  # fmt: skip


def test_larger_batches_stay_closer():
    apart = [
        SAMPLING.compute(SamplingSettings(k=4, p=2, batch=batch, horizon=40), Runs(0, 1, 0, 30))
        for batch in (2, 200)
    ]
    few, many = (float(np.median(dataset.deviation)) for dataset in apart)
    assert few > 4 * many


def test_the_exponent_is_the_slope_of_the_logs():
    [claim] = TOPIC.claims
    exact = [
        made.assign(deviation=("run", np.full(RUNS, 3.0 * request.settings.batch**-0.4)))
        for made, request in zip(batches(0.0), BATCHES("quick"), strict=True)
    ]
    [slope, _] = claim.judge(world(claim, exact)).findings
    assert slope.estimate.value == pytest.approx(-0.4, rel=1e-9)
