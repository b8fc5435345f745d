"""What a kernel tells about learning: its spectrum, its alignment with labels, its prediction."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, check_number

Matrix = Float[np.ndarray, "n n"]
_APART = 1e-4  # of the largest number: what float32 may leave between a kernel and its like


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues of a symmetric kernel matrix.

    Attributes:
        values: From the largest to the smallest. Rounding leaves those of a singular matrix at
            `floor`, of either sign.
        floor: `n eps max |values|`: what is below is not told apart from 0.
    """

    values: Float[np.ndarray, " n"]
    floor: float

    @property
    def condition(self) -> float:
        """Largest over smallest; infinite where the smallest is below the floor.

        Gradient descent with the largest stable step needs about so many steps for a factor e in
        the slowest direction.
        """
        smallest = float(self.values[-1])
        return float(self.values[0]) / smallest if smallest > self.floor else float("inf")

    @property
    def rank(self) -> int:
        """How many eigenvalues are above the floor."""
        return int((self.values > self.floor).sum())

    def effective_dimension(self, regularization: float) -> float:
        """`sum_i l_i / (l_i + n regularization)`: how many directions a regression fits.

        Raises:
            UserError: The regularization is not above 0.

        Source: Caponnetto and De Vito, "Optimal rates for the regularized least-squares
        algorithm", 2007.

        Example:
            >>> spectrum(np.diag([4.0, 1.0])).effective_dimension(0.5)
            1.3
        """
        check_number("regularization", regularization)
        if not regularization > 0:
            raise UserError(f"regularization must be above 0, got {regularization}")
        values = np.maximum(self.values, 0)
        return float((values / (values + len(values) * regularization)).sum())


def spectrum(kernel: Numeric) -> Spectrum:
    """The eigenvalues of a kernel on one batch.

    Args:
        kernel: Square and symmetric but for rounding, as `tangent_kernel` gives it.

    Raises:
        UserError: It is not, has an eigenvalue below 0, or is not finite.

    Example:
        >>> spectrum(np.array([[2.0, 1.0], [1.0, 2.0]])).condition
        3.0
    """
    values = np.linalg.eigvalsh(check_kernel(kernel))[::-1]
    return Spectrum(values, _floor(kernel, values))


def alignment(kernel: Numeric, targets: Numeric, *, centered: bool = True) -> float:
    """`<K, Y Y^T> / (|K| |Y Y^T|)`, in Frobenius norms: 1 if the targets span the kernel.

    Args:
        kernel: Between `n` examples.
        targets: `n` numbers, or (n, m) of them; classes as one-hot rows.
        centered: Whether the mean over the examples is taken off both first (`H K H` with
            `H = 1 - 1 1^T / n`): without it a constant part of the kernel counts as alignment.

    Raises:
        UserError: Shapes do not fit, or one of them is constant, so that nothing is left.

    Source: Cortes, Mohri and Rostamizadeh, "Algorithms for learning kernels based on centered
    alignment", 2012.

    Example:
        >>> y = np.array([1.0, -1.0, 1.0])
        >>> print(f"{alignment(np.outer(y, y), y):.6f}")
        1.000000
    """
    K = check_kernel(kernel)
    y = _finite(targets, "targets")
    if y.ndim == 0 or len(y) != len(K) or not y.size:
        raise UserError(
            f"targets must be one row for each of the {len(K)} examples of the kernel, got the "
            f"shape {y.shape}; for several outputs take outputs='trace'"
        )
    y = _scaled(y.reshape(len(K), -1))
    return similarity(K, y @ y.T, centered=centered)


def similarity(one: Numeric, other: Numeric, *, centered: bool = True) -> float:
    """`<K, L> / (|K| |L|)` of two kernels on the same batch, centered or not: 1 if proportional.

    Raises:
        UserError: They are not of one shape, or nothing is left of one.

    Example:
        >>> print(f"{similarity(np.eye(3), 5 * np.eye(3)):.6f}")
        1.000000
    """
    K, L = check_kernel(one), check_kernel(other)
    if K.shape != L.shape:
        raise UserError(f"kernels must be on one batch, got shapes {K.shape} and {L.shape}")
    if not (K.any() and L.any()):
        raise UserError("a kernel or the targets are 0: there is nothing to compare")
    K, L = _scaled(K), _scaled(L)
    if centered:
        sizes = np.linalg.norm(K), np.linalg.norm(L)
        K, L = _center(K), _center(L)
        if np.linalg.norm(K) <= 1e-12 * sizes[0] or np.linalg.norm(L) <= 1e-12 * sizes[1]:
            raise UserError(
                "a kernel or the targets are constant over the examples; centered=False"
            )
    found = (K * L).sum() / (np.linalg.norm(K) * np.linalg.norm(L))
    return float(np.clip(found, -1, 1))  # rounding may leave it just outside


@dataclass(frozen=True)
class Drift:
    """How far a kernel has moved from another on the same batch.

    Attributes:
        frobenius: `|K - K0| / |K0|` in the Frobenius norm.
        operator: The same in the spectral norm.
        largest: Of any entry, over the largest entry of `K0`.
        similarity: Centered alignment of the two, 1 if they differ by a factor only; None where a
            kernel is constant.
    """

    frobenius: float
    operator: float
    largest: float
    similarity: float | None


def drift(initial: Numeric, kernel: Numeric) -> Drift:
    """How far a kernel is from an initial one.

    Raises:
        UserError: They are not on one batch, or the initial one is 0.

    Example:
        >>> drift(np.eye(2), np.diag([1.0, 1.5])).largest
        0.5
    """
    K0, K = check_kernel(initial), check_kernel(kernel)
    if K0.shape != K.shape:
        raise UserError(f"kernels must be on one batch, got shapes {K0.shape} and {K.shape}")
    if not K0.any():
        raise UserError("the initial kernel is 0: there is nothing to compare with")
    try:
        alike = similarity(K0, K)
    except UserError:
        alike = None
    K0, K = _scaled(K0), _scaled(K, like=K0)
    change = K - K0
    return Drift(
        frobenius=float(np.linalg.norm(change) / np.linalg.norm(K0)),
        operator=_spectral_norm(change) / _spectral_norm(K0),
        largest=float(np.abs(change).max() / np.abs(K0).max()),
        similarity=alike,
    )


def kernel_regression(
    kernel: Numeric,
    targets: Numeric,
    others: Numeric,
    *,
    regularization: float = 0.0,
    initial: Numeric = 0.0,
    initial_others: Numeric = 0.0,
) -> Float[np.ndarray, "..."]:
    """What a network in the kernel regime says at the end of training.

        f(x) = f_0(x) + K(x, X) (K(X, X) + n regularization)^-1 (y - f_0(X))

    Without regularization that is the end of the gradient flow on the linearized network with the
    squared loss (Jacot et al. 2018); directions below the spectrum's floor are left alone, as the
    flow leaves them.

    Args:
        kernel: `K(X, X)`.
        targets: `y`, (n,) or (n, m).
        others: `K(x, X)`, (others, n).
        regularization: A ridge over the number of examples, 0 or more.
        initial: `f_0(X)`: the network's outputs before training.
        initial_others: `f_0(x)`.

    Raises:
        UserError: Shapes do not fit, a number is not finite, or the regularization or an eigenvalue
            is below 0.

    Example:
        >>> kernel_regression(2 * np.eye(2), np.array([1.0, 3.0]), np.array([[1.0, 1.0]]))
        array([2.])
    """
    K, rows, y = check_kernel(kernel), _finite(others, "others"), _finite(targets, "targets")
    if rows.ndim != 2 or rows.shape[1] != len(K) or y.shape[:1] != (len(K),):
        raise UserError(
            f"kernel (n, n), targets (n, ...) and others (m, n) must fit, got {K.shape}, {y.shape} "
            f"and {rows.shape}"
        )
    check_number("regularization", regularization)
    if not regularization >= 0:
        raise UserError(f"regularization must be 0 or more, got {regularization}")
    start = _outputs(initial, y.shape, "initial")
    start_others = _outputs(initial_others, (len(rows), *y.shape[1:]), "initial_others")
    values, vectors = np.linalg.eigh(K)
    shifted = values + len(K) * regularization
    known = shifted > _floor(kernel, values)
    inverse = np.divide(1, shifted, out=np.zeros_like(shifted), where=known)
    weights = (vectors * inverse) @ (vectors.T @ (y - start))
    return start_others + rows @ weights


def check_kernel(kernel: Numeric) -> Matrix:
    """A kernel between the examples of one batch, in float64.

    Raises:
        UserError: It is not square, not symmetric, or not finite.
    """
    found = as_float64(kernel, "a kernel")
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise UserError(f"a kernel of one batch is square, got the shape {found.shape}")
    if not np.isfinite(found).all():
        raise UserError("the kernel holds numbers that are not finite")
    if np.abs(found - found.T).max() > _APART * np.abs(found).max():
        raise UserError("the kernel is not symmetric; is it between two batches?")
    return (found + found.T) / 2


def _floor(kernel: Numeric, values: np.ndarray) -> float:
    """What rounding leaves of an eigenvalue that is 0; refuse what is farther below 0 than that."""
    largest = float(np.abs(values).max())
    floor = len(values) * _epsilon(kernel) * largest
    if values.min() < -max(floor, _APART * largest):
        raise UserError(
            f"the kernel has an eigenvalue below 0 ({values.min():.3g}; the largest is "
            f"{values.max():.3g}), and products of gradients have none; is it the difference of "
            "two kernels?"
        )
    return floor


def _spectral_norm(kernel: Matrix) -> float:
    return float(np.abs(np.linalg.eigvalsh(kernel)).max())


def _center(kernel: Matrix) -> Matrix:
    rows = kernel - kernel.mean(axis=0)
    return rows - rows.mean(axis=1, keepdims=True)


def _scaled(numbers: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Numbers whose squares neither overflow nor underflow: times a power of two, exactly.

    Of those, one that makes the largest number of `like` about 1.
    """
    _, power = np.frexp(np.abs(numbers if like is None else like).max())
    return np.ldexp(numbers, -power)


def _epsilon(kernel: Any) -> float:
    """The rounding of the precision that a kernel was computed in."""
    dtype = getattr(kernel, "dtype", np.dtype(float))
    numbers = isinstance(dtype, np.dtype) and jnp.issubdtype(dtype, jnp.floating)
    return float(jnp.finfo(dtype if numbers else float).eps)


def _finite(values: Any, of: str) -> np.ndarray:
    found = as_float64(values, of)
    if not np.isfinite(found).all():
        raise UserError(f"{of} must be finite numbers")
    return found


def _outputs(values: Any, shape: tuple[int, ...], of: str) -> np.ndarray:
    found = _finite(values, of)
    if found.shape not in ((), shape):
        raise UserError(f"{of} must be one number, or of the shape {shape}, got {found.shape}")
    return found
