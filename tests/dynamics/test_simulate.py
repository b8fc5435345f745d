"""Ensembles: what holds for every landscape under every method."""

import math
from typing import Any

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
    log_times,
    simulate,
    warm_up,
)
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.gaussian import ESTIMATORS, Quadrature, step
from whytrain.landscapes import (
    Landscape,
    Outcome,
    PlaneOrder,
    SharedFilter,
    SphereOrder,
    SphereReduction,
    Weights,
)


class Bowl(Landscape):
    """`|x|^2 / 2`, whose descent is known in closed form."""

    def loss(self, params):
        return 0.5 * jnp.sum(params**2)


A_STAR = np.array([0.9, -0.2, 0.5, 0.4])
NETWORK = SharedFilter(np.array([0.6, 0.8, 0.0]), A_STAR)
RUNS = 150  # more than two tiles of the JAX loop, and not a multiple of one


def weights(count=RUNS, seed=0):
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal((count, 3))
    filters /= np.linalg.norm(filters, axis=1)[:, None]
    return Weights(filters, 0.3 * rng.standard_normal((count, 4)))


def orders(count=RUNS, seed=0):
    rng = np.random.default_rng(seed)
    return SphereOrder(rng.uniform(0, math.pi, count), *rng.standard_normal((2, count)))


def plane(count=RUNS, seed=0):
    rng = np.random.default_rng(seed)
    return PlaneOrder(*rng.uniform(0.5, 1.5, (5, count)))


TANH = SphereReduction.of_sums(9, 1.0, 1.0, Quadrature(jnp.tanh, nodes=4))
NORMALIZED = NormalizedGradientDescent(Weights(warm_up(0.01, 0.2, 20), 0.1))
ENGINES = {
    "compiled loop": (NETWORK.on_sphere(), NORMALIZED, orders(1500), "angle"),
    "any activation": (TANH, NORMALIZED, orders(), "angle"),
    "whole network": (NETWORK, NORMALIZED, weights(), "loss"),
    "plane": (NETWORK.in_plane(), GradientDescent(0.01), plane(), "x"),
    "mini-batches": (NETWORK, StochasticGradientDescent(0.05, 4, True), weights(), "loss"),
    "optax": (NETWORK, OptaxMethod(optax.adam(0.01), True), weights(), "loss"),
    "flow": (NETWORK.on_sphere(), NormalizedGradientFlow(tolerance=1e-6), orders(), "angle"),
}


@pytest.mark.parametrize("name", ENGINES)
def test_no_bit_depends_on_blocks_threads_or_neighbors(name):
    landscape, method, starts, observable = ENGINES[name]
    steps = 5 if name == "flow" else 70

    def bits(runs=slice(None), **how):
        some = jax.tree.map(lambda leaf: leaf[runs], starts)
        count = len(jax.tree.leaves(starts)[0])
        keys = jax.random.split(jax.random.key(5), count)[runs]
        ended = simulate(
            landscape, method, some, steps, observables=(observable,), times=[0, 3, steps],
            keys=keys, early=True, **how,
        )  # fmt: skip
        return {key: value.values for key, value in ended.data_vars.items()}

    whole = bits()
    for other in (bits(block=1, threads=1), bits(block=100, threads=2)):
        for key, value in whole.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)
    part = bits(slice(77, 78))
    for key, value in whole.items():
        np.testing.assert_array_equal(value[77:78], part[key], err_msg=key)


def test_a_program_is_compiled_once_whatever_the_numbers():
    traced = []

    class Counted(Landscape):
        scale: float

        def loss(self, params):
            traced.append(1)
            return 0.5 * self.scale * jnp.sum(params**2)

        def outcome(self, params):
            return np.zeros(len(params), np.int8)

    def run(scale, size, steps, count):
        return simulate(Counted(scale), GradientDescent(size), np.ones((count, 2)), steps)

    run(1.0, 0.1, 10, 3)
    assert len(traced) > 1
    traced.clear()
    ended = run(2.0, 0.2, 999, 50)
    np.testing.assert_allclose(ended.final.values, 0.6**999, rtol=1e-12)
    assert len(traced) == 1  # whether it computes what it did


def test_descent_of_a_bowl_is_geometric():
    path = simulate(
        Bowl(), GradientDescent(0.25), np.array([[4.0], [-8.0]]), 100,
        observables=("loss", "gradient_norm"), times=[0, 1, 5],
    )  # fmt: skip
    np.testing.assert_allclose(path.gradient_norm, np.outer([4, 8], 0.75 ** np.array([0, 1, 5])))
    np.testing.assert_allclose(path.loss, path.gradient_norm**2 / 2)
    assert (path.outcome == Outcome.GLOBAL).all()
    assert (path.steps == 100).all()


def test_plain_optax_descent_is_gradient_descent():
    ours = simulate(NETWORK, GradientDescent(0.1), weights(5), 300)
    theirs = simulate(NETWORK, OptaxMethod(optax.sgd(0.1)), weights(5), 300)
    np.testing.assert_allclose(ours.final_filter, theirs.final_filter, rtol=0, atol=1e-13)
    np.testing.assert_allclose(ours.final_output, theirs.final_output, rtol=0, atol=1e-13)


def test_normalized_optax_descent_is_normalized_gradient_descent():
    ours = simulate(NETWORK, NormalizedGradientDescent(0.1), weights(5), 300, early=False)
    theirs = simulate(NETWORK, OptaxMethod(optax.sgd(0.1), normalized=True), weights(5), 300)
    np.testing.assert_allclose(ours.final_filter, theirs.final_filter, rtol=0, atol=1e-13)


def test_an_optax_schedule_counts_its_own_steps():
    schedule = optax.linear_schedule(0.2, 0.0, 50)
    ours = simulate(Bowl(), GradientDescent(schedule), np.ones((1, 1)), 80)
    theirs = simulate(Bowl(), OptaxMethod(optax.sgd(schedule)), np.ones((1, 1)), 80)
    exact = np.prod([1 - 0.2 * (1 - t / 50) for t in range(50)])
    np.testing.assert_allclose(ours.final, exact, rtol=1e-12)
    # Optax counts in 32 bits, which makes its schedules no more exact than that
    np.testing.assert_allclose(theirs.final, exact, rtol=1e-5)


def test_descent_comes_to_the_flow_in_first_order():
    reduction, starts = NETWORK.on_sphere(), orders(6)
    flow = simulate(
        reduction, NormalizedGradientFlow(Weights(0.5, 1.0), tolerance=1e-11), starts, 4
    )
    exact = np.stack([flow.final_angle, flow.final_total, flow.final_overlap])
    errors = []
    for steps in (200, 400, 800):
        sizes = Weights(0.5 * 4 / steps, 4 / steps)
        ended = simulate(reduction, NormalizedGradientDescent(sizes), starts, steps, early=False)
        found = np.stack([ended.final_angle, ended.final_total, ended.final_overlap])
        errors.append(np.abs(found - exact).max())
    orders_found = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders_found, 1.0, atol=0.05)


def test_large_batches_follow_the_population():
    start = Weights(*(leaf[:40] for leaf in weights()))
    population = simulate(NETWORK, NormalizedGradientDescent(0.05), start, 60, early=False)
    apart = []
    for batch in (16, 256):
        method = StochasticGradientDescent(0.05, batch, normalized=True)
        ended = simulate(NETWORK, method, start, 60)
        apart.append(float(np.sqrt(((ended.final_output - population.final_output) ** 2).mean())))
    assert apart[0] / apart[1] == pytest.approx(4, rel=0.25)  # like 1/sqrt(batch)


def test_a_run_s_draws_are_its_key_s():
    method = StochasticGradientDescent(0.05, 4)
    keys = jax.random.split(jax.random.key(1), 3)
    start = weights(3)
    forward = simulate(NETWORK, method, start, 20, keys=keys)
    backward = simulate(
        NETWORK, method, jax.tree.map(lambda leaf: leaf[::-1], start), 20, keys=keys[::-1]
    )
    np.testing.assert_array_equal(forward.final_output, backward.final_output[::-1])
    other = simulate(NETWORK, method, start, 20, keys=jax.random.split(jax.random.key(2), 3))
    assert not np.array_equal(forward.final_output, other.final_output)


def test_unstable_steps_are_warned_of_and_end_as_diverged():
    method = NormalizedGradientDescent(Weights(0.1, 8.0))
    with pytest.warns(UnstableStepWarning, match=r"does not contract.*smaller steps"):
        ended = simulate(NETWORK.on_sphere(), method, orders(20), 2000)
    assert (ended.outcome == Outcome.DIVERGED).all()


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
def test_a_run_that_blows_up_ends_as_diverged_in_the_whole_network():
    ended = simulate(NETWORK, NormalizedGradientDescent(Weights(0.1, 50.0)), weights(5), 5000)
    assert (ended.outcome == Outcome.DIVERGED).all()


def test_stopped_runs_are_saved_as_nan_and_only_then():
    ended = simulate(
        NETWORK.on_sphere(), NORMALIZED, orders(300), 3000, observables=("angle",), early=True
    )
    late = ended.time.values > ended.steps.values[:, None]
    assert np.isnan(ended.angle.values[late]).all()
    assert np.isfinite(ended.angle.values[~late]).mean() > 0.5
    assert np.isfinite(ended.angle.values[:, 0]).all()
    assert (ended.steps < 3000).any()


def test_nothing_stops_early_where_something_is_saved():
    ended = simulate(NETWORK.on_sphere(), NORMALIZED, orders(20), 3000, observables=("angle",))
    assert np.isfinite(ended.angle.values).all()
    assert (ended.steps == 3000).all()


def test_only_what_is_asked_for_is_kept():
    times = [0, 10, 100_000]
    ended = simulate(
        NETWORK.on_sphere(), NORMALIZED, orders(7), 100_000, observables=("total",), times=times
    )
    assert ended.total.shape == (7, 3)
    assert ended.nbytes < 2000
    assert "time" not in simulate(NETWORK.on_sphere(), NORMALIZED, orders(2), 10).coords


def test_observables_of_the_user():
    ended = simulate(
        NETWORK, NORMALIZED, weights(3), 50,
        observables={"length": lambda w: jnp.sqrt(jnp.sum(w.filter**2))}, times=[0, 50],
    )  # fmt: skip
    np.testing.assert_allclose(ended.length, 1.0, rtol=1e-14)


def test_the_dataset_says_what_it_is():
    ended = simulate(NETWORK, NORMALIZED, weights(3), 50)
    assert ended.attrs["landscape"] == "SharedFilter"
    assert ended.attrs["method"] == "NormalizedGradientDescent"
    assert ended.outcome.attrs["flag_meanings"].split()[1] == "global"
    assert ended.final_filter.shape == (3, 3)
    assert ended.outcome.dtype == np.int8


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"times": [0, 11], "observables": ("loss",)}, "times must lie between 0 and steps = 10"),
        ({"times": [-1], "observables": ("loss",)}, "times must lie between"),
        ({"observables": ("los",)}, "observable 'los' is not known; known: "),
        ({"starts": np.zeros((0, 2))}, "1 or more runs"),
        ({"starts": np.float64(1.0)}, "1 or more runs"),
        ({"starts": {"a": np.zeros(2), "b": np.zeros(3)}}, "same leading axis"),
    ],
)
def test_bad_input_is_the_user_s_error(how, message):
    call = {"landscape": Bowl(), "method": GradientDescent(0.1), "starts": np.ones((2, 2))}
    with pytest.raises(UserError, match=message):
        simulate(**(call | {"steps": 10} | how))


def test_a_batch_holds_a_sample():
    with pytest.raises(UserError, match="batch must be 1 or more samples, got 0"):
        StochasticGradientDescent(0.1, 0)


@pytest.mark.parametrize("steps", [1, 2, 10, 12345])
def test_log_times_go_from_first_to_last(steps):
    times = log_times(steps)
    assert times[0] == 0
    assert times[-1] == steps
    assert (np.diff(times) > 0).all()
    assert len(times) <= 65


class Moved(Landscape):
    """A bowl about a place of its own."""

    place: Any
    scale: Any = 1  # a whole number is no array: landscapes that differ in it do not go together

    def loss(self, params):
        return self.scale * 0.5 * jnp.sum((params - self.place) ** 2)


def test_a_landscape_a_run():
    places = np.array([0.5, -1.0, 2.0])
    scapes = [Moved(place) for place in places]
    runs = simulate(
        scapes, GradientDescent(0.25), np.zeros(3), 5, observables=("loss", "gradient_norm"),
        times=[0, 5], stop={"loss": 0.05},
    )  # fmt: skip
    for run, scape in enumerate(scapes):
        alone = simulate(
            [scape], GradientDescent(0.25), np.zeros(1), 5, observables=("loss", "gradient_norm"),
            times=[0, 5], stop={"loss": 0.05},
        )  # fmt: skip
        for name in ("final", "loss", "gradient_norm", "steps", "stopped"):
            np.testing.assert_array_equal(runs[name].values[run], alone[name].values[0])
    settled = simulate(scapes, GradientDescent(0.25), np.zeros(3), 200)
    np.testing.assert_allclose(settled.final, places, atol=1e-12)
    assert (settled.outcome == Outcome.GLOBAL).all()


@pytest.mark.parametrize(
    ("scapes", "words"),
    [
        ([], "got none"),
        ([Moved(1.0), Moved(2.0)], "list of one a run: 3, got 2"),
        ([Moved(np.ones(2)), Moved(1.0), Moved(1.0)], "in the numbers of their arrays alone"),
        ([Moved(1.0), Bowl(), Moved(1.0)], "in the numbers of their arrays alone"),
        ([Moved(1.0), Moved(1.0, 2), Moved(1.0)], "number 1 is of another kind"),
    ],
)
def test_lists_that_are_not_one_a_run_are_refused(scapes, words):
    with pytest.raises(UserError, match=words):
        simulate(scapes, GradientDescent(0.25), np.zeros(3), 5)


def test_a_flow_ends_at_its_time_whatever_is_saved():
    flow, start = GradientFlow(), np.array([1.0])
    found = simulate(Bowl(), flow, start, 3.7, observables=("loss",))
    assert found.time.values[-1] == 3.7
    assert found.final.values[0] == pytest.approx(math.exp(-3.7), rel=1e-6)
    np.testing.assert_array_equal(found.final, simulate(Bowl(), flow, start, 3.7).final)


def test_what_is_watched_is_watched_to_the_end():
    starts = jax.tree.map(lambda leaf: leaf[:20], orders())
    watched = simulate(NETWORK.on_sphere(), NORMALIZED, starts, 2000, extremes=("loss",))
    assert (watched.steps == 2000).all()


def test_extremes_are_those_of_all_points_on_the_way():
    method = GradientDescent(lambda step: jnp.where((step > 3) & (step < 6), 2.4, 0.3))
    starts = np.array([[1.0, 0.0], [2.0, -3.0]])
    found = simulate(Bowl(), method, starts, 9, observables=("loss",), times=np.arange(10))
    watched = simulate(Bowl(), method, starts, 9, extremes=("loss",))
    np.testing.assert_allclose(watched.least_loss, found.loss.min("time"), rtol=1e-12)
    np.testing.assert_allclose(watched.rise_loss, found.loss.diff("time").max("time"), rtol=1e-12)
    assert (watched.rise_loss > 0).all()


def test_runs_with_landscapes_of_their_own_are_judged_by_their_own():
    """The second teacher bears the steps, the first does not; whatever stands first."""
    teachers = [SharedFilter(np.array([1.0, 0.0]), np.array(a)) for a in ([10.0, 10.0], [0.1, 0.2])]
    starts = Weights(np.array([[0.6, 0.8]] * 2), np.array([[0.3, 0.1]] * 2))
    method = NormalizedGradientDescent(0.5)
    with pytest.warns(UnstableStepWarning):
        found = simulate(teachers, method, starts, 40).outcome.values
    with pytest.warns(UnstableStepWarning):
        turned = simulate(teachers[::-1], method, starts, 40).outcome.values
    assert found.tolist() == turned[::-1].tolist()
    assert found[0] == Outcome.DIVERGED != found[1]


@pytest.mark.parametrize("sizes", [-0.1, Weights(-0.1, 0.1), lambda step: 0.1 - 0.01 * step])
def test_step_sizes_below_zero_are_refused(sizes):
    with pytest.raises(UserError, match="step sizes must be 0 or more, got -0"):
        simulate(NETWORK.on_sphere(), NormalizedGradientDescent(sizes), orders(3), 50)


def test_a_filter_that_never_moves_is_bound_for_nowhere():
    method = NormalizedGradientDescent(Weights(0.0, 0.1))
    found = simulate(NETWORK.on_sphere(), method, orders(20), 300)
    assert (found.steps == 300).all()
    np.testing.assert_allclose(found.final_angle, orders(20).angle, atol=1e-12)


@pytest.mark.parametrize("name", ["approx_sign", "clipped_relu"])
def test_a_filter_at_the_teacher_s_or_opposite_stays_in_float32(name):
    landscape = SharedFilter(np.array([1.0, 0.0]), np.ones(1), step(ESTIMATORS[name]))
    for filters in ([1.0, 0.0], [-1.0, 0.0]):
        wide, narrow = (
            np.asarray(landscape.grad(Weights(np.array(filters, dtype), np.ones(1, dtype))).filter)
            for dtype in (np.float64, np.float32)
        )
        np.testing.assert_allclose(narrow, wide, atol=2e-6)


def test_what_would_be_lost_of_observables_and_starts_is_told():
    start = np.ones(2)
    for observables in ({"least_loss": jnp.sum}, {"turn": lambda x: jnp.exp(1j * x)}):
        with pytest.raises(UserError, match=r"cannot be named|must be real"):
            simulate(Bowl(), GradientDescent(0.1), start, 3, observables=observables)
    with pytest.raises(UserError, match="some are masked"):
        simulate(Bowl(), GradientDescent(0.1), np.ma.array(start, mask=[0, 1]), 3)
    with pytest.raises(UserError, match="must be a whole number"):
        warm_up(0.1, 0.2, True)
