"""The PAC-Bayes bound: its pieces against closed forms, and how often it fails."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import binomtest, norm

from whytrain import UserError
from whytrain.data import available, load
from whytrain.measures import pac_bayes
from whytrain.measures.pac_bayes import _errors, divergence, kl_inverse


def coins(q, p):
    return q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))


sign = 1.0


def signed(w, x):
    return sign * (x @ w)


def test_a_rule_that_reads_what_has_changed_is_bounded_as_it_is_now(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 2))
    given = signed, np.zeros(2), np.array([5.0, 0.0]), x, (x[:, 0] > 0) * 1
    first = pac_bayes(*given, draws=8).error
    monkeypatch.setitem(globals(), "sign", -1.0)
    assert first < 0.3 < 0.7 < pac_bayes(*given, draws=8).error


@pytest.mark.parametrize("q", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("cost", [1e-4, 0.1, 2.0])
def test_the_inverse_is_one(q, cost):
    p = kl_inverse(q, cost)
    assert q < p <= 1
    assert coins(q, p) == pytest.approx(cost, rel=1e-6) if p < 1 - 1e-9 else True
    assert kl_inverse(0.0, cost) == pytest.approx(1 - np.exp(-cost), rel=1e-9)
    assert kl_inverse(1.0, cost) == 1


def test_the_divergence_is_the_integral():
    def one(sigma, width, shift):
        density = norm(shift, sigma)
        inside = lambda x: density.pdf(x) * (density.logpdf(x) - norm(0, width).logpdf(x))  # noqa: E731
        return quad(inside, shift - 12 * sigma, shift + 12 * sigma)[0]

    for sigma, width, shift in ((0.5, 0.7, 1.0), (1.0, 0.4, 0.0)):
        expected = one(sigma, width, shift) + one(sigma, width, 0.0)
        assert divergence(shift**2, 2, sigma, width) == pytest.approx(expected, rel=1e-8)


def rule(w, x):
    return x @ w


def test_the_noisy_error_is_that_of_the_noisy_rule():
    """A rule `x . (w + sigma z) > 0` in the plane is off by an angle; seed fixed, 5 deviations."""
    x = np.random.default_rng(0).standard_normal((4000, 2)).astype(np.float32)
    data = jnp.asarray(x), jnp.asarray((x[:, 0] > 0) * 1)
    w, sigma = jnp.array([1.0, 0.0]), 0.7
    found = np.asarray(
        _errors(rule, w, data, jax.random.split(jax.random.key(0), 4000), jnp.float32(sigma))
    )
    z = np.random.default_rng(1).standard_normal((400_000, 2)) * sigma + np.asarray(w)
    expected = np.abs(np.arctan2(z[:, 1], z[:, 0])).mean() / np.pi
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - expected) < 5 * error + 0.01  # 4,000 inputs are no plane


def sample(seed, m=100):
    """Two classes, 20 % of whose labels are turned over."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, 2)).astype(np.float32)
    return x, ((x[:, 0] > 0) ^ (rng.random(m) < 0.2)) * 1


def test_a_simple_rule_has_a_bound_below_one():
    x, y = sample(0, 2000)
    found = pac_bayes(rule, np.zeros(2), np.array([1.0, 0.0]), x, y, draws=500)
    assert not found.vacuous
    assert 0.2 < found.error < found.error_bound < found.bound < 0.45
    again = found.divergence + np.log(2 * np.sqrt(2000) / (0.8 * 0.05))
    assert coins(found.error_bound, found.bound) >= again / 2000  # and the share of the width
    far = pac_bayes(rule, np.zeros(2), np.array([1e4, 0.0]), x, y, draws=50)
    assert far.bound > 0.95
    assert "not of the one" in far.notes[0]


def true_error(w, sigma):
    """Of the noisy rule on fresh examples, by quadrature over the angle of the noisy weights."""
    angles = np.linspace(-np.pi, np.pi, 20001)[:-1]
    direction = np.stack([np.cos(angles), np.sin(angles)])
    along = (np.asarray(w) @ direction) / sigma
    square = float(np.dot(w, w)) / sigma**2
    density = np.exp(-square / 2) / (2 * np.pi) * (
        1 + along * np.sqrt(2 * np.pi) * ndtr(along) * np.exp(along**2 / 2)
    )  # fmt: skip
    wrong = 0.2 + 0.6 * np.abs(angles) / np.pi
    return float(np.sum(density * wrong) * 2 * np.pi / len(angles))


def two_epochs(images, labels, width, rate):
    """A two-layer network before and after two epochs of gradient descent with momentum."""
    x, y = jnp.asarray(images, jnp.float32).reshape(len(images), -1), jnp.asarray(labels)
    rng = np.random.default_rng(0)
    start = [
        jnp.asarray(rng.standard_normal((a, b)) * (2 / a) ** 0.5, jnp.float32)
        for a, b in ((x.shape[1], width), (width, 10))
    ]
    optimizer = optax.sgd(rate, momentum=0.9)

    def cost(w, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(two_layers(w, x), y).mean()

    def step(carry, batch):
        w, state = carry
        moved, state = optimizer.update(jax.grad(cost)(w, x[batch], y[batch]), state)
        return (optax.apply_updates(w, moved), state), None

    order = np.concatenate([rng.permutation(len(x)) for _ in range(2)])
    batches = order[: len(order) // 100 * 100].reshape(-1, 100)
    (end, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), batches)
    return start, end, x, y


def two_layers(w, x):
    return jax.nn.relu(x @ w[0]) @ w[1]


@pytest.mark.optional("Fashion-MNIST")
def test_a_trained_network_s_bound_is_not_vacuous():
    """784-600-10 on the 60,000 images; the prior stands at the initial weights."""
    if not available("fashion-mnist"):
        pytest.skip("apt-get install dataset-fashion-mnist would run it")
    images = load("fashion-mnist")
    start, end, x, y = two_epochs(
        images.train_images / 255 - 0.286, images.train_labels, width=600, rate=0.02
    )
    found = pac_bayes(two_layers, start, end, x, y)
    assert not found.vacuous
    assert 0.2 < found.error < found.error_bound < found.bound < 0.7


@pytest.mark.slow
def test_a_prior_from_other_digits_gives_a_bound_that_is_not_vacuous():
    """Half of the digits train the prior's weights, which may then be any; the rest counts."""
    digits = load("digits")
    images, labels = digits.train_images - 0.3, digits.train_labels
    half = len(labels) // 2
    _, prior, *_ = two_epochs(images[:half], labels[:half], width=600, rate=0.1)
    _, end, *_ = two_epochs(images, labels, width=600, rate=0.1)
    x = images[half:].reshape(-1, 64)
    near = pac_bayes(two_layers, prior, end, x, labels[half:], draws=500)
    assert not near.vacuous
    assert near.error < near.bound < 0.8


@pytest.mark.slow
def test_the_bound_fails_as_rarely_as_it_says():
    """On 1,000 data sets of 40 examples, with weights that are fitted to each."""
    failed = 0
    for seed in range(1000):
        x, y = sample(seed, 40)
        w = 0.5 * np.linalg.lstsq(x, 2.0 * y - 1, rcond=None)[0]
        found = pac_bayes(rule, np.zeros(2), w, x, y, delta=0.05, draws=300, seed=seed)
        failed += true_error(w, found.sigma) > found.bound
    assert binomtest(failed, 1000).proportion_ci(0.99).high <= 0.05


NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delta": 0.0}, "delta must be between 0 and 1"),
        ({"draws": 0}, "draws must be 1 or more"),
        ({"labels": np.zeros(4)}, "each example must have a class"),
        ({"labels": np.zeros(4), "inputs": np.ones((4, 2))}, "8 examples or more, got 4"),
        ({"labels": np.full(10, 0.5)}, "whole numbers from 0 to 1, got 0.5"),
        ({"labels": np.full(10, np.nan)}, "whole numbers from 0 to 1, got nan"),
        ({"labels": np.resize([1, -1], 10)}, "whole numbers from 0 to 1, got -1"),
        ({"inputs": np.full((10, 2), np.nan)}, "the logits are not finite in float32"),
        ({"params": np.full(2, 1e300)}, "the logits are not finite in float32"),
        ({"logits": lambda w, x: jnp.sum(x @ w)}, r"of 10 examples got shape \(\)"),
        ({"logits": lambda w, x: x @ w + NOISE.normal()}, "the logits change from call to call"),
        ({"prior": np.zeros(3)}, "of one network"),
    ],
)
def test_a_mistake_is_told(change, message):
    given = {"logits": rule, "prior": np.zeros(2), "params": np.ones(2), "inputs": np.ones((10, 2)),
             "labels": np.zeros(10)} | change  # fmt: skip
    with pytest.raises(UserError, match=message):
        pac_bayes(**given)


def test_inputs_may_be_nested_lists():
    given = np.zeros(2), np.ones(2)
    x, y = np.random.default_rng(0).normal(size=(10, 2)), [0, 1] * 5
    found = pac_bayes(rule, *given, x.tolist(), y, draws=20)
    assert found.bound == pac_bayes(rule, *given, x, y, draws=20).bound
