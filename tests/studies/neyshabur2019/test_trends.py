"""Powers of the width and sums over widths."""

import math

import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.studies.neyshabur2019 import trends

GROUPS = [np.log(np.array([2.0, 2.2])), np.log(np.array([4.0, 4.1])), np.log(np.array([8.0, 8.3]))]


@pytest.mark.parametrize("lost", [math.nan, -math.inf])
def test_one_number_that_could_not_be_measured_bounds_nothing(lost):
    broken = [*GROUPS[:2], np.array([GROUPS[2][0], lost])]
    for found in (
        trends.slope([1, 2, 4], broken), trends.weighted(broken, [1.0, -2.0, 1.0]),
    ):  # fmt: skip
        assert (found.low, found.high, found.runs) == (-math.inf, math.inf, 6)


def test_a_power_of_the_width_is_found():
    found = trends.slope([1, 2, 4], GROUPS)
    assert found.low < 1 < found.high
    assert found.value == pytest.approx(1.0, abs=0.05)


def test_two_widths_have_a_power_and_one_has_none():
    assert trends.slope([1, 2], GROUPS[:2]).value == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UserError, match="needs two widths"):
        trends.slope([2, 2], GROUPS[:2])


def test_the_error_of_one_that_was_looked_for_is_divided_among_all():
    found = trends.slope([1, 2, 4], GROUPS)
    chosen = trends.looked_for(found, 4)
    assert chosen.interval == pytest.approx(found.bound(0.05 / 4))
    assert chosen.low < found.low < found.high < chosen.high
