"""Generalization bounds of a two-layer network, all on one scale.

Each function gives a capacity `C` with the bound's own constants, so that with probability `1 -
delta`

    error <= share of training margins below gamma + sqrt(C / m)

for `m` training examples; the bound says something only where `C < m`. Formulas and constants are
those behind Figure 5 of Neyshabur et al. 2019, which were released as code and not printed; where
that code departs from what the theorem says, the theorem's form is the function of that name and
the code's form is the function `..._as_released`.

The letters: `U` (hidden, inputs) and `V` (classes, hidden) are trained, `U0` and `V0` initial
weights; `D1 = ||U - U0||_F`, `D2 = ||V - V0||_F`; `h` hidden units, `d` inputs, `c` classes; `B^2`
the mean square length of an input; `gamma` a margin.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from whytrain.errors import UserError
from whytrain.measures.norms import p_two


@dataclass(frozen=True)
class Facts:
    """All that the bounds ask about two networks and a sample: one number each.

    Attributes:
        d: Dimension of the inputs.
        h: Hidden units.
        c: Classes.
        m: Training examples.
        gamma: The margin, positive.
        delta: The probability with which a bound may fail.
        U_spectral: `||U||_2`.
        U_frobenius: `||U||_F`.
        U_inf_1: `||U||_{inf,1}`, the largest l1 norm of a row.
        V_spectral: `||V||_2`.
        V_frobenius: `||V||_F`.
        V_inf_1: `||V||_{inf,1}`.
        U0_spectral: `||U0||_2`.
        U_distance: `D1 = ||U - U0||_F`.
        U_distance_1_2: `||U - U0||_{1,2}`, the sum over hidden units.
        V_distance: `D2 = ||V - V0||_F`.
        V_distance_1_2: `||V - V0||_{1,2}`, the sum over classes.
        input_rms: `B`, root of the mean of `||x||^2`.
        input_max: The largest `||x||`.
        input_inf_rms: Root of the mean of `max_k |x_k|^2`.
        input_inf_released: What the released code has in its place, see `capacity`.
        U0_response: `||U0 X||_F / sqrt(m)`.
        U0_response_released: `||[U0 X + bias0]_+||_F / sqrt(m)`, which the released code has there.
    """

    d: int
    h: int
    c: int
    m: int
    gamma: float
    delta: float
    U_spectral: float
    U_frobenius: float
    U_inf_1: float
    V_spectral: float
    V_frobenius: float
    V_inf_1: float
    U0_spectral: float
    U_distance: float
    U_distance_1_2: float
    V_distance: float
    V_distance_1_2: float
    input_rms: float
    input_max: float
    input_inf_rms: float
    input_inf_released: float
    U0_response: float
    U0_response_released: float

    @property
    def parameters(self) -> int:
        """How many parameters the network has, biases among them."""
        return (self.d + 1) * self.h + (self.h + 1) * self.c


def vc(of: Facts) -> float:
    """The VC dimension of a ReLU network (Bartlett, Harvey, Liaw and Mehrabian 2019, Theorem 7).

        W  = (d + 1) h + (h + 1) c,    depth = (2 (d + 1) h + (h + 1) c) / W
        VC = 2 + W depth log2( 8 e (h + 2c) log2( 4 e (h + 2c) ) )
        C  = 8 c VC ln( e max(m / VC, 1) ) + 8 ln(2 / delta)

    The theorem's number of pieces is 2, its `R = sum_l l k_l = h + 2c` for two layers of degree 1.
    No number of the trained network enters but its sizes. It is stated for one output; the factor
    `c` extends it to classes.
    """
    W = of.parameters
    depth = (2 * (of.d + 1) * of.h + (of.h + 1) * of.c) / W
    units = of.h + 2 * of.c
    dimension = 2 + W * depth * math.log2(8 * math.e * units * math.log2(4 * math.e * units))
    growth = math.log(math.e * max(of.m / dimension, 1))
    return 8 * of.c * dimension * growth + 8 * math.log(2 / of.delta)


def bartlett_mendelson2002(of: Facts) -> float:
    """Norms of l1 type (Bartlett and Mendelson 2002).

        C = ( 16 c ||U||_{inf,1} ||V||_{inf,1} sqrt(ln d) Binf / gamma + 3 sqrt(ln(m / delta)) )^2

    with `Binf^2` the mean over examples of `max_k |x_k|^2`. The factor `c` extends a bound for two
    classes. The paper's class has a bound on all units, whence the largest row.
    """
    return _bartlett_mendelson(of, of.input_inf_rms)


def bartlett_mendelson2002_as_released(of: Facts) -> float:
    """The same with the released code's `Binf`: it takes one signed maximum over each batch of 64.

    The squares of those are summed over batches and divided by `m`, so that `Binf` comes out too
    small by up to the root of the batch size, and depends on the batches. This is the only number
    of the package that depends on the order of the examples; the batches are those of 64 in the
    given order.
    """
    return _bartlett_mendelson(of, of.input_inf_released)


def _bartlett_mendelson(of: Facts, inf: float) -> float:
    norms = of.U_inf_1 * of.V_inf_1
    main = 16 * of.c * norms * math.sqrt(math.log(of.d)) * inf / of.gamma
    return (main + 3 * math.sqrt(math.log(of.m / of.delta))) ** 2


def neyshabur2015(of: Facts) -> float:
    """Products of Frobenius norms (Neyshabur, Tomioka and Srebro 2015; Golowich et al. 2018).

        C = ( 8 sqrt(c) ||U||_F ||V||_F B / gamma + 3 sqrt(ln(m / delta)) )^2

    The factor `sqrt(c)` extends a bound for two classes.
    """
    main = 8 * math.sqrt(of.c) * of.U_frobenius * of.V_frobenius * of.input_rms / of.gamma
    return (main + 3 * math.sqrt(math.log(of.m / of.delta))) ** 2


def bartlett2017(of: Facts) -> float:
    """Spectral norms, distances summed over units (Bartlett, Foster, Telgarsky 2017, Lemma A.8).

        C = ( 144 ln(m) ln(2 W) (B + 1 / sqrt(m)) spread^(3/2) / gamma
              + sqrt( 4.5 ln(1 / delta) + ln(2 m / gamma) + 2 ln(2 + sqrt(m) B)
                      + 2 ln( (2 + 2 D1) (2 + 2 D2) (2 + 2 ||U||_2) (2 + 2 ||V||_2) ) ) )^2
        spread = ( ||V||_2 ||U - U0||_{1,2} )^(2/3) + ( ||U||_2 ||V - V0||_{1,2} )^(2/3)

    with `W` the number of parameters: the form behind the figure. The lemma is remembered here, not
    read, with the largest width in place of `W` (smaller) and with the factor 4.5 before all the
    logarithms under the root, as the union bound gives it (larger, by much less than the first
    term). The reference matrices, which the lemma leaves free, are the initial weights. What stands
    under the root counts as 0 where a huge margin makes it negative.
    """
    spread = (of.V_spectral * of.U_distance_1_2) ** (2 / 3)
    spread += (of.U_spectral * of.V_distance_1_2) ** (2 / 3)
    logs = math.log(of.m) * math.log(2 * of.parameters)
    main = 144 * logs * (of.input_rms + of.m**-0.5) * spread**1.5 / of.gamma
    union = math.log(2 * of.m / max(of.gamma, 1e-16)) + 2 * math.log(2 + of.m**0.5 * of.input_rms)
    for norm in (of.U_distance, of.V_distance, of.U_spectral, of.V_spectral):
        union += 2 * math.log(2 + 2 * norm)
    return (main + math.sqrt(max(4.5 * math.log(1 / of.delta) + union, 0))) ** 2


def neyshabur2018(of: Facts) -> float:
    """Spectral norms and Frobenius distances (Neyshabur, Bhojanapalli and Srebro 2018).

        C = ( 336 sqrt(ln 8h) Bmax sqrt( h (||V||_2 D1)^2 + c (||U||_2 D2)^2 ) / (sqrt(2) gamma) )^2
            + 6 ln(2 m / delta)

    with `Bmax` the largest length of an input. It does not change under `V -> a V, U -> U / a`.
    """
    return _pac_bayes(of, 1.0)


def neyshabur2018_as_released(of: Facts) -> float:
    """The same with one more factor `||U||_2`, as released; it does change under that rescaling."""
    return _pac_bayes(of, of.U_spectral)


def _pac_bayes(of: Facts, factor: float) -> float:
    spread = math.sqrt(
        of.h * (of.V_spectral * of.U_distance) ** 2 + of.c * (of.U_spectral * of.V_distance) ** 2
    )
    main = 336 * factor * math.sqrt(math.log(8 * of.h)) * of.input_max * spread
    return (main / (math.sqrt(2) * of.gamma)) ** 2 + 6 * math.log(2 * of.m / of.delta)


def neyshabur2019(of: Facts) -> float:
    """Unit capacities and impacts (Neyshabur et al. 2019, Theorem 2, with constants).

        C = ( 3 sqrt(2) (sqrt(2c) + 1) (||V||_F + 1) ( ||U0 X||_F / sqrt(m) + D1 B + 1 ) / gamma
              + 3 sqrt( 5 h + ln( max(1, gamma sqrt(m)) / delta ) ) )^2

    The additions of 1 and the term `5 h` are the price of holding for all unit capacities and
    impacts at once. Because of the former it changes by a few percent under `V -> a V, U -> U / a`.
    """
    return _by_units(of, of.U0_response)


def neyshabur2019_as_released(of: Facts) -> float:
    """The same with the initial features `||[U0 X + bias0]_+||_F` for `||U0 X||_F`."""
    return _by_units(of, of.U0_response_released)


def _by_units(of: Facts, response: float) -> float:
    size = (of.V_frobenius + 1) * (response + of.U_distance * of.input_rms + 1)
    main = 3 * math.sqrt(2) * (math.sqrt(2 * of.c) + 1) * size / of.gamma
    union = 5 * of.h + math.log(max(1, of.gamma * math.sqrt(of.m)) / of.delta)
    return (main + 3 * math.sqrt(union)) ** 2


BOUNDS = {
    "vc": vc,
    "bartlett_mendelson2002": bartlett_mendelson2002,
    "neyshabur2015": neyshabur2015,
    "bartlett2017": bartlett2017,
    "neyshabur2018": neyshabur2018,
    "neyshabur2019": neyshabur2019,
}

AS_RELEASED = {
    "bartlett_mendelson2002": bartlett_mendelson2002_as_released,
    "neyshabur2018": neyshabur2018_as_released,
    "neyshabur2019": neyshabur2019_as_released,
}

# Where a logarithm of a size is 0, so that the formula is no bound.
NO_BOUND = {
    "bartlett_mendelson2002": lambda of: of.d == 1,
    "bartlett2017": lambda of: of.m == 1,
}


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
