"""Differences of two checkpoints: against the formulas, and how often the interval holds."""

import numpy as np
import pytest

from whytrain.measures import Eigenvalue, Flatness, Trace
from whytrain.portraits import Portrait, differences


def portrait(**changed):
    """What a difference asks of a portrait."""
    given = {
        "test_margins": None,
        "trace": Trace(10.0, 9.0, 12.0, 60),
        "top": Eigenvalue(5.0, 0.1, np.ones(1), 9, True),
        "bottom": Eigenvalue(-1.0, 0.2, np.ones(1), 9, True),
        "flatness": Flatness(0.1, 0.05, 0.2, 100.0, 1.0),
    }
    found = object.__new__(Portrait)  # the rest is not asked for
    for name, value in (given | changed).items():
        object.__setattr__(found, name, value)
    return found


def test_reaches_are_added_as_squares_and_residuals_as_they_are():
    other = portrait(
        trace=Trace(20.0, 16.0, 21.0, 60), top=Eigenvalue(7.0, 0.3, np.ones(1), 9, True)
    )
    found = differences(portrait(), other)
    assert "test_error" not in found
    assert found["trace"] == pytest.approx(
        {"value": 10, "low": 10 - (4**2 + 2**2) ** 0.5, "high": 10 + (1 + 1) ** 0.5}
    )
    assert found["top"] == pytest.approx({"value": 2, "low": 1.6, "high": 2.4})
    same = found["sigma_ratio"]
    assert (same["value"], same["low"] * same["high"]) == pytest.approx((1, 1))
    assert "sigma_ratio" not in differences(portrait(flatness="too flat"), other)


@pytest.mark.parametrize(("b", "c"), [(0.02, 0.05), (0.1, 0.1), (0.0, 0.01)])
def test_the_difference_of_test_errors_is_within_its_interval(b, c):
    """At a coverage of 0.95 fewer than 920 of 1,000 have probability 3e-5."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        u = rng.random(300)
        first, other = (u < c) | (u > 0.9), ((u >= c) & (u < b + c)) | (u > 0.9)
        one, two = (portrait(test_margins=np.where(wrong, -1.0, 1.0)) for wrong in (first, other))
        found = differences(one, two)["test_error"]
        held += found["low"] <= b - c <= found["high"]
    assert held >= 920
