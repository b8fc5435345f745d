"""The paper's formulas as it prints them, from its own symbols; nothing of the landscape.

They are what the closed forms of the package are held against. `v, vs` are output weights of
student and teacher, `w, ws` filters, `ws` of length one.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.landscapes import angle_between
from whytrain.studies.yin2019.setup import ROOT

Output = Float[Numeric, " m"]
Filter = Float[Numeric, " n"]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)


def loss(v: Output, vs: Output, theta: Array) -> Array:
    """Lemma 1."""
    kappa = 1 - 2 * theta / math.pi
    quadratic = jnp.sum(v * v) + jnp.sum(v) ** 2
    cross = kappa * jnp.sum(v * vs) + jnp.sum(v) * jnp.sum(vs)
    return (quadratic - 2 * cross + jnp.sum(vs * vs) + jnp.sum(vs) ** 2) / 8


def loss_at_zero(vs: Output) -> Array:
    """Lemma 1: `f(v, 0)`, whatever v."""
    return (jnp.sum(vs**2) + jnp.sum(vs) ** 2) / 8


def output_gradient(v: Output, vs: Output, theta: Array) -> Output:
    """Equation (6)."""
    kappa = 1 - 2 * theta / math.pi
    return (v + jnp.sum(v) - kappa * vs - jnp.sum(vs)) / 4


def filter_gradient(v: Output, vs: Output, w: Filter, ws: Filter) -> Filter:
    """Equation (7); needs an angle between 0 and pi."""
    r = jnp.sqrt(jnp.sum(w * w))
    across = ws - jnp.sum(w * ws) * w / r**2
    unit = across / jnp.sqrt(jnp.sum(across**2))
    return -jnp.sum(v * vs) / (2 * math.pi * r) * unit


def shrink(v: Output, vs: Output) -> Array:
    """`h = |v|^2 + (1.v)^2 - (1.v)(1.v*) + v.v*`."""
    s, ss = jnp.sum(v), jnp.sum(vs)
    return jnp.sum(v * v) + s**2 - s * ss + jnp.sum(v * vs)


def coarse_identity(v: Output, vs: Output, w: Filter, ws: Filter) -> Filter:
    """Equation (14)."""
    unit = w / jnp.sqrt(jnp.sum(w * w))
    return (jnp.sum(v * v) * unit - jnp.sum(v * vs) * ws) / ROOT


def coarse_relu(v: Output, vs: Output, w: Filter, ws: Filter) -> Filter:
    """Equation (11), which is 0/0 at an angle of pi."""
    unit = w / jnp.sqrt(jnp.sum(w * w))
    middle = unit + ws
    middle = middle / jnp.sqrt(jnp.sum(middle**2))
    pull = jnp.cos(angle_between(w, ws) / 2) * jnp.sum(v * vs) / ROOT
    return shrink(v, vs) / (2 * ROOT) * unit - pull * middle


def p_and_q(theta: Array, r: Array) -> tuple[Array, Array]:
    """The two integrals of the published clipped-ReLU lemma, over the turn, by quadrature.

    `1/(2 pi) int cos t xi(sec t / r) dt` and the same with `sin t`, from `theta - pi/2` to `pi/2`,
    with `xi(x) = int_0^x s^2 exp(-s^2/2) ds`.
    """
    ends = jnp.linspace(theta - math.pi / 2, math.pi / 2, 9)
    half = (ends[1:] - ends[:-1])[:, None] / 2
    t = ((ends[1:] + ends[:-1])[:, None] / 2 + half * NODES).ravel()
    weights = (half * WEIGHTS).ravel()
    x = 1 / (jnp.cos(t) * r)
    xi = math.sqrt(math.pi / 2) * erf(x / math.sqrt(2)) - x * jnp.exp(-(x**2) / 2)
    return (
        jnp.sum(weights * jnp.cos(t) * xi) / (2 * math.pi),
        jnp.sum(weights * jnp.sin(t) * xi) / (2 * math.pi),
    )


def coarse_clipped(v: Output, vs: Output, w: Filter, ws: Filter) -> Filter:
    """The published lemma: `p(0, w)/2 h wbar - P csc q (wbar + w*)/|...| - P (p - cot q) wbar`."""
    r = jnp.sqrt(jnp.sum(w * w))
    unit, theta, overlap = w / r, angle_between(w, ws), jnp.sum(v * vs)
    middle = unit + ws
    middle = middle / jnp.sqrt(jnp.sum(middle**2))
    (first, _), (p, q) = p_and_q(0.0 * theta, r), p_and_q(theta, r)
    bisector = q / jnp.sin(theta / 2) * middle
    along = p - q / jnp.tan(theta / 2)
    return first / 2 * shrink(v, vs) * unit - overlap * (bisector + along * unit)


COARSE = {"identity": coarse_identity, "relu": coarse_relu, "clipped_relu": coarse_clipped}
