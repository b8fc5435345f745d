"""A rate is predicted only where a run comes near."""

import pytest

from whytrain.errors import UserError
from whytrain.lab import Runs, parse
from whytrain.studies.yin2019.rates import RateSettings, compute


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["optimum=spurious", "alignment=0.5"], "'alignment' must be < 0.5 with optimum=spurious"),
        (["step_size=6"], "'step_size' must be < 5.01, or a step overshoots"),
    ],
)
def test_rates_are_of_optima_that_attract(pairs, message):
    with pytest.raises(UserError, match=message):
        compute(parse(RateSettings, pairs), Runs(0, 1, 0, 2))
