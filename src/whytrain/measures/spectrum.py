"""The largest and the smallest eigenvalue of the Hessian of a loss, each with its residual."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float, PyTree
from threadpoolctl import threadpool_limits

from whytrain.errors import UserError
from whytrain.measures.arrays import check_whole, generator
from whytrain.measures.hessian import Place, Product, Vector, power_of_two
from whytrain.measures.trained import OfTrained

_ROUGH = 1e-5  # relative residual that products in float32 can reach
_ALIKE = 1e-2  # relative, of products in both precisions where float32 is worth its products
_ROUNDED = 4  # times what rounding costs, where no residual becomes much smaller
_FEW = 8  # products, too few to spend some of them in float32


@dataclass(frozen=True)
class Eigenvalue(OfTrained):
    """The largest, or the smallest, eigenvalue of a symmetric operator.

    Attributes:
        value: The Rayleigh quotient `v.Hv` of the unit vector found: never above the largest
            eigenvalue (below the smallest), but for rounding.
        residual: `||H v - value v||`, and how far the products were from symmetric ones, which is
            what rounding cost. Some eigenvalue lies within it of `value`; that it is the largest
            one is sure only in the sense in which Lanczos from a random start is: an eigenvector
            that the start is orthogonal to is not seen, which has probability 0, and of a cluster
            that is narrower than the tolerance it may not be the first.
        vector: The unit vector `v`, over the raveled parameters.
        products: How many products with `H` it took, those in float32 among them.
        converged: Whether the residual is as small as was asked for, or, of an eigenvalue near 0,
            as rounding lets it be.
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
) -> Eigenvalue:
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
    return _extreme(1.0, (loss, params, data, batch), (seed, key), tolerance, most)


def bottom_eigenvalue(
    loss: Any,
    params: PyTree,
    *data: Any,
    seed: Any = 0,
    key: Any = None,
    tolerance: float = 1e-6,
    most: int = 300,
    batch: int | None = None,
) -> Eigenvalue:
    """Find the smallest eigenvalue of the Hessian of `loss(params, *data)`; see `top_eigenvalue`.

    Below 0 beyond its residual, the parameters are no local minimum. Where the smallest eigenvalues
    lie close together, near 0 as they do at the end of training, Lanczos needs many products, and
    `converged` says whether there were enough.

    Args:
        loss: As there.
        params: As there.
        *data: As there.
        seed: As there.
        key: As there.
        tolerance: As there.
        most: As there.
        batch: As there.

    Returns:
        The eigenvalue, its residual, and its vector.

    Raises:
        UserError: As there.

    Example:
        >>> found = bottom_eigenvalue(lambda p: 2 * p[0] ** 2 - 0.5 * p[1] ** 2, np.ones(2))
        >>> print(f"{found.value:.6f} {found.converged}")
        -1.000000 True
    """
    found = _extreme(-1.0, (loss, params, data, batch), (seed, key), tolerance, most)
    return replace(found, value=0.0 - found.value)


def _extreme(sign: float, given: tuple, random: tuple, tolerance: float, most: int) -> Eigenvalue:
    """The largest eigenvalue of the Hessian times a sign."""
    check_search(tolerance, most)
    rng, place = generator(*random), Place.of(*given)
    product, start = _times(sign, place.product()), rng.standard_normal(place.size)
    # The threads of BLAS go on spinning after each call, and would take the cores from those of the
    # compiled products; the vectors here are short enough for one.
    with threadpool_limits(1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
        begin, spent = _rough_start(place, product, start, sign, tolerance, most)
        exact = _search(product, begin, tolerance, most - spent)
    found = _in_range(exact)
    return replace(found, products=spent + found.products, left_out=place.trained.left_out)


def _times(sign: float, product: Product) -> Product:
    return product if sign > 0 else lambda vector: -product(vector)


def check_search(tolerance: Any, most: Any) -> None:
    """Check how far a search may go."""
    check_whole("most", most, 1)
    if not 0 < tolerance < 1:
        raise UserError(f"tolerance must be between 0 and 1, got {tolerance}")


def _rough_start(
    place: Place, product: Product, start: Vector, sign: float, tolerance: float, most: int
) -> tuple[Vector, int]:
    """A vector near the eigenvector, by products in float32, and how many products that took."""
    if most < _FEW:
        return start, 0
    try:
        rough = _times(sign, place.product(jnp.float32, check=False))
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
) -> Eigenvalue:
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


def _in_range(found: Eigenvalue) -> Eigenvalue:
    if not math.isfinite(found.value):
        raise UserError("a product with the operator is beyond the largest number; scale it")
    return found


def _search(
    product: Product, start: Vector, tolerance: float, most: int, dtype: Any = np.float64
) -> Eigenvalue:
    """`lanczos`; its value is NaN where a product is not finite."""
    basis = np.empty((min(8, most), len(start)), dtype)
    start = start / power_of_two(start)
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside, scale, lost = [], [], 0.0, 0.0
    rounding = float(np.finfo(dtype).eps)
    for k in range(min(most, len(start))):
        moved = np.asarray(product(basis[k]), dtype)
        if not np.isfinite(moved).all():
            return Eigenvalue(np.nan, np.inf, basis[0].astype(np.float64), k + 1, False)
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
        rounded = rounding * size + lost
        residual = beta * abs(float(weights[-1])) + rounded
        least = _ROUNDED * rounded if dtype is np.float64 else 0.0
        done = residual <= max(tolerance * abs(value), least)
        if done or beta <= rounding * size or k + 1 in (most, len(start)):
            vector = np.asarray(weights @ basis[: k + 1], np.float64)
            return Eigenvalue(value * scale, residual * scale, vector, k + 1, done)
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
