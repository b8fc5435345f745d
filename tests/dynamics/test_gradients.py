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
    OptaxMethod,
    OverLoss,
    StochasticGradientDescent,
    arguments,
    simulate,
)
from whytrain.errors import UserError
from whytrain.landscapes import Landscape
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


class Bowl(Landscape):
    def loss(self, params):
        return 0.5 * jnp.sum(params**2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop": {"los": 1}}, "stop: 'los' is not known; known: gradient_norm, loss; did you"),
        ({"stop": {"loss": np.nan}}, "stop: the value of 'loss' must be a number, got nan"),
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
    with pytest.raises(UserError, match="stop must be values by name"):
        arguments.checked_stop(["loss"], Bowl())
    with pytest.raises(UserError, match="stop: the value of 'loss' must be a number, got 'low'"):
        arguments.checked_stop({"loss": "low"}, Bowl())
    with pytest.raises(UserError, match="batch must be 1 to 10, the number of examples, got 11"):
        simulate(SQUARES, OptaxMethod(optax.sgd(0.1), gradient=Epochs(11)), STARTS, 5)
    with pytest.raises(UserError, match="batch must be 1 or more samples, got 0"):
        Epochs(0)


def test_a_loss_of_zero_is_reported_as_divergence():
    ended = simulate(
        Bowl(), OptaxMethod(optax.sgd(0.1), gradient=OverLoss()), np.zeros((1, 3)), 5, early=False
    )
    assert np.isnan(ended.final).all()
