"""The regions of early verdicts: never left, and left out of no full run's account."""

import math

import numpy as np
import pytest

from whytrain.dynamics import NormalizedGradientDescent, simulate, warm_up
from whytrain.gaussian import ReLU
from whytrain.landscapes import Outcome, SphereOrder, SphereReduction, Weights
from whytrain.landscapes.basins import proved_basin
from whytrain.landscapes.rule import NORMALIZED_DESCENT

V, M = 0.5 - 1 / (2 * math.pi), 1 / (2 * math.pi)  # variance and squared mean of a rectifier


def covariance(angle):
    return ((math.pi - angle) * np.cos(angle) + np.sin(angle) - 1) / (2 * math.pi)


def step(state, teacher, filter_size, output_size):
    """One step, from the paper's formulas; nothing of the package."""
    (angle, s, u), (k, total, power) = state, teacher
    c = covariance(angle)
    pull = (math.pi - angle) * np.sin(angle) / (2 * math.pi)
    turned = np.abs(angle - np.arctan(filter_size * u * pull))
    return (
        np.minimum(turned, 2 * math.pi - turned),
        s - output_size * ((V + M * k) * s - (c + M * k) * total),
        u - output_size * (V * u - c * power - M * total * (total - s)),
    )


def verdict(state, teacher, filter_size, output_size):
    angle, s, u = state
    k, total, power = teacher
    return proved_basin(
        covariance(angle), s, u, V, M, k, total, power, -M, filter_size / 2, output_size, 2
    )


def random_states(count, seed):
    """Teachers of every kind, and states far and near, with sums of every size."""
    rng = np.random.default_rng(seed)
    k = np.floor(10 ** rng.uniform(0, 2.6, count))
    norm = 10 ** rng.uniform(-2, 3, count)
    alignment = k * rng.uniform(0, 1, count) ** 3
    teacher = (k, rng.choice([-1, 1], count) * norm * np.sqrt(alignment), norm**2)
    angle = np.where(
        rng.uniform(size=count) < 0.5,
        rng.uniform(0, math.pi, count),
        np.abs(math.pi * rng.integers(0, 2, count) - 10 ** rng.uniform(-8, 0, count)),
    )
    scale = 10 ** rng.uniform(-3, 1, (2, count))
    s = scale[0] * norm * np.sqrt(k) * rng.standard_normal(count)
    u = scale[1] * norm**2 * rng.standard_normal(count)
    return (angle, s, u), teacher, rng


def largest_filter_size(state, teacher, output_size):
    """The edge of the verdict's condition on the filter's step size, found by bisection."""
    low, high = np.full(state[0].shape, 1e-12), np.full(state[0].shape, 1e12)
    for _ in range(100):
        middle = np.sqrt(low * high)
        proved = verdict(state, teacher, middle, output_size) != 0
        low, high = np.where(proved, middle, low), np.where(proved, high, middle)
    return low


@pytest.mark.parametrize("edge", [1 - 1e-9, 0.3], ids=["edge", "inside"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_region_is_never_left_and_the_angle_never_turns_back(edge, seed):
    state, teacher, rng = random_states(100_000, seed)
    output_size = np.where(
        rng.uniform(size=len(state[0])) < 0.5, 1.0, rng.uniform(size=len(state[0]))
    )
    output_size = output_size / (V + M * teacher[0]) * (1 - 1e-15)
    filter_size = edge * largest_filter_size(state, teacher, output_size)
    first = verdict(state, teacher, filter_size, output_size)
    assert (first == 1).sum() > 3_000
    assert (first == 2).sum() > 3_000
    inside = first > 0
    state = tuple(leaf[inside] for leaf in state)
    teacher = tuple(leaf[inside] for leaf in teacher)
    filter_size, output_size, first = (x[inside] for x in (filter_size, output_size, first))
    for _ in range(40):
        # any step sizes up to the largest ones, as under a schedule
        share = rng.uniform(0, 1, (2, len(first))) ** 0.2
        moved = step(state, teacher, share[0] * filter_size, share[1] * output_size)
        toward = np.where(first == 1, state[0] - moved[0], moved[0] - state[0])
        assert toward.min() >= -1e-15
        np.testing.assert_array_equal(verdict(moved, teacher, filter_size, output_size), first)
        state = moved


def test_no_verdict_for_steps_that_may_jump():
    state, teacher, _ = random_states(50_000, 3)
    assert not verdict(state, teacher, 0.01, 1.01 / (V + M * teacher[0])).any()
    assert not verdict(state, teacher, 1e12, 0.5 / (V + M * teacher[0])).any()


def test_no_verdict_at_a_saddle_or_on_the_way_to_one():
    reduction = SphereReduction.of_sums(9, 1.0, 1.0, ReLU())
    for angle in (reduction.saddle_angle, 2.0):
        place = reduction.settled(angle)._replace(overlap=np.float64(0.0))
        assert int(reduction.proof(NORMALIZED_DESCENT, Weights(0.1, 0.1))(place)) == 0


def test_the_opposite_filter_itself_is_never_called_global():
    # at exactly pi nothing pulls, whatever the output weights do
    above = SphereReduction.of_sums(9, math.sqrt(6.0), 1.0, ReLU())
    place = SphereOrder(*(np.array([x]) for x in above.settled(math.pi)))
    outcomes = [
        simulate(above, NormalizedGradientDescent(0.1), place, 2000, early=early).outcome.values
        for early in (True, False)
    ]
    assert outcomes[0].tolist() == outcomes[1].tolist()


def starts(k, power, count, seed):
    """Angles of a random filter and of every other kind; sums of any output weights."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((8, count))
    angle = np.where(
        rng.uniform(size=count) < 0.5,
        np.arctan2(np.linalg.norm(v[1:], axis=0), v[0]),
        rng.uniform(0.01, 3.1, count),
    )
    scale = 10 ** rng.uniform(-2, 0.7, (2, count))
    s = scale[0] * math.sqrt(k * power) * rng.standard_normal(count)
    u = scale[1] * power * rng.standard_normal(count)
    return SphereOrder(angle, s, u)


def disagreements(k, alignment, norm, filter_share, output_share, count, steps, seed):
    """Runs that end elsewhere with early verdicts than without, and what the verdicts save.

    Step sizes are given as shares of the largest that verdicts accept once the sums have settled.
    """
    reduction = SphereReduction.of_sums(k, norm * math.sqrt(alignment), norm**2, ReLU())
    most = (V + M * alignment * (2 * V) / (V + M * k)) * norm**2 / V
    sizes = Weights(filter_share * 4 / most, output_share / (V + M * k))
    if filter_share < 0.5:
        sizes = Weights(warm_up(sizes.filter / 20, sizes.filter, 300), sizes.output)
    runs = starts(k, norm**2, count, seed)
    method = NormalizedGradientDescent(sizes)
    soon, late = (simulate(reduction, method, runs, steps, early=early) for early in (True, False))
    differ = soon.outcome.values != late.outcome.values
    return int(differ.sum()), late.outcome.values, int(soon.steps.sum()), int(late.steps.sum())


CELLS = [  # k, alignment, norm, shares of the largest filter and output step sizes
    (2, 1.1, 1.0, 0.2, 0.9),
    (4, 1.0, 1.0, 0.95, 0.99),
    (4, 0.25, 3.0, 0.95, 0.3),
    (4, 1.6, 0.1, 0.5, 0.99),
    (6, 0.0, 1.0, 0.1, 0.5),
    (6, 4.5, 1.0, 0.95, 0.99),
    (9, 1.0, 9.0, 0.2, 0.99),
    (9, 2.0, 1.0, 0.95, 0.6),
    (16, 1.0, 16.0, 0.95, 0.99),
    (16, 16.0, 1.0, 0.3, 0.99),
]


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_early_verdicts_agree_with_full_runs(count):
    wrong, taken, needed, seen = 0, 0, 0, np.zeros(5, int)
    for seed, cell in enumerate(CELLS):
        differ, outcomes, soon, late = disagreements(*cell, count, 8192, seed)
        wrong, taken, needed = wrong + differ, taken + soon, needed + late
        seen += np.bincount(outcomes, minlength=5)
    assert wrong == 0
    assert taken < needed / 10
    # every run of the full account ends at an optimum, and both kinds are well represented
    assert seen[Outcome.GLOBAL] + seen[Outcome.SPURIOUS] == count * len(CELLS)
    assert seen[Outcome.SPURIOUS] > count


@pytest.mark.slow
@pytest.mark.parametrize("k", [25, 49, 100])
def test_early_verdicts_agree_with_full_runs_of_larger_networks(k):
    for alignment, norm, filter_share in (
        (1.0, float(k), 0.9),
        (1 / 16, 1.0, 0.05),
        (4.0, 1.0, 0.9),
    ):
        cell = (k, alignment, norm, filter_share, 0.9)
        differ, outcomes, *_ = disagreements(*cell, 100_000, 65_536, k)
        assert differ == 0
        assert set(outcomes) <= {Outcome.GLOBAL, Outcome.SPURIOUS}
