"""The word follows from the printed numbers, and the p-values are those of known tests."""

import dataclasses
import math

import jaxtyping
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from whytrain.errors import UserError
from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Finding,
    Part,
    Rule,
    Verdict,
    above,
    at_most,
    below,
    corrected,
    covers,
    equals,
    estimate_contrast,
    estimate_mean,
    estimate_rate,
    estimate_rate_difference,
    estimate_slope,
    every_run,
    in_every_run,
    in_most_runs,
    largest,
)
from whytrain.lab.verdicts import word


@pytest.fixture(autouse=True, scope="module")
def without_type_checks():
    """Which take most of the time of so many samples."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# --- the word -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        (above(1), 1.1, 2, "supported"),
        (above(1), 1, 2, "inconclusive"),
        (above(1), 0, 1, "contradicted"),
        (below(1), 0, 0.9, "supported"),
        (below(1), 0, 1, "inconclusive"),
        (below(1), 1, 2, "contradicted"),
        (equals(1, 0.5), 0.5, 1.5, "supported"),
        (equals(1, 0.5), 0.4, 1.5, "inconclusive"),
        (equals(1, 0.5), 0.1, 0.4, "contradicted"),
        (equals(1, 0.5), 1.5, 1.6, "inconclusive"),
        (covers(1), 1, 2, "supported"),
        (covers(1), 1.1, 2, "contradicted"),
        (covers(1), -math.inf, math.inf, "inconclusive"),
        (covers(1), 2, math.inf, "contradicted"),
        (at_most(1), 0, 1, "supported"),
        (at_most(1), 0, 1.1, "contradicted"),
        (at_most(1), math.nan, math.nan, "contradicted"),
        (every_run(0.9), 0.95, 1, "supported"),
        (every_run(0.9), 0.9, 1, "inconclusive"),
    ],
)
def test_the_word_needs_the_whole_interval_on_one_side(rule, low, high, expected):
    assert rule.word(Estimate(high, low, high, None, 5)) == expected


@pytest.mark.parametrize("rule", [above(1), below(1), equals(1, 2), covers(1), every_run()])
def test_numbers_that_are_none_and_unbounded_ones_decide_nothing(rule):
    assert rule.word(Estimate(math.nan, math.nan, math.nan, 0.95, 5)) == "inconclusive"
    assert rule.word(estimate_mean([1.0, 1.0])) == "inconclusive"


def test_one_exception_contradicts_every_run():
    assert every_run(0.5).word(estimate_rate(9999, 10000)) == "contradicted"
    assert every_run(0.9).word(estimate_rate(30, 30)) == "inconclusive"
    assert every_run(0.9).word(estimate_rate(40, 40)) == "supported"


NUMBERS = st.floats(-10, 10, allow_nan=False) | st.integers(-3, 3).map(float)
RELATIONS = st.sampled_from([">", "<", "=", "covers", "<=", "every"])


@given(RELATIONS, NUMBERS, st.floats(0, 3), st.lists(NUMBERS, min_size=5, max_size=5))
def test_a_nested_interval_never_turns_the_word_round(relation, threshold, tolerance, numbers):
    """A shorter interval keeps what a longer one decided; `covers` is no decision."""
    a, b, value, c, d = sorted(numbers)
    long = word(relation, threshold, tolerance, value, a, d)
    short = word(relation, threshold, tolerance, value, b, c)
    if relation == "<=":  # of exact numbers, whose range does not shrink with more of them
        assume(d == c)
    undecided = "supported" if relation == "covers" else "inconclusive"
    assert short == long or long == undecided


@given(NUMBERS, st.floats(0, 3), st.lists(NUMBERS, min_size=3, max_size=3))
def test_mirror_images_have_mirrored_words(threshold, tolerance, numbers):
    low, value, high = sorted(numbers)
    for relation, other in ((">", "<"), ("<", ">"), ("=", "="), ("covers", "covers")):
        assert word(relation, threshold, tolerance, value, low, high) == word(
            other, -threshold, tolerance, -value, -high, -low
        )


@given(NUMBERS, st.floats(0, 3), st.lists(NUMBERS, min_size=3, max_size=3))
def test_a_statement_and_its_opposite_are_never_both_supported(threshold, tolerance, numbers):
    low, value, high = sorted(numbers)
    words = [word(sign, threshold, tolerance, value, low, high) for sign in "><"]
    assert words != ["supported", "supported"]
    if words[0] == "supported":
        assert words[1] == "contradicted"
    if low < high:
        assert words != ["contradicted", "contradicted"]
    if word("=", threshold, tolerance, value, low, high) == "supported":
        assert word(">", threshold + tolerance, 0, value, low, high) != "supported"
        assert word("<", threshold - tolerance, 0, value, low, high) != "supported"


@given(NUMBERS, st.floats(0, 3), st.floats(0, 3), st.lists(NUMBERS, min_size=2, max_size=2))
def test_a_looser_rule_keeps_what_a_tighter_one_supports(threshold, tolerance, more, numbers):
    low, high = sorted(numbers)
    if word("=", threshold, tolerance, low, low, high) == "supported":
        assert word("=", threshold, tolerance + more, low, low, high) == "supported"
    if word(">", threshold, 0, low, low, high) == "supported":
        assert word(">", threshold - more, 0, low, low, high) == "supported"


@pytest.mark.parametrize(
    "fields",
    [{"threshold": math.nan}, {"threshold": math.inf}, {"tolerance": -1}, {"tolerance": math.nan},
     {"level": 0}, {"level": 1}, {"resolution": -1}, {"resolution": math.nan},
     {"threshold": "a"}, {"threshold": None}, {"tolerance": "1"}, {"level": "a"}, {"level": 95}],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused(fields):
    with pytest.raises(UserError, match="a rule needs"):
        Rule(**({"relation": "=", "threshold": 1.0} | fields))


# --- p-values -----------------------------------------------------------------------------

RANDOM = np.random.default_rng(3)
SAMPLE = RANDOM.normal(1, 1, 12)
OTHER = RANDOM.normal(0, 2, 7)
X = np.arange(12.0)


def near(value):
    return pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("threshold", [-0.5, 0.3, 0.9, SAMPLE.mean() + 0.1, 2.0])
def test_p_values_of_a_mean_are_those_of_student_s_test(threshold):
    found, known = estimate_mean(SAMPLE), stats.ttest_1samp(SAMPLE, threshold).pvalue
    assert above(threshold).p_value(found) == near(known)
    assert below(threshold).p_value(found) == near(known)
    if covers(threshold, 0.95).word(found) == "contradicted":
        assert covers(threshold, 0.95).p_value(found) == near(known)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.5])
def test_p_values_of_two_means_are_those_of_welch_s_test(threshold):
    found = estimate_contrast([SAMPLE, OTHER], [1, -1])
    known = stats.ttest_ind(SAMPLE - threshold, OTHER, equal_var=False).pvalue
    assert above(threshold).p_value(found) == near(known)
    assert below(threshold).p_value(found) == near(known)


@pytest.mark.parametrize("tolerance", [0.2, 0.7, 1.5, 3.0])
@pytest.mark.parametrize("target", [1.0, 4.0])
def test_p_values_of_equality_are_those_of_two_one_sided_tests(target, tolerance):
    found = estimate_mean(SAMPLE)
    beyond = stats.ttest_1samp(SAMPLE, target - tolerance, alternative="greater").pvalue
    within = stats.ttest_1samp(SAMPLE, target + tolerance, alternative="less").pvalue
    inside = target - tolerance < found.value < target + tolerance
    known = 2 * (max(beyond, within) if inside else 1 - max(beyond, within))
    assert equals(target, tolerance).p_value(found) == near(min(1.0, known))


def test_p_values_of_a_slope_are_those_of_regression():
    known = stats.linregress(X, SAMPLE)
    found = estimate_slope(X, SAMPLE)
    assert above(0).p_value(found) == near(known.pvalue)
    assert below(0).p_value(found) == near(known.pvalue)


@pytest.mark.parametrize("successes", [1, 7, 20, 39])
@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.5, 0.9])
def test_p_values_of_a_rate_are_twice_the_binomial_tail(successes, threshold):
    found = estimate_rate(successes, 40)
    more = stats.binomtest(successes, 40, threshold, "greater").pvalue
    less = stats.binomtest(successes, 40, threshold, "less").pvalue
    known = max(1e-12, min(1.0, 2 * min(more, less)))
    assert above(threshold).p_value(found) == near(known)
    assert below(threshold).p_value(found) == near(known)


@pytest.mark.parametrize("runs", [3, 20, 60, 200])
def test_p_values_of_every_run_are_those_of_no_exception(runs):
    assert every_run(0.9).p_value(estimate_rate(runs, runs)) == near(min(1.0, 2 * 0.9**runs))


def test_p_values_of_a_difference_of_rates_decide_at_that_level():
    found, rule = estimate_rate_difference((30, 40), (12, 40)), above(0.1)
    p = rule.p_value(found)
    assert rule.word(found.at(1 - 0.999999 * p)) == "inconclusive"
    assert rule.word(found.at(1 - 1.000001 * p)) == "supported"


def test_where_no_probability_comes_in_there_is_none():
    assert at_most(1e-9).p_value(largest([1e-16])) is None
    assert above(0).p_value(largest([1.0])) is None
    assert covers(1.0).p_value(estimate_mean(SAMPLE)) is None
    assert every_run(0.5).p_value(estimate_rate(39, 40)) is None


def test_p_values_at_the_border_and_of_what_bounds_nothing():
    for rule in (above(1), below(1), covers(1), equals(1, 0.5)):
        assert rule.p_value(estimate_mean([1.0, 1.0])) == 1
    assert above(2.0).p_value(estimate_mean([1.0, 2.0, 3.0])) == pytest.approx(1)
    assert above(-1e9).p_value(estimate_rate(5, 10)) == 1e-12  # no less is told apart


# --- several findings ---------------------------------------------------------------------


def finding(mean, rule=None, what="it"):
    sample = mean + np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    return Finding(what, estimate_mean(sample), rule or above(0))


HOLDS, CLEAR, UNSURE, FAILS = finding(2), finding(5), finding(0.5), finding(-2)
EXACT, WRONG = Finding("e", largest([1e-16]), at_most(1)), Finding("e", largest([2]), at_most(1))


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((HOLDS,), "supported"),
        ((HOLDS, UNSURE), "inconclusive"),
        ((UNSURE, FAILS, HOLDS), "contradicted"),
        ((HOLDS, WRONG), "contradicted"),
    ],
)
def test_the_worst_part_decides(findings, expected):
    verdict = Verdict(findings)
    assert verdict.word == expected
    assert verdict.deciding.word == expected


def test_of_parts_of_one_kind_the_one_nearest_to_its_border_is_shown():
    assert Verdict((CLEAR, HOLDS)).deciding is HOLDS
    assert Verdict((CLEAR, finding(2, what="other"))).deciding is CLEAR


def test_p_values_of_several_parts():
    assert Verdict((HOLDS, CLEAR, EXACT)).p_value == HOLDS.p_value
    assert Verdict((HOLDS, FAILS, EXACT)).p_value == 2 * FAILS.p_value
    assert Verdict((FAILS,) * 1000).p_value == 1
    assert Verdict((HOLDS, UNSURE)).p_value == UNSURE.p_value
    assert Verdict((HOLDS, FAILS, WRONG)).p_value is None  # for certain
    assert Verdict((EXACT,)).p_value is None
    assert not Verdict((EXACT,)).sampled
    assert Verdict((EXACT, HOLDS)).sampled


def test_a_look_that_may_spend_less_has_a_larger_p_value():
    later = dataclasses.replace(HOLDS, share=0.25)
    assert later.p_value == pytest.approx(4 * HOLDS.p_value)
    assert dataclasses.replace(UNSURE, share=0.01).p_value == 1


def test_states_are_no_verdicts():
    for state in ("not run", "failed"):
        verdict = Verdict(state=state)
        assert (verdict.word, verdict.deciding, verdict.p_value) == (state, None, None)
        assert corrected([verdict, Verdict((HOLDS,))]) == [state, "supported"]


def test_holm_s_correction_goes_from_the_smallest_to_the_first_that_fails():
    p = [finding(mean) for mean in (1.2, 1.35, 5.0)]
    assert p[0].p_value > 0.025 > p[1].p_value > 0.05 / 3 > p[2].p_value
    verdicts = [Verdict((one,)) for one in p]
    assert corrected(verdicts) == ["supported"] * 3  # 0.05 / 3, / 2, / 1
    more = [*verdicts, Verdict((UNSURE,))]
    assert corrected(more)[:3] == ["inconclusive", "inconclusive", "supported"]
    exact = [*verdicts, *[Verdict((EXACT,))] * 20]
    assert corrected(exact) == ["supported"] * 23


def test_a_claim_without_a_p_value_counts_where_chance_had_a_part():
    """Else the data would choose how many claims are corrected for."""
    certain = Verdict((Finding("r", estimate_rate(5, 9), every_run()),))
    covered = Verdict((finding(0, covers(0.0)),))
    for other, own in ((certain, "contradicted"), (covered, "supported")):
        assert other.p_value is None
        assert corrected([Verdict((HOLDS,)), other]) == ["supported", own]
        assert corrected([Verdict((finding(1.2),)), other]) == ["inconclusive", own]


# --- what is no measurement ---------------------------------------------------------------


def claim(measure, rule):
    return Claim(
        id="x", title="X", group="caveats", source="here", statement="x",
        requests=lambda preset: [], parts=(Part("what", measure, rule),),
    )  # fmt: skip


CELLS = Cells([Cell(None, xr.Dataset({"x": ("run", [1.0, 2.0])}))])


@pytest.mark.parametrize(
    ("measure", "rule", "told"),
    [
        (lambda cells: [], above(0), "nothing was measured of 'what'"),
        (lambda cells: estimate_mean(cells.pooled("x")), at_most(9), "'what' is sampled"),
    ],
)
def test_a_part_that_measures_nothing_or_not_that_is_told(measure, rule, told):
    with pytest.raises(UserError, match=told):
        claim(measure, rule).judge(CELLS)


@pytest.mark.parametrize("share", [1, 1.0, 2.0])
def test_no_number_of_runs_shows_more_than_all(share):
    with pytest.raises(UserError, match=r"share of all runs .* is below 1.*got"):
        every_run(share)


@pytest.mark.parametrize("part", [in_every_run, in_most_runs])
def test_what_is_neither_true_nor_false_has_not_held(part):
    for values in ([math.nan] * 200, [0.5] * 200, ["True"] * 200, [1.0] * 199 + [-1.0]):
        with pytest.raises(UserError, match="values are not; compare numbers with a threshold"):
            part(lambda cells, values=values: values, "ok").findings(CELLS)
    with pytest.raises(UserError, match="1 of 2 are masked"):
        part(lambda cells: np.ma.array([True, True], mask=[0, 1]), "ok").findings(CELLS)
    with pytest.raises(UserError, match=r"one value a run, got an array of \(100, 2\)"):
        part(lambda cells: np.ones((100, 2), int), "ok").findings(CELLS)
    for values in ([True] * 200, [1.0] * 200, np.ones(200, int)):
        [found] = part(lambda cells, values=values: values, "ok").findings(CELLS)
        assert (found.word, found.estimate.runs) == ("supported", 200)


def test_how_far_an_interval_is_from_where_its_verdict_would_turn():
    found = estimate_mean([1.0, 2.0, 3.0])
    width, low = found.high - found.low, found.low
    assert Finding("it", found, above(low - 0.5)).distance == pytest.approx(0.5 / width)
    assert Finding("it", found, above(found.high + 0.5)).distance == pytest.approx(0.5 / width)
    near = Finding("it", found, equals(low - 0.75, 0.25))  # the nearer border is half a unit away
    assert near.distance == pytest.approx(0.5 / width)
    assert Finding("it", estimate_mean([1.0]), above(0)).distance == 0
