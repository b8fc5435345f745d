"""The trace of the loss's Hessian, by Hutch++ (Meyer, Musco, Musco and Woodruff 2021)."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import PyTree
from scipy import stats

from whytrain.errors import UserError
from whytrain.measures.hessian import Place, Product, power_of_two
from whytrain.measures.naming import check_whole
from whytrain.measures.seeds import generator
from whytrain.measures.trained import OfTrained

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
