"""The spectral density of a Hessian, smoothed, with a band."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float, PyTree
from threadpoolctl import threadpool_limits

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.measures.arrays import check_whole, generator
from whytrain.measures.hessian import Place, Product, Vector, power_of_two
from whytrain.measures.trained import OfTrained

stats = later("scipy.stats")

_POINTS = 201
_ONE = 1e-9  # of the largest eigenvalue: what lies within is one place

Grid = Float[np.ndarray, " point"]


@dataclass(frozen=True)
class Density(OfTrained):
    """How the eigenvalues of a symmetric matrix are spread, as a density with the integral 1.

    Attributes:
        at: Where the density is told, from below the smallest eigenvalue to above the largest.
        value: The estimate.
        low: The lower end of an interval that covers, at each place by itself, in 95 % of cases.
        high: The upper end.
        width: The standard deviation of the normal density that stands for each eigenvalue.
        products: How many products with the matrix it took.
    """

    at: Grid
    value: Grid
    low: Grid
    high: Grid
    width: float
    products: int

    def document(self) -> dict[str, Any]:
        """All numbers, the curves too."""
        curves = ("at", "value", "low", "high")
        return {name: getattr(self, name).tolist() for name in curves} | super().document()


def hessian_density(
    loss: Any,
    params: PyTree,
    *data: Any,
    seed: Any = 0,
    key: Any = None,
    probes: int = 6,
    steps: int = 20,
    batch: int | None = None,
) -> Density:
    """Estimate the spectral density of the Hessian of `loss(params, *data)`.

    Args:
        loss: A scalar function, see `hessian_product`.
        params: A pytree of arrays, or an Equinox module.
        *data: What else the loss takes.
        seed: Of the probes: an integer.
        key: A JAX key in place of a seed.
        probes: How many, 2 or more.
        steps: Of Lanczos from each: so many products, and vectors to hold.
        batch: How many examples are held at a time; None for all, see `hessian_product`.

    Returns:
        The density with its band.

    Raises:
        UserError: See `hessian_product` and `spectral_density`.

    Example:
        >>> found = hessian_density(lambda p: (p**2).sum(), np.ones(5))
        >>> print(f"{found.at[found.value.argmax()]:.4f}")
        2.0000
    """
    rng, place = generator(seed, key), Place.of(loss, params, data, batch)
    with threadpool_limits(1, user_api="blas"):  # as in `top_eigenvalue`
        found = spectral_density(place.product(), place.size, rng, probes, steps)
    return replace(found, left_out=place.trained.left_out)


def spectral_density(
    product: Product, size: int, rng: np.random.Generator, probes: int = 6, steps: int = 20
) -> Density:
    """Estimate the spectral density of a symmetric matrix by stochastic Lanczos quadrature.

    From a random direction `w` of length 1, `steps` of Lanczos give a tridiagonal matrix with
    eigenvalues `t_k` and first components `s_k` of its eigenvectors, and with a normal density `g`
    of standard deviation `width`

        w^T g(x - H) w = sum_k s_k^2 g(x - t_k)

    exactly for polynomials of degree below `2 steps` in place of `g` (Golub and Meurant 1994; Lin,
    Saad and Yang 2016). Its mean over directions is the density of the eigenvalues, each smeared by
    `width`, a `steps`-th of the range of eigenvalues: what is narrower `steps` products do not
    tell. An eigenvalue has its share of a direction, a squared normal number, so that the estimate
    is near a chi-square with `probes n(x)` degrees of freedom, where `n(x) = (sum_i g_i)^2 / sum_i
    g_i^2`, from 1 on, is the number of eigenvalues near `x`, estimated alike: that is the band.

    Args:
        product: `v -> H v`.
        size: The dimension.
        rng: Where the probes come from.
        probes: How many, 2 or more.
        steps: Of Lanczos from each.

    Returns:
        The density with its band.

    Raises:
        UserError: There are fewer than 2 probes or steps, or a product is not finite.

    Example:
        >>> found = spectral_density(lambda v: 3 * v, 50, np.random.default_rng(0))
        >>> print(f"{found.at[found.value.argmax()]:.4f}")
        3.0000
    """
    check_whole("probes", probes, 2)
    check_whole("steps", steps, 2)
    found = [_quadrature(product, rng.standard_normal(size), steps) for _ in range(probes)]
    ends = np.concatenate([nodes for nodes, _ in found])
    spread, largest = np.ptp(ends), np.abs(ends).max()
    # Of eigenvalues that are all the same, rounding makes a range that is none.
    width = (spread if spread > _ONE * largest else largest or 1.0) / min(steps, size)
    at = np.linspace(ends.min() - 4 * width, ends.max() + 4 * width, _POINTS)
    seen = [(weights, _normal((at - nodes[:, None]) / width)) for nodes, weights in found]
    value, square = (np.mean([w @ g**power for w, g in seen], axis=0) for power in (1, 2))
    with np.errstate(invalid="ignore"):
        there = np.nan_to_num(np.maximum(size * value**2 / square, 1), nan=1.0)
    free = probes * there
    value = value / width
    low, high = (value * free / stats.chi2.ppf(share, free) for share in (0.975, 0.025))
    if not np.isfinite([at, value, low, high]).all():
        raise UserError("the density is beyond the range of numbers; scale the matrix")
    return Density(at, value, low, high, float(width), sum(len(nodes) for nodes, _ in found))


def _normal(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _quadrature(product: Product, start: Vector, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes `t_k` and the weights `s_k^2` of one probe."""
    basis, diagonal, beside, scale = [start / np.linalg.norm(start)], [], [], 0.0
    while True:
        moved = np.asarray(product(basis[-1]), np.float64)
        if not np.isfinite(moved).all():
            raise UserError("a product with the matrix is not finite; scale it")
        scale = scale or power_of_two(moved)  # squares stay in range
        moved = moved / scale
        diagonal.append(float(basis[-1] @ moved))
        for _ in range(2):  # twice is enough
            moved = moved - (np.array(basis) @ moved) @ np.array(basis)
        length = float(np.linalg.norm(moved))
        if len(basis) == min(steps, len(start)) or length <= 1e-12 * np.abs(diagonal).max():
            nodes, vectors = scipy.linalg.eigh_tridiagonal(np.array(diagonal), np.array(beside))
            return nodes * scale, vectors[0] ** 2
        beside.append(length)
        basis.append(moved / length)
