"""Success rates beside a simulation of the whole network that shares nothing with the package."""

import math

import numpy as np
import pytest

from judged import judged, rederived, world
from whytrain.errors import UserError
from whytrain.lab import Runs
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019 import study
from whytrain.studies.liu2019.setup import DescentSettings
from whytrain.studies.liu2019.success import COLD, SUCCESS_RATE, TABLE, TOPIC, WARMED_UP
from worlds import ended, gate

RUNS = 3000
CELLS = {
    "resnet, wide prior": DescentSettings(
        k=6, p=5, alignment=0.5, norm=3.0, angle=1.9, warmup=False,
        step_size=0.04, filter_step_size=0.1, steps=4000,
    ),
    "resnet, a short warm-up": DescentSettings(
        k=4, p=3, alignment=0.3, norm=6.0, angle=1.3, warmup=True, warmup_steps=12,
        step_size=0.05, filter_step_size=0.04, radius=4.0, steps=4000,
    ),
    "cnn": DescentSettings(
        k=9, p=3, alignment=2.0, norm=2.0, architecture="cnn", warmup=False,
        step_size=0.02, filter_step_size=0.05, steps=6000,
    ),
}  # fmt: skip


def simulated(settings, seed):
    """How many runs of the whole network end at the teacher; from the paper, by NumPy alone."""
    rng = np.random.default_rng(seed)
    k, p = settings.k, settings.p
    across = rng.standard_normal(k)
    across -= across.mean()
    across /= np.linalg.norm(across)
    share = settings.alignment / k
    a_star = settings.norm * (math.sqrt(share / k) * np.ones(k) + math.sqrt(1 - share) * across)
    first = np.ones(p) / math.sqrt(p)
    if settings.architecture == "resnet":
        v = np.tile(first, (RUNS, 1))
        side = rng.standard_normal(p)
        side -= (side @ first) * first
        v_star = math.cos(settings.angle) * first
        v_star = v_star + math.sin(settings.angle) * side / np.linalg.norm(side)
    else:
        v = rng.standard_normal((RUNS, p))
        v /= np.linalg.norm(v, axis=1)[:, None]
        v_star = first
    a = rng.standard_normal((RUNS, k))
    a *= (rng.uniform(size=RUNS) ** (1 / k) / np.linalg.norm(a, axis=1))[:, None]
    a *= settings.radius

    for t in range(settings.steps):
        warm = settings.warmup and t < settings.warmup_steps
        filter_size = settings.step_size**2 if warm else settings.filter_step_size
        cos = np.clip(v @ v_star, -1, 1)
        angle = np.arccos(cos)
        g = (math.pi - angle) * cos + np.sin(angle)
        s, u = a.sum(axis=1), a @ a_star
        by_output = (math.pi - 1) * a + s[:, None] - np.outer(g - 1, a_star) - a_star.sum()
        by_filter = -((math.pi - angle) * u)[:, None] * (v_star - cos[:, None] * v)
        a = a - settings.step_size / (2 * math.pi) * by_output
        v = v - filter_size / (2 * math.pi) * by_filter
        v /= np.linalg.norm(v, axis=1)[:, None]

    won = (v @ v_star > 0.999) & (np.linalg.norm(a - a_star, axis=1) < 0.02 * settings.norm)
    lost = (v @ v_star < -0.99) & (a @ a_star < 0)
    assert (won | lost).mean() > 0.998  # the rest is still on its way
    return int(won.sum())


@pytest.mark.parametrize("name", CELLS)
def test_rates_agree_with_an_independent_simulation(name):
    settings = CELLS[name]
    study = SUCCESS_RATE.compute(settings, Runs(11, 5, 0, RUNS))
    ours = int((study.outcome == Outcome.GLOBAL).sum())
    theirs = simulated(settings, seed=2)
    rate = (ours + theirs) / (2 * RUNS)
    assert 0.02 < rate < 0.98  # a cell in which something can go wrong
    within = 3.29 * math.sqrt(2 * rate * (1 - rate) / RUNS)  # 99.9 %
    assert abs(ours - theirs) / RUNS < within


def test_pieces_put_together_are_the_whole_bit_for_bit():
    settings = CELLS["cnn"]
    whole = SUCCESS_RATE.compute(settings, Runs(1, 2, 0, 60))
    pieces = [SUCCESS_RATE.compute(settings, Runs(1, 2, *part)) for part in ((0, 7), (7, 53))]
    for name in ("outcome", "steps"):
        joined = np.concatenate([piece[name].values for piece in pieces])
        np.testing.assert_array_equal(whole[name].values, joined)


def test_the_summary_counts_what_is_there():
    settings = CELLS["cnn"]
    dataset = SUCCESS_RATE.compute(settings, Runs(1, 2, 0, 60))
    results = SUCCESS_RATE.results(dataset, settings)
    assert set(results["outcomes"]) == {"undecided", "global", "spurious", "saddle", "diverged"}
    assert sum(results["outcomes"].values()) == 60
    rate = results["success_rate"]
    assert rate["low"] < rate["estimate"] == results["outcomes"]["global"] / 60 < rate["high"]
    assert results["trajectory_steps"] == int(dataset.steps.sum())
    assert 0 < results["trajectory_steps"] < 60 * settings.steps


PLAIN = TABLE.at(architecture="cnn")("quick")
CLAIMS = {claim.id: claim for claim in TOPIC.claims}


def table(warm, cold, plain, runs=1000):
    return [ended(n, runs) for _ in PLAIN for n in (warm, cold, plain)]


def escaping(failures=0):
    _, *others = (ended(400, 400) for _ in WARMED_UP("quick"))
    return [ended(400 - failures, 400), *others]


def cold(*rates):
    """Success over the ratio of step sizes, alike for each of three teachers."""
    return [ended(int(rate * 1000), 1000) for _ in range(3) for rate in rates]


test_claims = gate(
    TOPIC,
    {
        "escape": escaping(),
        "warmup-needed": cold(1.0, 1.0, 0.95, 0.9, 0.8),
        "cnn-constant-probability": [ended(200, 400) for _ in PLAIN],
        "shortcut-beats-cnn": table(1000, 900, 500),
    },
    {
        "escape": [escaping(1)],
        "warmup-needed": [cold(0.5, 0.6, 0.7, 0.8, 0.9)],
        "cnn-constant-probability": [[ended(n, 400) for _ in PLAIN] for n in (0, 400)],
        "shortcut-beats-cnn": [table(999, 900, 500), table(1000, 500, 900)],
    },
)


def test_too_few_runs_are_inconclusive_and_ask_for_more():
    for name, datasets in (
        ("escape", [ended(4, 4) for _ in WARMED_UP("quick")]),
        ("cnn-constant-probability", [ended(1, 8) for _ in PLAIN]),
        ("shortcut-beats-cnn", table(40, 30, 28, runs=40)),
    ):
        found = judged(CLAIMS[name], datasets)
        assert found.word == rederived(CLAIMS[name], found) == "inconclusive"
        assert CLAIMS[name].needs_more(found)


def test_the_paper_s_sizes():
    cells = TABLE("paper")
    assert sorted({cell.settings.k for cell in cells}) == [16, 25, 36, 49, 64, 81, 100]
    assert {cell.runs for cell in cells} == {5000}
    assert {cell.settings.p for cell in cells} == {8}
    assert sum(cell.runs for cell in cells) == 105_000


def test_length_and_step_sizes_follow_the_size():
    [claim] = study.narrowed(["warmup-needed"], {"k": "49"}).claims
    settings = [request.settings for request in claim.requests("quick")]
    assert {at.norm for at in settings} == {1.0, 7.0, 49.0}
    ratios = {round(at.filter_step_size * 49**2, 12) for at in settings}
    assert ratios == {1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0}
    assert len(settings) == len(COLD("quick")) == 15


def test_one_ratio_of_step_sizes_is_not_compared():
    [claim] = study.narrowed(["warmup-needed"], {"filter_step_size": "0.001"}).claims
    cells = world(claim, [ended(400, 400) for _ in claim.requests("quick")])
    with pytest.raises(UserError, match="leave filter_step_size unset"):
        claim.judge(cells)
