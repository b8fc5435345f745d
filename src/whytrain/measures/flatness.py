"""PAC-Bayes flatness: how much noise the weights bear, by Monte Carlo with an error bar."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from whytrain._computes import Computed, computes
from whytrain._lazy import later
from whytrain._random import normal
from whytrain.errors import UserError
from whytrain.measures.arrays import jax_key
from whytrain.measures.hessian import cast, check_parts
from whytrain.measures.loss import parts, seen_by_jax, told
from whytrain.measures.trained import OfTrained, check_same
from whytrain.measures.trained import trained as moving

stats = later("scipy.stats")

_FINE = 1e-9  # of the binary logarithm of sigma
_FARTHEST = 480.0  # the binary logarithm of the least and the largest sigma whose square is one
_ROUNDING = 1e-10  # of a loss; with 16 digits six are left of a rise that small


@dataclass(frozen=True)
class Flatness(OfTrained):
    """The noise that raises a loss by a given amount.

    Attributes:
        sigma: The standard deviation of the noise, the geometric mean over groups of draws.
        low: The lower end of its 95 % interval.
        high: The upper end.
        measure: `1 / sigma^2`.
        divergence: `||w - w0||^2 / (2 sigma^2)`, the Kullback-Leibler divergence of the noisy
            weights from as noisy initial ones; a PAC-Bayes gap is about `sqrt((divergence + ln(m /
            delta)) / (2 m))`.
    """

    sigma: float
    low: float
    high: float
    measure: float
    divergence: float


def flatness(
    loss: Any,
    initial: PyTree,
    trained: PyTree,
    *data: Any,
    seed: Any = 0,
    key: Any = None,
    target: float = 0.1,
    draws: int = 8,
    groups: int = 12,
    batch: int | None = None,
) -> Flatness:
    """Find the `sigma` at which isotropic noise raises the loss by `target` in the mean.

        E_z [ loss(w + sigma z) ] - loss(w) = target,    z standard normal

    After McAllester 2003 and Neyshabur, Bhojanapalli, McAllester and Srebro 2017; the noise has one
    size for all parameters, so that the measure is not invariant under rescaling of layers. Each
    group of draws is solved for its own `sigma` by bisection, with the same draws at every
    step; the interval is Student's t of the logarithms over groups. Where the loss rises and falls
    again it is the first rise that counts, as far as a search by factors of four sees it.
    Implementations that pass the variance where a standard deviation is wanted, or draw anew at
    every step, give another number or none.

    Args:
        loss: `loss(params, *data)`: a mean loss, or an error rate.
        initial: The parameters before training.
        trained: The parameters after it: a pytree of arrays, or an Equinox module, of which the
            arrays of floating-point numbers are moved and nothing else.
        *data: What else the loss takes.
        seed: Where the noise comes from: an integer.
        key: A JAX key in place of a seed.
        target: The rise.
        draws: Draws a group.
        groups: Groups, two or more.
        batch: How many examples are held at a time, for a loss that is a mean over examples, which
            the first axis of every array of `data` counts; None for all, and any loss.

    Returns:
        The noise that is borne, with its interval.

    Raises:
        UserError: A number is out of range, the parameters are not of one network, the loss cannot
            be computed, no noise raises the loss that much, or it is not finite before it has
            risen.

    Example:
        >>> half = lambda w: 0.5 * jnp.sum(w**2)   # rises by 100 sigma^2 / 2
        >>> found = flatness(half, np.ones(100), np.zeros(100), key=jax.random.key(0), target=0.5)
        >>> found.low < 0.1 < found.high
        True
    """
    if not (0 < target < math.inf) or draws < 1 or groups < 2:
        raise UserError(
            f"needed: target > 0, draws >= 1, groups >= 2; got {target:g}, {draws}, {groups}"
        )
    keys = jax.random.split(jax_key(seed, key), (groups, draws))
    with jax.enable_x64(True):
        found = moving(loss, trained)
        params, distance = cast(found.arrays, jnp.float64), squared_distance(initial, trained)
        first = check_parts(replace(found, arrays=params), data, batch)
        with told():
            loss = Computed(found.loss, computes(seen_by_jax(found.loss), params, *first))
            base = sum(
                share * float(found.loss(params, *part)) for share, part in parts(data, batch)
            )
        if not abs(base) * _ROUNDING < target:
            raise UserError(
                f"a rise by {target:g} is lost in the rounding of the loss, {base:g}; choose a "
                "larger target"
            )

        def raised(sigmas: np.ndarray) -> np.ndarray:
            with told():
                means = [
                    share * np.asarray(_mean_loss(loss, params, part, keys, jnp.asarray(sigmas)))
                    for share, part in parts(data, batch)
                ]
            return np.sum(means, axis=0)

        logs = np.log(_solve(raised, groups, base + target))
    return _summary(logs, distance, found.left_out)


def _summary(logs: Float[np.ndarray, " group"], distance: float, left_out: str) -> Flatness:
    groups = len(logs)
    center, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(groups)
    reach = float(stats.t.ppf(0.975, groups - 1)) * error
    with np.errstate(over="ignore"):
        sigma, low, high = np.exp([center, center - reach, center + reach])
        divergence = distance / (2 * sigma**2)
    if not np.isfinite([high, divergence]).all() or low == 0:
        raise UserError(
            f"the noise that is borne is not known even roughly, from {low:.3g} to {high:.3g}, or "
            "its divergence is beyond the largest number; give more groups or scale the loss"
        )
    return Flatness(
        float(sigma),
        float(low),
        float(high),
        float(sigma**-2),
        float(divergence),
        left_out=left_out,
    )


def squared_distance(initial: PyTree, trained: PyTree) -> float:
    """`||w - w0||^2` of the parameters of one network."""
    begin = check_same(initial, trained)
    end = check_same(trained, trained)
    with np.errstate(over="ignore"):
        return sum(
            float(np.sum((a.astype(np.float64) - b.astype(np.float64)) ** 2))
            for a, b in zip(end, begin, strict=True)
        )


def _solve(
    raised: Callable[[np.ndarray], np.ndarray], groups: int, goal: float
) -> Float[np.ndarray, " group"]:
    """For every group a sigma at which its mean loss is the goal."""
    low, high = np.full(groups, -np.inf), np.full(groups, np.inf)
    guess, at_high = np.full(groups, -12.0), np.zeros(groups)
    while (np.abs(guess) < _FARTHEST).all() and not (high - low < _FINE).all():
        means = raised(np.exp2(guess))
        above = ~(means < goal)  # noise that makes the loss infinite or NaN is too much
        at_high = np.where(above, means, at_high)
        high, low = np.where(above, guess, high), np.where(above, low, guess)
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        step = np.maximum(2, np.abs(guess) / 8)
        guess = np.select([np.isinf(high), np.isinf(low)], [guess + step, guess - step], middle)
    found = high - low < _FINE
    if not found.all():
        what, far = f"no noise raises the loss to {goal:.4g}, tried up to", _FARTHEST
        if not np.isinf(high).any():
            what, far = f"all noise raises the loss beyond {goal:.4g}, tried down to", -_FARTHEST
        raise UserError(
            f"{what} a standard deviation of {2**far:.0e}, in {int((~found).sum())} of {groups} "
            "groups of draws; choose another target, or more draws"
        )
    if not np.isfinite(at_high).all():
        raise UserError(
            f"noise of standard deviation {np.exp2(high[~np.isfinite(at_high)][0]):.3g} makes the "
            f"loss {at_high[~np.isfinite(at_high)][0]}, and before it does not reach {goal:.4g}; "
            "choose a smaller target, or a loss that is finite"
        )
    return np.exp2((low + high) / 2)


def with_noise(params: PyTree, key: Array, sigma: Array) -> PyTree:
    """Parameters with independent normal noise of standard deviation `sigma`."""
    flat, unravel = ravel_pytree(params)  # one draw for all leaves is compiled once
    return unravel(flat + sigma * normal(key, flat.shape, flat.dtype))


@partial(jax.jit, static_argnums=0)
def _mean_loss(
    loss: Callable, params: PyTree, data: tuple, keys: Array, sigmas: Array
) -> Float[Array, " group"]:
    def group(at: tuple) -> Array:
        draws, sigma = at
        return jnp.mean(
            jax.lax.map(lambda key: seen_by_jax(loss)(with_noise(params, key, sigma), *data), draws)
        )

    return jax.lax.map(group, (keys, sigmas))
