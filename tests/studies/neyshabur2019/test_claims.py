"""Every claim can be contradicted: its check is fed numbers from a world in which it is false."""

import numpy as np
import pytest
import xarray as xr

from whytrain.studies.neyshabur2019 import requests, study, theory_claims
from whytrain.studies.neyshabur2019.witness import FLOOR

CLAIMS = {claim.id: claim for claim in study.claims}
RUNS = 5
H = np.array(requests.WIDTHS["quick"], float)

# About what digits give, at widths 8, 32, 128, 512 and 2048.
NUMBERS = {
    "test_error": [0.06, 0.045, 0.037, 0.033, 0.03],
    "train_error": [0, 0, 0, 0, 0],
    "fits": [1, 1, 1, 1, 1],
    "epochs": [257, 172, 152, 128, 86],
    "unit_capacity": [2.44, 0.971, 0.396, 0.138, 0.033],
    "unit_impact": [2.54, 1.07, 0.51, 0.238, 0.1],
    "angle": [75, 57, 32, 12.6, 3.2],
    "U_distance_frobenius": [7.23, 6.06, 5.03, 3.53, 1.7],
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
    "C_vc": [1.1e6, 4.8e6, 2.2e7, 9.8e7, 4.4e8],
    "C_bartlett_mendelson2002": [6e8, 4e8, 7e8, 1e9, 3e9],
    "C_neyshabur2015": [1.3e7, 8.3e6, 1.2e7, 2.5e7, 6e7],
    "C_bartlett2017": [1e13, 1.4e13, 3e13, 6e13, 5.5e13],
    "C_neyshabur2018": [2e10, 3e10, 8e10, 1.6e11, 1.2e11],
    "C_neyshabur2019": [1.6e7, 8.05e6, 6.25e6, 4.27e6, 2.88e6],
    "sum_of_squares_error": [1e-15] * 5,
    "median_normalized_margin": [0.24] * 5,
    "margin": [3.2] * 5,
}  # fmt: skip


def widths(**changes):
    """Three runs at every width, numbers changed as told; a function changes what there was."""
    numbers = {name: np.array(values, float) for name, values in NUMBERS.items()}
    numbers["U_distance_1_2"] = 0.95 * np.sqrt(H) * numbers["U_distance_frobenius"]
    for name, change in changes.items():
        numbers[name] = change(numbers[name]) if callable(change) else np.array(change, float)
    rng = np.random.default_rng(0)
    noisy = {"train_error", "fits", "sum_of_squares_error"}
    made = []
    for i, h in enumerate(H):
        data = {"h": ("run", [h] * RUNS), "m": ("run", [600.0] * RUNS)}
        for name, values in numbers.items():
            noise = 1 + 0.005 * rng.standard_normal(RUNS) * (name not in noisy)
            data[name] = ("run", values[i] * noise)
        made.append(xr.Dataset(data))
    return made


def upside_down(values):
    return values[::-1]


def labels(true=0.24, random=0.017, fits=1.0):
    made = []
    for value in (true, random):
        noise = 1 + 0.01 * np.random.default_rng(1).standard_normal(RUNS)
        made.append(
            xr.Dataset({
                "median_normalized_margin": ("run", value * noise), "fits": ("run", [fits] * RUNS),
                "margin": ("run", [3.0] * RUNS),
            })
        )  # fmt: skip
    return made


def tiny(**changes):
    numbers = {
        "no_loss": 0.8, "ramp_loss": 0.1, "by_norms": 1.3, "margin_slope": 1.41, "ramp_slope": 1.0,
        "printed_slope": 2000.0, "ramp_below_error": 0.0, "printed_below_error": 0.0,
    } | changes  # fmt: skip
    one = xr.Dataset({name: ("run", np.full(20, value)) for name, value in numbers.items()})
    return [one, one]


def witnesses(count, ratio=0.2, spectral=1.0, initial=0.56, power=0.5):
    made = []
    sizes = requests.SIZES["quick"]
    for i in range(count):
        noise = 0.01 * np.random.default_rng(i).standard_normal(400)
        h = sizes[i % len(sizes)]
        made.append(
            xr.Dataset({
                "ratio": ("run", ratio + noise), "spectral": ("run", np.full(400, spectral)),
                "initial_ratio": ("run", initial + noise),
                "over_linear": ("run", (ratio + noise) * h**power), "h": ("run", [h] * 400),
            })
        )  # fmt: skip
    return made


MANY = len(requests.witnesses("quick"))
TRUE = {
    **dict.fromkeys(("N-T1", "N-D2", "N-D3", "N-D3-printed"), tiny()),
    **dict.fromkeys(("N-T3", "N-T3b"), witnesses(MANY)),
    "N-C4": witnesses(len(requests.SIZES["quick"])),
    "N-E9": labels(),
}
FALSE = {
    "N-T1": [tiny(no_loss=1.1), tiny(ramp_loss=1.1), tiny(by_norms=0.9)],
    "N-T2": [widths(test_error=lambda e: e + 1e4), widths(test_error=[np.nan] * 5)],
    "N-T3": [witnesses(MANY, ratio=FLOOR - 0.01), witnesses(MANY, spectral=1.01)],
    "N-T3b": [witnesses(MANY, initial=0.45)],
    "N-C4": [witnesses(4, power=0.0), witnesses(4, ratio=0.02)],
    "N-D1": [widths(sum_of_squares_error=[1e-3] * 5)],
    "N-D2": [tiny(margin_slope=2.0)],
    "N-D3": [tiny(ramp_slope=5.0), tiny(ramp_slope=np.nan)],
    "N-E1": [
        widths(test_error=upside_down), widths(train_error=[0.1] * 5),
        widths(train_error=[0.1, 0, 0, 0, 0], test_error=[0.06, 0.03, 0.035, 0.04, 0.045]),
    ],
    "N-E1-residual": [
        widths(test_error=upside_down), widths(fits=[1, 1, 1, 1, 0]),
    ],
    "N-E2": [
        widths(unit_impact=lambda a: a * H**0.2), widths(unit_capacity=lambda b: b * H**0.6),
        widths(fits=[1, 1, 0, 1, 1]),
    ],
    "N-E3": [widths(V_frobenius=upside_down), widths(V_distance_frobenius=upside_down)],
    "N-E4": [
        widths(U_frobenius=upside_down), widths(U_spectral=lambda u: np.sort(u)),
        widths(U_distance_frobenius=upside_down), widths(U_spectral=lambda u: u * [1, 1, 1, 4, 16]),
    ],
    "N-E5": [widths(angle=upside_down), widths(angle=[75, 74, 73, 72, 71]),
        widths(angle=[40, 30, 20, 10, 5])],
    "N-E6": [
        widths(row_l1max_spec=upside_down), widths(row_neyshabur2015=upside_down),
        widths(row_dist_fro=upside_down), widths(row_spec_l1max=lambda s: s * 10),
    ],
    "N-E6-range": [widths(row_l1max_spec=[72, 92, 142, 226, 300])],
    "N-E7": [widths(epochs=upside_down), widths(fits=[1, 1, 1, 1, 0])],
    "N-E8": [widths(C_neyshabur2019=upside_down),
        widths(C_neyshabur2015=lambda c: np.sort(c)[::-1])],
    "N-E8-below": [
        widths(C_neyshabur2019=lambda c: 100 * c), widths(C_vc=lambda c: c / 1000),
        widths(C_neyshabur2018=[2e10, 3e10, 1e6, 1.6e11, 1.2e11]),
    ],
    "N-E8-vacuous": [widths(C_neyshabur2019=lambda c: c / 1e6)],
    "N-E8-range": [widths(row_init_fro=upside_down)],
    "N-E9": [labels(true=0.017, random=0.24), labels(fits=0.0)],
    "N-CMP": [widths(U_distance_1_2=lambda d: 1.2 * d), widths(U_distance_1_2=lambda d: d / 2)],
}  # fmt: skip
# What is expected to be contradicted comes out supported where it is true.
OTHERWISE = {
    "N-D3-printed": tiny(printed_slope=1.0),
    "N-E8-narrow": widths(C_neyshabur2019=lambda c: c / 10),
}


def test_every_claim_is_here():
    assert set(FALSE) | set(OTHERWISE) == set(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_comes_out_as_expected_where_it_is_true(name):
    found = CLAIMS[name].check(TRUE.get(name) or widths())
    assert found.verdict == CLAIMS[name].expected, found.note
    assert np.isfinite(found.estimate)
    assert found.note


@pytest.mark.parametrize(
    ("name", "world"), [(name, world) for name, worlds in FALSE.items() for world in worlds]
)
def test_a_claim_is_contradicted_where_it_is_false(name, world):
    assert CLAIMS[name].check(world).verdict == "contradicted"


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_fails_as_printed_would_be_supported_in_another_world(name):
    assert CLAIMS[name].expected == "contradicted"
    assert CLAIMS[name].check(OTHERWISE[name]).verdict == "supported"


def test_two_widths_that_fit_are_no_trend():
    found = CLAIMS["N-E1"].check(widths(train_error=[0.1, 0, 0.1, 0, 0]))
    assert found.verdict == "inconclusive"
    assert "from width 512 on" in found.note


def test_a_larger_covering_number_contradicts_theorem_2(monkeypatch):
    monkeypatch.setattr(theory_claims, "covering_number_log", lambda h: 5.1 * h)
    assert CLAIMS["N-T2"].check(widths()).verdict == "contradicted"


def test_networks_that_could_not_be_measured_support_nothing():
    nothing = [d[["h", "m", "fits", "test_error", "epochs"]] for d in widths(fits=[0] * 5)]
    for name in ("N-E2", "N-E7"):
        assert CLAIMS[name].check(nothing).verdict != "supported"


@pytest.mark.parametrize("preset", study.presets)
def test_every_request_can_be_made(preset):
    for thing in (*study.claims, *study.figures):
        for request in thing.requests(preset):
            assert isinstance(request.settings, study.experiment(request.experiment).settings)


def test_what_other_data_say_of_the_output_layer_stands_in_the_note():
    claim = CLAIMS["N-E3"]
    found = claim.check([*widths(), *widths(V_distance_frobenius=upside_down)])
    assert found.verdict == "supported"
    assert "V_distance_frobenius goes like h^0." in found.note.split("the preset's own data")[1]
