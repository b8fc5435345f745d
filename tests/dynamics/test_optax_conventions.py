"""Where Optax's Adam has its epsilon, by one step with a gradient of 1e-8."""

import math

import jax.numpy as jnp
import optax
import pytest

from whytrain.dynamics import OptaxMethod, simulate
from whytrain.landscapes import Landscape

SLOPE, EPS = 1e-8, 1e-8


class Ramp(Landscape):
    def loss(self, params):
        return SLOPE * params


def step(transformation):
    ended = simulate(Ramp(), OptaxMethod(transformation), jnp.array([0.0]), 1, early=False)
    return -ended.final.item()


def test_epsilon_stands_outside_the_root():
    assert step(optax.adam(1.0, eps=EPS)) == pytest.approx(0.5, rel=1e-6)


def test_epsilon_inside_the_root_is_another_method():
    inside = step(optax.adam(1.0, eps=0.0, eps_root=EPS))
    assert inside == pytest.approx(1.0e-4, rel=1e-6)


def test_epsilon_before_the_correction_of_the_bias_is_a_third():
    """The form of Kingma and Ba's footnote, whose epsilon is not divided by sqrt(1 - b2)."""
    m, v = 0.1 * SLOPE, 0.001 * SLOPE**2
    moved = math.sqrt(0.001) / 0.1 * m / (math.sqrt(v) + EPS)
    assert moved == pytest.approx(0.030653, rel=1e-4)
    corrected = step(optax.adam(1.0, eps=EPS / math.sqrt(0.001)))
    assert corrected == pytest.approx(moved, rel=1e-6)
