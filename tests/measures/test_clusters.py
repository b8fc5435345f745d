"""Clusters of units: against sums written out, known shapes, and a network taken unit by unit."""

from inspect import unwrap

import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.measures import (
    agreement_regimes,
    certified_linear,
    certified_signs,
    effective_rank,
    signed_units,
    weight_clusters,
)


def leaky(z, slope):
    return np.where(z > 0, z, slope * z)


def decided(w, u, x, slope=0.1):
    return np.sign(leaky(x @ w.T, slope).sum(1) - leaky(x @ u.T, slope).sum(1))


def test_clusters_are_what_they_were_made_of():
    rng = np.random.default_rng(0)
    w = np.array([3.0, 0, 0]) + 0.1 * rng.standard_normal((20, 3))
    u = np.repeat([[0.0, 2, 0], [0, 0, 2]], 10, axis=0)
    found = weight_clusters(w, u)
    np.testing.assert_allclose(found.normal, w.mean(axis=0) - [0, 1, 1])
    assert found.radius == pytest.approx(np.sqrt(2))
    assert found.ratio == pytest.approx(1.0)
    assert found.number == 3
    assert weight_clusters(w, u, angle=100).number == 2
    assert weight_clusters(1e-9 * w, 1e-9 * u).ratio == pytest.approx(found.ratio)


def test_opposite_units_have_no_ratio_and_zeros_no_direction():
    found = weight_clusters([[1.0, 0], [-1.0, 0]], [[0.0, 0.0]])
    assert found.ratio == np.inf
    assert found.number == 2


def test_effective_rank_of_known_spectra():
    assert effective_rank(np.outer([1.0, 2], [3.0, 4, 5])) == pytest.approx(1)
    assert effective_rank(np.zeros((2, 3))) == 0
    assert effective_rank(1e308 * np.eye(2)) == pytest.approx(2)
    q = np.array([0.75, 0.25])
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(np.exp(-(q * np.log(q)).sum()))


def test_certified_inputs_are_decided_linearly_and_2_is_the_least_factor():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(50):
        normal, one, other = rng.standard_normal((3, 3))
        one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
        r = 0.3 * np.linalg.norm(normal)
        # Two units of each sign, on either side of their center.
        w = normal / 2 + r * np.stack([one, -one])
        u = -normal / 2 + r * np.stack([other, -other])
        x = rng.standard_normal((2000, 3))
        linear = np.sign(x @ normal)
        sure = certified_linear(w, u, x)
        assert (decided(w, u, x)[sure] == linear[sure]).all()
        assert 0.1 < sure.mean() < 0.9
        wrong += (decided(w, u, x) != linear).sum()
    assert wrong


def test_equal_units_are_linear_everywhere():
    w, u = np.tile([2.0, 1.0], (3, 1)), np.tile([-1.0, 1.0], (3, 1))
    assert certified_linear(w, u, np.random.default_rng(2).standard_normal((100, 2))).all()
    assert not certified_linear(w, u, [[0.0, 5.0]]).any()


def test_signed_units_are_the_same_network():
    rng = np.random.default_rng(3)
    hidden, output, x = (
        rng.standard_normal((9, 4)),
        rng.standard_normal(9),
        rng.standard_normal((5, 4)),
    )
    w, u = signed_units(hidden, output)
    whole = leaky(x @ hidden.T, 0.2) @ output
    np.testing.assert_allclose(leaky(x @ w.T, 0.2).sum(1) - leaky(x @ u.T, 0.2).sum(1), whole)


def test_regimes_by_hand():
    x, y = np.array([[1.0, 0], [0, 1.0], [1.0, 1.0]]), np.array([1, -1, 1])
    w, u = np.array([[2.0, -1], [1.0, -0.5]]), np.array([[-1.0, 1], [1.0, 1.0]])
    found = agreement_regimes(w, u, x, y)
    assert found.neural == pytest.approx(1 / 3)  # u at its kink on the third, apart on the first
    assert found.perfect == pytest.approx(1 / 3)
    assert found.w_active.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: weight_clusters([[1.0]], [[1.0, 2.0]]), "same inputs"),
        (lambda: weight_clusters([[np.nan]], [[1.0]]), "finite"),
        (lambda: weight_clusters([[1.0]], [[1.0]], angle=200), "angle"),
        (lambda: signed_units([[1.0]], [2.0]), "each sign"),
        (lambda: signed_units([[1.0]], [[2.0]]), "one number a unit"),
        (lambda: certified_linear([[1.0]], [[1.0], [2.0]], [[1.0]]), "as many units"),
        (lambda: certified_linear([[1.0]], [[1.0]], [[1.0, 2.0]]), "x must be"),
        (lambda: agreement_regimes([[1.0]], [[1.0]], [[1.0]], [0]), "-1 or 1"),
        (lambda: effective_rank([1.0]), "matrix"),
        (lambda: unwrap(weight_clusters)([[1.0]], [[1.0]], angle="20"), "angle must be real"),
        (
            lambda: unwrap(certified_linear)([[1.0]], [[1.0]], [[1.0]], factor="2"),
            "factor must be real",
        ),
        (lambda: unwrap(certified_signs)([[1.0]], [[1.0]], [[1.0]], "0"), "slope must be real"),
    ],
)
def test_mistakes_are_told_in_one_line(call, part):
    with pytest.raises(UserError, match=part) as told:
        call()
    assert "\n" not in str(told.value)
