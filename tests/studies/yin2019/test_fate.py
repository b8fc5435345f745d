"""What becomes of the identity estimator at the spurious minimum, and when."""

import math

import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.lab import Cell, Cells, Runs
from whytrain.landscapes import Outcome
from whytrain.studies.yin2019.fate import (
    CLAIMS,
    FATES,
    FateSettings,
    collapse_time,
    compute,
    sliding_kappa,
    trapping_threshold,
)


@pytest.mark.parametrize("m", [2, 40])
def test_just_above_the_threshold_the_escape_is_waited_for(m):
    u = trapping_threshold(m) + 1e-4
    settings = FateSettings(m=m, low=u, high=u, alignments=1)
    dataset = compute(settings, Runs(0, 1, 0, 2))
    assert (dataset.outcome == Outcome.GLOBAL).all()


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_no_verdict_depends_on_where_the_step_size_moves_the_threshold(preset):
    for request in FATES(preset):
        assert np.abs(request.settings.axis - trapping_threshold(request.settings.m)).min() > 1e-3


@pytest.mark.parametrize("m", [2, 5, 40])
def test_a_trapped_run_slides_at_the_root_of_its_quadratic(m):
    """The roots meet at the threshold, and are gone above it."""
    nu, border = m / (m + 1), trapping_threshold(m)
    for u in (0.0, 0.5 * border, 0.999 * border):
        kappa = sliding_kappa(m, u)
        assert kappa**2 * (1 - (2 - nu) * u) + kappa * (1 - nu * u) + u == pytest.approx(0)
        assert -1 - 1e-9 <= kappa <= 0
    assert sliding_kappa(m, 0.0) == -1
    assert math.isnan(sliding_kappa(m, 1.001 * border))


def test_a_collapse_takes_the_predicted_time():
    settings = FateSettings(m=4, low=0.1, high=0.1, alignments=1, horizon=20.0)
    dataset = compute(settings, Runs(0, 1, 0, 2))
    np.testing.assert_allclose(dataset.collapse, 1.0, atol=0.01)
    assert (dataset.outcome == Outcome.COLLAPSED).all()
    assert collapse_time(4, 0.0) == math.inf


def test_an_axis_runs_upwards():
    with pytest.raises(UserError, match="'low' must be <= high"):
        FateSettings(low=0.4, high=0.1)


def test_where_no_run_is_to_be_trapped_nothing_is_said_of_trapped_runs():
    settings = FateSettings(m=4, low=0.4, high=0.4, alignments=1, horizon=5.0, step_size=0.02)
    cells = Cells([Cell(settings, compute(settings, Runs(0, 1, 0, 2)))])
    [claim] = [claim for claim in CLAIMS if claim.id == "Y-O5"]
    with pytest.raises(UserError, match="no alignment is below u_c"):
        claim.judge(cells)
