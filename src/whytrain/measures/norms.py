"""Norms of matrices and convolutions, in float64, each with the convention that the papers use."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Complex, Float

from whytrain.errors import UserError
from whytrain.measures.arrays import check_whole
from whytrain.measures.hessian import power_of_two
from whytrain.measures.network import Convolution
from whytrain.measures.spectrum import lanczos

Matrix = Float[np.ndarray, "rows columns"]
_SAFE = 1e-140  # a root of squares below it may have lost some of them
_TOLERANCE, _PRODUCTS = 1e-10, 500  # of Lanczos, relative to the square of the norm


def root(compute: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    """A root of squares, through values of size 1 where the squares would leave float64.

    Args:
        compute: The root, with `compute(a values) = |a| compute(values)`.
        values: The values.

    Example:
        >>> print(root(lambda x: float(np.sqrt(np.sum(x**2))), np.array([3e-200, 4e-200])))
        5e-200
    """
    with np.errstate(over="ignore", under="ignore"):
        found = compute(values)
    if _SAFE < found < np.inf:
        return found
    top = float(np.abs(values).max(initial=0.0))
    if top == 0 or not np.isfinite(top):
        return top
    exponent = int(np.frexp(top)[1])
    return float(np.ldexp(compute(np.ldexp(values, -exponent)), exponent))


def row_norms(matrix: Matrix) -> Float[np.ndarray, " rows"]:
    """The Euclidean length of every row, `sqrt(sum_k matrix[i, k]^2)`.

    Example:
        >>> row_norms(np.array([[3.0, 4.0], [0.0, 2.0]])).tolist()
        [5.0, 2.0]
    """
    with np.errstate(over="ignore", under="ignore"):
        found = np.sqrt(np.einsum("ik,ik->i", matrix, matrix))
    for i in np.flatnonzero(~((found > _SAFE) & (found < np.inf))):
        found[i] = root(lambda row: float(np.linalg.norm(row)), matrix[i])
    return found


def frobenius(matrix: Matrix) -> float:
    """The Frobenius norm `sqrt(sum_ik matrix[i, k]^2)`.

    Example:
        >>> frobenius(np.array([[1.0, 1.0], [1.0, 1.0]]))
        2.0
    """
    return root(lambda values: float(np.linalg.norm(values)), matrix)


def rms(values: np.ndarray) -> float:
    """The root of the mean square."""
    return root(lambda some: float(np.sqrt(np.mean(some**2))), values)


def one_two(matrix: Matrix) -> float:
    """`||matrix||_{1,2}`: the sum over rows of their Euclidean lengths.

    Rows are units: for hidden weights `U` (hidden, inputs) the sum runs over hidden units, for
    output weights `V` (classes, hidden) over classes. Bartlett, Foster and Telgarsky write the same
    number `||matrix^T||_{2,1}`. Implementations that sum over columns compute another norm.

        frobenius <= one_two <= sqrt(rows) * frobenius

    Example:
        >>> one_two(np.array([[3.0, 4.0], [0.0, 2.0]]))
        7.0
    """
    return float(row_norms(matrix).sum())


def infinity_one(matrix: Matrix) -> float:
    """`||matrix||_{inf,1}`: the largest sum over a row of absolute values.

    Example:
        >>> infinity_one(np.array([[3.0, -4.0], [0.0, 2.0]]))
        7.0
    """
    return float(np.abs(matrix).sum(axis=1).max())


def p_two(matrix: Matrix, p: float) -> float:
    """`||matrix||_{p,2} = (sum_i ||row i||^p)^(1/p)`; Frobenius for `p = 2`, `one_two` for `p = 1`.

    Example:
        >>> print(f"{p_two(np.array([[3.0, 4.0], [0.0, 2.0]]), 3):.4f}")
        5.1045
    """
    return root(lambda values: float(np.linalg.norm(values, ord=p)), row_norms(matrix))


def spectral(matrix: Matrix) -> float:
    """The largest singular value, exact to rounding.

    It is the root of the largest eigenvalue of the smaller Gram matrix, which has a relative error
    of rounding's size (small singular values would suffer, the largest does not) and costs a
    fraction of a singular value decomposition. Implementations that stop a power iteration early
    report too small a norm, and so too small a bound.

    Example:
        >>> spectral(np.array([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]))
        4.0
    """
    scale = float(np.abs(matrix).max(initial=0.0))
    if scale == 0 or not np.isfinite(scale):
        return scale
    scaled = matrix / scale  # so that no square overflows or vanishes
    gram = scaled @ scaled.T if len(scaled) <= scaled.shape[1] else scaled.T @ scaled
    last = len(gram) - 1
    top = scipy.linalg.eigh(
        gram, eigvals_only=True, subset_by_index=(last, last), check_finite=False
    )
    return scale * float(np.sqrt(max(top[0], 0.0)))


class Norm(NamedTuple):
    """A norm, and what is known of it.

    Attributes:
        value: The number.
        exact: Whether it is the norm to the residual; otherwise it is an upper bound of it.
        residual: Some singular value lies within it of `value`; 0 for what is exact to rounding.
    """

    value: float
    exact: bool
    residual: float = 0.0


def convolution_norm(layer: Convolution, height: int, width: int) -> Norm:
    """The spectral norm of the linear map that a convolution is, on images of one size.

    On a torus the map is block diagonal in the Fourier basis (Sedghi, Gupta and Long 2019): with
    `C(f)` the (out, in) matrix of the kernel's transform at frequency `f`,

        norm = max_f ||C(f)||_2

    With stride `s` that divides the sides, the `s^2` frequencies which sampling makes one lie side
    by side:

        norm = max_f || [C(f_1), ..., C(f_{s^2})] ||_2 / s

    Otherwise, above all with zeros around the image, it is the root of the largest eigenvalue of
    `A^T A` with `A` the map itself, by the Lanczos method to a residual of 1e-10. Should that not
    be reached, the result is an upper bound: the sum of the norms of the kernel's (out, in)
    matrices. The norm of the kernel as an (out, in kh kw) matrix, which other implementations take,
    is neither.

    Args:
        layer: The convolution.
        height: Of the images that enter.
        width: The same.

    Returns:
        The norm or the bound.

    Raises:
        UserError: A side, the stride, the dilation or the padding is no whole number in range, or
            the weights have other axes than (out, in, height, width).

    Example:
        >>> average = np.full((1, 1, 3, 3), 1 / 9)
        >>> print(f"{convolution_norm(Convolution(average, padding='circular'), 8, 8).value:.6f}")
        1.000000
        >>> print(f"{convolution_norm(Convolution(average, padding=1), 8, 8).value:.6f}")
        0.921207
    """
    check_whole("height", height, 1)
    check_whole("width", width, 1)
    _check_steps(layer)
    weight, stride = np.asarray(layer.weight, np.float64), layer.stride
    plain = layer.padding == "circular" and layer.dilation == layer.groups == 1
    if plain and isinstance(stride, int) and not height % stride and not width % stride:
        return Norm(_largest(_transform(weight, height, width), stride), True)
    if not np.isfinite(weight).all() or not weight.any():
        return _bound(layer)
    return _by_lanczos(layer, height, width) or _bound(layer)


def _check_steps(layer: Convolution) -> None:
    """Refuse strides, dilations and paddings that are no whole numbers, and other axes."""
    if (axes := np.ndim(layer.weight)) != 4:
        raise UserError(
            f"the weights of a convolution of images have 4 axes (out, in, height, width), got "
            f"{axes}; of one of sequences give weight[:, :, None, :] and height=1"
        )
    for name in ("stride", "dilation"):
        for step in np.ravel(np.asarray(getattr(layer, name), object)):
            check_whole(name, step, 1)
    padding: Any = layer.padding
    sides = np.ravel(np.asarray(padding, object))
    if padding != "circular" and not all(isinstance(side, int | np.integer) for side in sides):
        raise UserError(
            f"padding must be whole numbers or 'circular', got {padding!r}; for 'same' give the "
            "zeros on both sides of each axis, ((1, 1), (1, 1)) for a kernel of 3 x 3"
        )


def _by_lanczos(layer: Convolution, height: int, width: int) -> Norm | None:
    """The largest singular value of the map; None where it did not converge."""
    weight = np.asarray(layer.weight, np.float64)
    scale = power_of_two(weight)
    channels = weight.shape[1] * layer.groups
    shape = (1, channels, height, width)
    if layer.channels_last:
        shape = (1, height, width, channels)
    with jax.enable_x64(True):
        bare = eqx.tree_at(
            lambda one: (one.weight, one.bias), layer, (jnp.asarray(weight / scale), None),
            is_leaf=lambda leaf: leaf is None,
        )  # fmt: skip
        found = lanczos(
            lambda v: np.asarray(_gram(bare, jnp.asarray(v).reshape(shape))).ravel(),
            np.random.default_rng(0).standard_normal(math.prod(shape)), _TOLERANCE, _PRODUCTS,
        )  # fmt: skip
    if not found.converged or found.value <= 0:
        return None
    value = math.sqrt(found.value)
    return Norm(scale * value, True, scale * found.residual / value)


@jax.jit
def _gram(layer: Convolution, x: Array) -> Array:
    """`A^T A x` with `A` the layer, which has no bias."""
    y, back = jax.vjp(layer, x)
    return back(y)[0]


def _bound(layer: Convolution) -> Norm:
    """The triangle inequality over the entries of the kernel, each of which moves the image."""
    weight = np.asarray(layer.weight, np.float64)
    parts = weight.reshape(layer.groups, -1, *weight.shape[1:])
    taps = [
        max(spectral(part[:, :, i, j]) for part in parts)
        for i in range(weight.shape[2])
        for j in range(weight.shape[3])
    ]
    return Norm(sum(taps), not sum(taps))


def _transform(weight: np.ndarray, height: int, width: int) -> Complex[np.ndarray, "h w out in"]:
    kernel = np.zeros((*weight.shape[:2], height, width))
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):  # a kernel larger than the torus wraps around it
            kernel[:, :, i % height, j % width] += weight[:, :, i, j]
    return np.moveaxis(np.fft.fft2(kernel), (0, 1), (2, 3))


def _largest(transform: np.ndarray, stride: int) -> float:
    height, width, out, into = transform.shape
    split = transform.reshape(stride, height // stride, stride, width // stride, out, into)
    blocks = np.moveaxis(split, (0, 2), (3, 4)).reshape(-1, out, stride**2, into)
    blocks = blocks.reshape(len(blocks), out, stride**2 * into)
    if not np.isfinite(blocks).all():  # too large for float64
        return float("inf")
    return float(np.linalg.norm(blocks, ord=2, axis=(1, 2)).max()) / stride
