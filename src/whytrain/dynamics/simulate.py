"""Ensembles: any number of runs of one landscape under one method."""

import abc
import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Int, PyTree

from whytrain import _process
from whytrain._computes import computes
from whytrain.dynamics import arguments, loop
from whytrain.dynamics.arguments import Observed, count
from whytrain.dynamics.extremes import WithExtremes
from whytrain.dynamics.gradients import Gradient
from whytrain.dynamics.methods import Flow, Method, StepSize
from whytrain.dynamics.own import Landscapes, Own
from whytrain.dynamics.schedules import largest, table
from whytrain.dynamics.stopping import STOPPED, Stop, WithStop, inner_state, stopped
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.landscapes import Landscape, Outcome, Reduction, VectorStep, Weights
from whytrain.landscapes.reduction import pair

WINDOW = 1 << 16  # step sizes are tabulated for this many steps at a time, at most
FEW = 1 << 12  # and for so many at first: most runs end early
CACHE = 1 << 18  # bytes of state in a tile of runs: half of a core's second-level cache
TILE = 64  # most runs in a tile of the JAX loop

Observables = Mapping[str, Callable[[Any], Array]] | Sequence[str]


def simulate(
    landscape: Landscape | Sequence[Landscape],
    method: Method | Flow,
    starts: PyTree,
    steps: float,
    *,
    observables: Observables = (),
    times: Int[np.ndarray, " time"] | Sequence[float] | None = None,
    early: bool | None = None,
    extremes: Sequence[str] = (),
    stop: Stop | None = None,
    dtype: Any = np.float64,
    keys: Array | None = None,
    block: int | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Run a method on a landscape from many starts at once.

    Runs are independent: what becomes of one does not depend, to the last bit, on the others, on
    `block` or on `threads`. Only what is asked for is kept, never a whole trajectory.

    Args:
        landscape: What is minimized; or a list of landscapes that differ in the numbers of their
            arrays alone, such as their data, one a run: a core takes one such run at a time. A
            `Reduction` only moves by methods under which it is exact; where it has a `vector_step`
            for the method it goes through a compiled loop, all else through JAX.
        method: How the parameters move.
        starts: The parameters of every run, with a leading axis of runs in every leaf.
        steps: The largest number of steps; for a flow the time at which it ends.
        observables: What to save over time: functions of the parameters by name, or names out of
            those of the landscape (`loss`), `gradient_norm` (not of a reduction) and the fields of
            the parameters that are numbers.
        times: When to save: steps (times, for a flow). Default: 0 and up to 64 log-spaced ones.
        early: Whether a run may stop inside a region that is proved to lead to one minimum.
            Default: only where nothing is saved over time and there is no `stop`. What is saved of
            a run that has ended is NaN from then on.
        extremes: Observables of the landscape (`landscape.observables()`) to watch at every step:
            the least value on the way is `least_NAME`, the largest rise in one step `rise_NAME`.
        stop: Ends each run at the first point at which a number is at or below its value, such as
            `{"gradient_norm": 1e-8}`: `gradient_norm`, or an observable of the landscape; or at
            which a function of the parameters says so, under a name of your own. The result then
            has `stopped`: which of them ended the run, counted from 1, or 0.
        dtype: The precision of all numbers, float64 or float32.
        keys: One random key a run, for methods that draw. Default: key `i` for run `i`.
        block: Runs that a thread takes at a time, rounded up to whole tiles. Default: what fits a
            core's cache.
        threads: Blocks at work at the same time. Default: the environment variable
            `WHYTRAIN_THREADS`, or the number of cores.

    Returns:
        An `xarray.Dataset` with, over `run`, `outcome` (the number of an `Outcome`), `steps` really
        taken, and the last parameters as `final_...`; and over `run` and `time` each observable.

    Raises:
        UserError: An argument is not what it should be, in one line that says what would be; a
            reduction is not exact under the method; or the landscape or the method cannot take the
            starts.

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
    landscapes = arguments.checked_landscapes(landscape)
    one: Any = landscapes[0] if landscapes else landscape
    arguments.check_pair(one, method)
    flow = isinstance(method, Flow)
    precision = arguments.checked_dtype(dtype, flow)
    starts = arguments.checked_starts(one, starts, precision)
    steps = arguments.checked_steps(steps, flow)
    times = log_times(steps) if times is None else arguments.checked_times(times, steps, flow)
    extremes = arguments.checked_extremes(extremes)
    arguments.checked_number("block", block)
    arguments.checked_number("threads", threads)
    given = arguments.checked_keys(keys, count(starts))
    own = arguments.checked_own(landscapes, given, count(starts), method)
    with jax.enable_x64(precision == np.float64):
        functions = arguments.checked_observables(observables, one, starts)
        stop = arguments.checked_stop({} if stop is None else stop, one, starts)
        try:
            return _ended(
                one, method, starts, steps, functions, times, early, extremes,
                stop, own, block, threads,
            )  # fmt: skip
        except UserError:
            raise
        except Exception as error:
            arguments.explain(one, method, starts, error)
            raise


def _ended(
    landscape: Landscape, method: Method | Flow, starts: PyTree, steps: float,
    functions: Mapping[str, Observed], times: np.ndarray, early: bool | None,
    extremes: Sequence[str], stop: Stop, own: Own, block: int | None, threads: int | None,
) -> xr.Dataset:  # fmt: skip
    """What `simulate` gives, for arguments that have been looked at."""
    runs, wide = count(starts), jax.tree.leaves(starts)[0].dtype == np.float64
    early = not (functions or stop) if early is None else bool(early)
    stable = _warn_if_unstable(landscape, method, steps)
    given, landscape, method = landscape, _as_arrays(landscape), _as_arrays(method)
    own = own._replace(landscapes=tuple(map(_as_arrays, own.landscapes)))
    observe = _Observe(functions, landscape, starts)
    kept = times if functions else times[:0]
    engine = _engine(given, landscape, method, starts, steps, kept, early, extremes, stop)
    tile = own.lanes(engine.lanes(starts))
    lanes = tile * math.ceil((block or engine.block) / tile)

    def one_block(first: int) -> tuple[PyTree, ...]:
        part = slice(first, min(first + lanes, runs))
        with jax.enable_x64(wide):  # the setting belongs to a thread
            return engine.run(_pick(starts, part), own.pick(range(runs)[part]), observe)

    with ThreadPoolExecutor(threads or _process.threads()) as pool:
        pool.submit(_wake_xarray)
        parts = list(pool.map(one_block, range(0, runs, lanes)))
    final, codes, taken, saved = _join_all(parts)
    codes = np.where(codes == STOPPED, Outcome.UNDECIDED, codes)
    codes = np.where(codes == Outcome.UNDECIDED, _settled(landscape, own, final, codes), codes)
    if not stable:  # a run that ended where it was told to is no run that never settled
        lost = (codes == Outcome.UNDECIDED) & (saved.get("stopped", 0) == 0)
        codes = np.where(lost, Outcome.DIVERGED, codes)
    ended = _dataset(final, codes.astype(np.int8), taken, saved, times, landscape, method, steps)
    if stop:
        ended.stopped.attrs |= _reasons(stop)
    return ended


def log_times(steps: float, count: int = 64) -> np.ndarray:
    """Zero and up to `count` log-spaced whole steps, the last one `steps`.

    Example:
        >>> log_times(100, count=3).tolist()
        [0, 1, 10, 100]
    """
    if steps < 2:
        return np.array([0, steps])
    return np.unique(np.concatenate([[0], np.geomspace(1, steps, count).round().astype(int)]))


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


class _Compiled:
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

    def run(self, starts: PyTree, own: Own, observe: "_Observe") -> tuple:
        """Move one block from its starts to its end."""
        from whytrain.dynamics.compiled import advance  # Numba is wanted only here

        del own
        step = self.step
        kernel, rows = step.kernel(), len(starts)
        watched = [np.full(len(starts[0]), first) for first in step.watched]
        state = np.stack([*starts, *watched])
        codes, taken = np.zeros(state.shape[1], np.int8), np.zeros(state.shape[1], np.int64)
        saved = _Saved(observe, self.times)
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
    def tile(self, starts: PyTree, own: Own, observe: "_Observe") -> tuple:
        """Move the runs of one full tile from their starts to their end."""

    def run(self, starts: PyTree, own: Own, observe: "_Observe") -> tuple:
        """Move one block from its starts to its end; a last tile is filled up with copies."""
        lanes, runs = own.lanes(self.lanes(starts)), count(starts)
        parts = []
        for first in range(0, runs, lanes):
            some = np.minimum(np.arange(first, first + lanes), runs - 1)
            done = self.tile(_pick(starts, some), own.pick(some), observe)
            parts.append(_pick(done, slice(min(lanes, runs - first))))
        return _join_all(parts)


class _JaxLoop(_Tiled):
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

    def tile(self, starts: PyTree, own: Own, observe: "_Observe") -> tuple:
        """Move a tile, and stop between two times to save."""
        scapes = own.stacked(self.landscape, self.computes)
        block = loop.start_block(scapes, self.method, starts)
        saved = _Saved(observe, self.times, scapes.own)
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


class _Flow(_Tiled):
    """A flow by Diffrax."""

    def __init__(
        self, landscape: Landscape, method: Flow, starts: PyTree, steps: float, times: np.ndarray
    ) -> None:
        self.landscape, self.method, self.times = landscape, method, times
        self.computes = computes(
            lambda landscape, method, params: method.velocity(landscape, params),
            landscape, method, _pick(starts, 0),
        )  # fmt: skip
        self.grid = np.unique([0.0, *times, float(steps)])

    def lanes(self, starts: PyTree) -> int:
        """Runs of a tile."""
        del starts
        return TILE

    def tile(self, starts: PyTree, own: Own, observe: "_Observe") -> tuple:
        """Solve a tile at all times to save."""
        from whytrain.dynamics import flow  # Diffrax is wanted only here, and takes long to import

        path, ok = flow.solve(self.landscape, self.method, starts, self.grid, self.computes)
        saved = _Saved(observe, self.times)
        for index, time in enumerate(self.grid):
            if saved.wants(time):
                saved.record(_pick_time(path, index), np.asarray(ok)[None])
        codes = np.where(np.asarray(ok), Outcome.UNDECIDED, Outcome.DIVERGED).astype(np.int8)
        del own
        steps = np.zeros(count(starts), np.int64)
        return _pick_time(path, -1), codes, steps, saved.values(count(starts))


class _Saved:
    """The observables of a block at the times asked for."""

    def __init__(self, observe: "_Observe", times: np.ndarray, own: PyTree = None) -> None:
        self.observe, self.own, self.times = observe, own, set(np.asarray(times).tolist())
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
        for name, values in self.observe(params, self.own).items():
            numbers = np.asarray(values, dtype=np.float64)
            if numbers.size != going.size:
                raise UserError(
                    f"observable {name!r} must be one number, got shape {numbers.shape[1:]}"
                )
            numbers = numbers.reshape(going.shape)
            self.rows[name] += list(np.where(going, numbers, np.nan))

    def values(self, runs: int) -> dict[str, np.ndarray]:
        """One array (run, time) an observable; NaN after the last run has stopped."""
        out = {}
        for name, rows in self.rows.items():
            rows = rows + [np.full(runs, np.nan)] * (self.count - len(rows))
            out[name] = np.stack(rows, axis=1)
        return out


def _engine(
    given: Landscape, landscape: Landscape, method: Method | Flow, starts: PyTree, steps: float,
    times: np.ndarray, early: bool, extremes: Sequence[str], stop: Stop,
) -> "_Compiled | _JaxLoop | _Flow":  # fmt: skip
    if isinstance(method, Flow):
        if isinstance(landscape, Reduction):
            pair(method.rates)
        if extremes:
            raise UserError("extremes are of steps, and a flow has none: save observables")
        if stop:
            raise UserError("stop is of steps, and a flow has none: end it at a time")
        return _Flow(landscape, method, starts, steps, times)
    steps = int(steps)
    sizes, proof = method.step_sizes(), None
    if method.rule is not None and sizes is not None:
        most = largest_sizes(sizes, steps)
        double = jax.tree.leaves(starts)[0].dtype == np.float64
        if isinstance(given, Reduction) and double and not stop:
            # Of the landscape that was given: it remembers what it has found of itself.
            step = given.vector_step(method.rule, pair(most), extremes)
            if step is not None:
                return _Compiled(step, _as_numbers(pair(sizes)), early, steps, times)
        proof = landscape.proof(method.rule, most) if early else None
    watching = WithExtremes.of(landscape, method, extremes) if extremes else method
    return _JaxLoop(
        landscape,
        WithStop.of(watching, stop),
        starts,
        steps,
        times,
        _as_arrays(proof),
        *_load(landscape, method),
    )


def _load(landscape: Landscape, method: Method) -> tuple[int, int]:
    """Samples that a run draws a step, and bytes that its gradient remembers."""
    gradient = getattr(method, "gradient", None)
    if not isinstance(gradient, Gradient):
        return getattr(method, "batch", 0), 0
    kept = jax.tree.leaves(jax.eval_shape(lambda: gradient.init(landscape)))
    return gradient.samples(), sum(leaf.size * leaf.dtype.itemsize for leaf in kept)


def largest_sizes(sizes: StepSize, steps: int) -> PyTree:
    """The largest value of each schedule over the whole run."""
    return jax.tree.map(lambda schedule: largest(schedule, steps), sizes, is_leaf=callable)


def _as_numbers(sizes: Weights) -> Weights:
    """Step sizes as NumPy's: they are read at every window, and reading one of JAX takes longer."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, sizes)


class _Observe:
    """All observables of a batch of parameters, compiled together."""

    def __init__(
        self, functions: Mapping[str, Observed], landscape: Landscape, starts: PyTree
    ) -> None:
        self.functions, self.landscape = dict(functions), landscape
        self.computes = b""
        if functions:
            self.computes = computes(_numbers, self.functions, landscape, _pick(starts, 0))

    def __call__(self, params: PyTree, own: PyTree = None) -> dict[str, Array]:
        scapes = Landscapes(self.landscape, own, self.computes)
        return _observed(self.functions, scapes, params)


@eqx.filter_jit
def _observed(
    functions: dict[str, Observed], landscapes: Landscapes, params: PyTree
) -> dict[str, Array]:
    def one(params: PyTree, own: PyTree) -> dict[str, Array]:
        return _numbers(functions, landscapes.of(own), params)

    return loop.each(one)(params, landscapes.own)


def _numbers(
    functions: dict[str, Observed], landscape: Landscape, params: PyTree
) -> dict[str, Array]:
    known = arguments.numbers_of(landscape)
    return {name: (f or known[name])(params) for name, f in functions.items()}


def _warn_if_unstable(landscape: Landscape, method: Method | Flow, steps: float) -> bool:
    """Whether the step size at the end of the run is stable; says so if it is not."""
    sizes = method.step_sizes()
    if isinstance(method, Flow) or method.rule is None or sizes is None:
        return True
    end = int(steps) - 1
    last = jax.tree.map(lambda size: float(table(size, end, end + 1)[0]), sizes, is_leaf=callable)
    if landscape.stable(method.rule, last):
        return True
    warnings.warn(
        f"step sizes {last} are unstable: the linearized update at the global minimum does not "
        "contract; runs that never settle count as diverged; take smaller steps",
        UnstableStepWarning,
        stacklevel=4,
    )
    return False


def _settled(landscape: Landscape, own: Own, final: PyTree, codes: np.ndarray) -> np.ndarray:
    """Outcomes by position for the runs that are still undecided."""
    open_runs = np.flatnonzero(codes == Outcome.UNDECIDED)
    settled = np.array(codes)
    if own.landscapes:
        for run in open_runs:
            settled[run] = own.landscapes[run].outcome(_pick(final, [run]))[0]
    elif len(open_runs):
        settled[open_runs] = landscape.outcome(_pick(final, open_runs))
    return settled


def _as_arrays(tree: PyTree) -> PyTree:
    """Numbers as arrays, so that another value is another argument and not another program."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, float | np.generic) else x, tree)


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


def _reasons(stop: Stop) -> dict[str, Any]:
    names = " ".join(["no", *(name.replace(" ", "_") for name in stop)])
    return {"flag_values": list(range(len(stop) + 1)), "flag_meanings": names}


def _word(part: Any) -> str:
    return str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part))))


@functools.cache
def _wake_xarray() -> None:
    """Let xarray look for other packages, for a second, while the first block compiles."""
    xr.Variable("run", [0])


def _pick(tree: PyTree, part: Any) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[part], tree)


def _pick_time(path: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, index], path)


def _join(parts: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _join_all(parts: Sequence[tuple]) -> tuple:
    return tuple(_join([part[i] for part in parts]) for i in range(4))
