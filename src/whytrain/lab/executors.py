"""Who computes: this process, a pool of processes, or a cluster, all behind one interface."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

from whytrain._process import cores, start_worker
from whytrain.errors import UserError


class Inline(Executor):
    """Computes in this thread, at the moment of asking."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call a function now.

        Args:
            fn: The function.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            A future that is done.
        """
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Open a pool of processes that share the cores among them.

    Args:
        workers: How many processes.

    Yields:
        The pool. Leaving by an exception (Ctrl-C above all) ends its processes at once.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context(
            "spawn"
        ),  # JAX has threads, which do not survive fork
        initializer=start_worker,
        initargs=(max(1, cores() // workers),),
    )
    try:
        yield pool
    except BaseException as error:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()  # safe: a piece is in the store whole, or not at all
        pool.shutdown()
        if isinstance(error, BrokenExecutor):
            raise UserError(
                "a worker died, perhaps for want of memory; try fewer --workers"
            ) from None
        raise
    pool.shutdown()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Connect to a Dask cluster whose workers see the same file system.

    Args:
        address: Where its scheduler listens, such as `tcp://host:8786`.

    Yields:
        The cluster, as an executor.

    Raises:
        UserError: If Dask is not installed, or nobody answers.
    """
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError(
            "--scheduler needs Dask, which is not installed; pip install 'whytrain[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"no Dask scheduler answers at {address!r} ({error})") from error
    with client:
        yield client.get_executor(pure=False)


@contextlib.contextmanager
def open_executor(workers: int = 1, scheduler: str | None = None) -> Iterator[Executor]:
    """Open the executor that the user asked for.

    Args:
        workers: How many processes; one is this process.
        scheduler: The address of a Dask scheduler, which goes before `workers`.

    Yields:
        The executor.

    Raises:
        UserError: If there is no such executor.
    """
    if workers < 1:
        raise UserError(f"the number of workers must be an integer >= 1, got {workers}")
    if scheduler is not None:
        chosen = cluster(scheduler)
    elif workers > 1:
        chosen = processes(workers)
    else:
        chosen = contextlib.nullcontext(Inline())
    with chosen as executor:
        yield executor
