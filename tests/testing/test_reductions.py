"""Every reduction under every method, whatever the activation: exact, or refused in one line."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.dynamics import (
    GradientDescent,
    GradientFlow,
    NormalizedGradientDescent,
    NormalizedGradientFlow,
    OptaxMethod,
    StochasticGradientDescent,
    simulate,
    warm_up,
)
from whytrain.dynamics.methods import Method, State
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, Quadrature, ReLU, step
from whytrain.landscapes import (
    CriticalPoint,
    Landscape,
    Outcome,
    Reduction,
    SharedFilter,
    Weights,
)
from whytrain.landscapes.rule import DESCENT, FLOW, NORMALIZED_DESCENT, Rule
from whytrain.testing import check_reduction

K, P, RUNS = 4, 3, 6
SIZES = Weights(0.03, 0.05)
ACTIVATIONS = {
    "relu": ReLU(),
    "tanh": Quadrature(jnp.tanh, nodes=6),
    "softplus with a surrogate": Quadrature(jax.nn.softplus, lambda x: jnp.exp(-(x**2)), nodes=6),
    "step and relu": step(ESTIMATORS["relu"]),
    "step and identity": step(ESTIMATORS["identity"]),
    "step and sigmoid": step(ESTIMATORS["sigmoid"]),
}


class Momentum(Method):
    """Remembers, and happens to have a field of this name."""

    step_size: float

    def init(self, landscape, params):
        return State(params, jax.tree.map(jnp.zeros_like, params))

    def step(self, landscape, state, step, key):
        slope = landscape.grad(state.params)
        speed = jax.tree.map(lambda v, g: 0.9 * v - self.step_size * g, state.memory, slope)
        return State(jax.tree.map(jnp.add, state.params, speed), speed)


class Clipped(NormalizedGradientDescent):
    """A subclass that moves in another way than the class whose rule it would have."""

    def step(self, landscape, state, step, key):
        moved = super().step(landscape, state, step, key).params
        return State(jax.tree.map(lambda p, q: p + jnp.clip(q - p, -0.01, 0.01),
                                  state.params, moved))  # fmt: skip


class Mixin:
    def step(self, landscape, state, step, key):
        return state


class Still(Mixin, GradientDescent):
    """The same by a class beside it."""


METHODS = {
    "descent": GradientDescent(SIZES),
    "warm-up": GradientDescent(Weights(warm_up(0.01, 0.05, 7), 0.04)),
    "normalized": NormalizedGradientDescent(SIZES),
    "one size": NormalizedGradientDescent(0.05),
    "flow": GradientFlow(SIZES, tolerance=1e-11),
    "normalized flow": NormalizedGradientFlow(SIZES, tolerance=1e-11),
    "stochastic": StochasticGradientDescent(0.05, 4),
    "stochastic, normalized": StochasticGradientDescent(0.05, 4, normalized=True),
    "sgd": OptaxMethod(optax.sgd(0.05)),
    "sgd, normalized": OptaxMethod(optax.sgd(0.05), normalized=True),
    "adam": OptaxMethod(optax.adam(0.05)),
    "momentum": Momentum(0.05),
    "clipped": Clipped(0.05),
    "still": Still(0.05),
}
EXACT = {
    "plane": {"descent", "warm-up", "flow"},
    "sphere": {"normalized", "one size", "normalized flow"},
}


def network(activation):
    rng = np.random.default_rng(3)
    star = rng.standard_normal(P)
    return SharedFilter(star / np.linalg.norm(star), rng.standard_normal(K), activation)


def starts():
    rng = np.random.default_rng(4)
    v = rng.standard_normal((RUNS, P))
    v /= np.linalg.norm(v, axis=1)[:, None]
    return Weights(v, 0.5 * rng.standard_normal((RUNS, K)))


# Exact pairs that are quickly compiled; the others are as much of the same code.
QUICK = {("relu", "descent"), ("relu", "one size"), ("step and relu", "one size")}


def matrix():
    """All triples."""
    for activation in ACTIVATIONS:
        for kind, exact in EXACT.items():
            for method in METHODS:
                quick = method not in exact or (activation, method) in QUICK
                marks = () if quick else pytest.mark.slow
                yield pytest.param(activation, kind, method, marks=marks)


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
@pytest.mark.parametrize(("activation", "kind", "method"), list(matrix()))
def test_exact_or_refused(activation, kind, method):
    whole = network(ACTIVATIONS[activation])
    reduction = whole.in_plane() if kind == "plane" else whole.on_sphere()
    steps = 1 if "flow" in method else 12
    apart = check_reduction(reduction, whole, METHODS[method], starts(), steps)
    assert (apart is not None) == (method in EXACT[kind])


class Squares(NamedTuple):
    size: jax.Array


class Quartic(Landscape):
    """`|x|^4 / 4`, whose squared length closes under plain descent: `s <- s (1 - eta s)^2`."""

    def loss(self, params):
        return jnp.sum(params**2) ** 2 / 4


class Length(Reduction):
    parameters: ClassVar[type] = Squares
    exact_under: ClassVar[tuple[Rule, ...]] = (DESCENT, FLOW)

    def loss(self, params):
        return params.size**2 / 4

    def project(self, landscape, params):
        return Squares(jnp.sum(params**2))

    def plain_step(self, params, step_sizes):
        return Squares(params.size * (1 - step_sizes * params.size) ** 2)


class Wrong(Length):
    """A reduction that is off by a term of second order."""

    exact_under: ClassVar[tuple[Rule, ...]] = (DESCENT, FLOW)

    def plain_step(self, params, step_sizes):
        return Squares(params.size * (1 - 2 * step_sizes * params.size))


class Silent(Length):
    """One that moves in another way, and has not said under what it is exact."""

    def plain_step(self, params, step_sizes):
        return params


class Known(Length):
    """One that knows a point where it ends, far from zero."""

    def critical_points(self):
        return [CriticalPoint("global", Squares(100.0), 0.0)]


def test_a_run_is_at_a_point_to_a_share_of_its_scale():
    ends = Squares(np.array([100.5, 99.5, 102.0, np.nan]))
    expected = [Outcome.GLOBAL, Outcome.GLOBAL, Outcome.UNDECIDED, Outcome.DIVERGED]
    assert Known().outcome(ends).tolist() == expected


POINTS = np.random.default_rng(0).standard_normal((5, 3))


@pytest.mark.parametrize(
    "method",
    [
        GradientDescent(0.05),
        pytest.param(GradientFlow(tolerance=1e-11), marks=pytest.mark.slow),
    ],
)
def test_a_reduction_of_the_user_s_goes_through_the_gate(method):
    assert check_reduction(Length(), Quartic(), method, POINTS, 2) < 1e-9
    assert check_reduction(Length(), Quartic(), NormalizedGradientDescent(0.1), POINTS) is None
    assert check_reduction(Silent(), Quartic(), method, POINTS) is None


def test_a_reduction_that_is_not_exact_is_found_out():
    with pytest.raises(AssertionError, match="Wrong under GradientDescent is not exact"):
        check_reduction(Wrong(), Quartic(), GradientDescent(0.05), POINTS)


def test_a_pair_is_refused_by_name_and_told_what_to_do():
    sphere = network(ReLU()).on_sphere()
    order = sphere.parameters(*(np.array([x]) for x in (1.0, 0.5, 0.5)))
    said = (
        r"^SphereReduction is not exact under GradientDescent: .* under NormalizedGradientDescent "
        r"and NormalizedGradientFlow only; .* run the whole landscape"
    )
    with pytest.raises(UserError, match=said):
        simulate(sphere, GradientDescent(0.1), order, 10)


def test_a_method_that_moves_in_its_own_way_has_no_rule():
    assert GradientDescent(0.1).rule == DESCENT
    assert Clipped(0.1).rule is None
    assert Still(0.1).rule is None
    assert Momentum(0.1).rule is None

    class Renamed(NormalizedGradientDescent):
        """Moves as its parent does."""

    assert Renamed(0.1).rule == NORMALIZED_DESCENT


@pytest.mark.slow
def test_the_flow_is_near_its_own_descent_and_not_near_the_other():
    whole, places = network(ReLU()), starts()
    for flow, near, far in (
        (GradientFlow, GradientDescent, NormalizedGradientDescent),
        (NormalizedGradientFlow, NormalizedGradientDescent, GradientDescent),
    ):
        end = simulate(whole, flow(), places, 3, early=False).final_output.values
        close = simulate(whole, near(0.003), places, 1000, early=False).final_output.values
        other = simulate(whole, far(0.003), places, 1000, early=False).final_output.values
        assert np.abs(close - end).max() < 0.01
        assert np.abs(other - end).max() > 0.03
