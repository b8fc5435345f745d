"""Small losses that are hard: each a finite number with its uncertainty, or one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import flatness, hessian_trace, top_eigenvalue

SIZE = 10
SCALES = [0.0, 1.0, -1.0, 1.0, 1e-8, 1e8, 1e30, 1e-30, 1e45, 1e-45, 1e150, 1e-150, 1e300, 1e-300]
PLACES = [0.0, 1.0, -1.0, 0.5, 1e-300, 1e-160, 1e-8, 1e8, 1e45, 1e160, 710.0, -710.0, 1e3]

# Flat, without derivative somewhere, with an infinite one, overflowing, undefined, with kinks.
PIECES = [
    lambda w: jnp.sum(w**2),
    lambda w: jnp.linalg.norm(w),
    lambda w: jnp.linalg.norm(w) ** 2,
    lambda w: jnp.sum(jnp.sqrt(jnp.abs(w))),
    lambda w: jnp.sum(jax.nn.relu(w)),
    lambda w: jnp.sum(jax.nn.relu(w) ** 2),
    lambda w: jnp.sum(jnp.exp(w)),
    lambda w: jnp.sum(jnp.exp(-(w**2))),
    lambda w: 0 * jnp.sum(w) + 3,
    lambda w: jnp.dot(w, jnp.arange(1.0, len(w) + 1, dtype=w.dtype)),
    lambda w: jnp.sum(jnp.log(w)),
    lambda w: jnp.sum(jnp.abs(w) ** 1.5),
    lambda w: jnp.sum(jnp.where(w > 0, jnp.sqrt(w), 0)),
    lambda w: jnp.log(jnp.sum(jnp.exp(w))),
    lambda w: jax.nn.logsumexp(w),
    lambda w: jnp.sum(jnp.tanh(w)),
    lambda w: jnp.sum(1 / w),
    lambda w: jnp.sum(jnp.round(w)),
    lambda w: jnp.mean((w > 0.3).astype(w.dtype)),
    lambda w: jnp.sum(w**4) - jnp.sum(w) ** 2,
    lambda w: jnp.prod(w),
    lambda w: jnp.sum(jnp.cos(50 * w)),
    lambda w: jnp.sum(jax.nn.softplus(w * jnp.roll(w, 1))),
    lambda w: jnp.sqrt(jnp.sum(w**2) - jnp.sum(w) ** 2 / len(w)),
]


@jax.jit
def family(w, kinds, scales):
    """One program for all losses: two pieces, each with a scale."""
    return jax.lax.map(lambda at: at[1] * jax.lax.switch(at[0], PIECES, w), (kinds, scales)).sum()


@jax.jit
def written_out(w, *which):
    return (
        family(w, *which), jax.grad(family)(w, *which), jax.hessian(family)(w, *which),
    )  # fmt: skip


def draw(number):
    rng = np.random.default_rng([number, 1])
    w = rng.choice([rng.normal(), *PLACES], 1) * rng.choice([1, rng.normal()])
    w = np.repeat(w, SIZE) if rng.random() < 0.3 else rng.choice(PLACES, SIZE)
    w = rng.normal(size=SIZE) if rng.random() < 0.3 else w
    w[0] = rng.choice([np.nan, np.inf, -np.inf]) if rng.random() < 0.03 else w[0]
    scales = np.array([1.0, 0.0]) if rng.random() < 0.3 else rng.choice(SCALES, 2)
    return w, rng.integers(len(PIECES), size=2), scales


def attempt(call):
    try:
        return call()
    except UserError as error:
        told = str(error)
    assert len(told.splitlines()) == 1
    return None


def check(number):
    """How many of the three instruments gave a number."""
    w, *which = draw(number)
    value, gradient, matrix = (np.asarray(part) for part in written_out(w, *which))
    known = np.isfinite(w).all() and np.isfinite(value) and np.isfinite(gradient).all()
    products = SIZE - number % 2  # one less, and the trace is sampled
    trace = attempt(lambda: hessian_trace(family, w, *which, products=products, seed=number))
    top = attempt(lambda: top_eigenvalue(family, w, *which, seed=number))
    flat = attempt(
        lambda: flatness(
            family, np.zeros_like(w), w, *which, seed=number, draws=2, groups=3, target=0.1
        )
    )
    if trace is not None:
        assert known
        assert np.isfinite([trace.value, trace.low, trace.high]).all()
        assert trace.low <= trace.value <= trace.high
    if top is not None:
        assert known
        assert np.isfinite([top.value, top.residual, *top.vector]).all()
        assert np.linalg.norm(top.vector) == pytest.approx(1, abs=1e-6)
    if flat is not None:
        assert np.isfinite(list(vars(flat).values())).all()
        assert 0 < flat.low <= flat.sigma <= flat.high
    if known and np.isfinite(matrix).all():
        moderate = max(*np.abs(w), *np.abs(which[1]), np.abs(matrix).max()) < 1e100
        assert not moderate or (trace is not None and top is not None)
        # What is far smaller than the slope is lost in rounding before it reaches an instrument.
        if not matrix.any() or np.abs(matrix).max() > 1e-9 * np.abs(gradient).max():
            compare(matrix, trace if products == SIZE else None, top, np.abs(gradient).max())
    return sum(found is not None for found in (trace, top, flat))


def compare(matrix, trace, top, slope):
    """With the Hessian written out."""
    scale = np.abs(matrix).max()
    if 0 < scale < 1e-280:
        return  # what makes it up vanishes in one order of multiplication, and in another not
    matrix = matrix / (scale or 1.0)
    matrix[np.abs(matrix) < 1e-30] = 0  # LAPACK is off by 1e-4 where entries are of 300 decades
    true = np.linalg.eigvalsh(matrix)
    rounding = 1e-9 + 4 * SIZE * np.finfo(float).eps * slope / (scale or 1.0)  # of the slope
    scale = scale or 1e-290
    if trace is not None:
        assert abs(trace.value / scale - np.trace(matrix)) <= rounding
    if top is not None:
        value, residual = top.value / scale, top.residual / scale + rounding
        assert value <= true[-1] + residual
        assert np.abs(true - value).min() <= residual
        # Of a cluster that is narrower than the tolerance it may be another one.
        assert not top.converged or true[-1] - value <= residual + 1e-5 * abs(value)


def test_a_hard_loss_is_a_number_or_one_line():
    numbers = [check(number) for number in range(30)]
    assert 0.3 < np.mean(numbers) / 3 < 0.9  # neither all refused, nor none


@pytest.mark.slow
def test_ten_thousand_hard_losses():
    for number in range(30, 10_030):
        try:
            check(number)
        except Exception as error:
            raise AssertionError(f"loss {number}: {draw(number)}") from error
