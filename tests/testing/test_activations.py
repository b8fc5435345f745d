"""The gate for activations: right ones pass, and each fault is named in one line."""

import math

import jax
import jax.numpy as jnp
import pytest

from whytrain.gaussian import ESTIMATORS, Quadrature, ReLU, step
from whytrain.testing import check_activation

FEW = {"angles": (0.0, 0.7, math.pi), "radii": ((0.5, 2.0),)}


QUICK = {"identity", "relu", "clipped_relu"}  # quickly compiled; the others are the same code


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ESTIMATORS],
)
def test_the_step_with_every_estimator(name):
    check_activation(step(ESTIMATORS[name]), ESTIMATORS[name].kinks, surrogate=True, **FEW)


def test_a_smooth_one_by_quadrature():
    check_activation(Quadrature(jnp.tanh), **FEW)


def off(name, by=1.0001, place=None):
    """The rectifier with one expectation that is wrong."""

    def wrong(self, *args):
        found = getattr(ReLU, name)(self, *args)
        if place is None:
            return found * by
        return tuple(one * by if i == place else one for i, one in enumerate(found))

    return type("Wrong", (ReLU,), {name: wrong})()


EXPECTATIONS = {
    "mean": "mean is", "second_moment": "second_moment is", "cross": "cross is",
    "shortfall": "shortfall is", "backward_mean": "backward_mean is",
    "backward_self": "backward_self is",
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_an_expectation_that_is_off_is_named(name):
    with pytest.raises(AssertionError, match=f"^Wrong: {EXPECTATIONS[name]}.* by quadrature"):
        check_activation(off(name), **FEW)


@pytest.mark.parametrize(("place", "word"), [(0, "along"), (1, "across")])
def test_each_coordinate_of_the_backward_pass(place, word):
    with pytest.raises(AssertionError, match=rf"backward_cross \({word}\) is"):
        check_activation(off("backward_cross", place=place), **FEW)


def constant(name, value):
    return type("Wrong", (ReLU,), {name: property(lambda self: value)})()


DECLARED = [
    (constant("degree", 2), "not homogeneous of degree 2"),
    (constant("steepness", 0.3), "steepness 0.3 is wrong at"),
    (constant("scalar", lambda gap, cos, sin: (1.0, 1.0)), "scalar is off cross"),
]


@pytest.mark.parametrize(("activation", "message"), DECLARED)
def test_what_is_declared_is_held_to(activation, message):
    with pytest.raises(AssertionError, match=message):
        check_activation(activation, angles=(0.7,), radii=((1.0, 1.0),))


def forward(function):
    return type("Wrong", (ReLU,), {"forward": lambda self, x: function(x)})()


FUNCTIONS = [
    (Quadrature(jnp.tanh, jnp.ones_like), "is it a surrogate"),
    (forward(lambda x: x.sum()), "forward is not elementwise"),
    (forward(lambda x: x - x.mean()), "forward of a number depends on others"),
    (Quadrature(lambda x: jnp.log(x)), "forward is not finite"),
    (forward(lambda x: math.tanh(x)), "forward fails: TypeError"),
]


@pytest.mark.parametrize(("activation", "message"), FUNCTIONS)
def test_what_is_no_elementwise_function_is_refused(activation, message):
    with pytest.raises(AssertionError, match=message) as told:
        check_activation(activation)
    assert "\n" not in str(told.value)


def test_a_kink_that_is_not_declared_is_noticed():
    clipped = Quadrature(lambda x: jnp.clip(x, -0.41, 0.77))
    with pytest.raises(AssertionError, match=r"by (adaptive )?quadrature"):
        check_activation(clipped, (-0.41, 0.77), **FEW)


def test_a_wrong_rule_of_quadrature_is_noticed_without_it(monkeypatch):
    """The package's quadrature is not the only judge."""
    real = Quadrature.mean
    monkeypatch.setattr(Quadrature, "mean", lambda self, r: real(self, r) * 1.0001)
    softplus = Quadrature(jax.nn.softplus)
    with pytest.raises(AssertionError, match=r"mean is .* by adaptive quadrature"):
        check_activation(softplus, **FEW)
