"""Every claim can be contradicted: its parts are fed numbers from worlds in which it is false."""

import functools

import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Cell, Cells, altered
from whytrain.studies.neyshabur2019 import requests, study
from whytrain.studies.neyshabur2019.planted import (
    one_of_the_widest,
    reversed_widths,
    scaled,
    shifted,
    times,
)
from whytrain.studies.neyshabur2019.witness import FLOOR

CLAIMS = {claim.id: claim for claim in study.claims}

# About what digits give, at widths 8, 32, 128, 512 and 2048.
NUMBERS = {
    "test_error": [0.06, 0.045, 0.037, 0.033, 0.03],
    "epochs": [257, 172, 152, 128, 86],
    "unit_capacity": [2.44, 0.971, 0.396, 0.138, 0.033],
    "unit_impact": [2.54, 1.07, 0.51, 0.238, 0.1],
    "angle": [75, 57, 32, 12.6, 3.2],
    "U_distance_frobenius": [7.23, 6.06, 5.03, 3.53, 1.7],
    "U_distance_1_2": [19.4, 32.6, 54.1, 75.9, 73.1],
    "U_frobenius": [7.46, 7.12, 8.87, 14.1, 26.4],
    "U_spectral": [3.49, 3.0, 2.77, 3.2, 4.2],
    "V_frobenius": [7.3, 6.5, 6.2, 5.7, 4.7],
    "V_distance_frobenius": [7.0, 6.2, 5.8, 5.2, 4.2],
    "V_spectral": [3.6, 3.2, 3.1, 2.8, 2.3],
    "row_dist_fro": [54, 39.6, 31.7, 20.8, 8.4],
    "row_init_fro": [5.4, 6.2, 8.6, 12.8, 18.7],
    "row_l1max_spec": [72, 92, 142, 226, 152],
    "row_spec_l1max": [70, 47, 46, 48, 55],
    "row_bartlett_mendelson2002": [130, 112, 140, 200, 330],
    "row_neyshabur2015": [55, 46, 57, 83, 140],
    "C_bartlett_mendelson2002": [6e8, 4e8, 7e8, 1e9, 3e9],
    "C_neyshabur2015": [1.3e7, 8.3e6, 1.2e7, 2.5e7, 6e7],
    "C_bartlett2017": [1e13, 1.4e13, 3e13, 6e13, 5.5e13],
    "C_neyshabur2018": [2e10, 3e10, 8e10, 1.6e11, 1.2e11],
    "C_neyshabur2019": [1.6e7, 8.05e6, 6.25e6, 4.27e6, 2.88e6],
    "margin": [3.2] * 5,
    "median_normalized_margin": [0.24] * 5,
}  # fmt: skip
VC = [1.1e6, 4.8e6, 2.2e7, 9.8e7, 4.4e8]  # the same in every run
EXACT = {"train_error": 0.0, "fits": 1.0, "sum_of_squares_error": 1e-15, "m": 600.0}
TINY = {
    "no_loss": 0.8, "ramp_loss": 0.1, "by_norms": 1.0, "margin_slope": 1.41, "ramp_slope": 1.0,
    "printed_slope": 2000.0, "covering": 3.84,
}  # fmt: skip


def trained(settings, runs, rng):
    """Networks of one width; random labels leave small margins."""
    place = requests.WIDTHS["quick"].index(settings.width)
    means = {name: values[place] for name, values in NUMBERS.items()}
    if settings.labels == "random":
        means["median_normalized_margin"] = 0.017
    noise = {name: mean * (1 + 0.005 * rng.standard_normal(runs)) for name, mean in means.items()}
    exact = EXACT | {"C_vc": VC[place]}
    return noise | {name: np.full(runs, value) for name, value in exact.items()}


def residual(settings, runs, rng):
    error = 0.05 * settings.width**-0.5 * (1 + 0.02 * rng.standard_normal(runs))
    return {"test_error": error, "fits": np.ones(runs)}


def tiny(settings, runs, rng):
    return {name: np.full(runs, value) for name, value in TINY.items()}


def witness(settings, runs, rng):
    noise = 0.01 * rng.standard_normal(runs)
    return {
        "ratio": 0.2 + noise, "spectral": np.ones(runs), "initial_ratio": 0.56 + noise,
        "over_linear": (0.2 + noise) * settings.h**0.5,
    }  # fmt: skip


KINDS = {"width": trained, "residual-width": residual, "tiny": tiny, "witness": witness}


@functools.cache
def world(claim):
    """What a claim asks for, where all claims are true."""
    rng = np.random.default_rng(0)
    cells = []
    for request in claim.requests("quick"):
        found = KINDS[request.experiment](request.settings, request.runs, rng)
        data = xr.Dataset({name: ("run", values) for name, values in found.items()})
        cells.append(Cell(request.settings, data))
    return Cells(cells)


def narrow(name, value):
    """A number of the narrowest networks alone."""
    least = min(requests.WIDTHS["quick"])

    def one(cell):
        changed = cell.assign(**{name: np.full(cell.runs, value)})
        return changed if cell.settings.width == least else cell

    return lambda cells: cells.change(one)


def several(*plants):
    def plant(cells):
        for each in plants:
            cells = each(cells)
        return cells

    return plant


UNKNOWN = float("nan")
FALSE = {
    "N-T1": [times("no_loss", 1.3), times("ramp_loss", 11), times("by_norms", 0.7)],
    "N-T2": [
        times("test_error", 1e9),
        times("test_error", UNKNOWN), times("covering", 1.31),
    ],
    "N-T3": [times("ratio", (FLOOR - 0.01) / 0.2), times("spectral", 1.01)],
    "N-T3b": [times("initial_ratio", 0.8)],
    "N-C4": [scaled("over_linear", lambda s: s.h**-0.5), times("over_linear", 0.1)],
    "N-D1": [times("sum_of_squares_error", 1e12)],
    "N-D2": [times("margin_slope", 1.5)],
    "N-D3": [times("ramp_slope", 5.0), times("ramp_slope", UNKNOWN)],
    "N-E1": [
        reversed_widths,
        altered("train_error", lambda error: error + 0.1),
        several(narrow("train_error", 0.1), shifted("test_error", 0.4)),
        one_of_the_widest("train_error", UNKNOWN),
    ],
    "N-E1-residual": [reversed_widths, one_of_the_widest("fits", 0.0)],
    "N-E2": [shifted("unit_impact", 0.2), shifted("unit_capacity", 0.6), narrow("fits", 0.0)],
    "N-E3": [shifted("V_frobenius", 0.2), shifted("V_distance_frobenius", 0.2)],
    "N-E4": [
        shifted("U_frobenius", -0.5), shifted("U_spectral", -0.4), shifted("U_spectral", 0.2),
        shifted("U_distance_frobenius", 0.5), narrow("U_spectral", 0.5),
    ],
    "N-E5": [
        reversed_widths, altered("angle", lambda angle: 60 + angle / 10),
        altered("angle", lambda angle: angle / 2), shifted("unit_capacity", 1.0),
    ],
    "N-E6": [
        shifted("row_l1max_spec", -0.5), shifted("row_neyshabur2015", -0.5),
        shifted("row_bartlett_mendelson2002", -0.5), shifted("row_dist_fro", 0.5),
        times("row_spec_l1max", 10.0),
    ],
    "N-E6-range": [shifted("row_l1max_spec", 0.5)],
    "N-E7": [reversed_widths, narrow("fits", 0.0)],
    "N-E8": [reversed_widths, *(shifted(f"C_{name}", -2.0) for name in ("neyshabur2015", "vc"))],
    "N-E8-below": [
        times("C_neyshabur2019", 100.0), times("C_vc", 1e-3), times("C_neyshabur2018", 1e-5),
    ],
    "N-E8-vacuous": [times("C_neyshabur2019", 1e-6)],
    "N-E8-range": [shifted("row_init_fro", -0.4)],
    "N-E9": [times("fits", 0.0)],
    "N-CMP": [
        times("U_distance_1_2", 1.2), times("U_distance_1_2", 0.5), times("V_frobenius", 2.0),
    ],
}  # fmt: skip


def planted():
    return [(claim, fault) for claim in study.claims for fault in claim.faults]


def test_the_claims_are_those_of_the_paper_and_of_this_study():
    assert len(CLAIMS) == 25
    assert set(FALSE) == {name for name, claim in CLAIMS.items() if claim.expected == "supported"}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_comes_out_as_expected_where_it_is_true(name):
    found = CLAIMS[name].judge(world(CLAIMS[name]))
    assert found.word == CLAIMS[name].expected, found
    assert np.isfinite(found.deciding.estimate.value)


@pytest.mark.parametrize(
    ("claim", "fault"), planted(), ids=lambda part: getattr(part, "id", getattr(part, "what", ""))
)
def test_a_fault_turns_the_verdict(claim, fault):
    opposite = {"supported": "contradicted", "contradicted": "supported"}[claim.expected]
    assert claim.judge(fault.plant(world(claim))).word == opposite


@pytest.mark.parametrize(
    ("name", "plant"), [(name, plant) for name, plants in FALSE.items() for plant in plants]
)
def test_a_claim_is_contradicted_where_it_is_false(name, plant):
    assert CLAIMS[name].judge(plant(world(CLAIMS[name]))).word == "contradicted"


def test_every_claim_says_what_it_is_about():
    figures = {figure.name for figure in study.figures}
    for claim in study.claims:
        assert claim.faults
        assert claim.title
        assert claim.does_not_show.endswith(".")
        assert set(claim.figures) <= figures


def test_two_widths_that_fit_are_no_trend():
    claim = CLAIMS["N-E1"]
    cells = world(claim).change(
        lambda cell: cell.assign(train_error=np.full(cell.runs, 0.1 * (cell.settings.width == 128)))
    )
    found = claim.judge(cells)
    assert found.word == "inconclusive"
    assert "only 2 widths fit" in found.note


def test_errors_that_are_alike_in_every_run_are_known_to_one_example():
    cells = world(CLAIMS["N-E1"]).change(
        lambda cell: cell.assign(test_error=np.full(cell.runs, cell.data.test_error.mean()))
    )
    [trend, _] = CLAIMS["N-E1"].judge(cells).findings
    assert 0.001 < trend.estimate.high - trend.estimate.low < 0.1


def test_networks_that_could_not_be_measured_support_nothing():
    kept = ["m", "fits", "test_error", "epochs"]
    for name in ("N-E2", "N-E3", "N-E4", "N-E7", "N-E8", "N-E8-below"):
        cells = world(CLAIMS[name]).change(
            lambda cell: Cell(cell.settings, cell.data[kept].assign(fits=0 * cell.data.fits))
        )
        assert CLAIMS[name].judge(cells).word in ("inconclusive", "contradicted")


@pytest.mark.parametrize("preset", study.presets)
def test_every_request_can_be_made_without_data(preset):
    for thing in (*study.claims, *study.figures):
        for request in thing.requests(preset):
            assert isinstance(request.settings, study.experiment(request.experiment).settings)


def test_what_other_data_say_of_the_output_layer_stands_in_the_note():
    claim = CLAIMS["N-E3"]
    cells = world(claim)
    others = [
        Cell(request.settings, cell.data)
        for cell, request in zip(reversed(cells), requests.widths("paper"), strict=False)
    ]
    found = claim.judge(Cells([*others, *cells]))
    assert found.word == "supported"
    assert "V_distance_frobenius goes like h^0." in found.note.split("on fashion-mnist, from h")[1]
