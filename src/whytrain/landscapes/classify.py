"""Where runs have come to, on a landscape of which no more is known than its loss."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from whytrain._computes import Computed
from whytrain.errors import UserError
from whytrain.landscapes.curvature import DENSE, dense_sign, sign_by_products
from whytrain.landscapes.outcome import Outcome

NEAR = 0.01  # of a critical point's distance from zero, or of one
SLOPE = 1e-3  # what is left of a gradient near a known point, over the same scale
FLAT = 1e-6  # a gradient that has vanished, where no point is known
LEVEL = 1e-6  # a loss that is the lowest
BEYOND = 1e-3  # a loss that no rounding puts below the lowest
TILE = 64  # most runs that are looked at together
CACHE = 1 << 13  # bytes of parameters beyond which a run is looked at alone


def classify(landscape: Any, params: PyTree) -> Int[np.ndarray, " run"]:
    """The default of `Landscape.outcome`, for a batch of parameters.

    Where critical points are known, a run is at one if it is within 0.01 of it and its gradient,
    along the manifold, is below 1e-3; both times the point's distance from zero or one, whichever
    is more.

    Where none is known, gradient first: a run whose gradient is 1e-6 or more is undecided. Of the
    others the extreme eigenvalues of the Hessian along the manifold tell a saddle (the smallest is
    below -1e-6 times the largest magnitude) from a minimum, and a minimum is global where its loss
    is within 1e-6 of `lowest`. Far below `lowest`, which was not set then, it is undecided: another
    may be lower still. The Hessian of more than 128 parameters is never built: its extreme
    eigenvalues come from products, in memory of some fifty vectors. Where the products do not tell
    (thousands of curvatures crowd at zero), or the curvature is not finite, a run at the lowest
    loss is global and any other undecided.

    Args:
        landscape: A `Landscape`.
        params: Parameters with a leading axis of runs in every leaf.

    Returns:
        Numbers of `Outcome`; `DIVERGED` where a parameter is not finite.
    """
    points = landscape.critical_points()
    flat = np.concatenate(
        [np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(params)], axis=1
    )
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    now = landscape.checksum(jax.tree.map(lambda leaf: np.asarray(leaf)[0], params))
    size = _in_tiles(Computed(_slope, now), landscape, params, finite, _lengths)
    codes = np.full(finite.shape, int(Outcome.UNDECIDED))
    for point in points:
        place = np.asarray(jax.flatten_util.ravel_pytree(point.params)[0])
        scale = max(1.0, float(np.linalg.norm(place)))
        near = np.linalg.norm(flat - place, axis=1) < NEAR * scale
        codes[near & (size < SLOPE * scale)] = Outcome[point.kind.upper()]
    if not points:
        codes = _at_rest(landscape, params, finite & (size < FLAT), now)
    return np.where(finite, codes, int(Outcome.DIVERGED)).astype(np.int8)


def _at_rest(
    landscape: Any, params: PyTree, still: Bool[np.ndarray, " run"], now: bytes
) -> Int[np.ndarray, " run"]:
    """Saddle, global or spurious, for the runs whose gradient vanishes."""
    if not still.any():
        return np.full(still.shape, int(Outcome.UNDECIDED))
    bottom = _number(landscape.lowest)
    losses = _in_tiles(Computed(_loss, now), landscape, params, still)
    lowest = losses <= bottom + LEVEL
    negative = _negative(landscape, params, still, now)
    higher = np.where(negative == 0, int(Outcome.SPURIOUS), int(Outcome.UNDECIDED))
    codes = np.where(lowest, int(Outcome.GLOBAL), higher)
    codes = np.where(negative == 1, int(Outcome.SADDLE), codes)
    beyond = still & (negative != 1) & (losses < bottom - BEYOND * (1 + abs(bottom)))
    codes = np.where(beyond, int(Outcome.UNDECIDED), codes)  # `lowest` is not the lowest
    return np.where(still, codes, int(Outcome.UNDECIDED))


def _negative(
    landscape: Any, params: PyTree, still: Bool[np.ndarray, " run"], now: bytes
) -> Float[np.ndarray, " run"]:
    """1 where a run's Hessian has a negative eigenvalue, 0 where not, NaN where nobody can tell."""
    if _count(params) <= DENSE:
        return _in_tiles(Computed(dense_sign, now), landscape, params, still)
    found = np.zeros(still.shape)
    for run in np.flatnonzero(still):
        found[run] = sign_by_products(landscape, jax.tree.map(lambda leaf, r=run: leaf[r], params))
    return found


def _number(lowest: Any) -> float:
    if not isinstance(lowest, int | float | np.number) or math.isnan(lowest):
        raise UserError(f"lowest must be the loss of a global minimum, a number, got {lowest!r}")
    return float(lowest)


def _slope(landscape: Any, params: PyTree) -> PyTree:
    return landscape.tangent(params, landscape.grad(params))


def _loss(landscape: Any, params: PyTree) -> Float[Array, ""]:
    return landscape.loss(params)


def _lengths(vectors: PyTree) -> Float[np.ndarray, " run"]:
    """The length of each of a batch of vectors, which may be pytrees."""
    rows = [np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(vectors)]
    with np.errstate(over="ignore"):
        return np.sqrt(sum(np.sum(row**2, axis=1) for row in rows))


def _count(params: PyTree) -> int:
    return sum(int(np.prod(np.shape(leaf)[1:])) for leaf in jax.tree.leaves(params))


def _in_tiles(
    function: Callable, landscape: Any, params: PyTree, wanted: Bool[np.ndarray, " run"],
    read: Callable[[PyTree], np.ndarray] = np.asarray,
) -> Float[np.ndarray, " run"]:  # fmt: skip
    """What is read from a function of each run that is wanted; zero elsewhere.

    Runs go through one program in tiles of one size, the last one filled up with copies: another
    number of runs is no new compilation.
    """
    runs = np.flatnonzero(wanted)
    lanes = TILE if 8 * _count(params) <= CACHE else 1
    found = np.zeros(wanted.shape)
    for first in range(0, len(runs), lanes):
        some = runs[first : first + lanes]
        filled = np.pad(some, (0, lanes - len(some)), mode="edge")
        tile = jax.tree.map(lambda leaf, f=filled: np.asarray(leaf)[f], params)
        values = jax.tree.map(np.asarray, _evaluate(function, landscape, tile))
        found[some] = read(values)[: len(some)]
    return found


def _evaluate(function: Callable, landscape: Any, tile: PyTree) -> PyTree:
    numbers, rest = eqx.partition(landscape, eqx.is_array)
    leaves, shape = jax.tree.flatten(rest)
    alone = len(jax.tree.leaves(tile)[0]) == 1
    compute = _of_one if alone else _of_many
    return compute(function, tuple(leaves), shape, numbers, tile)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _of_one(function: Callable, leaves: tuple, shape: Any, numbers: Any, tile: PyTree) -> PyTree:
    """Of a large run, without an axis of runs; compiled well, as its steps are."""
    landscape = eqx.combine(jax.tree.unflatten(shape, leaves), numbers)
    alone = function(landscape, jax.tree.map(lambda leaf: leaf[0], tile))
    return jax.tree.map(lambda leaf: leaf[None], alone)


# Each run goes through it once: to compile it well would take longer than all of them.
@functools.partial(
    jax.jit, static_argnums=(0, 1, 2), compiler_options={"xla_backend_optimization_level": 0}
)
def _of_many(function: Callable, leaves: tuple, shape: Any, numbers: Any, tile: PyTree) -> PyTree:
    landscape = eqx.combine(jax.tree.unflatten(shape, leaves), numbers)
    return jax.vmap(lambda params: function(landscape, params))(tile)
