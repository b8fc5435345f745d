"""Activations with their backward derivatives, and random teachers and students."""

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.gaussian import Quadrature, ReLU
from whytrain.landscapes import Weights

TRUE = {"relu": ReLU(), "tanh": Quadrature(jnp.tanh)}
COARSE = {
    "softplus and a surrogate": Quadrature(jax.nn.softplus, lambda x: jnp.exp(-(x**2)), nodes=24),
}
ACTIVATIONS = TRUE | COARSE


def teacher(k, p, alignment=1.0, norm=1.0, seed=0):
    """A unit filter, and output weights of this length and this `S^2/A`."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(p)
    across = rng.standard_normal(k)
    across -= across.mean()
    across /= max(np.linalg.norm(across), 1e-300)
    share = alignment / k
    a = norm * (np.sqrt(share / k) * np.ones(k) + np.sqrt(1 - share) * across)
    return v / np.linalg.norm(v), a


def student(k, p, seed=1):
    """Random weights of length about one."""
    rng = np.random.default_rng(seed)
    return Weights(jnp.asarray(rng.standard_normal(p)), jnp.asarray(rng.standard_normal(k)))
