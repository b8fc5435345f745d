"""The gate for methods: right ones pass, and each fault is named in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from landscapes.cases import teacher
from whytrain.dynamics import (
    GradientDescent,
    GradientFlow,
    NormalizedGradientDescent,
    NormalizedGradientFlow,
    OptaxMethod,
    StochasticGradientDescent,
    warm_up,
)
from whytrain.dynamics.methods import Method, State
from whytrain.landscapes import SharedFilter, Weights
from whytrain.testing import check_method

SIZES = Weights(0.03, 0.05)
METHODS = {
    "descent": GradientDescent(SIZES),
    "warm-up": GradientDescent(Weights(warm_up(0.01, 0.05, 7), 0.04)),
    "normalized": NormalizedGradientDescent(SIZES),
    "flow": GradientFlow(SIZES),
    "normalized flow": NormalizedGradientFlow(SIZES),
    "stochastic": StochasticGradientDescent(0.05, 4),
    "Adam": OptaxMethod(optax.adam(0.03)),
    "momentum": OptaxMethod(optax.sgd(0.03, momentum=0.9), normalized=True),
}


NAMES = [pytest.param(name, marks=[pytest.mark.slow] * ("flow" in name)) for name in METHODS]


@pytest.mark.parametrize("name", NAMES)
def test_the_package_s_own_methods(name):
    check_method(METHODS[name])


@pytest.mark.parametrize("name", ["normalized", "stochastic", "momentum"])
def test_them_on_a_landscape_with_a_manifold(name):
    rng = np.random.default_rng(1)
    starts = Weights(rng.standard_normal((8, 3)), rng.standard_normal((8, 4)))
    check_method(METHODS[name], SharedFilter(*teacher(4, 3)), starts)


class Descent(Method):
    def move(self, landscape, state, step, key):
        return jax.tree.map(lambda p, g: p - 0.1 * g, state.params, landscape.grad(state.params))

    def step(self, landscape, state, step, key):
        return State(self.move(landscape, state, step, key))


class Careless(Descent):
    """What is not finite is zero, and nobody is told."""

    def step(self, landscape, state, step, key):
        return State(jax.tree.map(jnp.nan_to_num, self.move(landscape, state, step, key)))


class Branching(Descent):
    def step(self, landscape, state, step, key):
        return super().step(landscape, state, step, key) if step > 2 else state


class Growing(Descent):
    def step(self, landscape, state, step, key):
        return State(self.move(landscape, state, step, key), memory=step)


class Exploding(Descent):
    def step(self, landscape, state, step, key):
        return State(jax.tree.map(lambda p: p * 1e9, state.params))


class Together(Descent):
    """Takes from its neighbors in a batch, as a careless use of `vmap` may."""

    def step(self, landscape, state, step, key):
        @jax.custom_batching.custom_vmap
        def shared(p):
            return p

        @shared.def_vmap
        def _(size, batched, p):
            return p - 0.1 * p.mean(axis=0, keepdims=True), True

        return State(jax.tree.map(shared, state.params))


class Restless(Descent):
    """Draws, but not by its key."""

    def step(self, landscape, state, step, key):
        drawn = jax.pure_callback(
            lambda: np.random.default_rng().standard_normal(),
            jax.ShapeDtypeStruct((), np.float64), vmap_method="sequential",
        )  # fmt: skip
        return State(jax.tree.map(lambda p: 0.9 * p + 0.01 * drawn, state.params))


WRONG = [
    (Careless(), "goes on in silence where the loss is NaN"),
    (Branching(), "step, compiled, fails: TracerBoolConversionError"),
    (Growing(), "the state after a step has not the form of that before"),
    (Exploding(), "the parameters are not finite after 40 steps"),
    (Together(), "where a run ends depends on"),
    (Restless(), "the same step from the same key has other bits"),
]


@pytest.mark.parametrize(("method", "message"), WRONG, ids=lambda one: type(one).__name__)
def test_each_fault_is_told_in_one_line(method, message):
    with pytest.raises(AssertionError, match=message) as told:
        check_method(method)
    assert "\n" not in str(told.value)
