"""Whether a method keeps what every method promises, on a bowl or on a landscape of one's own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from whytrain.dynamics import Flow, Method, simulate
from whytrain.landscapes import Landscape, Outcome, Weights
from whytrain.testing.told import name_of, tried

_RUNS = 7


class _Bowl(Landscape):
    """`sum(curvature p^2) / 2`, and its mean over noise whose mean is zero."""

    curvature: float = 1.0

    def loss(self, params: PyTree) -> Any:
        return 0.5 * self.curvature * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    def sample(self, key: Array, n: int) -> Array:
        return jax.random.normal(key, (n,))

    def empirical_loss(self, params: PyTree, batch: Array) -> Any:
        pull = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))
        return self.loss(params) + jnp.mean(batch) * pull


def check_method(
    method: Method | Flow,
    landscape: Landscape | None = None,
    starts: PyTree | None = None,
    steps: int = 40,
) -> None:
    """Hold a method to what every method promises.

    - A step can be compiled, with the step's number and the key as arguments, and gives a state of
      the form that `init` gave;
    - runs do not depend, to the last bit, on each other, on `block` or on `threads`;
    - on the bowl `|params|^2 / 2` the parameters stay finite;
    - where the loss is NaN the run is called diverged, and not moved on in silence.

    Args:
        method: How the parameters move.
        landscape: Where; a bowl with two blocks of parameters by default, whose samples have noise.
        starts: Parameters of `landscape`, 7 or more runs, with a leading axis in every leaf.
        steps: Steps to take; the time of a flow.

    Raises:
        AssertionError: Something is wrong.

    Example:
        >>> from whytrain.dynamics import GradientDescent
        >>> check_method(GradientDescent(0.1))
        >>> check_method(GradientDescent(3.0), steps=2000)
        Traceback (most recent call last):
        AssertionError: GradientDescent: the parameters are not finite after 2000 steps; of a step \
size that is too large, or a fault?
    """
    name = name_of(method)
    on_bowl = landscape is None
    place = _Bowl() if landscape is None else landscape
    begin = _starts() if starts is None else starts
    if isinstance(method, Method):
        _compiles(name, method, place, begin)
    ends = _independent(name, method, place, begin, steps)
    if on_bowl:
        assert all(np.isfinite(leaf).all() for leaf in ends), (
            f"{name}: the parameters are not finite after {steps} steps; of a step size that is "
            "too large, or a fault?"
        )
        _not_silent(name, method)


def _starts() -> Weights:
    rng = np.random.default_rng(0)
    return Weights(rng.standard_normal((_RUNS, 3)), rng.standard_normal((_RUNS, 2)))


def _compiles(name: str, method: Method, landscape: Landscape, starts: PyTree) -> None:
    with jax.enable_x64(True):
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), starts)
        before = tried(f"{name}: init", method.init, landscape, one)
        step = jax.jit(lambda state, i, key: method.step(landscape, state, i, key))
        after = tried(f"{name}: step, compiled,", step, before, jnp.int64(3), jax.random.key(0))
        again = step(before, jnp.int64(3), jax.random.key(0))
    forms = [jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), state)
             for state in (before, after)]  # fmt: skip
    assert forms[0] == forms[1], f"{name}: the state after a step has not the form of that before"
    same = jax.tree.map(lambda a, b: np.array_equal(a, b, equal_nan=True), after, again)
    assert all(jax.tree.leaves(same)), f"{name}: the same step from the same key has other bits"


def _ended(
    method: Method | Flow, landscape: Landscape, starts: PyTree, steps: int, runs: Any, **how: Any
) -> list[np.ndarray]:
    """The last parameters of some runs, leaf by leaf."""
    numbers = np.arange(len(jax.tree.leaves(starts)[0]))
    keys = jax.random.split(jax.random.key(5), len(numbers))[runs]
    some = jax.tree.map(lambda leaf: leaf[runs], starts)
    done = simulate(landscape, method, some, steps, keys=keys, **how)
    return [done[name].values for name in done.data_vars if str(name).startswith("final")]


def _independent(
    name: str, method: Method | Flow, landscape: Landscape, starts: PyTree, steps: int
) -> list[np.ndarray]:
    whole = slice(None)
    ends = tried(name, _ended, method, landscape, starts, steps, whole)
    looks = {"block": (whole, {"block": 1}), "threads": (whole, {"block": 2, "threads": 2}),
             "the other runs": (slice(2, 3), {})}  # fmt: skip
    for what, (runs, how) in looks.items():
        other = _ended(method, landscape, starts, steps, runs, **how)
        same = [
            np.array_equal(a[runs], b, equal_nan=True) for a, b in zip(ends, other, strict=True)
        ]
        assert all(same), f"{name}: where a run ends depends on {what}"
    return ends


def _not_silent(name: str, method: Method | Flow) -> None:
    lost = _Bowl(curvature=float("nan"))
    done = tried(f"{name} where the loss is NaN", simulate, lost, method, _starts(), 5)
    told = done.outcome.values == Outcome.DIVERGED
    assert told.all(), f"{name}: it goes on in silence where the loss is NaN"
