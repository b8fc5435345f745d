"""Who computes: this process, a pool of processes, or a cluster, all behind one interface."""

import contextlib
import functools
import logging
import multiprocessing
import os
import pickle
import re
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from whytrain._process import cores, start_worker, worker_environment
from whytrain.errors import UserError

_ADDRESS = re.compile(r"local|((tcp|tls|wss?|ucx)://)?[^/\s]+:\d{1,5}")
ATTEMPTS = 5  # how many deaths of its worker a call survives


class WorkerDied(RuntimeError):
    """Every worker that tried a call was killed."""


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


@dataclass(frozen=True)
class _Call:
    """What was submitted, and where its outcome goes."""

    function: functools.partial
    future: Future

    @property
    def kind(self) -> Hashable:
        """Calls of one kind compile the same programs."""
        return getattr(next(iter(self.function.args), None), "kind", None)


class _Calls:
    """Calls that no worker has begun."""

    def __init__(self) -> None:
        self._waiting: list[_Call] = []
        self._begun: set[Hashable] = set()
        self._closed = False
        self._change = threading.Condition()

    def put(self, call: _Call) -> None:
        with self._change:
            self._waiting.append(call)
            self._change.notify()

    def close(self, *, cancel: bool) -> None:
        """Let workers end when nothing waits any more; drop what waits, if asked to."""
        with self._change:
            self._closed = True
            while cancel and self._waiting:
                self._waiting.pop().future.cancel()
            self._change.notify_all()

    def take(self, known: set[Hashable]) -> _Call | None:
        """Give a worker its next call.

        One of a kind that it knows; else one of a kind that nobody has begun; else the first.

        Args:
            known: The kinds that the worker knows; the call's is added.

        Returns:
            The call; None if there will be no more.
        """
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            call = min(self._waiting, key=lambda c: (c.kind not in known, c.kind in self._begun))
            self._waiting.remove(call)
            self._begun.add(call.kind)
            known.add(call.kind)
            return call


class Processes(Executor):
    """Processes that share the cores, and are replaced when they die.

    Each has a lane of its own: one call at a time and a pipe that nobody else uses. A worker that
    is killed takes nothing along but its call, which another one then tries. (In a
    `ProcessPoolExecutor` one dead process ends all.) A worker whose driver is gone finds its pipe
    closed, and ends.

    A worker prefers calls of a kind that it has done before (`kind` of a call's first argument),
    for which it need not compile again.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self._context = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
        self._threads = max(1, cores() // workers)
        self._calls = _Calls()
        self._workers: set[BaseProcess] = set()
        self._closed = self._ended = False
        self._lanes = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for lane in self._lanes:
            lane.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Have a function called by the next free worker.

        Args:
            fn: The function, which like its arguments must be importable there.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            A future.

        Raises:
            RuntimeError: If the executor has been shut down.
        """
        if self._closed:
            raise RuntimeError("cannot submit to processes that have been shut down")
        call = _Call(functools.partial(fn, *args, **kwargs), Future())
        self._calls.put(call)
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers.

        Args:
            wait: Whether to let calls that were submitted finish. Otherwise workers are ended now,
                which is safe: a piece is in the store whole, or not at all.
            cancel_futures: Whether to drop calls that no worker has begun.
        """
        self._closed, self._ended = True, not wait
        self._calls.close(cancel=cancel_futures or not wait)
        if not wait:
            for worker in list(self._workers):
                worker.terminate()
        for lane in self._lanes:
            lane.join()

    def _serve(self) -> None:
        """One lane: hand one call after the other to a worker."""
        lane: tuple[BaseProcess, Connection] | None = None
        known: set[Hashable] = set()
        while (call := self._calls.take(known)) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            outcome: tuple[bool, Any] = (False, WorkerDied(_DIED))
            for _ in range(ATTEMPTS):
                if self._ended:
                    break
                lane = lane or self._hire()
                try:
                    lane[1].send(call.function)
                    outcome = lane[1].recv()
                    break
                except (EOFError, OSError):
                    self._dismiss(lane)
                    lane = None
                    known = {call.kind}  # the next worker will have compiled no more
                except Exception as error:  # the call cannot be pickled
                    outcome = (False, error)
                    break
            good, value = outcome
            call.future.set_result(value) if good else call.future.set_exception(value)
        if lane is not None:
            self._dismiss(lane)

    def _hire(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        worker = self._context.Process(target=_work, args=(theirs, self._threads), daemon=True)
        worker.start()
        theirs.close()
        self._workers.add(worker)
        return worker, ours

    def _dismiss(self, lane: tuple[BaseProcess, Connection]) -> None:
        worker, connection = lane
        connection.close()
        worker.terminate()  # it is idle, or dead
        worker.join()
        self._workers.discard(worker)


_DIED = (
    f"its worker died {ATTEMPTS} times, killed perhaps for want of memory; try fewer --workers or "
    "smaller settings"
)


def _work(connection: Connection, threads: int) -> None:
    """The life of a worker: calls come in, outcomes go out, until the pipe closes."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    start_worker(threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            call = connection.recv_bytes()
            try:
                outcome: tuple[bool, Any] = (True, pickle.loads(call)())
            except Exception as error:
                outcome = (False, error)
            _send(connection, outcome)


def _end_with_driver() -> None:
    """End in the middle of a call too, which may be an hour long, when the driver was killed."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _send(connection: Connection, outcome: tuple[bool, Any]) -> None:
    try:
        connection.send(outcome)
    except OSError:
        raise
    except Exception as error:  # it cannot be pickled
        told = RuntimeError(f"cannot send back {outcome[1]!r}: {error}")
        connection.send((False, told))


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Open a pool of processes that share the cores among them.

    Args:
        workers: How many processes.

    Yields:
        The pool. Leaving by an exception (Ctrl-C above all) ends its processes at once.
    """
    pool = Processes(workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False)
        raise
    pool.shutdown()


@contextlib.contextmanager
def cluster(address: str, workers: int | None = None) -> Iterator[Executor]:
    """Connect to a Dask cluster whose workers see the same files.

    Args:
        address: Where its scheduler listens, such as `tcp://host:8786`; or `local` for a cluster on
            this machine, which ends with the block and is reachable from this machine only.
        workers: How many processes a local cluster has; one for each core by default.

    Yields:
        The cluster, as an executor.

    Raises:
        UserError: If it is no address, Dask is not installed, or nobody answers.
    """
    if not _ADDRESS.fullmatch(address):  # with which Dask's client does not come to its end
        raise UserError(
            f"a Dask scheduler is 'local', or an address such as tcp://host:8786, got {address!r}"
        )
    try:
        from distributed import Client
    except ImportError:
        raise UserError(
            "--scheduler needs Dask, which is not installed; pip install 'whytrain[cluster]'"
        ) from None
    with contextlib.ExitStack() as stack:
        if address == "local":
            target: Any = stack.enter_context(_local_cluster(workers or cores()))
        else:
            target = address
        try:
            client = stack.enter_context(Client(target, timeout=10, set_as_default=False))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"no Dask scheduler answers at {address!r} ({error})") from error
        yield client.get_executor(pure=False, retries=ATTEMPTS)


@contextlib.contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    import sys

    from dask import config
    from distributed import LocalCluster

    environment = worker_environment(max(1, cores() // workers))
    with config.set({"distributed.nanny.environ": environment}):
        found: Any = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,  # it warns of every worker that is busy when all is over
        )
    with found:
        print(f"whytrain: dashboard of the cluster: {found.dashboard_link}", file=sys.stderr)
        yield found


@contextlib.contextmanager
def open_executor(workers: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Open the executor that the user asked for.

    Args:
        workers: How many processes; one, the default, is this process.
        scheduler: The address of a Dask scheduler, or `local`, which goes before `workers`.

    Yields:
        The executor.

    Raises:
        UserError: If there is no such executor.
    """
    if workers is not None and (type(workers) is not int or workers < 1):
        raise UserError(f"the number of workers must be an integer >= 1, got {workers!r}")
    if scheduler is not None and not isinstance(scheduler, str):
        raise UserError(f"a scheduler is an address, tcp://HOST:PORT, or local, got {scheduler!r}")
    if scheduler is not None:
        chosen = cluster(scheduler, workers)
    elif workers is not None and workers > 1:
        chosen = processes(workers)
    else:
        chosen = contextlib.nullcontext(Inline())
    with chosen as executor:
        yield executor
