"""Residual networks at sizes that take seconds, and the claim where it is true and false."""

import numpy as np
import pytest

from made_up import gate
from whytrain import UserError
from whytrain.lab import Runs
from whytrain.studies.neyshabur2019 import residual_width
from whytrain.studies.neyshabur2019.trends import one_of_the_widest, reversed_widths
from whytrain.studies.neyshabur2019.width import prepared


def residual(settings, runs, rng):
    error = 0.05 * settings.width**-0.5 * (1 + 0.02 * rng.standard_normal(runs))
    return {"test_error": error, "fits": np.ones(runs)}


test_claims = gate(
    residual_width.TOPIC,
    {"residual-width": residual},
    {
        "N-E1-residual": [reversed_widths, one_of_the_widest("fits", 0.0)],
    },
)


@pytest.mark.slow
def test_residual_networks_are_trained_to_the_target():
    settings = residual_width.ResidualSettings(width=2, examples=128, shrink=2, target=0.008)
    dataset = residual_width.compute(settings, Runs(0, 0, 0, 2))
    assert dataset.fits.all()
    assert (dataset.train_error < 0.02).all()
    assert (dataset.test_error < 0.4).all()
    assert (dataset.epochs > 3).all()


def test_shrinking_averages_squares_of_pixels():
    dataset = prepared("digits", "true", 600)
    small = residual_width.shrunk(dataset, 4)
    assert small.shape == (2, 2, 1)
    assert small.test_images[3, 1, 0, 0] == pytest.approx(dataset.test_images[3, 4:, :4].mean())
    with pytest.raises(UserError, match="must divide the sides 8 and 8, got 3"):
        residual_width.shrunk(dataset, 3)
