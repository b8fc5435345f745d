"""Rademacher complexity of two-layer networks (Neyshabur et al. 2019, Theorem 1)."""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from whytrain.errors import UserError
from whytrain.measures.norms import p_two

Units = Float[np.ndarray, " hidden"]


def theorem1(
    alpha: Units, beta: Units, input_norm: float, U0_response: Units, c: int, gamma: float, m: int
) -> float:
    """Bound the complexity of the ramp loss over networks near `U0`, unit by unit: equation (6).

        ( (2 sqrt(2c) + 2) / (gamma m) ) sum_j alpha_j ( beta_j ||X||_F + ||u0_j X||_2 )

    over the class `||v_j|| <= alpha_j, ||u_j - u0_j|| <= beta_j`. The class is fixed before the
    sample is
    drawn: with the `alpha` and `beta` of a trained network it is a measure, and no bound on its
    error, for which `neyshabur2019` pays the union bound.

    Args:
        alpha: Unit impacts.
        beta: Unit capacities.
        input_norm: `||X||_F`, the root of the sum of `||x||^2` over examples.
        U0_response: `||u0_j X||_2` for each unit.
        c: Classes.
        gamma: The margin.
        m: Examples.

    Returns:
        The bound.

    Raises:
        UserError: The margin is not positive, a count less than 1, or a number negative or not
            finite.

    Example:
        >>> one = np.ones(1)
        >>> theorem1(one, one, 2.0, 0 * one, c=2, gamma=1.0, m=4)
        3.0
    """
    _check(c, gamma, m, alpha, beta, input_norm, U0_response)
    factor = (2 * math.sqrt(2 * c) + 2) / (gamma * m)
    return factor * float(np.sum(alpha * (beta * input_norm + U0_response)))


def theorem1_by_norms(
    alpha: Units, beta: Units, input_norm: float, U0_response: Units, c: int, gamma: float, m: int
) -> float:
    """The same by Cauchy-Schwarz, never smaller: equation (7).

        ( (2 sqrt(2c) + 2) / (gamma m) ) ||alpha||_2 ( ||beta||_2 ||X||_F + ||U0 X||_F )

    Equal to (6) where all units are alike and `U0 = 0`. Arguments and result as in `theorem1`.

    Example:
        >>> two = np.array([1.0, 1.0])
        >>> theorem1_by_norms(two, two, 2.0, 0 * two, c=2, gamma=1.0, m=4) > 5.999
        True
    """
    _check(c, gamma, m, alpha, beta, input_norm, U0_response)
    factor = (2 * math.sqrt(2 * c) + 2) / (gamma * m)
    response = float(np.linalg.norm(U0_response))
    lengths = float(np.linalg.norm(alpha)), float(np.linalg.norm(beta))
    return factor * lengths[0] * (lengths[1] * input_norm + response)


def _check(c: int, gamma: float, m: int, *sizes: ArrayLike) -> None:
    if not (0 < gamma < math.inf) or c < 1 or m < 1:
        raise UserError(f"needed: gamma > 0, c >= 1, m >= 1; got {gamma}, {c}, {m}")
    for size in sizes:
        array = np.asarray(size)
        if not (np.isfinite(array) & (array >= 0)).all():
            raise UserError("norms must be finite and not negative, but one is not")


def covering_number_log(h: int, mu: float = 3 * math.sqrt(2) / 4 - 1) -> float:
    """`ln N` of the union bound over unit capacities, which `neyshabur2019` bounds by `5 h`.

        N = binomial( ceil(h / mu) + h - 2, h - 1 ),    4 (mu + 1) = 3 sqrt(2)

    the number of whole-numbered ways to share a bound on a sum over `h` units.

    Example:
        >>> print(f"{covering_number_log(64) / 64:.2f}")
        3.74
    """
    top = math.ceil(h / mu) + h - 2
    return math.lgamma(top + 1) - math.lgamma(h) - math.lgamma(top - h + 2)


def theorem5(
    V: Float[np.ndarray, "classes hidden"],
    moved: Float[np.ndarray, "hidden inputs"],
    input_norm: float,
    response: float,
    gamma: float,
    m: int,
    p: float,
) -> float:
    """The measure in l_p norms of units (Neyshabur et al. 2019, Theorem 5), without constants.

        sqrt(c) h^(1/2 - 1/p) ||V^T||_{p,2} ( h^(1/2 - 1/p) ||U - U0||_{p,2} ||X||_F + ||U0 X||_F )
            / (gamma m) + sqrt( exp(-p) h / m )

    The theorem is remembered here, not read, and only up to constants and logarithms: good for
    comparisons over `h`, no bound. `p = 2` is Theorem 2; `p = ln h` makes the last term vanish.

    Args:
        V: Output weights (classes, hidden).
        moved: `U - U0` (hidden, inputs).
        input_norm: `||X||_F`.
        response: `||U0 X||_F`.
        gamma: The margin.
        m: Examples.
        p: 2 or more.

    Returns:
        The measure.

    Raises:
        UserError: `p` is less than 2, or see `theorem1`.

    Example:
        >>> one = np.eye(1)
        >>> print(f"{theorem5(one, one, 1.0, 1.0, 1.0, 1, 2):.4f}")
        2.3679
    """
    if not 2 <= p < math.inf:
        raise UserError(f"Theorem 5 is for p >= 2, got {p:g}")
    _check(V.shape[0], gamma, m, np.abs(V), np.abs(moved), input_norm, response)
    c, h = V.shape
    growth = h ** (0.5 - 1 / p)
    units = growth * p_two(moved, p) * input_norm + response
    return math.sqrt(c) * growth * p_two(V.T, p) * units / (gamma * m) + math.sqrt(
        math.exp(-p) * h / m
    )
