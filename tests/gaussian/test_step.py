"""The step with its surrogates: closed forms beside quadrature; Monte Carlo: `check_activation`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gaussian.expectations import closed
from whytrain.gaussian import ESTIMATORS, PiecewiseConstant, StepPiecewise, StepQuadrature, step

ANGLES = [0.0, 1e-9, 1e-3, 0.03, 0.7, math.pi / 2, 2.0, 3.0, math.pi - 1e-7, math.pi]
RADII = [1e-3, 0.3, 1.0, 4.0, 1e3]
CLOSED = [name for name, e in ESTIMATORS.items() if isinstance(e.derivative, PiecewiseConstant)]


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_equal_quadrature(name):
    estimator = ESTIMATORS[name]
    slow = closed(StepQuadrature(estimator.derivative, estimator.kinks))
    fast = closed(step(estimator))
    assert isinstance(step(estimator), StepPiecewise)
    for angle in ANGLES:
        for radius in RADII:
            np.testing.assert_allclose(
                fast(angle, radius, 1.0), slow(angle, radius, 1.0), rtol=0, atol=1e-9
            )


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in CLOSED])
def test_quadrature_has_converged(name):
    estimator = ESTIMATORS[name]
    few = closed(step(estimator))
    many = closed(StepQuadrature(estimator.derivative, estimator.kinks, nodes=60))
    for angle in ANGLES[::3]:
        for radius in RADII:
            np.testing.assert_allclose(
                few(angle, radius, 1.0), many(angle, radius, 1.0), rtol=0, atol=1e-9
            )


def test_known_values_of_the_clipped_estimator():
    # sheet, section 9: r = 0.7, theta = 2
    along, across = step(ESTIMATORS["clipped_relu"]).backward_cross(2.0, 0.7)
    assert float(along) == pytest.approx(0.089203095537, abs=1e-11)
    assert float(across) == pytest.approx(0.160308568375, abs=1e-11)


def test_a_short_filter_sees_the_clipped_estimator_as_a_rectifier():
    one, other = (step(ESTIMATORS[name]) for name in ("clipped_relu", "relu"))
    np.testing.assert_allclose(
        one.backward_cross(2.0, 1e-3), other.backward_cross(2.0, 1e-3), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_elementwise_finite_and_sourced(name):
    estimator = ESTIMATORS[name]
    x = jnp.linspace(-500, 500, 1001).reshape(7, 143)
    value = estimator.derivative(x)
    assert value.shape == x.shape
    assert bool(jnp.isfinite(value).all())
    assert estimator.name == name
    assert estimator.source
    assert estimator.doc
    assert estimator.derivative(x.astype(jnp.float32)).dtype == jnp.float32


def test_derivatives_are_those_of_their_functions():
    functions = {
        "approx_sign": lambda x: jnp.where(x < 0, 2 * x + x**2, 2 * x - x**2),
        "swish_sign": lambda x: (
            2 * jax.nn.sigmoid(5 * x) * (1 + 5 * x * (1 - jax.nn.sigmoid(5 * x))) - 1
        ),
        "sigmoid": jax.nn.sigmoid,
        "piecewise_polynomial": lambda x: 0.5 + 0.75 * x - 0.25 * x**3,
    }
    x = jnp.linspace(-0.99, 0.99, 100)
    for name, function in functions.items():
        slope = jax.vmap(jax.grad(function))(x)
        np.testing.assert_allclose(ESTIMATORS[name].derivative(x), slope, atol=1e-13, err_msg=name)


def test_the_fall_of_the_dual_and_the_surrogates_own_values_at_its_jumps():
    one = step(ESTIMATORS["relu"])
    assert float(jax.grad(one.cross)(1.0)) == pytest.approx(-1 / (2 * math.pi))
    assert float(one.shortfall(1e-12)) == pytest.approx(1e-12 / (2 * math.pi), rel=1e-12, abs=0)
    ends = jnp.array([-1.0, 0.0, 1.0])
    assert ESTIMATORS["hard_tanh"].derivative(ends).tolist() == [1.0, 1.0, 1.0]
    assert ESTIMATORS["clipped_relu"].derivative(ends).tolist() == [0.0, 0.0, 0.0]
