"""Ensembles of reduced runs, compiled to a vector loop: what is common to all reductions.

A reduction gives a `Kernel`: its step for `LANES` runs at once, and what to look at between chunks
of steps. Chunks, tiles, marks and the room that marked runs make are here, once.
"""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int8, Int64

from whytrain.dynamics.kept import keep
from whytrain.landscapes.kernel import LANES, Kernel, jit

CHUNK = 256  # steps between two looks at a run


@functools.cache
def make_loop(kernel: Kernel) -> Callable:
    """The compiled loop of a kernel; see `advance` for what it does."""
    rows, choose, (walk_first, walk_second), judge, identity = kernel

    # To compile `np.empty`, `min` and `max` takes long: there is none of them in here.

    @jit
    def move(quick, state, runs, lanes, filter_sizes, output_sizes, start, stop, constants):
        for first in range(0, len(runs), LANES):
            for lane in range(LANES):
                # A tile that is not full is filled up with copies of its first run.
                run = runs[first + lane] if first + lane < len(runs) else runs[first]
                for row in range(rows):
                    lanes[row, lane] = state[row, run]
            if quick:
                walk_first(lanes, filter_sizes, output_sizes, start, stop, constants)
            else:
                walk_second(lanes, filter_sizes, output_sizes, start, stop, constants)
            for lane in range(LANES):
                if first + lane < len(runs):
                    for row in range(rows):
                        state[row, runs[first + lane]] = lanes[row, lane]

    def loop(
        state, outcome, steps, first, second, lanes,
        filter_sizes, output_sizes, constants, certificate, early,
    ):  # fmt: skip
        window = len(filter_sizes)
        if early:
            for run in range(len(outcome)):
                if outcome[run] == 0:
                    judge(state, run, outcome, constants, certificate, early)
        for start in range(0, window, CHUNK):
            stop = start + CHUNK if start + CHUNK < window else window
            filter_most, output_most = 0.0, 0.0
            for step in range(start, stop):
                if filter_sizes[step] > filter_most:
                    filter_most = filter_sizes[step]
                if output_sizes[step] > output_most:
                    output_most = output_sizes[step]
            n_first, n_second = 0, 0
            for run in range(len(outcome)):
                if outcome[run] == 0:
                    if choose(state, run, stop - start, filter_most, output_most, constants):
                        first[n_first] = run
                        n_first += 1
                    else:
                        second[n_second] = run
                        n_second += 1
            if n_first + n_second == 0:
                return
            for quick, runs in ((True, first[:n_first]), (False, second[:n_second])):
                move(quick, state, runs, lanes, filter_sizes, output_sizes, start, stop, constants)
            for run in range(len(outcome)):
                if outcome[run] == 0:
                    steps[run] += stop - start
                    judge(state, run, outcome, constants, certificate, early)

    return keep(jit(loop, outermost=True), identity)


def advance(
    kernel: Kernel,
    state: Float[np.ndarray, "rows runs"],
    outcome: Int8[np.ndarray, " runs"],
    steps: Int64[np.ndarray, " runs"],
    filter_sizes: Float[np.ndarray, " window"],
    output_sizes: Float[np.ndarray, " window"],
    constants: tuple[float, ...],
    certificate: tuple[float, ...],
    early: bool,
) -> None:
    """Move a block of runs through a window of steps, in place.

    Runs whose outcome is not 0 stand still. Every `CHUNK` steps each run is looked at: one that is
    no longer finite is marked as diverged, and with `early` one that is proved to end somewhere is
    marked with where. Marked runs make room for others, so that no lane works for nothing. What
    becomes of a run depends on nothing but that run.

    Args:
        kernel: The reduction's.
        state: The kernel's rows.
        outcome: Numbers of `Outcome`.
        steps: Steps taken by each run so far; counted on.
        filter_sizes: The filter's step sizes of this window.
        output_sizes: The output's step sizes of this window.
        constants: What the kernel needs to know of the landscape.
        certificate: What it needs for a proof of where a run ends.
        early: Whether to use such proofs.
    """
    loop = make_loop(kernel)
    first, second = np.empty((2, len(outcome)), np.int64)
    loop(
        state, outcome, steps, first, second, np.empty((kernel.rows, LANES)),
        filter_sizes, output_sizes, constants, certificate, early,
    )  # fmt: skip
