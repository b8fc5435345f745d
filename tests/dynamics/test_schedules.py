import math

import numpy as np
import optax
import pytest

from whytrain.dynamics import constant, warm_up
from whytrain.dynamics.schedules import table
from whytrain.errors import UserError


def test_two_stages():
    schedule = warm_up(0.1, 1.0, steps=3)
    assert [float(schedule(t)) for t in range(5)] == [0.1, 0.1, 0.1, 1.0, 1.0]
    assert float(warm_up(0.1, 1.0, steps=0)(0)) == 1.0


@pytest.mark.parametrize("start", [0, 2, 4090])
@pytest.mark.parametrize(
    "schedule",
    [0.3, constant(0.3), warm_up(0.1, 0.7, 5), optax.exponential_decay(0.5, 1000, 0.3)],
    ids=["number", "constant", "warm-up", "optax"],
)
def test_a_table_is_the_schedule_step_by_step(schedule, start):
    stop = start + 20
    expected = [float(schedule(t)) if callable(schedule) else schedule for t in range(start, stop)]
    found = table(schedule, start, stop)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_step_size_is_finite_and_not_negative(value):
    with pytest.raises(UserError, match=r"must be a finite number >= 0, got"):
        constant(value)
    with pytest.raises(UserError, match=r"step size first must be"):
        warm_up(value, 1.0, 3)
    with pytest.raises(UserError, match=r"step size second must be"):
        warm_up(1.0, value, 3)


def test_a_warm_up_takes_no_negative_time():
    with pytest.raises(UserError, match=r"0 or more, got -1"):
        warm_up(0.1, 1.0, -1)
