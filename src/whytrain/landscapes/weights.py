"""The parameters of a shared-filter network, and the angle between two filters."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric


class Weights(NamedTuple):
    """A filter and its output weights, or one number for each of the two (step sizes, rates)."""

    filter: Float[Numeric, "*p"]
    output: Float[Numeric, "*k"]


def aligned_output(k: int, alignment: float, length: float) -> Float[np.ndarray, " k"]:
    """Output weights of this length whose sum is `length sqrt(alignment)`, `alignment <= k`.

    The part across `1` is a ramp: under round starts every direction there gives the same runs.

    Example:
        >>> a = aligned_output(4, 1.0, 2.0)
        >>> round(float(a.sum()), 12), round(float(a @ a), 12)
        (2.0, 4.0)
    """
    along = np.full(k, k**-0.5)
    ramp = np.arange(k) - (k - 1) / 2
    across = ramp / max(float(np.linalg.norm(ramp)), 1e-300)
    share = min(alignment / k, 1.0)
    return length * (np.sqrt(share) * along + np.sqrt(1 - share) * across)


def norm(v: Float[Array, " p"]) -> Float[Array, ""]:
    """The Euclidean length of a vector.

    A sum of products, not a matrix product: the order of summation, and so the last bit, does not
    depend on the row of a batch in which the vector stands.
    """
    return jnp.sqrt(jnp.sum(v * v))


def angle_between(v: Float[Array, " p"], w: Float[Array, " p"]) -> Float[Array, ""]:
    """The angle between two vectors in radians, exact to rounding near 0 and near pi.

    `2 atan2(|v/|v| - w/|w||, |v/|v| + w/|w||)`; the arccosine of a rounded cosine would lose half
    of the digits at both ends (Kahan, "How Futile are Mindless Assessments of Roundoff", 2006).

    Example:
        >>> import jax
        >>> with jax.enable_x64(True):
        ...     v, w = jnp.array([1.0, 0.0]), jnp.array([1.0, 1e-12])
        ...     print(f"{angle_between(v, w):.3e}")
        1.000e-12
    """
    v, w = _unit(v), _unit(w)
    return 2 * jnp.arctan2(norm(v - w), norm(v + w))


def _unit(v: Float[Array, " p"]) -> Float[Array, " p"]:
    v = v / jnp.max(jnp.abs(v))  # first, or squares of very long or short vectors are lost
    return v / norm(v)
