"""Five numbers that carry plain gradient descent on a shared filter, for any activation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.gaussian import Activation, StepPiecewise
from whytrain.gaussian.quadrature import least
from whytrain.landscapes.landscape import CriticalPoint, at_each
from whytrain.landscapes.outcome import Outcome
from whytrain.landscapes.profile import SphereOrder
from whytrain.landscapes.reduction import Reduction, VectorStep, pair
from whytrain.landscapes.rule import DESCENT, FLOW, Rule
from whytrain.landscapes.sphere import SphereReduction
from whytrain.landscapes.weights import Weights


class PlaneOrder(NamedTuple):
    """Order parameters of plain gradient descent.

    The filter is `x` along the teacher's filter and `y` across it; `total = 1.a`,
    `overlap = a.a*`, `size = |a|^2`.
    """

    x: Float[Numeric, "*batch"]
    y: Float[Numeric, "*batch"]
    total: Float[Numeric, "*batch"]
    overlap: Float[Numeric, "*batch"]
    size: Float[Numeric, "*batch"]


def turn(x: Float[Numeric, ""], y: Float[Numeric, ""]) -> Float[Array, ""]:
    """The angle of `(x, |y|)`, in [0, pi]; 0 at the origin.

    A run that converges for long has a `y` below the normal numbers, which XLA takes for zero but
    whose arctangent beside a negative `x` it gets wrong by pi.

    Example:
        >>> with jax.enable_x64(True):
        ...     print(f"{float(turn(-2.0, 1e-310)):.6f}")
        3.141593
    """
    flat = jnp.abs(y) < least(y)
    return jnp.where(flat, jnp.where(x < 0, jnp.pi, 0.0), jnp.arctan2(jnp.abs(y), x))


class PlaneReduction(Reduction):
    r"""The shared-filter landscape in five order parameters; exact under plain gradient descent.

    It is exact under the plain gradient flow too.

    All vectors of the filter's gradient lie in the plane of the filter and the teacher's filter,
    and the output weights enter through three sums, so that the step closes in `PlaneOrder` for
    every activation and every backward derivative, whatever `k` and `p`.

    Under an activation with a `degree` (the rectifier, the step) the critical points are those of
    the sphere, at any length of the filter. The loss of a step has no limit where the filter's
    length goes to zero: its angle has none.
    """

    parameters: ClassVar[type] = PlaneOrder
    exact_under: ClassVar[tuple[Rule, ...]] = (DESCENT, FLOW)

    k: Float[Numeric, ""]
    radius_star: Float[Numeric, ""]
    total_star: Float[Numeric, ""]
    power_star: Float[Numeric, ""]
    activation: Activation

    @classmethod
    def of_teacher(
        cls,
        filter_star: Float[Numeric, " p"],
        output_star: Float[Numeric, " k"],
        activation: Activation,
    ) -> "PlaneReduction":
        """The reduction of the landscape of one teacher."""
        traced = isinstance(filter_star, jax.Array) or isinstance(output_star, jax.Array)
        xp = jnp if traced else np  # JAX would round to float32 outside of `enable_x64`
        star, a_star = xp.asarray(filter_star), xp.asarray(output_star)
        return cls(
            np.float64(a_star.shape[0]),
            xp.sqrt(xp.sum(star**2)),
            xp.sum(a_star),
            xp.sum(a_star**2),
            activation,
        )

    @classmethod
    def of_sums(
        cls,
        k: int,
        total_star: Float[Numeric, ""],
        power_star: Float[Numeric, ""],
        activation: Activation,
        radius_star: Float[Numeric, ""] = 1.0,
    ) -> "PlaneReduction":
        """The reduction for a teacher of whom only these sums are known."""
        star, total, power = np.float64(radius_star), np.float64(total_star), np.float64(power_star)
        return cls(np.float64(k), star, total, power, activation)

    def loss(self, params: PlaneOrder) -> Float[Array, ""]:
        """The population loss, from the order parameters alone."""
        _, _, m, m_star, variance, covariance = self._moments(params)
        q_star = self.activation.second_moment(self.radius_star)
        return 0.5 * (
            variance * params.size
            - 2 * covariance * params.overlap
            + (q_star - m_star**2) * self.power_star
            + (m * params.total - m_star * self.total_star) ** 2
        )

    def plain_step(self, params: PlaneOrder, step_sizes: Float[Numeric, ""] | tuple) -> PlaneOrder:
        """The image of one full step; step sizes as `(filter, output)` or one for both."""
        filter_size, output_size = pair(step_sizes)
        x, y, s, u, size = params
        r, _, m, m_star, variance, covariance = self._moments(params)
        radial, toward = self.filter_slope(params)
        side = jnp.where(y < 0, -1.0, 1.0)
        shift = m * (m * s - m_star * self.total_star)
        return PlaneOrder(
            x - filter_size * (radial * x + toward * jnp.abs(y)) / r,
            y - filter_size * (radial * y - toward * x * side) / r,
            s - output_size * (variance * s - covariance * self.total_star + shift * self.k),
            u
            - output_size * (variance * u - covariance * self.power_star + shift * self.total_star),
            size
            - 2 * output_size * (variance * size - covariance * u + shift * s)
            + output_size**2 * self._gradient_size(params, variance, covariance, shift),
        )

    def filter_slope(self, params: PlaneOrder) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The expected backward pass of the filter: along it, and across it to the teacher's."""
        _, _, s, u, size = params
        r, angle, m, m_star, _, _ = self._moments(params)
        along, across = self.activation.backward_cross(angle, r, self.radius_star)
        mean_pull = (s**2 - size) * m - (s * self.total_star - u) * m_star
        radial = (
            size * self.activation.backward_self(r)
            + mean_pull * self.activation.backward_mean(r)
            - u * along
        )
        return radial, -u * across

    def _gradient_size(
        self, params: PlaneOrder, variance: Array, covariance: Array, shift: Array
    ) -> Array:
        """`|V a - C a* + shift 1|^2`, the squared length of the output's gradient."""
        return (
            variance**2 * params.size
            + covariance**2 * self.power_star
            + shift**2 * self.k
            - 2 * variance * covariance * params.overlap
            + 2 * variance * shift * params.total
            - 2 * covariance * shift * self.total_star
        )

    def on_sphere(self) -> SphereReduction:
        """The same teacher with a unit filter.

        Raises:
            UserError: The teacher's filter has another length, and the activation has no `degree`
                by which to pass it on to the output weights.
        """
        degree = self.activation.degree
        if degree is None and float(self.radius_star) != 1:
            raise UserError(
                f"radius_star must be 1 on the sphere for an activation without a degree, got "
                f"{float(self.radius_star):.6g}"
            )
        scale = self.radius_star ** (degree or 0)
        total, power = scale * self.total_star, scale**2 * self.power_star
        return SphereReduction.of_sums(int(self.k), total, power, self.activation)

    def critical_points(self) -> Sequence[CriticalPoint]:
        """Those of the sphere, with the filter at length one; none known without a `degree`.

        Of the output weights, `size` is that of weights in the span of `1` and `a*`.
        """
        if self.activation.degree is None:
            return ()
        sphere = self.on_sphere()
        return [
            CriticalPoint(point.kind, self.lift(point.params), point.loss)
            for point in sphere.critical_points()
        ]

    def lift(self, place: SphereOrder) -> PlaneOrder:
        """The point of the plane for settled order parameters of the sphere, by `on_sphere`."""
        sphere = self.on_sphere()
        angle, s, u = (float(leaf) for leaf in place)
        c = float(sphere.covariance(angle))
        v, m, total = (float(x) for x in (sphere.variance, sphere.mean_square, sphere.total_star))
        shift = m * (total - s)  # a = (c a* + shift 1) / v
        size = (c**2 * sphere.power_star + 2 * c * shift * total + shift**2 * self.k) / v**2
        return PlaneOrder(np.cos(angle), np.sin(angle), s, u, size)

    def outcome(self, params: PlaneOrder, shortest: float = 0.1) -> Int[np.ndarray, "*batch"]:
        """Where each of a batch of runs has come to.

        Under an activation with a `degree`: `COLLAPSED` where the filter is shorter than `shortest`
        of the teacher's and `attracts_collapse`, else as on the sphere, at any length. Otherwise no
        critical point is known, and of the five numbers alone only a global minimum can be told:
        nothing moves (all velocities below 1e-6), and the loss is below 1e-6.
        """
        degree = self.activation.degree
        finite = np.all([np.isfinite(leaf) for leaf in params], axis=0)
        if degree is None:
            codes = np.where(self._at_rest(params), Outcome.GLOBAL, Outcome.UNDECIDED)
            return np.where(finite, codes, Outcome.DIVERGED).astype(np.int8)
        x, y, s, u, _ = (np.asarray(leaf, dtype=np.float64) for leaf in params)
        r = np.hypot(x, y)
        place = SphereOrder(np.arctan2(np.abs(y), x), r**degree * s, r**degree * u)
        codes = self.on_sphere().outcome(place)
        lost = (r < shortest * float(self.radius_star)) & self.attracts_collapse(params)
        codes = np.where(lost, Outcome.COLLAPSED, codes)
        return np.where(finite, codes, Outcome.DIVERGED).astype(np.int8)

    def _at_rest(self, params: PlaneOrder) -> np.ndarray:
        """Where nothing moves, at a loss of zero."""
        flat = PlaneOrder(*(np.atleast_1d(np.asarray(leaf, np.float64)) for leaf in params))
        speed, loss = at_each(self._speed_and_loss, flat)
        return ((speed < 1e-6) & (loss < 1e-6)).reshape(np.shape(params.x))

    def _speed_and_loss(self, params: PlaneOrder) -> tuple[Array, Array]:
        velocity = self.plain_velocity(params, 1.0)
        return jnp.max(jnp.abs(jnp.stack(velocity))), self.loss(params)

    def attracts_collapse(self, params: PlaneOrder) -> np.ndarray:
        """Whether a short filter is pulled to zero length from every angle, for these weights.

        The radial backward pass of a short filter is `A - B cos(angle)`: positive at 0 and `pi` is
        positive everywhere. It must exceed 1e-3 of its scale, for at a minimum it may vanish.
        """
        short = 1e-6 * float(self.radius_star)
        shape = np.shape(params.total)
        s, u, size = (np.atleast_1d(np.asarray(leaf, np.float64)) for leaf in params[2:])

        def radial(x: float) -> np.ndarray:
            order = PlaneOrder(np.full_like(s, x), np.zeros_like(s), s, u, size)
            return at_each(self.filter_slope, order)[0]

        return (np.minimum(radial(short), radial(-short)) > 1e-3 * size).reshape(shape)

    def project(self, landscape: Any, params: Weights) -> PlaneOrder:
        """The order parameters of weights of a `SharedFilter`; `y` is never negative."""
        return landscape.order_in_plane(params)

    def vector_step(
        self, rule: Rule, largest: Weights, extremes: Sequence[str]
    ) -> VectorStep | None:
        """Descent for the step with a piecewise constant surrogate, watching loss and radius."""
        del largest
        activation: Any = self.activation
        known = type(activation) is StepPiecewise and type(self) is PlaneReduction
        if rule != DESCENT or not known or not set(extremes) <= {"loss", "radius"}:
            return None

        def kernel() -> Any:
            from whytrain.landscapes.plane_kernel import plane_kernel

            return plane_kernel(activation.surrogate)

        def seen(order: PlaneOrder, rows: np.ndarray) -> dict[str, np.ndarray]:
            # The kernel looks before each step; the look after the last one is taken here.
            now = {"loss": at_each(self.loss, order), "radius": np.hypot(order.x, order.y)}
            watched, found = {"loss": rows[:3], "radius": rows[3:]}, {}
            for name in extremes:
                last, least, rise = watched[name]
                found[f"least_{name}"] = np.minimum(least, now[name])
                found[f"rise_{name}"] = np.maximum(rise, now[name] - last)
            return found

        constants = tuple(float(x) for x in (self.k, self.total_star, self.power_star))
        return VectorStep(kernel, constants, watched=(np.inf, np.inf, 0.0) * 2, extremes=seen)

    def stable(self, rule: Rule, step_sizes: Float[Numeric, ""] | tuple) -> bool:
        """Whether the output's update contracts where the activation's variance is constant.

        True without a `degree` of 0: the variance then depends on the filter's length.
        """
        if rule != DESCENT or self.activation.degree != 0:
            return True
        return bool(pair(step_sizes).output * self.on_sphere().stiffness < 2)

    def observables(self) -> Mapping[str, Callable]:
        """The loss, and the `radius` and `angle` of the filter."""
        return {
            "loss": self.loss,
            "radius": lambda params: jnp.hypot(params.x, params.y),
            "angle": lambda params: turn(params.x, params.y),
        }

    def _moments(self, params: PlaneOrder) -> tuple[Any, ...]:
        r = jnp.hypot(params.x, params.y)
        angle = turn(params.x, params.y)
        m, m_star = self.activation.mean(r), self.activation.mean(self.radius_star)
        variance = self.activation.second_moment(r) - m**2
        covariance = self.activation.cross(angle, r, self.radius_star) - m * m_star
        return r, angle, m, m_star, variance, covariance
