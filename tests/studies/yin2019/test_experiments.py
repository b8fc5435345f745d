"""Every experiment runs, small, and tells its results in JSON; settings and starts are checked."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

from whytrain.errors import UnstableStepWarning, UserError
from whytrain.gaussian import ESTIMATORS
from whytrain.lab import Runs, jsonable
from whytrain.lab.settings import parse
from whytrain.landscapes import Outcome
from whytrain.landscapes.rule import DESCENT
from whytrain.studies.yin2019 import printed, study
from whytrain.studies.yin2019.alignment import AlignmentSettings
from whytrain.studies.yin2019.descent import DescentSettings
from whytrain.studies.yin2019.fate import FateSettings
from whytrain.studies.yin2019.rates import RateSettings
from whytrain.studies.yin2019.requests import fates
from whytrain.studies.yin2019.sampling import _roughness
from whytrain.studies.yin2019.setup import (
    THEOREM,
    collapse_time,
    draw_orders,
    trapping_threshold,
)

TINY = {
    "descent": ["m=4", "steps=300"],
    "trajectories": ["m=4", "steps=300", "times=5"],
    "alignment-map": ["m=4", "angles=3", "overlaps=4"],
    "identity-fate": ["m=4", "alignments=2", "times=100", "horizon=5", "step_size=0.02"],
    "sample-size": ["m=2", "n=2", "grid=11"],
    "rates": ["m=4", "times=40"],
    "landscape": ["m=3", "n=2", "samples=50", "steps=20"],
    "critical-points": ["m=3", "tries=20", "angles=21"],
    "bounds": ["m=3", "tries=12"],
    "zero-filter": ["m=3", "angles=9"],
}


def test_the_experiments():
    names = {experiment.name for experiment in study.experiments}
    assert names == {*TINY, "networks"}  # that one: test_networks.py


@pytest.mark.parametrize("name", TINY)
def test_every_experiment_runs_and_summarizes(name):
    experiment = study.experiment(name)
    settings = parse(experiment.settings, TINY[name])
    dataset = experiment.compute(settings, Runs(0, 1, 0, 3))
    assert dataset.sizes["run"] == 3
    json.dumps(jsonable(experiment.summarize(dataset, settings)), allow_nan=False)
    again = experiment.compute(settings, Runs(0, 1, 1, 2))
    for variable in dataset.data_vars:
        if "run" in dataset[variable].dims:
            part = dataset[variable].isel(run=slice(1, 3))
            np.testing.assert_array_equal(again[variable], part, err_msg=str(variable))


MADE = {
    "alignment-map": (
        {"apart": (("run", "angle", "overlap"), [[[0.1, 0.3], [0.5, 0.7]]])},
        {"mean": 0.4, "largest": 0.7},
    ),
    "trajectories": (
        {"radius": (("run", "time"), [[3.0, 2.0], [1.0, 4.0]]), "outcome": ("run", [1, 1]),
         "loss": (("run", "time"), [[9.0, 2.0], [9.0, 4.0]])},
        {"smallest_filter_norm": 1.0, "last_loss": 3.0},
    ),
    "sample-size": (
        {"rises": (("run", "samples"), [[0.5, 0.0], [0.1, 0.2]]), "samples": ("samples", [1, 9]),
         "roughness": (("run", "samples"), [[0.25, 0.5], [0.75, 0.5]])},
        {"samples": [1, 9], "rises": [0.3, 0.1], "roughness": [0.5, 0.5]},
    ),
    "zero-filter": (
        {"least": ("run", [-1.0, 0.0, 1.0]), "margin": ("run", [-1.0, 1.0, -1.0])},
        {"local_minimum_fraction": 2 / 3, "condition_agrees": 2 / 3},
    ),
    "rates": ({"ratio": ("run", [0.9, 1.2])}, {"rate_over_predicted": 1.05}),
    "landscape": (
        {"loss_z": ("run", [0.5, -1.9, 2.0, -3.0]), "loss_error": ("run", [0.1, 0.2, 0.4, 0.3])},
        {"loss_coverage": 0.5, "loss_error": 0.4},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_summaries_reduce_as_they_say(name):
    experiment, (numbers, stated) = study.experiment(name), MADE[name]
    said = experiment.summarize(xr.Dataset(numbers), experiment.settings())
    for key, value in stated.items():
        assert said[key] == pytest.approx(value), key


def test_what_is_not_a_number_is_told_in_words():
    experiment = study.experiment("rates")
    dataset = xr.Dataset({"ratio": ("run", [0.9, math.nan, 1.1])})
    said = experiment.summarize(dataset, experiment.settings())["rate_over_predicted"]
    assert said == "1, without 1 of 3 that are not finite"
    none = xr.Dataset({"ratio": ("run", [math.nan])})
    said = experiment.summarize(none, experiment.settings())["rate_over_predicted"]
    assert said == "nothing, without 1 of 1 that are not finite"


def test_roughness_is_the_largest_move_up_over_the_fall():
    assert _roughness(np.array([1.0, 0.5, 0.6, 0.2, 0.3])) == pytest.approx((1 / 3, 0.1 / 0.8))
    assert _roughness(np.array([1.0, 0.5, 0.2])) == (0.0, 0.0)
    assert _roughness(np.array([1.0, 2.0])) == (1.0, 1.0)


@pytest.mark.parametrize("ste", THEOREM)
def test_the_map_is_the_angle_between_the_printed_gradients(ste):
    settings = AlignmentSettings(ste=ste, m=3, filter_norm=0.7, spread=0.0, angles=3, overlaps=4)
    found = study.experiment("alignment-map").compute(settings, Runs(0, 1, 0, 1)).apart[0]
    for angle in settings.angle_axis:
        w, ws = 0.7 * np.array([math.cos(angle), math.sin(angle)]), np.array([1.0, 0.0])
        for overlap in settings.overlap_axis:
            vs = settings.output_star
            with jax.enable_x64(True):
                place = [jnp.asarray(part) for part in (overlap * vs, vs, w, ws)]
                coarse = np.asarray(printed.COARSE[ste](*place))
                true = np.asarray(printed.filter_gradient(*place))
            cosine = coarse @ true / math.sqrt((coarse @ coarse) * (true @ true))
            here = float(found.sel(angle=angle, overlap=overlap))
            assert math.cos(here) == pytest.approx(cosine, abs=1e-9)


@pytest.mark.parametrize("ste", ESTIMATORS)
def test_descent_takes_every_estimator(ste):
    settings = DescentSettings(ste=ste, m=3, steps=5)
    experiment = study.experiment("descent")
    results = experiment.summarize(experiment.compute(settings, Runs(0, 1, 0, 2)), settings)
    assert list(results["outcomes"]) == [
        "global", "spurious", "saddle", "collapsed", "undecided", "diverged",
    ]  # fmt: skip
    assert sum(results["outcomes"].values()) == 2
    assert results["trajectory_steps"] == 10


def test_where_the_estimators_end():
    # sheet, section 6.1: u = 0.1, 60 starts; the identity never ends at the spurious minimum
    experiment, found = study.experiment("descent"), {}
    for ste in ("identity", "relu", "clipped_relu"):
        settings = DescentSettings(ste=ste, alignment=0.1)
        dataset = experiment.compute(settings, Runs(0, 1, 0, 60))
        found[ste] = experiment.summarize(dataset, settings)["outcomes"]
    for ste in ("relu", "clipped_relu"):
        assert found[ste]["global"] + found[ste]["spurious"] == 60
    assert abs(found["relu"]["spurious"] - found["clipped_relu"]["spurious"]) <= 2
    assert found["identity"]["spurious"] == 0
    assert found["identity"]["collapsed"] > 10


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
    with pytest.raises(UserError, match="'low' must be <= high"):
        FateSettings(low=0.4, high=0.1)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["optimum=spurious", "alignment=0.5"], "'alignment' must be < 0.5 with optimum=spurious"),
        (["step_size=6"], "'step_size' must be < 5.01, or a step overshoots"),
    ],
)
def test_rates_are_of_optima_that_attract(pairs, message):
    with pytest.raises(UserError, match=message):
        study.experiment("rates").compute(parse(RateSettings, pairs), Runs(0, 1, 0, 2))


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
    found = study.experiment("descent").compute(settings, runs)
    with jax.enable_x64(True):
        normal = np.asarray(
            jax.vmap(lambda k: jax.random.normal(k, (settings.m + 1,)))(runs.keys())
        )
    for run, row in enumerate(normal):
        angle = math.pi * ndtr(row[-1]) if settings.angle is None else settings.angle
        w = settings.filter_norm * np.array([math.cos(angle), math.sin(angle)])
        losses, lengths = descend(settings, settings.output_scale * row[:-1], w)
        rise = max(0.0, *np.diff(losses))
        assert float(found.least_radius[run]) == pytest.approx(min(lengths), rel=1e-9)
        assert float(found.rise_loss[run]) == pytest.approx(rise, rel=1e-7, abs=1e-13)


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


@pytest.mark.parametrize("m", [2, 40])
def test_just_above_the_threshold_the_escape_is_waited_for(m):
    u = trapping_threshold(m) + 1e-4
    settings = FateSettings(m=m, low=u, high=u, alignments=1)
    dataset = study.experiment("identity-fate").compute(settings, Runs(0, 1, 0, 2))
    assert (dataset.outcome == Outcome.GLOBAL).all()


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_no_verdict_depends_on_where_the_step_size_moves_the_threshold(preset):
    for request in fates(preset):
        assert np.abs(request.settings.axis - trapping_threshold(request.settings.m)).min() > 1e-3


def test_a_collapse_takes_the_predicted_time():
    settings = FateSettings(m=4, low=0.1, high=0.1, alignments=1, horizon=20.0)
    dataset = study.experiment("identity-fate").compute(settings, Runs(0, 1, 0, 2))
    np.testing.assert_allclose(dataset.collapse, 1.0, atol=0.01)
    assert (dataset.outcome == Outcome.COLLAPSED).all()
    assert collapse_time(4, 0.0) == math.inf


@pytest.mark.parametrize("m", [2, 10])
def test_unstable_step_sizes_are_warned_of(m):
    edge = 8 / (m + 1)
    settings = DescentSettings(m=m, step_size=0.999 * edge)
    assert settings.reduction("relu").stable(DESCENT, settings.step_size)
    with pytest.warns(UnstableStepWarning, match=r"take less than 8/\(m \+ 1\)"):
        settings = DescentSettings(m=m, step_size=1.001 * edge)
    assert not settings.reduction("relu").stable(DESCENT, settings.step_size)


def test_single_runs_end_as_descent_does_and_are_drawn():
    [figure] = [figure for figure in study.figures if figure.name == "plane"]
    trajectories, descent = study.experiment("trajectories"), study.experiment("descent")
    runs, datasets = Runs(0, 1, 0, 4), []
    for request in figure.requests("quick"):
        datasets.append(trajectories.compute(request.settings, runs))
        ended = descent.compute(DescentSettings(ste=request.settings.ste), runs)
        np.testing.assert_array_equal(datasets[-1].outcome, ended.outcome)
        np.testing.assert_array_equal(datasets[-1].steps, ended.steps)
    drawn, caption = figure.draw(datasets)
    assert drawn.axes
    assert "identity" in caption
