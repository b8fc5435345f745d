"""The claims on warm-up, in worlds where they are true and false."""

import pytest

from judged import judged, rederived, world
from whytrain.errors import UserError
from whytrain.studies.liu2019 import study
from whytrain.studies.liu2019.warmup import COLD, TOPIC, WARMED_UP
from worlds import ended, gate

RUNS = 400


def escaping(failures=0):
    _, *others = (ended(RUNS, RUNS) for _ in WARMED_UP("quick"))
    return [ended(RUNS - failures, RUNS), *others]


def cold(*rates):
    """Success over the ratio of step sizes, alike for each of three teachers."""
    return [ended(int(rate * 1000), 1000) for _ in range(3) for rate in rates]


test_claims = gate(
    TOPIC,
    {"escape": escaping(), "warmup-needed": cold(1.0, 1.0, 0.95, 0.9, 0.8)},
    {"escape": [escaping(1)], "warmup-needed": [cold(0.5, 0.6, 0.7, 0.8, 0.9)]},
)


def test_too_few_runs_are_inconclusive_and_ask_for_more():
    [claim] = study.narrowed(["escape"], {}).claims
    found = judged(claim, [ended(4, 4) for _ in WARMED_UP("quick")])
    assert found.word == rederived(claim, found) == "inconclusive"
    assert claim.needs_more(found)


def test_length_and_step_sizes_follow_the_size():
    [claim] = study.narrowed(["warmup-needed"], {"k": "49"}).claims
    settings = [request.settings for request in claim.requests("quick")]
    assert {at.norm for at in settings} == {1.0, 7.0, 49.0}
    ratios = {round(at.filter_step_size * 49**2, 12) for at in settings}
    assert ratios == {1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0}
    assert len(settings) == len(COLD("quick")) == 15


def test_one_ratio_of_step_sizes_is_not_compared():
    [claim] = study.narrowed(["warmup-needed"], {"filter_step_size": "0.001"}).claims
    cells = world(claim, [ended(RUNS, RUNS) for _ in claim.requests("quick")])
    with pytest.raises(UserError, match="leave filter_step_size unset"):
        claim.judge(cells)
