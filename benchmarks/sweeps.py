"""Sweeps: what scheduling costs, and what a second core brings."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

import whytrain as wt
from whytrain import lab, studies
from whytrain.lab.executors import cluster, processes

TINY, LONG, SECONDS = 100, 16, 1.0  # settings an axis, long pieces, and how long one is
TABLE_RUNS = 50_000


@dataclass(frozen=True, kw_only=True)
class Nothing(wt.Settings):
    """Two numbers to tell settings apart, and time to waste."""

    a: int = wt.setting(0, "first number")
    b: int = wt.setting(0, "second number")
    pause: float = wt.setting(0.0, "time that a piece takes", unit="s", low=0)


def compute(settings: Nothing, runs: lab.Runs) -> xr.Dataset:
    """One number a run."""
    time.sleep(settings.pause)
    return xr.Dataset({"x": ("run", np.full(len(runs), float(settings.a * settings.b)))})


study = wt.Study(
    name="nothing", title="Nothing", question="What does scheduling cost?",
    paper=lab.Paper("nobody", "Nothing", "nowhere", 0),
    experiments=(
        wt.Experiment(
            "nothing", "wastes time", Nothing, compute,
            lambda dataset, settings: {"mean": float(dataset.x.values.mean())}, runs=1,
        ),
    ),
)  # fmt: skip


def measure(repeats: int) -> dict:
    """Time sweeps of settings that compute nothing, and the success table on one core and two.

    Args:
        repeats: Not used: these are long enough as they are.
    """
    del repeats
    with tempfile.TemporaryDirectory() as folder:
        return {
            **tiny(Path(folder) / "tiny"),
            "executors": executors(Path(folder)),
            "table": table(),
        }


def tiny(out: Path) -> dict:
    """Ten thousand settings in this process; then open the directory."""
    axis = {"start": 0, "stop": TINY - 1, "num": TINY}
    plan = _plan({"a": axis, "b": axis})
    begin = time.perf_counter()
    lab.run_sweep(plan, out)
    swept = time.perf_counter()
    float(lab.open(out)["mean"].sum())
    opened = time.perf_counter()
    lab.Sweep.open(out).status()
    told = time.perf_counter()
    return {
        "settings": TINY**2, "settings_per_second": TINY**2 / (swept - begin),
        "open_seconds": opened - swept, "status_seconds": told - opened,
    }  # fmt: skip


def executors(folder: Path) -> dict:
    """Long pieces one after the other: here, in a process, and on a worker of a cluster."""
    plan = _plan({"a": {"start": 0, "stop": LONG - 1, "num": LONG}}, pause=SECONDS)

    def seconds(name: str, executor: Executor | None) -> float:
        lab.run_sweep(replace(plan, seed=1, runs=2), folder / f"{name}-warm", executor=executor)
        begin = time.perf_counter()
        lab.run_sweep(plan, folder / name, executor=executor)
        return time.perf_counter() - begin

    found = {"inline": seconds("inline", None)}
    with processes(1) as executor:
        found["process"] = seconds("process", executor)
    with cluster("local", 1) as executor:
        found["cluster"] = seconds("cluster", executor)
    digests = {lab.Sweep.open(folder / name).status()["digest"] for name in found}
    overhead = {name: time / found["inline"] - 1 for name, time in found.items()}
    return {"pieces": LONG, "seconds": found, "overhead": overhead, "hashes": len(digests)}


def table() -> dict:
    """The success table on one core and on two, compiled before."""
    cores = sorted(os.sched_getaffinity(0))
    seconds = {count: _table_seconds(cores[:count]) for count in (1, 2)}
    return {"runs": TABLE_RUNS, "seconds": seconds, "ratio": seconds[1] / seconds[2]}


def _table_seconds(cores: list[int]) -> float:
    """Median of three tables in a process that has these cores only."""
    code = (
        f"import os; os.sched_setaffinity(0, {cores})\n"
        "import json\n"
        "from benchmarks.sweeps import whole_tables\n"
        "if __name__ == '__main__': print(json.dumps(whole_tables()))"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "table.py"
        script.write_text(code)
        done = subprocess.run(
            [sys.executable, script], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
    return statistics.median(json.loads(done.stdout))


def whole_tables() -> list[float]:
    """Seconds of each of three tables, a process on every core that this one may use."""
    grid = {
        "experiment": "liu2019/success-rate", "runs": TABLE_RUNS,
        "grid": {"k": [16, 25, 36, 49, 64, 81, 100]},
        "zip": [{"architecture": ["resnet", "resnet", "cnn"], "warmup": [True, False, False]}],
    }  # fmt: skip
    times = []
    with processes(len(os.sched_getaffinity(0))) as executor:
        for seed in (-3, -2, -1, 0, 1, 2):  # first, until all workers have compiled all programs
            plan = lab.make_plan(grid | {"seed": seed + 3}, studies.source)
            runs = 1000 if seed < 0 else TABLE_RUNS
            begin = time.perf_counter()
            lab.run_sweep(replace(plan, runs=runs), f"memory://table-{seed}", executor=executor)
            times.append(time.perf_counter() - begin)
    return times[3:]


def _plan(grid: dict, **settings: float) -> lab.Plan:
    content = {"experiment": f"{__file__}/nothing", "grid": grid, "settings": settings}
    return lab.make_plan(content, studies.source)
