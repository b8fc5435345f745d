"""Costs against plain NumPy, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.networks import (
    EmpiricalRisk,
    FullyConnected,
    TwoLayer,
    cross_entropy,
    logistic,
    square,
)

RNG = np.random.default_rng(0)
OUTPUTS, CLASSES = RNG.normal(size=(7, 3)), RNG.integers(0, 3, 7)
VALUES, SIGNS = RNG.normal(size=7), np.sign(RNG.normal(size=7))


def test_costs_are_their_formulas():
    sums = np.log(np.exp(OUTPUTS).sum(axis=1))
    first = OUTPUTS[:, 0]
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            cross_entropy(jnp.array(OUTPUTS), jnp.array(CLASSES)),
            np.mean(sums - OUTPUTS[np.arange(7), CLASSES]),
        )
        np.testing.assert_allclose(
            square(jnp.array(first), jnp.array(VALUES)), np.mean((first - VALUES) ** 2) / 2
        )
        np.testing.assert_allclose(
            logistic(jnp.array(first), jnp.array(SIGNS)), np.mean(np.log1p(np.exp(-SIGNS * first)))
        )


@pytest.mark.parametrize(
    ("cost", "outputs", "targets", "message"),
    [
        (square, (7, 1), (7,), r"square needs a target for each output, got outputs of shape"),
        (square, (7,), (7, 1), r"shape \(7,\) and targets of shape \(7, 1\)"),
        (square, (7,), (1,), r"give the targets the shape of the outputs"),
        (logistic, (7, 1), (7,), r"logistic needs a target for each output"),
        (cross_entropy, (7,), (7,), r"cross_entropy is of logits \(example, class\)"),
        (cross_entropy, (7, 3), (7, 1), r"got shapes \(7, 3\) and \(7, 1\)"),
    ],
)
def test_no_output_is_held_against_the_target_of_another(cost, outputs, targets, message):
    dtype = int if cost is cross_entropy else float
    with pytest.raises(UserError, match=message):
        cost.__wrapped__(jnp.zeros(outputs), jnp.zeros(targets, dtype))


VECTORS = FullyConnected((3, 5))
X = np.zeros((7, 3))


@pytest.mark.parametrize(
    ("network", "inputs", "targets", "options", "message"),
    [
        (VECTORS, X, VALUES[:5], {"cost": square}, "inputs and targets must be as many, got 7 and"),
        (VECTORS, X, (SIGNS > 0) * 1, {"cost": logistic}, "must be -1 or 1, got 0"),
        (VECTORS, X, np.full(7, np.nan), {"cost": logistic}, "must be -1 or 1, got nan"),
        (VECTORS, X, VALUES, {}, "must be classes, whole numbers from 0 on, got float64; for val"),
        (VECTORS, X, SIGNS.astype(int), {}, "must be classes from 0 to 1, got -1"),
        (TwoLayer((2, 2, 1), 3, 2), np.zeros((3, 2, 2, 1)), np.array([0, 1, 2]), {},
         "must be classes from 0 to 1, got 2"),
        (VECTORS, X, VALUES, {"cost": square, "activation": jnp.tanh},
         "activation is for image networks; FullyConnected has its own"),
    ],
)  # fmt: skip
def test_data_that_would_be_taken_for_other_data_are_refused(
    network, inputs, targets, options, message
):
    with pytest.raises(UserError, match=message):
        EmpiricalRisk(network, inputs, targets, **options)


def test_a_cost_of_ones_own_is_not_asked_for_its_targets():
    risk = EmpiricalRisk(VECTORS, X, VALUES, lambda outputs, y: jnp.mean(jnp.abs(outputs - y)))
    params = VECTORS.init(jax.random.key(0))
    assert float(risk.loss(params)) == pytest.approx(np.abs(VALUES).mean(), rel=1e-6)


def test_a_class_that_a_network_does_not_tell_apart_is_refused():
    with pytest.raises(UserError, match="classes from 0 to 1, got 5"):
        EmpiricalRisk(FullyConnected((3, 5), outputs=2), np.zeros((2, 3)), np.array([0, 5]))
    for wrong in (3, -1):
        with pytest.raises(UserError, match=f"classes from 0 to 2, got {wrong}"):
            cross_entropy(jnp.zeros((2, 3)), jnp.array([0, wrong]))
