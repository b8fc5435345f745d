import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.networks.layers import EPSILON, convolve, convolve_and_pool, normalize


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def reference(x, filters, stride, padding):
    """XLA's own convolution, batch last on both sides."""
    y = jax.lax.conv_general_dilated(
        jnp.moveaxis(x, -1, 0), filters, (stride, stride), padding,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )  # fmt: skip
    return jnp.moveaxis(y, 0, -1)


def same_with_gradients(ours, theirs, *arguments):
    def value_and_slopes(f):
        def both(*arguments):
            value, pull_back = jax.vjp(f, *arguments)
            return value, pull_back(draw(*value.shape, seed=9))

        return jax.jit(both)(*arguments)

    expected, found = value_and_slopes(theirs), value_and_slopes(ours)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), found, expected
    )


@pytest.mark.parametrize(
    ("stride", "size", "channels", "height", "out"),
    [
        (1, 3, 2, 6, 4), (1, 5, 9, 7, 4), (1, 1, 2, 6, 9), (2, 3, 9, 7, 4), (2, 5, 2, 6, 4),
        (2, 1, 2, 7, 4), (1, 5, 2, 1, 4), (2, 3, 2, 1, 4),  # an image less high than a filter
    ],
)  # fmt: skip
def test_convolution_is_xla_s(stride, size, channels, height, out):
    x, filters = draw(channels, height, 8, 3), draw(out, channels, size, size, seed=1)
    border = [(size // 2, size // 2)] * 2
    same_with_gradients(
        lambda x, f: convolve(x, f, stride),
        lambda x, f: reference(x, f, stride, border),
        x,
        filters,
    )


@pytest.mark.parametrize("batch", [1, 16, 33])
def test_convolution_is_xla_s_for_any_number_of_examples(batch):
    x, filters = draw(9, 7, 8, batch), draw(4, 9, 3, 3, seed=1)
    border = [(1, 1)] * 2
    same_with_gradients(convolve, lambda x, f: reference(x, f, 1, border), x, filters)


def test_second_derivatives_are_those_of_xla_s_convolution():
    x, filters = draw(2, 6, 8, 5), draw(4, 2, 3, 3, seed=1)
    along = draw(*filters.shape, seed=2)

    def product(correlate):
        slope = jax.grad(lambda f: (correlate(x, f) ** 4).sum())
        return jax.jit(jax.grad(lambda f: (slope(f) * along).sum()))(filters)

    expected = product(lambda x, f: reference(x, f, 1, [(1, 1)] * 2))
    np.testing.assert_allclose(product(convolve), expected, rtol=1e-9)


@pytest.mark.parametrize("channels", [1, 6])
def test_convolution_with_pooling_is_one_after_the_other(channels):
    def plainly(x, filters):
        y = reference(x, filters, 1, "VALID")
        return sum(y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4

    x, filters = draw(channels, 12, 8, 3), draw(5, channels, 5, 5, seed=1)
    same_with_gradients(convolve_and_pool, plainly, x, filters)


def test_normalization_is_its_formula():
    def plainly(x):
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        return (x - mean) / jnp.sqrt(variance + EPSILON)

    x = 3 + 2 * draw(4, 5, 7)
    same_with_gradients(lambda x: normalize(x, None)[0], plainly, x)


def test_normalization_in_evaluation_uses_the_moments_that_it_is_given():
    x = draw(4, 50)
    y, (mean, variance) = normalize(x, None)
    again, _ = normalize(x, (mean, variance))
    np.testing.assert_allclose(again, y, rtol=1e-12)
    np.testing.assert_allclose(mean, x.mean(1), rtol=1e-12)
    one, _ = normalize(x[:, :1], (mean, variance))
    np.testing.assert_allclose(one, y[:, :1], rtol=1e-12)
