"""The fitted rate is that of the linear regime, whatever came before and whatever rounding does."""

import numpy as np
import pytest

from whytrain.dynamics import fitted_rates

TIME = np.arange(0, 400, 2)
CLEAN = np.exp(-0.1 * TIME)


def test_a_geometric_error_gives_its_rate():
    found = fitted_rates(TIME, np.stack([CLEAN, 0.01 * CLEAN**2]), 1e-11, 1e-4)
    np.testing.assert_allclose(found, [0.1, 0.2], rtol=1e-10)


def test_rounding_and_the_way_there_do_not_count():
    error = np.where(CLEAN > 1e-4, 1.0, np.maximum(CLEAN, 3e-12))
    assert fitted_rates(TIME, error[None], 1e-11, 1e-4)[0] == pytest.approx(0.1)


def test_an_error_that_passes_zero_counts_after_it_was_last_large():
    through = np.abs(CLEAN - 30 * np.exp(-0.2 * TIME))
    assert through[15:20].min() < 0.01 < through[:15].max()
    assert fitted_rates(TIME, through[None], 1e-11, 1e-4)[0] == pytest.approx(0.1, rel=1e-2)


def test_too_few_points_give_no_rate():
    assert np.isnan(fitted_rates(TIME, np.full((1, 200), 1e-3), 1e-11, 1e-4)).all()
