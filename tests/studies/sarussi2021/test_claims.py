"""Each claim where it is true, with each of its faults, and where it is false."""

import numpy as np
import pytest
import xarray as xr

from made_up import gate
from whytrain.lab import added, altered, in_one_run
from whytrain.studies.sarussi2021 import (
    agreement,
    clustering,
    kkt,
    optimization,
    pairs,
    scale,
    study,
)
from whytrain.studies.sarussi2021.scale import changed_at


def near(rng, shape, value, size=0.05):
    """Numbers about a value, with a relative spread."""
    return value * np.exp(size * rng.standard_normal(shape))


def courses(settings, runs, rng):
    steps = near(rng, runs, 600)
    total = near(rng, runs, 100)
    return {
        "steps": steps, "wide": steps * near(rng, runs, 1.005, 0.005), "total": total,
        "bound": 15 * total, "excess": -near(rng, runs, 1e-5), "reached": np.ones(runs, bool),
    }  # fmt: skip


def clusters(settings, runs, rng):
    return {
        "violations": np.zeros(runs), "made_violations": np.zeros(runs),
        "certified": np.full(runs, settings.probes), "made_certified": near(rng, runs, 2e4),
        "beyond_1": rng.poisson(50, runs), "sharp": np.ones(runs, bool),
        "region": near(rng, runs, 0.8), "ratio": near(rng, runs, 0.01),
    }  # fmt: skip


def ends(settings, runs, rng):
    """From small weights a distance that falls like 1 / log(loss)^2; from large ones none."""
    small = settings.init_scale < 0.01
    logs = -np.log(np.array(kkt.LOSSES))
    cosine = 1 - near(rng, (runs, 1), 0.8) * (logs[0] / logs) ** 2 / 2
    ratio = near(rng, (runs, len(logs)), 1e-4 if small else 0.5)
    agree = np.ones_like(ratio) if small else np.minimum(near(rng, ratio.shape, 0.93, 0.02), 0.99)
    names = {"cosine": cosine, "ratio": ratio, "neural": agree, "perfect": agree,
             "svm": cosine, "promised_svm": cosine}  # fmt: skip
    found = {name: (("run", "loss"), values) for name, values in names.items()}
    return xr.Dataset(found | {"reached": ("run", np.ones(runs, bool))})


def entries(settings, runs, rng):
    return {
        "entered": np.where(settings.init_scale == 1e-4, 1.0, 20.0) * np.ones(runs),
        "left": np.zeros(runs, bool), "least": near(rng, runs, 0.15),
    }  # fmt: skip


def sweep(settings, runs, rng):
    far = np.linspace(0, 1, settings.scales)
    shape = runs, settings.scales
    return numbers(rng, shape, 1 - 0.1 * far, 0.01 * 1e3**far)


def numbers(rng, shape, linear, ratio):
    names = {
        "linear": np.minimum(linear * near(rng, shape, 1, 1e-4), 1),
        "ratio": near(rng, shape, ratio),
        "accuracy": near(rng, shape, 0.99 - 0.2 * (1 - linear), 0.003),
        "svm": near(rng, shape, 0.99, 0.003), "reached": np.ones(shape, bool),
    }  # fmt: skip
    return xr.Dataset({name: (("run", "scale"), values) for name, values in names.items()})


def images(settings, runs, rng):
    return numbers(rng, (runs, 2), np.array([0.999, 0.9]), np.array([0.02, 9.0]))


test_optimization = gate(
    optimization.TOPIC,
    {"optimization": courses},
    {
        "C-T1": [altered("wide", lambda steps: 0.9 * steps), altered("reached", np.zeros_like)],
        "C-T1-bound": [altered("total", lambda total: 20 * total), added("excess", 1e-4)],
        "C-T1-hinge": [altered("total", lambda total: 20 * total)],
    },
)
test_clustering = gate(
    clustering.TOPIC,
    {"clustering": clusters},
    {
        "C-T2": [
            in_one_run("violations", 1),
            altered("made_certified", lambda n: n * 0 - 30_000),
        ]
    },
)
test_kkt = gate(
    kkt.TOPIC,
    {"kkt": ends},
    {
        "C-T3": [altered("cosine", lambda c: 1 - 3 * (1 - c)), added("ratio", 0.05)],
        "C-T5": [altered("ratio", lambda ratio: 0.05 + 0 * ratio)],
    },
)
test_agreement = gate(
    agreement.TOPIC,
    {"agreement": entries},
    {"C-T4": [altered("left", np.ones_like), added("least", -1.0)]},
)
test_scale = gate(
    scale.TOPIC,
    {"init-scale": sweep},
    {
        "C-T6": [
            changed_at("linear", 0, lambda share: share - 0.02),
            changed_at("ratio", -1, lambda ratio: ratio / 10),
            altered("reached", np.zeros_like),
        ]
    },
)
test_pairs = gate(
    pairs.TOPIC,
    {"real-pairs": images},
    {"C-T6-images": [added("linear", -0.05), added("svm", 0.05), added("linear", 0.1)]},
)


def test_the_claims_are_those_of_the_study():
    assert [claim.id for claim in study.claims] == [
        "C-T1", "C-T1-bound", "C-T1-hinge", "C-T2", "C-T3", "C-T5", "C-T4", "C-T6", "C-T6-images",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", study.presets)
def test_every_request_can_be_made_without_data(preset, monkeypatch):
    monkeypatch.setenv("WHYTRAIN_DATA", "")
    for thing in (*study.claims, *study.figures):
        for request in thing.requests(preset):
            assert isinstance(request.settings, study.experiment(request.experiment).settings)
            assert getattr(request.settings, "images", "digits") == "digits"
