"""Every claim can be contradicted: its check is fed numbers from a world in which it is false."""

import numpy as np
import pytest
import xarray as xr

from whytrain.landscapes import Outcome
from whytrain.studies.yin2019 import requests, study
from whytrain.studies.yin2019.bounds import DISTANCES, GAPS, RADII
from whytrain.studies.yin2019.fate import kappa_roots, predicted
from whytrain.studies.yin2019.setup import THEOREM

RUNS = 400
SHEET = (
    "Y-L1", "Y-L2", "Y-P1", "Y-W0", "Y-W0-corrected", "Y-L3", "Y-L3-corrected", "Y-L4", "Y-L5a",
    "Y-L5b", "Y-L5b-corrected", "Y-13", "Y-L6", "Y-L7a", "Y-L7b", "Y-L8a", "Y-L8b", "Y-T1a",
    "Y-T1b", "Y-R1", "Y-PUB1", "Y-PUB2", "Y-PUB3", "Y-PUB4", "Y-PUB5", "Y-O1", "Y-O2", "Y-O3",
    "Y-O4", "Y-O5", "Y-O6", "Y-O7",
)  # fmt: skip
PRINTED_AND_FALSE = {"Y-W0", "Y-L3", "Y-L5b"}
CLAIMS = {claim.id: claim for claim in study.claims}


def over_runs(**columns):
    return [xr.Dataset({name: ("run", np.broadcast_to(x, RUNS)) for name, x in columns.items()})]


def closed_forms(miss=0.0, error=1e-15, inner=0.1, reduction=1e-14):
    z = np.random.default_rng(0).standard_normal(RUNS) + miss
    columns = {"loss_z": z, "zero_z": z, "output_z": z}
    columns |= {f"{name}_error": error for name in ("loss", "output", "difference", "shrink")}
    for name in THEOREM:
        columns |= {
            f"{name}_z": z, f"{name}_printed_error": error, f"{name}_quadrature_error": error,
            f"{name}_inner": inner, f"{name}_inner_error": error,
            f"{name}_reduction": reduction, f"{name}_shortest": 1.0,
        }  # fmt: skip
    return over_runs(**columns)


def points(**changes):
    u = np.linspace(0.01, 0.79, RUNS)
    columns = {
        "u": u, "as_stated": True, "saddle_error": 0.0, "residual": 0.0, "both_sides_fall": True,
        "least_rise": np.where(u < 0.5, 0.1, -0.1), "profile_error": 0.0, "values_error": 0.0,
        "identity_norm_error": 0.0, "identity_radial": 0.1,
    }  # fmt: skip
    for name in THEOREM:
        columns |= {f"{name}_at_critical": 0.0, f"{name}_elsewhere": 1e-3}
    return over_runs(**(columns | changes))


def bounds(jump=0.0, inside=0.0, relu=0.0, clipped=0.0, blowup=-1.0, law=1e-12, level=1.0):
    def along(dim, scale, power):
        noise = 1 + 1e-3 * np.random.default_rng(0).standard_normal(len(scale))
        return ("run", dim), np.tile(level * noise * scale**power, (8, 1))

    return [xr.Dataset(
        {
            "jump": along("distance", DISTANCES, jump), "law_error": ("run", np.full(8, law)),
            "inside": along("distance", DISTANCES, inside),
            "relu_ratio": along("radius", RADII, relu),
            "clipped_relu_ratio": along("radius", RADII, clipped),
            "identity_blowup": along("gap", GAPS, blowup),
        },
        {"distance": DISTANCES, "radius": RADII, "gap": GAPS},
    )]  # fmt: skip


def descents(rise=0.0, outcome=Outcome.GLOBAL):
    rises, codes = np.zeros(RUNS), np.full(RUNS, Outcome.GLOBAL, np.int8)
    rises[0], codes[0] = rise, outcome
    return over_runs(rise_loss=rises, outcome=codes, least_radius=1.0, steps=10)


def zero(minimum, margin):
    return over_runs(least=np.where(minimum, 0.0, -1.0), margin=margin)


def fates(collapse=1.0, outcome=None, kappa=0.0):
    made = []
    for request in requests.fates("quick"):
        settings = request.settings
        codes = predicted(settings) if outcome is None else np.full(settings.alignments, outcome)
        roots = np.nan_to_num(kappa_roots(settings), nan=1.0) + kappa
        noise = 1e-4 * np.random.default_rng(0).standard_normal((8, settings.alignments))
        made.append(xr.Dataset(
            {
                "outcome": (("run", "alignment"), np.tile(codes, (8, 1)).astype(np.int8)),
                "collapse": (("run", "alignment"), collapse + noise),
                "kappa": (("run", "alignment"), np.tile(roots, (8, 1))),
            },
            {"alignment": settings.axis},
        ))  # fmt: skip
    return made


def rates(ratio):
    return over_runs(ratio=ratio + 1e-4 * np.random.default_rng(0).standard_normal(RUNS))


def samples(*roughness):
    values = np.tile(roughness, (RUNS, 1))
    return [xr.Dataset({"roughness": (("run", "samples"), values)})]


TRUE = {
    **dict.fromkeys(
        ("Y-L1", "Y-L2", "Y-L4", "Y-L5a", "Y-L7a", "Y-L8a", "Y-PUB1", "Y-PUB2", "Y-O1", "Y-O3"),
        closed_forms(),
    ),
    **dict.fromkeys(("Y-P1", "Y-L6", "Y-L7b", "Y-PUB4", "Y-O2"), points()),
    **dict.fromkeys(
        ("Y-L3", "Y-L3-corrected", "Y-L5b", "Y-L5b-corrected", "Y-L8b", "Y-PUB3", "Y-O7"), bounds()
    ),
    **dict.fromkeys(("Y-13", "Y-T1a", "Y-PUB5"), descents()),
    **dict.fromkeys(("Y-T1b", "Y-O4", "Y-O5"), fates()),
    "Y-W0": zero(False, -1.0),
    "Y-W0-corrected": zero(True, 1.0),
    "Y-R1": samples(0.1, 0.05, 0.01, 0.001),
    "Y-O6": rates(1.0),
}
FALSE = {
    "Y-L1": [closed_forms(miss=1.0), closed_forms(error=1e-6)],
    "Y-L2": [closed_forms(error=1e-6)],
    "Y-P1": [
        points(as_stated=False), points(saddle_error=0.1), points(residual=0.1),
        points(both_sides_fall=False), points(least_rise=-0.1), points(least_rise=0.1),
    ],
    "Y-W0": [zero(True, 1.0)],
    "Y-W0-corrected": [zero(True, -1.0), zero(False, 1.0)],
    "Y-L3": [bounds(jump=-1.0)],
    "Y-L3-corrected": [bounds(inside=-1.0)],
    "Y-L4": [closed_forms(miss=1.0), closed_forms(error=1e-6)],
    "Y-L5a": [closed_forms(inner=-0.1), closed_forms(error=1e-6)],
    "Y-L5b": [bounds(relu=1.0)],
    "Y-L5b-corrected": [bounds(relu=2.0), bounds(level=100.0)],
    "Y-13": [descents(rise=1e-3)],
    "Y-L6": [points(relu_at_critical=0.1), points(relu_elsewhere=0.0)],
    "Y-L7a": [closed_forms(miss=1.0), closed_forms(error=1e-6)],
    "Y-L7b": [points(identity_norm_error=0.1), points(identity_radial=-0.1)],
    "Y-L8a": [closed_forms(inner=-0.1)],
    "Y-L8b": [bounds(blowup=0.0), bounds(blowup=-2.0)],
    "Y-T1a": [descents(rise=1e-3), descents(outcome=Outcome.UNDECIDED)],
    "Y-T1b": [fates(outcome=Outcome.SPURIOUS), fates(collapse=np.nan)],
    "Y-R1": [samples(0.1, 0.1, 0.1, 0.1), samples(0.2, 0.1, 0.1, 0.05)],
    "Y-PUB1": [closed_forms(miss=1.0), closed_forms(error=1e-6)],
    "Y-PUB2": [closed_forms(inner=-0.1)],
    "Y-PUB3": [bounds(clipped=1.0)],
    "Y-PUB4": [points(clipped_relu_at_critical=0.1), points(clipped_relu_elsewhere=0.0)],
    "Y-PUB5": [descents(rise=1e-3), descents(outcome=Outcome.COLLAPSED)],
    "Y-O1": [closed_forms(error=1e-6)],
    "Y-O2": [points(profile_error=1e-6), points(values_error=1e-6)],
    "Y-O3": [closed_forms(reduction=1e-9), closed_forms(reduction=np.nan)],
    "Y-O4": [fates(collapse=1.1)],
    "Y-O5": [fates(outcome=Outcome.GLOBAL), fates(outcome=Outcome.COLLAPSED), fates(kappa=0.1)],
    "Y-O6": [rates(1.1)],
    "Y-O7": [bounds(law=1e-3)],
}  # fmt: skip


def test_the_claims_are_the_sheet_s():
    assert set(CLAIMS) == {*SHEET, "Y-E1", "Y-E2"}  # those two: test_networks.py
    expected = {claim.id for claim in study.claims if claim.expected == "contradicted"}
    assert expected == PRINTED_AND_FALSE
    assert all(f"{name}-corrected" in CLAIMS for name in PRINTED_AND_FALSE)


@pytest.mark.parametrize("name", SHEET)
def test_a_true_world_supports_the_claim(name):
    assert CLAIMS[name].check(TRUE[name]).verdict == "supported"


@pytest.mark.parametrize(
    ("name", "datasets"),
    [(name, datasets) for name, worlds in FALSE.items() for datasets in worlds],
    ids=[f"{name}-{i}" for name, worlds in FALSE.items() for i in range(len(worlds))],
)
def test_a_false_world_contradicts_the_claim(name, datasets):
    verdict = CLAIMS[name].check(datasets)
    assert verdict.verdict == "contradicted"
    assert verdict.note
    assert verdict.runs > 0


@pytest.mark.parametrize("preset", study.presets)
def test_requests_name_experiments_of_the_study(preset):
    for item in (*study.claims, *study.figures):
        for request in item.requests(preset):
            experiment = study.experiment(request.experiment)
            assert isinstance(request.settings, experiment.settings)
            assert request.runs >= 1
