"""Rademacher complexity of two-layer networks (Neyshabur et al. 2019, Theorem 1)."""

import math

import numpy as np
from jaxtyping import Float

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

    Example:
        >>> one = np.ones(1)
        >>> theorem1(one, one, 2.0, 0 * one, c=2, gamma=1.0, m=4)
        3.0
    """
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
    factor = (2 * math.sqrt(2 * c) + 2) / (gamma * m)
    response = float(np.linalg.norm(U0_response))
    lengths = float(np.linalg.norm(alpha)), float(np.linalg.norm(beta))
    return factor * lengths[0] * (lengths[1] * input_norm + response)


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
