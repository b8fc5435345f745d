"""Processor seconds of whole commands, beside a plain NumPy script of the same cell; and of a run.

The commands are those that one types first. The cell is that of `liu2019/success-rate` as it comes:
5000 runs of a ResNet with warm-up, k = 25, p = 8. The script draws whole starts and moves the three
numbers of every run until each filter has decided, which is what one writes down without a proof of
where a run ends; its imports count, as ours do.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from whytrain import lab, studies

RUN = ["-m", "whytrain", "run", "liu2019/success-rate", "--runs", "5000"]
SIZES = (10, 100, 1000, 10_000, 100_000)
RUNS = 100_000
STEPS = 256  # at most, so that runs of every size take nearly as many

SCRIPT = """
import math
import numpy as np

k, p, runs = 25, 8, 5000
size, warm, norm = 1 / k**2, math.ceil(7 * k**2), float(k)
rng = np.random.default_rng(0)
ramp = np.arange(k) - (k - 1) / 2
star = norm * (np.sqrt(1 / k) * np.full(k, k**-0.5)
               + np.sqrt(1 - 1 / k) * ramp / np.linalg.norm(ramp))
S, A = star.sum(), star @ star
around = rng.standard_normal((runs, k + 2))
a = norm * math.sqrt(1 / k) * around[:, :k] / np.linalg.norm(around, axis=1, keepdims=True)
angle, s, u = np.full(runs, math.pi / 3), a.sum(axis=1), a @ star
M, V, step = 1 / (2 * math.pi), (math.pi - 1) / (2 * math.pi), 0
while step <= warm or not ((angle < 0.1) | (angle > math.pi - 0.1)).all():
    cos, sin = np.cos(angle), np.sin(angle)
    C = ((math.pi - angle) * cos + sin - 1) * M
    turn = (size**2 if step < warm else size) * u * (math.pi - angle) * sin * M
    s, u = (s - size * ((V + M * k) * s - (C + M * k) * S),
            u - size * (V * u - C * A - M * S * (S - s)))
    angle = np.abs(angle - np.arctan(turn))
    angle = np.minimum(angle, 2 * math.pi - angle)
    step += 1
print((angle < 0.1).mean(), step)
"""


def measure(repeats: int) -> dict:
    """Median processor seconds of the commands, and microseconds of a run at every size."""
    commands = {
        "import whytrain": ["-c", "import whytrain"],
        "whytrain list": ["-m", "whytrain", "list"],
        "plain NumPy script": ["-c", SCRIPT],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    calls: dict[str, list[float]] = {"first call": [], "second call": []}
    for _ in range(min(repeats, 3)):
        for name, words in commands.items():
            found[name].append(_processor_seconds(words))
        with tempfile.TemporaryDirectory() as cache:
            for times in calls.values():
                times.append(_processor_seconds(RUN, WHYTRAIN_CACHE=cache))
    medians = {name: statistics.median(times) for name, times in (found | calls).items()}
    return {"seconds": medians, "microseconds": {k: _of_a_run(k) for k in SIZES}}


def _processor_seconds(words: list[str], **environment: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], check=True, env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _of_a_run(k: int) -> float:
    """Microseconds of processor time of a run, of a network of k patches of length k."""
    source = studies.source("liu2019")
    settings = source.study().experiment("success-rate").settings(
        k=k, p=k, architecture="cnn", steps=STEPS
    )  # fmt: skip

    def run(runs: int) -> None:
        lab.run_experiment(source, "success-rate", settings, runs=runs)

    run(8192)  # what is compiled once does not count
    before = time.process_time()
    run(RUNS)
    return 1e6 * (time.process_time() - before) / RUNS
