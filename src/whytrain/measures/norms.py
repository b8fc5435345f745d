"""Norms of a matrix, each in float64 and each with the convention that the papers use."""

from collections.abc import Callable

import numpy as np
import scipy.linalg
from jaxtyping import Float

Matrix = Float[np.ndarray, "rows columns"]
_SAFE = 1e-140  # a root of squares below it may have lost some of them


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
