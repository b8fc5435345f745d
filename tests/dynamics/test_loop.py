"""What the JAX loop does with the runs of one tile."""

import contextlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.dynamics import GradientDescent, GradientFlow, flow, simulate
from whytrain.dynamics.methods import Method, State
from whytrain.landscapes import Landscape, Outcome


class Left(Landscape):
    """A double well; that a run left of -0.9 stays there is proved."""

    lowest = 0.0

    def loss(self, params):
        return (params**2 - 1) ** 2 / 4

    def proof(self, rule, largest):
        return lambda params: jnp.where(params < -0.9, int(Outcome.GLOBAL), 0)


def test_a_tile_goes_on_while_any_of_its_runs_is_undecided():
    # the first is decided at its start, the second after some looks, the third never
    ended = simulate(Left(), GradientDescent(0.01), np.array([-1.0, -0.01, 0.5]), 1000)
    taken = ended.steps.values
    assert taken[0] == 0
    assert 64 <= taken[1] < 1000
    assert taken[1] % 64 == 0
    assert taken[2] == 1000
    assert abs(float(ended.final[2]) - 1) < 1e-3
    assert float(ended.final[0]) == -1.0  # what is decided stands still


def test_a_run_that_is_no_longer_finite_is_seen_though_others_go_on():
    ended = simulate(Left(), GradientDescent(0.5), np.array([50.0, 0.9]), 1000, early=False)
    assert ended.outcome.values.tolist() == [Outcome.DIVERGED, Outcome.GLOBAL]
    assert ended.steps.values.tolist() == [64, 1000]


class Far(Landscape):
    """So many parameters that a run goes alone."""

    def loss(self, params):
        return jnp.sum(jnp.cos(params) ** 2) / 2


def test_a_large_run_alone_is_one_of_many():
    starts = np.random.default_rng(0).standard_normal((3, 1100))
    together = simulate(Far(), GradientDescent(0.1), starts, 20, observables=("loss",))
    alone = simulate(Far(), GradientDescent(0.1), starts[1:2], 20, observables=("loss",))
    np.testing.assert_array_equal(alone.final[0], together.final[1])
    x = starts[1]
    for _ in range(20):
        x = x + 0.1 * np.cos(x) * np.sin(x)
    np.testing.assert_allclose(alone.final[0], x, rtol=0, atol=1e-13)


class Drawn(Method):
    """Moves to a number drawn."""

    step_size: float = 1.0

    def step(self, landscape, state, step, key):
        return State(jax.random.normal(key))


def test_the_key_of_a_run_is_its_number_unless_one_is_given():
    ended = simulate(Left(), Drawn(), np.zeros(3), 1)
    keys = [jax.random.fold_in(jax.random.key(run), 0) for run in range(3)]
    assert ended.final.values.tolist() == [float(jax.random.normal(key)) for key in keys]


class ToNowhere(Method):
    """Gives NaN from the third step on."""

    step_size: float = 1.0

    def step(self, landscape, state, step, key):
        return State(jnp.where(step < 2, state.params, jnp.nan))


def test_a_method_that_gives_nan_has_diverged():
    ended = simulate(Left(), ToNowhere(), np.array([0.5, 1.0]), 10)
    assert (ended.outcome == Outcome.DIVERGED).all()


def test_a_field_named_step_size_calls_no_proof():
    class Own(Method):
        step_size: float

        def step(self, landscape, state, step, key):
            return State(state.params + self.step_size)

    ended = simulate(Left(), Own(0.01), np.array([-1.0]), 200)
    assert ended.steps.values.tolist() == [200]


# -- a program is that of what its functions compute now ------------------------------------------

size = 1.0


class Read(Landscape):
    """A bowl whose curvature is a global name."""

    def loss(self, params):
        return 0.5 * size * params**2


class Scaled(Method):
    """Descent whose step size is a global name."""

    def step(self, landscape, state, step, key):
        return State(state.params - 0.1 * size * landscape.grad(state.params))


class Fixed(Landscape):
    def loss(self, params):
        return 0.5 * params**2


def near(params):
    return params < 0.9 / size


def both(monkeypatch, look):
    """What a look gives before and after the name has changed."""
    first = look()
    monkeypatch.setattr(sys.modules[__name__], "size", 2.0)
    return float(first), float(look())


def ended(landscape, method, **how):
    return simulate(landscape, method, np.array([1.0]), 1, **how)


@pytest.mark.parametrize(
    ("look", "wanted"),
    [
        (lambda: ended(Read(), GradientDescent(0.1)).final[0], (0.9, 0.8)),
        (lambda: ended(Fixed(), Scaled()).final[0], (0.9, 0.8)),
        (lambda: ended(Fixed(), GradientDescent(lambda t: 0.1 * size)).final[0], (0.9, 0.8)),
        (lambda: ended(Fixed(), GradientDescent(0.0), observables=SEEN).seen[0, 0], (1.0, 2.0)),
        (lambda: ended(Read(), GradientDescent(0.0), observables=["loss"]).loss[0, 0], (0.5, 1.0)),
        (lambda: ended(Fixed(), GradientDescent(0.2), stop={"near": near}).stopped[0], (1, 0)),
        (lambda: Read().outcome(np.array([1e-6 / 1.5]))[0], (Outcome.GLOBAL, Outcome.UNDECIDED)),
    ],
    ids=["loss", "method", "schedule", "observable", "own loss", "stop", "outcome"],
)
def test_what_has_changed_is_seen(monkeypatch, look, wanted):
    assert both(monkeypatch, look) == pytest.approx(tuple(map(float, wanted)), rel=1e-6)


def test_a_flow_of_what_has_changed_has_another_program(monkeypatch):
    asked = []
    monkeypatch.setattr(flow, "solve", lambda *given: asked.append(given[-1]) or given[2:4])
    for curvature in (1.0, 1.0, 2.0):
        monkeypatch.setitem(globals(), "size", curvature)
        with contextlib.suppress(Exception):  # what is given back is no path
            simulate(Read(), GradientFlow(), np.array([1.0]), 1)
    assert asked[0] == asked[1] != asked[2]


SEEN = {"seen": lambda params: size * params}
