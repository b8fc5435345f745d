"""The claims on measures and bounds, where they are true and false."""

import re

import numpy as np
import pytest
import xarray as xr

from made_up import gate, world
from redrawn import check_figure
from whytrain.lab import Cell, Cells, scaled
from whytrain.studies.neyshabur2019 import bounds
from whytrain.studies.neyshabur2019.bounds import TOPIC
from whytrain.studies.neyshabur2019.trends import reversed_widths, shifted
from whytrain.studies.neyshabur2019.width import WidthSettings
from worlds_of_width import trained

test_claims = gate(
    TOPIC,
    {"width": trained},
    {
        "N-E6": [
            shifted("row_l1max_spec", -0.5),
            shifted("row_neyshabur2015", -0.5),
            shifted("row_bartlett_mendelson2002", -0.5),
            shifted("row_dist_fro", 0.5),
            scaled("row_spec_l1max", 10.0),
        ],
        "N-E6-range": [shifted("row_l1max_spec", 0.5)],
        "N-E8": [
            reversed_widths,
            *(shifted(f"C_{name}", -2.0) for name in ("neyshabur2015", "vc")),
        ],
        "N-E8-below": [
            scaled("C_neyshabur2019", 100.0),
            scaled("C_vc", 1e-3),
            scaled("C_neyshabur2018", 1e-5),
        ],
        "N-E8-vacuous": [scaled("C_neyshabur2019", 1e-6)],
        "N-E8-range": [shifted("row_init_fro", -0.4)],
        "N-E9": [scaled("fits", 0.0)],
    },
)


def test_the_note_tells_the_least_that_any_bound_says_of_a_network():
    [claim] = (claim for claim in TOPIC.claims if claim.id == "N-E8-vacuous")
    note = claim.judge(world(claim, {"width": trained})).note
    assert note.startswith("the gap is bounded by 43 or more")  # the root of 1.1e6 / 600


DRAWN = [figure for figure in TOPIC.figures if figure.name != "margins"]  # no levels are made up


@pytest.mark.parametrize("figure", DRAWN, ids=lambda figure: figure.name)
def test_every_figure_is_drawn(figure):
    check_figure(figure, world(figure, {"width": trained}))


def test_the_terms_of_the_bounds_have_their_powers():
    """From 54 to 8.4 and from 5.4 to 18.7 as the width grows from 8 to 2048."""
    [terms] = (figure for figure in TOPIC.figures if figure.name == "terms")
    caption = check_figure(terms, world(terms, {"width": trained}))
    assert re.search(r"V‖_F\$ goes like \$h\^\{[-−]0\.3", caption), caption
    assert "initial weights like $h^{0.2" in caption


def test_powers_are_those_from_width_32_to_512():
    widths = 2.0 ** np.arange(3, 12)
    values = np.random.default_rng(0).lognormal(size=len(widths))
    names = ("row_bartlett_mendelson2002", "row_neyshabur2015", "row_l1max_spec")
    cells = [
        Cell(WidthSettings(width=int(w)), xr.Dataset({name: ("run", [v] * 3) for name in names}))
        for w, v in zip(widths, values, strict=True)
    ]
    inside = (widths >= 32) & (widths <= 512)
    [expected, _] = np.polyfit(np.log(widths[inside]), np.log(values[inside]), 1)
    for power in bounds._rises_between(Cells(cells)):
        assert power.value == pytest.approx(expected)
