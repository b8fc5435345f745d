"""The whole study: its claims, its requests, its figures, and one width instead of several."""

import pytest

from made_up import world
from redrawn import check_figure
from whytrain.errors import UserError
from whytrain.lab import Cell, Cells, Runs
from whytrain.studies.neyshabur2019 import study, width
from worlds_of_width import trained

CLAIMS = {claim.id: claim for claim in study.claims}
TRENDS = ("N-E2", "N-E3", "N-E4", "N-E5", "N-E6", "N-E6-range", "N-E7", "N-E8", "N-E8-range")


def test_the_claims_are_those_of_the_paper_and_of_this_study():
    assert len(CLAIMS) == len(study.claims) == 25


def test_networks_that_could_not_be_measured_support_nothing():
    kept = ["m", "fits", "test_error", "epochs"]
    for name in ("N-E2", "N-E3", "N-E4", "N-E7", "N-E8", "N-E8-below"):
        cells = world(CLAIMS[name], {"width": trained}).change(
            lambda cell: Cell(cell.settings, cell.data[kept].assign(fits=0 * cell.data.fits))
        )
        assert CLAIMS[name].judge(cells).word in ("inconclusive", "contradicted")


@pytest.mark.parametrize("preset", study.presets)
def test_every_request_can_be_made_without_data(preset):
    for thing in (*study.claims, *study.figures):
        for request in thing.requests(preset):
            assert isinstance(request.settings, study.experiment(request.experiment).settings)


@pytest.mark.parametrize("name", TRENDS)
def test_one_width_shows_no_trend(name):
    [claim] = study.narrowed([name], {"width": "512"}).claims
    with pytest.raises(UserError, match=r"leave width (and data )?unset"):
        claim.judge(world(claim, {"width": trained}))


def test_one_kind_of_labels_is_not_compared():
    [claim] = study.narrowed(["N-E9"], {"labels": "true"}).claims
    with pytest.raises(UserError, match="leave labels unset"):
        claim.judge(world(claim, {"width": trained}))


@pytest.mark.slow
def test_every_figure_is_drawn():
    settings = [width.WidthSettings(width=h, examples=128, target=0.3) for h in (16, 24)]
    cells = Cells([Cell(at, width.compute(at, Runs(0, 0, 0, 2))) for at in settings])
    two = [Cell(at.but(labels=kind), cell.data)
           for at, cell, kind in zip(settings, cells, ("true", "random"), strict=True)]  # fmt: skip
    for figure in study.figures:
        check_figure(figure, Cells(two) if figure.name == "margins" else cells)
    assert len(width.LABELS("quick")) == 2
