"""Every experiment beside what is computed another way, small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from redrawn import check_figure
from small_numbers import SMALL as SMALL_NUMBERS
from whytrain.dynamics.methods import State
from whytrain.errors import UserError
from whytrain.lab import Cell, Cells, Runs, parse
from whytrain.measures import max_margin, normalized_margin
from whytrain.studies.sarussi2021 import agreement, kkt, optimization, pairs, study
from whytrain.studies.sarussi2021.optimization import Accounted, Course, OptimizationSettings
from whytrain.studies.sarussi2021.setup import (
    NetworkSettings,
    Problem,
    TeacherLoss,
    at_scale,
    decide,
    drawn,
    starts,
)

SMALL = ["width=3", "examples=12", "dimension=4"]
TINY = {**SMALL_NUMBERS["sarussi2021"], "kkt": [*SMALL, "steps=4000"]}
RUNS = Runs(0, 1, 0, 3)


def computed(name, *more, runs=RUNS):
    experiment = study.experiment(name)
    settings = parse(experiment.settings, [*TINY[name], *more])
    return settings, experiment.compute(settings, runs)


def outputs(settings, w, u, x):
    z = [np.where(x @ units.T >= 0, 1, settings.slope) * (x @ units.T) for units in (w, u)]
    return (z[0].sum(1) - z[1].sum(1)) / np.sqrt(2 * len(w))


def descended(settings, problem, hinge=False):
    """Gradient descent written out in NumPy: the points, and the mean of p on the way."""
    w, u, x, y = (np.array(leaf) for leaf in problem)
    v, n = (2 * len(w)) ** -0.5, len(y)
    while True:
        out = y * outputs(settings, w, u, x)
        p = (out < 1) * 1.0 if hinge else 1 / (1 + np.exp(out))
        loss = np.mean(np.maximum(0, 1 - out)) if hinge else np.mean(np.log1p(np.exp(-out)))
        yield w, u, loss, p.mean()
        push = (v / n) * p * y
        dw, du = (
            (np.where(x @ units.T >= 0, 1, settings.slope) * push[:, None]).T @ x
            for units in (w, u)
        )
        w, u = w + settings.step_size * dw, u - settings.step_size * du


@pytest.mark.parametrize("hinge", [0.0, 1.0])
def test_the_gradient_is_that_of_the_loss(hinge):
    settings = parse(NetworkSettings, SMALL)
    with jax.enable_x64(True):
        problem = settings.draw(jax.random.key(3))
        loss = TeacherLoss(settings.network, hinge)
        by_hand, found = loss.grad(problem), jax.grad(loss.loss)(problem)
        for name in ("w", "u"):
            np.testing.assert_allclose(getattr(by_hand, name), getattr(found, name), atol=1e-14)
        assert not np.any(by_hand.x)


def test_data_are_what_they_are_said_to_be():
    for data in ("balls", "margin", "gaussians"):
        settings = parse(
            NetworkSettings, [f"data={data}", "examples=2000", *["margin=0.2"] * (data == "margin")]
        )
        with jax.enable_x64(True):
            x, y = map(np.asarray, settings.sample(jax.random.key(0), 2000))
        assert set(y) == {-1.0, 1.0}
        assert abs(y.mean()) < 0.12  # five standard errors
        if data == "balls":
            radii = np.linalg.norm(x - y[:, None] * 0.5 * np.eye(20)[0], axis=1)
            assert radii.max() <= 0.2
            assert radii.mean() == pytest.approx(0.1, abs=0.007)
        elif data == "margin":
            assert (y * x[:, 0]).min() >= 0.2
            assert np.linalg.norm(x, axis=1).max() <= 1 + 1e-12
        else:
            assert (y * x[:, 0]).mean() == pytest.approx(3 / np.sqrt(20), abs=0.026)
            assert x[:, 1:].std() == pytest.approx(20**-0.5, rel=0.02)


def test_descent_and_its_account_beside_numpy():
    settings, found = computed("optimization", "wider=1")
    problems = at_scale(drawn(RUNS, settings.draw), settings.init_scale)
    for run in range(3):
        total, steps = 0.0, 0
        for _, _, loss, p in descended(settings, one(problems, run)):
            if loss <= settings.level:
                break
            total, steps = total + p, steps + 1
        assert found.steps.values[run] == steps
        assert found.total.values[run] == pytest.approx(total, rel=1e-12)
    assert (found.total < found.bound).all()
    assert (found.excess < 1e-12).all()


def one(problems, run):
    return Problem(*(leaf[run] for leaf in problems))


def test_the_hinge_counts_updates():
    _, found = computed("optimization", "rule=hinge")
    assert found.reached.all()
    assert (found.total == found.total.round()).all()
    assert (found.total <= found.steps).all()
    assert (found.total <= found.bound).all()


def test_updates_of_the_hinge_end_where_both_sides_of_the_proof_meet():
    """`A T = B (2 |W_0| + sqrt(T C))`: alignment goes like T, the weights' length like its root."""
    settings, found = computed("optimization", "rule=hinge", "step_size=0.3")
    problems = at_scale(drawn(RUNS, settings.draw), settings.init_scale)
    for run, T in enumerate(found.bound.values):
        w, u, x, y = (np.asarray(leaf, float) for leaf in one(problems, run)[:4])
        k, v, eta = len(w), (2 * len(w)) ** -0.5, settings.step_size
        A = 2 * k * settings.slope * v * eta
        B = np.sqrt(2 * k) * np.linalg.norm(max_margin(x, y).normal)
        C = 2 * eta + 2 * k * (eta * v) ** 2 * np.max((x**2).sum(axis=1))
        start = np.sqrt((w**2).sum() + (u**2).sum())
        assert pytest.approx(B * (2 * start + np.sqrt(T * C))) == A * T


def test_the_wider_network_has_its_own_output_weight():
    _, found = computed("optimization", "wider=40", "level=0.2")
    np.testing.assert_allclose(found.wide, found.steps, rtol=0.1)


def test_a_second_network_is_another_one():
    _, found = computed("optimization", "wider=2", "level=0.2", "init_scale=0.5")
    assert (found.wide != found.steps).any()


def test_probes_have_the_length_of_examples():
    settings = NetworkSettings(dimension=40)
    probes = np.asarray(settings.points(jax.random.key(0), 2000))
    assert (probes**2).sum(axis=1).mean() == pytest.approx(1, abs=0.02)  # four standard errors


@pytest.mark.parametrize("init_scale", [1e-3, 0.3])
def test_entry_into_agreement_beside_numpy(init_scale):
    settings, found = computed("agreement", f"init_scale={init_scale}")
    problems = at_scale(drawn(RUNS, settings.draw), init_scale)
    for run in range(3):
        x, y = problems.x[run], problems.y[run]
        signed = y[:, None] * x
        seen = [
            (signed @ w.T > 0).all() and (signed @ u.T < 0).all()
            for (w, u, _, _), _ in zip(
                descended(settings, one(problems, run)), range(settings.steps + 1), strict=False
            )
        ]
        entered = found.entered.values[run]
        if any(seen):
            assert seen[int(entered)] or not np.isfinite(entered)
            assert bool(found.left.values[run]) == (not all(seen[seen.index(True) :]))
        else:
            assert np.isnan(entered)


def test_the_long_run_has_the_margin_that_the_instrument_measures():
    settings, found = computed("kkt")
    assert found.reached.all()
    assert (found.perfect[:, -1] == 1).all()
    assert (found.cosine[:, -1] > 0.999).all()
    assert (found.margin <= 1 + 1e-9).all()
    problems, _ = kkt.train_long(settings, at_scale(drawn(RUNS, settings.draw), 1e-4), 1e-3)
    first = one(problems, 0)
    with jax.enable_x64(True):
        network = settings.network
        margin = normalized_margin(network, {"w": first.w, "u": first.u}, first.x, first.y)
    regimes = agreement_of(first)
    limit = kkt.clustered_limit(first.x, first.y, *regimes, settings.slope)
    assert found.margin.values[0, 0] == pytest.approx(margin * np.sqrt(2) / limit.margin)


def agreement_of(problem):
    found = kkt.agreement_regimes(problem.w, problem.u, problem.x, problem.y)
    return found.w_active, found.u_active


def test_starts_are_ordered_by_run_then_scale():
    settings = parse(NetworkSettings, SMALL)
    problems = drawn(RUNS, settings.draw)
    stacked = starts(problems, [0.5, 2.0])
    np.testing.assert_array_equal(stacked.w[3], 2 * problems.w[1])
    np.testing.assert_array_equal(stacked.x[2], problems.x[1])


def test_decisions_beside_the_network():
    settings = parse(NetworkSettings, SMALL)
    problem = one(drawn(RUNS, settings.draw), 0)
    x = np.random.default_rng(0).standard_normal((50, 4))
    expected = np.sign(outputs(settings, problem.w, problem.u, x))
    np.testing.assert_array_equal(decide(settings.network, problem, x), expected)


def test_images_are_split_centered_and_scaled():
    settings = parse(pairs.PairSettings, ["one=3", "other=5", "examples=100"])
    count = len(pairs._pair("digits", 3, 5)[1])
    x, y, test_x, test_y = pairs._split(settings, np.arange(count))
    assert len(x) == 100
    assert len(test_x) == len(test_y) == count - 100
    np.testing.assert_allclose(x[:, :-1].mean(axis=0), 0, atol=1e-12)
    assert np.linalg.norm(x[:, :-1], axis=1).max() == pytest.approx(1)
    assert (test_x[:, -1] == 0.1).all()
    assert set(y) == {-1, 1}


@pytest.mark.slow
def test_every_figure_is_drawn():
    sizes = {"clustering": 3, "kkt": 2, "init-scale": 3}
    for figure in study.figures:
        requests = figure.requests("quick")
        cells = []
        for request in requests[: sizes[requests[0].experiment]]:
            small = parse(
                study.experiment(request.experiment).settings,
                [
                    *TINY[request.experiment],
                    f"data={request.settings.data}",
                    f"dimension={2 if figure.name.startswith('boundary') else 4}",
                ],
            )
            compute = study.experiment(request.experiment).compute
            cells.append(Cell(small, compute(small, RUNS)))
        assert check_figure(figure, Cells(cells)).endswith(".")


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("clustering", ["data=balls", "margin=0.3"], "margin is of data=margin"),
        ("agreement", ["separation=4"], "separation is of data=gaussians"),
        ("kkt", ["level=0.1"], "unknown setting"),
        ("agreement", ["level=0.1"], "unknown setting"),
        ("clustering", ["step_size=1e200"], "must be a finite number > 0 and < 1e"),
    ],
)
def test_what_is_no_setting_is_refused(name, pairs, message):
    with pytest.raises(UserError, match=message):
        parse(study.experiment(name).settings, pairs)


def test_every_example_is_drawn():
    settings = parse(OptimizationSettings, SMALL)
    with jax.enable_x64(True):
        problem = settings.draw(jax.random.key(3))
        loss, n = TeacherLoss(settings.network), len(problem.y)
        at = State(Course(*problem, star=np.zeros(problem.x.shape[1]), total=0.0, excess=-1.0))
        method, first = Accounted(1.0, 1.0), jnp.array(0)
        step = jax.vmap(lambda key: method.step(loss, at, first, key).params.total)
        drawn = np.asarray(step(jax.random.split(jax.random.key(0), 50 * n)))
        slopes = np.asarray(loss.slopes(at.params))
    drawn_of = [(np.abs(drawn - slope) < 1e-12).sum() for slope in slopes]
    assert sum(drawn_of) == len(drawn)
    assert min(drawn_of) > 20  # of 50: fewer with probability 1e-5


def test_a_run_that_leaves_agreement_is_seen_to(monkeypatch):
    made = agreement.simulate

    def left(*given, **how):
        return made(*given, **how).assign(rise_imperfect=("run", [0.0, 1.0, 0.0]))

    monkeypatch.setattr(agreement, "simulate", left)
    assert computed("agreement")[1].left.values.tolist() == [False, True, False]


def test_runs_count_that_agree_at_every_loss():
    perfect = xr.DataArray([[1, 1], [1, 0], [0, 1], [0, 0]], dims=("run", "loss"))
    data = xr.Dataset({"perfect": perfect, "ratio": ("run", [1.0, 2.0, 3.0, 4.0])})
    cell = Cell(parse(NetworkSettings, SMALL), data)
    assert kkt._agreed(Cells([cell, cell]), "ratio").tolist() == [1.0, 1.0]


def test_the_bound_after_so_many_steps_is_where_both_sides_of_the_proof_meet():
    """`A P = B (|W_0| + sqrt(|W_0|^2 + C T))`."""
    settings = parse(OptimizationSettings, [*SMALL, "step_size=0.3", "slope=0.2"])
    problems, T = drawn(RUNS, settings.draw), np.array([5.0, 50.0, 500.0])
    stars = np.random.default_rng(0).normal(size=(3, 4))
    for run, found in enumerate(optimization._bound(settings, problems, stars, T)):
        w, u, x, _ = (np.asarray(leaf, float) for leaf in one(problems, run))
        A, B = np.sqrt(6) * 0.2 * 0.3, np.sqrt(6 * (stars[run] ** 2).sum())
        C = 0.6 * 0.27846454 + 0.09 * (x**2).sum(axis=1).max()
        start = (w**2).sum() + (u**2).sum()
        expected = B * (start**0.5 + (start + C * T[run]) ** 0.5)
        assert A * found == pytest.approx(expected, rel=1e-7)
