"""Ensembles: any number of runs of one landscape under one method."""

import functools
import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Int, PyTree

from whytrain import _process
from whytrain.dynamics import arguments
from whytrain.dynamics.arguments import Observed
from whytrain.dynamics.batches import as_arrays, count, joined, picked
from whytrain.dynamics.engines import engine_of
from whytrain.dynamics.methods import Flow, Method
from whytrain.dynamics.own import Own
from whytrain.dynamics.saved import Observe
from whytrain.dynamics.schedules import table
from whytrain.dynamics.stopping import STOPPED, Stop
from whytrain.errors import UnstableStepWarning, UserError
from whytrain.landscapes import Landscape, Outcome

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
            Default: only where nothing is saved or watched and there is no `stop`. What is saved of
            a run that has ended is NaN from then on. Runs of several landscapes never do.
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
    early = not (functions or stop or extremes) if early is None else bool(early)
    early = early and not own.landscapes  # a proof is of one of them
    unstable = _unstable(own.landscapes or (landscape,), method, steps)
    given, landscape, method = landscape, as_arrays(landscape), as_arrays(method)
    own = own._replace(landscapes=tuple(map(as_arrays, own.landscapes)))
    observe = Observe(functions, landscape, starts)
    kept = times if functions else times[:0]
    engine = engine_of(given, landscape, method, starts, steps, kept, early, extremes, stop)
    tile = own.lanes(engine.lanes(starts))
    lanes = tile * math.ceil((block or engine.block) / tile)

    def one_block(first: int) -> tuple[PyTree, ...]:
        part = slice(first, min(first + lanes, runs))
        with jax.enable_x64(wide):  # the setting belongs to a thread
            return engine.run(picked(starts, part), own.pick(range(runs)[part]), observe)

    _wake_xarray()
    firsts = range(0, runs, lanes)
    if len(firsts) == 1:  # to start threads would take as long as some steps of a small network
        parts = [one_block(0)]
    else:
        with ThreadPoolExecutor(threads or _process.threads()) as pool:
            parts = list(pool.map(one_block, firsts))
    final, codes, taken, saved = joined(parts)
    codes = np.where(codes == STOPPED, Outcome.UNDECIDED, codes)
    codes = np.where(codes == Outcome.UNDECIDED, _settled(landscape, own, final, codes), codes)
    # A run that ended where it was told to is no run that never settled.
    lost = unstable & (codes == Outcome.UNDECIDED) & (saved.get("stopped", 0) == 0)
    codes = np.where(lost, Outcome.DIVERGED, codes)
    ended = _dataset(final, codes.astype(np.int8), taken, saved, times, landscape, method, steps)
    if stop:
        ended.stopped.attrs |= _reasons(stop)
    return ended


def log_times(steps: float, count: int = 64) -> np.ndarray:
    """Zero and up to `count` log-spaced whole steps, the last one `steps`.

    Example:
        >>> log_times(100, count=3).tolist(), log_times(3.7, count=3).tolist()
        ([0, 1, 10, 100], [0.0, 1.0, 2.0, 3.7])
    """
    if steps < 2:
        return np.array([0, steps])
    whole = np.geomspace(1, steps, count).round()
    found = np.unique([0, *whole[whole < steps], steps])
    return found.astype(int) if steps == int(steps) else found


def _unstable(
    landscapes: Sequence[Landscape], method: Method | Flow, steps: float
) -> Bool[np.ndarray, " one"]:
    """Of each landscape, whether the step size at the end of the run is unstable; says so."""
    sizes = method.step_sizes()
    if isinstance(method, Flow) or method.rule is None or sizes is None:
        return np.array([False])
    end = int(steps) - 1
    last = jax.tree.map(lambda size: float(table(size, end, end + 1)[0]), sizes, is_leaf=callable)
    found = np.array([not one.stable(method.rule, last) for one in landscapes])
    if found.any():
        warnings.warn(
            f"step sizes {last} are unstable: the linearized update at the global minimum does not "
            "contract; runs that never settle count as diverged; take smaller steps",
            UnstableStepWarning,
            stacklevel=4,
        )
    return found


def _settled(landscape: Landscape, own: Own, final: PyTree, codes: np.ndarray) -> np.ndarray:
    """Outcomes by position for the runs that are still undecided."""
    open_runs = np.flatnonzero(codes == Outcome.UNDECIDED)
    settled = np.array(codes)
    if own.landscapes:
        for run in open_runs:
            settled[run] = own.landscapes[run].outcome(picked(final, [run]))[0]
    elif len(open_runs):
        settled[open_runs] = landscape.outcome(picked(final, open_runs))
    return settled


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
    threading.Thread(target=xr.Variable, args=("run", [0])).start()
