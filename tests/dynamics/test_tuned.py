"""A landscape as a training: against a loop of Optax, for all optimizers; and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.dynamics import OPTIMIZERS, landscape_training
from whytrain.errors import UserError
from whytrain.lab import compare_optimizers
from whytrain.landscapes import Landscape


class Valley(Landscape):
    """A quadratic, with something else to look at."""

    def loss(self, params):
        return 0.5 * (params["a"] ** 2).sum() + 20 * params["b"] ** 2

    def observables(self):
        return {"loss": self.loss, "far": lambda params: jnp.abs(params["a"]).max()}


def start(key):
    return {"a": jax.random.normal(key, (3,)), "b": jnp.ones(())}


WRITTEN = {
    "sgd": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate)),
    "momentum": lambda rate, decay: optax.chain(
        optax.add_decayed_weights(decay), optax.sgd(rate, momentum=0.9)
    ),
    "nesterov": lambda rate, decay: optax.chain(
        optax.add_decayed_weights(decay), optax.sgd(rate, momentum=0.9, nesterov=True)
    ),
    "sign": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.sign_sgd(rate)),
    "rmsprop": lambda rate, decay: optax.chain(
        optax.add_decayed_weights(decay), optax.rmsprop(rate)
    ),
    "adam": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.adam(rate)),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "lion": lambda rate, decay: optax.lion(rate, weight_decay=decay),
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_is_the_loop_of_optax(name):
    scape = Valley()
    found = landscape_training(scape, start, 25, score="far", looks=6)(name, 0.01, 0.3, 5)
    params = start(jax.random.split(jax.random.key(5))[0])
    method = WRITTEN[name](0.01, 0.3)
    memory = method.init(params)
    losses, scores = [float(scape.loss(params))], [float(abs(params["a"]).max())]
    for _ in range(25):
        updates, memory = method.update(jax.grad(scape.loss)(params), memory, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(scape.loss(params)))
        scores.append(float(abs(params["a"]).max()))
    np.testing.assert_allclose(found["loss"], losses[::5], rtol=1e-9)
    np.testing.assert_allclose(found["score"], scores[::5], rtol=1e-9)


def test_a_score_may_be_a_function_and_optimizers_ones_own():
    train = landscape_training(
        Valley(), start, 10, score=lambda p: p["b"] ** 2, looks=3,
        optimizers={"still": lambda rate, decay: optax.sgd(0 * rate)},
    )  # fmt: skip
    np.testing.assert_array_equal(train("still", 1.0, 0.0, 0)["score"], [1, 1, 1])


def test_a_comparison_finds_the_better_one():
    train = landscape_training(Valley(), start, 40, looks=5)
    found = compare_optimizers(
        train, ["sgd", "adam"], learning_rates=(1e-3, 0.1), budget=3, trials=6
    )
    assert found.pairs[0].word in ("better", "worse", "cannot tell")
    assert "sgd" in found.sentence


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="looks must be from 2"):
        landscape_training(Valley(), start, 5)
    train = landscape_training(Valley(), start, 50)
    with pytest.raises(UserError, match="did you mean 'adam' or 'adamw'"):
        train("adamW", 0.1, 0.0, 0)
