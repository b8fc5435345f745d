"""The claims on closed forms and on the reduction, in worlds where they are true and false."""

import numpy as np
import pytest
import xarray as xr

from whytrain.landscapes import Weights
from whytrain.studies.liu2019.landscape import POINTS, TOPIC, _distance
from worlds import gate

RUNS = 400


def closed_forms(miss=0.0, autodiff=1e-15, reduction=1e-14):
    z = np.random.default_rng(0).standard_normal(RUNS) + miss
    numbers = {
        "loss_z": z, "gradient_z": z,
        "loss_size": np.full(RUNS, 60.0), "gradient_size": np.full(RUNS, 20.0),
        "autodiff_error": np.full(RUNS, autodiff), "reduction_error": np.full(RUNS, reduction),
    }  # fmt: skip
    return [xr.Dataset({name: ("run", x) for name, x in numbers.items()}) for _ in POINTS("quick")]


test_claims = gate(
    TOPIC,
    dict.fromkeys(("loss", "gradient", "reduction"), closed_forms()),
    {
        "loss": [closed_forms(miss=1.0)],
        "gradient": [closed_forms(miss=1.0), closed_forms(autodiff=1e-6)],
        "reduction": [closed_forms(reduction=1e-7)],
    },
)


def test_two_networks_are_as_far_apart_as_their_numbers():
    one, other = np.random.default_rng(0).normal(size=(2, 5))
    apart = _distance(*(Weights(numbers[:3], numbers[3:]) for numbers in (one, other)))
    assert float(apart) == pytest.approx(np.linalg.norm(one - other))


def test_the_paper_s_sizes():
    sizes = [(request.settings.k, request.settings.p) for request in POINTS("paper")]
    assert sizes == [(1, 2), (4, 3), (9, 4), (16, 8), (49, 8)]
