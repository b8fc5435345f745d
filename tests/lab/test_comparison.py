"""Comparing optimizers: a null that must stay quiet, differences that must be seen, bad input."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from whytrain.errors import UserError
from whytrain.lab import compare_optimizers, difference_at, smallest_difference
from whytrain.lab.comparison import Curve


def noisy(shift=None, size=0.1):
    """A score with a best learning rate of 1e-2, and noise that depends on the name too."""

    def train(optimizer, learning_rate, weight_decay, seed):
        noise = np.random.default_rng([sum(map(ord, optimizer)), seed]).normal()
        lost = (math.log10(learning_rate) + 2) ** 2
        return 1 + lost + (shift or {}).get(optimizer, 0) + size * noise

    return train


@pytest.mark.parametrize("repetitions", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_copies_of_one_method_are_rarely_called_different(repetitions):
    """Each copy has its own noise, and so its own choices.

    A program that is wrong in 5 % fails with probability 1e-3.
    """
    called = 0
    for seed in range(repetitions):
        found = compare_optimizers(noisy(), ["one", "two"], budget=3, trials=5, seed=seed)
        called += found.pairs[0].word != "cannot tell"
    assert called <= stats.binom.isf(1e-3, repetitions, 0.05)


def test_copies_that_share_their_noise_are_never_called_different():
    def train(optimizer, learning_rate, weight_decay, seed):
        return np.random.default_rng(seed).normal() + learning_rate

    found = compare_optimizers(train, ["one", "two"])
    assert found.pairs[0].word == "cannot tell"
    assert found.pairs[0].difference.value == 0
    assert found.sentence == "these runs cannot tell one from two."


def test_differences_are_seen_and_told():
    shift = {"sgd": 2.0, "adam": 0.0, "lion": 0.0}
    found = compare_optimizers(noisy(shift), list(shift), trials=12)
    words = {(pair.first, pair.second): pair.word for pair in found.pairs}
    assert words == {
        ("sgd", "adam"): "worse", ("sgd", "lion"): "worse", ("adam", "lion"): "cannot tell",
    }  # fmt: skip
    assert found.sentence == (
        "adam is better than sgd; lion is better than sgd; these runs cannot tell adam from lion."
    )
    assert found.pairs[0].difference.level == pytest.approx(1 - 0.05 / 3)
    assert found.pairs[0].difference.low < 2 < found.pairs[0].difference.high
    json.dumps(found.document(), allow_nan=False)


def test_no_seed_that_chose_a_setting_is_compared_on_and_budgets_are_kept():
    calls = []

    def train(optimizer, learning_rate, weight_decay, seed):
        calls.append((optimizer, learning_rate, weight_decay, seed))
        return learning_rate + 1e-3 * seed

    said = []
    compare_optimizers(
        train, ["a", "b"], budget=4, trials=3, weight_decays=(1e-6, 1e-2), progress=said.append
    )
    for name in "ab":
        seeds = [seed for who, *_, seed in calls if who == name]
        assert len(seeds) == len(set(seeds)) == 3 * (4 + 2)
    first, second = ([call[1:] for call in calls if call[0] == name] for name in "ab")
    assert first == second  # the same searches
    rates, decays, _ = np.array(first).T
    assert 1e-4 <= rates.min() < 1e-3 < 0.1 < rates.max() <= 1
    assert 1e-6 <= decays.min() < decays.max() <= 1e-2
    assert said[0].startswith("2 methods x 3 trials x (4 runs to tune + 2 fresh) = 36 runs; ")
    assert len(said) == 4


def test_scores_are_compared_at_the_loss_that_both_reach():
    def train(optimizer, learning_rate, weight_decay, seed):
        loss = np.exp(-np.arange(9) * (2 if optimizer == "fast" else 1))
        return {"loss": loss, "score": 3 * loss + 0.01 * np.random.default_rng(seed).normal()}

    [pair] = compare_optimizers(train, ["fast", "slow"]).pairs
    assert abs(pair.difference.value) < 1e-12  # the same score at the same loss
    assert pair.at_end.value < -1e-4
    assert pair.word == "cannot tell"


def test_a_score_between_two_looks():
    curve = Curve(np.array([4.0, np.nan, 2.0, 2.5, 1.0]), np.array([8.0, 0.0, 6.0, 9.0, 5.0]))
    assert curve.at(2.0) == 6.0
    assert curve.at(1.5) == pytest.approx(5 + 4 / 3)  # on the way from 2.5 to 1
    assert curve.at(5.0) == 8.0


def test_looks_without_a_score_are_passed_over():
    def train(optimizer, learning_rate, weight_decay, seed):
        loss = np.exp(-np.arange(7) * (2 if optimizer == "fast" else 1))
        score = 3 * loss + 0.01 * np.random.default_rng(seed).normal()
        return {"loss": loss, "score": np.where(np.arange(7) % 3, np.nan, score)}

    found = compare_optimizers(train, ["fast", "slow"])
    assert abs(found.pairs[0].difference.value) < 1e-2


def test_with_losses_of_one_method_only_the_ends_are_compared():
    def train(optimizer, learning_rate, weight_decay, seed):
        noise = np.random.default_rng([seed, len(optimizer)]).normal()
        return noise if optimizer == "end" else {"loss": [1.0, 0.5], "score": [9.0, noise]}

    found = compare_optimizers(train, ["end", "looks"])
    assert not found.matched
    assert found.pairs[0].difference == found.pairs[0].at_end


@pytest.mark.parametrize("broken", [math.nan, math.inf, 1e200])
def test_trainings_that_break_down_are_counted_and_lose(broken):
    def train(optimizer, learning_rate, weight_decay, seed):
        score = np.random.default_rng(seed).uniform()
        return broken if optimizer == "wild" else score

    found = compare_optimizers(train, ["tame", "wild"], trials=12)
    [pair] = found.pairs
    assert pair.word == "better"
    assert pair.first_won.value == 1
    assert found.failures("wild") == 12
    document = found.document()
    assert document["optimizers"]["wild"]["score"] is None
    assert document["optimizers"]["wild"]["broke_down"] == 12
    assert document["pairs"][0]["difference"]["estimate"] is None
    json.dumps(document, allow_nan=False)


def test_one_that_broke_down_once_is_not_called_worse():
    def train(optimizer, learning_rate, weight_decay, seed):
        broken = optimizer == "wild" and seed == 8  # the first fresh seed
        return math.nan if broken else np.random.default_rng(seed).uniform()

    found = compare_optimizers(train, ["tame", "wild"])
    assert found.failures("wild") == 1
    assert found.pairs[0].word == "cannot tell"


def test_the_spread_of_seeds_and_of_searches_is_told_apart():
    """The first to five standard errors."""
    one_rate = {"budget": 1, "trials": 200, "learning_rates": (0.01, 0.01)}
    seed, search = compare_optimizers(noisy(), ["a", "b"], **one_rate).spread("a")
    assert abs(seed - 0.1) < 5 * 0.1 / math.sqrt(2 * 200)
    assert search < 0.05
    seed, search = compare_optimizers(noisy(size=0.0), ["a", "b"], budget=2).spread("a")
    assert seed == 0
    assert search > 0.01


def test_what_can_be_seen_is_what_is_seen():
    """By simulation: 20,000 experiments, each to five standard errors."""
    delta = smallest_difference(8, pairs=3)
    rng = np.random.default_rng(0)
    sample = delta + rng.standard_normal((20_000, 8))
    t = sample.mean(axis=1) / sample.std(axis=1, ddof=1) * np.sqrt(8)
    seen = np.mean(t > stats.t.isf(0.05 / 6, 7))
    assert abs(seen - 0.8) < 5 * math.sqrt(0.16 / 20_000)
    assert smallest_difference(2) > smallest_difference(3) > smallest_difference(100) > 0.2


@pytest.mark.parametrize(
    ("steps", "means", "runs", "printed"),
    [
        ((3250, 3190), (3.2787, 3.27842), (10, 8), 0.00628),
        ((3250, 3250), (3.2787, 3.27552), (10, 8), 0.00670),
    ],
)
def test_the_arithmetic_of_a_public_log(steps, means, runs, printed):
    """Two comparisons with entry 36 of the optimization track of KellerJordan/modded-nanogpt.

    Its rules: a run's deviation is 0.0013, 100 steps are worth 0.0045 of loss, and what is printed
    is the difference over sqrt(1/n + 1/n'), which has to be 0.004 or more.
    (records/track_3_optimization/results/20260919_isomuon_3190)
    """
    worth = (steps[0] - steps[1]) / 100 * 0.0045
    found = difference_at((means[0] + worth, means[1]), runs, 0.0013)
    root = math.sqrt(1 / runs[0] + 1 / runs[1])
    assert found.value / root == pytest.approx(printed, abs=1e-5)
    assert found.high - found.value == pytest.approx(1.959964 * 0.0013 * root, rel=1e-6)
    assert found.low > 0
    assert found.at(0.99).low < found.low


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizers": ["adam"]}, "two optimizers or more"),
        ({"optimizers": "adam"}, "two optimizers or more"),
        ({"optimizers": ["adam", "adam"]}, "a name of its own"),
        ({"budget": 0}, "budget must be 1"),
        ({"budget": {"a": 3, "b": 4}}, "must have the same budget"),
        ({"budget": {"a": 3}}, "budget must name"),
        ({"trials": 1}, "trials must be 2"),
        ({"level": 1.0}, "level must lie"),
        ({"learning_rates": (0.0, 1.0)}, "learning_rates must be"),
        ({"learning_rates": (1.0, 0.1)}, "learning_rates must be"),
        ({"weight_decays": (-1.0, 0.1)}, "weight_decays must be"),
        ({"weight_decays": (0.0, math.inf)}, "weight_decays must be"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"train": lambda *_: "good"}, "must be real numbers"),
        ({"train": lambda *_: None}, r"loss that train gives \(None\) must be real numbers"),
        ({"train": lambda *_: [[1.0]]}, "one loss a look"),
        ({"train": lambda *_: []}, "one loss a look"),
        ({"train": lambda *_: {"loss": 1.0}}, "'loss' and 'score'"),
        ({"train": lambda *_: {"loss": [1.0, 2.0], "score": 1.0}}, "same looks"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(changes, message):
    given = {"train": noisy(), "optimizers": ["a", "b"], "budget": 2, "trials": 2} | changes
    with pytest.raises(UserError, match=message) as told:
        compare_optimizers(**given)
    assert "\n" not in str(told.value)


def test_budgets_that_are_named_and_equal_are_taken():
    found = compare_optimizers(noisy(), ["a", "b"], budget={"a": 2, "b": 2}, trials=2)
    assert found.budget == 2


@pytest.mark.parametrize(("runs", "deviation"), [((0, 3), 1.0), ((2, 3), 0.0), ((2, 3), math.nan)])
def test_a_difference_needs_runs_and_a_deviation(runs, deviation):
    with pytest.raises(UserError, match="runs must be 1 or more"):
        difference_at((1.0, 2.0), runs, deviation)
