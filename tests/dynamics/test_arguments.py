"""What `simulate` is asked by mistake: one line each."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.dynamics import (
    GradientDescent,
    GradientFlow,
    NormalizedGradientDescent,
    OptaxMethod,
    StochasticGradientDescent,
    simulate,
)
from whytrain.dynamics.methods import Method, State, check_sizes
from whytrain.errors import UserError
from whytrain.gaussian import ReLU
from whytrain.landscapes import Landscape, SharedFilter, SphereOrder, SphereReduction, Weights


class Bowl(Landscape):
    def loss(self, params):
        return 0.5 * jnp.sum(params**2)


class Named(Landscape):
    def loss(self, params):
        return params["x"] ** 2


class Vector(Landscape):
    def loss(self, params):
        return params**2


class Whole(Method):
    def step(self, landscape, state, step, key):
        return State(jnp.int32(1) + 0 * state.params.astype(int))


class Bare(Method):
    def step(self, landscape, state, step, key):
        return state.params


NETWORK = SharedFilter(np.array([1.0, 0.0]), np.array([1.0, 2.0]))
SPHERE = SphereReduction.of_sums(4, 1.0, 1.0, ReLU())
ONES = np.ones((2, 2))
asked = inspect.unwrap(simulate)  # as users call it, whom no type checker protects


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"landscape": Bowl}, r"got the class Bowl; make one of it: Bowl\(\.\.\.\)"),
        ({"landscape": 3}, "landscape must be a Landscape, got 3"),
        ({"landscape": lambda x: x}, "landscape must be a Landscape, got a function"),
        ({"method": 0.1}, r"method must be a Method such as GradientDescent\(0.1\), got 0.1"),
        ({"method": GradientDescent}, "got the class GradientDescent; make one of it"),
        ({"method": optax.sgd(0.1)}, r"an Optax transformation; wrap it: OptaxMethod"),
        ({"method": None}, "method must be a Method .* got None"),
        ({"starts": [1, 2, 3]}, "a list is a pytree of its own: give an array"),
        ({"starts": "abc"}, "starts must hold numbers"),
        ({"starts": None}, "got no array"),
        ({"starts": ONES + 1j}, "starts must hold numbers, .* complex numbers; give real and"),
        ({"starts": np.ones((2, 0))}, "starts hold no parameter"),
        ({"landscape": NETWORK, "starts": [1, 2, 3]},
         r"starts of a SharedFilter must be Weights\(filter, output\), .* got a list of 3"),
        ({"landscape": NETWORK, "starts": Weights(np.ones((2, 1)), np.ones((2, 2)))},
         r"the weights' filter must have the teacher's shape \(2,\), got \(1,\)"),
        ({"landscape": NETWORK, "starts": Weights(np.ones((2, 2)), np.ones(2))},
         r"the weights' output must have the teacher's shape \(2,\), got \(\)"),
        ({"landscape": SPHERE, "starts": np.ones((3, 5)), "method": NormalizedGradientDescent(0.1)},
         r"must be SphereOrder\(angle, total"),
        ({"landscape": SPHERE, "starts": SphereOrder(ONES, ONES, ONES),
          "method": GradientFlow()}, "SphereReduction is not exact under GradientFlow"),
        ({"landscape": Named()}, "Named.loss cannot take one of the starts, float64"),
        ({"landscape": Vector()}, r"Vector.loss must give one number, got float64\[2\]"),
        ({"method": Whole()}, r"Whole.step must give a State like the one it gets.*int"),
        ({"method": Bare()}, "Bare.step must give a State like the one it gets"),
        ({"method": StochasticGradientDescent(0.1, 2)}, "Bowl has no inputs to draw"),
        ({"steps": "ten"}, "steps must be 1 or more, got 'ten'"),
        ({"steps": 2.5}, "steps must be 1 or more, got 2.5: a whole number"),
        ({"steps": True}, "steps must be 1 or more"),
        ({"steps": np.nan}, "steps must be 1 or more, got nan"),
        ({"times": ["a"]}, "times must be numbers, got"),
        ({"times": [0.5]}, "times must be whole steps"),
        ({"times": [np.nan]}, "times must lie between"),
        ({"times": 5}, "times must be a list of numbers"),
        ({"keys": 0}, "keys must be one random key a run.* got 0"),
        ({"keys": np.arange(2)}, "keys must be one random key a run.* got a ndarray"),
        ({"keys": jax.random.key(0)}, "there are 2 runs, got keys of shape"),
        ({"keys": jax.random.split(jax.random.key(0), 3)}, r"there are 2 runs, got .*\(3,\)"),
        ({"observables": "loss"}, r"observables must be names such as \('loss',\)"),
        ({"observables": {"loss": 3}}, "observable 'loss' must be a function"),
        ({"observables": {"all": lambda p: p}}, r"observable 'all' must be one number, got"),
        ({"observables": {"all": lambda p: {"p": p}}}, r"must be one number, got \{'p': float64"),
        ({"observables": {"all": lambda p: 1 / 0}}, "observable 'all' cannot"),
        ({"observables": {"outcome": lambda p: p}}, "an observable cannot be named 'outcome'"),
        ({"steps": 2**70}, "steps must be 1 or more, got 1180591620717411303424"),
        ({"extremes": "loss"}, r"extremes must be names, such as \('loss',\)"),
        ({"block": 0}, "block must be a whole number from 1 on, got 0"),
        ({"threads": 1.5}, "threads must be a whole number from 1 on, got 1.5"),
        ({"method": GradientFlow(), "steps": -1}, "the time at which a flow ends, must be > 0"),
        ({"method": GradientFlow(), "extremes": ("loss",)}, "extremes are of steps"),
    ],
)  # fmt: skip
def test_one_line_that_says_what_would_be_right(how, message):
    call = {"landscape": Bowl(), "method": GradientDescent(0.1), "starts": ONES, "steps": 10}
    with pytest.raises(UserError, match=message) as found:
        asked(**(call | how))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("size", ["0.1", None, object(), [], True, np.nan, np.ones(2)])
def test_a_step_size_is_a_number_or_a_schedule(size):
    with pytest.raises(UserError, match="step_size must"):
        check_sizes("step_size", size)


@pytest.mark.parametrize("schedule", [lambda t: 0.1 / t, lambda t: jnp.where(t > 5, jnp.nan, 0.1)])
def test_a_schedule_that_is_not_finite_is_no_divergence(schedule):
    with pytest.raises(UserError, match="step sizes that are not finite"):
        asked(Bowl(), GradientDescent(schedule), ONES, 10)


def test_step_sizes_of_another_form_than_a_reduction_s():
    order = SphereOrder(*np.ones((3, 2)))
    said = "step sizes of a reduction must be one, or Weights|fails on SphereReduction: TypeCheck"
    with pytest.raises(UserError, match=said):  # the type checker of the tests comes first
        simulate(SPHERE, NormalizedGradientDescent((0.1, 0.1, 0.1)), order, 5)


def test_a_flow_may_end_before_time_one():
    ended = simulate(Bowl(), GradientFlow(tolerance=1e-11), np.ones((1, 1)), 0.5)
    assert float(ended.final[0, 0]) == pytest.approx(np.exp(-0.5), rel=1e-9)


def test_keys_of_both_forms_are_the_same():
    rows = Weights(np.array([[0.6, 0.8]] * 2), np.ones((2, 2)))
    new = jax.random.split(jax.random.key(3), 2)
    old = jax.random.key_data(new)
    method = StochasticGradientDescent(0.1, 2)
    one, other = (simulate(NETWORK, method, rows, 3, keys=keys) for keys in (new, old))
    np.testing.assert_array_equal(one.final_output, other.final_output)


@pytest.mark.parametrize("transformation", [optax.lbfgs(), optax.polyak_sgd()])
def test_a_transformation_that_asks_for_more_is_told_with_the_way_out(transformation):
    with pytest.raises(UserError, match=r"asks for .*value.*; take .*lbfgs\(0.1, linesearch=None"):
        simulate(Bowl(), OptaxMethod(transformation), np.ones((1, 2)), 1)
