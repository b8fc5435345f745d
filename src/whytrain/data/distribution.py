"""Distributions of examples that papers assume, to be drawn from."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from whytrain._types import Numeric


class Distribution(eqx.Module):
    """Where examples come from. A subclass gives `sample`.

    Example:
        Points on the unit sphere that all belong to one class, in four lines::

            class Sphere(Distribution):
                def sample(self, key, n):
                    x = jax.random.normal(key, (n, 3))
                    return x / jnp.linalg.norm(x, axis=1, keepdims=True), jnp.ones(n)
    """

    @abc.abstractmethod
    def sample(self, key: Array, n: int) -> tuple[Shaped[Array, "n ..."], Shaped[Array, "n ..."]]:
        """`n` inputs with their targets, independent of each other."""


class LinearTeacher(Distribution):
    """`x ~ N(0, I)` and `y = sign(w . x)`, or `y = w . x + noise` with `values`.

    Attributes:
        direction: `w`.
        values: Whether targets are values in place of signs.
        noise: The standard deviation of what is added to values.

    Example:
        >>> teacher = LinearTeacher(jnp.array([1.0, 0.0]))
        >>> x, y = teacher.sample(jax.random.key(0), 100)
        >>> bool((y == jnp.sign(x[:, 0])).all())
        True
    """

    direction: Float[Numeric, " d"]
    values: bool = eqx.field(static=True, default=False)
    noise: float = 0.0

    def sample(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """`n` inputs, with signs or values."""
        of_inputs, of_noise = jax.random.split(key)
        direction = jnp.asarray(self.direction)
        x = jax.random.normal(of_inputs, (n, len(direction)), direction.dtype)
        exact = x @ direction
        if not self.values:
            return x, jnp.where(exact >= 0, 1, -1).astype(exact.dtype)
        return x, exact + self.noise * jax.random.normal(of_noise, (n,), exact.dtype)


class GaussianMixture(Distribution):
    """`y = +1` or `-1`, each half of the time, and `x ~ N(y * mean, deviation^2 I)`.

    Attributes:
        mean: The center of the class `+1`; that of `-1` is opposite.
        deviation: The standard deviation in every direction.

    Example:
        >>> mixture = GaussianMixture(jnp.array([3.0, 0.0]), deviation=0.1)
        >>> x, y = mixture.sample(jax.random.key(0), 100)
        >>> bool((jnp.sign(x[:, 0]) == y).all())
        True
    """

    mean: Float[Numeric, " d"]
    deviation: float = 1.0

    def sample(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """`n` inputs with their signs."""
        of_signs, of_inputs = jax.random.split(key)
        mean = jnp.asarray(self.mean)
        y = jax.random.rademacher(of_signs, (n,), mean.dtype)
        x = jax.random.normal(of_inputs, (n, len(mean)), mean.dtype)
        return y[:, None] * mean + self.deviation * x, y
