"""Powers and factors at greater widths and depths than the quick preset has.

The ranges are those in which a first program, written on its own, had found them.
"""

import numpy as np
import pytest

from whytrain.lab import Runs
from whytrain.studies.li2020 import study
from whytrain.studies.li2020.setup import NETWORKS

WIDTHS = 64, 256
pytestmark = pytest.mark.slow


def numbers(name, names, runs=6, **settings):
    """The means over runs of the logarithms of some numbers."""
    experiment = study.experiment(name)
    found = experiment.compute(experiment.settings(**settings), Runs(0, 5, 0, runs))
    return {name: float(np.log(found[name]).mean()) for name in names}


def powers(name, names, **settings):
    few, many = (numbers(name, names, width=width, **settings) for width in WIDTHS)
    return {name: (many[name] - few[name]) / np.log(WIDTHS[1] / WIDTHS[0]) for name in names}, many


@pytest.mark.parametrize("network", NETWORKS)
def test_the_drift_falls_like_one_over_the_width(network):
    found, _ = powers("drift", ["drift", "largest"], network=network)
    assert all(-1.3 < power < -0.7 for power in found.values())


@pytest.mark.parametrize("network", NETWORKS)
def test_kernels_and_errors_of_truncations(network):
    names = [*(f"error_{order}" for order in (2, 3, 4)), "K4"]
    found, widest = powers("truncation", names, network=network, runs=10)
    assert -1.3 < found["K4"] < -0.7
    if network == "residual":
        assert found["error_4"] < -1.5
        assert widest["error_4"] < widest["error_3"] < widest["error_2"]


@pytest.mark.parametrize(("network", "low", "high"), [("residual", 0, 2), ("connected", 100, 1e9)])
def test_the_third_kernel_over_the_depth(network, low, high):
    shallow, deep = (
        numbers("depth", ["third"], runs=4, network=network, depth=depth, width=128)["third"]
        for depth in (2, 16)
    )
    assert low < np.exp(deep - shallow) < high
