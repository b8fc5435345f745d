"""The compiled loop beside the plain step, one after the other."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain.dynamics import NormalizedGradientDescent, simulate, warm_up
from whytrain.dynamics.compiled import CHUNK
from whytrain.gaussian import ReLU
from whytrain.landscapes import Outcome, SphereOrder, SphereReduction, Weights
from whytrain.landscapes.kernel import LANES
from whytrain.landscapes.sphere_kernel import _any_step


def reduction(k=9, alignment=1.0, norm=1.0):
    return SphereReduction.of_sums(k, norm * math.sqrt(alignment), norm**2, ReLU())


def starts(count, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.001, math.pi - 0.001, count)
    angle[: min(count, 6)] = [0.0, math.pi, 1e-9, math.pi - 1e-9, 1e-4, math.pi / 2][:count]
    return SphereOrder(
        angle, scale * rng.standard_normal(count), scale * rng.standard_normal(count)
    )


def test_a_step_turns_by_the_arctangent():
    for x in (*np.geomspace(1e-6, 1e3, 40), 1.0, 0.3):
        angle, cos, sin = _any_step.py_func(3.0, math.cos(3), math.sin(3), x)
        assert angle == pytest.approx(3 - math.atan(x), abs=2e-14)
        assert (cos, sin) == pytest.approx((math.cos(angle), math.sin(angle)), abs=2e-14)


def plain(landscape, sizes, start, steps):
    """The same from `normalized_step`, a step at a time."""

    def body(t, place):
        now = jax.tree.map(
            lambda size: size(t) if callable(size) else size, sizes, is_leaf=callable
        )
        return jax.vmap(lambda one: landscape.normalized_step(one, now))(place)

    place = SphereOrder(*(jnp.asarray(leaf) for leaf in start))
    return np.array(jax.jit(lambda p: jax.lax.fori_loop(0, steps, body, p))(place))


def fast(landscape, sizes, start, steps):
    ended = simulate(landscape, NormalizedGradientDescent(sizes), start, steps, early=False)
    return np.stack([ended.final_angle, ended.final_total, ended.final_overlap])


@pytest.mark.parametrize("steps", [1, CHUNK - 1, CHUNK, CHUNK + 1, 1000])
@pytest.mark.parametrize("filter_size", [0.003, 0.3, 3.0], ids=["small", "medium", "large"])
def test_the_loop_is_the_step(steps, filter_size):
    sizes = Weights(filter_size, 0.2)
    some = starts(LANES + 3)
    expected = plain(reduction(), sizes, some, steps)
    np.testing.assert_allclose(fast(reduction(), sizes, some, steps), expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
def test_one_huge_rotation():
    sizes = Weights(1e4, 0.2)
    some = starts(200, scale=5.0)
    expected = plain(reduction(), sizes, some, 1)
    np.testing.assert_allclose(fast(reduction(), sizes, some, 1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("early_steps", [CHUNK - 1, CHUNK, CHUNK + 1, 3])
def test_schedules_switch_at_the_right_step(early_steps):
    sizes = Weights(warm_up(0.0, 0.5, early_steps), warm_up(0.01, 0.3, early_steps))
    some = starts(10)
    expected = plain(reduction(), sizes, some, 700)
    np.testing.assert_allclose(fast(reduction(), sizes, some, 700), expected, rtol=0, atol=1e-12)
    still = fast(reduction(), sizes, some, early_steps)
    assert still[0].tolist() == some.angle.tolist()


def test_any_optax_schedule():
    sizes = Weights(optax.cosine_decay_schedule(0.3, 500), optax.linear_schedule(0.2, 0.05, 300))
    some = starts(10)
    expected = plain(reduction(), sizes, some, 600)
    np.testing.assert_allclose(fast(reduction(), sizes, some, 600), expected, rtol=0, atol=1e-12)


def test_the_saved_are_the_steps_asked_for():
    times = [0, 1, 2, 255, 256, 257, 300, 511, 512, 513]
    sizes = Weights(0.3, 0.2)
    some = starts(5)
    method = NormalizedGradientDescent(sizes)
    names = ("angle", "total", "overlap")
    path = simulate(reduction(), method, some, 513, observables=names, times=times)
    assert path.time.values.tolist() == times
    for index, time in enumerate(times):
        expected = plain(reduction(), sizes, some, time)
        for row, name in enumerate(names):
            saved = path[name].values[:, index]
            np.testing.assert_allclose(saved, expected[row], rtol=0, atol=1e-12, err_msg=f"{time}")


def test_a_long_run_does_not_drift():
    # cosine and sine are carried along and rotated; the angle must not part from them
    sizes = Weights(0.002, 0.001)
    some = starts(8)
    expected = plain(reduction(), sizes, some, 100_000)
    found = fast(reduction(), sizes, some, 100_000)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::whytrain.errors.UnstableStepWarning")
def test_what_blows_up_is_marked_and_stops():
    method = NormalizedGradientDescent(Weights(0.1, 50.0))
    ended = simulate(reduction(), method, starts(70), 5000, observables=("overlap",), early=False)
    assert (ended.outcome == Outcome.DIVERGED).all()
    assert ended.steps.max() < 5000
    assert np.isnan(ended.overlap.values[:, -1]).all()


def test_float64_takes_the_compiled_loop_and_float32_does_not(monkeypatch):
    asked = []

    def vector_step(self, *given):
        asked.append(given)

    monkeypatch.setattr(SphereReduction, "vector_step", vector_step)
    method = NormalizedGradientDescent(0.05)
    for dtype, often in ((np.float32, 0), (np.float64, 1)):
        ended = simulate(reduction(), method, starts(3), 5, dtype=dtype)
        assert ended.final_angle.dtype == dtype
        assert len(asked) == often
