"""All that a landscape asks of an activation, and two ways to find it."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def closed(activation):
    """A compiled function of `(angle, r, r_star)`: what the activation itself says, as a vector."""

    def vector(angle, r, r_star):
        return jnp.stack([
            activation.mean(r),
            activation.second_moment(r),
            activation.cross(angle, r, r_star),
            activation.backward_mean(r),
            activation.backward_self(r),
            *activation.backward_cross(angle, r, r_star),
        ])  # fmt: skip

    compiled = jax.jit(vector)
    return lambda *args: np.asarray(compiled(*(jnp.asarray(arg, float) for arg in args)))


def variables(sigma, slope, angle, r, r_star, x, across):
    """The random variables of which the vector holds the means; NumPy in, NumPy out."""
    y = math.cos(angle) * x + math.sin(angle) * across
    forward, backward, star = sigma(r * x), slope(r * x), sigma(r_star * y)
    products = (
        forward, forward**2, forward * star,
        x * backward, x * backward * forward, x * backward * star, across * backward * star,
    )  # fmt: skip
    return np.stack(products)


def by_trapezoids(sigma, slope, angle, r, r_star):
    """The vector from sums on a grid: for functions analytic in a strip, exact to rounding."""
    grid = np.arange(-9, 9.001, 0.05)
    weight = np.exp(-(grid**2) / 2) * 0.05 / math.sqrt(2 * math.pi)
    x, across = np.meshgrid(grid, grid, indexing="ij")
    return variables(sigma, slope, angle, r, r_star, x, across) @ weight @ weight
