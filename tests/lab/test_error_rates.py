"""How often words are wrong: reports of true claims, and looks; the figures of docs/verdicts.md.

A thousand reports or procedures each, in which every statement lies exactly at its border, so that
any word is a wrong one. If wrong words had their full probability of 5 %, a bound would be
exceeded with probability 1e-4.
"""

import functools
import itertools
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Finding,
    Part,
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
    largest,
)

TIMES = 1000
MOST = stats.binom.isf(1e-4, TIMES, 0.05)
KINDS = list(itertools.product(("rate", "mean", "every run"), (4, 2)))
PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


@pytest.fixture(autouse=True, scope="module")
def without_type_checks():
    """Which take most of the time of so many samples."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def counted(random, runs, chance):
    return int(random.binomial(runs, chance)), runs


def verdict(rule, *estimates):
    return Verdict(tuple(Finding("it", one, rule) for one in estimates))


# --- reports ------------------------------------------------------------------------------


def null_report(r):
    """Sixteen claims at their borders: rates, means, slopes, equalities, compound, sequential."""
    x = np.arange(8.0)

    def mean(at=0.0):
        return estimate_mean(r.normal(at, 1, 6))

    return [
        verdict(above(0.3), estimate_rate(*counted(r, 200, 0.3))),
        verdict(below(0.02), estimate_rate(*counted(r, 400, 0.02))),
        verdict(above(0), mean()),
        verdict(below(0), mean()),
        verdict(equals(0, 3), mean(3.0)),
        verdict(equals(0, 3), mean(-3.0)),
        verdict(covers(0, 0.95), mean()),
        verdict(above(2), estimate_slope(x, 2 * x + r.normal(size=8))),
        verdict(above(0), estimate_contrast([r.normal(size=4), 3 * r.normal(size=9)], [1, -1])),
        verdict(above(0), estimate_rate_difference(counted(r, 90, 0.5), counted(r, 90, 0.5))),
        verdict(every_run(0.9), estimate_rate(*counted(r, 40, 0.9))),
        verdict(above(0), mean(), mean(), mean()),
        verdict(covers(0, 0.95), mean(), mean()),
        Verdict((
            Finding("a", mean(), above(0)),
            Finding("b", estimate_rate(*counted(r, 200, 0.3)), below(0.3)),
            Finding("c", largest([1e-16]), at_most(1e-9)),
        )),
        stopped(MEANS, r, 0.0)[0],
        stopped(RATES, r, 0.5)[0],
    ]  # fmt: skip


def wrong(found, after):
    """Whether any word says what is not so; an exception to every run is one."""
    return [
        said in ("supported", "contradicted")
        and not (one.findings[0].rule.relation == "every" and said == "contradicted")
        and not (one.findings[0].rule.relation == "covers" and said == "supported")
        for one, said in zip(found, after, strict=True)
    ]


@functools.cache
def reports():
    """The share of reports with a wrong word, and with a wrong one after the correction."""
    random = np.random.default_rng(5)
    plain = after = 0
    for _ in range(TIMES):
        found = null_report(random)
        plain += any(wrong(found, [one.word for one in found]))
        after += any(wrong(found, corrected(found)))
    return plain, after


def test_at_most_one_report_in_twenty_holds_a_wrong_corrected_word():
    plain, after = reports()
    assert after <= MOST
    assert plain > 4 * after  # so that the correction is seen to be needed


@pytest.mark.parametrize("relation", ["every", "covers"])
def test_words_without_a_p_value_do_not_loosen_the_correction(relation):
    """Many claims of a kind whose other word has no p-value: all of them are corrected for."""
    random, false = np.random.default_rng(6), 0
    for _ in range(TIMES):
        if relation == "every":
            some = [estimate_rate(*counted(random, 60, 0.9)) for _ in range(60)]
            found = [verdict(every_run(0.9), one) for one in some if one.value == 1]
            rest = [verdict(every_run(0.9), one) for one in some if one.value < 1]
        else:
            some = [estimate_mean(random.normal(size=5)) for _ in range(20)]
            found = [verdict(covers(0, 0.95), one) for one in some]
            rest = []
        false += any(wrong([*found, *rest], corrected([*found, *rest])))
    assert false <= MOST


# --- looks --------------------------------------------------------------------------------


def claim(part, growth=4):
    return Claim(
        id="x", title="X", group="caveats", source="here", statement="x",
        requests=lambda preset: [], parts=(part,), growth=growth,
    )  # fmt: skip


def sequential(growth=4):
    return {
        "rate": (
            claim(Part("it", lambda c: estimate_rate(int(c.pooled("x").sum()), c.runs),
                       above(0.5, resolution=0.001)), growth),
            lambda r, runs, at: r.random(runs) < at, 40, 0.5,
        ),
        "mean": (
            claim(Part("it", lambda c: estimate_mean(c.pooled("x")), above(0, resolution=0.05)),
                  growth),
            lambda r, runs, at: r.normal(at, 1, runs), 10, 0.0,
        ),
        "every run": (
            claim(in_every_run(lambda c: c.pooled("x"), "it", 0.95, resolution=0.0), growth),
            lambda r, runs, at: r.random(runs) < at, 60, 0.95,
        ),
    }  # fmt: skip


def stopped(procedure, random, at):
    """The last verdict, after as many looks as are needed."""
    judged, draw, runs, _ = procedure
    stream = draw(random, runs * judged.growth ** (judged.looks - 1), at)
    for look in range(1, judged.looks + 1):
        seen = runs * judged.growth ** (look - 1)
        cells = Cells([Cell(None, xr.Dataset({"x": ("run", stream[:seen])}))])
        found = judged.judge(cells, look)
        if not judged.needs_more(found):
            break
    return found, seen / runs


RATES, MEANS, _ = sequential().values()


@functools.cache
def level(kind, growth):
    """How many procedures at the border end in a wrong word."""
    procedure, random = sequential(growth)[kind], np.random.default_rng(7)
    found = [stopped(procedure, random, procedure[3])[0] for _ in range(TIMES)]
    after = [word for one in found for word in corrected([one])]
    assert sum(wrong(found, after)) <= MOST
    return sum(wrong(found, [one.word for one in found]))


@pytest.mark.parametrize(("kind", "growth"), KINDS)
def test_looking_thrice_is_wrong_no_more_often_than_once(kind, growth):
    assert level(kind, growth) <= MOST


def test_each_look_has_its_share():
    judged = RATES[0]
    cells = Cells([Cell(None, xr.Dataset({"x": ("run", np.arange(40) % 2 == 0)}))])
    levels = [judged.judge(cells, look).findings[0].estimate.level for look in (1, 2, 3)]
    assert levels == [0.975, 0.9875, 0.9875]
    assert not judged.needs_more(judged.judge(cells, 3))


def test_an_interval_that_is_short_enough_asks_for_no_more():
    part = Part("it", RATES[0].parts[0].measure, above(0.5, resolution=0.9))
    cells = Cells([Cell(None, xr.Dataset({"x": ("run", np.arange(40) % 2 == 0)}))])
    assert not claim(part).needs_more(claim(part).judge(cells))


@functools.cache
def power(distance, growth=4):
    """Percent that are decided rightly, and how many times the first look's runs they took."""
    procedure, random = sequential(growth)["mean"], np.random.default_rng(8)
    ends = [stopped(procedure, random, distance / np.sqrt(10)) for _ in range(TIMES)]
    right = sum(found.word == "supported" for found, _ in ends)
    return 100 * right / TIMES, float(np.mean([took for _, took in ends]))


POWER = [(distance, growth) for growth in (4, 2) for distance in (0.5, 1, 2)]


def level_row(kind, growth):
    return f"| {kind} | {growth} | {100 * level(kind, growth) / TIMES:.1f} |"


def power_row(distance, growth):
    decided, runs = power(distance, growth)
    return f"| {distance:g} | {growth} | {decided:.0f} | {runs:.1f} |"


@pytest.mark.parametrize(("distance", "growth"), POWER)
def test_the_page_says_what_looks_decide(distance, growth):
    assert power_row(distance, growth) in PAGE.read_text(encoding="utf-8")


def test_the_page_says_how_often_words_are_wrong():
    page, (plain, after) = PAGE.read_text(encoding="utf-8"), reports()
    assert f"{100 * plain / TIMES:.1f} % of them held a wrong word" in page
    assert f"and {100 * after / TIMES:.1f} % a wrong corrected one" in page
    for kind, growth in KINDS:
        assert level_row(kind, growth) in page


if __name__ == "__main__":
    print(reports())
    for case in KINDS:
        print(level_row(*case))
    for case in POWER:
        print(power_row(*case))
