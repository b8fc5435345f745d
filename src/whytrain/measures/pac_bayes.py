"""A PAC-Bayes bound on the error of a network whose weights are noisy, each step certified."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from whytrain._computes import Computed, computes
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, check_whole, jax_key
from whytrain.measures.flatness import squared_distance, with_noise
from whytrain.measures.hessian import cast
from whytrain.measures.loss import seen_by_jax, told
from whytrain.measures.trained import OfTrained, trained

_WIDTHS = 2.0 ** (-np.arange(2, 41) / 4)  # of posteriors that are tried, from 0.7 to 0.001
_PRIORS = np.arange(1, 161)  # the prior's width is 2^(-j / 4), each with its share of delta
_TRIED, _EXAMPLES = 32, 256  # draws for the choice of a width; examples a draw
_SAMPLED = 0.2  # of delta, for the estimate of the noisy network's error


@dataclass(frozen=True)
class PacBayes(OfTrained):
    """A bound on the error of a network with noise on its weights.

    Attributes:
        bound: With probability `1 - delta` over the examples and the draws, the noisy network's
            error on fresh data is no larger.
        vacuous: Whether the bound is no smaller than the error of guessing among the classes, `1 -
            1 / classes`, so that it says nothing.
        error: The noisy network's training error, estimated.
        error_bound: An upper bound of it, with its own share of `delta`.
        sigma: The noise's standard deviation, the width of the posterior.
        prior_sigma: That of the prior.
        divergence: The Kullback-Leibler divergence of the posterior from the prior.
        distance: Of the trained weights from the prior's mean.
        examples: How many there are.
        draws: Of the weights.
        delta: With which probability the bound may fail.
        theorem: By whom.
    """

    bound: float
    vacuous: bool
    error: float
    error_bound: float
    sigma: float
    prior_sigma: float
    divergence: float
    distance: float
    examples: int
    draws: int
    delta: float
    theorem: str = "Langford and Seeger 2001 with the constant of Maurer 2004"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the bound is of, and what it supposes."""
        return (
            *super().notes,
            "the bound is of the network with fresh noise for every prediction, not of the one "
            "without",
            "the prior's weights must not depend on these examples: initial weights, or weights "
            "trained on other ones",
        )


def pac_bayes(
    logits: Any,
    prior: PyTree,
    params: PyTree,
    inputs: Any,
    labels: Any,
    *,
    delta: float = 0.05,
    draws: int = 2000,
    seed: Any = 0,
    key: Any = None,
) -> PacBayes:
    """Bound the error of a network with normal noise on its weights.

    With the posterior `Q = N(w, sigma^2 I)` about the trained weights `w`, the prior `P = N(w0, s^2
    I)` about weights `w0` that do not depend on the examples, and `m` examples, with probability `1
    - delta` for all `Q` at once

        kl( train error of Q || error of Q ) <= ( KL(Q || P) + ln(2 sqrt(m) / delta) ) / m

    where `kl` is the divergence of two coins (Langford and Seeger 2001, Maurer 2004; m >= 8). It
    is solved for the error of `Q`. As in Dziugaite and Roy 2017 the prior's width `s` is one of
    `2^(-j / 4)`, each with the share `6 / (pi j)^2` of `delta`, and the best one is taken; and the
    training error of `Q`, an expectation, is bounded from `draws` of the weights, each tried on
    some examples drawn at random, by Chernoff's bound with its own fifth of `delta`. The width
    `sigma` is chosen, from a grid, by draws that are not used again. Noise has one width for all
    weights; a width for each is tighter.

    Args:
        logits: `logits(params, inputs)`, of shape (example, classes), or one number an example.
        prior: The weights `w0`: before training, or trained on other examples.
        params: The weights `w`, a pytree of arrays or an Equinox module.
        inputs: The examples, which the first axis counts.
        labels: Their classes from 0.
        delta: With which probability the bound may fail.
        draws: Of the weights.
        seed: Of all draws: an integer.
        key: A JAX key in place of a seed.

    Returns:
        The bound with all that it is made of.

    Raises:
        UserError: There are fewer than 8 examples, a number is out of range, or the logits cannot
            be computed.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((2000, 2))
        >>> rule = lambda w, x: x @ w
        >>> found = pac_bayes(rule, np.zeros(2), np.array([2.0, 0.0]), x, (x[:, 0] > 0) * 1)
        >>> found.vacuous, found.error < found.error_bound < found.bound < 0.2
        (False, True)
    """
    check_chance(draws, delta)
    y = as_float64(labels, "the labels")
    if isinstance(inputs, list):
        inputs = as_float64(inputs, "the inputs")
    if y.ndim != 1 or len(y) != len(inputs):
        raise UserError(
            "each example must have a class from 0; got inputs of shape "
            f"{np.shape(inputs)} and labels of shape {y.shape}"
        )
    if len(y) < 8:
        raise UserError(f"there must be 8 examples or more, got {len(y)}")
    found = trained(logits, params)
    with np.errstate(over="ignore"):  # told as logits that are not finite
        arrays = cast(found.arrays, jnp.float32)
    examples = cast(inputs, jnp.float32)
    choice, final = jax.random.split(jax_key(seed, key))
    classes = _classes(found.loss, arrays, examples)
    with told():
        rule = Computed(found.loss, computes(seen_by_jax(found.loss), arrays, examples))
    odd = y[~((y == np.floor(y)) & (y >= 0) & (y < classes))]
    if len(odd):
        raise UserError(f"labels must be whole numbers from 0 to {classes - 1}, got {odd[0]:g}")
    data, squared = (examples, jnp.asarray(y, jnp.int32)), squared_distance(prior, params)
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(arrays))
    parts = (squared, size, len(y), delta)

    def errors(key: Array, count: int, sigma: float) -> np.ndarray:
        keys, each = jax.random.split(key, count), jnp.asarray(sigma, jnp.float32)
        cut = [(keys[i : i + _TRIED], min(_TRIED, count - i)) for i in range(0, count, _TRIED)]
        with told():
            parts = [_errors(rule, arrays, data, _filled(some), each) for some, _ in cut]
        return np.concatenate([part[:n] for part, (_, n) in zip(parts, cut, strict=True)])

    tried = [_of(float(errors(choice, _TRIED, s).mean()), s, parts)[0] for s in _WIDTHS]
    sigma = float(_WIDTHS[int(np.argmin(tried))])
    error = float(errors(final, draws, sigma).mean())
    upper = kl_inverse(error, math.log(1 / (_SAMPLED * delta)) / draws)
    bound, divergence, width = _of(upper, sigma, parts)
    return PacBayes(
        bound, bound >= 1 - 1 / classes, error, upper, sigma, width, divergence, math.sqrt(squared),
        len(y), draws, delta, left_out=found.left_out,
    )  # fmt: skip


def check_chance(draws: int, delta: float) -> None:
    """Refuse a number of draws, or a probability, out of range."""
    check_whole("draws", draws, 1)
    if not 0 < delta < 1:
        raise UserError(f"delta must be between 0 and 1, got {delta}")


def _classes(logits: Callable, params: PyTree, inputs: Any) -> int:
    """How many classes the logits of some examples tell apart."""
    some = jax.tree.map(lambda leaf: leaf[:_EXAMPLES], inputs)
    with told():
        found, again = (np.asarray(logits(params, some)) for _ in range(2))
    count = len(jax.tree.leaves(some)[0])
    if found.ndim not in (1, 2) or len(found) != count:
        raise UserError(
            f"logits must be (example, classes), or one number an example; of {count} examples got "
            f"shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise UserError(
            "the logits are not finite in float32: are inputs and parameters finite, and scaled as "
            "in training?"
        )
    if (found != again).any():
        raise UserError("the logits change from call to call; turn dropout off")
    return found.shape[1] if found.ndim == 2 and found.shape[1] > 1 else 2


def _filled(keys: Array) -> Array:
    """As many as are always drawn at a time, for one program; what is too much is left out."""
    return jnp.resize(keys, (_TRIED,))


def _of(error: float, sigma: float, parts: tuple) -> tuple[float, float, float]:
    """The bound for a training error, with its divergence and the prior's width."""
    squared, size, m, delta = parts
    widths = 2.0 ** (-_PRIORS / 4)
    divergences = divergence(squared, size, sigma, widths)
    shares = (1 - _SAMPLED) * delta * 6 / (math.pi * _PRIORS) ** 2
    costs = (divergences + np.log(2 * math.sqrt(m) / shares)) / m
    best = int(np.argmin(costs))
    return kl_inverse(error, float(costs[best])), float(divergences[best]), float(widths[best])


def divergence(squared: float, size: int, sigma: float, width: Any) -> Any:
    """`KL( N(w, sigma^2 I) || N(w0, width^2 I) )` for `|w - w0|^2 = squared` in `size` dimensions.

        ( size (sigma^2 / width^2 - 1 - ln(sigma^2 / width^2)) + squared / width^2 ) / 2

    Example:
        >>> float(divergence(4.0, 3, 1.0, 1.0))
        2.0
    """
    ratio = (sigma / width) ** 2
    return (size * (ratio - 1 - np.log(ratio)) + squared / np.square(width)) / 2


def kl_inverse(error: float, cost: float) -> float:
    """The largest `p` for which the coins `error` and `p` have a divergence of `cost` at most.

        kl(q || p) = q ln(q / p) + (1 - q) ln((1 - q) / (1 - p))

    Example:
        >>> print(f"{kl_inverse(0.0, 0.1):.6f}")   # 1 - exp(-0.1)
        0.095163
    """
    low, high = error, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if _kl(error, middle) > cost:
            high = middle
        else:
            low = middle
    return high


def _kl(q: float, p: float) -> float:
    if p >= 1:
        return 0.0 if q >= 1 else math.inf
    first = q * math.log(q / p) if q else 0.0
    return first + ((1 - q) * math.log((1 - q) / (1 - p)) if q < 1 else 0.0)


@partial(jax.jit, static_argnums=0)
def _errors(
    logits: Callable, params: PyTree, data: tuple, keys: Array, sigma: Array
) -> Float[Array, " draw"]:
    """The share of wrong examples among some drawn at random, for every draw of the weights."""
    inputs, labels = data

    def one(key: Array) -> Array:
        noise, which = jax.random.split(key)
        at = jax.random.randint(which, (_EXAMPLES,), 0, len(labels))
        x = jax.tree.map(lambda leaf: leaf[at], inputs)
        found = seen_by_jax(logits)(with_noise(params, noise, sigma), x)
        return jnp.mean(_wrong(found, labels[at]))

    return jax.lax.map(one, keys)


def _wrong(logits: Array, labels: Array) -> Array:
    """Whether an example is not classified right, by the sign of one output or the largest."""
    if logits.ndim == 1 or logits.shape[-1] == 1:
        logits = jnp.stack([jnp.zeros(len(labels)), logits.reshape(len(labels))], axis=1)
    own = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    others = jnp.where(jax.nn.one_hot(labels, logits.shape[1], dtype=bool), -jnp.inf, logits)
    return ~(own > others.max(axis=1))
