"""A closed form beside a sample: the two numbers that the part `closed_form` is judged by."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from whytrain._types import Numeric


def monte_carlo(
    name: str, exact: Float[Numeric, ""], sample: Float[Array, " sample"]
) -> dict[str, Float[Array, ""]]:
    """Hold a closed form against the mean of a sample.

    Args:
        name: What it is the closed form of.
        exact: Its value.
        sample: Independent draws of what it is the expectation of.

    Returns:
        `NAME_z`, the sample's mean less the closed form in standard errors; and `NAME_size`, the
        closed form in the same units, which says how small an error could be seen.

    Example:
        >>> found = monte_carlo("loss", 2.5, jnp.array([1.0, 2.0, 3.0, 4.0]))
        >>> float(found["loss_z"]), round(float(found["loss_size"]), 3)
        (0.0, 3.873)
    """
    error = jnp.std(sample, ddof=1) / math.sqrt(sample.shape[0])
    return {f"{name}_z": (jnp.mean(sample) - exact) / error, f"{name}_size": exact / error}
