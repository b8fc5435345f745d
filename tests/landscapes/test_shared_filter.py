"""The closed loss and gradient beside autodiff and exact arithmetic; samples: `check_landscape`."""

import decimal
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscapes.cases import ACTIVATIONS, TRUE, student, teacher
from whytrain.errors import UserError
from whytrain.gaussian import Quadrature
from whytrain.landscapes import SharedFilter, Weights

K, P = 3, 4
SHORTCUT = np.full(P, 0.5)


def network(name, shortcut):
    activation = ACTIVATIONS[name]
    return SharedFilter(*teacher(K, P), activation, shortcut=SHORTCUT if shortcut else None)


def flat(weights):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in weights])


@pytest.mark.parametrize("shortcut", [False, True], ids=["plain", "shortcut"])
@pytest.mark.parametrize("name", TRUE)
def test_the_gradient_is_autodiff_s(name, shortcut):
    landscape = network(name, shortcut)
    both = jax.jit(lambda w: (landscape.grad(w), jax.grad(landscape.loss)(w)))
    for seed in range(1, 6):
        closed, auto = both(student(K, P, seed))
        np.testing.assert_allclose(flat(closed), flat(auto), rtol=1e-11, atol=1e-12)


def test_a_coarse_gradient_is_not_autodiff_s():
    landscape, weights = network("softplus and a surrogate", False), student(K, P)
    both = jax.jit(lambda w: (landscape.grad(w), jax.grad(landscape.loss)(w)))
    closed, auto = both(weights)
    gap = flat(closed) - flat(auto)
    assert float(jnp.abs(gap).max()) > 1e-2


def test_the_loss_of_du_2018():
    # Du et al. 2018, Theorem 3.1, from its own symbols
    landscape, weights = network("relu", False), student(K, P)
    v, a = (np.asarray(leaf) for leaf in weights)
    v = v / np.linalg.norm(v)
    v_star, a_star = landscape.filter_star, landscape.output_star
    angle = math.acos(v @ v_star)
    g = (math.pi - angle) * math.cos(angle) + math.sin(angle)
    s, s_star, u, power = a.sum(), a_star.sum(), a @ a_star, a_star @ a_star
    loss = (math.pi - 1) * (a @ a + power) + s**2 + s_star**2 - 2 * (g - 1) * u - 2 * s * s_star
    closed = landscape.loss(Weights(jnp.asarray(v), jnp.asarray(a)))
    assert float(closed) == pytest.approx(loss / (4 * math.pi), rel=1e-12)


def exact_loss(angle, gap, a_star):
    """The rectifier's loss at unit filters `angle` apart and `a = a* + gap`, in 60 digits."""
    with decimal.localcontext(decimal.Context(prec=60)):
        pi = decimal.Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
        x = decimal.Decimal(angle)
        term, cos, sin = decimal.Decimal(1), decimal.Decimal(0), decimal.Decimal(0)
        for n in range(60):
            if n % 2:
                sin += term * (-1) ** (n // 2)
            else:
                cos += term * (-1) ** (n // 2)
            term = term * x / (n + 1)
        g = (pi - x) * cos + sin
        gaps, stars = ([decimal.Decimal(float(y)) for y in z] for z in (gap, a_star))
        size, overlap = (
            sum(y * y for y in gaps),
            sum(y * z for y, z in zip(gaps, stars, strict=True)),
        )
        power, total = sum(z * z for z in stars), sum(gaps)
        loss = (pi - 1) * size + 2 * (pi - g) * (overlap + power) + total**2
        return float(loss / (4 * pi))


@pytest.mark.parametrize("distance", [1.0, 1e-3, 1e-6, 1e-8, 1e-10, 1e-12])
def test_the_loss_keeps_its_digits_near_the_optimum(distance):
    a_star = np.array([1.0, 2.0, 3.0])
    landscape = SharedFilter(np.array([1.0, 0.0]), a_star)
    v = jnp.array([math.cos(distance), math.sin(distance)])
    for direction in ([0.0, 0.0, 0.0], [1.0, -1.0, 0.5]):
        a = a_star + distance * np.array(direction)  # what rounding makes of it
        loss = float(landscape.loss(Weights(v, jnp.asarray(a))))
        assert loss == pytest.approx(exact_loss(distance, a - a_star, a_star), rel=1e-6, abs=0)


def test_the_loss_is_never_negative():
    landscape = network("relu", False)
    rng = np.random.default_rng(5)
    scale = 10.0 ** rng.uniform(-12, 1, 4000)[:, None]
    points = Weights(
        jnp.asarray(landscape.filter_star + scale * rng.standard_normal((4000, P))),
        jnp.asarray(landscape.output_star + scale * rng.standard_normal((4000, K))),
    )
    assert float(jax.jit(jax.vmap(landscape.loss))(points).min()) >= 0


def test_zero_at_the_teacher_and_tangent_there():
    landscape = network("relu", True)
    teacher_weights = Weights(landscape.filter_star - SHORTCUT, landscape.output_star)
    assert float(landscape.loss(teacher_weights)) == pytest.approx(0, abs=1e-16)
    assert float(jnp.abs(flat(landscape.grad(teacher_weights))).max()) < 1e-15


@pytest.mark.parametrize("shortcut", [False, True])
def test_tangent_and_retraction(shortcut):
    landscape, weights = network("relu", shortcut), student(K, P)
    moved = landscape.retract(weights)
    v = landscape.filter(moved)
    assert float(jnp.linalg.norm(v)) == pytest.approx(1, abs=1e-15)
    slope = landscape.tangent(moved, landscape.grad(moved))
    assert abs(float(slope.filter @ v)) < 1e-15
    assert slope.output.tolist() == landscape.grad(moved).output.tolist()


def test_samples_are_standard_normal():
    drawn = np.asarray(SharedFilter(*teacher(K, P)).sample(jax.random.key(0), 20_000))
    assert drawn.shape == (20_000, K, P)
    cov = np.cov(drawn.reshape(-1, K * P).T)
    assert np.abs(drawn.mean(axis=0)).max() < 5 / math.sqrt(20_000)
    assert np.abs(cov - np.eye(K * P)).max() < 6 / math.sqrt(20_000)


@pytest.mark.parametrize(
    ("filter_star", "output_star", "message"),
    [
        ([0.0, 0.0], [1.0], "filter_star must not be zero"),
        ([1.0, math.nan], [1.0], "filter_star must be a finite vector"),
        ([1.0, 0.0], [math.inf], "output_star must be a finite vector"),
        ([[1.0, 0.0]], [1.0], "filter_star must be a finite vector"),
    ],
)
def test_bad_teachers_are_refused(filter_star, output_star, message):
    with pytest.raises(UserError, match=message):
        SharedFilter(np.array(filter_star), np.array(output_star))


def test_a_shortcut_of_another_length_is_refused():
    with pytest.raises(
        UserError, match=r"shortcut must have the filter's shape \(2,\), got \(3,\)"
    ):
        SharedFilter(np.array([1.0, 0.0]), np.ones(2), shortcut=np.ones(3))


def test_the_sphere_wants_a_teacher_of_length_one():
    with pytest.raises(UserError, match="length 1 on the sphere, got 2"):
        SharedFilter(np.array([2.0, 0.0]), np.ones(2)).on_sphere()


def test_any_activation_of_the_user():
    landscape = SharedFilter(*teacher(K, P), Quadrature(lambda x: x**3 / 6))
    # E (x^3/6)^2 = 15/36 at any filter of length one; at the teacher's the loss vanishes
    assert float(landscape.activation.second_moment(1.0)) == pytest.approx(15 / 36, rel=1e-10)
    at_teacher = Weights(landscape.filter_star, landscape.output_star)
    assert float(landscape.loss(at_teacher)) == pytest.approx(0, abs=1e-13)
