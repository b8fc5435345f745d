"""What experiments tell of their runs."""

import math

import numpy as np
import pytest
import xarray as xr

from small_numbers import SMALL
from whytrain.lab import Cell, Cells, Runs, parse
from whytrain.studies.yin2019 import study
from whytrain.studies.yin2019.zero import _another_factor


def test_results_tell_what_theory_says_beside_what_was_found():
    for name in ("identity-fate", "rates"):
        experiment = study.experiment(name)
        settings = parse(experiment.settings, SMALL["yin2019"][name])
        said = experiment.summarize(experiment.compute(settings, Runs(0, 1, 0, 2)), settings)
        if name == "rates":
            assert said["ratio"]["mean"] == pytest.approx(1, abs=0.01)
            assert said["predicted"] == pytest.approx(0.05 / (2 * math.sqrt(2 * math.pi)), rel=0.01)
        else:
            assert said["threshold"] == pytest.approx(0.2299, abs=1e-4)
            assert [len(said[key]) for key in ("alignment", "roots")] == [2, 2]


def test_the_share_of_local_minima_is_told():
    dataset = xr.Dataset({"least": ("run", [-1.0, 0.0, 1.0])})
    experiment = study.experiment("zero-filter")
    said = experiment.summarize(dataset, experiment.settings())
    assert said["local_minima"] == pytest.approx(2 / 3)


def test_a_factor_that_is_no_larger_changes_no_margin():
    settings = study.experiment("zero-filter").settings()
    margin = np.array([-0.5, 0.2, 0.999])
    cells = Cells([Cell(settings, xr.Dataset({"margin": ("run", margin)}))])
    np.testing.assert_allclose(_another_factor(0.0)(cells).pooled("margin"), margin)
    np.testing.assert_allclose(_another_factor(1.0)(cells).pooled("margin"), 2 * margin - 1)
