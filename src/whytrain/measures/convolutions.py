"""The spectral norm of a convolution: exact on a torus, an upper bound with zeros around."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex

from whytrain.measures.layers import Convolution


class Norm(NamedTuple):
    """A norm, and what is known of it.

    Attributes:
        value: The number.
        exact: Whether it is the norm to rounding; otherwise it is an upper bound of it.
    """

    value: float
    exact: bool


def convolution_norm(layer: Convolution, height: int, width: int) -> Norm:
    """The spectral norm of the linear map that a convolution is, on images of one size.

    On a torus the map is block diagonal in the Fourier basis (Sedghi, Gupta and Long 2019): with
    `C(f)` the (out, in) matrix of the kernel's transform at frequency `f`,

        norm = max_f ||C(f)||_2

    With stride `s` that divides the sides, the `s^2` frequencies which sampling makes one lie side
    by side:

        norm = max_f || [C(f_1), ..., C(f_{s^2})] ||_2 / s

    With zeros around the image the map is the one on a larger torus, at least `height + kernel - 1`
    high, between an embedding and a restriction, which no norm can exceed: an upper bound. The norm
    of the kernel as an (out, in kh kw) matrix, which other implementations take, is neither.

    Args:
        layer: The convolution.
        height: Of the images that enter.
        width: The same.

    Returns:
        The norm or the bound.

    Example:
        >>> average = np.full((1, 1, 3, 3), 1 / 9)
        >>> norm, exact = convolution_norm(Convolution(average, padding="circular"), 8, 8)
        >>> f"{norm:.6f}", exact
        ('1.000000', True)
        >>> convolution_norm(Convolution(average, padding=1), 8, 8).exact
        False
    """
    weight, stride = np.asarray(layer.weight, np.float64), layer.stride
    sides, exact = [height, width], layer.padding == "circular"
    if not exact:
        sides = [
            -(-(side + kernel - 1) // stride) * stride
            for side, kernel in zip(sides, weight.shape[2:], strict=True)
        ]
    if any(side % stride for side in sides):
        # Samples are a part of all outputs, so that the map without stride bounds this one.
        return Norm(_largest(_transform(weight, *sides), 1), False)
    return Norm(_largest(_transform(weight, *sides), stride), exact)


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
