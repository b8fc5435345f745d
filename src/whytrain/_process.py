"""What a process sets up for itself, before anything heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
import warnings

from whytrain import _programs

# What the libraries below us read to learn how many threads they may start.
_THREADS = ("WHYTRAIN_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
_OF_XLA = ("NPROC", "PJRT_NPROC")


def start_worker(threads: int) -> None:
    """Prepare a process that computes for another one.

    Args:
        threads: How many threads it may use.
    """
    os.environ.update(worker_environment(threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who then ends us
    sys.stdout = sys.stderr  # the parent's standard output is for its results
    warn_in_one_line()


def worker_environment(threads: int) -> dict[str, str]:
    """What the environment of such a process says of threads.

    Args:
        threads: How many threads it may use.
    """
    return {name: str(threads) for name in _THREADS} | dict.fromkeys(_OF_XLA, "1")


def sum_in_one_order() -> None:
    """Let XLA compute a product in one thread: several sum it up in an order of their number.

    The threads of this package go to runs and networks, of which no result depends on another one.
    It has to be said before JAX starts, in a process that is ours; a user's choice stands.
    """
    for name in _OF_XLA:
        os.environ.setdefault(name, "1")


def warn_in_one_line() -> None:
    """Show the warnings of this process as one line each on standard error."""

    def show(message: Warning | str, *_: object) -> None:
        words = " ".join(str(message).split())
        if _programs.met(words):
            return
        print(f"whytrain: warning: {words}", file=sys.stderr, flush=True)

    warnings.showwarning = show


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Count the threads that a computation may use: `WHYTRAIN_THREADS`, or a thread a core."""
    return int(os.environ.get("WHYTRAIN_THREADS", 0)) or cores()
