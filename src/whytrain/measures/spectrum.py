"""The largest eigenvalue of the Hessian of a loss, and its trace, each with its error."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
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

_ROUGH = 1e-5  # relative residual that products in float32 can reach
_ALIKE = 1e-2  # relative, of products in both precisions where float32 is worth its products
_FEW = 8  # products, too few to spend some of them in float32


@dataclass(frozen=True)
class TopEigenvalue(OfTrained):
    """The largest eigenvalue of a symmetric operator.

    Attributes:
        value: The Rayleigh quotient `v.Hv` of the unit vector found: never above the largest
            eigenvalue, but for rounding.
        residual: `||H v - value v||`, and how far the products were from symmetric ones, which is
            what rounding cost. Some eigenvalue lies within it of `value`; that it is the largest
            one is sure only in the sense in which Lanczos from a random start is: an eigenvector
            that the start is orthogonal to is not seen, which has probability 0, and of a cluster
            that is narrower than the tolerance it may not be the first.
        vector: The unit vector `v`, over the raveled parameters.
        products: How many products with `H` it took, those in float32 among them.
        converged: Whether the residual is as small as was asked for.
    """

    value: float
    residual: float
    vector: Float[np.ndarray, " parameter"]
    products: int
    converged: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and whether the search was ended early."""
        early = f"not converged after {self.products} products: some eigenvalue is within residual"
        return (*super().notes, *(() if self.converged else (early,)))


def top_eigenvalue(
    loss: Any,
    params: PyTree,
    *data: Any,
    seed: Any = 0,
    key: Any = None,
    tolerance: float = 1e-6,
    most: int = 300,
    batch: int | None = None,
) -> TopEigenvalue:
    """Find the largest eigenvalue of the Hessian of `loss(params, *data)` by the Lanczos method.

    First with products in float32 as far as they carry, then, from the vector found, in float64, so
    that value and residual are those of the float64 Hessian. Tools that stop a power iteration when
    the value changes little give no bound, and stop early where eigenvalues are close.

    Args:
        loss: A scalar function, see `hessian_product`.
        params: A pytree of arrays, or an Equinox module.
        *data: What else the loss takes.
        seed: Of the random start: an integer.
        key: A JAX key in place of a seed.
        tolerance: The residual to reach, relative to the value.
        most: How many products to spend at most.
        batch: How many examples are held at a time; None for all, see `hessian_product`.

    Returns:
        The eigenvalue, its residual, and its vector.

    Raises:
        UserError: The loss cannot be differentiated, see `hessian_product`, or a number is not
            allowed.

    Example:
        >>> found = top_eigenvalue(lambda p: 2 * p[0] ** 2 + 0.5 * p[1] ** 2, np.ones(2))
        >>> print(f"{found.value:.6f} {found.converged}")
        4.000000 True
    """
    check_search(tolerance, most)
    rng = generator(seed, key)
    place = Place.of(loss, params, data, batch)
    product, start = place.product(), rng.standard_normal(place.size)
    # The threads of BLAS go on spinning after each call, and would take the cores from those of the
    # compiled products; the vectors here are short enough for one.
    with threadpool_limits(1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
        begin, spent = _rough_start(place, product, start, tolerance, most)
        exact = _search(product, begin, tolerance, most - spent)
    found = _in_range(exact)
    return replace(found, products=spent + found.products, left_out=place.trained.left_out)


def check_search(tolerance: Any, most: Any) -> None:
    """Check how far a search may go."""
    check_whole("most", most, 1)
    if not 0 < tolerance < 1:
        raise UserError(f"tolerance must be between 0 and 1, got {tolerance}")


def _rough_start(
    place: Place, product: Product, start: Vector, tolerance: float, most: int
) -> tuple[Vector, int]:
    """A vector near the eigenvector, by products in float32, and how many products that took."""
    if most < _FEW:
        return start, 0
    try:
        rough = place.product(jnp.float32, check=False)
        alike = _alike(rough(start), product(start))  # or numbers are beyond the reach of float32
    except UserError:  # a loss that is for float64 only; what is wrong otherwise is told next
        return start, 2
    if not alike:
        return start, 2
    near = _search(rough, start, max(tolerance, _ROUGH), most // 2 - 1, np.float32)
    if not np.isfinite(near.vector).all():
        return start, near.products + 2
    # A little of the start, so that no eigenvector is missed that float32 does not see.
    return near.vector + _ROUGH / 10 * start / np.linalg.norm(start), near.products + 2


def _alike(rough: Vector, exact: Vector) -> bool:
    scale = power_of_two(exact)
    difference = np.linalg.norm(rough.astype(np.float64) / scale - exact / scale)
    return bool(difference <= _ALIKE * np.linalg.norm(exact / scale))


def lanczos(
    product: Product, start: Any, tolerance: float, most: int, dtype: Any = np.float64
) -> TopEigenvalue:
    """The largest eigenvalue of a symmetric operator, by Lanczos with full reorthogonalization.

    With an orthonormal basis `Q` of the Krylov space of `start`, `H Q = Q T + beta q e_k^T` and `T
    s = theta s`, the vector `Q s` has the Rayleigh quotient `theta` and the residual `beta |s_k|`.

    Args:
        product: `v -> H v`.
        start: Where to start; near the eigenvector sought, few products suffice.
        tolerance: The residual to reach, relative to the value.
        most: How many products to spend at most.
        dtype: The precision of the basis.

    Returns:
        The eigenvalue, with the residual to rounding.

    Raises:
        UserError: A number is out of range, the start is zero, or a product is not finite.

    Example:
        >>> matrix = np.diag(np.arange(1.0, 21.0))
        >>> print(f"{lanczos(lambda v: matrix @ v, np.ones(20), 1e-10, 20).value:.10f}")
        20.0000000000
    """
    check_search(tolerance, most)
    begin = np.asarray(start, np.float64)
    if begin.ndim != 1 or not np.isfinite(begin).all() or not begin.any():
        raise UserError("start must be a vector of finite numbers, not all of them zero")
    return _in_range(_search(product, begin, tolerance, most, dtype))


def _in_range(found: TopEigenvalue) -> TopEigenvalue:
    if not math.isfinite(found.value):
        raise UserError("a product with the operator is beyond the largest number; scale it")
    return found


def _search(
    product: Product, start: Vector, tolerance: float, most: int, dtype: Any = np.float64
) -> TopEigenvalue:
    """`lanczos`; its value is NaN where a product is not finite."""
    basis = np.empty((min(8, most), len(start)), dtype)
    start = start / power_of_two(start)
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside, scale, lost = [], [], 0.0, 0.0
    rounding = float(np.finfo(dtype).eps)
    for k in range(min(most, len(start))):
        moved = np.asarray(product(basis[k]), dtype)
        if not np.isfinite(moved).all():
            return TopEigenvalue(np.nan, np.inf, basis[0].astype(np.float64), k + 1, False)
        scale = scale or power_of_two(
            moved
        )  # of the operator, a power of two: squares stay in range
        moved = moved / dtype(scale)
        diagonal.append(float(basis[k] @ moved))
        if dtype is np.float64:  # in float32 it is a start that is wanted, not a bound
            lost = max(lost, _asymmetry(basis[:k] @ moved, beside))
        for _ in range(2):  # twice is enough
            moved -= (basis[: k + 1] @ moved) @ basis[: k + 1]
        beta = float(np.linalg.norm(moved))
        value, weights, size = _ritz(diagonal, beside)
        residual = beta * abs(float(weights[-1])) + rounding * size + lost
        done = residual <= tolerance * abs(value)
        if done or beta <= rounding * size or k + 1 in (most, len(start)):
            vector = np.asarray(weights @ basis[: k + 1], np.float64)
            return TopEigenvalue(value * scale, residual * scale, vector, k + 1, done)
        beside.append(beta)
        if k + 1 == len(basis):
            basis = np.concatenate([basis, np.empty_like(basis)])
        basis[k + 1] = moved / beta
    raise AssertionError("the last step returns")


def _asymmetry(along: np.ndarray, beside: list[float]) -> float:
    """How far a product is from that with a symmetric matrix: what rounding in it has cost.

    It must have the length `beside[-1]` along the last vector, and none along those before.
    """
    if not beside:
        return 0.0
    return float(np.linalg.norm([*along[:-1], along[-1] - beside[-1]]))


def _ritz(diagonal: list[float], beside: list[float]) -> tuple[float, np.ndarray, float]:
    """The largest eigenvalue of the tridiagonal matrix, its vector, and the largest in size."""
    values, vectors = scipy.linalg.eigh_tridiagonal(np.array(diagonal), np.array(beside))
    return float(values[-1]), vectors[:, -1], float(np.abs(values).max())


# Student's t supposes a normal sample, which quadratic forms are only nearly: a little more than is
# promised keeps the promise.
_CONFIDENCE = 0.97
_LEAST = 9  # products: an interval needs a sample


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
        products: How many products with the Hessian to spend.
        batch: How many examples are held at a time; None for all, see `hessian_product`.

    Returns:
        The estimate with its interval.

    Raises:
        UserError: See `hessian_product` and `hutchpp`.

    Example:
        >>> found = hessian_trace(lambda p: (p**2).sum(), np.ones(5))
        >>> found.value, found.low, found.high
        (10.0, 10.0, 10.0)
    """
    check_whole("products", products, _LEAST)
    rng = generator(seed, key)
    place = Place.of(loss, params, data, batch)
    found = hutchpp(place.product(), place.size, rng, products)
    return replace(found, left_out=place.trained.left_out)


def hutchpp(product: Product, size: int, rng: np.random.Generator, products: int = 90) -> Trace:
    """Estimate the trace of a symmetric matrix from products with it.

        tr H = tr Q^T H Q + E[ g^T H g ],    g = (I - Q Q^T) (random signs)

    with `Q` an orthonormal basis of `H S` for `products // 3` columns `S` of random signs, which
    catches the large eigenvalues exactly; as many products go to the first term, and the rest to
    the samples of the second, whose spread gives the interval (Student's t, a little
    widened). Plain Hutchinson, the usual
    tool's default, has the large eigenvalues in its spread. With `products >= size` the trace is
    computed column by column, and exact.

    Args:
        product: `v -> H v`.
        size: The dimension.
        rng: Where the signs come from.
        products: How many products to spend, 9 or more.

    Returns:
        The estimate with its 95 % interval.

    Raises:
        UserError: There are fewer than 9 products, or one is not finite.

    Example:
        >>> matrix = np.diag([100.0] + 300 * [1.0])
        >>> found = hutchpp(lambda v: matrix @ v, 301, np.random.default_rng(0), 30)
        >>> bool(found.low <= 400.0 <= found.high), abs(found.value - 400) < 5
        (True, True)
    """
    check_whole("products", products, _LEAST)
    if products >= size:
        diagonal = np.array([_finite(product(unit))[i] for i, unit in enumerate(np.eye(size))])
        scale = power_of_two(diagonal)
        return _trace(math.fsum(diagonal / scale), 0.0, scale, size)
    third = products // 3

    def many(columns: np.ndarray) -> np.ndarray:
        return np.stack([_finite(product(column)) for column in columns.T], axis=1)

    sketch = many(rng.choice([-1.0, 1.0], (size, third)))
    scale = power_of_two(sketch)  # so that no square leaves the range of the numbers
    basis = np.linalg.qr(sketch / scale)[0]
    caught = float(np.vdot(basis, many(basis) / scale))
    probes = rng.choice([-1.0, 1.0], (size, products - 2 * third))
    for _ in range(2):
        probes = probes - basis @ (basis.T @ probes)
    samples = np.einsum("ij,ij->j", probes, many(probes) / scale)
    rest, error = float(samples.mean()), float(samples.std(ddof=1)) / len(samples) ** 0.5
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(samples) - 1)) * error
    return _trace(caught + rest, reach, scale, products)


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
