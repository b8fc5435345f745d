"""Every claim can be contradicted: its check is fed numbers from a world in which it is false."""

import math

import numpy as np
import pytest
import xarray as xr

from judged import judged, rederived, world
from whytrain.dynamics import log_times
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019 import requests, study
from whytrain.studies.liu2019.rates import predicted
from whytrain.studies.liu2019.scaling import EPSILONS

RUNS = 400
SHEET = (
    "loss", "gradient", "reduction", "spurious-minimum", "existence-threshold", "escape",
    "convergence", "polynomial-time", "cnn-constant-probability", "shortcut-beats-cnn",
    "warmup-needed", "prior-is-not-tight", "spurious-is-slow", "samples",
)  # fmt: skip
CLAIMS = {claim.id: claim for claim in study.claims}


def ended(successes, runs=RUNS):
    """Runs of which so many reached the global optimum, and the others the spurious one."""
    codes = np.where(np.arange(runs) < successes, Outcome.GLOBAL, Outcome.SPURIOUS)
    return xr.Dataset({"outcome": ("run", codes.astype(np.int8)), "steps": ("run", codes * 10)})


def closed_forms(miss=0.0, autodiff=1e-15, reduction=1e-14):
    z = np.random.default_rng(0).standard_normal(RUNS) + miss
    numbers = {
        "loss_z": z, "gradient_z": z,
        "loss_size": np.full(RUNS, 60.0), "gradient_size": np.full(RUNS, 20.0),
        "autodiff_error": np.full(RUNS, autodiff), "reduction_error": np.full(RUNS, reduction),
    }  # fmt: skip
    asked = requests.closed_forms("quick")
    return [xr.Dataset({name: ("run", x) for name, x in numbers.items()}) for _ in asked]


def near(asked, gap, successes=RUNS):
    """Runs near an optimum, their distances from it given by `gap(settings, name, time)`."""
    made = []
    for request in asked:
        time = log_times(request.settings.steps, 200)
        dataset = ended(successes).assign_coords(time=time)
        for name in ("angle", "overlap"):
            path = np.maximum(gap(request.settings, name, np.maximum(time, 1)), 1e-300)
            spread = 1 + 1e-4 * np.random.default_rng(0).standard_normal((RUNS, 1))
            dataset[name] = ("run", "time"), path**spread
        made.append(dataset)
    return made


def geometric(factor):
    """Errors that fall `factor` times as fast as predicted."""
    return lambda settings, name, t: 0.1 * np.exp(-factor * predicted(settings)[name] * t)


def slow(settings, name, time):
    overlap = abs(settings.reduction.settled(math.pi).overlap)
    return 2 * math.pi / (overlap * settings.filter_step_size * time)


def thresholds(border):
    shares = [requests.threshold_share(r.settings) for r in requests.threshold("quick")]
    return [ended(0 if share < border else RUNS) for share in shares]


def returning(runs=RUNS):
    """Runs of which so many come back to the spurious optimum."""
    return [ended(RUNS - runs) for _ in requests.near_spurious("quick")]


def escaping(failures=0):
    every = [ended(RUNS, RUNS) for _ in requests.warmed_up("quick")]
    return [ended(RUNS - failures, RUNS), *every[1:]]


def scaling(exponent, digits=1.0):
    made = []
    for request in requests.scaling("quick"):
        steps = request.settings.k**exponent * np.log(1 / EPSILONS) ** digits
        noise = 1 + 0.001 * np.random.default_rng(request.settings.k).standard_normal(RUNS)
        hits = ("run", "epsilon"), noise[:, None] * steps
        made.append(ended(RUNS).assign(hit=hits).assign_coords(epsilon=EPSILONS))
    return made


def border(shift):
    made = []
    for request in requests.border("quick"):
        angles = request.settings.angle_axis
        lost = angles > request.settings.reduction.saddle_angle + shift
        codes = np.where(lost, Outcome.SPURIOUS, Outcome.GLOBAL).astype(np.int8)
        outcome = np.tile(codes[None, :, None], (RUNS, 1, 1))
        made.append(
            xr.Dataset({"outcome": (("run", "angle", "ratio"), outcome)}, {"angle": angles})
        )
    return made


def batches(exponent, same=RUNS):
    made = []
    for batch in requests.BATCHES["quick"]:
        noise = np.exp(0.3 * np.random.default_rng(batch).standard_normal(RUNS))
        made.append(
            xr.Dataset({
                "deviation": ("run", batch**exponent * noise),
                "population_outcome": ("run", np.ones(RUNS, np.int8)),
                "sampled_outcome": ("run", np.where(np.arange(RUNS) < same, 1, 2)),
            })
        )  # fmt: skip
    return made


def table(warm, cold, plain, runs=1000):
    return [ended(n, runs) for _ in requests.SIZES["quick"] for n in (warm, cold, plain)]


def norms(rates):
    return [ended(int(rate * 1000), 1000) for _ in range(3) for rate in rates]


TRUE = {
    "loss": closed_forms(),
    "gradient": closed_forms(),
    "reduction": closed_forms(),
    "spurious-minimum": returning(),
    "existence-threshold": thresholds(1.0),
    "escape": escaping(),
    "convergence": near(requests.near_global("quick"), geometric(1.0)),
    "polynomial-time": scaling(2.0),
    "cnn-constant-probability": [ended(RUNS // 2) for _ in requests.plain_networks("quick")],
    "shortcut-beats-cnn": table(1000, 900, 500),
    "warmup-needed": norms((1.0, 1.0, 0.95, 0.9, 0.8)),
    "prior-is-not-tight": border(0.0),
    "spurious-is-slow": near(requests.near_spurious("quick"), slow, 0),
    "samples": batches(-0.5),
}
FALSE = {
    "loss": [closed_forms(miss=1.0)],
    "gradient": [closed_forms(miss=1.0), closed_forms(autodiff=1e-6)],
    "reduction": [closed_forms(reduction=1e-9)],
    "spurious-minimum": [returning(RUNS - 3)],
    "existence-threshold": [thresholds(0.985), thresholds(1.015), thresholds(0), thresholds(9)],
    "escape": [escaping(1)],
    "convergence": [
        near(requests.near_global("quick"), geometric(0.9)),
        near(requests.near_global("quick"), geometric(1.0), RUNS - 1),
    ],
    "polynomial-time": [scaling(4.0), scaling(2.0, digits=6.0)],
    "cnn-constant-probability": [
        [ended(RUNS) for _ in requests.plain_networks("quick")],
        [ended(0) for _ in requests.plain_networks("quick")],
    ],
    "shortcut-beats-cnn": [
        table(999, 900, 500),
        table(1000, 500, 900),
    ],
    "warmup-needed": [norms((0.5, 0.6, 0.7, 0.8, 0.9))],
    "prior-is-not-tight": [border(0.02), border(-0.02), border(9.0)],
    "spurious-is-slow": [
        near(requests.near_spurious("quick"), lambda *at, factor=factor: factor * slow(*at), 0)
        for factor in (0.01, 0.95, 1.05)
    ],
    "samples": [batches(-0.1), batches(-1.0)],
}  # fmt: skip


def test_the_claims_are_the_sheet_s():
    assert tuple(CLAIMS) == SHEET


@pytest.mark.parametrize("name", SHEET)
def test_a_true_world_supports_the_claim(name):
    found = judged(CLAIMS[name], TRUE[name])
    assert found.word == rederived(CLAIMS[name], found) == "supported"


@pytest.mark.parametrize(
    ("name", "datasets"),
    [(name, datasets) for name, worlds in FALSE.items() for datasets in worlds],
    ids=[f"{name}-{i}" for name, worlds in FALSE.items() for i in range(len(worlds))],
)
def test_a_false_world_contradicts_the_claim(name, datasets):
    found = judged(CLAIMS[name], datasets)
    assert found.word == rederived(CLAIMS[name], found) == "contradicted"
    assert found.runs > 0


@pytest.mark.parametrize("name", SHEET)
def test_planted_faults_turn_the_claim(name):
    claim = CLAIMS[name]
    planted = [fault for fault in claim.faults if fault.requests is None]
    for fault in planted:
        found = claim.judge(fault.plant(world(claim, TRUE[name])))
        assert found.word == rederived(claim, found) == "contradicted", fault.what
    assert planted
    assert claim.does_not_show


def test_faults_that_need_runs_ask_for_what_the_study_has():
    for claim in study.claims:
        for fault in claim.faults:
            for request in fault.requests("quick") if fault.requests else ():
                assert isinstance(request.settings, study.experiment(request.experiment).settings)


def test_too_few_runs_are_inconclusive_and_ask_for_more():
    few = [ended(4, 4) for _ in requests.warmed_up("quick")]
    rare = [ended(1, 8) for _ in requests.plain_networks("quick")]
    close = table(40, 30, 28, runs=40)
    for name, datasets in (
        ("escape", few), ("cnn-constant-probability", rare), ("shortcut-beats-cnn", close),
    ):  # fmt: skip
        found = judged(CLAIMS[name], datasets)
        assert found.word == rederived(CLAIMS[name], found) == "inconclusive"
        assert CLAIMS[name].needs_more(found)


@pytest.mark.parametrize("preset", study.presets)
def test_requests_name_experiments_of_the_study(preset):
    for item in (*study.claims, *study.figures):
        for request in item.requests(preset):
            experiment = study.experiment(request.experiment)
            assert isinstance(request.settings, experiment.settings)
            assert request.runs >= 1


def test_the_paper_s_sizes():
    cells = requests.table("paper")
    assert sorted({cell.settings.k for cell in cells}) == [16, 25, 36, 49, 64, 81, 100]
    assert {cell.runs for cell in cells} == {5000}
    assert {cell.settings.p for cell in cells} == {8}
    assert sum(cell.runs for cell in cells) == 105_000
