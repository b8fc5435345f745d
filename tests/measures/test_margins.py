"""Maximum margins beside a general solver, known answers of implicit bias, KKT points."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest
from scipy import optimize

from whytrain.dynamics import GradientDescent, OptaxMethod, OverLoss, simulate
from whytrain.errors import UserError
from whytrain.landscapes import Landscape
from whytrain.measures import (
    clustered_limit,
    kkt_residual,
    linear_svm,
    max_margin,
    normalized_margin,
)
from whytrain.networks import LeakyTwoLayer, logistic


def linear(w, x):
    return x @ w


def separable(seed, n=40, d=5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x = x[np.abs(x[:, 0]) > 0.2]
    return x, np.sign(x[:, 0])


@pytest.mark.parametrize("seed", range(5))
def test_max_margin_beside_a_general_solver(seed):
    x, y = separable(seed)
    found = max_margin(1e3 * x, y)
    rows = y[:, None] * x
    slow = optimize.minimize(
        lambda n: n @ n / 2, np.eye(5)[0] * 6, jac=lambda n: n, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda n: rows @ n - 1, "jac": lambda n: rows},
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    np.testing.assert_allclose(found.normal * 1e3, slow.x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.normal, 1e3 * x.T @ (y * found.multipliers), rtol=1e-9)
    assert (found.multipliers >= 0).all()
    assert found.multipliers @ (1e3 * rows @ found.normal - 1) == pytest.approx(0, abs=1e-9)
    svm = linear_svm(x, y, penalty=1e3)
    assert svm @ found.direction == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-7, 1e-9])
def test_max_margin_where_it_is_small(small):
    x, y = np.array([[1, small], [1, -small]]), np.array([1, -1])
    found = max_margin(x, y)
    assert found.margin == pytest.approx(small, rel=1e-6)
    np.testing.assert_allclose(y * (x @ found.normal), 1)
    np.testing.assert_allclose(found.multipliers, 1 / (2 * small**2), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "y"), [([[1, 1e-12], [1, -1e-12]], [1, -1]), ([[1, 0], [0, 1e-8]], [1, 1])]
)
def test_max_margin_says_that_a_margin_cannot_be_told_from_none(x, y):
    with pytest.raises(UserError, match="cannot be told from none in float64"):
        max_margin(x, y)


ONE = [[1.0]], [1]


def test_a_module_of_equinox_is_taken():
    net = eqx.nn.MLP(5, "scalar", 4, 1, use_bias=False, use_final_bias=False, key=jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((6, 5))
    values = np.asarray(jax.vmap(net)(x), np.float64)
    call = lambda net, x: jax.vmap(net)(x)  # noqa: E731
    size = sum(np.sum(np.square(leaf)) for leaf in (net.layers[0].weight, net.layers[1].weight))
    found = normalized_margin(call, net, x, np.sign(values))
    assert found == pytest.approx(np.abs(values).min() / size, rel=1e-4)
    assert kkt_residual(call, net, x, np.sign(values)).degree == pytest.approx(2)


class Separable(Landscape):
    x: np.ndarray
    y: np.ndarray

    def loss(self, params):
        return logistic(self.x @ params, self.y)


METHODS = {
    "descent": (OptaxMethod(optax.sgd(0.05), gradient=OverLoss()), [3, 1]),
    "momentum": (OptaxMethod(optax.sgd(0.01, momentum=0.9), gradient=OverLoss()), [3, 1]),
    "sign": (OptaxMethod(optax.sign_sgd(0.01)), [1, 1]),
    "Adam": (OptaxMethod(optax.adam(0.01, eps=0.0), gradient=OverLoss()), [1, 1]),
}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_ends_in_its_own_direction(name):
    method, expected = METHODS[name]
    x, y = np.array([[3.0, 1.0]]), np.array([1.0])
    start = np.array([[0.2, -0.1]])
    ended = simulate(Separable(x, y), method, start, 4000, stop={"loss": 1e-200}).final.values[0]
    direction = np.array(expected) / np.linalg.norm(expected)
    assert ended / np.linalg.norm(ended) @ direction == pytest.approx(1, abs=2e-4)


def test_the_two_directions_are_26_degrees_apart():
    cosine = np.dot([3, 1], [1, 1]) / np.sqrt(20)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(26.565, abs=1e-3)
    point, label = [[3.0, 1.0]], [1]
    best = normalized_margin(linear, np.array([3.0, 1.0]), point, label)
    assert best == pytest.approx(np.sqrt(10)) == max_margin(point, label).margin
    assert normalized_margin(linear, np.ones(2), point, label, "linf") == pytest.approx(4)


def test_descent_finds_the_maximum_margin_of_two_points():
    x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, 1.0])
    known = max_margin(x, y)
    np.testing.assert_allclose(known.normal, [1, 0.5], rtol=1e-12)
    assert known.margin == pytest.approx(2 / np.sqrt(5))
    method = OptaxMethod(optax.sgd(0.2), gradient=OverLoss())
    ended = simulate(Separable(x, y), method, np.zeros((1, 2)), 5000, stop={"loss": 1e-250})
    assert normalized_margin(linear, ended.final.values[0], x, y) == pytest.approx(
        known.margin, rel=1e-3
    )
    # Plain steps become short: after as many of them the direction is farther.
    plain = simulate(Separable(x, y), GradientDescent(0.2), np.zeros((1, 2)), 5000)
    slow, fast = (kkt_residual(linear, each.final.values[0], x, y) for each in (plain, ended))
    assert fast.slackness < 1e-2 < slow.slackness


def test_the_limit_of_a_clustered_network_is_a_kkt_point_of_the_whole_network():
    rng = np.random.default_rng(7)
    y = np.where(rng.random(30) < 0.5, -1.0, 1.0)
    x = y[:, None] * [2.0, 0, 0, 0, 0] + 0.3 * rng.standard_normal((30, 5))
    active = y > 0
    limit = clustered_limit(x, y, active, ~active, slope=0.3)
    network = LeakyTwoLayer(5, width=4)
    with jax.enable_x64(True):
        params = {"w": np.tile(limit.w, (4, 1)), "u": np.tile(limit.u, (4, 1))}
        agrees = (np.sign(x @ limit.w) == y).all() and (np.sign(x @ limit.u) == -y).all()
        found = kkt_residual(network, params, x, y)
        assert agrees
        assert found.degree == pytest.approx(1)
        assert found.stationarity < 1e-7
        assert found.slackness < 1e-9
        away = {"w": params["w"] + 0.1 * np.eye(4, 5), "u": params["u"]}
        assert kkt_residual(network, away, x, y).stationarity > 1e-3
        # With v = 1/sqrt(2k), the margin of k pairs is that of one pair over sqrt(2).
        margin = normalized_margin(network, params, x, y)
        assert margin == pytest.approx(limit.margin / np.sqrt(2))


def test_spectral_margin_of_one_matrix():
    W = np.diag([3.0, 4.0])
    first = lambda W, x: x @ W[0]  # noqa: E731
    found = [normalized_margin(first, W, [[1.0, 0.0]], [1], norm) for norm in ("spectral", "l2")]
    assert found == pytest.approx([3 / 4, 3 / 5])


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: max_margin([[1.0], [1.0]], [1, -1]), "separates"),
        (lambda: max_margin([[0.0]], [1]), "all 0"),
        (lambda: max_margin([[1.0]], [2]), "-1 or 1"),
        (lambda: clustered_limit([[1.0]], [1], [True, True], [True], 0.1), "activities"),
        (
            lambda: normalized_margin(lambda w, x: x @ w + 1, np.ones(1), [[1.0]], [1]),
            "homogeneous",
        ),
        (lambda: normalized_margin(linear, np.ones(1), [[1.0]], [1], "l3"), "norm must be"),
        (lambda: normalized_margin(linear, np.ones(1), [[1.0]], [1], "spectral"), "one matrix"),
        (lambda: kkt_residual(linear, np.ones(1), [[1.0], [-1.0]], [1, 1]), "wrong side"),
        (lambda: linear_svm([[1.0]], [1]), "both classes"),
        (lambda: normalized_margin(lambda w, x: x @ w["b"], {"a": 1.0}, *ONE), "KeyError: 'b'"),
        (
            lambda: kkt_residual(lambda w, x: np.asarray(x) @ np.asarray(w), np.ones(1), *ONE),
            "cannot be called on x, or differentiated by JAX: Tracer",
        ),
        (lambda: kkt_residual(linear, np.ones((1, 3)), *ONE), r"got shape \(1, 3\) for 1 examples"),
        (lambda: kkt_residual(linear, np.ones(1), np.ones((0, 1)), []), r"got shape \(0, 1\)"),
        (lambda: linear_svm(np.zeros((2, 2)), [1, -1]), "has the normal 0"),
    ],
)
def test_mistakes_are_told_in_one_line(call, part):
    with pytest.raises(UserError, match=part) as told:
        call()
    assert "\n" not in str(told.value)
