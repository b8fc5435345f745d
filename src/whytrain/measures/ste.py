r"""How good a straight-through estimator is, on the one network where that can be proved.

The network has one hidden layer of `m` steps that share a filter, Gaussian inputs, and a teacher.
With `K(s) = E mu'(s x)` and the leak `t(r) = E |x| mu'(r x) 1{x < 0}` of a surrogate `mu'`,

    <E g, df/dw> = P^2 sin(angle) K(r sin(angle)) / ((2 pi)^{3/2} r)

decides whether the coarse gradient goes downhill, and at output weights that are at their best for
the filter

    radial E g = (|v|^2 + P) t(r) at the spurious minimum,    |v|^2 t(r) at the saddle

decides whether it stops there: it does for every teacher if and only if the surrogate lets nothing
through where the unit is off. Derived in `docs/yin2019.md`.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.polynomial.legendre import leggauss

from whytrain._tables import Documented
from whytrain._user_code import find_callable
from whytrain.errors import UserError, nearest
from whytrain.gaussian import ESTIMATORS, Estimator, PiecewiseConstant, step
from whytrain.gaussian.kinks import Shape, shape
from whytrain.gaussian.step import Step, StepQuadrature
from whytrain.landscapes import PlaneOrder, PlaneReduction, SphereOrder
from whytrain.measures.arrays import plain

LENGTHS = np.geomspace(1e-2, 1e2, 81)  # of filters, at which the two functions are evaluated
ANGLES = (np.arange(60) + 0.5) * math.pi / 60
ZERO = 1e-9  # of the largest E mu'(s x): what is less is rounding
_SURE = 1e-8  # what the second rule of quadrature itself is good for
_EXACT, _ROUGH = 1e-6, 1e-2  # errors that never matter, and that always do
_MOST = 10**7  # units: beyond, their number changes no rate, but rounding does
_SMALL, _LARGE = 1e-290, 1e150  # of the largest value: beyond, products are 0 or infinite
_NEAR, _JUMP = 1e-6, 1e-3  # beside a border; of the largest value
# Where a derivative is tried: closely about zero, and as far out as the longest filter reaches.
_FAR = np.geomspace(5.1, 1e3, 200)
TRIED = np.concatenate([-_FAR[::-1], np.linspace(-5, 5, 2001), _FAR])


@dataclass(frozen=True)
class Stationary:
    """What the coarse gradient does at a critical point of the loss.

    Attributes:
        kind: `global`, `spurious` or `saddle`.
        angle: Of the filter to the teacher's, in radians.
        loss: The loss there.
        slope: `|E g|`: zero where coarse gradient descent can rest.
        stable: Whether runs that start near it come to it, in the linearized dynamics.
        rate: How fast the angle closes, per unit of step size times steps; negative where it opens.
        collapse: When a filter that starts there has shrunk to zero; None where it does not.
    """

    kind: str
    angle: float
    loss: float
    slope: float
    stable: bool
    rate: float
    collapse: float | None


@dataclass(repr=False, frozen=True)
class SteMeasure(Documented):
    """What is measured of an estimator, with the assumptions under which it holds.

    Attributes:
        name: The estimator's.
        m: Number of hidden units.
        alignment: `u = (1.v*)^2 / ((m + 1) |v*|^2)` of the teacher.
        length: The filter's length.
        lengths: Filter lengths at which `passed` and `leak` are given.
        passed: `K(s) = E mu'(s x)`; its sign is that of the descent correlation.
        leak: `E |x| mu'(s x) 1{x < 0}`.
        descent: Smallest `K` over its largest size: positive where descent is certain.
        correlation: Mean cosine between coarse and true gradient of the filter.
        points: The critical points of the loss.
        verdict: `good`, `unstable` or `uphill`.
        recommendation: What follows, in words.
        assumptions: Under what.
        error: Of `passed` and `leak`, over the largest `E |mu'(s x)|`: by how much two rules of
            quadrature differ; 0 for closed forms.
        found: Where the derivative was found not to be smooth, besides zero and what was declared,
            and where else quadrature ends its panels.
        lost: The probability that a standard normal input is above 0 and nothing is sent back: what
            a clamp costs in gradient.
        borders: Places where the derivative jumps: where, and what is sent back just below, exactly
            there and just above. Inputs that are rounded or clamped themselves lie there exactly.
    """

    name: str
    m: int
    alignment: float
    length: float
    lengths: tuple[float, ...]
    passed: tuple[float, ...]
    leak: tuple[float, ...]
    descent: float
    correlation: float
    points: tuple[Stationary, ...]
    verdict: str
    recommendation: str
    assumptions: str
    error: float = 0.0
    found: tuple[float, ...] = ()
    lost: float = 0.0
    borders: tuple[tuple[float, float, float, float], ...] = ()

    @property
    def checked(self) -> bool:
        """True: the derivative is the user's own, and was called."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """Under which assumptions it holds."""
        return (self.assumptions,)

    def document(self) -> dict[str, Any]:
        """The measure as values that JSON can hold."""
        return asdict(self)


ASSUMPTIONS = (
    "one hidden layer of step units with one shared filter, standard normal inputs, a teacher of "
    "the same shape, expected (infinite-sample) gradients, small steps, the filter away from zero"
)


def _by_quadrature(error: float) -> str:
    return (
        f"; expectations by quadrature, two rules of which agree to {max(error, _SURE):.0e} of the "
        "largest, for a surrogate in which nothing is narrower than 0.02 % of its distance from "
        "zero"
    )


def measure_ste(
    estimator: Estimator, m: int = 10, alignment: float = 0.1, length: float = 1.0
) -> SteMeasure:
    """Measure an estimator.

    Args:
        estimator: A registered one, or the user's.
        m: Number of hidden units, 2 to 10 million: with more, nothing changes but rounding.
        alignment: The teacher's `u`, above 0 and below 1/2, so that there is a spurious minimum.
        length: The filter's length at the critical points.

    Returns:
        The measure.

    Raises:
        UserError: A number is out of range, or the derivative does not return finite real numbers
            of ordinary size in the shape of its argument, or an expectation of it is not finite.

    Example:
        >>> found = {name: measure_ste(ESTIMATORS[name]).verdict for name in ("identity", "relu")}
        >>> found
        {'identity': 'unstable', 'relu': 'good'}
    """
    if not isinstance(m, int | np.integer) or m > _MOST:
        raise UserError(
            f"m must be a whole number to {_MOST}, got {plain(m)}; more units change nothing"
        )
    if m < 2:
        raise UserError(f"m must be 2 or more units, got {m}; one unit has no spurious minimum")
    if not 0 < alignment < 0.5:
        raise UserError(f"alignment must lie between 0 and 0.5, got {alignment:g}")
    if not (math.isfinite(length) and length > 0):
        raise UserError(f"length must be a finite number > 0, got {length:g}")
    check_derivative(estimator)
    with jax.enable_x64(True):
        activation, found = _with_its_kinks(estimator, 10 * max(LENGTHS[-1], length))
        lengths = jnp.asarray(LENGTHS)
        passed = np.asarray(jax.jit(jax.vmap(activation.passed))(lengths))
        leak = np.asarray(jax.jit(jax.vmap(activation.leak))(lengths))
        total = math.sqrt(alignment * (m + 1))
        reduction = PlaneReduction.of_sums(m, total, 1.0, activation)
        for what, values in (("E mu'(s x)", passed), ("E |x| mu'(s x) 1{x < 0}", leak)):
            if not np.isfinite(values).all():
                where = LENGTHS[~np.isfinite(values)][0]
                raise UserError(f"{what} of {estimator.name!r} is not finite at s = {where:.3g}")
        scale = max(float(np.abs(passed).max()), 1e-300)
        error = 0.0 if found is None else _error(estimator.name, found, passed, leak)
        points = _points(reduction, length, ZERO * scale)
        correlation = _correlation(reduction, length)
    leaks = bool(np.abs(leak).max() > ZERO * scale)
    descent = float(passed.min()) / scale
    verdict = "uphill" if descent <= 0 else "unstable" if leaks else "good"
    return SteMeasure(
        estimator.name, m, alignment, length,
        tuple(LENGTHS.tolist()), tuple(passed.tolist()), tuple(leak.tolist()),
        descent, correlation, points, verdict,
        _recommendation(estimator.name, verdict, points),
        ASSUMPTIONS if found is None else ASSUMPTIONS + _by_quadrature(error),
        error, () if found is None else found.ends, _lost(estimator),
        _borders(estimator, () if found is None else found.ends),
    )  # fmt: skip


_PLACES = 200_000  # of equal probability


def _values(estimator: Estimator, x: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(jax.jit(lambda x: jnp.asarray(estimator.derivative(x)))(jnp.asarray(x)))


def _lost(estimator: Estimator) -> float:
    """The probability that a standard normal number is above 0 and its derivative is 0."""
    from scipy.special import ndtri

    levels = (np.arange(_PLACES) + 0.5) / _PLACES
    return float(np.mean(_values(estimator, ndtri((1 + levels) / 2)) == 0)) / 2


def _borders(
    estimator: Estimator, ends: Sequence[float]
) -> tuple[tuple[float, float, float, float], ...]:
    """Where the derivative jumps, with its values below, at, and above."""
    kinks = estimator.kinks
    if isinstance(estimator.derivative, PiecewiseConstant):
        kinks = [place for place, _ in estimator.derivative.jumps]
    at = np.array(sorted({0.0, *kinks, *ends}))
    near = _NEAR * np.maximum(1, np.abs(at))
    below, there, above = (_values(estimator, x).astype(float) for x in (at - near, at, at + near))
    size = float(np.abs([below, there, above]).max()) or 1.0
    jumps = np.maximum(np.abs(above - below), np.abs(there - below)) > _JUMP * size
    found = np.stack([at, below, there, above], axis=1)[jumps]
    return tuple(tuple(float(one) for one in row) for row in found)  # pyright: ignore


def check_derivative(estimator: Estimator) -> None:
    """Try the derivative on numbers small and large."""
    name = f"the derivative of {estimator.name!r}"
    with jax.enable_x64(True):
        x = jnp.asarray(TRIED)
        try:
            found = jax.jit(lambda x: jnp.asarray(estimator.derivative(x)))(x)
        except Exception as error:
            first = " ".join(str(error).split())[:200]
            raise UserError(f"{name} fails on an array: {type(error).__name__}: {first}") from error
        value = np.asarray(found)
    if value.shape != x.shape:
        raise UserError(
            f"{name} must return the shape of its argument, {x.shape}, got {value.shape}; write it "
            "elementwise with jax.numpy"
        )
    if np.iscomplexobj(value):
        raise UserError(f"{name} must return real numbers, got {value.dtype}")
    _refuse_infinite(estimator.name, TRIED, value)
    largest = float(np.abs(value).max(initial=0.0))
    if largest and not _SMALL <= largest <= _LARGE:
        raise UserError(
            f"{name} must be between {_SMALL:g} and {_LARGE:g} where it is largest, got "
            f"{largest:.3g}; a factor of it is one of the step size, so divide it by that"
        )


def _refuse_infinite(name: str, x: np.ndarray, values: np.ndarray) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        where = x[~finite]
        nearest_zero = where[np.argmin(np.abs(where))]
        raise UserError(
            f"the derivative of {name!r} must be finite, but is not at x = {nearest_zero:.4g}"
        )


def _with_its_kinks(estimator: Estimator, reach: float) -> tuple[Step, Shape | None]:
    """The activation, with quadrature that ends where the derivative is not smooth."""
    if isinstance(estimator.derivative, PiecewiseConstant):
        return step(estimator), None  # all closed: nothing is to be found

    @jax.jit
    def derivative(x: Array) -> Array:
        return jnp.asarray(estimator.derivative(x)).astype(x.dtype)  # a truth value is a number

    def values(x: np.ndarray) -> np.ndarray:
        size = 1 << max(x.size - 1, 2**14).bit_length()  # few sizes, each compiled once
        found = np.asarray(derivative(jnp.asarray(np.resize(x, size)))) if x.size else x
        found = found.ravel()[: x.size].reshape(x.shape)
        _refuse_infinite(estimator.name, x, found)
        return found

    found = shape(values, estimator.kinks, reach)
    return StepQuadrature(derivative, (*estimator.kinks, *found.ends)), found


def _error(name: str, found: Shape, passed: np.ndarray, leak: np.ndarray) -> float:
    """By how much the expectations differ from trapezia over all places, over the largest.

    The largest is that of `E |mu'(s x)|`, which no sign makes small.

    Raises:
        UserError: The difference is more than 1 %, or at some `s` as large as the number itself.
    """
    some = slice(None, None, 4)
    ours = np.stack([passed, leak])[:, some]
    *theirs, sizes = np.transpose([_by_trapezia(found, s) for s in LENGTHS[some]])
    off, largest = np.abs(ours - np.stack(theirs)), float(sizes.max())
    unclear = (off > _EXACT * largest) & (ours != 0) & (np.abs(ours) <= off)
    error = float(off.max()) / largest if largest else 0.0
    if error > _ROUGH or unclear.any():
        raise UserError(
            f"two rules of quadrature for {name!r} differ by {error:.1g} of the largest E |mu'(s "
            "x)|, too much to say whether it goes downhill: it changes in more places, or "
            "narrower ones, than are found; name them as kinks (--kink), or give a "
            "PiecewiseConstant"
        )
    return error


def _by_trapezia(found: Shape, s: float) -> tuple[float, float, float]:
    """`E mu'(s x)`, `E |x| mu'(s x) 1{x < 0}` and `E |mu'(s x)|` by another rule."""
    x = found.places / s
    terms = found.values * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    integrands = terms, np.maximum(-x, 0) * terms, np.abs(terms)
    passed, leak, size = (float(np.trapezoid(each, x)) for each in integrands)
    return passed, leak, size


def load_estimator(reference: str, kinks: tuple[float, ...] = ()) -> Estimator:
    """Read a surrogate derivative, or a whole `Estimator`, from a Python file.

    Args:
        reference: `FILE:NAME`: a derivative in JAX, an `Estimator`, or a `torch.autograd.Function`
            of one tensor, of which the backward pass is measured as it is.
        kinks: Where it is not smooth; not needed for an `Estimator`, which says so itself.

    Returns:
        The estimator.

    Raises:
        UserError: The file cannot be run, or has nothing of that name that can be called.
    """
    found, name, path = find_callable(reference, Estimator)
    if isinstance(found, Estimator):
        return found
    if _is_torch_function(found):
        return Estimator(name, _of_torch(found), kinks, str(path), f"{name} of {path.name}")
    return Estimator(name, found, kinks, str(path), f"{name} of {path.name}")


def _is_torch_function(found: Any) -> bool:
    torch = sys.modules.get("torch")
    return (
        torch is not None and isinstance(found, type) and issubclass(found, torch.autograd.Function)
    )


def _of_torch(function: Any) -> Callable[[Any], Any]:
    """What a PyTorch function of one tensor sends back for a one, as a function in JAX."""

    def sent(x: np.ndarray) -> np.ndarray:
        torch = sys.modules["torch"]
        given = torch.tensor(x, requires_grad=True)
        try:
            found = function.apply(given)
            found.backward(torch.ones_like(found))
        except Exception as error:  # the user's own code
            raise UserError(
                f"{function.__name__}.apply(x) and its backward pass fail on a tensor "
                f"({type(error).__name__}: {' '.join(str(error).split())[:150]}); it must take one "
                "tensor and work on each number"
            ) from error
        if given.grad is None:
            raise UserError(f"{function.__name__} sends no gradient back to its argument")
        return given.grad.numpy()

    def in_bits(bits: Any) -> np.ndarray:
        x = np.ascontiguousarray(bits).view(np.float64)
        return np.ascontiguousarray(sent(x).astype(np.float64)).view(np.int32)

    def derivative(x: Any) -> Any:
        # As pairs of integers: JAX calls back from a thread where it knows of no float64.
        x = jnp.asarray(x)
        bits = jax.lax.bitcast_convert_type(x.astype(jnp.float64), jnp.int32)
        shape = jax.ShapeDtypeStruct(bits.shape, bits.dtype)
        found = jax.pure_callback(in_bits, shape, bits, vmap_method="broadcast_all")
        return jax.lax.bitcast_convert_type(found, jnp.float64)

    sent(np.zeros(3))  # what fails is told here, in one line
    return derivative


def find_estimator(name: str) -> Estimator:
    """The registered estimator of that name.

    Raises:
        UserError: There is none.
    """
    if name not in ESTIMATORS:
        hint = nearest(name, ESTIMATORS) or f"; there is {', '.join(ESTIMATORS)}"
        raise UserError(f"unknown estimator {name!r}{hint}")
    return ESTIMATORS[name]


def _points(reduction: PlaneReduction, length: float, zero: float) -> tuple[Stationary, ...]:
    """The critical points, with what the coarse gradient does at each; less than `zero` is none."""
    sphere = reduction.on_sphere()
    activation: Any = reduction.activation
    known = sorted(sphere.critical_points(), key=lambda point: float(point.params.angle))
    radials, acrosses = _slopes(reduction, [point.params for point in known], length)
    found = []
    for point, radial, across in zip(known, radials, acrosses, strict=True):
        angle, overlap = float(point.params.angle), float(point.params.overlap)
        slope = math.hypot(radial, across)
        rests = bool(slope <= zero)
        if point.kind == "saddle":
            rate, stable = -_saddle_rate(reduction, angle, length), False
        else:
            closing = float(jax.jit(activation.passed)(1e-9))
            rate = abs(overlap) * closing / (math.sqrt(2 * math.pi) * length)
            stable = rests and rate > 0
        push = float(reduction.lift(point.params).size) + overlap  # what multiplies the leak
        collapse = None if rests or radial <= 0 else _collapse(activation.leak, push, length)
        found.append(Stationary(point.kind, angle, point.loss, slope, stable, rate, collapse))
    return tuple(found)


def _slopes(
    reduction: PlaneReduction, settled: Sequence[SphereOrder], length: float
) -> tuple[np.ndarray, np.ndarray]:
    """The expected coarse gradient at settled places, along the filter and across it."""
    places = [reduction.lift(place) for place in settled]
    order = PlaneOrder(*(jnp.asarray([float(p[i]) for p in places]) for i in range(5)))
    order = order._replace(x=length * order.x, y=length * order.y)
    radial, across = jax.jit(jax.vmap(reduction.filter_slope))(order)
    return np.asarray(radial), np.asarray(across)


def _saddle_rate(reduction: PlaneReduction, angle: float, length: float) -> float:
    """How fast the angle opens at the saddle: along the curve of settled output weights."""
    sphere = reduction.on_sphere()
    h = 1e-5
    low, high = (float(sphere.settled(angle + side * h).overlap) for side in (-1, 1))
    across = float(jax.jit(reduction.activation.backward_cross)(angle, length)[1])
    return abs(high - low) / (2 * h) * across / length


def _collapse(leak: Callable, push: float, length: float) -> float | None:
    """`int_0^length dr / (push leak(r))`: how long the filter takes to be gone."""
    nodes, weights = leggauss(40)
    r = (nodes + 1) / 2 * length
    speed = push * np.asarray(jax.jit(jax.vmap(leak))(jnp.asarray(r)))
    if (speed <= 0).any():
        return None
    return float(np.sum(weights / 2 * length / speed))


def _correlation(reduction: PlaneReduction, length: float) -> float:
    """Mean cosine between coarse and true gradient, over angles and settled output weights."""
    settled = [reduction.on_sphere().settled(float(angle)) for angle in ANGLES]
    radial, across = _slopes(reduction, settled, length)
    sign = np.sign([float(place.overlap) for place in settled])
    return float(np.mean(-across * sign / np.maximum(np.hypot(radial, across), 1e-300)))


def _recommendation(name: str, verdict: str, points: tuple[Stationary, ...]) -> str:
    if verdict == "uphill":
        return (
            f"Do not use {name}: for some filters E mu'(s x) is not positive, and there its coarse "
            "gradient leads uphill or nowhere."
        )
    if verdict == "good":
        return (
            f"{name} is a good choice: its coarse gradient goes downhill for every filter, and "
            "vanishes where a true gradient would, because it lets nothing through where the unit "
            "is off. It can rest at every minimum, the spurious one included."
        )
    spurious = next(point for point in points if point.kind == "spurious")
    gone = "" if spurious.collapse is None else (
        f" A filter of this length is gone after a time (step size times steps) of "
        f"{spurious.collapse:.3g}."
    )  # fmt: skip
    return (
        f"{name} goes downhill for every filter, but is unstable at the spurious minimum: it lets "
        "gradient through where the unit is off, so that its coarse gradient there is not zero "
        f"(length {spurious.slope:.3g}) but points along the filter. The loss does not see the "
        f"filter's length, so nothing opposes it: the filter shrinks to zero, its direction is "
        f"lost, and the run does not converge.{gone} Prefer a derivative that vanishes for x < 0, "
        "such as clipped_relu. (Where this happens the loss of this small network need not end "
        "higher: the instability can also lead out of the spurious minimum.)"
    )
