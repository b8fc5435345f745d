"""The gate for landscapes: right ones pass, and each fault is named in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscapes.cases import ACTIVATIONS, COARSE, student, teacher
from whytrain.landscapes import CriticalPoint, Landscape, SharedFilter
from whytrain.testing import check_landscape


class Valley(Landscape):
    """Two minima with a saddle between them; samples move the second coordinate about zero."""

    lowest = 0.0

    def loss(self, params):
        x, y = params[..., 0], params[..., 1]
        return (x**2 - 1) ** 2 + y**2

    def sample(self, key, n):
        return jax.random.normal(key, (n,))

    def empirical_loss(self, params, batch):
        return self.loss(params) + params[1] * batch.mean()

    def critical_points(self):
        return [CriticalPoint("global", np.array([-1.0, 0.0]), 0.0),
                CriticalPoint("global", np.array([1.0, 0.0]), 0.0),
                CriticalPoint("saddle", np.array([0.0, 0.0]), 1.0)]  # fmt: skip


class SteepInOne(Valley):
    def grad(self, params):
        return jax.grad(self.loss)(params) * jnp.array([1.0, 1.001])


class NoFollowing(Valley):
    """Autodiff does not see all of the loss, only differences do."""

    def loss(self, params):
        return super().loss(params) + jax.lax.stop_gradient(jnp.sin(params[..., 0]))

    def critical_points(self):
        return ()


class Shifted(Valley):
    def empirical_loss(self, params, batch):
        return super().empirical_loss(params, batch) + 0.02 * batch[0] ** 2


class Pulled(Valley):
    def empirical_grad(self, params, batch):
        return jax.grad(self.empirical_loss)(params, batch) + 0.1


class Unequal(Valley):
    """A backward pass on a batch that is right in the mean alone."""

    def empirical_grad(self, params, batch):
        return jax.grad(self.loss)(params) + 2 * jnp.array([0.0, 1.0]) * batch.mean()


class Alike(Valley):
    def sample(self, key, n):
        return jnp.zeros(n)


class Matrix(Valley):
    def grad(self, params):
        return jax.grad(self.loss)(params)[None]


class Undefined(Valley):
    def loss(self, params):
        return jnp.sqrt(params[0] - 10)


class Many(Valley):
    def observables(self):
        return {"both": lambda params: params}


class Tangent(Valley):
    def tangent(self, params, vector):
        return vector / 2


class Wandering(Valley):
    def retract(self, params):
        return params + 1


class Apart(Valley):
    """A sphere to come back to, and tangents of the plain space."""

    def retract(self, params):
        return params / jnp.linalg.norm(params)

    def critical_points(self):
        return ()


def points(*given):
    class Claiming(Valley):
        def critical_points(self):
            found = [CriticalPoint("saddle", np.array(at), loss) for _, at, loss in given]
            for point, (kind, _, _) in zip(found, given, strict=True):
                object.__setattr__(point, "kind", kind)  # as it is without a type checker
            return found

    return Claiming()


AT = np.array([0.3, 0.7])
WRONG = [
    (SteepInOne(), "grad is off autodiff of loss by"),
    (NoFollowing(), "grad is off differences of loss by"),
    (Shifted(), "loss is .* standard errors from the mean over samples"),
    (Pulled(), "grad is .* standard errors from the mean over samples"),
    (Unequal(), "empirical_grad is off autodiff of empirical_loss"),
    (Alike(), "samples of different keys are the same"),
    (Matrix(), "grad has not the form of the parameters"),
    (Undefined(), "loss is nan"),
    (Many(), r"both has shape \(2,\), one number is wanted"),
    (Tangent(), "tangent is no projection"),
    (Wandering(), "retract moves a point of the manifold"),
    (Apart(), "a short step along tangent is turned by retract"),
    (points(("global", [0.9, 0.0], 0.0361)), "the global point is not critical: the slope is"),
    (points(("global", [1.0, 0.0], 0.1)), "the global point has loss 0, stated is 0.1"),
    (points(("spurious", [0.0, 0.0], 1.0)), "the spurious point has a neighbor that is lower"),
    (points(("saddle", [1.0, 0.0], 0.0)), "the saddle point has no lower neighbor"),
    (points(("peak", [1.0, 0.0], 0.0)), "the peak point is none of global, spurious, saddle"),
]


@pytest.mark.parametrize(("landscape", "message"), WRONG, ids=lambda one: type(one).__name__)
def test_each_fault_is_told_in_one_line(landscape, message):
    with pytest.raises(AssertionError, match=message) as told:
        check_landscape(landscape, AT, keys=jax.random.split(jax.random.key(0), 60))
    assert "\n" not in str(told.value)


def test_a_global_point_is_as_low_as_the_landscape_says():
    higher = type("Higher", (Valley,), {"lowest": -1.0})()
    with pytest.raises(AssertionError, match="the global point has loss 0, lowest is -1"):
        check_landscape(higher, AT)


def test_what_a_landscape_cannot_compute_is_told():
    class Broken(Landscape):
        def loss(self, params):
            return float(params)

    with pytest.raises(AssertionError, match=r"^Broken: loss fails: ConcretizationTypeError: "):
        check_landscape(Broken(), np.array(1.0))


def test_the_plain_valley_passes():
    check_landscape(Valley(), AT, keys=jax.random.split(jax.random.key(0), 60))


QUICK = ("relu",)  # closed forms, which compile in seconds


@pytest.mark.parametrize(
    "shortcut", [pytest.param(False, marks=pytest.mark.slow), True], ids=["plain", "shortcut"]
)
@pytest.mark.parametrize(
    "name",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in ACTIVATIONS],
)
def test_the_package_s_own_landscape(name, shortcut):
    addition = np.full(4, 0.5) if shortcut else None
    landscape = SharedFilter(*teacher(3, 4), ACTIVATIONS[name], shortcut=addition)
    keys = jax.random.split(jax.random.key(3), 100)
    check_landscape(landscape, student(3, 4), keys=keys, coarse=name in COARSE, tolerance=1e-8)
