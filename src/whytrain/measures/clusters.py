"""Weight clusters of a two-layer leaky network, and what they prove about its boundary."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, check_number

hierarchy = later("scipy.cluster.hierarchy")

ANGLE = 30.0  # degrees that directions of one cluster may be apart
_LEAST, _MOST = 1e-100, 1e100  # of the largest number: squares and products are numbers, too


@dataclass(frozen=True)
class WeightClusters:
    """How closely the units of either sign lie around their center.

    Attributes:
        plus: The mean of the units that count positively.
        minus: That of the others.
        radius: The largest distance of a unit from its center.
        ratio: The larger of `radius of the sign / |center of the sign|`; infinite for a center 0.
        number: Clusters of directions, of both signs together, by the rule of `weight_clusters`.
        rank: `effective_rank` of all units.
    """

    plus: Float[np.ndarray, " d"]
    minus: Float[np.ndarray, " d"]
    radius: float
    ratio: float
    number: int
    rank: float

    @property
    def normal(self) -> Float[np.ndarray, " d"]:
        """`plus - minus`, the normal of the linear boundary to which the clusters point."""
        return self.plus - self.minus


def signed_units(hidden: ArrayLike, output: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The units of `f(x) = sum_j output[j] s(hidden[j] . x)` by the sign of their output weight.

    A leaky ReLU is positively homogeneous, so that `f` has the units `|output[j]| hidden[j]` with
    the output weights `+1` and `-1`. A bias is the weight of an input that is always 1.

    Args:
        hidden: (unit, input), with a column for the biases if there are any.
        output: One number a unit.

    Returns:
        The units with a positive output weight, and those with a negative one; units without an
        output weight are left out.

    Raises:
        UserError: The weights do not fit together, are not finite, or there is a sign that no unit
            has.

    Example:
        >>> signed_units([[1.0, 0.0], [0.0, 1.0]], [2.0, -3.0])
        (array([[2., 0.]]), array([[0., 3.]]))
    """
    W, a = as_float64(hidden, "hidden"), as_float64(output, "output")
    if W.ndim != 2 or a.shape != (len(W),):
        raise UserError(
            "hidden must be (unit, input) and output one number a unit, got shapes "
            f"{W.shape} and {a.shape}; of two logits take the difference of their output weights"
        )
    with np.errstate(over="ignore"):  # refused in one line
        scaled = np.abs(a)[:, None] * W
    return checked_units(scaled[a > 0], scaled[a < 0])


def weight_clusters(w: ArrayLike, u: ArrayLike, *, angle: float = ANGLE) -> WeightClusters:
    """Centers, radius, ratio and number of the clusters of a network's units.

        plus = mean_j w[j],    minus = mean_j u[j]
        radius = max(max_j |w[j] - plus|, max_j |u[j] - minus|)

    The number follows from a rule: the units of a sign are joined by complete linkage of their
    directions, as long as no two directions of a cluster are more than `angle` apart. Such joining
    is greedy, and may leave more clusters than needed. Units that are 0 have no direction, and
    are not counted.

    Args:
        w: (unit, input): units that count positively, all with one output weight `v`.
        u: (unit, input): units with the output weight `-v`. See `signed_units` for other weights.
        angle: Degrees between 0 and 180.

    Raises:
        UserError: The units are no finite matrices over the same inputs, or the angle is out of
            range.

    Example:
        >>> found = weight_clusters([[1.0, 0.1], [1.0, -0.1]], [[-2.0, 0.0], [0.0, 2.0]])
        >>> print(found.number, found.plus, f"{found.ratio:.3f}")
        3 [1. 0.] 1.000
    """
    plus_units, minus_units = checked_units(w, u)
    check_number("angle", angle)
    if not 0 < angle < 180:
        raise UserError(f"angle must be between 0 and 180 degrees, got {angle}")
    groups = plus_units, minus_units
    centers = [units.mean(axis=0) for units in groups]
    radii = [_radius(units, center) for units, center in zip(groups, centers, strict=True)]
    lengths = [float(np.linalg.norm(center)) for center in centers]
    ratios = [
        radius / length if length else math.inf
        for radius, length in zip(radii, lengths, strict=True)
    ]
    number = sum(_number(units, angle) for units in groups)
    rank = effective_rank(np.concatenate(groups))
    plus, minus = centers
    return WeightClusters(plus, minus, max(radii), max(ratios), number, rank)


def effective_rank(matrix: ArrayLike) -> float:
    """`exp(-sum_i q_i log q_i)` with `q_i = s_i / sum s` of the singular values `s`.

    1 for a matrix of rank one, `r` for `r` equal singular values; 0 for a matrix of zeros. (Roy and
    Vetterli, EUSIPCO 2007.)

    Raises:
        UserError: It is no matrix of finite numbers.

    Example:
        >>> print(f"{effective_rank(np.eye(3)):.3f}")
        3.000
    """
    array = as_float64(matrix, "matrix")
    if array.ndim != 2 or not np.isfinite(array).all():
        raise UserError(f"effective_rank is of a matrix of finite numbers, got {array.shape}")
    largest = np.abs(array).max(initial=0.0)
    if not largest:
        return 0.0
    singular = np.linalg.svd(array / largest, compute_uv=False)  # whose sum may overflow else
    shares = singular[singular > 0] / singular.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def certified_linear(
    w: ArrayLike, u: ArrayLike, x: ArrayLike, *, factor: float = 2.0
) -> Bool[np.ndarray, " example"]:
    """At which inputs the network provably decides as `sign((plus - minus) . x)` does.

        |(plus - minus) . x| > factor * radius * |x|

    With the factor 2 all `w[j] . x` are on one side of all `u[j] . x`, so that for every strictly
    increasing `s` the sign of `sum_j s(w[j] . x) - sum_j s(u[j] . x)` is that of `(plus - minus) .
    x`. No smaller factor will do.

    Args:
        w: (unit, input): units with the output weight `v > 0`.
        u: As many, with the output weight `-v`.
        x: (example, input).
        factor: 2 for the theorem; another to see what fails.

    Raises:
        UserError: There are not as many units of either sign, of which the theorem is, or the
            shapes do not fit.

    Example:
        >>> certified_linear([[1.0, 0.2], [1.0, -0.2]], [[-1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]])
        array([ True, False])
    """
    plus_units, minus_units = checked_units(w, u)
    inputs = checked_inputs(x, plus_units.shape[1])
    check_number("factor", factor)
    if len(plus_units) != len(minus_units):
        raise UserError(
            "a boundary is certified for as many units of either sign, got "
            f"{len(plus_units)} and {len(minus_units)}"
        )
    plus, minus = plus_units.mean(axis=0), minus_units.mean(axis=0)
    radius = max(_radius(plus_units, plus), _radius(minus_units, minus))
    reach = factor * radius * np.linalg.norm(inputs, axis=1)
    rounding = 8 * np.finfo(float).eps * len(plus) * np.linalg.norm(inputs, axis=1)
    size = np.linalg.norm(plus) + np.linalg.norm(minus)
    return np.abs(inputs @ (plus - minus)) > reach + rounding * size


def certified_signs(
    w: ArrayLike, u: ArrayLike, x: ArrayLike, slope: float, bias: float = 0.0
) -> Int[np.ndarray, " example"]:
    """The sign of `sum_j s(w[j] . x) - sum_j s(u[j] . x) + bias`, where the clusters tell it.

    Call it `f(x)`. With `n` units `w` within `r` of their mean `plus`, `m` units `u` within `R` of
    `minus`, and `s` increasing,

        f(x) >= n s(plus . x - r |x|) - m s(minus . x + R |x|) + bias
        f(x) <= n s(plus . x + r |x|) - m s(minus . x - R |x|) + bias

    For `n = m`, no bias and a strictly increasing `s` the sign is known exactly where `|(plus -
    minus) . x| > (r + R) |x|`, which holds wherever `certified_linear` does.

    Args:
        w: (unit, input): units that count positively, scaled by their output weights.
        u: (unit, input): units that count negatively; their number may be another one.
        x: (example, input).
        slope: Of the activation below 0, from 0 to 1.
        bias: What is added to the output.

    Returns:
        1 or -1, and 0 where the clusters do not tell.

    Raises:
        UserError: The shapes do not fit, or the slope is out of range.

    Example:
        >>> w, u = [[1.0, 0.2], [1.0, -0.2]], [[-1.0, 0.0]]
        >>> certified_signs(w, u, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], slope=0.5)
        array([ 1, -1,  0])
    """
    plus_units, minus_units = checked_units(w, u)
    inputs = checked_inputs(x, plus_units.shape[1])
    check_number("slope", slope)
    check_number("bias", bias)
    if not 0 <= slope <= 1:
        raise UserError(f"slope must be from 0 to 1, got {slope:g}")
    lengths = np.linalg.norm(inputs, axis=1)
    ranges = []
    for units in (plus_units, minus_units):
        center = units.mean(axis=0)
        along, reach = inputs @ center, _radius(units, center) * lengths
        size = np.linalg.norm(center) * lengths + reach
        reach = reach + 8 * np.finfo(float).eps * len(center) * size
        ranges.append(
            [len(units) * np.maximum(z, slope * z) for z in (along - reach, along + reach)]
        )
    (plus_low, plus_high), (minus_low, minus_high) = ranges
    rounding = 4 * np.finfo(float).eps * (abs(plus_low) + abs(minus_high) + abs(bias))
    above = plus_low - minus_high + bias > rounding
    rounding = 4 * np.finfo(float).eps * (abs(plus_high) + abs(minus_low) + abs(bias))
    below = plus_high - minus_low + bias < -rounding
    return above.astype(int) - below.astype(int)


@dataclass(frozen=True)
class AgreementRegimes:
    """On which examples the units of a sign are all active, or all inactive.

    Attributes:
        neural: The share of examples at which the units of each sign agree among themselves.
        perfect: The share at which `w` units have the sign of the label and `u` units the other.
        w_active: Whether most `w` units are active at an example; all of them where they agree.
        u_active: The same of the `u` units.
    """

    neural: float
    perfect: float
    w_active: Bool[np.ndarray, " example"]
    u_active: Bool[np.ndarray, " example"]


def agreement_regimes(w: ArrayLike, u: ArrayLike, x: ArrayLike, y: ArrayLike) -> AgreementRegimes:
    """The neural and the perfect agreement regime of Sarussi et al. 2021, as shares of examples.

    A network is in a regime where the share is 1. A unit at its kink, `w[j] . x = 0`, agrees with
    nothing.

    Args:
        w: (unit, input): units that count positively.
        u: (unit, input): units that count negatively.
        x: (example, input).
        y: -1 or 1 an example.

    Raises:
        UserError: The shapes do not fit, or a label is neither -1 nor 1.

    Example:
        >>> x, y = [[1.0, 3.0], [-1.0, 1.0]], [1, -1]
        >>> found = agreement_regimes([[1.0, 0.0]], [[-1.0, 0.0]], x, y)
        >>> found.neural, found.perfect
        (1.0, 1.0)
    """
    plus_units, minus_units = checked_units(w, u)
    inputs = checked_inputs(x, plus_units.shape[1])
    labels = checked_signs(y, len(inputs))
    signs = [np.sign(inputs @ units.T) for units in (plus_units, minus_units)]
    uniform = [np.abs(sign.sum(axis=1)) == sign.shape[1] for sign in signs]
    neural = uniform[0] & uniform[1]
    perfect = neural & (signs[0][:, 0] == labels) & (signs[1][:, 0] == -labels)
    active = [sign.sum(axis=1) > 0 for sign in signs]
    return AgreementRegimes(float(neural.mean()), float(perfect.mean()), *active)


def checked_units(w: ArrayLike, u: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both kinds of units as matrices of finite numbers over the same inputs."""
    units = as_float64(w, "w"), as_float64(u, "u")
    if any(each.ndim != 2 or not each.size for each in units) or np.ptp(
        [each.shape[1] for each in units]
    ):
        raise UserError(
            "w and u must be matrices (unit, input) over the same inputs with a unit of each sign, "
            f"got shapes {units[0].shape} and {units[1].shape}"
        )
    if not all(np.isfinite(each).all() for each in units):
        raise UserError("w and u must be finite; a run that diverged has no clusters")
    _check_range("w and u", *units)
    return units


def checked_inputs(x: ArrayLike, width: int | None = None) -> Float[np.ndarray, "example input"]:
    """Inputs as a matrix of finite numbers, of this width if one is given."""
    inputs = as_float64(x, "x")
    if inputs.ndim != 2 or not inputs.size or width not in (None, inputs.shape[1]):
        raise UserError(f"x must be (example, {width or 'input'}), got shape {inputs.shape}")
    if not np.isfinite(inputs).all():
        raise UserError("x must hold finite numbers")
    _check_range("x", inputs)
    return inputs


def _check_range(what: str, *arrays: np.ndarray) -> None:
    """Refuse numbers whose squares or products would overflow, or vanish."""
    largest = max(float(np.abs(each).max()) for each in arrays)
    if largest and not _LEAST <= largest <= _MOST:
        raise UserError(
            f"the largest number of {what} must lie between {_LEAST:.0e} and {_MOST:.0e}, got "
            f"{largest:.3g}; scale them"
        )


def checked_signs(y: ArrayLike, count: int) -> Float[np.ndarray, " example"]:
    """Labels as so many numbers -1 or 1."""
    labels = as_float64(y, "y")
    if labels.shape != (count,) or not np.isin(labels, (-1, 1)).all():
        raise UserError(f"y must be -1 or 1 for each of {count} examples; map classes to signs")
    return labels


def _radius(units: np.ndarray, center: np.ndarray) -> float:
    return float(np.linalg.norm(units - center, axis=1).max())


def _number(units: np.ndarray, angle: float) -> int:
    """Clusters of directions by complete linkage, none wider than the angle."""
    lengths = np.linalg.norm(units, axis=1)
    directions = units[lengths > 0] / lengths[lengths > 0][:, None]
    if len(directions) < 2:
        return len(directions)
    chord = 2 * math.sin(math.radians(angle) / 2)
    tree = hierarchy.linkage(directions, "complete")
    return int(hierarchy.fcluster(tree, chord, "distance").max())
