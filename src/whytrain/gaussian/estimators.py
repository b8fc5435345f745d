"""Straight-through estimators: the derivative that stands in for that of a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Estimator:
    """A surrogate derivative `mu'` for the backward pass through a quantized activation.

    Attributes:
        name: Its short name.
        derivative: `mu'`, elementwise.
        kinks: Where `mu'` is not smooth.
        source: Where it comes from.
        doc: What it is, in one line.
    """

    name: str
    derivative: Callable[[Float[Array, "*n"]], Float[Array, "*n"]]
    kinks: tuple[float, ...]
    source: str
    doc: str


_YIN = "Yin et al. 2019"
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType({
    estimator.name: estimator
    for estimator in (
        Estimator("identity", jnp.ones_like, (), _YIN, "mu'(x) = 1"),
        Estimator("relu", lambda x: (x > 0).astype(x.dtype), (0.0,), _YIN, "mu'(x) = 1{x > 0}"),
        Estimator(
            "clipped_relu", lambda x: ((x > 0) & (x < 1)).astype(x.dtype), (0.0, 1.0), _YIN,
            "mu'(x) = 1{0 < x < 1}",
        ),
    )
})  # fmt: skip
