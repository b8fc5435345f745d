"""Experiments, small: they run, tell their results in JSON, and give each run by its number."""

import json

import numpy as np

from whytrain.lab import Runs, jsonable, parse


def check_small_runs(experiment, pairs):
    """Three runs, their summary, and the last two of them once more by themselves."""
    settings = parse(experiment.settings, pairs)
    dataset = experiment.compute(settings, Runs(0, 1, 0, 3))
    assert dataset.sizes["run"] == 3
    json.dumps(jsonable(experiment.summarize(dataset, settings)), allow_nan=False)
    again = experiment.compute(settings, Runs(0, 1, 1, 2))
    for name, values in dataset.data_vars.items():
        if "run" in values.dims:
            part = values.isel(run=slice(1, 3))
            np.testing.assert_array_equal(again[name], part, err_msg=str(name))
