"""One filter shared by Gaussian patches: a convolutional network with one hidden layer."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from whytrain._random import normal
from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.gaussian import Activation, ReLU
from whytrain.landscapes.landscape import CriticalPoint, Landscape, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.plane import PlaneOrder, PlaneReduction
from whytrain.landscapes.profile import SphereOrder
from whytrain.landscapes.rule import NORMALIZED_DESCENT, Rule
from whytrain.landscapes.sphere import SphereReduction
from whytrain.landscapes.weights import Weights, angle_between, norm


def _vector(value: ArrayLike) -> Array | np.ndarray:
    """A constant as a NumPy array in float64; what JAX is tracing stays as it is."""
    return value if isinstance(value, jax.Array) else np.asarray(value, dtype=np.float64)


_ONE = 1e-9  # how far from one a length of one may be


class SharedFilter(Landscape):
    r"""Student and teacher with one filter `v` shared by `k` Gaussian patches `Z_j` of length `p`.

        f(Z; v, a) = sum_j a_j sigma(Z_j . v),     loss = 1/2 E (f(Z; v, a) - f(Z; v*, a*))^2

    With `r = |v|`, `r* = |v*|`, the angle between them, and the expectations `q, m, c` of the
    activation (`second_moment`, `mean`, `cross`; a star for the teacher's radius), the loss is

        1/2 [ V |a - a*|^2 + 2 (V - C) (a - a*) . a* + (V - 2 C + V*) |a*|^2 + (m 1.a - m* 1.a*)^2 ]

    with `V = q - m^2`, `V* = q* - m*^2`, `C = c - m m*`. For the activation `ReLU()` and unit
    filters this is the loss of Du et al. (ICML 2018, Theorem 3.1), written so that nothing
    cancels near the optimum. `grad` is the *expected backward pass*: where the activation has
    a surrogate derivative it is the coarse gradient, not the derivative of the loss.

    With a `shortcut` (Liu et al., NeurIPS 2019) the filter is `v = shortcut + w` and the parameter
    is `w`. The manifold is the unit sphere of `v`.

    Args:
        filter_star: The teacher's filter `v*`, shape (p,).
        output_star: The teacher's output weights `a*`, shape (k,).
        activation: Forward and backward activation; default `ReLU()`.
        shortcut: What the shortcut connection adds to the filter, shape (p,), or None.

    Raises:
        UserError: A teacher's weight is not finite, the filter is zero, or shapes do not fit.

    Example:
        >>> with jax.enable_x64(True):
        ...     landscape = SharedFilter(np.array([0.6, 0.8]), np.array([1.0, 2.0, 3.0]))
        ...     float(landscape.loss(Weights(jnp.array([0.6, 0.8]), jnp.array([1.0, 2.0, 3.0]))))
        0.0
    """

    parameters: ClassVar[type | None] = Weights

    filter_star: Float[Numeric, " p"] = eqx.field(converter=_vector)
    output_star: Float[Numeric, " k"] = eqx.field(converter=_vector)
    activation: Activation = eqx.field(default_factory=ReLU)
    shortcut: Float[Numeric, " p"] | None = None

    def __check_init__(self) -> None:
        for name in ("filter_star", "output_star"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and (value.ndim != 1 or not np.isfinite(value).all()):
                raise UserError(f"{name} must be a finite vector, got {value!r}")
            if isinstance(value, np.ndarray) and not np.any(value):
                raise UserError(f"{name} must not be zero: there would be nothing to learn")
        if self.shortcut is not None and np.shape(self.shortcut) != np.shape(self.filter_star):
            raise UserError(
                f"shortcut must have the filter's shape {np.shape(self.filter_star)}, "
                f"got {np.shape(self.shortcut)}"
            )

    @property
    def k(self) -> int:
        """Number of patches."""
        return np.shape(self.output_star)[0]

    @property
    def p(self) -> int:
        """Length of a patch."""
        return np.shape(self.filter_star)[0]

    def filter(self, weights: Weights) -> Float[Array, " p"]:
        """The filter that acts on the patches: `weights.filter`, plus the shortcut if any.

        Raises:
            UserError: The weights are not those of such a network; shapes would be stretched.
        """
        for name, star in (("filter", self.filter_star), ("output", self.output_star)):
            if np.shape(getattr(weights, name)) != np.shape(star):
                raise UserError(
                    f"the weights' {name} must have the teacher's shape {np.shape(star)}, got "
                    f"{np.shape(getattr(weights, name))}"
                )
        w = jnp.asarray(weights.filter)
        return w if self.shortcut is None else w + self.shortcut

    def predict(self, weights: Weights, patches: Float[Array, "n k p"]) -> Float[Array, " n"]:
        """The network's output, one number an input."""
        return self._hidden(self.filter(weights), patches) @ jnp.asarray(weights.output)

    def teacher(self, patches: Float[Array, "n k p"]) -> Float[Array, " n"]:
        """The teacher's output, one number an input."""
        return self._hidden(jnp.asarray(self.filter_star), patches) @ jnp.asarray(self.output_star)

    def _hidden(self, v: Float[Array, " p"], patches: Float[Array, "n k p"]) -> Float[Array, "n k"]:
        return self.activation.forward(patches @ v)

    def loss(self, params: Weights) -> Float[Array, ""]:
        """The population loss of the class docstring."""
        v, a = self.filter(params), jnp.asarray(params.output)
        moments = self._moments(v)
        gap = a - self.output_star
        overlap = jnp.sum(gap * self.output_star)
        power = jnp.sum(jnp.square(self.output_star))
        # V - C and V - 2 C + V*, which vanish at the optimum, without cancellation.
        r, r_star = norm(v), norm(jnp.asarray(self.filter_star))
        ahead = self.activation.shortfall(moments.angle, r, r_star)
        behind = self.activation.shortfall(moments.angle, r_star, r)
        drift = moments.mean - moments.mean_star
        total = moments.mean * jnp.sum(gap) + drift * jnp.sum(self.output_star)
        return 0.5 * (
            moments.variance * jnp.sum(gap**2)
            + 2 * (ahead - moments.mean * drift) * overlap
            + (ahead + behind - drift**2) * power
            + total**2
        )

    def grad(self, params: Weights) -> Weights:
        """The expected backward pass in closed form: the true gradient unless there is a surrogate.

        With `alpha, beta, gamma` of the activation, `s = 1.a`, `u = a.a*`, `N = |a|^2`, `S = 1.a*`:

            output: V a - C a* + m (m s - m* S) 1
            filter: N beta + (s^2 - N) m alpha - u gamma - (s S - u) m* alpha
        """
        v, a = self.filter(params), jnp.asarray(params.output)
        a_star = jnp.asarray(self.output_star)
        moments = self._moments(v)
        s, u, size, s_star = jnp.sum(a), jnp.sum(a * a_star), jnp.sum(a**2), jnp.sum(a_star)
        m, m_star = moments.mean, moments.mean_star
        output = moments.variance * a - moments.covariance * a_star + m * (m * s - m_star * s_star)
        r, r_star = norm(v), norm(jnp.asarray(self.filter_star))
        along, across = self.activation.backward_cross(moments.angle, r, r_star)
        unit, toward = _frame(v, jnp.asarray(self.filter_star))
        mean_pull = (s**2 - size) * m - (s * s_star - u) * m_star
        radial = (
            size * self.activation.backward_self(r)
            + mean_pull * self.activation.backward_mean(r)
            - u * along
        )
        return Weights(radial * unit - u * across * toward, output)

    def tangent(self, params: Weights, vector: Weights) -> Weights:
        """`vector` without the part of its filter along the filter itself."""
        unit = self.filter(params) / norm(self.filter(params))
        radial = jnp.sum(jnp.asarray(vector.filter) * unit)
        return Weights(vector.filter - radial * unit, vector.output)

    def retract(self, params: Weights) -> Weights:
        """The same output weights with the filter brought back to length one."""
        v = self.filter(params)
        unit = v / norm(v)
        return Weights(unit if self.shortcut is None else unit - self.shortcut, params.output)

    def sample(self, key: Array, n: int) -> Float[Array, "n k p"]:
        """`n` inputs of `k` independent standard normal patches."""
        return normal(key, (n, self.k, self.p))

    def empirical_loss(self, params: Weights, batch: Float[Array, "n k p"]) -> Float[Array, ""]:
        """Half the mean squared error on a batch of inputs."""
        return 0.5 * jnp.mean((self.predict(params, batch) - self.teacher(batch)) ** 2)

    def empirical_grad(self, params: Weights, batch: Float[Array, "n k p"]) -> Weights:
        """The backward pass on a batch, through the activation's `backward` derivative."""
        v, a = self.filter(params), jnp.asarray(params.output)
        before = batch @ v
        hidden = self.activation.forward(before)
        residual = (hidden @ a - self.teacher(batch)) / batch.shape[0]
        into = self.activation.backward(before) * a * residual[:, None]
        return Weights(jnp.einsum("nk,nkp->p", into, batch), residual @ hidden)

    def on_sphere(self) -> SphereReduction:
        """The reduction to three numbers, exact under normalized gradient descent and its flow.

        Raises:
            UserError: The teacher's filter does not have length one.
        """
        length = float(np.linalg.norm(self.filter_star))
        if abs(length - 1) > _ONE:
            raise UserError(
                f"filter_star must have length 1 on the sphere, got {length:.6g}; divide it by that"
            )
        return SphereReduction.of_teacher(self.output_star, self.activation)

    def in_plane(self) -> PlaneReduction:
        """The reduction to five numbers, exact under plain gradient descent and its flow."""
        return PlaneReduction.of_teacher(self.filter_star, self.output_star, self.activation)

    def order(self, weights: Weights) -> SphereOrder:
        """The order parameters of `weights` on the sphere."""
        v = self.filter(weights)
        overlap = jnp.sum(jnp.asarray(weights.output) * self.output_star)
        angle = angle_between(v, jnp.asarray(self.filter_star))
        return SphereOrder(angle, jnp.sum(jnp.asarray(weights.output)), overlap)

    def order_in_plane(self, weights: Weights) -> PlaneOrder:
        """The order parameters of `weights` in the plane; `y` is never negative."""
        v, a = self.filter(weights), jnp.asarray(weights.output)
        star = jnp.asarray(self.filter_star)
        unit = star / norm(star)
        x = jnp.sum(v * unit)
        overlap = jnp.sum(a * self.output_star)
        return PlaneOrder(x, norm(v - x * unit), jnp.sum(a), overlap, jnp.sum(a * a))

    def outcome(self, params: Weights) -> Int[np.ndarray, " run"]:
        """Which critical point each of a batch of weights has come to.

        As for the reduction, and the output weights must be at the point's own, to 1 % of the
        teacher's length. Under an activation with a `degree` the filter may have any length: it
        is divided by it, and the output weights multiplied by `length^degree`; a teacher's too.
        Of other activations nothing is known where the teacher's filter is not of length one.
        """
        length = float(np.linalg.norm(self.filter_star))
        if abs(length - 1) > _ONE:
            return self._outcome_of_length(params, length)
        reduction = self.on_sphere()
        degree = self.activation.degree
        if degree is not None:
            length = np.linalg.norm(at_each(self.filter, params), axis=1)[:, None]
            params = Weights(params.filter, np.asarray(params.output) * length**degree)
        order = at_each(self.order, params)
        codes = reduction.outcome(order)
        size = np.sqrt(reduction.power_star)
        settled = reduction.settled_output(np.asarray(self.output_star), order.angle[:, None])
        gap = np.linalg.norm(np.asarray(params.output) - settled, axis=1)
        held = (gap < 0.05 * size) | (codes == Outcome.DIVERGED)
        return np.where(held, codes, Outcome.UNDECIDED).astype(np.int8)

    def _outcome_of_length(self, params: Weights, length: float) -> Int[np.ndarray, " run"]:
        """That of a teacher whose filter has another length than one."""
        degree, star = self.activation.degree, np.asarray(self.filter_star) / length
        if degree is None:
            finite = np.all([np.isfinite(leaf).all(axis=1) for leaf in params], axis=0)
            return np.where(finite, Outcome.UNDECIDED, Outcome.DIVERGED).astype(np.int8)
        output = np.asarray(self.output_star) * length**degree
        return SharedFilter(star, output, self.activation, self.shortcut).outcome(params)

    def stable(self, rule: Rule, step_sizes: Weights | Float[Numeric, ""]) -> bool:
        """Whether normalized descent contracts at the global minimum; of other rules: True."""
        return rule != NORMALIZED_DESCENT or self.on_sphere().stable(rule, step_sizes)

    def critical_points(self) -> Sequence[CriticalPoint]:
        """The critical points on the sphere of the filter, with the filters at angle 0, saddle, pi.

        The saddle is a whole sphere of filters when p > 2; one of them is given.

        Raises:
            UserError: The teacher's filter does not have length one.
        """
        points = self.on_sphere().critical_points()
        if self.p == 1:  # the sphere is two points
            points = [point for point in points if point.params.angle in (0.0, np.pi)]
        return [self._lift(point) for point in points]

    def _lift(self, point: CriticalPoint) -> CriticalPoint:
        """A critical point of the reduction as weights of the network."""
        reduction = self.on_sphere()
        v = self._filter_at(float(point.params.angle))
        w = v if self.shortcut is None else v - np.asarray(self.shortcut)
        output = reduction.settled_output(np.asarray(self.output_star), float(point.params.angle))
        flat = None
        if point.degenerate is not None:
            flat = Weights(self._filter_at(np.pi / 2), np.zeros(self.k))
        return CriticalPoint(point.kind, Weights(w, output), point.loss, flat, point.cubic)

    def _filter_at(self, angle: float) -> Float[np.ndarray, " p"]:
        """A unit filter at `angle` to the teacher's."""
        unit = np.asarray(self.filter_star) / np.linalg.norm(self.filter_star)
        if self.p == 1:  # the sphere is two points
            return unit * np.sign(np.cos(angle))
        other = np.eye(self.p)[np.argmin(np.abs(unit))]
        other = other - (other @ unit) * unit
        return np.cos(angle) * unit + np.sin(angle) * other / np.linalg.norm(other)

    def _moments(self, v: Float[Array, " p"]) -> "_Moments":
        star = jnp.asarray(self.filter_star)
        r, r_star, angle = norm(v), norm(star), angle_between(v, star)
        m, m_star = self.activation.mean(r), self.activation.mean(r_star)
        return _Moments(
            angle,
            m,
            m_star,
            self.activation.second_moment(r) - m**2,
            self.activation.cross(angle, r, r_star) - m * m_star,
        )


class _Moments(NamedTuple):
    """Mean, variance and covariance of the two activations of one patch."""

    angle: Any
    mean: Any
    mean_star: Any
    variance: Any
    covariance: Any


def _frame(
    v: Float[Array, " p"], star: Float[Array, " p"]
) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
    """The unit vector along `v`, and the one across it towards `star` (zero where parallel)."""
    unit = v / norm(v)
    across = star - jnp.sum(star * unit) * unit
    length = norm(across)
    return unit, jnp.where(length > 0, across / jnp.where(length > 0, length, 1.0), 0.0)
