"""Whether a landscape's closed forms are those of its own samples, and of its own loss."""

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from whytrain.errors import UserError
from whytrain.landscapes import CriticalPoint, Landscape
from whytrain.landscapes.landscape import Kind
from whytrain.testing.told import FAR, name_of, tried

_SCALES = (0.1, 1e-2, 1e-3)  # how far from a critical point to look around
_AROUND = 600  # places at each of them


def check_landscape(
    landscape: Landscape,
    params: PyTree,
    *,
    keys: Array | None = None,
    samples: int = 2000,
    coarse: bool = False,
    tolerance: float = 1e-6,
) -> None:
    """Hold a landscape's loss, gradient, manifold and critical points against slow ways to them.

    - `loss` is one finite number, `grad` has the shapes of the parameters, observables are numbers;
    - `grad` is autodiff of `loss`, and the slope of `loss` between neighboring points;
    - with `keys`, the means of `empirical_loss` and `empirical_grad` over samples lie within 6
      standard errors of `loss` and `grad`;
    - `tangent` is a projection, `retract` leaves the manifold as it is, and they fit together;
    - at each critical point the slope vanishes and the loss is as stated; nothing near a minimum is
      lower, no other point is lower than the global one, something near a saddle is lower.

    Args:
        landscape: The landscape.
        params: A point at which `loss` is smooth, and no critical point.
        keys: A batch of samples is drawn from each, 50 or more; None where there is nothing to
            sample.
        samples: In a batch.
        coarse: Whether `grad` is meant to be another vector than the gradient of `loss`.
        tolerance: Of a derivative, relative to its length or one.

    Raises:
        AssertionError: Something is wrong. A right landscape fails with a probability below 1e-5.

    Example:
        >>> class Bowl(Landscape):
        ...     def loss(self, params):
        ...         return 0.5 * params**2
        >>> check_landscape(Bowl(), np.array(3.0))
        >>> class Steep(Bowl):
        ...     def grad(self, params):
        ...         return 2 * params
        >>> check_landscape(Steep(), np.array(3.0))
        Traceback (most recent call last):
        AssertionError: Steep: grad is off autodiff of loss by 0.5 of its length
    """
    name = name_of(landscape)
    with jax.enable_x64(True):
        at = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
        slope = _shapes(name, landscape, at)
        if not coarse:
            _derivative(name, landscape, at, slope, tolerance)
        if keys is not None:
            _sampled(name, landscape, at, keys, samples, coarse)
        _manifold(name, landscape, at, slope)
        _critical(name, landscape, coarse, tolerance)


def _compiled(function: Callable[[PyTree], Any]) -> Callable[[PyTree], Any]:
    # A method of a module that holds NumPy arrays has no hash, a function of its own has one.
    return jax.jit(lambda params: function(params))


def _flat(tree: PyTree) -> np.ndarray:
    return np.asarray(ravel_pytree(tree)[0])


def _shapes(name: str, landscape: Landscape, at: PyTree) -> PyTree:
    for what, number in {"loss": landscape.loss, **landscape.observables()}.items():
        found = jnp.asarray(tried(f"{name}: {what}", _compiled(number), at))
        assert found.shape == (), f"{name}: {what} has shape {found.shape}, one number is wanted"
        assert bool(jnp.isfinite(found)), f"{name}: {what} is {float(found)}"
    slope = tried(f"{name}: grad", _compiled(landscape.grad), at)
    _alike(name, "grad", slope, at)
    _alike(name, "tangent", tried(f"{name}: tangent", landscape.tangent, at, slope), at)
    _alike(name, "retract", tried(f"{name}: retract", landscape.retract, at), at)
    return slope


def _alike(name: str, what: str, found: PyTree, like: PyTree) -> None:
    """The form of the parameters, in the precision of the parameters."""
    forms = [
        (jax.tree.structure(tree), [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in
                                    jax.tree.leaves(tree)])
        for tree in (found, like)
    ]  # fmt: skip
    assert forms[0] == forms[1], (
        f"{name}: {what} has not the form of the parameters: {_words(found)} for {_words(like)}"
    )
    assert np.isfinite(_flat(found)).all(), f"{name}: {what} holds a number that is not finite"


def _words(tree: PyTree) -> str:
    shapes = [f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}" for leaf in jax.tree.leaves(tree)]
    return f"{type(tree).__name__} of {', '.join(shapes)}"


def _off(found: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(found - right) / max(np.linalg.norm(found), 1.0))


def _derivative(
    name: str, landscape: Landscape, at: PyTree, slope: PyTree, tolerance: float
) -> None:
    found, auto = _flat(slope), _flat(_compiled(jax.grad(lambda x: landscape.loss(x)))(at))
    off = _off(found, auto)
    assert off <= tolerance, f"{name}: grad is off autodiff of loss by {off:.2g} of its length"
    place, unravel = ravel_pytree(at)
    loss, rng = jax.jit(lambda x: landscape.loss(unravel(x))), np.random.default_rng(0)
    for _ in range(4):  # random directions: a wrong coordinate is in all of them
        way = rng.standard_normal(len(place))
        way /= np.linalg.norm(way)
        near, far = ((loss(place + h * way) - loss(place - h * way)) / (2 * h)
                     for h in (1e-3, 2e-3))  # fmt: skip
        gap = abs(float(4 * near - far) / 3 - found @ way) / max(float(np.linalg.norm(found)), 1.0)
        assert gap <= tolerance, (
            f"{name}: grad is off differences of loss by {gap:.2g} of its length"
        )


def _sampled(
    name: str, landscape: Landscape, at: PyTree, keys: Array, samples: int, coarse: bool
) -> None:
    assert len(keys) >= 50, f"{name}: 50 keys or more are needed for an error, got {len(keys)}"

    def one(key: Array) -> Array:
        batch = landscape.sample(key, samples)
        slope = landscape.empirical_grad(at, batch)
        return jnp.append(ravel_pytree(slope)[0], landscape.empirical_loss(at, batch))

    drawn = np.asarray(tried(f"{name}: sampling", lambda: jax.jit(jax.lax.map, static_argnums=0)(
        one, keys)))  # fmt: skip
    assert np.ptp(drawn, axis=0).any(), f"{name}: samples of different keys are the same"
    right = np.append(_flat(landscape.grad(at)), landscape.loss(at))
    error = drawn.std(axis=0, ddof=1) / math.sqrt(len(drawn))
    rounding = 1e-9 * max(1.0, float(np.abs(right).max()))
    far = np.abs(drawn.mean(axis=0) - right) / np.maximum(error, rounding)
    for what, gap in (("grad", far[:-1].max(initial=0.0)), ("loss", far[-1])):
        assert gap < FAR, f"{name}: {what} is {gap:.3g} standard errors from the mean over samples"
    if not coarse:
        batch = landscape.sample(keys[0], samples)
        auto = jax.grad(landscape.empirical_loss)(at, batch)
        off = _off(_flat(landscape.empirical_grad(at, batch)), _flat(auto))
        assert off < 1e-11, f"{name}: empirical_grad is off autodiff of empirical_loss by {off:.2g}"


def _manifold(name: str, landscape: Landscape, at: PyTree, slope: PyTree) -> None:
    on = landscape.retract(at)
    again = _off(_flat(landscape.retract(on)), _flat(on))
    assert again < 1e-12, f"{name}: retract moves a point of the manifold by {again:.2g}"
    way = landscape.tangent(on, slope)
    twice = _off(_flat(landscape.tangent(on, way)), _flat(way))
    assert twice < 1e-12, f"{name}: tangent is no projection: applied twice it is off {twice:.2g}"
    h = 1e-5
    moved = landscape.retract(jax.tree.map(lambda p, v: p + h * v, on, way))
    drift = _off((_flat(moved) - _flat(on)) / h, _flat(way))
    assert drift < 1e-3 * max(1.0, float(np.linalg.norm(_flat(way)))), (
        f"{name}: a short step along tangent is turned by retract, by {drift:.2g} of its length"
    )


def _slope(landscape: Landscape, at: PyTree) -> float:
    """The length of the gradient along the manifold."""
    slope = _compiled(lambda params: landscape.tangent(params, landscape.grad(params)))(at)
    return float(np.linalg.norm(_flat(slope)))


def _differences(landscape: Landscape, at: PyTree) -> float:
    """The largest slope of the loss among some directions: of a coarse gradient nothing is known.

    Autodiff would have none where filters are parallel.
    """
    place, unravel = ravel_pytree(at)
    ways, h = np.random.default_rng(0).standard_normal((8, len(place))), 1e-4
    ends = [jax.vmap(unravel)(place + side * h * ways) for side in (1, -1)]
    high, low = (np.asarray(_losses(landscape)(end)) for end in ends)
    return float(np.abs(high - low).max() / (2 * h))


def _critical(name: str, landscape: Landscape, coarse: bool, tolerance: float) -> None:
    try:
        points = landscape.critical_points()
    except UserError:  # as a landscape may say where it knows none
        return
    loss = _compiled(landscape.loss)
    slope = _differences if coarse else _slope
    for point in points:
        what = f"{name}: the {point.kind} point"
        assert point.kind in get_args(Kind), f"{what} is none of {', '.join(get_args(Kind))}"
        at = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), point.params)
        size, most = slope(landscape, at), max(tolerance, 1e-6 * coarse)
        assert size <= most, f"{what} is not critical: the slope is {size:.2g}"
        off = abs(float(loss(at)) - point.loss)
        assert off <= tolerance, (
            f"{what} has loss {float(loss(at)):.6g}, stated is {point.loss:.6g}"
        )
        _neighbors(what, landscape, point, at)
    _lowest(name, landscape, points, tolerance)


def _neighbors(what: str, landscape: Landscape, point: CriticalPoint, at: PyTree) -> None:
    rise = np.concatenate([_around(landscape, at, scale) - point.loss for scale in _SCALES])
    rounding = 1e-12 * max(1.0, abs(point.loss))
    if point.kind == "saddle":
        assert rise.min() < -rounding, f"{what} has no lower neighbor"
    else:
        assert rise.min() >= -rounding, f"{what} has a neighbor that is lower by {-rise.min():.2g}"


def _around(landscape: Landscape, at: PyTree, scale: float) -> np.ndarray:
    """Losses near a point of the manifold: all parameters moved, and each array alone."""
    leaves, treedef = jax.tree.flatten(at)
    rng = np.random.default_rng(0)
    found = []
    for alone in (None, *range(len(leaves))):
        count = _AROUND if alone is None else _AROUND // len(leaves)
        moved = [
            leaf + (alone in (None, i)) * scale * rng.random((count, *[1] * leaf.ndim))
            * rng.standard_normal((count, *leaf.shape)) / math.sqrt(max(leaf.size, 1))
            for i, leaf in enumerate(leaves)
        ]  # fmt: skip
        found.append(_losses(landscape)(jax.tree.unflatten(treedef, moved)))
    return np.concatenate(list(map(np.asarray, found)))


def _losses(landscape: Landscape) -> Callable[[PyTree], Any]:
    return jax.jit(jax.vmap(lambda params: landscape.loss(landscape.retract(params))))


def _lowest(
    name: str, landscape: Landscape, points: Sequence[CriticalPoint], tolerance: float
) -> None:
    best = [point.loss for point in points if point.kind == "global"]
    for loss in best:
        assert abs(loss - landscape.lowest) <= tolerance, (
            f"{name}: the global point has loss {loss:.6g}, lowest is {landscape.lowest:.6g}"
        )
    for point in points:
        below = any(point.loss < loss - tolerance for loss in best)
        assert not below, f"{name}: the {point.kind} point is lower than the global one"
