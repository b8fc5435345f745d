"""What moves the runs of a block: a compiled loop for a reduction, one of JAX, a flow's solver."""

import abc
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from whytrain._computes import computes
from whytrain.dynamics import loop
from whytrain.dynamics.batches import as_arrays, at_time, count, joined, picked
from whytrain.dynamics.extremes import WithExtremes
from whytrain.dynamics.gradients import Gradient
from whytrain.dynamics.methods import Flow, Method, StepSize
from whytrain.dynamics.own import Own
from whytrain.dynamics.saved import Observe, Saved
from whytrain.dynamics.schedules import extent, table
from whytrain.dynamics.stopping import Stop, WithStop, inner_state, stopped
from whytrain.errors import UserError
from whytrain.landscapes import Landscape, Outcome, Reduction, VectorStep, Weights
from whytrain.landscapes.reduction import pair

WINDOW = 1 << 16  # step sizes are tabulated for this many steps at a time, at most
FEW = 1 << 12  # and for so many at first: most runs end early
CACHE = 1 << 18  # bytes of state in a tile of runs: half of a core's second-level cache
TILE = 64  # most runs in a tile of the JAX loop


class Compiled:
    """A reduction on its compiled loop."""

    block = 1024

    def __init__(
        self, step: VectorStep, sizes: Weights, early: bool, steps: int, times: np.ndarray
    ) -> None:
        self.step, self.sizes, self.early, self.times = step, sizes, early and step.proves, times
        self.edges = np.unique([0, steps, *times]).astype(int).tolist()

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile: any number will do, the compiled loop packs them itself."""
        del starts
        return 1

    def run(self, starts: PyTree, own: Own, observe: Observe) -> tuple:
        """Move one block from its starts to its end."""
        from whytrain.dynamics.compiled import advance  # Numba is wanted only here

        del own
        step = self.step
        kernel, rows = step.kernel(), len(starts)
        watched = [np.full(len(starts[0]), first) for first in step.watched]
        state = np.stack([*starts, *watched])
        codes, taken = np.zeros(state.shape[1], np.int8), np.zeros(state.shape[1], np.int64)
        saved = Saved(observe, self.times)
        path, going = [], []

        def keep(time: int) -> None:
            if saved.wants(time):
                path.append(state[:rows].copy())
                going.append(codes == 0)

        keep(0)
        for start, stop in windows(self.edges):
            if not (codes == 0).any():
                break
            filter_sizes = table(self.sizes.filter, start, stop)
            output_sizes = table(self.sizes.output, start, stop)
            advance(
                kernel, state, codes, taken, filter_sizes, output_sizes,
                step.constants, step.certificate, self.early,
            )  # fmt: skip
            keep(stop)
        if path:  # all times in one call: a call each would take longer than the steps between
            saved.record(type(starts)(*np.concatenate(path, axis=1)), np.stack(going))
        order = type(starts)(*state[:rows])
        extremes = dict(step.extremes(order, state[rows:]))
        return order, codes, taken, saved.values(len(codes)) | extremes


def windows(edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches of steps for which step sizes are tabulated together, between edges.

    The compiled loop counts its chunks from the start of a window, and all but the first window of
    a run end at a multiple of `WINDOW` or at an edge: parts of the first one are whole chunks, so
    that no number depends on there being parts.

    Example:
        >>> list(windows([0, 10_000]))
        [(0, 4096), (4096, 8192), (8192, 10000)]
    """
    start = edges[0]
    for edge in edges[1:]:
        while start < edge:
            end, length = min(edge, (start // WINDOW + 1) * WINDOW), WINDOW if start else FEW
            for first in range(start, end, length):
                yield first, min(first + length, end)
            start = end


class Tiled(abc.ABC):
    """An engine whose program has one shape: a block goes through it a tile after the other.

    All tiles have one shape, whatever the block: the program is compiled once, and a run's
    arithmetic is the same in every block.
    """

    block = 1

    @abc.abstractmethod
    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile."""

    @abc.abstractmethod
    def tile(self, starts: PyTree, own: Own, observe: Observe) -> tuple:
        """Move the runs of one full tile from their starts to their end."""

    def run(self, starts: PyTree, own: Own, observe: Observe) -> tuple:
        """Move one block from its starts to its end; a last tile is filled up with copies."""
        lanes, runs = own.lanes(self.lanes(starts)), count(starts)
        parts = []
        for first in range(0, runs, lanes):
            some = np.minimum(np.arange(first, first + lanes), runs - 1)
            done = self.tile(picked(starts, some), own.pick(some), observe)
            parts.append(picked(done, slice(min(lanes, runs - first))))
        return joined(parts)


class JaxLoop(Tiled):
    """Any landscape under any method: one compiled JAX loop."""

    def __init__(
        self, landscape: Landscape, method: Any, starts: PyTree, steps: int, times: np.ndarray,
        proof: Any, samples: int, remembered: int,
    ) -> None:  # fmt: skip
        self.landscape, self.method, self.times, self.proof = landscape, method, times, proof
        self.computes = loop.computed(landscape, method, starts, proof)
        self.samples, self.remembered = samples, remembered
        self.edges = np.unique([0, steps, *times]).astype(int).tolist()

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile: a power of two that fits the cache with its samples; 1 if large."""
        one = max(8, loop.size_of_one(starts))
        if one > loop.LARGE:
            return 1
        each = one + self.samples * one + self.remembered
        return min(TILE, 1 << int(np.log2(max(1, CACHE // each))))

    def tile(self, starts: PyTree, own: Own, observe: Observe) -> tuple:
        """Move a tile, and stop between two times to save."""
        scapes = own.stacked(self.landscape, self.computes)
        block = loop.start_block(scapes, self.method, starts)
        saved = Saved(observe, self.times, scapes.own)
        if saved.wants(0):
            saved.record(starts, np.ones((1, count(starts)), bool))
        for start, stop in zip(self.edges[:-1], self.edges[1:], strict=True):
            block = loop.advance(
                scapes, self.method, block, own.words, own.generator,
                np.int64(start), np.int64(stop), self.proof,
            )  # fmt: skip
            if saved.wants(stop):
                saved.record(block.state.params, np.asarray(block.outcome)[None] == 0)
        found, steps = saved.values(count(starts)), block.steps
        if (ended := stopped(block.state)) is not None:
            reason, counted = ended
            steps = np.where(reason, counted, steps)
            last = loop.reasons_at_the_end(scapes, self.method, block.state.params)
            on = (reason == 0) & (np.asarray(block.outcome) == Outcome.UNDECIDED)
            found["stopped"] = np.where(on, last, reason)
        watching = self.method.method if isinstance(self.method, WithStop) else self.method
        if isinstance(watching, WithExtremes):
            found |= watching.extremes(inner_state(block.state))
        return block.state.params, block.outcome, steps, found


class Flowing(Tiled):
    """A flow by Diffrax."""

    def __init__(
        self, landscape: Landscape, method: Flow, starts: PyTree, steps: float, times: np.ndarray
    ) -> None:
        self.landscape, self.method, self.times = landscape, method, times
        self.computes = computes(
            lambda landscape, method, params: method.velocity(landscape, params),
            landscape, method, picked(starts, 0),
        )  # fmt: skip
        self.grid = np.unique([0.0, *times, float(steps)])

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile."""
        del starts
        return TILE

    def tile(self, starts: PyTree, own: Own, observe: Observe) -> tuple:
        """Solve a tile at all times to save."""
        from whytrain.dynamics import flow  # Diffrax is wanted only here, and takes long to import

        path, ok = flow.solve(self.landscape, self.method, starts, self.grid, self.computes)
        saved = Saved(observe, self.times)
        for index, time in enumerate(self.grid):
            if saved.wants(time):
                saved.record(at_time(path, index), np.asarray(ok)[None])
        codes = np.where(np.asarray(ok), Outcome.UNDECIDED, Outcome.DIVERGED).astype(np.int8)
        del own
        steps = np.zeros(count(starts), np.int64)
        return at_time(path, -1), codes, steps, saved.values(count(starts))


def engine_of(
    given: Landscape, landscape: Landscape, method: Method | Flow, starts: PyTree, steps: float,
    times: np.ndarray, early: bool, extremes: Sequence[str], stop: Stop,
) -> Compiled | JaxLoop | Flowing:  # fmt: skip
    """What moves the runs of `simulate`, for arguments that have been looked at.

    Args:
        given: The landscape as it was given, which remembers what it has found of itself.
        landscape: The same with arrays for its numbers.
        method: How the parameters move.
        starts: The parameters of every run.
        steps: The largest number of steps, or the time at which a flow ends.
        times: When something is saved.
        early: Whether a run may stop where a proof says how it ends.
        extremes: Observables to watch at every step.
        stop: What ends a run.
    """
    if isinstance(method, Flow):
        if isinstance(landscape, Reduction):
            pair(method.rates)
        if extremes:
            raise UserError("extremes are of steps, and a flow has none: save observables")
        if stop:
            raise UserError("stop is of steps, and a flow has none: end it at a time")
        return Flowing(landscape, method, starts, steps, times)
    steps = int(steps)
    sizes, proof = method.step_sizes(), None
    if method.rule is not None and sizes is not None:
        least, most = size_extents(sizes, steps)
        lowest, top = min(jax.tree.leaves(least)), min(jax.tree.leaves(most))
        if not np.isfinite(jax.tree.leaves((least, most))).all():
            raise UserError("a schedule gives step sizes that are not finite numbers")
        if lowest < min(0, -1e-12 * top):  # a schedule that comes down to 0 may miss it by rounding
            raise UserError(f"step sizes must be 0 or more, got {lowest:.6g}")
        early = early and top > 0  # what never moves is bound for nowhere
        double = jax.tree.leaves(starts)[0].dtype == np.float64
        if isinstance(given, Reduction) and double and not stop:
            step = given.vector_step(method.rule, pair(most), extremes)
            if step is not None:
                return Compiled(step, _as_numbers(pair(sizes)), early, steps, times)
        proof = landscape.proof(method.rule, most) if early else None
    watching = WithExtremes.of(landscape, method, extremes) if extremes else method
    return JaxLoop(
        landscape,
        WithStop.of(watching, stop),
        starts,
        steps,
        times,
        as_arrays(proof),
        *_load(landscape, method),
    )


def _load(landscape: Landscape, method: Method) -> tuple[int, int]:
    """Samples that a run draws a step, and bytes that its gradient remembers."""
    gradient = getattr(method, "gradient", None)
    if not isinstance(gradient, Gradient):
        return getattr(method, "batch", 0), 0
    kept = jax.tree.leaves(jax.eval_shape(lambda: gradient.init(landscape)))
    return gradient.samples(), sum(leaf.size * leaf.dtype.itemsize for leaf in kept)


def size_extents(sizes: StepSize, steps: int) -> tuple[PyTree, PyTree]:
    """The smallest and the largest value of each schedule over the whole run."""
    leaves, structure = jax.tree.flatten(sizes, is_leaf=callable)
    least, most = zip(*(extent(leaf, steps) for leaf in leaves), strict=True)
    return structure.unflatten(least), structure.unflatten(most)


def _as_numbers(sizes: Weights) -> Weights:
    """Step sizes as NumPy's: they are read at every window, and reading one of JAX takes longer."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, sizes)
