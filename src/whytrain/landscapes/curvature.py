"""Whether a loss curves downward somewhere: the extreme eigenvalues of its Hessian."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from whytrain._computes import computes
from whytrain._types import Numeric

DENSE = 128  # up to so many parameters the Hessian itself is as cheap, and exact
NEGATIVE = 1e-6  # of the largest magnitude: an eigenvalue below minus that is negative
VECTORS = 48  # of a Krylov space: all that is kept of a run
KEPT = 20  # of them at a restart
PRODUCTS = 2000  # after which the question is left open


def dense_sign(landscape: Any, params: PyTree) -> Float[Array, ""]:
    """1 where the Hessian has a negative eigenvalue, 0 where none; NaN where it is not finite.

    The Hessian is that along the manifold. It is built.
    """
    loss, origin = _around(landscape, params)
    hessian = jax.hessian(loss)(origin)
    eigenvalues = jnp.linalg.eigvalsh(hessian)
    negative = eigenvalues[0] < -NEGATIVE * jnp.max(jnp.abs(eigenvalues))
    return jnp.where(jnp.all(jnp.isfinite(hessian)), negative * 1.0, jnp.nan)


def sign_by_products(landscape: Any, params: PyTree) -> float:
    """The same from products with vectors alone; NaN also where they do not tell."""
    origin = np.asarray(jax.flatten_util.ravel_pytree(params)[0])
    now = computes(_slope, landscape, params, origin)
    found = lowest_is_negative(
        lambda vector: np.asarray(_product(landscape, params, vector, now)), origin.size
    )
    return np.nan if found is None else float(found)


def lowest_is_negative(
    product: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]], n: int
) -> bool | None:
    """Whether a symmetric matrix has an eigenvalue below `-1e-6` of its largest magnitude.

    Lanczos with full reorthogonalization, restarted with the lowest Ritz vectors (thick restart:
    Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000). Yes is certain: a vector shows it. No is
    said when the lowest Ritz value, less ten times its residual, is above the border.

    Args:
        product: The matrix times a vector.
        n: Its size, more than 48.

    Returns:
        None where 2,000 products have not told, or one is not finite.

    Example:
        >>> diagonal = np.linspace(-0.1, 1.0, 500)
        >>> lowest_is_negative(lambda v: diagonal * v, 500)
        True
    """
    rng = np.random.default_rng(0)  # any start will do
    basis, matrix = np.zeros((VECTORS + 1, n)), np.zeros((VECTORS, VECTORS))
    basis[0] = _unit(rng.standard_normal(n))
    kept, scale = 0, 0.0
    for _ in range(0, PRODUCTS, VECTORS - KEPT):
        rest = _grow(product, basis, matrix, kept, rng)
        if not np.isfinite(matrix).all():
            return None
        values, vectors = np.linalg.eigh(matrix)
        scale = max(scale, float(np.abs(values).max()))
        if values[0] < -NEGATIVE * scale:
            return True
        if values[0] - 10 * abs(rest * vectors[-1, 0]) >= -NEGATIVE * scale:
            return False
        kept = _restart(basis, matrix, values, vectors)
    return None


def _grow(
    product: Callable, basis: np.ndarray, matrix: np.ndarray, kept: int, rng: np.random.Generator
) -> float:
    """Fill the basis up, and the matrix in it; the length of what sticks out in the end."""
    rest = 0.0
    for j in range(kept, VECTORS):
        image = product(basis[j])
        length = np.linalg.norm(image)
        image, inside = _outside(image, basis[: j + 1])
        matrix[: j + 1, j] = matrix[j, : j + 1] = inside
        rest = float(np.linalg.norm(image))
        if rest <= 1e-14 * length:  # the space is closed: go on in a new direction
            image, rest = _outside(rng.standard_normal(basis.shape[1]), basis[: j + 1])[0], 0.0
        basis[j + 1] = _unit(image)
    return rest


def _restart(basis: np.ndarray, matrix: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> int:
    """Go on with the lowest Ritz vectors, and the highest for the scale."""
    chosen = [*range(KEPT), VECTORS - 1]
    kept = len(chosen)
    basis[:kept], basis[kept] = vectors[:, chosen].T @ basis[:VECTORS], basis[VECTORS].copy()
    matrix[:] = 0.0
    matrix[range(kept), range(kept)] = values[chosen]
    return kept


def _outside(vector: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What of a vector is orthogonal to a basis, in two rounds; and its coordinates in it."""
    first = basis @ vector
    vector = vector - first @ basis
    second = basis @ vector
    return vector - second @ basis, first + second


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _around(landscape: Any, params: PyTree) -> tuple[Callable[[Array], Array], Array]:
    """The loss of a step along the manifold, and no step."""
    flat, unravel = jax.flatten_util.ravel_pytree(params)

    def loss(step: Array) -> Array:
        along = landscape.tangent(params, unravel(step))
        return landscape.loss(landscape.retract(jax.tree.map(jnp.add, params, along)))

    return loss, jnp.zeros_like(flat)


def _slope(landscape: Any, params: PyTree, step: Float[Numeric, " n"]) -> Float[Array, " n"]:
    return jax.grad(_around(landscape, params)[0])(step)


@eqx.filter_jit
def _product(
    landscape: Any, params: PyTree, vector: Float[Numeric, " n"], computes: bytes
) -> Float[Array, " n"]:
    del computes  # a program is of it
    loss, origin = _around(landscape, params)
    return jax.jvp(jax.grad(loss), (origin,), (vector,))[1]
