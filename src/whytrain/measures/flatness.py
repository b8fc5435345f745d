"""PAC-Bayes flatness: how much noise the weights bear, by Monte Carlo with an error bar."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from scipy import stats

from whytrain._random import normal
from whytrain.errors import UserError
from whytrain.measures.parts import check_mean, parts

_STEPS = 40  # halvings of the logarithm of sigma


@dataclass(frozen=True)
class Flatness:
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
    loss: Callable[..., Any],
    initial: PyTree,
    trained: PyTree,
    *data: Any,
    key: Array,
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
    step; the interval is Student's t of the logarithms over groups. Implementations that pass the
    variance where a standard deviation is wanted, or draw anew at every step, give another number
    or none.

    Args:
        loss: `loss(params, *data)`: a mean loss, or an error rate.
        initial: The parameters before training.
        trained: The parameters after it.
        *data: What else the loss takes.
        key: Where the noise comes from.
        target: The rise.
        draws: Draws a group.
        groups: Groups, two or more.
        batch: How many examples are held at a time, for a loss that is a mean over examples, which
            the first axis of every array of `data` counts; None for all, and any loss.

    Returns:
        The noise that is borne, with its interval.

    Raises:
        UserError: A number is out of range, or no noise raises the loss that much.

    Example:
        >>> half = lambda w: 0.5 * jnp.sum(w**2)   # rises by 100 sigma^2 / 2
        >>> found = flatness(half, np.ones(100), np.zeros(100), key=jax.random.key(0), target=0.5)
        >>> found.low < 0.1 < found.high
        True
    """
    if target <= 0 or draws < 1 or groups < 2:
        raise UserError(
            f"needed: target > 0, draws >= 1, groups >= 2; got {target:g}, {draws}, {groups}"
        )
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), trained)
        keys = jax.random.split(key, (groups, draws))
        if batch is not None:
            check_mean(loss, params, next(parts(data, batch))[1])
        base = sum(share * float(loss(params, *part)) for share, part in parts(data, batch))
        if not math.isfinite(base):
            raise UserError(f"the loss is {base} at the trained parameters")

        def raised(sigmas: np.ndarray) -> np.ndarray:
            means = [
                share * np.asarray(_mean_loss(loss, params, part, keys, jnp.asarray(sigmas)))
                for share, part in parts(data, batch)
            ]
            return np.sum(means, axis=0)

        found = np.log(_solve(raised, groups, base + target))
        moved = jax.tree.map(lambda a, b: float(jnp.sum((a - b) ** 2)), params, initial)
    distance = sum(jax.tree.leaves(moved))
    center, error = float(found.mean()), float(found.std(ddof=1)) / math.sqrt(groups)
    reach = float(stats.t.ppf(0.975, groups - 1)) * error
    sigma = math.exp(center)
    return Flatness(
        sigma, math.exp(center - reach), math.exp(center + reach), sigma**-2,
        distance / (2 * sigma**2),
    )  # fmt: skip


def _solve(
    raised: Callable[[np.ndarray], np.ndarray], groups: int, goal: float
) -> Float[np.ndarray, " group"]:
    """For every group a sigma at which its mean loss is the goal."""
    low, high = np.full(groups, -np.inf), np.full(groups, np.inf)
    guess = np.full(groups, -12.0)
    for _ in range(_STEPS):
        above = ~(
            raised(np.exp2(guess)) < goal
        )  # noise that makes the loss infinite or NaN is too much
        high, low = np.where(above, guess, high), np.where(above, low, guess)
        with np.errstate(invalid="ignore"):
            middle = (low + high) / 2
        guess = np.select([np.isinf(high), np.isinf(low)], [guess + 2, guess - 2], middle)
    if not np.isfinite(low).all() or not np.isfinite(high).all():
        raise UserError(f"no noise raises the loss to {goal:.4g}; choose another target")
    return np.exp2((low + high) / 2)


def _noisy(params: PyTree, key: Array, sigma: Array) -> PyTree:
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [
        leaf + sigma * normal(each, leaf.shape, leaf.dtype)
        for leaf, each in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(treedef, noisy)


@partial(jax.jit, static_argnums=0)
def _mean_loss(
    loss: Callable, params: PyTree, data: tuple, keys: Array, sigmas: Array
) -> Float[Array, " group"]:
    def group(at: tuple) -> Array:
        draws, sigma = at
        return jnp.mean(jax.lax.map(lambda key: loss(_noisy(params, key, sigma), *data), draws))

    return jax.lax.map(group, (keys, sigmas))
