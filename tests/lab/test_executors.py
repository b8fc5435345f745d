import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

import quick
import toy
from whytrain import studies
from whytrain._process import cores
from whytrain.errors import UserError
from whytrain.lab import open_executor, run_experiment
from whytrain.lab.executors import Inline, Processes, WorkerDied, _Call, _Calls, processes

TOY = str(Path(__file__).parents[1] / "toy.py")


def test_inline_computes_now_and_keeps_errors_in_the_future():
    assert Inline().submit(int, "3").result() == 3
    assert isinstance(Inline().submit(int, "x").exception(), ValueError)


def test_processes_share_the_cores_and_send_their_results_back():
    with processes(2) as pool:
        threads = pool.submit(os.getenv, "WHYTRAIN_THREADS").result()
        there = run_experiment(studies.source(TOY), "walk", toy.Walk(), runs=250, executor=pool)
    here = run_experiment(studies.source(TOY), "walk", toy.Walk(), runs=250)
    assert threads == str(max(1, cores() // 2))
    assert there["results"] == here["results"]


def test_leaving_by_an_exception_ends_the_processes_at_once():
    start = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), processes(1) as pool:
        pool.submit(abs, 1).result()
        pool.submit(time.sleep, 60)
        raise KeyboardInterrupt
    assert time.monotonic() - start < 30
    deadline = time.monotonic() + 10
    while multiprocessing.active_children():
        assert time.monotonic() < deadline


def die_once(path):
    if path.exists():
        return "alive"
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_call_survives_the_death_of_its_worker(tmp_path):
    with processes(2) as pool:
        others = [pool.submit(abs, -number) for number in range(20)]
        assert pool.submit(die_once, tmp_path / "died").result() == "alive"
        assert [other.result() for other in others] == list(range(20))


def test_a_call_that_kills_every_worker_fails_and_no_other_does():
    with processes(1) as pool:
        deadly, harmless = pool.submit(os._exit, 1), pool.submit(abs, -1)
        with pytest.raises(WorkerDied, match="its worker died 5 times"):
            deadly.result()
        assert harmless.result() == 1


class Stubborn(Exception):
    def __init__(self, one, two):
        super().__init__("stubborn")


def fail():
    raise Stubborn(1, 2)


def test_calls_and_outcomes_that_cannot_travel_are_told():
    with processes(1) as pool:
        with pytest.raises(Exception, match=r"pickle|local object"):
            pool.submit(lambda: 1).result()
        with pytest.raises(RuntimeError, match="cannot send back"):
            pool.submit(threading.Lock).result()
        with pytest.raises(TypeError, match="missing 1 required"):
            pool.submit(fail).result()
        assert pool.submit(abs, -1).result() == 1


@dataclass(frozen=True)
class Job:
    kind: str


def test_a_worker_keeps_to_the_kinds_whose_programs_it_has():
    waiting, one, other = _Calls(), set(), set()
    for name in ("walk", "walk", "jump", "walk", "jump", "turn"):
        waiting.put(_Call(functools.partial(abs, Job(name)), Future()))

    def take(known):
        return waiting.take(known).kind

    assert [take(one), take(other)] == ["walk", "jump"]  # the first; then one that nobody has begun
    assert [take(one), take(other), take(one)] == ["walk", "jump", "walk"]
    assert take(other) == "turn"
    assert other == {"jump", "turn"}


def test_a_worker_helps_out_where_nothing_else_is_left():
    waiting = _Calls()
    for _ in range(2):
        waiting.put(_Call(functools.partial(abs, Job("walk")), Future()))
    waiting.put(_Call(functools.partial(abs, -1), Future()))  # of no kind
    one, other = set(), set()
    assert [waiting.take(known).kind for known in (one, other, other)] == ["walk", None, "walk"]
    waiting.close(cancel=False)
    assert waiting.take(one) is None


def test_nothing_is_taken_after_the_end():
    pool = Processes(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(abs, 1)


BUSY = "pool.submit(time.sleep, 300)"


@pytest.mark.parametrize("busy", quick.only(["pass", BUSY], [BUSY]))
def test_a_worker_ends_with_its_driver_even_while_it_works(busy):
    code = (
        "import os, time; from whytrain.lab.executors import Processes\n"
        "if __name__ == '__main__':\n"
        "    pool = Processes(1); worker = pool.submit(os.getpid).result()\n"
        f"    {busy}; time.sleep(1); print(worker, flush=True); time.sleep(60)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)


@pytest.mark.optional("Dask")
def test_a_local_cluster_computes_the_same(tmp_path, capsys):
    pytest.importorskip("distributed")
    with open_executor(2, "local") as executor:
        there = run_experiment(
            studies.source(TOY), "walk", toy.Walk(), runs=250, executor=executor, out=tmp_path
        )
    here = run_experiment(studies.source(TOY), "walk", toy.Walk(), runs=250)
    assert there["results"] == here["results"]
    assert "dashboard of the cluster: http://127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, -3])
def test_impossible_numbers_of_workers_are_refused(workers):
    with pytest.raises(UserError, match="workers must be an integer >= 1"), open_executor(workers):
        pass


def test_a_cluster_without_dask_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(UserError, match="pip install 'whytrain\\[cluster\\]'"),
        open_executor(scheduler="tcp://x:1"),
    ):
        pass


@pytest.mark.parametrize("address", ["", "foo", "ftp://x:3", "tcp://host"])
def test_what_is_no_address_of_a_scheduler_is_refused(address):
    with (
        pytest.raises(UserError, match="such as tcp://host:8786"),
        open_executor(scheduler=address),
    ):
        pass


@pytest.mark.optional("Dask")
def test_a_scheduler_that_does_not_answer_is_told():
    pytest.importorskip("distributed")
    with (
        pytest.raises(UserError, match="no Dask scheduler answers"),
        open_executor(scheduler="tcp://127.0.0.1:1"),
    ):
        pass
