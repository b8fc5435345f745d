"""Settings and random starts of the paper's experiments."""

import math

import jax
import numpy as np
import pytest
from scipy import stats

from whytrain.errors import UnstableStepWarning, UserError
from whytrain.lab import Runs
from whytrain.lab.settings import parse
from whytrain.studies.liu2019.borders import AlignmentSettings, PriorSettings
from whytrain.studies.liu2019.setup import (
    COLORS,
    DescentSettings,
    draw_orders,
    draw_weights,
    length,
    orders_of,
)

RUNS = Runs(seed=3, stream=7, first=0, count=3000)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["k=0"], "'k' must be an integer >= 1"),
        (["p=0"], "'p' must be an integer >= 1"),
        (["k=9", "alignment=9.5"], r"'alignment' must be <= k = 9 \(Cauchy-Schwarz.*got 9.5"),
        (["alignment=-0.1"], "'alignment' must be a finite number >= 0"),
        (["k=1", "alignment=0.5"], "with k = 1 the alignment"),
        (["angle=3.2"], "'angle' must be .*<= 3.14159"),
        (["angle=-0.1"], "'angle' must be .*>= 0"),
        (["angle=nan"], "'angle' must be a finite number"),
        (["norm=nan"], "'norm' must be a finite number"),
        (["norm=0"], "'norm' must be .*> 0"),
        (["step_size=inf"], "'step_size' must be a finite number"),
        (["step_size=0"], "'step_size' must be .*> 0"),
        (["filter_step_size=-1"], "'filter_step_size' must be"),
        (["radius=-1"], "'radius' must be"),
        (["steps=0"], "'steps' must be an integer >= 1"),
        (["architecture=resent"], "'architecture' must be 'resnet' or 'cnn'"),
        (["warmup=maybe"], "'warmup' must be true or false"),
        (["p=1", "angle=1.0"], "with p = 1 the angle of two filters is 0 or pi"),
        (["allignment=1"], "did you mean 'alignment'"),
    ],
)
def test_bad_settings_are_refused_in_words(pairs, message):
    with pytest.raises(UserError, match=message) as caught:
        parse(DescentSettings, pairs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "pairs", "message"),
    [
        (PriorSettings, ["architecture=cnn"], "only it has a prior angle"),
        (PriorSettings, ["angle_low=2", "angle_high=1"], "'angle_low' must be <= angle_high = 1"),
        (PriorSettings, ["ratio_low=2"], "'ratio_low' must be <= ratio_high = 1"),
        (AlignmentSettings, ["k=4", "alignment_high=5"], "'alignment_high' must be <= k = 4"),
    ],
)
def test_bad_axes_are_refused_in_words(cls, pairs, message):
    with pytest.raises(UserError, match=message):
        parse(cls, pairs)


def test_derived_defaults():
    settings = DescentSettings(k=16, alignment=4.0)
    assert settings.norm == 16.0
    assert settings.step_size == settings.filter_step_size == 1 / 256
    assert settings.radius == pytest.approx(16.0 * 2 / 4)
    assert settings.angle == pytest.approx(math.pi / 3)
    other = DescentSettings(k=16, norm=1.0, step_size=0.1, filter_step_size=0.2)
    assert other.filter_step_size == 0.2


def test_unstable_step_sizes_are_warned_of():
    with pytest.warns(UnstableStepWarning, match="does not contract"):
        DescentSettings(k=16, step_size=1.0)


@pytest.mark.parametrize("alignment", [0.0, 0.3, 1.0, 7.0])
def test_the_teacher_is_as_asked_for(alignment):
    settings = DescentSettings(k=7, alignment=alignment, norm=2.5, angle=0.9)
    star = settings.output_star
    assert np.linalg.norm(star) == pytest.approx(2.5, rel=1e-14)
    assert star.sum() ** 2 / (star @ star) == pytest.approx(alignment, abs=1e-13)
    first = np.full(settings.p, 1 / math.sqrt(settings.p))
    assert math.acos(first @ settings.landscape.filter_star) == pytest.approx(0.9, rel=1e-12)
    assert settings.reduction.total_star == pytest.approx(star.sum(), abs=1e-13)


def test_first_weights_are_uniform_in_their_ball():
    settings = DescentSettings(k=5, norm=3.0, radius=1.7)
    a = draw_weights(settings, RUNS).output
    length = np.linalg.norm(a, axis=1)
    assert stats.kstest((length / 1.7) ** 5, "uniform").pvalue > 1e-3
    direction = (1 + a[:, 0] / length) / 2
    assert stats.kstest(direction, stats.beta(2, 2).cdf).pvalue > 1e-3
    assert abs(stats.pearsonr(length, a.sum(axis=1)).statistic) < 0.07


@pytest.mark.parametrize("p", [2, 8])
def test_a_random_filter_is_uniform_on_the_sphere(p):
    settings = DescentSettings(k=5, p=p, architecture="cnn")
    angle = draw_orders(settings, RUNS).angle
    half = (p - 1) / 2
    assert stats.kstest((1 + np.cos(angle)) / 2, stats.beta(half, half).cdf).pvalue > 1e-3
    filters = draw_weights(settings, RUNS).filter
    np.testing.assert_allclose(np.linalg.norm(filters, axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("architecture", ["resnet", "cnn"])
def test_orders_are_those_of_the_weights(architecture):
    settings = DescentSettings(k=5, p=3, alignment=2.0, architecture=architecture)
    weights = draw_weights(settings, Runs(3, 7, 0, 50))
    orders = orders_of(settings, weights)
    whole = jax.vmap(settings.landscape.order)(weights)
    np.testing.assert_allclose(np.stack(orders), np.stack(whole), rtol=0, atol=1e-13)
    if architecture == "resnet":
        assert set(orders.angle) == {math.pi / 3}
        assert not weights.filter.any()


# A correct program fails one of the 42 comparisons below with probability 0.042 at most.
SHAPES = [
    (1, 1, 1.0), (1, 2, 1.0), (2, 3, 2.0), (2, 4, 0.3), (3, 8, 1.0), (5, 50, 5.0), (40, 2, 3.0)
]  # fmt: skip


@pytest.mark.parametrize(("k", "p", "alignment"), SHAPES)
def test_orders_have_the_law_of_the_weights(k, p, alignment):
    """Drawn from their closed law, beside whole starts: each number, and sums of two of them."""
    settings = DescentSettings(
        k=k, p=p, alignment=alignment, norm=2.0, radius=1.5, architecture="cnn"
    )
    drawn = draw_orders(settings, Runs(3, 8, 0, 3000))
    whole = orders_of(settings, draw_weights(settings, RUNS))
    for one, other in zip(drawn, whole, strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-3
    for share in (-1.0, 0.5, 2.0):  # equal laws of all sums are equal joint laws
        one, other = (share * each.total + each.overlap for each in (drawn, whole))
        assert stats.ks_2samp(one, other).pvalue > 1e-3
    assert abs(stats.pearsonr(drawn.angle, drawn.overlap).statistic) < 0.07


def test_draws_do_not_depend_on_the_cut_into_pieces():
    settings = DescentSettings(k=5, p=3, architecture="cnn")
    whole = draw_orders(settings, Runs(3, 7, 0, 1500))
    late = draw_orders(settings, Runs(3, 7, 1020, 480))
    np.testing.assert_array_equal(np.stack(whole)[:, 1020:], np.stack(late))


def test_a_derived_default_must_be_allowed_too():
    with pytest.raises(UserError, match="'steps' must be an integer >= 1"):
        DescentSettings(step_size=1e-18)


@pytest.mark.parametrize("k", [10_000, 100_000])
def test_far_out_the_coordinates_are_normal(k):
    """`sqrt(k)` times a coordinate in the ball, the angle of a filter: both nearly Gaussian."""
    settings = DescentSettings(k=k, p=k, architecture="cnn", norm=1.0, radius=1.0)
    order = draw_orders(settings, RUNS)
    assert stats.kstest(order.total, "norm").pvalue > 1e-3
    assert stats.kstest(math.sqrt(k) * np.cos(order.angle), "norm").pvalue > 1e-3


def test_a_teacher_s_length_in_words():
    said = {norm: length(DescentSettings(k=9, norm=norm)) for norm in (1.0, 1.02, 3.0, 9.0, 2.5)}
    assert said == {1.0: "1", 1.02: "1.02", 3.0: "√k", 9.0: "k", 2.5: "2.5"}


def test_each_network_has_its_color():
    colors = {"ResNet with warm-up": "warmed up", "ResNet without": "residual", "CNN": "plain"}
    assert colors == COLORS
