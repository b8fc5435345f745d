"""The spectral density: against the eigenvalues themselves, and how often its band holds them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import hessian_density, spectral_density

RNG = np.random.default_rng(0)
SPECTRA = {
    "uniform": np.linspace(0, 1, 300),
    "outliers": np.concatenate([[100, 50, 20], 0.01 * RNG.standard_normal(297)]),
    "normal": RNG.standard_normal(300),
    "low rank": np.concatenate([[3.0, 1.0], np.zeros(298)]),
}


def smeared(values, at, width):
    z = (at - values[:, None]) / width
    return np.mean(np.exp(-(z**2) / 2), axis=0) / (np.sqrt(2 * np.pi) * width)


def estimates(spectrum, count, **how):
    rng = np.random.default_rng(1)
    return [spectral_density(lambda v: spectrum * v, 300, rng, **how) for _ in range(count)]


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_band_holds_the_density(spectrum):
    """On 60 estimates a mean coverage of 0.93 or more comes out below 0.88 in 1 of 10,000."""
    covered = []
    for found in estimates(SPECTRA[spectrum], 60):
        true = smeared(SPECTRA[spectrum], found.at, found.width)
        there = true > 1e-4 * true.max()
        off = 1e-6 * true.max()  # of the quadrature
        inside = (found.low - off <= true) & (true <= found.high + off)
        covered.append(inside[there].mean())
    assert np.mean(covered) > 0.88


def test_the_estimate_is_unbiased():
    """A mean over 200 estimates, 5 deviations."""
    spectrum = SPECTRA["uniform"]
    found = estimates(spectrum, 200, probes=2, steps=60)
    middle = [np.interp(0.5, one.at, one.value) for one in found]
    true = [np.interp(0.5, one.at, smeared(spectrum, one.at, one.width)) for one in found]
    apart = np.subtract(middle, true)
    assert abs(apart.mean()) < 5 * apart.std() / 200**0.5


def test_the_whole_is_one_and_steps_beyond_the_dimension_are_exact():
    matrix = np.diag([1.0, 2.0, 4.0])
    found = spectral_density(lambda v: matrix @ v, 3, np.random.default_rng(0), 2, 10)
    assert found.products == 6
    assert np.trapezoid(found.value, found.at) == pytest.approx(1, abs=1e-3)
    assert found.width == pytest.approx(1.0)


def test_the_hessian_of_a_loss():
    def loss(p, x):
        return jnp.mean((jnp.tanh(x @ p)) ** 2)

    p, x = RNG.standard_normal(6), RNG.standard_normal((20, 6))
    with jax.enable_x64(True):
        values = np.linalg.eigvalsh(jax.hessian(loss)(jnp.asarray(p), jnp.asarray(x)))
    found = hessian_density(loss, p, x, seed=0, probes=400, steps=6)
    true = smeared(values, found.at, found.width)
    assert np.abs(found.value - true).max() < 0.15 * true.max()
    assert set(found.document()) >= {"at", "value", "low", "high", "width", "products"}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"probes": 1}, "probes must be 2 or more"),
        ({"steps": 1}, "steps must be 2 or more"),
    ],
)
def test_a_mistake_is_told(how, message):
    with pytest.raises(UserError, match=message):
        estimates(SPECTRA["uniform"], 1, **how)
    with pytest.raises(UserError, match="not finite"):
        spectral_density(lambda v: v * np.nan, 3, np.random.default_rng(0))


@pytest.mark.parametrize("scale", [1e-290, 1.0, 1e290])
def test_a_density_scales_with_its_matrix(scale):
    matrix = np.diag(np.arange(-3.0, 9.0))
    one, other = (
        spectral_density(lambda v, m=m: m @ v, 12, np.random.default_rng(0))
        for m in (matrix, scale * matrix)
    )
    np.testing.assert_allclose(other.at, scale * one.at, rtol=1e-9, atol=1e-9 * scale)
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(scale * getattr(other, name), getattr(one, name), rtol=1e-6)


def test_eigenvalues_that_are_the_same_but_for_rounding_are_one_place():
    found = spectral_density(lambda v: v / 3, 500, np.random.default_rng(0))
    assert np.trapezoid(found.value, found.at) == pytest.approx(1, abs=1e-3)
