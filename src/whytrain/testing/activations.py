"""Whether an activation's expectations are those of the functions that it says it is."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import integrate

from whytrain.gaussian import Activation, Quadrature
from whytrain.testing.told import FAR, name_of, tried

ANGLES = (0.0, 1e-3, 0.7, math.pi / 2, 2.0, math.pi)
RADII = ((1.0, 1.0), (0.5, 2.0))
_DRAWS = 200_000
_NAMES = (
    "mean", "second_moment", "cross", "backward_mean", "backward_self", "backward_cross (along)",
    "backward_cross (across)",
)  # fmt: skip
_ONE_DIMENSIONAL = (0, 1, 3, 4)

Function = Callable[[np.ndarray], np.ndarray]
Both = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def check_activation(
    activation: Activation,
    kinks: Sequence[float] = (),
    *,
    surrogate: bool = False,
    angles: Sequence[float] = ANGLES,
    radii: Sequence[tuple[float, float]] = RADII,
    tolerance: float = 1e-9,
) -> None:
    """Hold every expectation of an activation against three ways to it, and what else it declares.

    - `forward` and `backward` are elementwise and finite; `backward` is the slope of `forward`,
      unless it is a surrogate;
    - every expectation is that of `forward` and `backward` by Monte Carlo, to 6 standard errors; by
      the package's quadrature; and where it is over one variable, by SciPy's adaptive one;
    - `shortfall`, `degree`, `steepness` and `scalar` are true of it, where it has them.

    Args:
        activation: The activation.
        kinks: Where `forward` or `backward` is not smooth, besides zero.
        surrogate: Whether `backward` is meant to be another function than the slope of `forward`.
        angles: Between the two filters.
        radii: Their lengths.
        tolerance: Between quadratures, for numbers of size one.

    Raises:
        AssertionError: Something is wrong. A right activation fails with a probability below 1e-6.

    Example:
        >>> from whytrain.gaussian import ReLU
        >>> check_activation(ReLU(), angles=(0.7,), radii=((1.0, 1.0),))
        >>> class Wrong(ReLU):
        ...     def mean(self, radius):
        ...         return radius / 2
        >>> check_activation(Wrong())
        Traceback (most recent call last):
        AssertionError: Wrong: mean is 0.5 at lengths 1, 1 and angle 0, by quadrature 0.398942
    """
    name = name_of(activation)
    with jax.enable_x64(True):
        _functions(name, activation, kinks, surrogate)
        slow = Quadrature(activation.forward, activation.backward, kinks, 60)
        ours, theirs = _vector(activation), _vector(slow)
        both = _both(activation)
        for (r, r_star), angle in product(radii, angles):
            at = f"lengths {r:g}, {r_star:g} and angle {angle:g}"
            found = tried(f"{name} at {at}", ours, angle, r, r_star)
            right = theirs(angle, r, r_star)
            _compare(name, found, right, tolerance, f"at {at}, by quadrature")
            _monte_carlo(name, both, found, (angle, r, r_star), at)
            _adaptive(name, both, found, kinks, r, tolerance, at)
        _declared(name, activation)


def _vector(activation: Activation) -> Callable[[float, float, float], np.ndarray]:
    """All expectations as one compiled function of the angle and both lengths."""

    @jax.jit
    def vector(angle: Array, r: Array, r_star: Array) -> Array:
        return jnp.stack([
            jnp.asarray(activation.mean(r)),
            jnp.asarray(activation.second_moment(r)),
            jnp.asarray(activation.cross(angle, r, r_star)),
            jnp.asarray(activation.backward_mean(r)),
            jnp.asarray(activation.backward_self(r)),
            *map(jnp.asarray, activation.backward_cross(angle, r, r_star)),
            jnp.asarray(activation.shortfall(angle, r, r_star)),
        ])  # fmt: skip

    return lambda *at: np.asarray(vector(*(jnp.asarray(x, float) for x in at)))


def _functions(name: str, activation: Activation, kinks: Sequence[float], surrogate: bool) -> None:
    # Nowhere near a kink, and on no round number.
    x = np.linspace(-4.0173, 4.0191, 2000).reshape(8, 250)
    x = np.where(np.min(np.abs(x[..., None] - [0.0, *kinks]), axis=-1) < 1e-3, 0.1234, x)
    for what in ("forward", "backward"):
        value = np.asarray(tried(f"{name}: {what}", getattr(activation, what), jnp.asarray(x)))
        assert value.shape == x.shape, f"{name}: {what} is not elementwise: {value.shape}"
        assert np.isfinite(value).all(), f"{name}: {what} is not finite on [-4, 4]"
        alone = np.asarray(getattr(activation, what)(jnp.asarray(x[3, 7])))
        assert abs(alone - value[3, 7]) < 1e-12, f"{name}: {what} of a number depends on others"
    if not surrogate:
        h = 1e-5
        low, high = (np.asarray(activation.forward(jnp.asarray(x + s * h))) for s in (-1, 1))
        off = np.abs((high - low) / (2 * h) - np.asarray(activation.backward(jnp.asarray(x))))
        worst = np.unravel_index(np.argmax(off), off.shape)
        assert off[worst] < 1e-6, (
            f"{name}: backward is off the slope of forward by {off[worst]:.2g} at {x[worst]:.4g}; "
            "is it a surrogate (surrogate=True)?"
        )


def _compare(name: str, found: np.ndarray, right: np.ndarray, tolerance: float, where: str) -> None:
    for what, one, other in zip((*_NAMES, "shortfall"), found, right, strict=True):
        assert abs(one - other) <= tolerance * max(1.0, abs(other)), (
            f"{name}: {what} is {one:.6g} {where} {other:.6g}"
        )


def _both(activation: Activation) -> Both:
    """Forward and backward, as one compiled function: it is called at thousands of places."""
    both = jax.jit(lambda x: (activation.forward(x), activation.backward(x)))

    def values(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        forward, backward = both(x)
        return np.asarray(forward, float), np.asarray(backward, float)

    return values


def _terms(both: Both, r: float) -> Function:
    """What the expectations over one variable average, in the order of the vector."""

    def terms(x: np.ndarray) -> np.ndarray:
        forward, backward = both(r * x)
        return np.stack([forward, forward**2, x * backward, x * backward * forward])

    return terms


def _monte_carlo(
    name: str,
    both: Both,
    found: np.ndarray,
    at: tuple[float, float, float],
    where: str,
) -> None:
    angle, r, r_star = at
    x, across = np.random.default_rng(7).standard_normal((2, _DRAWS))
    star, _ = both(r_star * (math.cos(angle) * x + math.sin(angle) * across))
    forward, backward = both(r * x)
    one = _terms(both, r)(x)
    drawn = np.stack([
        one[0], one[1], forward * star, one[2], one[3], x * backward * star,
        across * backward * star,
    ])  # fmt: skip
    error = drawn.std(axis=1, ddof=1) / math.sqrt(_DRAWS)
    far = np.abs(drawn.mean(axis=1) - found[:-1]) / np.maximum(error, 1e-12)
    for what, gap in zip(_NAMES, far, strict=True):
        assert gap < FAR, f"{name}: {what} is {gap:.3g} standard errors off Monte Carlo at {where}"


def _adaptive(
    name: str, both: Both, found: np.ndarray, kinks: Sequence[float], r: float,
    tolerance: float, where: str,
) -> None:  # fmt: skip
    terms = _terms(both, r)
    ends = np.unique([-9.0, 0.0, 9.0, *(k / r for k in kinks if abs(k / r) < 9)])

    def density(x: float) -> Float[np.ndarray, " term"]:
        return terms(np.array([x]))[:, 0] * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    right = sum(
        integrate.quad_vec(density, low, high, epsabs=tolerance / 10, epsrel=1e-12)[0]
        for low, high in pairwise(ends)
    )
    for i, other in zip(_ONE_DIMENSIONAL, np.asarray(right), strict=True):
        assert abs(found[i] - other) <= tolerance * max(1.0, abs(other)), (
            f"{name}: {_NAMES[i]} is {found[i]:.6g} at {where}, by adaptive quadrature {other:.6g}"
        )


def _declared(name: str, activation: Activation) -> None:
    x = jnp.array([-2.0, -0.1, 0.3, 4.0])
    if (degree := activation.degree) is not None:
        off = jnp.abs(activation.forward(3 * x) - 3.0**degree * activation.forward(x)).max()
        assert float(off) < 1e-12, f"{name}: it is not homogeneous of degree {degree}"
    angles = np.linspace(1e-4, math.pi - 1e-4, 200)
    cross = np.asarray(jax.jit(jax.vmap(activation.cross))(jnp.asarray(angles)))
    across = np.asarray(
        jax.jit(jax.vmap(lambda a: activation.backward_cross(a)[1]))(jnp.asarray(angles))
    )
    if (steepness := activation.steepness) is not None:
        most = steepness * np.minimum(angles, math.pi - angles)
        good = (across >= -1e-12) & (across <= most + 1e-12)
        assert good.all(), f"{name}: steepness {steepness:g} is wrong at {angles[~good][0]:.4g}"
    if (scalar := activation.scalar) is not None:
        by_hand = [scalar(math.pi - a, math.cos(a), math.sin(a)) for a in angles]
        off = np.abs(np.array(by_hand).T / (2 * math.pi) - [cross, across]).max()
        assert off < 1e-12, f"{name}: scalar is off cross and backward_cross by {off:.2g}"
