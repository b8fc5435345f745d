import contextlib
import importlib.util
import multiprocessing
import os
import time
from pathlib import Path

import pytest

import toy
from whytrain import studies
from whytrain._process import cores
from whytrain.errors import UserError
from whytrain.lab import open_executor, run_experiment
from whytrain.lab.executors import Inline, processes

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


def test_a_dead_worker_is_told():
    with pytest.raises(UserError, match="a worker died"), processes(1) as pool:
        pool.submit(os._exit, 1).result()


@pytest.mark.parametrize("workers", [0, -3])
def test_impossible_numbers_of_workers_are_refused(workers):
    with pytest.raises(UserError, match="workers must be an integer >= 1"), open_executor(workers):
        pass


@pytest.mark.skipif(importlib.util.find_spec("distributed") is not None, reason="Dask is there")
def test_a_cluster_without_dask_is_told_how_to_install_it():
    with pytest.raises(UserError, match="whytrain"), open_executor(scheduler="tcp://x:1"):
        pass
