import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whytrain.errors import UserError
from whytrain.gaussian.estimators import ESTIMATORS, Estimator, PiecewiseConstant
from whytrain.networks import quantizer, resolution, stack
from whytrain.networks.quantizer import mean_squared_error

CONVENTIONS = ("ceil", "hwgq", "nearest")


def by_hand(x, alpha, bits, convention):
    """The three conventions as their sentences say, one number at a time."""
    levels = 2**bits - 1
    if convention == "ceil":
        above = [k * alpha for k in range(1, levels + 1) if (k - 1) * alpha < x <= k * alpha]
        return 0.0 if x <= 0 else above[0] if above else levels * alpha
    if convention == "hwgq" and x <= 0:
        return 0.0
    first = 1 if convention == "hwgq" else 0
    return min((k * alpha for k in range(first, levels + 1)), key=lambda value: abs(value - x))


@pytest.mark.parametrize(
    ("convention", "two_bits", "four_bits"),
    [("ceil", 0.4866, 0.1666), ("hwgq", 0.5388, 0.1842), ("nearest", 0.6508, 0.1932)],
)
def test_the_resolution_is_the_best_one_for_a_half_gaussian(convention, two_bits, four_bits):
    assert round(resolution(2, convention), 4) == two_bits
    assert round(resolution(4, convention), 4) == four_bits


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("bits", range(1, 9))
def test_no_other_resolution_is_better(convention, bits):
    best = resolution(bits, convention)
    least = mean_squared_error(best, bits, convention)
    for factor in np.geomspace(0.2, 5, 101):
        assert mean_squared_error(best * factor, bits, convention) >= least - 1e-15


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_error_in_closed_form_is_that_of_a_sample(convention):
    x = np.abs(np.random.default_rng(0).standard_normal(200_000))
    quantized = np.asarray(quantizer(2, "relu", convention)(jnp.asarray(x)))
    errors = (x - quantized) ** 2
    expected = mean_squared_error(resolution(2, convention), 2, convention)
    # 5 standard errors: a correct program fails once in two million times
    assert abs(errors.mean() - expected) < 5 * errors.std() / len(x) ** 0.5


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(x=st.floats(-20, 20, width=32), bits=st.integers(1, 8))
def test_the_forward_pass_is_the_sentence(convention, x, bits):
    activation = quantizer(bits, "identity", convention)
    alpha = float(activation.resolution)
    for edge in (0.0, 0.5, 1.0):
        if abs(x / alpha - edge - round(x / alpha - edge)) < 1e-5:
            return  # so near a jump, rounding decides
    value = float(activation(jnp.float32(x)))
    assert value == pytest.approx(by_hand(x, alpha, bits, convention), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_backward_pass_is_the_estimator_at_x_over_top(name, bits):
    activation = quantizer(bits, name)
    top = float(activation.levels) * float(activation.resolution)
    x = jnp.linspace(-2 * top, 2 * top, 1001, dtype=jnp.float32)
    u = np.asarray(x, np.float64) / top
    want = {
        "identity": np.ones(1001),
        "relu": u > 0,
        "clipped_relu": (u > 0) & (u < 1),
        "hard_tanh": np.abs(u) < 1,
        "approx_sign": np.maximum(2 - 2 * np.abs(u), 0),
        "swish_sign": 5 * (2 - 5 * u * np.tanh(2.5 * u)) / (1 + np.cosh(5 * u)),
        "sigmoid": np.exp(-u) / (1 + np.exp(-u)) ** 2,
        "piecewise_polynomial": np.maximum(0.75 * (1 - u**2), 0),
    }[name].astype(np.float64)
    # Piecewise constant ones are exact; the others are rounded to single precision.
    exact = isinstance(ESTIMATORS[name].derivative, PiecewiseConstant)
    slack = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 1e-5}
    clear = np.abs(np.abs(u) - 1) > 1e-5  # at a jump, rounding decides
    x, want = x[clear], want[clear]

    def pull_back(x):
        return jax.vjp(activation, x)[1](3 * jnp.ones_like(x))[0]

    np.testing.assert_allclose(pull_back(x), 3 * want, **slack)
    np.testing.assert_allclose(jax.jit(pull_back)(x), 3 * want, **slack)
    np.testing.assert_allclose(jax.vmap(jax.grad(activation))(x), want, **slack)


def test_a_batch_of_quantizers_is_each_of_them():
    each = [quantizer(bits, name) for bits in (2, 4) for name in ESTIMATORS]
    x = jnp.linspace(-3, 3, 301, dtype=jnp.float32)

    def both(activation):
        value, pull_back = jax.vjp(activation, x)
        return value, pull_back(jnp.ones_like(x))[0]

    values, slopes = jax.jit(jax.vmap(both))(stack(each))
    for activation, value, slope in zip(each, values, slopes, strict=True):
        np.testing.assert_array_equal(value, activation(x))
        exact = isinstance(activation.estimators[0].derivative, PiecewiseConstant)
        slack = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(slope, both(activation)[1], **slack)


def test_an_estimator_of_one_s_own():
    own = Estimator("quadratic", lambda u: jnp.clip(1 - u**2, 0, None), (), "", "")
    activation = stack([quantizer(2, own), quantizer(2, "relu")])
    slopes = jax.vmap(lambda a: jax.grad(a)(jnp.float32(0.7)))(activation)
    top = 3 * resolution(2)
    np.testing.assert_allclose(slopes, [1 - (0.7 / top) ** 2, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((9, "relu"), "bits of a quantizer must be 1 to 8, got 9"),
        ((2, "rleu"), "did you mean 'relu'"),
        ((2, "relu", "floor"), "unknown convention 'floor'"),
        ((2, "relu", None), "unknown convention None"),
        (([2],), r"bits of a quantizer must be 1 to 8, got \[2\]"),
        ((2, None), "estimator must be an Estimator or the name of one, got None"),
        ((2, 3), "estimator must be an Estimator or the name of one, got 3"),
    ],
)
def test_mistakes_are_told_in_one_line(monkeypatch, arguments, words):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(UserError, match=words):
        quantizer(*arguments)
    with pytest.raises(UserError, match="got none"):
        stack([])
    for wrong in (quantizer(2), ["relu"], [quantizer(2), jax.nn.relu], None):
        with pytest.raises(UserError, match="stack takes a list of quantizers"):
            stack(wrong)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_is_no_number_stays_none(convention):
    one = quantizer(2, "identity", convention)
    x = jnp.array([jnp.nan, -jnp.inf, -0.0, jnp.inf])
    for activation in (one, jax.tree.map(lambda leaf: leaf[0], stack([one, quantizer(4)]))):
        value, pull = jax.vjp(activation, x)
        np.testing.assert_allclose(value, jnp.array([jnp.nan, 0, 0, one.top]), rtol=1e-6)
        np.testing.assert_array_equal(*pull(value - 1), value - 1)  # of half the squared error


def test_whole_numbers_are_quantized_as_floats():
    activation = quantizer(2)
    whole = activation(jnp.array([-1, 0, 1, 9]))
    np.testing.assert_array_equal(whole, activation(jnp.array([-1.0, 0.0, 1.0, 9.0])))
