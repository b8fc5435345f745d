"""Every experiment runs, small; no number that it gives changes by oversight, nor by company."""

import json

import numpy as np
import pytest

from small_numbers import FILE, SMALL, told
from whytrain import studies
from whytrain.lab import Runs, jsonable, parse

KEPT = json.loads(FILE.read_text())
# In float32, with units that jump: another processor's rounding may turn an example.
TRAINED = {"networks", "image-filters", "width", "residual-width"}


@pytest.mark.parametrize("study", SMALL)
def test_there_are_numbers_of_every_experiment(study):
    assert set(SMALL[study]) == {one.name for one in studies.load(study).experiments}


@pytest.mark.parametrize(
    ("study", "name"), [(study, one) for study in SMALL for one in SMALL[study]]
)
def test_an_experiment_runs_and_its_numbers_are_those_of_before(study, name):
    experiment = studies.load(study).experiment(name)
    settings = parse(experiment.settings, SMALL[study][name])
    dataset = experiment.compute(settings, Runs(0, 1, 0, 3))
    assert dataset.sizes["run"] == 3
    json.dumps(jsonable(experiment.results(dataset, settings)), allow_nan=False)

    again = experiment.compute(settings, Runs(0, 1, 1, 2))  # the last two by themselves
    for variable, values in dataset.data_vars.items():
        if "run" in values.dims:
            part = values.isel(run=slice(1, 3))
            np.testing.assert_array_equal(again[variable], part, err_msg=str(variable))

    found, kept = told(dataset.isel(run=slice(2))), KEPT[f"{study}/{name}"]
    assert set(found) == set(kept)
    rel, least = (0.05, 0.02) if name in TRAINED else (1e-5, 1e-11)
    for variable, values in kept.items():
        how = "if on purpose, raise the version, and: python tests/small_numbers.py"
        assert found[variable] == pytest.approx(values, rel=rel, abs=least), (variable, how)
