"""The whole study: every experiment runs, small, and every request can be made."""

import json

import numpy as np
import pytest

from whytrain.lab import Runs
from whytrain.lab.settings import parse
from whytrain.studies.liu2019 import study

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
SHEET = {
    "loss", "gradient", "reduction", "spurious-minimum", "existence-threshold", "escape",
    "convergence", "polynomial-time", "cnn-constant-probability", "shortcut-beats-cnn",
    "warmup-needed", "prior-is-not-tight", "spurious-is-slow", "samples",
}  # fmt: skip


def test_experiments_and_claims_are_those_of_the_sheet():
    assert {experiment.name for experiment in study.experiments} == set(TINY)
    assert {claim.id for claim in study.claims} == SHEET
    assert len(study.claims) == len(SHEET)


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


@pytest.mark.parametrize("preset", study.presets)
def test_requests_name_experiments_of_the_study(preset):
    faults = [fault for claim in study.claims for fault in claim.faults if fault.requests]
    for item in (*study.claims, *study.figures, *faults):
        for request in item.requests(preset):
            experiment = study.experiment(request.experiment)
            assert isinstance(request.settings, experiment.settings)
            assert request.runs >= 1
