"""Coarse gradient descent is the paper's, from the starts asked for, and ends somewhere."""

import math

import numpy as np
import pytest
from scipy import stats

import quick
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.gaussian import ESTIMATORS
from whytrain.lab import Cell, Cells, Runs, parse, summarize
from whytrain.landscapes import Outcome, PlaneOrder
from whytrain.landscapes.rule import DESCENT
from whytrain.studies.yin2019 import descent
from whytrain.studies.yin2019.descent import DescentSettings, draw_orders

PAPERS = ("identity", "relu", "clipped_relu")


@pytest.mark.parametrize("ste", quick.only(ESTIMATORS, PAPERS))
def test_descent_takes_every_estimator(ste):
    settings = DescentSettings(ste=ste, m=3, steps=5)
    results = summarize(descent.ends(settings, Runs(0, 1, 0, 2)))
    assert set(results["outcomes"]) == {outcome.word for outcome in Outcome}
    assert sum(results["outcomes"].values()) == 2
    assert results["steps"] == {"mean": 5, "least": 5, "largest": 5}


def test_where_the_estimators_end():
    # sheet, section 6.1: u = 0.1, 60 starts; the identity never ends at the spurious minimum
    found = {}
    for ste in ("identity", "relu", "clipped_relu"):
        settings = DescentSettings(ste=ste, alignment=0.1)
        found[ste] = summarize(descent.ends(settings, Runs(0, 1, 0, 60)))["outcomes"]
    for ste in ("relu", "clipped_relu"):
        assert found[ste]["global"] + found[ste]["spurious"] == 60
    assert abs(found["relu"]["spurious"] - found["clipped_relu"]["spurious"]) <= 2
    assert found["identity"]["spurious"] == 0
    assert found["identity"]["collapsed"] > 10


def test_the_plane_s_loss_is_the_least_of_all_output_weights_with_an_overlap():
    settings, rng = DescentSettings(m=4, alignment=0.3), np.random.default_rng(0)
    star, total, m = settings.output_star, settings.total_star, settings.m
    angle, overlap = 0.7, 0.2
    kappa = 1 - 2 * angle / math.pi

    def loss(v):
        rest = v @ v + v.sum() ** 2 - 2 * (kappa * v @ star + v.sum() * total) + 1 + total**2
        return rest / 8

    [[least]] = descent._least_loss(settings, np.array([angle]), np.array([overlap]))
    system = np.block(
        [[np.eye(m) + np.ones((m, m)), star[:, None]], [star[None], np.zeros((1, 1))]]
    )
    best = np.linalg.solve(system, [*(kappa * star + total), overlap])[:m]
    assert least == pytest.approx(loss(best))
    across = rng.normal(size=(20, m))
    across -= np.outer(across @ star, star) / (star @ star)
    assert all(loss(best + step) > least for step in across)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["ste=realu"], "'ste' must be 'identity' or 'relu'"),
        (["alignment=0.95"], r"'alignment' must be <= m/\(m \+ 1\) = 0.909091"),
        (["filter_norm=0"], "'filter_norm' must be .*>= 1e-100"),
        (["m=1"], "with m = 1 .* 'alignment' is 0.5, got 0.3; add alignment=0.5"),
        (["angle=4"], "'angle' must be .*<= 3.14159"),
        (["m=0"], "'m' must be an integer >= 1"),
    ],
)
def test_bad_settings_are_refused_in_words(pairs, message):
    with pytest.raises(UserError, match=message):
        parse(DescentSettings, pairs)


EDGES = [
    {"m": 1, "alignment": 0.5, "n": 2}, {"m": 2, "alignment": 2 / 3, "n": 2}, {"alignment": 0.0},
    {"output_scale": 0.0}, {"angle": 0.0}, {"angle": math.pi}, {"filter_norm": 1e-100},
    {"filter_norm": 1e100}, {"step_size": 1.0, "steps": 40}, {"steps": 1},
]  # fmt: skip


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_at_the_edges_of_the_settings_it_is_plain_descent_of_all_weights(edge):
    """Beside a loop over vectors, from Lemmas 1, 2 and 4 as the paper's sheet has them."""
    settings = DescentSettings(**{"m": 5, "steps": 200} | edge)
    runs = Runs(0, 1, 0, 4)
    found = descent.ends(settings, runs)
    order = draw_orders(settings, runs)
    for run in range(4):
        start = PlaneOrder(*(float(leaf[run]) for leaf in order))
        losses, lengths = descend(settings, whole(settings, start), np.array(start[:2]))
        rise = max(0.0, *np.diff(losses))
        assert float(found.least_radius[run]) == pytest.approx(min(lengths), rel=1e-9)
        assert float(found.rise_loss[run]) == pytest.approx(rise, rel=1e-7, abs=1e-13)


def whole(settings, start):
    """Output weights with the sums of a start: along 1, along the rest of v*, across both."""
    m, star = settings.m, settings.output_star
    v = np.full(m, start.total / m)
    rest = star - star.sum() / m
    if rest @ rest > 1e-9:
        v = v + (start.overlap - v @ star) / (rest @ rest) * rest
    spare = np.linalg.svd(np.stack([np.ones(m), rest * (rest @ rest > 1e-9)]))[2][-1]
    return v + math.sqrt(max(start.size - v @ v, 0)) * spare if m > 1 else v


def descend(settings, v, w):
    """Losses and filter lengths of coarse gradient descent with the ReLU estimator."""
    vs, eta = settings.output_star, settings.step_size
    losses, lengths = [], []
    for _ in range(settings.steps + 1):
        r = math.hypot(*w)
        kappa = 1 - 2 * math.atan2(abs(w[1]), w[0]) / math.pi
        gap = kappa * v @ vs + v.sum() * vs.sum()
        losses.append((v @ v + v.sum() ** 2 - 2 * gap + 1 + vs.sum() ** 2) / 8)
        lengths.append(r)
        along = v @ v + v.sum() ** 2 - v.sum() * vs.sum()
        coarse = (along * w / r - v @ vs * np.array([1.0, 0.0])) / (2 * math.sqrt(2 * math.pi))
        v = v - eta * (v + v.sum() - kappa * vs - vs.sum()) / 4
        w = w - eta * coarse
    return losses, lengths


def test_the_teacher_and_the_starts_are_as_asked_for():
    settings = DescentSettings(m=7, alignment=0.4, filter_norm=2.0, output_scale=0.5)
    star = settings.output_star
    assert star @ star == pytest.approx(1, abs=1e-14)
    assert star.sum() ** 2 == pytest.approx(0.4 * 8, abs=1e-13)
    order = draw_orders(settings, Runs(0, 1, 0, 4000))
    np.testing.assert_allclose(np.hypot(order.x, order.y), 2.0, rtol=1e-14)
    angle = np.arctan2(order.y, order.x)
    assert angle.mean() == pytest.approx(math.pi / 2, abs=0.06)
    assert np.mean(order.size) == pytest.approx(7 * 0.25, rel=0.05)
    assert np.std(order.overlap) == pytest.approx(0.5, rel=0.05)
    fixed = draw_orders(DescentSettings(angle=0.3), Runs(0, 1, 0, 5))
    np.testing.assert_allclose(np.arctan2(fixed.y, fixed.x), 0.3, rtol=1e-14)


# A correct program fails one of the 35 comparisons below with probability 0.035 at most.
@pytest.mark.parametrize(("m", "alignment"), [(1, 0.5), (2, 0.2), (3, 0.0), (10, 0.3), (100, 0.7)])
def test_starts_have_the_law_of_gaussian_weights(m, alignment):
    settings = DescentSettings(m=m, alignment=alignment, output_scale=0.5)
    drawn = draw_orders(settings, Runs(0, 1, 0, 3000))
    v = 0.5 * np.random.default_rng(1).standard_normal((3000, m))
    sums = (v.sum(axis=1), v @ settings.output_star, (v**2).sum(axis=1))
    mixed = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (2, -1, 0), (1, 0, 1), (0, 2, -1)]
    for shares in mixed:  # equal laws of all sums are equal joint laws
        ours, plain = (
            sum(share * leaf for share, leaf in zip(shares, leaves, strict=True))
            for leaves in (drawn[2:], sums)
        )
        assert stats.ks_2samp(ours, plain).pvalue > 1e-3
    angle = np.arctan2(drawn.y, drawn.x)
    assert stats.kstest(angle / math.pi, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("m", [2, 10])
def test_unstable_step_sizes_are_warned_of(m):
    edge = 8 / (m + 1)
    settings = DescentSettings(m=m, step_size=0.999 * edge)
    assert settings.reduction.stable(DESCENT, settings.step_size)
    with pytest.warns(UnstableStepWarning, match=r"take less than 8/\(m \+ 1\)"):
        settings = DescentSettings(m=m, step_size=1.001 * edge)
    assert not settings.reduction.stable(DESCENT, settings.step_size)


def test_single_runs_end_as_descent_does_and_are_drawn():
    runs, cells = Runs(0, 1, 0, 4), []
    for request in descent.PATHS("quick"):
        path = descent.paths(request.settings, runs)
        ended = descent.ends(DescentSettings(ste=request.settings.ste), runs)
        np.testing.assert_array_equal(path.outcome, ended.outcome)
        np.testing.assert_array_equal(path.steps, ended.steps)
        cells.append(Cell(request.settings, path))
    drawn, caption = descent._plane(Cells(cells))
    assert drawn.axes
    assert "Of 4 runs of the identity estimator" in caption


def test_the_outcomes_of_any_estimators_are_drawn_and_the_paper_s_described():
    def drawn(names):
        settings = [DescentSettings(ste=name, m=3, steps=5, alignment=0.2) for name in names]
        cells = [Cell(one, descent.ends(one, Runs(0, 1, 0, 2))) for one in settings]
        return descent._outcomes(Cells(cells))[1]

    assert f"u_c = {descent.trapping_threshold(3):.3f}" in drawn(descent.THEOREM)
    assert drawn(("hard_tanh",)) == (
        "Random starts, $m = 3$, 2 runs a point, bands are exact 95 % intervals."
    )
