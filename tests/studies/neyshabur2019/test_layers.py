"""The claims on units and layers, where they are true and false."""

import numpy as np
import pytest

from made_up import gate, world
from whytrain import UserError
from whytrain.lab import Cell, Cells, altered, scaled
from whytrain.studies.neyshabur2019.layers import TOPIC, _more_growth
from whytrain.studies.neyshabur2019.trends import reversed_widths, shifted
from whytrain.studies.neyshabur2019.width import WIDTHS
from worlds_of_width import narrow, trained

KINDS = {"width": trained}


test_claims = gate(
    TOPIC,
    KINDS,
    {
        "N-D1": [scaled("sum_of_squares_error", 1e12)],
        "N-E2": [shifted("unit_impact", 0.2), shifted("unit_capacity", 0.6), narrow("fits", 0.0)],
        "N-E3": [shifted("V_frobenius", 0.2), shifted("V_distance_frobenius", 0.2)],
        "N-E4": [
            shifted("U_frobenius", -0.5),
            shifted("U_spectral", -0.4),
            shifted("U_spectral", 0.2),
            shifted("U_distance_frobenius", 0.5),
            narrow("U_spectral", 0.5),
        ],
        "N-E5": [
            reversed_widths,
            altered("angle", lambda angle: 60 + angle / 10),
            altered("angle", lambda angle: angle / 2),
            shifted("unit_capacity", 1.0),
        ],
        "N-CMP": [
            scaled("U_distance_1_2", 1.2),
            scaled("U_distance_1_2", 0.5),
            scaled("V_frobenius", 1.57),  # of sqrt(10) times the spectral norm it is 2 % more
        ],
    },
)


def test_what_other_data_say_of_the_output_layer_stands_in_the_note():
    [claim] = (claim for claim in TOPIC.claims if claim.id == "N-E3")
    cells = world(claim, KINDS)
    others = [
        Cell(request.settings, cell.data)
        for cell, request in zip(reversed(cells), WIDTHS("paper"), strict=False)
    ]
    found = claim.judge(Cells([*others, *cells]))
    assert found.word == "supported"
    assert "$‖V − V_0‖_F$ goes like $h^{0." in found.note.split("on fashion-mnist, from")[1]


def test_two_widths_tell_how_much_more_one_norm_grows():
    [claim] = (claim for claim in TOPIC.claims if claim.id == "N-E4")
    cells = world(claim, KINDS)
    ends = Cells([cells[0], cells[-1]])
    expected = np.log(26.4 / 4.2) - np.log(7.46 / 3.49)
    for some in (cells, ends):
        assert _more_growth(some).value == pytest.approx(expected, abs=0.02)
    with pytest.raises(UserError, match="this compares 2 widths or more"):
        _more_growth(Cells(cells[:1]))
