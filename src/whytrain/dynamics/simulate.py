"""Ensembles: any number of runs of one landscape under one method."""

import abc
import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Int, PyTree

from whytrain import _process
from whytrain.dynamics import loop
from whytrain.dynamics.methods import GradientFlow, Method, sizes_at
from whytrain.dynamics.program import WINDOW, Program, find_program, largest_sizes
from whytrain.dynamics.schedules import table
from whytrain.dynamics.watched import Watched
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.landscapes import Landscape, Outcome

CACHE = 1 << 18  # bytes of state in a tile of runs: half of a core's second-level cache
TILE = 64  # most runs in a tile of the JAX loop

Observables = Mapping[str, Callable[[Any], Array]] | Sequence[str]


def simulate(
    landscape: Landscape,
    method: Method | GradientFlow,
    starts: PyTree,
    steps: int,
    *,
    observables: Observables = (),
    times: Int[np.ndarray, " time"] | Sequence[float] | None = None,
    early: bool | None = None,
    extremes: Sequence[str] = (),
    keys: Array | None = None,
    block: int | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Run a method on a landscape from many starts at once, in float64.

    Runs are independent: what becomes of one does not depend, to the last bit, on the others, on
    `block` or on `threads`. Only what is asked for is kept, never a whole trajectory.

    Args:
        landscape: What is minimized. A `SphereReduction` under `NormalizedGradientDescent`, and a
            `PlaneReduction` of a step with a piecewise constant surrogate under `GradientDescent`,
            go through a compiled loop, all else through JAX.
        method: How the parameters move.
        starts: The parameters of every run, with a leading axis of runs in every leaf.
        steps: The largest number of steps; for `GradientFlow` the time at which it ends.
        observables: What to save over time: functions of the parameters by name, or names out of
            `loss`, `gradient_norm` and the fields of the parameters that are numbers.
        times: When to save: steps (times, for a flow). Default: 0 and up to 64 log-spaced ones.
        early: Whether a run may stop inside a region that is proved to lead to one minimum.
            Default: only where nothing is saved over time. What is saved of a stopped run is NaN
            from then on.
        extremes: Observables of the landscape (`landscape.observables()`) to watch at every step:
            the least value on the way is `least_NAME`, the largest rise in one step `rise_NAME`.
        keys: One random key a run, for methods that draw. Default: key `i` for run `i`.
        block: Runs that a thread takes at a time, rounded up to whole tiles. Default: what fits a
            core's cache.
        threads: Blocks at work at the same time. Default: the environment variable
            `WHYTRAIN_THREADS`, or the number of cores.

    Returns:
        An `xarray.Dataset` with, over `run`, `outcome` (the number of an `Outcome`), `steps` really
        taken, and the last parameters as `final_...`; and over `run` and `time` each observable.

    Raises:
        UserError: No runs, unequal numbers of starts, `steps` or `times` out of range, or an
            observable or extreme that is not known.

    Warns:
        UnstableStepWarning: The linearized update at the global minimum does not contract. Runs
            that never settle are then counted as diverged.

    Example:
        >>> from whytrain.dynamics import GradientDescent
        >>> class Bowl(Landscape):
        ...     def loss(self, params):
        ...         return 0.5 * params**2
        >>> runs = simulate(Bowl(), GradientDescent(0.5), np.array([1.0, -2.0]), steps=60)
        >>> [Outcome(code).word for code in runs.outcome.values]
        ['global', 'global']
    """
    starts = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=np.float64), starts)
    runs = _count(starts)
    if not steps >= 1:
        raise UserError(f"steps must be 1 or more, got {steps}")
    times = log_times(steps) if times is None else _checked(times, steps)
    with jax.enable_x64(True):
        observe = _Observe(observables, landscape, starts)
        early = not observe.functions if early is None else early
        stable = _warn_if_unstable(landscape, method, steps)
        landscape, method = _as_arrays(landscape), _as_arrays(method)
        kept = times if observe.functions else times[:0]
        engine = _engine(landscape, method, starts, steps, kept, early, extremes)
    tile = engine.lanes(starts)
    lanes = tile * math.ceil((block or engine.block) / tile)
    if keys is None:
        keys = _numbered_keys(runs)

    def one_block(first: int) -> tuple[PyTree, ...]:
        part = slice(first, min(first + lanes, runs))
        with jax.enable_x64(True):  # the setting belongs to a thread
            return engine.run(_pick(starts, part), keys[part], observe)

    with ThreadPoolExecutor(threads or _process.threads()) as pool:
        parts = list(pool.map(one_block, range(0, runs, lanes)))
    final, codes, taken, saved = _join_all(parts)
    with jax.enable_x64(True):
        codes = np.where(codes == Outcome.UNDECIDED, _settled(landscape, final, codes), codes)
    if not stable:
        codes = np.where(codes == Outcome.UNDECIDED, Outcome.DIVERGED, codes)
    return _dataset(final, codes.astype(np.int8), taken, saved, times, landscape, method, steps)


def log_times(steps: float, count: int = 64) -> np.ndarray:
    """Zero and up to `count` log-spaced whole steps, the last one `steps`.

    Example:
        >>> log_times(100, count=3).tolist()
        [0, 1, 10, 100]
    """
    if steps < 2:
        return np.array([0, steps])
    return np.unique(np.concatenate([[0], np.geomspace(1, steps, count).round().astype(int)]))


class _Compiled:
    """A reduction on its compiled loop."""

    block = 1024

    def __init__(self, program: Program, steps: int, times: np.ndarray) -> None:
        self.program, self.times = program, times
        # Windows of tabulated step sizes; a window ends where something is saved.
        self.edges = np.unique([0, *range(0, steps, WINDOW), steps, *times]).astype(int).tolist()

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile: any number will do, the compiled loop packs them itself."""
        del starts
        return 1

    def run(self, starts: PyTree, keys: Array, observe: "_Observe") -> tuple:
        """Move one block from its starts to its end."""
        from whytrain.dynamics.compiled import advance  # Numba is wanted only here

        del keys
        program = self.program
        kernel, rows = program.kernel(), len(starts)
        watched = [np.full(len(starts[0]), first) for first in program.watched]
        state = np.stack([*starts, *watched])
        codes, taken = np.zeros(state.shape[1], np.int8), np.zeros(state.shape[1], np.int64)
        saved = _Saved(observe, self.times)
        path, going = [], []

        def keep(time: int) -> None:
            if saved.wants(time):
                path.append(state[:rows].copy())
                going.append(codes == 0)

        keep(0)
        for start, stop in zip(self.edges[:-1], self.edges[1:], strict=True):
            if not (codes == 0).any():
                break
            filter_sizes = table(program.sizes.filter, start, stop)
            output_sizes = table(program.sizes.output, start, stop)
            advance(
                kernel, state, codes, taken, filter_sizes, output_sizes,
                program.constants, program.certificate, program.early,
            )  # fmt: skip
            keep(stop)
        if path:  # all times in one call: a call each would take longer than the steps between
            saved.record(type(starts)(*np.concatenate(path, axis=1)), np.stack(going))
        order = type(starts)(*state[:rows])
        extremes = program.extremes(order, state[rows:])
        return order, codes, taken, saved.values(len(codes)) | extremes


class _Tiled(abc.ABC):
    """An engine whose program has one shape: a block goes through it a tile after the other.

    All tiles have one shape, whatever the block: the program is compiled once, and a run's
    arithmetic is the same in every block.
    """

    block = 1

    @abc.abstractmethod
    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile."""

    @abc.abstractmethod
    def tile(self, starts: PyTree, keys: Array, observe: "_Observe") -> tuple:
        """Move the runs of one full tile from their starts to their end."""

    def run(self, starts: PyTree, keys: Array, observe: "_Observe") -> tuple:
        """Move one block from its starts to its end; a last tile is filled up with copies."""
        lanes, count = self.lanes(starts), _count(starts)
        parts = []
        for first in range(0, count, lanes):
            some = np.minimum(np.arange(first, first + lanes), count - 1)
            done = self.tile(_pick(starts, some), keys[some], observe)
            parts.append(_pick(done, slice(min(lanes, count - first))))
        return _join_all(parts)


class _JaxLoop(_Tiled):
    """Any landscape under any method: one compiled JAX loop."""

    def __init__(
        self, landscape: Landscape, method: Watched, steps: int, times: np.ndarray, early: bool
    ) -> None:
        self.landscape, self.method, self.times = landscape, method, times
        sizes = getattr(method.method, "step_size", None)
        exact = early and sizes is not None and not hasattr(method.method, "batch")
        self.largest = _as_arrays(largest_sizes(sizes, steps)) if exact else None
        self.edges = np.unique([0, steps, *times]).astype(int).tolist()

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile: a power of two whose parameters and samples fit the cache."""
        one = max(8, sum(leaf[0].nbytes for leaf in jax.tree.leaves(starts)))
        samples = getattr(self.method.method, "batch", 0) * one
        return min(TILE, 1 << int(np.log2(max(1, CACHE // (one + samples)))))

    def tile(self, starts: PyTree, keys: Array, observe: "_Observe") -> tuple:
        """Move a tile, and stop between two times to save."""
        params = jax.tree.map(jnp.asarray, starts)
        block = loop.start_block(self.landscape, self.method, params)
        saved = _Saved(observe, self.times)
        if saved.wants(0):
            saved.record(params, np.ones((1, len(keys)), bool))
        for start, stop in zip(self.edges[:-1], self.edges[1:], strict=True):
            block = loop.advance(
                self.landscape, self.method, block, keys,
                jnp.int64(start), jnp.int64(stop), self.largest,
            )  # fmt: skip
            if saved.wants(stop):
                saved.record(block.state.params, np.asarray(block.outcome)[None] == 0)
        extremes = self.method.extremes(block.state)
        return block.state.params, block.outcome, block.steps, saved.values(len(keys)) | extremes


class _Flow(_Tiled):
    """Gradient flow by Diffrax."""

    def __init__(
        self, landscape: Landscape, method: GradientFlow, steps: float, times: np.ndarray
    ) -> None:
        self.landscape, self.method, self.times = landscape, method, times
        self.grid = np.unique([0.0, *times, float(steps)])

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile."""
        del starts
        return TILE

    def tile(self, starts: PyTree, keys: Array, observe: "_Observe") -> tuple:
        """Solve a tile at all times to save."""
        from whytrain.dynamics import flow  # Diffrax is wanted only here, and takes long to import

        path, ok = flow.solve(self.landscape, self.method, starts, jnp.asarray(self.grid))
        saved = _Saved(observe, self.times)
        for index, time in enumerate(self.grid):
            if saved.wants(time):
                saved.record(_pick_time(path, index), np.asarray(ok)[None])
        codes = np.where(np.asarray(ok), Outcome.UNDECIDED, Outcome.DIVERGED).astype(np.int8)
        steps = np.zeros(len(keys), np.int64)
        return _pick_time(path, -1), codes, steps, saved.values(len(keys))


class _Saved:
    """The observables of a block at the times asked for."""

    def __init__(self, observe: "_Observe", times: np.ndarray) -> None:
        self.observe, self.times = observe, set(np.asarray(times).tolist())
        self.rows: dict[str, list[np.ndarray]] = {name: [] for name in observe.functions}
        self.count = len(times)

    def wants(self, time: float) -> bool:
        """Whether something is saved at a time."""
        return time in self.times and bool(self.rows)

    def record(self, params: PyTree, going: Bool[np.ndarray, "time run"]) -> None:
        """Keep the observables of one time or more, NaN for runs that have stopped.

        Args:
            params: Parameters with a leading axis of times x runs.
            going: Which runs still went on.
        """
        for name, values in self.observe(params).items():
            numbers = np.asarray(values, dtype=np.float64).reshape(going.shape)
            self.rows[name] += list(np.where(going, numbers, np.nan))

    def values(self, runs: int) -> dict[str, np.ndarray]:
        """One array (run, time) an observable; NaN after the last run has stopped."""
        out = {}
        for name, rows in self.rows.items():
            rows = rows + [np.full(runs, np.nan)] * (self.count - len(rows))
            out[name] = np.stack(rows, axis=1)
        return out


def _engine(
    landscape: Landscape, method: Method | GradientFlow, starts: PyTree, steps: int,
    times: np.ndarray, early: bool, extremes: Sequence[str],
) -> "_Compiled | _JaxLoop | _Flow":  # fmt: skip
    if isinstance(method, GradientFlow):
        if extremes:
            raise UserError("extremes are of steps, and a gradient flow has none: save observables")
        return _Flow(landscape, method, steps, times)
    program = find_program(landscape, method, steps, early, extremes)
    if program is not None:
        return _Compiled(program, steps, times)
    watched = Watched.of(landscape, method, extremes)
    return _JaxLoop(landscape, watched, steps, times, early)


class _Observe:
    """All observables of a batch of parameters, compiled together."""

    def __init__(self, observables: Observables, landscape: Landscape, starts: PyTree) -> None:
        if not isinstance(observables, Mapping):
            known = _known_observables(landscape, starts)
            for name in observables:
                if name not in known:
                    raise UserError(
                        f"observable {name!r} is not known; known: {', '.join(sorted(known))}"
                    )
            observables = {name: known[name] for name in observables}
        self.functions = observables
        self.compiled = jax.jit(jax.vmap(lambda p: {n: f(p) for n, f in observables.items()}))

    def __call__(self, params: PyTree) -> dict[str, Array]:
        return self.compiled(params)


def _known_observables(landscape: Landscape, starts: PyTree) -> dict[str, Callable]:
    known: dict[str, Callable] = {
        **landscape.observables(),
        "gradient_norm": lambda p: _length(landscape.tangent(p, landscape.grad(p))),
    }
    for name in getattr(starts, "_fields", ()):
        if getattr(starts, name).ndim == 1:
            known[name] = operator.attrgetter(name)
    return known


def _length(tree: PyTree) -> Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


def _warn_if_unstable(landscape: Landscape, method: Any, steps: int) -> bool:
    """Whether the step size at the end of the run is stable; says so if it is not."""
    sizes = getattr(method, "step_size", None)
    if sizes is None or hasattr(method, "batch"):
        return True
    last = jax.tree.map(float, sizes_at(sizes, jnp.asarray(int(steps) - 1)))
    if landscape.stable(last):
        return True
    warnings.warn(
        f"step sizes {last} are unstable: the linearized update at the global minimum does not "
        "contract; runs that never settle count as diverged; take smaller steps",
        UnstableStepWarning,
        stacklevel=3,
    )
    return False


def _settled(landscape: Landscape, final: PyTree, codes: np.ndarray) -> np.ndarray:
    """Outcomes by position for the runs that are still undecided."""
    open_runs = np.flatnonzero(codes == Outcome.UNDECIDED)
    settled = np.array(codes)
    if len(open_runs):
        settled[open_runs] = landscape.outcome(_pick(final, open_runs))
    return settled


def _as_arrays(tree: PyTree) -> PyTree:
    """Numbers as arrays, so that another value is another argument and not another program."""
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, float | np.generic) else x, tree)


def _dataset(
    final: PyTree, codes: np.ndarray, taken: np.ndarray, saved: dict[str, np.ndarray],
    times: np.ndarray, landscape: Landscape, method: Any, steps: float,
) -> xr.Dataset:  # fmt: skip
    from whytrain import __version__

    data: dict[str, Any] = {
        "outcome": ("run", codes, _flags()),
        "steps": ("run", taken, {"units": "steps"}),
    }
    for path, leaf in jax.tree_util.tree_leaves_with_path(final):
        name = "final" + "".join(f"_{_word(part)}" for part in path)
        dims = ["run", *(f"{name}_{axis}" for axis in range(leaf.ndim - 1))]
        data[name] = (dims, np.asarray(leaf))
    data |= {name: (("run", "time")[: values.ndim], values) for name, values in saved.items()}
    timed = any(values.ndim == 2 for values in saved.values())
    coords = {"time": ("time", times, {"units": "steps"})} if timed else {}
    attrs = {
        "landscape": type(landscape).__name__, "method": type(method).__name__,
        "max_steps": steps, "version": __version__,
    }  # fmt: skip
    return xr.Dataset(data, coords, attrs)


def _flags() -> dict[str, Any]:
    meanings = " ".join(outcome.word for outcome in Outcome)
    return {"flag_values": list(map(int, Outcome)), "flag_meanings": meanings}


def _word(part: Any) -> str:
    return str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part))))


def _count(starts: PyTree) -> int:
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(starts)}
    if len(counts) != 1 or counts == {0}:
        raise UserError(f"starts must have the same leading axis of 1 or more runs, got {counts}")
    return counts.pop()


def _checked(times: Any, steps: float) -> np.ndarray:
    times = np.unique(np.asarray(times))
    if len(times) == 0 or times[0] < 0 or times[-1] > steps:
        raise UserError(f"times must lie between 0 and steps = {steps}, got {times}")
    return times


def _pick(tree: PyTree, part: Any) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[part], tree)


def _pick_time(path: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, index], path)


def _join(parts: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _join_all(parts: Sequence[tuple]) -> tuple:
    return tuple(_join([part[i] for part in parts]) for i in range(4))


def _numbered_keys(runs: int) -> Array:
    """The keys 0, 1, ..., made without a computation that each count would compile anew."""
    numbers = np.arange(runs, dtype=np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(np.stack([0 * numbers, numbers], axis=1)))
