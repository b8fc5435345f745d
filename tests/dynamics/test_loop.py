"""What the JAX loop does with the runs of one tile."""

import jax.numpy as jnp
import numpy as np

from whytrain.dynamics import GradientDescent, simulate
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
