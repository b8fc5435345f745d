from inspect import unwrap

import jax
import numpy as np
import pytest
import scipy.linalg

from whytrain.errors import UserError
from whytrain.kernels import (
    alignment,
    drift,
    kernel_regression,
    similarity,
    spectrum,
    tangent_kernel,
)
from whytrain.networks import FullyConnected

RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(6, 9))
K, Y = ROOT @ ROOT.T, RNG.normal(size=6)


def test_the_spectrum_is_numpys():
    found = spectrum(K)
    np.testing.assert_allclose(found.values, np.sort(np.linalg.eigvalsh(K))[::-1])
    assert found.condition == pytest.approx(np.linalg.cond(K))
    assert found.rank == 6
    ridge = 0.3
    smoother = K @ np.linalg.inv(K + 6 * ridge * np.eye(6))
    assert found.effective_dimension(ridge) == pytest.approx(np.trace(smoother))


def test_a_singular_kernel_has_no_condition_number():
    found = spectrum(ROOT[:, :3] @ ROOT[:, :3].T)
    assert found.condition == np.inf
    assert found.rank == 3
    single = np.float32(ROOT[:, :3]) @ np.float32(ROOT[:, :3]).T
    assert spectrum(single).rank == 3


def test_alignment_is_the_cosine_between_kernels():
    H = np.eye(6) - 1 / 6
    centered, outer = H @ K @ H, H @ np.outer(Y, Y) @ H
    cosine = np.sum(centered * outer) / np.linalg.norm(centered) / np.linalg.norm(outer)
    assert alignment(K, Y) == pytest.approx(cosine)
    assert alignment(K + 100, Y) == pytest.approx(cosine)
    assert alignment(K + 100, Y, centered=False) != pytest.approx(cosine)
    assert similarity(K, 3 * K) == pytest.approx(1)


def test_drift_is_in_the_norms_that_it_names():
    change = RNG.normal(size=(6, 6))
    change = change + change.T
    found = drift(K, K + change)
    assert found.frobenius == pytest.approx(np.linalg.norm(change) / np.linalg.norm(K))
    assert found.operator == pytest.approx(np.linalg.norm(change, 2) / np.linalg.norm(K, 2))
    assert found.largest == pytest.approx(np.abs(change).max() / np.abs(K).max())
    assert found.similarity == pytest.approx(similarity(K, K + change))


@pytest.mark.parametrize("scale", [2.0**-700, 2.0**700])
def test_squares_that_leave_the_range_of_numbers_change_nothing(scale):
    L = K + np.outer(Y, Y)
    assert similarity(scale * K, scale * L) == similarity(K, L)
    assert drift(scale * K, scale * L) == drift(K, L)


def test_kernels_that_differ_by_a_factor_are_alike_to_at_most_1():
    kernels = [root @ root.T for root in np.random.default_rng(5).normal(size=(100, 4, 4))]
    assert all(1 - 1e-15 < similarity(kernel, 3 * kernel) <= 1 for kernel in kernels)


def test_an_eigenvalue_that_rounding_left_below_0_is_0():
    rounded = np.float64(np.float32(ROOT[:, :2] @ ROOT[:, :2].T))  # its precision is not known
    assert spectrum(rounded).values[-1] < 0


def test_the_floor_is_that_of_the_kernels_own_precision():
    found = spectrum(jax.numpy.asarray(K, jax.numpy.bfloat16))
    assert found.floor == 6 * 2**-7 * found.values[0]


def test_regression_is_the_end_of_the_linearized_flow():
    """The flow of a linearized network, by matrix exponential, for a very long time."""
    net = FullyConnected((3, 40), activation=jax.nn.softplus)
    params = net.init(jax.random.key(0))
    x, others = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 3))
    y = RNG.normal(size=5)
    kernel, across = tangent_kernel(net, params, x), tangent_kernel(net, params, others, x)
    start, start_others = np.asarray(net(params, x)), np.asarray(net(params, others))
    time = 60 / np.linalg.eigvalsh(kernel)[0]
    left = scipy.linalg.expm(-time * kernel)
    ended = start_others + across @ np.linalg.solve(kernel, (np.eye(5) - left) @ (y - start))
    found = kernel_regression(kernel, y, across, initial=start, initial_others=start_others)
    np.testing.assert_allclose(found, ended, rtol=1e-8)


def test_ridge_regression_is_scikit_learns():
    from sklearn.kernel_ridge import KernelRidge

    across = RNG.normal(size=(4, 9)) @ ROOT.T
    right = KernelRidge(alpha=6 * 0.2, kernel="precomputed").fit(K, Y).predict(across)
    np.testing.assert_allclose(kernel_regression(K, Y, across, regularization=0.2), right)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spectrum(K[:3]), "square"),
        (lambda: spectrum(ROOT[:, :6]), "not symmetric"),
        (lambda: spectrum(K * np.nan), "not finite"),
        (lambda: spectrum(K - 9 * np.eye(6)), "an eigenvalue below 0"),
        (lambda: kernel_regression(-K, Y, K), "an eigenvalue below 0"),
        (lambda: spectrum(K).effective_dimension(0), "above 0"),
        (lambda: alignment(K, Y[:4]), "one row for each of the 6 examples"),
        (lambda: alignment(K, np.ones(6)), "constant over the examples"),
        (lambda: similarity(K, K[:3, :3]), "on one batch"),
        (lambda: drift(K, K[:3, :3]), "on one batch"),
        (lambda: drift(0 * K, K), "the initial kernel is 0"),
        (lambda: spectrum(K * 1j), "must be real numbers"),
        (lambda: alignment(K, 0 * Y, centered=False), "targets are 0"),
        (lambda: alignment(K, Y * np.nan), "targets must be finite"),
        (lambda: kernel_regression(K, Y * np.nan, K), "targets must be finite"),
        (lambda: kernel_regression(K, Y, K, initial=Y[:, None]), "or of the shape .6,."),
        (lambda: kernel_regression(K, Y, K, initial_others=Y[:2]), "or of the shape .6,."),
        (lambda: kernel_regression(K, Y, ROOT), "must fit"),
        (lambda: kernel_regression(K, Y, K, regularization=-1), "0 or more"),
        (
            lambda: unwrap(kernel_regression)(K, Y, K, regularization="1"),
            "regularization must be real numbers",
        ),
        (
            lambda: unwrap(type(spectrum(K)).effective_dimension)(spectrum(K), "1"),
            "regularization must be real numbers",
        ),
        (lambda: alignment(K, np.zeros((6, 0))), "got the shape .6, 0."),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()
