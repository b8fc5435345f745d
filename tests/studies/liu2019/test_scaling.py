"""Steps to epsilon, and the claim on them in worlds where it is true and false."""

import numpy as np

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


def test_time_to_epsilon_grows_as_epsilon_falls():
    dataset = SCALING.compute(ScalingSettings(k=4), Runs(0, 1, 0, 5))
    assert (np.diff(dataset.hit.values, axis=1) > 0).all()
    assert (dataset.outcome == Outcome.GLOBAL).all()
