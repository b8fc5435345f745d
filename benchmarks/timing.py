"""Seconds of a call, and the number of threads that serves PyTorch best."""

import os
import time
from collections.abc import Callable


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def best_threads(make: Callable[[], Callable[[], object]]) -> int:
    """Give PyTorch the number of threads, one or all, with which it is fastest here.

    Args:
        make: Gives what is to be timed, made anew for every number of threads; it is called once to
            warm up, then three times.

    Returns:
        The number, which PyTorch has from now on.
    """
    import torch

    def at(threads: int) -> float:
        torch.set_num_threads(threads)
        run = make()
        run()
        return min(seconds(run) for _ in range(3))

    best = min({1, len(os.sched_getaffinity(0))}, key=at)
    torch.set_num_threads(best)
    return best
