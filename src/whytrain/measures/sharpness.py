"""Sharpness: the largest eigenvalue of the loss's Hessian, with a bound on its error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float, PyTree
from threadpoolctl import threadpool_limits

from whytrain.errors import UserError
from whytrain.measures.hessian import Product, Vector, hessian_product

_ROUGH = 1e-5  # relative residual that products in float32 can reach


@dataclass(frozen=True)
class TopEigenvalue:
    """The largest eigenvalue of a symmetric operator.

    Attributes:
        value: The Rayleigh quotient `v.Hv` of the unit vector found: never above the largest
            eigenvalue, but for rounding.
        residual: `||H v - value v||`. Some eigenvalue lies within it of `value`; that it is the
            largest one is sure only in the sense in which Lanczos from a random start is: an
            eigenvector that the start is orthogonal to is not seen, which has probability 0.
        vector: The unit vector `v`, over the raveled parameters.
        products: How many products with `H` it took, those in float32 among them.
        converged: Whether the residual is as small as was asked for.
    """

    value: float
    residual: float
    vector: Float[np.ndarray, " parameter"]
    products: int
    converged: bool


def top_eigenvalue(
    loss: Callable[..., Any],
    params: PyTree,
    *data: Any,
    seed: int = 0,
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
        params: A pytree of arrays.
        *data: What else the loss takes.
        seed: Of the random start.
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
    if not 0 < tolerance < 1 or most < 1:
        raise UserError(
            f"tolerance must be between 0 and 1 and most at least 1, got {tolerance:g} and {most}"
        )
    product, size = hessian_product(loss, params, *data, batch=batch)
    start = np.random.default_rng(seed).standard_normal(size)
    rough, _ = hessian_product(loss, params, *data, dtype=jnp.float32, batch=batch)
    # The threads of BLAS go on spinning after each call, and would take the cores from those of the
    # compiled products; the vectors here are short enough for one.
    with threadpool_limits(1, user_api="blas"):
        near = lanczos(rough, start, max(tolerance, _ROUGH), max(most // 2, 1), np.float32)
        begin = near.vector if np.isfinite(near.vector).all() else start
        exact = lanczos(product, begin, tolerance, max(most - near.products, 1))
    return TopEigenvalue(
        exact.value, exact.residual, exact.vector, near.products + exact.products, exact.converged
    )


def lanczos(
    product: Product, start: Vector, tolerance: float, most: int, dtype: Any = np.float64
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

    Example:
        >>> matrix = np.diag(np.arange(1.0, 21.0))
        >>> print(f"{lanczos(lambda v: matrix @ v, np.ones(20), 1e-10, 20).value:.10f}")
        20.0000000000
    """
    basis = np.empty((min(8, most), len(start)), dtype)
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside = [], []
    rounding = float(np.finfo(dtype).eps)
    for k in range(min(most, len(start))):
        moved = np.asarray(product(basis[k]), dtype)
        diagonal.append(float(basis[k] @ moved))
        if not np.isfinite(diagonal[-1]):
            return TopEigenvalue(np.nan, np.inf, basis[0].astype(np.float64), k + 1, False)
        for _ in range(2):  # twice is enough
            moved -= (basis[: k + 1] @ moved) @ basis[: k + 1]
        beta = float(np.linalg.norm(moved))
        value, weights, size = _ritz(diagonal, beside)
        residual = beta * abs(float(weights[-1])) + rounding * size
        done = residual <= tolerance * abs(value)
        if done or beta <= rounding * size or k + 1 in (most, len(start)):
            vector = np.asarray(weights @ basis[: k + 1], np.float64)
            return TopEigenvalue(value, residual, vector, k + 1, done)
        beside.append(beta)
        if k + 1 == len(basis):
            basis = np.concatenate([basis, np.empty_like(basis)])
        basis[k + 1] = moved / beta
    raise AssertionError("the last step returns")


def _ritz(diagonal: list[float], beside: list[float]) -> tuple[float, np.ndarray, float]:
    """The largest eigenvalue of the tridiagonal matrix, its vector, and the largest in size."""
    values, vectors = scipy.linalg.eigh_tridiagonal(np.array(diagonal), np.array(beside))
    return float(values[-1]), vectors[:, -1], float(np.abs(values).max())
