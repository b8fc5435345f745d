"""Where runs end on a landscape of which only the loss is known: borders, and large Hessians."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.landscapes import CriticalPoint, Landscape, Outcome
from whytrain.landscapes import classify as module
from whytrain.landscapes.curvature import dense_sign, lowest_is_negative, sign_by_products


class Quadratic(Landscape):
    """`sum d x^2 / 2 + slope x_0`, in axes that are turned at random."""

    curvatures: np.ndarray
    turn: np.ndarray

    def loss(self, params):
        return 0.5 * jnp.sum(self.curvatures * (self.turn @ params) ** 2)


def quadratic(curvatures, turned=True):
    n = len(curvatures)
    turn = (
        np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0] if turned else np.eye(n)
    )
    return Quadratic(np.asarray(curvatures, float), turn)


def spectra(n=150):
    rng = np.random.default_rng(1)
    spread = rng.uniform(0, 1, n)
    return {
        "positive": (spread, False),
        "all equal": (np.ones(n), False),
        "all equal and negative": (-np.ones(n), True),
        "zero": (np.zeros(n), False),
        "flat but for one": (np.r_[1.0, np.zeros(n - 1)], False),
        "flat, one below the border": (np.r_[1.0, -2e-6, np.zeros(n - 2)], True),
        "flat, one above the border": (np.r_[1.0, -0.5e-6, np.zeros(n - 2)], False),
        "one far below the others": (np.r_[-2e-6, spread[1:]], True),
        "huge and tiny": (np.r_[1e8, -1.0, spread[2:]], False),
        "both signs": (np.r_[np.ones(n // 2), -np.ones(n - n // 2)], True),
        "decaying": (np.r_[-1e-5, 1 / np.arange(1, n) ** 2.0], True),
    }


@pytest.mark.parametrize("name", spectra())
def test_products_say_what_the_hessian_says(name):
    curvatures, negative = spectra()[name]
    landscape, origin = quadratic(curvatures), jnp.zeros(len(curvatures))
    assert bool(dense_sign(landscape, origin)) == negative
    assert bool(sign_by_products(landscape, origin)) == negative


def test_a_negative_curvature_is_never_called_none_and_none_never_negative():
    # 60 spectra of 400 drawn at random, three in four with one curvature below the border
    rng = np.random.default_rng(2)
    for _ in range(60):
        spectrum = rng.uniform(0, 1, 400) ** rng.integers(1, 6)
        if rng.uniform() < 0.75:
            spectrum[0] = -(10 ** rng.uniform(-5.6, 0))
        lowest, most = spectrum.min(), np.abs(spectrum).max()
        found = lowest_is_negative(lambda v, d=spectrum: d * v, 400)
        assert found in (None, bool(lowest < -1e-6 * most))


def test_curvature_that_is_not_finite_is_left_open():
    assert lowest_is_negative(lambda v: np.nan * v, 200) is None


def test_a_large_landscape_is_told_by_products_as_a_small_one_by_its_hessian(monkeypatch):
    curvatures = np.r_[1.0, np.zeros(148), -0.1]
    landscape = quadratic(curvatures, turned=False)
    at = np.zeros((4, 150))
    at[1, 0], at[2, -1], at[3, 3] = 1.0, np.nan, 5.0
    expected = [Outcome.SADDLE, Outcome.UNDECIDED, Outcome.DIVERGED, Outcome.SADDLE]
    assert landscape.outcome(at).tolist() == expected
    monkeypatch.setattr(module, "DENSE", 1000)
    assert landscape.outcome(at).tolist() == expected


class Kinked(Landscape):
    lowest = -1.0

    def loss(self, params):
        return jnp.sum(jnp.abs(params) ** 1.5)


def test_a_curvature_that_is_infinite_is_no_minimum():
    with jax.debug_nans(False):
        assert Kinked().outcome(np.zeros((1, 2))).tolist() == [Outcome.UNDECIDED]


class OnCircle(Landscape):
    """The height on a circle: its gradient vanishes at the top and at the bottom."""

    lowest = -1.0

    def loss(self, params):
        return params[1]

    def tangent(self, params, vector):
        return vector - params * (params @ vector)

    def retract(self, params):
        return params / jnp.linalg.norm(params)


def test_the_curvature_is_that_along_the_manifold():
    ends = np.array([[0.0, -1.0], [0.0, 1.0]])
    assert OnCircle().outcome(ends).tolist() == [Outcome.GLOBAL, Outcome.SADDLE]


class Slope(Landscape):
    """A bowl of which one point is declared, five away from zero."""

    steepness: float

    def loss(self, params):
        return 0.5 * self.steepness * jnp.sum((params - jnp.array([3.0, 4.0])) ** 2)

    def critical_points(self):
        return [CriticalPoint("spurious", np.array([3.0, 4.0]), 0.0)]


@pytest.mark.parametrize(
    ("share", "found"), [(0.995, Outcome.SPURIOUS), (1.005, Outcome.UNDECIDED)]
)
def test_near_is_a_hundredth_of_the_distance_from_zero(share, found):
    at = np.array([[3.0 + share * 0.05, 4.0]])  # 0.01 * 5
    assert Slope(1e-6).outcome(at).tolist() == [found]


@pytest.mark.parametrize(
    ("share", "found"), [(0.995, Outcome.SPURIOUS), (1.005, Outcome.UNDECIDED)]
)
def test_still_is_a_thousandth_of_it(share, found):
    at = np.array([[3.0 + share * 0.005, 4.0]])  # 1e-3 * 5, at a steepness of one
    assert Slope(1.0).outcome(at).tolist() == [found]


@pytest.mark.parametrize(("share", "found"), [(0.99, Outcome.GLOBAL), (1.01, Outcome.UNDECIDED)])
def test_a_gradient_vanishes_below_a_millionth(share, found):
    assert quadratic([1.0, 1.0]).outcome(share * 1e-6 * np.eye(2)[:1]).tolist() == [found]


@pytest.mark.parametrize(("share", "found"), [(0.99, Outcome.SPURIOUS), (1.01, Outcome.SADDLE)])
def test_a_curvature_is_negative_from_a_millionth_of_the_largest(share, found):
    landscape = type("Raised", (Quadratic,), {"lowest": -1.0})
    made = landscape(np.array([2.0, -share * 2e-6]), np.eye(2))
    assert made.outcome(np.zeros((1, 2))).tolist() == [found]


@pytest.mark.parametrize(("share", "found"), [(0.99, Outcome.GLOBAL), (1.01, Outcome.SPURIOUS)])
def test_a_loss_is_the_lowest_within_a_millionth(share, found):
    landscape = type("Lower", (Quadratic,), {"lowest": -share * 1e-6})
    made = landscape(np.ones(2), np.eye(2))
    assert made.outcome(np.zeros((1, 2))).tolist() == [found]


class TwoMinima(Landscape):
    lowest = 0.0

    def loss(self, params):
        return jnp.sum(params**4 / 4 - params**2 / 2 + 0.1 * params)


def test_a_minimum_below_the_lowest_is_not_called_global(monkeypatch):
    ends = np.array([[0.9456492739], [-1.0466805318]])
    assert TwoMinima().outcome(ends).tolist() == [Outcome.UNDECIDED] * 2
    monkeypatch.setattr(TwoMinima, "lowest", -0.352386)
    assert TwoMinima().outcome(ends).tolist() == [Outcome.SPURIOUS, Outcome.GLOBAL]
    for lowest in (math.nan, "0"):
        monkeypatch.setattr(TwoMinima, "lowest", lowest)
        with pytest.raises(UserError, match="lowest must be the loss of a global minimum"):
            TwoMinima().outcome(ends)
