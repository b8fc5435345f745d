"""The layers of the image networks: convolutions and normalization, with the batch as last axis.

Inside a network an image batch is `(channel, height, width, batch)`. A convolution is then one
matrix product of its filters with shifted copies of its input, which are of whole rows of the
batch. For networks this small that is faster on a CPU than XLA's own convolution.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

EPSILON = 1e-5  # added to the variance, as other libraries do

Images = Float[Array, "_ _ _ batch"]  # channel, height, width, batch
ROW, COLUMN = 1, 2


def batch_last(images: Float[Array, "batch height width channel"]) -> Images:
    """An image batch as the layers want it."""
    return jnp.transpose(images, (3, 1, 2, 0))


def convolve(x: Images, filters: Float[Array, "_ _ size size"], stride: int = 1) -> Images:
    """Correlate with square filters of odd size, the border filled with zeros.

    `y[o, i, j] = sum_{c, a, b} filters[o, c, a, b] x[c, stride i + a - h, stride j + b - h]` with
    `h = (size - 1) / 2`.
    """
    if stride == 1:
        return _correlate(x, filters)
    half = filters.shape[-1] // 2
    bordered = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    return _apply(_by_window(filters), _nested(_windows(bordered, filters, stride)))


# Of stride one, each column of the filters is multiplied by itself, and what they give is added
# with a shift:
#
#     y[o, i, j] = sum_b p[b, o, i, j + b - h],  p[b, o] = sum_{a, c} filters[o, c, a, b] z[a, c]
#
# where `z[a]` is `x` shifted by `a - h` rows. So three copies of `x` are made for filters of three
# by three, and not nine. The derivative by the image is a correlation too, of the cotangent with
# the filters turned around, and what is copied for it serves the derivative by the filters.
@jax.custom_vjp
def _correlate(x: Images, filters: Array) -> Images:
    return _added(filters, _spread(x, _reach(filters), ROW))


def _correlate_forward(x: Images, filters: Array) -> tuple[Images, tuple[Images, Array]]:
    return _correlate(x, filters), (x, filters)


def _correlate_backward(saved: tuple[Images, Array], cotangent: Images) -> tuple[Images, Array]:
    x, filters = saved
    turned, reach = _turned(filters), _reach(filters)
    z = _spread(cotangent, reach, ROW)
    # `y . correlate(x, f) = x . correlate(y, turned f)`: both have the same slope by `f`. A product
    # that is added with a shift has a cotangent shifted the other way.
    moved = _spread(x, reach[::-1], COLUMN)
    slope = (_flat(moved) @ _flat(z).T).reshape(len(reach), len(x), len(reach), len(cotangent))
    return _added(turned, z), _turned(jnp.transpose(slope, (1, 3, 2, 0)))


_correlate.defvjp(_correlate_forward, _correlate_backward)


def _reach(filters: Array) -> range:
    """How far a filter reaches, `-h` to `h` pixels."""
    half = filters.shape[-1] // 2
    return range(-half, half + 1)


def _spread(x: Images, reach: range, axis: int) -> Images:
    """The image shifted by each of some pixels along an axis, one after another as channels."""
    return jnp.concatenate([_shifted(x, by, axis) for by in reach])


def _added(filters: Array, z: Images) -> Images:
    """The product of each column of the filters, and their sum with a shift."""
    out, _, size, _ = filters.shape
    by_column = jnp.transpose(filters, (3, 0, 2, 1)).reshape(size * out, -1)
    products = (by_column @ _flat(z)).reshape(size, out, *z.shape[1:])
    shifted = [_shifted(p, by, COLUMN) for p, by in zip(products, _reach(filters), strict=True)]
    return functools.reduce(jnp.add, shifted)


def _shifted(x: Images, by: int, axis: int) -> Images:
    """`y[i] = x[i + by]` along an axis, zero where there is no such pixel."""
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (-by, by, 0)
    return jax.lax.pad(x, jnp.zeros((), x.dtype), edges)


def _turned(filters: Array) -> Array:
    """The filters of the derivative by the image: turned around, outputs for channels."""
    return jnp.swapaxes(filters, 0, 1)[:, :, ::-1, ::-1]


def _flat(x: Images) -> Float[Array, "channel pixel"]:
    return x.reshape(len(x), -1)


def convolve_and_pool(x: Images, filters: Float[Array, "_ _ size size"]) -> Images:
    """Correlate without a border, then average over blocks of two by two, of even extents.

    Both together are one correlation of stride two with the filters averaged over the four shifts
    of a block: exactly, with a third of the arithmetic. As filters and image are cut into blocks of
    two by two first, what is copied is few and long.
    """
    places = [((0, 0), (0, 0), (i, 1 - i), (j, 1 - j)) for i in (0, 1) for j in (0, 1)]
    wide = jnp.stack([jnp.pad(filters, place) for place in places]).mean(axis=0)
    cut = jnp.moveaxis(_blocks(jnp.moveaxis(wide, 0, -1)), -1, 0)
    parts = _windows(_blocks(x), cut)
    return _apply(_by_window(cut), jnp.concatenate([part for row in parts for part in row]))


def _by_window(filters: Float[Array, "_ _ _ _"]) -> Float[Array, "_ _"]:
    """The filters as rows, in the order (row, column, channel)."""
    return jnp.transpose(filters, (0, 2, 3, 1)).reshape(len(filters), -1)


def _blocks(x: Images) -> Images:
    """The pixels of a block of two by two as channels."""
    channels, height, width, batch = x.shape
    cut = x.reshape(channels, height // 2, 2, width // 2, 2, batch)
    return jnp.transpose(cut, (0, 2, 4, 1, 3, 5)).reshape(-1, height // 2, width // 2, batch)


def _windows(x: Images, filters: Array, stride: int = 1) -> list[list[Images]]:
    """What each weight of a filter meets, by its row and column."""
    high, wide = filters.shape[-2:]
    rows, columns = x.shape[1] - high + 1, x.shape[2] - wide + 1
    return [
        [x[:, i : i + rows : stride, j : j + columns : stride] for j in range(wide)]
        for i in range(high)
    ]


def _nested(parts: list[list[Images]]) -> Images:
    """The parts one after another as channels, in the order (row, column, channel).

    XLA does not make one loop of a concatenation of more than eight, and would copy each of nine
    parts twice. Of nested ones it does. Without a border it would do everything before them again
    for each part, too: there a single concatenation is faster.
    """
    stacked = jnp.stack([jnp.concatenate(row) for row in parts])
    return stacked.reshape(-1, *stacked.shape[2:])


@jax.custom_vjp
def _apply(matrix: Float[Array, "_ _"], x: Images) -> Images:
    """`matrix` times the channels of every position."""
    return (matrix @ x.reshape(x.shape[0], -1)).reshape(-1, *x.shape[1:])


def _apply_forward(matrix: Array, x: Images) -> tuple[Images, tuple[Array, Images]]:
    return _apply(matrix, x), (matrix, x)


def _apply_backward(saved: tuple[Array, Images], cotangent: Images) -> tuple[Array, Images]:
    matrix, x = saved
    y = cotangent.reshape(len(cotangent), -1)
    x_flat = x.reshape(len(x), -1)
    # The other order of the factors is up to three times as slow with many inputs and few outputs;
    # the barrier keeps XLA from choosing it.
    turned = jax.lax.optimization_barrier(x_flat @ y.T)
    return turned.T, (matrix.T @ y).reshape(x.shape)


_apply.defvjp(_apply_forward, _apply_backward)


Features = Float[Array, "_ *rest"]
Moments = tuple[Float[Array, " feature"], Float[Array, " feature"]]


def normalize(x: Features, moments: Moments | None) -> tuple[Features, Moments]:
    """Batch normalization without scale and shift: `(x - mean) / sqrt(variance + 1e-5)`.

    Args:
        x: Features first; mean and variance are over all other axes.
        moments: Mean and variance to use, in evaluation; None for those of `x`, in training.

    Returns:
        The normalized features, and the mean and variance that were used. No gradient flows
        through the latter.
    """
    if moments is None:
        return _normalize_by_batch(x)
    mean, variance = (moment.reshape(-1, *(1,) * (x.ndim - 1)) for moment in moments)
    return (x - mean) * jax.lax.rsqrt(variance + EPSILON), moments


def _mean(x: Array) -> Array:
    """Over all axes but the first, which are kept."""
    return jnp.mean(x, axis=tuple(range(1, x.ndim)), keepdims=True)


# The derivative is written out: autodiff would pass over the features several times more.
@jax.custom_vjp
def _normalize_by_batch(x: Array) -> tuple[Array, Moments]:
    return _normalize_forward(x)[0]


def _normalize_forward(x: Array) -> tuple[tuple[Array, Moments], tuple[Array, Array]]:
    mean = _mean(x)
    centered = x - mean
    variance = _mean(centered**2)
    scale = jax.lax.rsqrt(variance + EPSILON)
    y = centered * scale
    return (y, (mean.ravel(), variance.ravel())), (y, scale)


def _normalize_backward(saved: tuple[Array, Array], cotangents: tuple) -> tuple[Array]:
    y, scale = saved
    g, _ = cotangents
    return (scale * (g - _mean(g) - y * _mean(g * y)),)


_normalize_by_batch.defvjp(_normalize_forward, _normalize_backward)


def draw_weights(key: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Weights by name, `N(0, 2 / fan_in)` (He et al. 2015), from shapes (out, in, ...)."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    # One draw for all: each would be compiled by itself.
    normal = jax.random.normal(key, (sum(sizes),), jnp.float32)
    parts = jnp.split(normal, np.cumsum(sizes)[:-1])
    return {
        name: part.reshape(shape) * (2 / math.prod(shape[1:])) ** 0.5
        for part, (name, shape) in zip(parts, shapes.items(), strict=True)
    }
