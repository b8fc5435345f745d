"""The claims on the test error and on time, where they are true and false."""

import numpy as np

from made_up import gate, world
from whytrain.lab import altered
from whytrain.studies.neyshabur2019.errors import TOPIC
from whytrain.studies.neyshabur2019.trends import one_of_the_widest, reversed_widths, shifted
from worlds_of_width import UNKNOWN, narrow, trained

KINDS = {"width": trained}
[FITS] = (claim for claim in TOPIC.claims if claim.id == "N-E1")


def several(*plants):
    def plant(cells):
        for each in plants:
            cells = each(cells)
        return cells

    return plant


test_claims = gate(
    TOPIC,
    KINDS,
    {
        "N-E1": [
            reversed_widths,
            altered("train_error", lambda error: error + 0.1),
            several(narrow("train_error", 0.1), shifted("test_error", 0.4)),
            one_of_the_widest("train_error", UNKNOWN),
        ],
        "N-E7": [reversed_widths, narrow("fits", 0.0)],
    },
)


def test_two_widths_that_fit_are_no_trend():
    cells = world(FITS, KINDS).change(
        lambda cell: cell.assign(train_error=np.full(cell.runs, 0.1 * (cell.settings.width == 128)))
    )
    found = FITS.judge(cells)
    assert found.word == "inconclusive"
    assert "only 2 widths fit" in found.note


def test_errors_that_are_alike_in_every_run_are_known_to_one_example():
    cells = world(FITS, KINDS).change(
        lambda cell: cell.assign(test_error=np.full(cell.runs, cell.data.test_error.mean()))
    )
    [trend, _] = FITS.judge(cells).findings
    assert 0.001 < trend.estimate.high - trend.estimate.low < 0.1
