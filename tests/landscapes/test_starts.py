"""Closed laws of starts: beside whole vectors, at the edges of the numbers, in any dimension."""

import math

import numpy as np
import pytest
from scipy import stats

from whytrain.landscapes import (
    aligned_output,
    ball_coordinates,
    gaussian_coordinates,
    plane_sums,
    sphere_angle,
)

RNG = np.random.default_rng(1)
RUNS = 20_000
LAST = 1 - 2.0**-53  # the largest number below 1 that is ever drawn
DIMENSIONS = (1, 2, 3, 4, 10, 100, 1000)


@pytest.mark.parametrize("k", DIMENSIONS)
def test_points_of_a_ball(k):
    """The radius of all coordinates, of which two are seen, and every direction of the two."""
    x, y = ball_coordinates(RNG.random((RUNS, 2)), k)
    half = (k + 1) / 2
    for turn in (0.0, 1.0, 2.5) if k > 1 else (0.0,):
        seen = math.cos(turn) * x + math.sin(turn) * y
        assert stats.kstest((1 + seen) / 2, stats.beta(half, half).cdf).pvalue > 1e-3
    assert stats.kstest(x**2 + y**2, stats.beta(1, k / 2).cdf).pvalue > 1e-3
    assert np.hypot(x, y).max() <= 1


@pytest.mark.parametrize("p", DIMENSIONS[1:])
def test_angles_on_a_sphere(p):
    angle = sphere_angle(RNG.random((RUNS, 2)), p)
    half = (p - 1) / 2
    assert stats.kstest((1 + np.cos(angle)) / 2, stats.beta(half, half).cdf).pvalue > 1e-3


def test_on_a_line_a_unit_vector_is_one_of_two():
    angle = sphere_angle(RNG.random((RUNS, 2)), 1)
    assert set(angle) == {0.0, math.pi}
    assert np.mean(angle == 0) == pytest.approx(0.5, abs=4 / math.sqrt(4 * RUNS))


@pytest.mark.parametrize("m", DIMENSIONS)
def test_gaussian_vectors(m):
    x, y, size = gaussian_coordinates(RNG.standard_normal((RUNS, 3)), m)
    assert stats.kstest(size, stats.chi2(m).cdf).pvalue > 1e-3
    assert stats.kstest(x, "norm").pvalue > 1e-3
    if m == 1:
        assert not y.any()
        np.testing.assert_array_equal(size, x**2)
    else:
        share = x**2 / size  # of the squared length, one coordinate's part
        assert stats.kstest(share, stats.beta(0.5, (m - 1) / 2).cdf).pvalue > 1e-3
        assert stats.kstest(y, "norm").pvalue > 1e-3


@pytest.mark.parametrize("k", [10, 1000, 100_000])
def test_the_law_of_the_radius_far_out(k):
    """`(1 - rho^2)^(k/2)` is uniform, also where `rho^2` is of order 1/k."""
    u = np.array([1e-300, 1e-12, 0.1, 0.5, 0.999, LAST])
    x, y = ball_coordinates(np.stack([u, np.full(6, 0.125)], axis=1), k)
    np.testing.assert_allclose(k / 2 * np.log1p(-(x**2) - y**2), np.log1p(-u), rtol=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 10, 100_000])
def test_the_first_and_the_last_numbers_that_are_drawn(dimension):
    corners = np.array([[a, b] for a in (0.0, 2.0**-53, LAST) for b in (0.0, 0.25, 0.5, LAST)])
    x, y = ball_coordinates(corners, dimension)
    angle = sphere_angle(corners, dimension)
    assert np.isfinite([x, y, angle]).all()
    assert np.hypot(x, y).max() <= 1
    assert 0 <= angle.min() <= angle.max() <= math.pi


def test_small_angles_are_not_rounded():
    """On the circle the angle is the number itself, times a full turn."""
    small = np.array([1e-12, 1e-9, 1e-3])
    angle = sphere_angle(np.stack([np.full(3, 0.3), small], axis=1), 2)
    np.testing.assert_allclose(angle, 2 * math.pi * small, rtol=1e-14)


@pytest.mark.parametrize(("k", "alignment"), [(1, 1.0), (2, 2.0), (5, 0.0), (5, 1.0), (9, 9.0)])
def test_sums_are_those_of_the_vector(k, alignment):
    star = aligned_output(k, alignment, 2.5)
    along = np.full(k, k**-0.5)
    ramp = np.arange(k) - (k - 1) / 2
    across = ramp / max(float(np.linalg.norm(ramp)), 1e-300)
    x, y = RNG.standard_normal((2, 7))
    vectors = x[:, None] * along + y[:, None] * across
    total, overlap = plane_sums(x, y, k, alignment, 2.5)
    np.testing.assert_allclose(total, vectors.sum(axis=1), atol=1e-14)
    np.testing.assert_allclose(overlap, vectors @ star, atol=1e-14)
