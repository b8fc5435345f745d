"""What a landscape gets for nothing when it declares no more than its loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.landscapes import CriticalPoint, Landscape, Outcome
from whytrain.landscapes.rule import DESCENT


class Tilted(Landscape):
    """Two minima, the left one lower, with a maximum between them, and a valley across."""

    lowest = -0.4

    def loss(self, params):
        x, y = params["x"], params["y"]
        return (x**2 - 1) ** 2 + 0.2 * x + y**2


class Marked(Tilted):
    """The same with its right minimum declared."""

    def critical_points(self):
        return [CriticalPoint("spurious", {"x": jnp.array(0.97), "y": jnp.array(0.0)}, 0.2)]


def roots():
    """Where 4 x^3 - 4 x + 0.2 vanishes: left minimum, maximum, right minimum."""
    return np.sort(np.roots([4, 0, -4, 0.2]).real)


def test_the_gradient_is_autodiff():
    slope = Tilted().grad({"x": jnp.array(2.0), "y": jnp.array(3.0)})
    assert {name: float(leaf) for name, leaf in slope.items()} == pytest.approx(
        {"x": 4 * 2 * 3 + 0.2, "y": 6.0}
    )


def test_steps_on_a_flat_manifold_are_plain():
    point = {"x": jnp.array(0.5), "y": jnp.array(1.0)}
    plain = Tilted().plain_step(point, 0.1)
    assert plain == Tilted().normalized_step(point, 0.1)
    velocity = Tilted().plain_velocity(point, 0.1)
    assert velocity == Tilted().normalized_velocity(point, 0.1)
    assert float(velocity["y"]) == pytest.approx(-0.2)
    assert float(plain["y"]) == pytest.approx(0.8)


def test_a_step_size_for_each_part():
    point = {"x": jnp.array(0.5), "y": jnp.array(1.0)}
    moved = Tilted().plain_step(point, {"x": 0.0, "y": 0.25})
    assert {name: float(leaf) for name, leaf in moved.items()} == {"x": 0.5, "y": 0.5}


def test_curvature_tells_the_points_apart():
    x = np.array([*roots(), 0.5, np.nan])
    batch = {"x": jnp.asarray(x), "y": jnp.zeros(5)}
    lowest = float(Tilted().loss({"x": x[0], "y": 0.0}))
    landscape = type("Exact", (Tilted,), {"lowest": lowest})()
    expected = [
        Outcome.GLOBAL, Outcome.SADDLE, Outcome.SPURIOUS, Outcome.UNDECIDED, Outcome.DIVERGED,
    ]  # fmt: skip
    assert landscape.outcome(batch).tolist() == expected


def test_declared_points_are_found_by_position_and_slope():
    x = np.array([roots()[2], roots()[2] + 1e-3, 0.5])
    batch = {"x": jnp.asarray(x), "y": jnp.zeros(3)}
    assert Marked().outcome(batch).tolist() == [
        Outcome.SPURIOUS, Outcome.UNDECIDED, Outcome.UNDECIDED,
    ]  # fmt: skip


def test_no_data_behind_it():
    with pytest.raises(UserError, match=r"Tilted has no inputs to draw; define sample"):
        Tilted().sample(jax.random.key(0), 3)
    with pytest.raises(UserError, match=r"Tilted has no loss over a batch; define empirical_loss"):
        Tilted().empirical_loss({}, None)


def test_no_early_verdict_without_a_proof():
    assert Tilted().proof(DESCENT, 0.1) is None
    assert Tilted().stable(DESCENT, 1e9)


def test_an_outcome_in_words():
    assert [outcome.word for outcome in Outcome] == [
        "undecided", "global", "spurious", "saddle", "diverged", "collapsed",
    ]  # fmt: skip
