"""Sharpness, trace and flatness against matrices, and their intervals against repetition."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from whytrain import UserError
from whytrain.measures import (
    bottom_eigenvalue,
    flatness,
    hessian_trace,
    lanczos,
    read_data,
    top_eigenvalue,
    xtrace,
)
from whytrain.measures.hessian import hessian_product
from whytrain.measures.trace import _core, _probes


def network(sizes=(5, 16, 12, 1), n=40, seed=0):
    rng = np.random.default_rng(seed)
    params = [
        (rng.normal(size=(b, a)) / np.sqrt(a), 0.1 * rng.normal(size=b))
        for a, b in itertools.pairwise(sizes)
    ]
    x = rng.normal(size=(n, sizes[0]))
    return params, x, np.sin(x[:, :1])


def loss(params, x, y):
    for i, (weight, bias) in enumerate(params):
        x = (jax.nn.relu(x) if i else x) @ weight.T + bias
    return jnp.mean((x - y) ** 2)


def written_out(params, *data):
    flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, params))
    return np.asarray(jax.hessian(lambda p: loss(unravel(p), *data))(flat))


def test_a_loss_that_counts_has_no_curvature():
    with pytest.raises(UserError, match="to have derivatives, got int64; a count"):
        hessian_product(lambda p: jnp.sum(p > 0), np.ones(3))


size = 1.0


def read(params):
    return size * jnp.sum(params**2)


def test_a_loss_that_reads_what_has_changed_is_measured_as_it_is_now(monkeypatch):
    def look():
        product, _ = hessian_product(read, np.ones(2))
        noise = flatness(read, np.zeros(2), np.ones(2), key=jax.random.key(0), groups=2, draws=2)
        return product(np.ones(2))[0], noise.sigma

    first = look()
    monkeypatch.setitem(globals(), "size", 4.0)
    after = look()
    assert (first[0], after[0]) == (2, 8)
    assert after[1] < 0.8 * first[1]


def test_products_are_those_with_the_matrix():
    params, x, y = network()
    matrix = written_out(params, x, y)
    product, size = hessian_product(loss, params, x, y)
    vectors = np.random.default_rng(1).normal(size=(5, size))
    for v in vectors:
        np.testing.assert_allclose(product(v), matrix @ v, rtol=1e-10, atol=1e-10)
    rough, _ = hessian_product(loss, params, x, y, dtype=jnp.float32)
    np.testing.assert_allclose(rough(vectors[0]), matrix @ vectors[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_the_top_eigenvalue_lies_within_its_residual(seed, tolerance):
    params, x, y = network(seed=seed)
    true = np.linalg.eigvalsh(written_out(params, x, y))[-1]
    found = top_eigenvalue(loss, params, x, y, seed=seed, tolerance=tolerance)
    assert found.converged
    assert found.residual <= tolerance * found.value
    assert abs(found.value - true) <= found.residual + 1e-13 * true
    assert found.value <= true * (1 + 1e-13)


def test_the_bottom_eigenvalue_lies_within_its_residual():
    params, x, y = network()
    true = np.linalg.eigvalsh(written_out(params, x, y))[0]
    found = bottom_eigenvalue(loss, params, x, y, tolerance=1e-8)
    assert found.converged
    assert abs(found.value - true) <= found.residual - 1e-12 * true
    moved = written_out(params, x, y) @ found.vector
    assert found.vector @ moved == pytest.approx(found.value, rel=1e-10)


def test_the_residual_is_that_of_the_vector():
    params, x, y = network()
    found = top_eigenvalue(loss, params, x, y, tolerance=1e-4)
    moved = written_out(params, x, y) @ found.vector
    assert np.linalg.norm(found.vector) == pytest.approx(1, rel=1e-12)
    assert found.vector @ moved == pytest.approx(found.value, rel=1e-12)
    assert np.linalg.norm(moved - found.value * found.vector) <= found.residual * (1 + 1e-6)


def test_lanczos_finds_the_largest_even_if_a_negative_one_is_longer():
    matrix = np.diag(np.r_[-100.0, np.linspace(0, 1, 30)])
    found = lanczos(lambda v: matrix @ v, np.ones(31), 1e-9, 31)
    assert found.value == pytest.approx(1, rel=1e-9)


def test_what_did_not_converge_says_so():
    matrix = np.diag(np.linspace(0, 1, 1000))
    found = lanczos(lambda v: matrix @ v, np.ones(1000), 1e-12, 5)
    assert not found.converged
    assert found.residual > 0.01
    assert found.products == 5


def test_no_new_program_for_new_numbers():
    traced = []

    def counted(params, x, y):
        traced.append(1)
        return loss(params, x, y)

    params, x, y = network()
    product, size = hessian_product(counted, params, x, y)
    product(np.ones(size))
    before = len(traced)
    again, _ = hessian_product(counted, jax.tree.map(lambda p: 2 * p, params), x, y)
    again(np.ones(size))
    # two plain calls that look for randomness, two of halves, and whether it computes what it did
    assert len(traced) == before + 5


INDEX = np.arange(200)
SPECTRA = {
    "flat": np.ones(200),
    "geometric": 0.9**INDEX,
    "Hessian-like": np.r_[100.0, 50.0, 20.0, 10.0, 5.0, np.linspace(0.1, 0, 195)],
    "zero trace": np.where(INDEX % 2, -1.0, 1.0) * 0.9 ** (INDEX // 2),
    "low rank": (INDEX < 8) * 1.0,
    "as many as probes": (INDEX < 4) * 1.0,
    "one more": (INDEX < 16) * 1.0,
    "semicircle": np.cos(np.pi * (INDEX + 0.5) / 200),
}


def traces(spectrum, products, repetitions):
    rng = np.random.default_rng(products)
    found = [
        xtrace(lambda v: spectrum * v, len(spectrum), rng, products) for _ in range(repetitions)
    ]
    covered = sum(each.low <= spectrum.sum() <= each.high for each in found)
    return np.array([each.value for each in found]), covered


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_trace_s_interval_covers_it(spectrum):
    """At a coverage of 0.95 fewer than 176 of 200 have probability 4e-5."""
    for products in (9, 12):
        _, covered = traces(SPECTRA[spectrum], products, 200)
        assert covered >= 176


@pytest.mark.slow
@pytest.mark.parametrize("products", [9, 12, 15, 30, 60, 90])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_trace_s_interval_covers_it_at_every_budget(spectrum, products):
    """At a coverage of 0.95 fewer than 925 of 1,000 have probability 3e-4."""
    _, covered = traces(SPECTRA[spectrum], products, 1000)
    assert covered >= 925


def written_as_published(spectrum, probes):
    """The mean of the leave-one-out estimates, each from a basis of its own."""
    n, k = probes.shape
    found = []
    for i in range(k):
        basis = np.linalg.qr(spectrum[:, None] * np.delete(probes, i, axis=1))[0]
        rest = probes[:, i] - basis @ (basis.T @ probes[:, i])
        rest *= np.sqrt((n - k + 1) / (rest @ rest))
        caught = np.sum(basis * (spectrum[:, None] * basis))
        found.append(caught + rest @ (spectrum * rest))
    return np.array(found)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_one_basis_gives_the_leave_one_out_estimates(spectrum):
    spectrum = SPECTRA[spectrum]
    seeds = np.random.SeedSequence(1).spawn(9)
    probes = np.stack(list(_probes(200, seeds)), axis=1)
    core, scale = _core(lambda v: spectrum * v, 200, seeds)
    expected = written_as_published(spectrum, probes)
    np.testing.assert_allclose(scale * core.estimates(), expected, rtol=1e-9, atol=1e-9)
    if np.linalg.matrix_rank(np.diag(spectrum)) > 9:
        shorter = written_as_published(spectrum, np.delete(probes, [2, 3], axis=1))
        found = scale * core.without(range(2, 4)).estimates()
        np.testing.assert_allclose(found, shorter, rtol=1e-9, atol=1e-9)


def test_the_trace_is_unbiased_and_much_sharper_than_plain_probes():
    params, x, y = network()
    matrix = written_out(params, x, y)
    rng = np.random.default_rng(0)
    values = np.array(
        [xtrace(lambda v: matrix @ v, len(matrix), rng, 60).value for _ in range(100)]
    )
    signs = rng.choice([-1.0, 1.0], (200, 60, len(matrix)))
    plain = np.einsum("rpi,ij,rpj->r", signs, matrix, signs, optimize=True) / 60
    error = values.std() / 100**0.5
    assert abs(values.mean() - np.trace(matrix)) < 4.5 * error  # fails with probability 1e-5
    assert values.std() < plain.std() / 4


def test_the_trace_is_as_sharp_as_published():
    """Root mean square errors of the method for these spectra, to a quarter."""
    values, _ = traces(SPECTRA["geometric"], 90, 60)
    assert np.sqrt(np.mean((values - SPECTRA["geometric"].sum()) ** 2)) < 1.25 * 0.0115
    exact, _ = traces(SPECTRA["low rank"], 30, 5)
    np.testing.assert_allclose(exact, 8, rtol=1e-12)


def test_many_probes_are_left_out_in_blocks():
    spectrum = 1.0 / (1.0 + np.arange(400))
    found = xtrace(lambda v: spectrum * v, 400, np.random.default_rng(0), 390)
    assert found.low <= spectrum.sum() <= found.high
    assert found.products <= 390


def test_the_trace_of_a_loss_is_that_of_its_matrix():
    params, x, y = network()
    true = np.trace(written_out(params, x, y))
    exact = hessian_trace(loss, params, x, y, products=1000)
    assert exact.value == exact.low == exact.high == pytest.approx(true, rel=1e-10)
    found = hessian_trace(loss, params, x, y, products=120)
    assert abs(found.value - true) < 3 * (found.high - found.low)


def test_flatness_of_a_quadratic_is_known():
    """The mean rise is sigma^2 trace / 2, so that sigma^2 = 2 target / trace."""
    scales = np.linspace(1, 3, 50)
    hits = 0
    for seed in range(40):
        found = flatness(
            quadratic, np.ones(50), np.zeros(50), scales, key=jax.random.key(seed), target=0.2,
            draws=4, groups=6,
        )  # fmt: skip
        hits += found.low <= np.sqrt(0.4 / scales.sum()) <= found.high
    assert hits >= 31  # fewer with probability 3e-4 at coverage 0.93
    assert found.measure == pytest.approx(found.sigma**-2)
    assert found.divergence == pytest.approx(50 / (2 * found.sigma**2))


def quadratic(w, scales):
    return 0.5 * jnp.sum(scales * w**2)


def bowl(w):
    return jnp.tanh(jnp.sum(w**2))


def jump(w):
    return jnp.where(jnp.all(w == 0), 0.0, 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: top_eigenvalue(lambda p: p, np.ones(2)), "loss must be one number"),
        (lambda: top_eigenvalue(lambda p: jnp.log(-jnp.sum(p)), np.ones(2)), "the loss is nan"),
        (
            lambda: top_eigenvalue(bowl, np.ones(2), tolerance=0.0),
            "tolerance must be between 0 and 1",
        ),
        (lambda: hessian_trace(bowl, np.ones(2), products=3), "products must be 9 or more"),
        (
            lambda: flatness(bowl, np.ones(2), np.zeros(2), key=jax.random.key(0), target=2.0),
            "no noise raises the loss to 2, tried up to a standard deviation of 3e",
        ),
        (
            lambda: flatness(jump, np.zeros(2), np.zeros(2), key=jax.random.key(0), target=1.0),
            "all noise raises the loss beyond 1, tried down to a standard deviation of 3e-145, in",
        ),
        (
            lambda: flatness(bowl, np.ones(2), np.zeros(2), key=jax.random.key(0), groups=1),
            "groups >= 2",
        ),
    ],
)
def test_a_mistake_is_told(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_a_loss_with_dropout_left_on_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="turn dropout"):
        top_eigenvalue(lambda p: jnp.sum(p**2) * rng.uniform(), np.ones(2))


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 7, 20, 1000])
def test_the_batch_changes_nothing(batch, tmp_path):
    """Data on disk, held a part at a time, are the same data, to 1e-10."""
    params, x, y = network()
    np.savez(tmp_path / "data.npz", inputs=x, labels=y)
    found = read_data(tmp_path / "data.npz")
    parts = found["inputs"], found["labels"]
    assert all(isinstance(part, np.memmap) for part in parts)
    product, size = hessian_product(loss, params, x, y)
    streamed, _ = hessian_product(loss, params, *parts, batch=batch)
    v = np.random.default_rng(1).normal(size=size)
    np.testing.assert_allclose(streamed(v), product(v), rtol=1e-10, atol=1e-12)
    one = hessian_trace(loss, params, x, y, products=30)
    other = hessian_trace(loss, params, *parts, products=30, batch=batch)
    assert other.value == pytest.approx(one.value, rel=1e-10)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-10)
    calls = {"key": jax.random.key(0), "draws": 2, "groups": 3}
    zero = jax.tree.map(np.zeros_like, params)
    one, other = (
        flatness(loss, zero, params, x, y, **calls),
        flatness(loss, zero, params, *parts, **calls, batch=batch),
    )
    assert vars(other) == pytest.approx(vars(one), rel=1e-10)


@pytest.mark.parametrize("batch", [7, 1000])
def test_the_top_eigenvalue_is_the_same_to_its_residual(batch):
    params, x, y = network()
    one = top_eigenvalue(loss, params, x, y, tolerance=1e-8)
    other = top_eigenvalue(loss, params, x, y, tolerance=1e-8, batch=batch)
    # The Rayleigh quotient is off by the square of the residual only.
    assert other.value == pytest.approx(one.value, rel=1e-10)


def test_the_order_of_the_examples_changes_nothing():
    params, x, y = network()
    order = np.random.default_rng(3).permutation(len(x))
    one = hessian_trace(loss, params, x, y, products=30, batch=16)
    other = hessian_trace(loss, params, x[order], y[order], products=30, batch=16)
    assert other.value == pytest.approx(one.value, rel=1e-10)


def normalized(params, x, y):
    return loss(params, (x - x.mean(axis=0)) / x.std(axis=0), y)


def test_a_loss_in_which_examples_act_on_each_other_is_told():
    params, x, y = network()
    for batch in (None, 8):
        with pytest.raises(UserError, match="batch normalization"):
            top_eigenvalue(normalized, params, x, y, batch=batch)
    with pytest.raises(UserError, match="close over the data"):
        hessian_trace(normalized, params, x, y)
    meant = top_eigenvalue(lambda p: normalized(p, x, y), params)
    assert meant.converged
    total = top_eigenvalue(lambda p, x, y: len(x) * loss(p, x, y), params, x, y)
    assert total.value == pytest.approx(len(x) * top_eigenvalue(loss, params, x, y).value, rel=1e-8)


def test_what_cannot_be_cut_into_batches_is_told():
    params, x, y = network()
    zero, key = jax.tree.map(np.zeros_like, params), jax.random.key(0)

    def total(params, x, y):
        return loss(params, x, y) * len(x)

    for call in (
        lambda **how: top_eigenvalue(total, params, x, y, **how),
        lambda **how: flatness(total, zero, params, x, y, key=key, **how),
    ):
        with pytest.raises(UserError, match="must be a mean over examples"):
            call(batch=8)
    with pytest.raises(UserError, match="got batch 0"):
        top_eigenvalue(loss, params, x, y, batch=0)
    with pytest.raises(UserError, match=r"first axes \[3, 40\]"):
        top_eigenvalue(loss, params, x, y[:3], batch=8)
    with pytest.raises(UserError, match="first axes none"):
        hessian_trace(bowl, np.ones(2), batch=8)


@pytest.mark.parametrize("batch", [1, 16, 60])
def test_a_mean_with_weights_of_the_classes_is_told_where_the_first_batch_has_one_class(batch):
    rng = np.random.default_rng(1)
    x, y, weights = rng.normal(size=(60, 4)), np.repeat([0, 1], 30), np.array([1.0, 5.0])

    def weighted(w, x, y):
        losses, each = jax.nn.softplus((1 - 2 * y) * (x @ w)), jnp.asarray(weights)[y]
        return (each * losses).sum() / each.sum()

    with pytest.raises(UserError, match="must be a mean over examples"):
        top_eigenvalue(weighted, rng.normal(size=4), x, y, batch=batch)


def test_a_smallest_eigenvalue_of_zero_converges_as_far_as_rounding_lets_it():
    """Three directions of twelve: the others are flat, as those of most networks."""
    x = np.random.default_rng(0).standard_normal((40, 3))
    found = bottom_eigenvalue(lambda w, x: jnp.mean((x @ w[:3]) ** 2), np.ones(12), x)
    assert found.converged
    assert abs(found.value) <= found.residual < 1e-13


def test_no_numbers_are_no_parameters():
    with pytest.raises(UserError, match="there is no parameter"):
        top_eigenvalue(lambda w: w.sum(), np.ones(0))
