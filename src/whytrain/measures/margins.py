"""Maximum margins: the convex program, normalized margins, and how far a direction is from KKT."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PyTree
from numpy.typing import ArrayLike

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, in_one_line
from whytrain.measures.clusters import checked_inputs, checked_signs
from whytrain.measures.trained import trained

optimize = later("scipy.optimize")

_ONE = "function must give one finite number an example"
_NONE = 1e-10  # a residual of length 1 or less that counts as none
_OPTIMAL = 1e-6  # relative, of the least product and of the gap between both programs


@dataclass(frozen=True)
class MaxMargin:
    """The solution of `min |normal|^2` under `y[i] normal . x[i] >= 1`.

    Attributes:
        normal: The solution.
        margin: `1 / |normal|`, the largest margin that a vector of length 1 has.
        multipliers: `l >= 0` with `normal = sum_i l[i] y[i] x[i]`.
    """

    normal: Float[np.ndarray, " d"]
    margin: float
    multipliers: Float[np.ndarray, " example"]

    @property
    def direction(self) -> Float[np.ndarray, " d"]:
        """`normal / |normal|`."""
        return self.normal * self.margin


def max_margin(x: ArrayLike, y: ArrayLike) -> MaxMargin:
    """The hard-margin linear rule through the origin: `min |n|^2` with `y[i] n . x[i] >= 1`.

    Solved exactly, as least-distance programming (Lawson and Hanson 1974, chapter 23): of
    `r = E u - f` with `E = [(y x)^T; 1 ... 1]` and `f = (0, ..., 0, 1)`, least over `u >= 0`
    (SciPy's `nnls`), the solution is `n = -r[:d] / r[d]`.

    Args:
        x: (example, d).
        y: -1 or 1 an example.

    Raises:
        UserError: No linear rule through the origin separates the examples, or none by a margin
            that float64 can tell from none; or the arrays do not fit.

    Example:
        >>> found = max_margin([[1.0, 0.0], [0.0, 2.0]], [1, 1])
        >>> print(found.normal.round(6), f"{found.margin:.6f}")
        [1.  0.5] 0.894427
    """
    inputs = checked_inputs(x)
    labels = checked_signs(y, len(inputs))
    scale = np.linalg.norm(inputs, axis=1).max()
    if not scale:
        raise UserError("no linear rule separates inputs that are all 0")
    rows = labels[:, None] * inputs / scale
    solved = _solved(rows)
    if solved is None and not _separable(rows):
        raise UserError(
            "no linear rule through the origin separates the examples; add an input that is always "
            "1 for a rule with a bias, or take a soft margin (sklearn.svm.LinearSVC)"
        )
    if solved is None or not _optimal(rows, *solved):
        raise UserError(
            "the margin is below about 1e-7 of the longest example and cannot be told from none in "
            "float64"
        )
    normal, multipliers = solved[0] / scale, solved[1] / scale**2
    return MaxMargin(normal, float(1 / np.linalg.norm(normal)), multipliers)


def _solved(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Normal and multipliers of `y x`, none of them longer than 1; None where none is found."""
    E = np.vstack([rows.T, np.ones(len(rows))])
    f = np.zeros(len(E))
    f[-1] = 1.0
    weights, length = optimize.nnls(E, f, maxiter=100 * max(E.shape))
    residual = E @ weights - f
    if length <= _NONE or residual[-1] >= 0:
        return None
    normal = -residual[:-1] / residual[-1]
    least = (rows @ normal).min()
    if not least > 0:
        return _refined(rows, weights > 0)
    found = normal / least, weights / -residual[-1] / least  # the nearest example at 1, to rounding
    return found if _optimal(rows, *found) else _refined(rows, weights > 0)


def _refined(rows: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest normal with the product 1 at the active examples: `nnls` squares a margin."""
    multipliers = np.zeros(len(rows))
    normal = np.linalg.lstsq(rows[active], np.ones(int(active.sum())))[0]
    multipliers[active] = np.linalg.lstsq(rows[active].T, normal)[0]
    return normal, multipliers


def _optimal(rows: np.ndarray, normal: np.ndarray, multipliers: np.ndarray) -> bool:
    """Whether every example is on its side, and the dual program has the same value."""
    square = normal @ normal
    return bool(
        (rows @ normal).min() >= 1 - _OPTIMAL
        and multipliers.min() >= 0
        and abs(multipliers.sum() - square) <= _OPTIMAL * square
    )


def _separable(rows: np.ndarray) -> bool:
    """Whether a rule separates the examples, which the lengths of rows and columns do not say."""
    columns = np.abs(rows).max(axis=0)
    rows = rows / np.where(columns > 0, columns, 1.0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        return False
    solved = _solved(rows / lengths)
    return solved is not None and _optimal(rows / lengths, *solved)


@dataclass(frozen=True)
class ClusteredLimit:
    """Two units that stand for all of a clustered network: where gradient flow ends in direction.

    Attributes:
        w: The unit of positive sign.
        u: The unit of negative sign.
        margin: The margin of the two together, `1 / |(w, u)|`.
    """

    w: Float[np.ndarray, " d"]
    u: Float[np.ndarray, " d"]
    margin: float


def clustered_limit(
    x: ArrayLike, y: ArrayLike, w_active: ArrayLike, u_active: ArrayLike, slope: float
) -> ClusteredLimit:
    """The limit of a two-layer leaky network whose units agree (the regime of Sarussi et al. 2021).

        min |w|^2 + |u|^2  under  y[i] (s_w[i] w . x[i] - s_u[i] u . x[i]) >= 1

    with `s = 1` at examples at which the units of the sign are active and `s = slope` elsewhere:
    `max_margin` of `(s_w x, -s_u x)`. In the agreement regime the network is linear in its
    weights on the examples, and equal units have the least length.

    Args:
        x: (example, d).
        y: -1 or 1 an example.
        w_active: Whether the units of positive sign are active at an example, as
            `agreement_regimes` says.
        u_active: The same of the others.
        slope: The activation's slope below 0.

    Raises:
        UserError: The arrays do not fit, or the program has no solution.

    Example:
        >>> x, y, active = [[1.0, 0.0], [-1.0, 0.0]], [1, -1], np.array([True, False])
        >>> found = clustered_limit(x, y, active, ~active, slope=0.5)
        >>> print(found.w.round(6), found.u.round(6))
        [0.666667 0.      ] [-0.666667  0.      ]
    """
    inputs = as_float64(x, "x")
    slopes = [np.where(np.asarray(active, bool), 1.0, slope) for active in (w_active, u_active)]
    if inputs.ndim != 2 or any(each.shape != (len(inputs),) for each in slopes):
        raise UserError("clustered_limit needs x (example, d) and for each example two activities")
    features = np.hstack([slopes[0][:, None] * inputs, -slopes[1][:, None] * inputs])
    solved = max_margin(features, y)
    half_w, half_u = np.split(solved.normal, 2)
    return ClusteredLimit(half_w, half_u, solved.margin)


def normalized_margin(
    function: Callable[[PyTree, Any], Any],
    params: PyTree,
    x: ArrayLike,
    y: ArrayLike,
    norm: str = "l2",
) -> float:
    """`min_i y[i] f(params, x[i]) / |params|^L` of a network that is homogeneous of degree `L`.

    The degree is measured, `<params, grad f> / f`, and held against `f(2 params)`; a network that
    has none is refused: its margin says nothing that a rescaling would not change.

    Args:
        function: `function(params, x)`, one number an example.
        params: A pytree of arrays, or an Equinox module.
        x: (example, ...).
        y: -1 or 1 an example.
        norm: `"l2"` and `"linf"` of all parameters as one vector; `"spectral"`, the largest
            singular value of the one matrix that there is.

    Raises:
        UserError: The network is not homogeneous, an output is not finite, or the norm is unknown.

    Example:
        >>> linear = lambda w, x: x @ w
        >>> point, label = np.array([[3.0, 1.0]]), [1]
        >>> print(f"{normalized_margin(linear, np.array([3.0, 1.0]), point, label):.4f}")
        3.1623
        >>> print(normalized_margin(linear, np.array([1.0, 1.0]), point, label, "linf"))
        4.0
    """
    function, params = _of_modules(function, params)
    at = _Homogeneous.of(function, params, x, y)
    return float(at.margins.min() / _length(params, norm) ** at.degree)


@dataclass(frozen=True)
class KKT:
    """How far a direction is from a KKT point of `min |params|^2` under `y f >= 1`.

    Attributes:
        stationarity: `|params - sum_i l[i] y[i] grad f(x[i])| / |params|` for the multipliers
            `l >= 0` that make it least; 0 at a KKT point.
        slackness: `sum_i l[i] (m[i] / min m - 1) / sum_i l[i]`, with the margins `m`; 0 at one.
        multipliers: `l`, for the parameters scaled to the least margin 1.
        degree: `L`, the degree of homogeneity.
    """

    stationarity: float
    slackness: float
    multipliers: Float[np.ndarray, " example"]
    degree: float


def kkt_residual(
    function: Callable[[PyTree, Any], Any], params: PyTree, x: ArrayLike, y: ArrayLike
) -> KKT:
    """How far the direction of a homogeneous network is from a KKT point of the maximum margin.

    Where gradient descent on a loss with an exponential tail separates the data, its direction
    converges to such a point (Lyu and Li 2020). At kinks the gradient is what autodiff says.

    Args:
        function: `function(params, x)`, one number an example.
        params: A pytree of arrays, or an Equinox module; only their direction counts.
        x: (example, ...).
        y: -1 or 1 an example.

    Raises:
        UserError: As for `normalized_margin`, or an example is on the wrong side.

    Example:
        >>> linear = lambda w, x: x @ w
        >>> x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), [1, 1]
        >>> print(f"{kkt_residual(linear, np.array([1.0, 0.5]), x, y).stationarity:.6f}")
        0.000000
        >>> print(f"{kkt_residual(linear, np.array([1.0, 1.0]), x, y).slackness:.3f}")
        0.333
    """
    at = _Homogeneous.of(*_of_modules(function, params), x, y)
    if at.margins.min() <= 0:
        raise UserError(
            f"{int((at.margins <= 0).sum())} of {len(at.margins)} examples are on the wrong side: "
            "a direction that does not separate has no margin; train on"
        )
    size = at.margins.min() ** (1 / at.degree)
    vector = at.vector / size
    gradients = at.gradients / size ** (at.degree - 1)
    multipliers, length = optimize.nnls(gradients.T, vector, maxiter=100 * max(gradients.shape))
    slack = at.margins / at.margins.min() - 1
    total = multipliers.sum()
    return KKT(
        float(length / np.linalg.norm(vector)),
        float(multipliers @ slack / total) if total else np.inf,
        multipliers,
        at.degree,
    )


@dataclass(frozen=True)
class _Homogeneous:
    """Margins and gradients at the parameters of a network whose degree was measured."""

    vector: Float[np.ndarray, " parameter"]
    margins: Float[np.ndarray, " example"]
    gradients: Float[np.ndarray, "example parameter"]
    degree: float

    @classmethod
    def of(cls, function: Callable, params: PyTree, x: ArrayLike, y: ArrayLike) -> "_Homogeneous":
        with jax.enable_x64(True):
            vector, back = ravel_pytree(jax.tree.map(lambda leaf: as_float64(leaf), params))
            inputs = jnp.asarray(as_float64(x, "x"))
            if not inputs.ndim or not inputs.size:
                raise UserError(f"x must be (example, ...), got shape {inputs.shape}")
            labels = checked_signs(y, len(inputs))

            def margins(point: Any) -> Any:
                found = jnp.asarray(function(back(point), inputs))
                if found.shape != labels.shape:
                    raise UserError(f"{_ONE}, got shape {found.shape} for {len(inputs)} examples")
                return jnp.asarray(labels) * found

            with in_one_line("function(params, x) cannot be called on x, or differentiated by JAX"):
                found = np.asarray(margins(vector))
                gradients = np.asarray(jax.jacrev(margins)(vector))
                doubled = np.asarray(margins(2 * vector))
            if not np.isfinite(found).all():
                raise UserError(_ONE)
        vector = np.asarray(vector)
        along = gradients @ vector
        size = np.abs(found).max()
        degree = float(along @ found / (found @ found)) if size else 0.0
        if (
            not degree > 0
            or np.abs(along - degree * found).max() > 1e-6 * size * degree
            or np.abs(doubled - 2**degree * found).max() > 1e-6 * size * 2**degree
        ):
            raise UserError(
                "the network is not homogeneous in these parameters (f(2 params) is not a fixed "
                "power of 2 times f): leave out biases, or put fixed parameters into the function"
            )
        return cls(vector, found, gradients, degree)


def _of_modules(function: Callable, params: PyTree) -> tuple[Callable, PyTree]:
    """The arrays of Equinox modules, and the function of these; anything else as it is."""
    nodes = jax.tree.leaves(params, is_leaf=lambda node: isinstance(node, eqx.Module))
    if not any(isinstance(node, eqx.Module) for node in nodes):
        return function, params
    found = trained(function, params)
    return found.loss, found.arrays


def _length(params: PyTree, norm: str) -> float:
    leaves = [as_float64(leaf) for leaf in jax.tree.leaves(params)]
    if norm == "spectral":
        if len(leaves) != 1 or leaves[0].ndim != 2:
            raise UserError("the spectral norm is of one matrix: give params as one")
        return float(np.linalg.norm(leaves[0], 2))
    vector = np.concatenate([leaf.ravel() for leaf in leaves])
    if norm not in ("l2", "linf"):
        raise UserError(f"norm must be l2, linf or spectral, got {norm!r}")
    return float(np.linalg.norm(vector, 2 if norm == "l2" else np.inf))
