"""The kernel of plain descent in the plane, for the step with a piecewise constant surrogate.

The step is the one of `PlaneReduction.plain_step`. Every function in it is a polynomial, a quotient
or a root, so that a processor's vector unit does it for several runs at once. It is tested to agree
with the plain step.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from whytrain.gaussian import PiecewiseConstant
from whytrain.gaussian.step import DENSITY
from whytrain.landscapes.kernel import LANES, Kernel, jit

MIDDLE = 3.75  # erfcx is a polynomial in (z - MIDDLE) / (z + MIDDLE)
SHIFT = math.exp(-0.625)
FAR = 26.5  # where erfc has vanished; its exponential is still a normal number


_inline = functools.partial(jit, inline="always")


def _polynomial(f: Callable[[np.ndarray], np.ndarray], degree: int) -> tuple[float, ...]:
    """Coefficients, lowest first, of the fit to `f` on [-1, 1] in Chebyshev's measure."""
    turn = (np.arange(256) + 0.5) * math.pi / 256
    waves = np.cos(np.arange(degree + 1)[:, None] * turn)
    coefficients = waves @ f(np.cos(turn)) / 128
    coefficients[0] /= 2
    return tuple(float(c) for c in chebyshev.cheb2poly(coefficients))


def _arctan_over_x(t: np.ndarray) -> np.ndarray:
    q = (1 + t) / 2
    x = np.sqrt(q)
    return np.where(q < 1e-12, 1 - q / 3, np.arctan(x) / np.where(x > 0, x, 1))


def _erfcx_of(t: np.ndarray) -> np.ndarray:
    return erfcx(MIDDLE * (1 + t) / np.maximum(1 - t, 1e-300))


def _horner(coefficients: tuple[float, ...]):
    """The polynomial as straight-line arithmetic: each link multiplies once and adds once."""
    lowest, rest = coefficients[0], coefficients[1:]
    if not rest:
        return _inline(lambda x: lowest)
    higher = _horner(rest)
    return _inline(lambda x: higher(x) * x + lowest)


_arctan = _horner(_polynomial(_arctan_over_x, 22))
_erfcx = _horner(_polynomial(_erfcx_of, 24))
_exp_part = _horner(_polynomial(lambda t: np.exp(0.625 * t), 13))


@_inline
def exp_minus(z):
    """`exp(-z)` for `z >= 0`, to 1e-14 of itself up to 40 and less than 1e-17 beyond."""
    part = _exp_part(1 - min(z, 40.0) * (1 / 20)) * SHIFT
    part = part * part
    part = part * part
    part = part * part
    part = part * part
    return part * part


@_inline
def scaled_erfc(z):
    """`exp(z^2) erfc(z)` for `z >= 0`."""
    return _erfcx((z - MIDDLE) / (z + MIDDLE))


def _with_jump(inner, place: float, height: float):
    """The expectations of `inner`'s surrogate and one jump more, away from zero."""
    right = place > 0
    size = abs(place) * math.sqrt(0.5)

    @_inline
    def expectations(inverse, cot, cosec):
        mean, own_half, own, star = inner(inverse, cot, cosec)
        t = size * inverse  # |T| / sqrt(2)
        turned, edge = min(t * abs(cot), FAR), min(t * cosec, FAR)
        density = exp_minus(t * t)
        fall = exp_minus(turned * turned)
        tail = 0.5 * scaled_erfc(turned) * fall
        share = tail if (cot > 0) != right else 1 - tail
        beyond = 0.5 * scaled_erfc(edge) * (density * fall)
        if not right:
            beyond = 1 - beyond
        mean = mean + height * DENSITY * density
        own_half = own_half + height * DENSITY * (density if right else 1.0)
        return (
            mean, own_half,
            own + height * DENSITY * density * share, star + height * DENSITY * beyond,
        )  # fmt: skip

    return expectations


def make_expectations(surrogate: PiecewiseConstant):
    """A compiled function of `(1/r, cot, 1/sin)` of the filter, for the closed forms of `Step`.

    It gives `backward_mean`, `backward_self`, and the two coefficients of the vector
    `E z mu'(z.w) 1{z.w* > 0}` along the unit filters of student and teacher.
    """
    at_zero = sum(height for place, height in surrogate.jumps if place == 0)
    mean, own_half = DENSITY * at_zero, DENSITY * (surrogate.base + at_zero)
    own, star = DENSITY * at_zero / 2, DENSITY * (surrogate.base + at_zero / 2)

    @_inline
    def expectations(inverse, cot, cosec):
        return mean, own_half, own, star

    for place, height in surrogate.jumps:
        if place != 0:
            expectations = _with_jump(expectations, place, height)
    return expectations


@functools.cache
def plane_kernel(surrogate: PiecewiseConstant) -> Kernel:
    """The kernel for one surrogate.

    Rows `x, y, total, overlap, size`, and what is watched: the loss before the last step, its
    least value and its largest rise in one step, and the same of the filter's length. Constants
    `k, S, A`.
    """
    expectations = make_expectations(surrogate)

    @jit
    def walk(lanes, filter_sizes, output_sizes, start, stop, constants):
        k, total_star, power_star = constants
        flat = lanes.ravel()  # one array: the compiler need not fear that rows overlap
        most = power_star + total_star * total_star
        for step in range(start, stop):
            f, o = filter_sizes[step], 0.25 * output_sizes[step]
            for lane in range(LANES):
                x, y, s = flat[lane], flat[1 * LANES + lane], flat[2 * LANES + lane]
                u, size = flat[3 * LANES + lane], flat[4 * LANES + lane]
                r = math.sqrt(x * x + y * y)
                inverse = 1 / r
                half = abs(y) / (r + abs(x))  # the tangent of half the angle to the nearer pole
                apart = half * _arctan(2 * half * half - 1) * (4 / math.pi)
                kappa = 1 - apart if x >= 0 else apart - 1
                loss = 0.125 * (size + s * s - 2 * (kappa * u + s * total_star) + most)
                flat[7 * LANES + lane] = max(flat[7 * LANES + lane], loss - flat[5 * LANES + lane])
                flat[6 * LANES + lane] = min(flat[6 * LANES + lane], loss)
                flat[5 * LANES + lane] = loss
                flat[10 * LANES + lane] = max(flat[10 * LANES + lane], r - flat[8 * LANES + lane])
                flat[9 * LANES + lane] = min(flat[9 * LANES + lane], r)
                flat[8 * LANES + lane] = r
                beside = 1 / abs(y)
                mean, own_half, own, star = expectations(inverse, x * beside, r * beside)
                pull = 0.5 * ((s * s - size) - (s * total_star - u))
                radial = (size * own_half + pull * mean - u * own) * inverse
                flat[lane] = x - f * (radial * x - u * star)
                flat[1 * LANES + lane] = y - f * (radial * y)
                # Four times the output's gradient is a - kappa a* + shift 1.
                shift = s - total_star
                flat[2 * LANES + lane] = s - o * (s - kappa * total_star + shift * k)
                flat[3 * LANES + lane] = u - o * (u - kappa * power_star + shift * total_star)
                along = size - kappa * u + shift * s
                square = (
                    along
                    - kappa * (u - kappa * power_star + shift * total_star)
                    + shift * (s - kappa * total_star + shift * k)
                )
                flat[4 * LANES + lane] = size - 2 * o * along + o * o * square

    @jit
    def choose(state, run, steps, filter_most, output_most, constants):
        return False

    @jit
    def judge(state, run, outcome, constants, certificate, early):
        for row in range(5):
            if not math.isfinite(state[row, run]):
                outcome[run] = 4

    return Kernel(11, choose, (walk, walk), judge, f"plane {surrogate!r}")
