"""Every experiment runs, small, and tells its results in JSON."""

import json
import math

import numpy as np
import pytest

from whytrain.lab import Runs
from whytrain.lab.settings import parse
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019 import study
from whytrain.studies.liu2019.rates import RateSettings, predicted
from whytrain.studies.liu2019.sampling import SamplingSettings
from whytrain.studies.liu2019.scaling import ScalingSettings

TINY = {
    "success-rate": ["k=4", "p=2"],
    "trajectories": ["k=4", "p=2", "times=5"],
    "phase-prior": ["k=4", "p=2", "angles=2", "ratios=2"],
    "phase-alignment": ["k=4", "p=2", "alignments=2", "ratios=2"],
    "separatrix": ["k=4", "p=2"],
    "rates": ["k=4", "steps=2000", "times=30"],
    "scaling": ["k=4", "times=50"],
    "sampling": ["k=4", "p=2", "batch=2", "horizon=5"],
    "landscape": ["k=3", "p=2", "samples=50", "steps=20"],
}


def test_the_experiments_are_those_of_the_sheet():
    assert {experiment.name for experiment in study.experiments} == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_every_experiment_runs_and_summarizes(name):
    experiment = study.experiment(name)
    settings = parse(experiment.settings, TINY[name])
    dataset = experiment.compute(settings, Runs(0, 1, 0, 5))
    assert dataset.sizes["run"] == 5
    results = experiment.results(dataset, settings)
    assert json.loads(json.dumps(results)) == results or "NaN" in json.dumps(results)
    again = experiment.compute(settings, Runs(0, 1, 2, 2))
    for variable in dataset.data_vars:
        if "run" in dataset[variable].dims:
            part = dataset[variable].isel(run=slice(2, 4))
            np.testing.assert_array_equal(again[variable], part, err_msg=variable)


def test_rates_near_the_global_optimum_are_the_linearized_ones():
    settings = RateSettings(k=9, step_size=0.05, filter_step_size=0.03, steps=3000)
    experiment = study.experiment("rates")
    results = experiment.results(experiment.compute(settings, Runs(0, 1, 0, 20)), settings)
    assert results["outcomes"]["global"] == 20
    ratio = results["angle_rate_over_predicted"]["estimate"]
    assert ratio == pytest.approx(1, abs=0.01)
    assert predicted(settings)["angle"] == pytest.approx(0.015, rel=0.01)


def test_the_approach_to_the_spurious_minimum_is_slow():
    # d delta / dt = -|u~| eta_w delta^2 / (2 pi): its inverse grows evenly with time
    settings = RateSettings(k=25, optimum="spurious", spread=0.0, steps=20_000, times=20)
    dataset = study.experiment("rates").compute(settings, Runs(0, 1, 0, 5))
    overlap = settings.reduction.settled(math.pi).overlap
    early, late = dataset.time.values[[-3, -1]]
    grown = (1 / dataset.angle.values[:, -1] - 1 / dataset.angle.values[:, -3]) / (late - early)
    np.testing.assert_allclose(grown, abs(overlap) * 0.1 / (2 * math.pi), rtol=2e-3)


def test_time_to_epsilon_grows_as_epsilon_falls():
    settings = ScalingSettings(k=4)
    dataset = study.experiment("scaling").compute(settings, Runs(0, 1, 0, 5))
    assert (np.diff(dataset.hit.values, axis=1) > 0).all()
    assert (dataset.outcome == Outcome.GLOBAL).all()


def test_larger_batches_stay_closer():
    experiment = study.experiment("sampling")
    apart = [
        experiment.compute(SamplingSettings(k=4, p=2, batch=batch, horizon=40), Runs(0, 1, 0, 30))
        for batch in (2, 200)
    ]
    few, many = (float(np.median(dataset.deviation)) for dataset in apart)
    assert few > 4 * many
