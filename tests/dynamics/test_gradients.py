"""Each kind of step against a loop written out with NumPy or Optax alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.dynamics import (
    Epochs,
    Fresh,
    Full,
    GradientDescent,
    GradientFlow,
    OptaxMethod,
    OverLoss,
    StochasticGradientDescent,
    arguments,
    simulate,
)
from whytrain.dynamics.engines import engine_of
from whytrain.errors import UserError
from whytrain.landscapes import Landscape, Outcome
from whytrain.networks import EmpiricalRisk, Network, logistic, square


class Linear(Network):
    def init(self, key):
        return {"w": jax.random.normal(key, (3,))}

    def __call__(self, params, x):
        return x @ params["w"]


RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(10, 3))
VALUES = INPUTS @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=10)
SIGNS = np.sign(INPUTS[:, 0])
SQUARES = EmpiricalRisk(Linear(), INPUTS, VALUES, cost=square)
STARTS = {"w": RNG.normal(size=(4, 3))}


def slope(w, chosen):
    return INPUTS[chosen].T @ (INPUTS[chosen] @ w - VALUES[chosen]) / len(chosen)


def minibatches(key, steps, batch):
    """The examples of each step, drawn as the docstring says: a new order each epoch."""
    order, per_epoch = np.arange(10), 10 // batch
    for step in range(steps):
        place = step % per_epoch
        if place == 0:
            order = np.asarray(jax.random.permutation(jax.random.fold_in(key, step), order))
        yield order[place * batch : (place + 1) * batch]


def adam(w, key, steps, batch, coupled, decoupled, size=0.05):
    """Kingma and Ba 2015, with weight decay in the gradient or beside it (Loshchilov, Hutter)."""
    first = second = np.zeros(3)
    for t, chosen in enumerate(minibatches(key, steps, batch), start=1):
        g = slope(w, chosen) + coupled * w
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        direction = (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        w = w - size * (direction + decoupled * w)
    return w


@pytest.mark.parametrize(("coupled", "decoupled"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.1)])
def test_minibatch_adam_with_weight_decay(coupled, decoupled):
    transformation = optax.chain(
        optax.add_decayed_weights(coupled), optax.adamw(0.05, weight_decay=decoupled)
    )
    keys = jax.random.split(jax.random.key(5), 4)
    ended = simulate(
        SQUARES, OptaxMethod(transformation, gradient=Epochs(3)), STARTS, 50, keys=keys
    )
    for run, key in enumerate(keys):
        exact = adam(STARTS["w"][run], key, 50, 3, coupled, decoupled)
        np.testing.assert_allclose(ended.final_w.values[run], exact, rtol=0, atol=1e-9)


def test_an_epoch_goes_once_through_the_examples():
    seen = [np.sort(np.concatenate(part)) for part in _epochs(jax.random.key(1), batch=5)]
    for part in seen:
        np.testing.assert_array_equal(part, np.arange(10))
    first, second = (np.concatenate(part) for part in _epochs(jax.random.key(1), batch=5))
    assert not np.array_equal(first, second)


def _epochs(key, batch):
    chosen = list(minibatches(key, 20 // batch, batch))
    half = len(chosen) // 2
    return chosen[:half], chosen[half:]


def test_epochs_do_not_depend_on_the_other_runs():
    keys = jax.random.split(jax.random.key(5), 4)
    method = OptaxMethod(optax.sgd(0.1), gradient=Epochs(4))
    whole = simulate(SQUARES, method, STARTS, 33, keys=keys)
    alone = simulate(SQUARES, method, {"w": STARTS["w"][2:3]}, 33, keys=keys[2:3])
    np.testing.assert_array_equal(whole.final_w[2], alone.final_w[0])
    parts = simulate(SQUARES, method, STARTS, 33, keys=keys, block=1, threads=2)
    np.testing.assert_array_equal(whole.final_w, parts.final_w)


def test_the_parts_make_the_methods_that_have_names():
    keys = jax.random.split(jax.random.key(5), 4)
    pairs = (
        (OptaxMethod(optax.sgd(0.1), gradient=Full()), GradientDescent(0.1)),
        (OptaxMethod(optax.sgd(0.1), gradient=Fresh(4)), StochasticGradientDescent(0.1, 4)),
    )
    for parts, named in pairs:
        ours, theirs = (simulate(SQUARES, m, STARTS, 20, keys=keys) for m in (parts, named))
        np.testing.assert_allclose(ours.final_w, theirs.final_w, rtol=0, atol=1e-14)


def test_steps_over_the_loss_follow_it_down_to_1e_190():
    risk = EmpiricalRisk(Linear(), INPUTS, SIGNS, cost=logistic)
    path = simulate(
        risk, OptaxMethod(optax.sgd(1.0), gradient=OverLoss()), STARTS, 40_000,
        stop={"loss": 1e-190}, observables=("loss",), times=[0, 100],
    )  # fmt: skip
    assert path.stopped.all()
    w = STARTS["w"][0]
    for _ in range(100):
        margins = SIGNS * (INPUTS @ w)
        loss = np.mean(np.log1p(np.exp(-margins)))
        w = w + (INPUTS.T @ (SIGNS / (1 + np.exp(margins)))) / 10 / loss
    np.testing.assert_allclose(path.loss[0, 1], np.mean(np.log1p(np.exp(-SIGNS * (INPUTS @ w)))))
    for final in path.final_w.values:
        margins = SIGNS * (INPUTS @ final)
        assert 0 < np.mean(np.exp(-margins)) <= 1.01e-190


def test_a_run_stops_where_its_gradient_is_short():
    ended = simulate(
        SQUARES, GradientDescent(0.2), STARTS, 5000, stop={"gradient_norm": 1e-6}, early=False
    )
    assert ended.stopped.all()
    for run, w in enumerate(STARTS["w"]):
        steps = 0
        while np.linalg.norm(slope(w, np.arange(10))) > 1e-6:
            w, steps = w - 0.2 * slope(w, np.arange(10)), steps + 1
        assert ended.steps[run] == steps
        np.testing.assert_allclose(ended.final_w[run], w, rtol=0, atol=1e-12)


def test_a_run_that_never_comes_there_goes_on():
    ended = simulate(SQUARES, GradientDescent(0.2), STARTS, 70, stop={"loss": -1.0})
    plain = simulate(SQUARES, GradientDescent(0.2), STARTS, 70)
    assert not ended.stopped.any()
    assert (ended.steps == 70).all()
    np.testing.assert_array_equal(ended.final_w, plain.final_w)


def test_where_a_run_stops_does_not_depend_on_the_others():
    stop = {"gradient_norm": 1e-3, "loss": 0.004}
    whole = simulate(SQUARES, GradientDescent(0.2), STARTS, 900, stop=stop)
    for run in range(4):
        start = {"w": STARTS["w"][run : run + 1]}
        alone = simulate(SQUARES, GradientDescent(0.2), start, 900, stop=stop)
        np.testing.assert_array_equal(alone.final_w[0], whole.final_w[run])
        assert alone.steps[0] == whole.steps[run]


def test_single_precision_is_single_precision():
    method = OptaxMethod(optax.adam(0.05), gradient=Epochs(5))
    single = simulate(SQUARES, method, STARTS, 40, dtype=np.float32)
    double = simulate(SQUARES, method, STARTS, 40)
    assert single.final_w.dtype == np.float32
    np.testing.assert_allclose(single.final_w, double.final_w, rtol=0, atol=1e-4)
    assert not np.array_equal(single.final_w, double.final_w)


def test_steps_are_plain_as_long_as_the_loss_is_large():
    """The step size `size * max(1, c / loss)`, written out, from above `c` to below it."""
    method = OptaxMethod(optax.sgd(0.2 * 0.05), gradient=OverLoss(most=0.05))
    ended = simulate(SQUARES, method, STARTS, 30)
    losses = []
    for run, w in enumerate(STARTS["w"]):
        for _ in range(30):
            losses.append(np.mean((INPUTS @ w - VALUES) ** 2) / 2)
            w = w - 0.2 * max(1, 0.05 / losses[-1]) * slope(w, np.arange(10))
        np.testing.assert_allclose(ended.final_w[run], w, rtol=0, atol=1e-12)
    assert min(losses) < 0.05 < max(losses)


class Bowl(Landscape):
    def loss(self, params):
        return 0.5 * jnp.sum(params**2)


class Faint(Landscape):
    """A slope whose square is no number: 1e-200 in each of four directions."""

    def loss(self, params):
        return 1e-200 * jnp.sum(params)


def test_a_gradient_whose_square_underflows_has_a_length():
    far = simulate(
        Faint(), GradientDescent(0.1), np.ones((1, 4)), 5, stop={"gradient_norm": 1.9e-200},
        observables=("gradient_norm",), times=[0],
    )  # fmt: skip
    assert far.stopped == 0
    np.testing.assert_allclose(far.gradient_norm, 2e-200, rtol=1e-12)


def test_a_result_says_what_ended_each_run_also_at_its_last_point():
    stop = {"loss": 0.5 * 0.125**2, "far away": lambda w: jnp.abs(w[0]) > 50}
    starts = np.array([[1.0], [1.1], [60.0]])
    ended = simulate(Bowl(), GradientDescent(0.5), starts, 3, stop=stop)
    assert ended.stopped.values.tolist() == [1, 0, 2]
    assert ended.stopped.flag_meanings == "no loss far_away"
    assert ended.steps.values.tolist() == [3, 3, 0]
    assert ended.final.values[2] == 60


class Steep(Bowl):
    def stable(self, rule, step_sizes):
        return False


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
def test_a_run_that_ended_where_it_was_told_to_did_not_diverge():
    starts = np.ones((2, 1)) * [[1.0], [1e9]]
    ended = simulate(Steep(), GradientDescent(0.5), starts, 9, stop={"loss": 1e-3})
    assert ended.stopped.values.tolist() == [1, 0]
    assert ended.outcome.values.tolist() == [Outcome.UNDECIDED, Outcome.DIVERGED]


def test_a_flow_on_plain_space_is_a_differential_equation():
    """Against the exact solution, by the eigenvectors of the quadratic form."""
    ended = simulate(SQUARES, GradientFlow(tolerance=1e-10), STARTS, 3.0)
    curvatures, axes = np.linalg.eigh(INPUTS.T @ INPUTS / 10)
    lowest = np.linalg.lstsq(INPUTS, VALUES, rcond=None)[0]
    for run, w in enumerate(STARTS["w"]):
        exact = lowest + axes @ (np.exp(-3.0 * curvatures) * (axes.T @ (w - lowest)))
        np.testing.assert_allclose(ended.final_w[run], exact, rtol=0, atol=1e-8)


def test_orders_of_many_examples_make_tiles_small():
    many = EmpiricalRisk(Linear(), np.zeros((50_000, 3)), np.zeros(50_000), square)
    method = OptaxMethod(optax.sgd(0.1), gradient=Epochs(4))
    with jax.enable_x64(True):
        lanes = [
            engine_of(risk, risk, method, STARTS, 5, np.array([]), False, (), {}).lanes(STARTS)
            for risk in (SQUARES, many)
        ]
    assert lanes == [64, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop": {"los": 1}}, "stop: 'los' is not known; known: gradient_norm, loss; did you"),
        ({"stop": {"loss": np.nan}}, "stop: the value of 'loss' must be a number, got nan"),
        ({"stop": {"loss": 1e-40}, "dtype": np.float32}, "'loss' cannot be told from 0 at 1e-40"),
        ({"stop": {"far": jnp.sum}}, r"'far' must say True or False .* got float64\[\]"),
        ({"stop": {"far": lambda w: w > 1}}, r"'far' must say True or False .* got bool\[3\]"),
        ({"stop": {"loss": "low"}}, "stop: the value of 'loss' must be a number, got 'low'"),
        ({"dtype": "float16"}, "dtype must be float64 or float32, got 'float16'"),
        ({"dtype": "wide"}, "dtype must be float64 or float32, got 'wide'"),
        ({"gradient": Epochs(3)}, "Bowl has no examples to go through by epochs"),
        ({"gradient": Fresh(3)}, "Bowl has no inputs to draw"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    method = OptaxMethod(optax.sgd(0.1), gradient=changes.pop("gradient", Full()))
    with pytest.raises(UserError, match=message):
        simulate(Bowl(), method, np.ones((2, 3)), 5, **changes)


def test_other_mistakes_are_one_line():
    with pytest.raises(UserError, match="most must be above 0, got 0"):
        OverLoss(most=0.0)
    with pytest.raises(UserError, match="stop must be values by name"):
        arguments.checked_stop(["loss"], Bowl(), np.ones((2, 3)))
    with pytest.raises(UserError, match="batch must be 1 to 10, the number of examples, got 11"):
        simulate(SQUARES, OptaxMethod(optax.sgd(0.1), gradient=Epochs(11)), STARTS, 5)
    with pytest.raises(UserError, match="batch must be 1 or more samples, got 0"):
        Epochs(0)


def test_a_loss_of_zero_is_reported_as_divergence():
    ended = simulate(
        Bowl(), OptaxMethod(optax.sgd(0.1), gradient=OverLoss()), np.zeros((1, 3)), 5, early=False
    )
    assert np.isnan(ended.final).all()
