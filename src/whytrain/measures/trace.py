"""The trace of a Hessian from products with it, with an interval that may be relied on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, PyTree
from threadpoolctl import threadpool_limits

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.measures.arrays import check_whole, generator
from whytrain.measures.hessian import Place, Product, Vector, power_of_two
from whytrain.measures.trained import OfTrained

stats = later("scipy.stats")

_LEAST = 9  # products: an interval needs a sample
_BLOCKS = 64  # left out in turn, at most: the work of the interval stays below that of the basis
_CONFIDENCE = 0.97  # of Student's t, which supposes a normal sample: a little more keeps 95 %
_ROUNDING = 2.0**-52
_DEPENDENT = 1e-14  # of the longest: what is left of a column that depends on the others


@dataclass(frozen=True)
class Trace(OfTrained):
    """An estimate of a trace.

    Attributes:
        value: The estimate, unbiased.
        low: The lower end of an interval that covers in 95 % of cases or more.
        high: The upper end.
        products: How many products with the matrix it took.
    """

    value: float
    low: float
    high: float
    products: int


def hessian_trace(
    loss: Any,
    params: PyTree,
    *data: Any,
    seed: Any = 0,
    key: Any = None,
    products: int = 90,
    batch: int | None = None,
) -> Trace:
    """Estimate the trace of the Hessian of `loss(params, *data)`.

    Args:
        loss: A scalar function, see `hessian_product`.
        params: A pytree of arrays, or an Equinox module.
        *data: What else the loss takes.
        seed: Of the probes: an integer.
        key: A JAX key in place of a seed.
        products: How many products with the Hessian to spend; for half as many vectors there must
            be memory.
        batch: How many examples are held at a time; None for all, see `hessian_product`.

    Returns:
        The estimate with its interval.

    Raises:
        UserError: See `hessian_product` and `xtrace`.

    Example:
        >>> found = hessian_trace(lambda p: (p**2).sum(), np.ones(5))
        >>> found.value, found.low, found.high
        (10.0, 10.0, 10.0)
    """
    check_whole("products", products, _LEAST)
    rng = generator(seed, key)
    place = Place.of(loss, params, data, batch)
    with threadpool_limits(1, user_api="blas"):  # as in `top_eigenvalue`
        found = xtrace(place.product(), place.size, rng, products)
    return replace(found, left_out=place.trained.left_out)


def xtrace(product: Product, size: int, rng: np.random.Generator, products: int = 90) -> Trace:
    """Estimate the trace of a symmetric matrix from products with it (Epperly, Tropp, Webber 2024).

    With `k = products // 2` probes `w_i`, uniform on the sphere of radius `sqrt(size)`, and `Q_i`
    an orthonormal basis of `H w_j` for all `j` but `i`,

        value = mean_i t_i,   t_i = tr Q_i^T H Q_i + g_i^T H g_i,   g_i = (I - Q_i Q_i^T) w_i

    with `g_i` brought to the length `sqrt(size - k + 1)`, which it has in the mean. Every
    probe serves both for the basis, which catches the large eigenvalues exactly, and for what is
    left; one basis of all `k` is enough to compute all `t_i`.

    The `t_i` have nearly all of their probes in common, so that their spread says too little of the
    error of their mean: intervals made of it alone cover in 50 to 95 % of cases. The jackknife
    says too much: with `T_i` the whole estimate without probe `i`, `sum_i (T_i - mean_j T_j)^2` is
    in the mean never below the variance of an estimate with `k - 1` probes (Efron and Stein 1981),
    whatever the matrix, and far above it where eigenvalues fall fast. The interval takes half of
    each, which covered the trace in 95 % of cases or more for every spectrum tried, those of a rank
    near `k` among them, which are the hardest:

        value +- t ( std_i t_i / sqrt(k) + sqrt( sum_i (T_i - mean_j T_j)^2 ) ) / 2

    with `t` from Student's t with `k - 1` degrees of freedom, a little widened. Probes that any
    rotation leaves as they are make the law of all this depend on the eigenvalues alone. With
    `products >= size` the trace is computed column by column, and exact.

    Args:
        product: `v -> H v`.
        size: The dimension.
        rng: Where the probes come from.
        products: How many products to spend, 9 or more.

    Returns:
        The estimate with its 95 % interval.

    Raises:
        UserError: There are fewer than 9 products, or one is not finite.

    Example:
        >>> matrix = np.diag([100.0] + 300 * [1.0])
        >>> found = xtrace(lambda v: matrix @ v, 301, np.random.default_rng(0), 30)
        >>> bool(found.low <= 400.0 <= found.high), abs(found.value - 400) < 0.1
        (True, True)
    """
    check_whole("products", products, _LEAST)
    if products >= size:
        diagonal = np.array([_finite(product(unit))[i] for i, unit in enumerate(_units(size))])
        scale = power_of_two(diagonal)
        return _trace(math.fsum(diagonal / scale), 0.0, scale, size)
    block = -(-products // 2 // _BLOCKS)
    probes = products // 2 // block * block
    # Spawned, so that probes can be drawn a second time and need not be held.
    seeds = rng.bit_generator.seed_seq.spawn(probes)  # pyright: ignore[reportAttributeAccessIssue]
    core, scale = _core(product, size, seeds)
    estimates = core.estimates()
    value, spread = float(estimates.mean()), float(estimates.std(ddof=1)) / math.sqrt(probes)
    without = [
        core.without(range(start, start + block)).estimates().mean()
        for start in range(0, probes, block)
    ]
    jackknife = math.sqrt(len(without) - 1) * float(np.std(without, ddof=1))
    quantile = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(without) - 1))
    # Products of vectors lose this to rounding; a matrix of low rank leaves nothing else.
    rounding = 8 * _ROUNDING * math.sqrt(size) * float(np.linalg.norm(core.sketch, axis=0).max())
    reach = quantile * (spread + jackknife) / 2 + rounding
    return _trace(value, reach, scale, 2 * probes)


@dataclass(frozen=True)
class _Core:
    """All that the estimates need of a basis `Q` of the sketch `Y = H W`, small matrices.

    Attributes:
        size: The dimension.
        sketch: `Q^T Y`, which is also `Q^T H W`.
        probes: `Q^T W`.
        matrix: `Q^T H Q`.
    """

    size: int
    sketch: Float[np.ndarray, "k k"]
    probes: Float[np.ndarray, "k k"]
    matrix: Float[np.ndarray, "k k"]

    def estimates(self) -> Float[np.ndarray, " k"]:
        """The `t_i`.

        `Q_i Q_i^T = Q (I - s_i s_i^T) Q^T` with `s_i` orthogonal to all columns of the sketch but
        one: column `i` of the inverse of its transpose, brought to length 1.
        """
        R, U, H = self.sketch, self.probes, self.matrix
        k = len(R)
        S = np.linalg.inv(_invertible(R)).T
        S = S / np.linalg.norm(S, axis=0)
        P = U - S * np.sum(S * U, axis=0)  # Q P is Q_i Q_i^T w_i
        caught = np.trace(H) - np.sum(S * (H @ S), axis=0)
        rest = np.sum((U - 2 * P) * R, axis=0) + np.sum(P * (H @ P), axis=0)
        length = self.size - np.sum(P**2, axis=0)
        return caught + (self.size - k + 1) / length * rest

    def without(self, probes: range) -> "_Core":
        """The same without some probes."""
        keep = np.delete(np.arange(len(self.sketch)), list(probes))
        basis, sketch = np.linalg.qr(self.sketch[:, keep])
        return _Core(
            self.size, sketch, basis.T @ self.probes[:, keep], basis.T @ self.matrix @ basis
        )


def _invertible(sketch: np.ndarray) -> np.ndarray:
    """A triangular matrix without zeros in its diagonal.

    They stand where the matrix has a lower rank than there are probes: what is left out then is of
    rounding's size, and any direction does.
    """
    diagonal = np.diag(sketch)
    floor = _DEPENDENT * (np.abs(diagonal).max() or 1.0)
    return sketch + np.diag(np.where(np.abs(diagonal) < floor, floor - diagonal, 0.0))


def _core(product: Product, size: int, seeds: list) -> tuple[_Core, float]:
    """Sketch a matrix; the small matrices are divided by a power of two, so that squares stay."""
    k, scale = len(seeds), 0.0
    basis, sketch, probes, matrix = np.empty((k, size)), *np.zeros((3, k, k))
    for i, probe in enumerate(_probes(size, seeds)):
        moved = _finite(product(probe))
        scale = scale or power_of_two(moved)
        rest, along = _orthogonal(moved / scale, basis[:i])
        length = float(np.linalg.norm(rest))
        sketch[:i, i], sketch[i, i] = along, length
        if length <= _DEPENDENT * (sketch.max() or 1.0):  # any direction that is orthogonal
            rest, _ = _orthogonal(probe, basis[:i])
            length = float(np.linalg.norm(rest))
        basis[i] = rest / length
    for i, vector in enumerate(basis):
        matrix[:, i] = basis @ (_finite(product(vector)) / scale)
    for i, probe in enumerate(_probes(size, seeds)):
        probes[:, i] = basis @ probe
    return _Core(size, sketch, probes, (matrix + matrix.T) / 2), scale


def _probes(size: int, seeds: list) -> Iterator[Vector]:
    """Directions of which none is preferred, of length `sqrt(size)`."""
    for seed in seeds:
        found = np.random.default_rng(seed).standard_normal(size)
        yield found * (math.sqrt(size) / float(np.linalg.norm(found)))


def _orthogonal(vector: Vector, basis: np.ndarray) -> tuple[Vector, np.ndarray]:
    """What of a vector is orthogonal to a basis, and its coefficients along it."""
    along = basis @ vector
    rest = vector - along @ basis
    again = basis @ rest  # twice is enough
    return rest - again @ basis, along + again


def _units(size: int) -> Iterator[Vector]:
    for i in range(size):
        unit = np.zeros(size)
        unit[i] = 1.0
        yield unit


def _trace(value: float, reach: float, scale: float, products: int) -> Trace:
    """The estimate of a matrix that was divided by `scale`."""
    trace, low, high = (scale * number for number in (value, value - reach, value + reach))
    if not np.isfinite([trace, low, high]).all():
        raise UserError("the trace is beyond the largest number, 1e308; scale the loss")
    return Trace(trace, low, high, products)


def _finite(vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise UserError("a product with the matrix is not finite; scale it")
    return vector
