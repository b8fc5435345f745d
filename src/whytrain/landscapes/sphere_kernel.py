"""The kernel of normalized descent on the sphere, in three order parameters.

The step is the one of `SphereReduction.normalized_step`, arranged so that a processor's vector unit
does it for several runs at once: the cosine and sine of the angle are carried along and rotated by
the small angle of the step, and are taken afresh from the angle every `CHUNK` steps. Both are
tested to agree with the plain step.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from whytrain.landscapes.basins import proved_basin
from whytrain.landscapes.kernel import LANES, Kernel, jit, polynomial

SMALL = 2.0**-6  # up to this tangent a step's rotation needs only short polynomials
PULL_MOST = 0.29  # above max (pi - x) sin(x) / (2 pi) = 0.2897
UNIT = 0.5 / math.pi  # what an activation's `scalar` values are to be multiplied by


def _arctan_over_x(q: np.ndarray) -> np.ndarray:
    x = np.sqrt(q)
    return np.where(q < 1e-12, 1 - q / 3, np.arctan(x) / np.where(x > 0, x, 1))


_A = polynomial(_arctan_over_x, 3, SMALL**2)
_R = polynomial(lambda q: 1 / np.sqrt(1 + q), 3, SMALL**2)
_B = polynomial(_arctan_over_x, 12, (math.sqrt(2) - 1) ** 2)


@jit
def _small_step(angle, cos, sin, x):
    """The angle less `arctan(x)`, with its cosine and sine, for `|x| <= SMALL`.

    Such a step is too short to pass 0 or pi: there the pull falls to zero with the distance.
    """
    q = x * x
    turn = ((_A[3] * q + _A[2]) * q + _A[1]) * q + _A[0]
    scale = ((_R[3] * q + _R[2]) * q + _R[1]) * q + _R[0]
    return angle - x * turn, (cos + x * sin) * scale, (sin - x * cos) * scale


@jit
def _any_step(angle, cos, sin, x):
    """The same for any `x`, reflected at 0 and pi; `arctan(x)` is halved twice."""
    root = math.sqrt(1 + x * x)
    half = x / (1 + root)
    quarter = half / (1 + math.sqrt(1 + half * half))
    q = quarter * quarter
    turn = _B[12]
    turn = turn * q + _B[11]
    turn = turn * q + _B[10]
    turn = turn * q + _B[9]
    turn = turn * q + _B[8]
    turn = turn * q + _B[7]
    turn = turn * q + _B[6]
    turn = turn * q + _B[5]
    turn = turn * q + _B[4]
    turn = turn * q + _B[3]
    turn = turn * q + _B[2]
    turn = turn * q + _B[1]
    turn = turn * q + _B[0]
    turned = abs(angle - 4 * quarter * turn)
    return min(turned, 2 * math.pi - turned), (cos + x * sin) / root, abs(sin - x * cos) / root


_basin = jit(proved_basin)


def _make_walk(dual, rotate):
    """A loop that moves `LANES` runs (rows angle, total, overlap) by some steps of given sizes."""

    @jit
    def walk(lanes, filter_sizes, output_sizes, start, stop, constants):
        variance, mean_square, k, total_star, power_star = constants
        angle, total, overlap = lanes[0], lanes[1], lanes[2]
        cos, sin = np.empty(LANES), np.empty(LANES)
        for lane in range(LANES):
            cos[lane], sin[lane] = math.cos(angle[lane]), math.sin(angle[lane])
        for step in range(start, stop):
            size = output_sizes[step]
            keep_total = 1 - size * (variance + mean_square * k)
            add_total = size * (k - 1) * mean_square * total_star
            drive_total = size * total_star * UNIT
            keep_overlap = 1 - size * variance
            add_overlap = size * mean_square * (total_star * total_star - power_star)
            drive_overlap = size * power_star * UNIT
            couple = -size * mean_square * total_star
            filter_size = filter_sizes[step] * UNIT
            for lane in range(LANES):
                c, s, u, t = cos[lane], sin[lane], overlap[lane], total[lane]
                cross, pull = dual(math.pi - angle[lane], c, s)
                x = filter_size * u * pull
                angle[lane], cos[lane], sin[lane] = rotate(angle[lane], c, s, x)
                overlap[lane] = keep_overlap * u + (
                    drive_overlap * cross + (couple * t + add_overlap)
                )
                total[lane] = keep_total * t + (drive_total * cross + add_total)

    return walk


@functools.cache
def sphere_kernel(dual: Callable) -> Kernel:
    """The kernel for an activation's `scalar` function.

    Rows angle, total, overlap; constants `V, M, k, S, A` of the reduction; certificate `C(pi)`,
    filter steepness, largest output size, number of the opposite outcome.
    """
    scalar = jit(dual)

    @jit
    def judge(state, run, outcome, constants, certificate, early):
        angle, total, overlap = state[0, run], state[1, run], state[2, run]
        if not (math.isfinite(angle) and math.isfinite(total) and math.isfinite(overlap)):
            outcome[run] = 4
        elif early:
            cross, _ = scalar(math.pi - angle, math.cos(angle), math.sin(angle))
            variance, mean_square, k, total_star, power_star = constants
            opposite_covariance, steepness, size, opposite = certificate
            outcome[run] = _basin(
                cross * UNIT - mean_square, total, overlap,
                variance, mean_square, k, total_star, power_star,
                opposite_covariance, steepness, size, opposite,
            )  # fmt: skip

    @jit
    def small_steps(state, run, steps, filter_most, output_most, constants):
        # Whether no rotation of the next `steps` steps can pass SMALL: the overlap can grow by no
        # more than the drive allows, while the output's step size contracts.
        variance, mean_square, k, total_star, power_star = constants
        if output_most * (variance + mean_square * k) > 1:
            return False
        total, overlap = abs(state[1, run]), abs(state[2, run])
        lag = mean_square * abs(total_star) * (abs(total_star) + max(total, abs(total_star)))
        drive = variance * power_star + lag
        reach = min(max(overlap, drive / variance), overlap + steps * output_most * drive)
        return filter_most * reach * PULL_MOST <= SMALL

    walks = _make_walk(scalar, _small_step), _make_walk(scalar, _any_step)
    own = dual.__module__.startswith("whytrain.")
    identity = f"sphere {dual.__module__}.{dual.__qualname__}" if own else ""
    return Kernel(3, small_steps, walks, judge, identity)
