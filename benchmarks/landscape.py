"""A landscape that is a network: `simulate` beside a plain `jax.vmap` of the same steps."""

import itertools
import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import seconds
from whytrain.dynamics import GradientDescent, simulate
from whytrain.landscapes import Landscape

SIZES, POINTS, SIZE, STEPS = (32, 48, 48, 1), 1000, 0.1, 10


class Regression(Landscape):
    """Half the mean squared error of a network with two hidden layers of tanh."""

    x: np.ndarray
    y: np.ndarray

    def loss(self, params: dict) -> jax.Array:
        hidden = self.x
        for i in range(2):
            hidden = jnp.tanh(hidden @ params[f"w{i}"] + params[f"b{i}"])
        return 0.5 * jnp.mean(((hidden @ params["w2"] + params["b2"])[:, 0] - self.y) ** 2)


def measure(repeats: int) -> dict:
    """Seconds of ten steps of one run and of two, with compilation and without."""
    found: dict = {"points": POINTS, "steps": STEPS}
    rng = np.random.default_rng(0)
    x = rng.standard_normal((POINTS, SIZES[0]))
    landscape = Regression(x, np.sin(x[:, 0]))
    simulate(_Bowl(), GradientDescent(SIZE), np.ones(1), 1)  # imports are not what is measured
    for runs in (1, 2):
        starts = _starts(rng, runs)
        ours = lambda at=starts: simulate(landscape, GradientDescent(SIZE), at, STEPS)  # noqa: E731
        found[str(runs)] = _compare({"whytrain": ours, "vmap": _plain(landscape, starts)}, repeats)
    found["parameters"] = sum(leaf[0].size for leaf in _starts(rng, 1).values())
    return found


class _Bowl(Landscape):
    def loss(self, params: jax.Array) -> jax.Array:
        return 0.5 * params**2


def _plain(landscape: Landscape, starts: dict) -> Callable[[], object]:
    """The loop that one would write down."""

    def step(_: jax.Array, params: dict) -> dict:
        slope = jax.vmap(jax.grad(landscape.loss))(params)
        return jax.tree.map(lambda p, g: p - SIZE * g, params, slope)

    run = jax.jit(lambda params: jax.lax.fori_loop(0, STEPS, step, params))

    def call() -> object:
        with jax.enable_x64(True):
            return jax.block_until_ready(run(starts))

    return call


def _compare(contenders: dict[str, Callable], repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds of first calls, which compile, and of calls after these, by turns."""
    firsts = [{name: _first(run) for name, run in contenders.items()} for _ in range(repeats)]
    for run in contenders.values():
        run()  # what was compiled before the last clearing is compiled again
    turns = [{name: seconds(run) for name, run in contenders.items()} for _ in range(3 * repeats)]
    return {
        name: {
            "first": statistics.median(turn[name] for turn in firsts),
            "again": statistics.median(turn[name] for turn in turns),
        }
        for name in contenders
    }


def _first(run: Callable) -> float:
    jax.clear_caches()
    return seconds(run)


def _starts(rng: np.random.Generator, runs: int) -> dict[str, np.ndarray]:
    starts = {}
    for i, (into, out) in enumerate(itertools.pairwise(SIZES)):
        starts[f"w{i}"] = rng.standard_normal((runs, into, out)) / into**0.5
        starts[f"b{i}"] = np.zeros((runs, out))
    return starts
