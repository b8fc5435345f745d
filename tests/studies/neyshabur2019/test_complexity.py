"""Tiny classes by brute force, and the claims where they are true and false."""

import numpy as np
from numpy.testing import assert_allclose

from made_up import gate
from whytrain.lab import Runs, scaled
from whytrain.studies.neyshabur2019 import complexity
from worlds_of_width import UNKNOWN, trained

TINY = {
    "no_loss": 0.8, "ramp_loss": 0.1, "by_norms": 1.0, "margin_slope": 1.41, "ramp_slope": 1.0,
    "printed_slope": 2000.0, "covering": 3.84,
}  # fmt: skip


def tiny(settings, runs, rng):
    return {name: np.full(runs, value) for name, value in TINY.items()}


test_claims = gate(
    complexity.TOPIC,
    {"tiny": tiny, "width": trained},
    {
        "N-T1": [scaled("no_loss", 1.3), scaled("ramp_loss", 11), scaled("by_norms", 0.7)],
        "N-T2": [
            scaled("test_error", 1e9),
            scaled("test_error", UNKNOWN),
            scaled("covering", 1.31),
        ],
        "N-D2": [scaled("margin_slope", 1.5)],
        "N-D3": [scaled("ramp_slope", 5.0), scaled("ramp_slope", UNKNOWN)],
    },
)


def test_tiny_complexities_are_below_their_bounds():
    dataset = complexity.compute(complexity.TinySettings(h=2, m=5), Runs(0, 0, 0, 10))
    assert (dataset.no_loss < 1).all()
    assert (dataset.ramp_loss < 0.2).all()
    assert (dataset.by_norms >= 1 - 1e-12).all()
    assert (dataset.margin_slope <= np.sqrt(2) + 1e-12).all()
    assert_allclose(dataset.ramp_slope, 1)
    assert (dataset.printed_slope > 100).all()
    assert (dataset.covering < 3.85).all()
