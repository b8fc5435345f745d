r"""Uniformly quantized activations, and the surrogate derivative that trains through them.

The quantizer of `b` bits has `levels = 2^b - 1` steps of size `alpha = resolution`. Its input is
batch-normalized, so that `alpha` is computed once, for a standard Gaussian, and frozen (Cai et al.
2017, "HWGQ"; Yin et al. 2019, Section 4). Three conventions are in use, each with its own best
`alpha`:

    ceil      0 for x <= 0;  k alpha for (k-1) alpha < x <= k alpha;  levels alpha above
    hwgq      0 for x <= 0;  else the nearest of alpha, 2 alpha, ..., levels alpha
    nearest   the nearest of 0, alpha, ..., levels alpha
"""

import functools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from whytrain._types import Numeric
from whytrain.errors import UserError, nearest
from whytrain.gaussian.estimators import ESTIMATORS, Estimator

# Of each convention: what is taken off x / alpha before it is rounded up, and the lowest level of a
# positive input.
_CONVENTIONS = {"ceil": (0.0, 1.0), "hwgq": (0.5, 1.0), "nearest": (0.5, 0.0)}


class Quantizer(eqx.Module):
    """The activation `alpha * clip(ceil(x / alpha - shift), least, levels)` for `x > 0`, else 0.

    What is no number stays none, so that a network that diverged says so, and a loss of it sends
    none back.

    The backward pass multiplies by `derivative(x / top)`, `top = levels * alpha`, of the estimator:
    that of `clipped_relu` is the derivative of `min(max(x, 0), top)`. All numbers are leaves, the
    choice of the estimator too: quantizers of other bits and estimators are other values in the
    same compiled program. Make one with `quantizer`, a batch with `stack`.

    Attributes:
        resolution: `alpha`.
        levels: `2^bits - 1`.
        shift: 0 to round up, 1/2 to round to the nearest.
        least: The lowest level of a positive input.
        chosen: Which of `estimators` the backward pass uses.
        estimators: The estimators to choose from.
    """

    resolution: Float[Numeric, "*variant"]
    levels: Float[Numeric, "*variant"]
    shift: Float[Numeric, "*variant"]
    least: Float[Numeric, "*variant"]
    chosen: Int[Numeric, "*variant"]
    estimators: tuple[Estimator, ...] = eqx.field(static=True)

    @property
    def top(self) -> Float[Numeric, "*variant"]:
        """The largest value, `levels * alpha`."""
        return self.levels * self.resolution

    def __call__(self, x: Real[Array, "*n"]) -> Float[Array, "*n"]:
        """The quantized activation; its derivative is the estimator's."""
        numbers = (self.resolution, self.levels, self.shift, self.least, self.chosen)
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):  # in whole numbers the resolution would be 0
            x = x.astype(jnp.result_type(x, float))
        return _quantize(self.estimators, x, tuple(jnp.asarray(number) for number in numbers))


def quantizer(
    bits: int, estimator: str | Estimator = "clipped_relu", convention: str = "ceil"
) -> Quantizer:
    """The uniform quantizer with the resolution that is best for a batch-normalized input.

    Args:
        bits: 1 to 8.
        estimator: The backward pass: an `Estimator`, or a name out of `ESTIMATORS`.
        convention: `ceil`, `hwgq` or `nearest`.

    Raises:
        UserError: One of them is not known.

    Example:
        >>> two_bits = quantizer(2, "clipped_relu")
        >>> print(np.round(np.asarray(two_bits(jnp.array([-1.0, 0.1, 0.5, 9.0]))), 4))
        [0.     0.4866 0.9731 1.4597]
        >>> jax.vmap(jax.grad(two_bits))(jnp.array([-1.0, 0.1, 0.5, 9.0])).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    if isinstance(estimator, str):
        if estimator not in ESTIMATORS:
            known = nearest(estimator, ESTIMATORS) or f"; known: {', '.join(ESTIMATORS)}"
            raise UserError(f"unknown estimator {estimator!r}{known}")
        estimator = ESTIMATORS[estimator]
    if not isinstance(estimator, Estimator):
        raise UserError(
            f"estimator must be an Estimator or the name of one, got {estimator!r:.100}"
        )
    alpha = resolution(bits, convention)
    shift, least = _CONVENTIONS[convention]
    return Quantizer(
        np.float32(alpha), np.float32(2 ** int(bits) - 1), np.float32(shift), np.float32(least),
        np.int32(0), (estimator,),
    )  # fmt: skip


def stack(quantizers: Sequence[Quantizer]) -> Quantizer:
    """Several quantizers as one batch, with a leading axis in every number.

    Raises:
        UserError: There is none, or it is no list of quantizers.

    Example:
        >>> both = stack([quantizer(2, "relu"), quantizer(4, "identity")])
        >>> both.levels.tolist(), both.chosen.tolist()
        ([3.0, 15.0], [0, 1])
    """
    given = quantizers if isinstance(quantizers, Sequence) else [quantizers]
    if given is not quantizers or not all(isinstance(each, Quantizer) for each in given):
        kinds = ", ".join(sorted({type(each).__name__ for each in given}))
        raise UserError(f"stack takes a list of quantizers, as quantizer() makes them, got {kinds}")
    if not quantizers:
        raise UserError("stack needs one quantizer or more, got none")
    known = tuple(dict.fromkeys(e for each in quantizers for e in each.estimators))
    chosen = [
        known.index(each.estimators[index])
        for each in quantizers
        for index in np.ravel(np.asarray(each.chosen))
    ]

    def column(name: str) -> np.ndarray:
        return np.concatenate([np.ravel(getattr(each, name)) for each in quantizers])

    return Quantizer(
        column("resolution"), column("levels"), column("shift"), column("least"),
        np.asarray(chosen, np.int32), known,
    )  # fmt: skip


def resolution(bits: int, convention: str = "ceil") -> float:
    """The `alpha` with the least mean squared error `E (x - sigma_alpha(x))^2`, `x` half-Gaussian.

    Computed from the exact partial moments of the normal distribution. (Lloyd's alternation with
    the `ceil` assignment does not end at this minimum but at a smaller `alpha`.)

    Args:
        bits: 1 to 8.
        convention: `ceil`, `hwgq` or `nearest`.

    Raises:
        UserError: One of them is not known.

    Example:
        >>> [round(resolution(2, name), 4) for name in ("ceil", "hwgq", "nearest")]
        [0.4866, 0.5388, 0.6508]
    """
    if not isinstance(bits, int | np.integer) or bits not in range(1, 9):
        raise UserError(f"bits of a quantizer must be 1 to 8, got {bits!r:.100}")
    if convention not in list(_CONVENTIONS):
        raise UserError(
            f"unknown convention {convention!r:.100}{nearest(str(convention), _CONVENTIONS)}; "
            f"known: {', '.join(_CONVENTIONS)}"
        )
    return _best_resolution(int(bits), convention)


@functools.cache
def _best_resolution(bits: int, convention: str) -> float:
    from scipy.optimize import minimize_scalar

    grid = np.geomspace(0.5, 8, 200) / 2**bits  # the error has one minimum, somewhere on it
    errors = [mean_squared_error(alpha, bits, convention) for alpha in grid]
    best = int(np.clip(np.argmin(errors), 1, len(grid) - 2))
    found = minimize_scalar(
        lambda alpha: mean_squared_error(alpha, bits, convention),
        bounds=(grid[best - 1], grid[best + 1]), method="bounded", options={"xatol": 1e-12},
    )  # fmt: skip
    return float(found.x)


def mean_squared_error(alpha: float, bits: int, convention: str = "ceil") -> float:
    """`E (x - sigma_alpha(x))^2` for half-Gaussian `x`, in closed form.

    Example:
        >>> round(mean_squared_error(0.4866, 2), 5)
        0.12316
    """
    from scipy.stats import norm

    shift, least = _CONVENTIONS[convention]
    values = alpha * np.arange(least, 2**bits)
    edges = np.concatenate([[0.0], values[:-1] + shift * alpha, [np.inf]])
    below, above = edges[:-1], edges[1:]
    mass = norm.cdf(above) - norm.cdf(below)
    first = norm.pdf(below) - norm.pdf(above)
    finite = np.where(np.isinf(above), 0.0, above)
    second = mass + below * norm.pdf(below) - finite * norm.pdf(above)
    return float(2 * np.sum(second - 2 * values * first + values**2 * mass))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _quantize(estimators: tuple[Estimator, ...], x: Array, numbers: tuple[Array, ...]) -> Array:
    del estimators
    alpha, levels, shift, least, _ = (jnp.asarray(number, x.dtype) for number in numbers)
    level = jnp.clip(jnp.ceil(x / alpha - shift), least, levels)
    return jnp.where(x <= 0, 0, alpha * level)  # NaN is not below 0, and stays NaN


def _forward(estimators: tuple[Estimator, ...], x: Array, numbers: tuple[Array, ...]) -> tuple:
    return _quantize(estimators, x, numbers), (x, numbers)


def _backward(estimators: tuple[Estimator, ...], saved: tuple, cotangent: Array) -> tuple:
    x, (alpha, levels, _, _, chosen) = saved
    u = x / (alpha * levels).astype(x.dtype)
    slope = estimators[0].derivative(u)
    for index, estimator in enumerate(estimators[1:], start=1):
        slope = jnp.where(chosen == index, estimator.derivative(u), slope)
    # At NaN the value is NaN, and so is the cotangent that a loss sends back, whatever the slope.
    # To choose by it here would change how XLA rounds the gradients of whole networks.
    return cotangent * slope, None


_quantize.defvjp(_forward, _backward)
