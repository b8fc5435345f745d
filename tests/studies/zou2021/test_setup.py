"""Data, network and optimizers: each formula beside a slow one written on its own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

from whytrain.dynamics import simulate
from whytrain.errors import UserError
from whytrain.lab import Runs, parse
from whytrain.landscapes import Outcome
from whytrain.studies.zou2021 import convex, setup, study
from whytrain.studies.zou2021.setup import Patches, TrainingSettings, problems, turned

SMALL = {"samples": 6, "dimension": 30, "sparsity": 8, "width": 3, "steps": 40, "test_samples": 20}


def landscape(problem, decay=0.1, power=3):
    return Patches(problem.train, problem.test, np.float32(decay), power)


def first(**settings):
    settings = TrainingSettings(**{**SMALL, "init_size": 0.5, **settings})
    return problems(settings, Runs(0, 1, 0, 1))[0]


def test_the_data_are_those_of_the_paper():
    train, test = first(feature_noise=0.3)[1:]
    for sample, n in ((train, 6), (test, 20)):
        assert sample.noise.shape == (n, 30)
        assert ((sample.noise[:, 1:] != 0).sum(axis=1) == 8).all()
        np.testing.assert_allclose(sample.noise[:, 0], -0.3 * sample.y, rtol=1e-6)
        assert sample.y.sum() == 0
    many = first(test_samples=2000).test.noise[:, 1:]
    assert many[many != 0].std() == pytest.approx(8**-0.5, rel=0.03)  # six standard errors


def test_of_an_end_no_more_is_known_than_whether_it_is_finite():
    params = np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, -np.inf]])[:, None]
    ends = landscape(first()).outcome(params)
    assert ends.tolist() == [Outcome.UNDECIDED, Outcome.DIVERGED, Outcome.DIVERGED]


def slow_loss(params, sample, decay, power):
    """Example by example, patch by patch, with the softmax of both outputs."""
    total = 0.0
    for noise, y in zip(sample.noise, sample.y, strict=True):
        feature = np.zeros(len(noise))
        feature[0] = y
        outputs = [
            sum(max(float(w @ x), 0.0) ** power for w in group for x in (feature, noise))
            for group in params
        ]
        own = outputs[0] if y > 0 else outputs[1]
        total += np.log(np.exp(outputs).sum()) - own
    return total / len(sample.y) + decay / 2 * (params**2).sum()


@pytest.mark.parametrize("power", [2, 3, 4])
def test_loss_and_gradient(power):
    with jax.enable_x64(True):
        problem = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), first())
        scape = Patches(problem.train, problem.test, np.float64(0.1), power)
        params = problem.start
        assert float(scape.loss(params)) == pytest.approx(
            slow_loss(params, problem.train, 0.1, power), rel=1e-12
        )
        np.testing.assert_allclose(
            scape.grad(params), jax.grad(scape.loss)(jnp.asarray(params)), atol=1e-14
        )
        some = scape.batch(jnp.array([1, 4]))
        np.testing.assert_allclose(
            scape.empirical_grad(params, some),
            jax.grad(scape.empirical_loss)(jnp.asarray(params), some),
            atol=1e-14,
        )


def test_what_is_looked_at():
    params = np.zeros((2, 3, 30), np.float32)
    params[0, 1, 0], params[1, 2, 0] = 0.7, -0.4
    problem = first()
    seen = {n: float(f(params)) for n, f in landscape(problem, 0.0).observables().items()}
    assert (seen["feature_least"], seen["feature_most"]) == pytest.approx((0.4, 0.7))
    assert seen["train_error"] == seen["test_error"] == seen["blank_error"] == 0
    assert seen["weight_norm"] == pytest.approx(np.hypot(0.7, 0.4))
    # Only the feature's own coordinate of the noise meets these weights: -alpha y j.
    assert seen["memory_most"] == pytest.approx(0)
    wrong = {n: float(f(-params)) for n, f in landscape(problem, 0.0).observables().items()}
    assert wrong["blank_error"] == 1
    assert wrong["memory_least"] == pytest.approx(0.2 * 0.4)


def test_descent_does_not_see_the_turned_axes():
    problem = first()
    other = turned(problem)
    assert other.train.noise.shape == (6, 7)
    paths = [
        simulate(
            landscape(each, 1e-3), TrainingSettings(optimizer="momentum", learning_rate=0.2).method,
            each.start[None], 40, observables=setup.NAMES, times=[0, 40], dtype=np.float32,
        )
        for each in (problem, other)
    ]  # fmt: skip
    for name in set(setup.NAMES) - {"slope_sum"}:  # the sum depends on the axes
        np.testing.assert_allclose(paths[0][name], paths[1][name], rtol=1e-3, atol=1e-5)
    assert paths[0].loss.values[0, 1] < 0.9 * paths[0].loss.values[0, 0]


def test_adams_epsilon_stands_outside_the_root():
    [move] = [optax.adam(1.0, eps=1e-8)]
    step, _ = move.update(jnp.array([1e-8]), move.init(jnp.zeros(1)))
    assert float(step[0]) == pytest.approx(-0.5, rel=1e-5)


def test_decay_is_coupled_but_for_adamw():
    problem = first()
    grads = {}
    for name in ("adam", "adamw"):
        settings = TrainingSettings(**{**SMALL, "optimizer": name, "weight_decay": 0.5})
        found = setup.descend(
            settings, Runs(0, 1, 0, 1), [problem], Patches, ["loss"], np.array([40])
        )
        grads[name] = found.final.values[0]
    assert np.abs(grads["adam"] - grads["adamw"]).max() > 1e-4
    alone = optax.adamw(5e-5, weight_decay=0.5)
    memory, w = alone.init(problem.start), jnp.asarray(problem.start)
    scape = landscape(problem, 0.0)
    for _ in range(40):
        move, memory = alone.update(scape.grad(w), memory, w)
        w = optax.apply_updates(w, move)
    np.testing.assert_allclose(grads["adamw"], w, atol=1e-5)


@pytest.mark.parametrize("optimizer", list(setup.LEARNING_RATES))
def test_a_run_does_not_depend_on_the_others(optimizer):
    settings = TrainingSettings(**SMALL, optimizer=optimizer, batch_size=2)
    both, second = (setup.train(settings, Runs(0, 1, *part)) for part in ((0, 2), (1, 1)))
    for name in setup.NAMES:
        np.testing.assert_array_equal(both[name].values[1:], second[name].values)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 7}, "must be even"),
        ({"sparsity": 30, "dimension": 30}, "sparsity must be below dimension = 30"),
        ({"batch_size": 300}, "at most samples = 200"),
        ({"optimizer": "adan"}, "optimizer"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(UserError, match=words):
        TrainingSettings(**settings)


@pytest.mark.parametrize(
    ("experiment", "setting"),
    [("convex", "learning_rate=1"), ("convex", "optimizer=gd"), ("stages", "times=4")],
)
def test_no_experiment_takes_a_setting_that_changes_nothing(experiment, setting):
    with pytest.raises(UserError, match="unknown setting"):
        parse(study.experiment(experiment).settings, [setting])


def test_a_descent_that_diverges_has_no_angle(monkeypatch):
    ended = xr.Dataset({"final": (("run", "coordinate"), np.full((2, 6), 1e200))})
    monkeypatch.setattr(convex, "simulate", lambda *given, **more: ended)
    sizes = {"samples": 4, "dimension": 6, "sparsity": 2, "steps": 20, "test_samples": 4}
    found = convex.compute(convex.ConvexSettings(**sizes), Runs(0, 1, 0, 2))
    assert np.isnan(found.cosine.values).all()
    assert np.isnan(found.distance.values).all()
