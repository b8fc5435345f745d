"""The compiled loop in the plane beside the JAX loop, and both beside the whole network."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

import quick
from whytrain.dynamics import GradientDescent, simulate, warm_up
from whytrain.dynamics.compiled import CHUNK
from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS, StepQuadrature, step
from whytrain.landscapes import Outcome, PlaneOrder, PlaneReduction, SharedFilter, Weights
from whytrain.landscapes.kernel import LANES
from whytrain.landscapes.plane_kernel import exp_minus, scaled_erfc

CLOSED = ("identity", "relu", "clipped_relu", "hard_tanh")
K, P = 8, 12


def network(name):
    rng = np.random.default_rng(5)
    star, output = rng.standard_normal(P), rng.standard_normal(K)
    return SharedFilter(
        star / np.linalg.norm(star), output / np.linalg.norm(output), step(ESTIMATORS[name])
    )


def starts(count, seed=0, norm=1.5):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((count, P))
    v *= norm / np.linalg.norm(v, axis=1)[:, None]
    return Weights(v, 0.3 * rng.standard_normal((count, K)))


def orders(landscape, weights):
    with jax.enable_x64(True):
        return PlaneOrder(*map(np.asarray, jax.vmap(landscape.order_in_plane)(weights)))


def finals(ended):
    return np.stack([ended[f"final_{name}"].values for name in PlaneOrder._fields])


def slow(reduction, size, order, steps, **options):
    """The same through JAX: a schedule that the compiled loop would take, under Optax."""
    del options
    body = lambda t, place: reduction.plain_step(place, size(t) if callable(size) else size)  # noqa: E731
    one = lambda place: jax.lax.fori_loop(0, steps, body, place)  # noqa: E731
    place = PlaneOrder(*map(jnp.asarray, order))
    return np.stack(jax.jit(jax.vmap(one))(place))


def test_the_vector_functions_are_exact():
    z = np.linspace(0, 36, 500)
    exponentials = np.array([exp_minus(x) for x in z])
    np.testing.assert_allclose(exponentials, np.exp(-z), rtol=3e-14, atol=2e-15)
    scaled = np.array([scaled_erfc(x) for x in z[z < 26]])
    np.testing.assert_allclose(scaled, special.erfcx(z[z < 26]), rtol=0, atol=3e-15)


@pytest.mark.parametrize("steps", [1, CHUNK + 1, 1000])
@pytest.mark.parametrize("name", quick.only(CLOSED, CLOSED[:3]))
def test_the_loop_is_the_step(name, steps):
    landscape = network(name)
    reduction, order = landscape.in_plane(), orders(landscape, starts(LANES + 3))
    ended = simulate(reduction, GradientDescent(0.01), order, steps)
    expected = slow(reduction, 0.01, order, steps)
    far = (
        simulate(
            reduction, GradientDescent(0.01), order, steps, extremes=("radius",)
        ).least_radius.values
        > 0.05
    )
    assert far.mean() > 0.9
    np.testing.assert_allclose(finals(ended)[:, far], expected[:, far], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [0.01, 0.05])
@pytest.mark.parametrize("name", CLOSED[:3])
def test_reduced_and_full_runs_agree_over_a_thousand_steps(name, size):
    landscape, weights = network(name), starts(40, seed=2)
    reduction, order = landscape.in_plane(), orders(landscape, weights)
    watched = simulate(reduction, GradientDescent(size), order, 1000, extremes=("radius",))
    body = lambda _, place: landscape.plain_step(place, Weights(size, size))  # noqa: E731
    one = lambda place: jax.lax.fori_loop(0, 1000, body, place)  # noqa: E731
    full = jax.jit(jax.vmap(one))(jax.tree.map(jnp.asarray, weights))
    expected, reduced = np.stack(orders(landscape, full)), finals(watched)
    reduced[1] = np.abs(reduced[1])
    far = watched.least_radius.values > 2 * size  # the map is singular at a filter of length zero
    assert far.mean() > 0.8
    np.testing.assert_allclose(reduced[:, far], expected[:, far], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "clipped_relu"])
def test_the_angles_at_both_ends(name):
    reduction = network(name).in_plane()
    ends = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1e-9], [-1.0, 1e-9], [-2.0, 1e-300]]).T
    order = PlaneOrder(*ends, *(np.full(5, x) for x in (0.3, -0.2, 0.9)))
    ended = finals(simulate(reduction, GradientDescent(0.05), order, 300))
    np.testing.assert_allclose(ended, slow(reduction, 0.05, order, 300), rtol=0, atol=1e-12)
    assert np.isfinite(ended).all()


@pytest.mark.parametrize("name", ["identity", "relu"])
def test_the_extremes_are_those_of_the_jax_loop(name):
    landscape = network(name)
    reduction, order = landscape.in_plane(), orders(landscape, starts(10))
    by_hand = PlaneReduction.of_sums(
        K, reduction.total_star, reduction.power_star,
        StepQuadrature(ESTIMATORS[name].derivative, nodes=20),
    )  # fmt: skip
    found, expected = (
        simulate(one, GradientDescent(0.02), order, 300, extremes=("loss", "radius"))
        for one in (reduction, by_hand)
    )
    for seen in ("least_loss", "rise_loss", "least_radius", "rise_radius"):
        np.testing.assert_allclose(found[seen], expected[seen], rtol=0, atol=1e-9, err_msg=seen)
    assert (found.least_radius.values < 1.5).all()
    if name == "relu":  # some grow again
        assert (found.least_radius < np.hypot(found.final_x, found.final_y) - 1e-4).any()


def test_the_largest_rise_is_from_the_step_before():
    """Steps that overshoot for a while: the loss and the radius rise, more than once."""
    landscape = network("relu")
    reduction, order = landscape.in_plane(), orders(landscape, starts(LANES + 3))
    method = GradientDescent(lambda step: jnp.where(step % 7 == 3, 3.0, 0.02))
    names, steps = ("loss", "radius"), 28
    watched = simulate(reduction, method, order, steps, extremes=names)
    path = simulate(reduction, method, order, steps, observables=names, times=np.arange(steps + 1))
    for name in names:
        rise = path[name].diff("time").max("time")
        assert (rise > 0).any()
        np.testing.assert_allclose(watched[f"rise_{name}"], rise.clip(min=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(watched[f"least_{name}"], path[name].min("time"), rtol=1e-9)


@pytest.mark.parametrize("name", ["loss", "gradient"])
def test_unknown_extremes_are_refused(name):
    landscape = network("sigmoid")
    reduction, order = landscape.in_plane(), orders(landscape, starts(2))
    if name == "loss":
        simulate(reduction, GradientDescent(0.02), order, 2, extremes=(name,))
    else:
        with pytest.raises(UserError, match="extreme 'gradient' is not an observable"):
            simulate(reduction, GradientDescent(0.02), order, 2, extremes=(name,))


@pytest.mark.parametrize(
    "size", [warm_up(0.0, 0.05, CHUNK + 1), optax.cosine_decay_schedule(0.05, 500)]
)
def test_any_schedule(size):
    landscape = network("relu")
    reduction, order = landscape.in_plane(), orders(landscape, starts(5))
    ended = finals(simulate(reduction, GradientDescent(size), order, 600))
    np.testing.assert_allclose(ended, slow(reduction, size, order, 600), rtol=0, atol=1e-12)


def test_a_run_does_not_depend_on_its_neighbors():
    landscape = network("clipped_relu")
    reduction, order = landscape.in_plane(), orders(landscape, starts(150))
    together = simulate(reduction, GradientDescent(0.05), order, 700)
    few = PlaneOrder(*(leaf[37:41] for leaf in order))
    alone = simulate(reduction, GradientDescent(0.05), few, 700, block=1, threads=1)
    np.testing.assert_array_equal(finals(alone), finals(together)[:, 37:41])


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
def test_what_blows_up_is_marked_and_stops():
    landscape = network("relu")
    reduction, order = landscape.in_plane(), orders(landscape, starts(70))
    ended = simulate(reduction, GradientDescent(9.0), order, 5000)
    assert (ended.outcome == Outcome.DIVERGED).all()
    assert ended.steps.max() < 5000


def test_where_runs_end():
    landscape = network("identity")
    reduction = PlaneReduction.of_sums(10, math.sqrt(0.1 * 11), 1.0, landscape.activation)
    spurious = next(p for p in reduction.critical_points() if p.kind == "spurious")
    start = PlaneOrder(*(np.array([float(leaf)]) for leaf in spurious.params))
    ended = simulate(reduction, GradientDescent(0.002), start, 200_000)
    assert Outcome(int(ended.outcome.values[0])) == Outcome.COLLAPSED
    settled = PlaneReduction.of_sums(10, math.sqrt(0.1 * 11), 1.0, step(ESTIMATORS["relu"]))
    stays = simulate(settled, GradientDescent(0.05), start, 10_000)
    assert Outcome(int(stays.outcome.values[0])) == Outcome.SPURIOUS
