"""Kill, cut and fill while a sweep runs, and see whether the result is the undisturbed one.

Run by `make faults`. Every round sweeps 200 settings into a new directory with two processes,
while workers and drivers are killed at random moments, pieces are truncated, and now and then two
drivers work at once. One more round fills a disk, and one the disk under the cache of compiled
programs.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOY = Path(__file__).parent / "toy.py"
SWEEP = f"""
experiment = "{TOY}/walk"
runs = 150
[settings]
pause = 0.01
[grid]
steps = {{start = 1, stop = 20, num = 20}}
drift = {{start = -0.9, stop = 0.9, num = 10}}
"""
COMMAND = [sys.executable, "-m", "whytrain"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TOY.parents[1] / "src")}


def main() -> int:
    """Run rounds until there were kills enough; the exit status says whether all hashes agree."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kills", type=int, default=50, help="at least so many (%(default)s)")
    words.add_argument("--seed", type=int, default=0)
    options = words.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "sweep.toml").write_text(SWEEP)
        expected = undisturbed(work)
        totals = {"rounds": 0, "worker kills": 0, "driver kills": 0, "truncated": 0, "re-runs": 0}
        agree = 0
        print(f"{'round':>5}  worker kills  driver kills  truncated  re-runs  drivers  same hash")
        while totals["worker kills"] + totals["driver kills"] < options.kills:
            drivers = 2 if totals["rounds"] % 3 == 2 else 1
            found = disturbed(work, f"round-{totals['rounds']}", drivers, chance)
            same = digest(work, found.pop("out")) == expected
            agree += same
            totals["rounds"] += 1
            for name, count in found.items():
                totals[name] += count
            print(
                f"{totals['rounds']:>5}{found['worker kills']:>14}{found['driver kills']:>14}"
                f"{found['truncated']:>11}{found['re-runs']:>9}{drivers:>9}"
                f"{'yes' if same else 'NO':>11}",
                flush=True,
            )
        full = filled_disk(work, expected)
        cache = filled_cache(work)
    print(", ".join(f"{count} {name}" for name, count in totals.items()))
    print(f"hash agreement: {agree} of {totals['rounds']} rounds")
    print(f"full disk: {full}")
    print(f"full disk under the cache: {cache}")
    return 0 if agree == totals["rounds"] and "NO" not in (full, cache) else 1


def undisturbed(work: Path) -> str:
    """The hash of the sweep in one process that nobody disturbs."""
    subprocess.run(sweep(work, "undisturbed"), env=ENVIRONMENT, check=True, capture_output=True)
    return digest(work, "undisturbed")


def disturbed(work: Path, out: str, drivers: int, chance: random.Random) -> dict:
    """One round: kill at five to nine random moments, then let it finish."""
    done = {"worker kills": 0, "driver kills": 0, "truncated": 0, "re-runs": 0}
    running = [start(work, out) for _ in range(drivers)]
    plan = ["worker"] * chance.randint(4, 7) + ["driver"] * chance.randint(1, 2)
    chance.shuffle(plan)
    for victim in plan:
        wait_for_progress(work / out, chance.randint(1, 30), running)
        time.sleep(chance.uniform(0, 0.5))
        number = chance.randrange(drivers)
        driver = running[number]
        if victim == "worker":
            done["worker kills"] += kill_a_worker(driver, chance)
        elif driver.poll() is None:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            done["driver kills"] += 1
            done["truncated"] += truncate(work / out, chance)
        if driver.poll() is not None:
            running[number] = start(work, out)
            done["re-runs"] += 1
    for driver in running:
        driver.wait()
    # What was truncated behind the back of a driver is found by the next one.
    done["truncated"] += truncate(work / out, chance)
    subprocess.run(sweep(work, out), env=ENVIRONMENT, check=True, capture_output=True)
    done["re-runs"] += 1
    return {"out": out, **done}


def filled_disk(work: Path, expected: str) -> str:
    """Sweep onto a disk that is too small, make room, go on."""
    disk = work / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True
    )
    if made.returncode:
        return "not tried, for only root may make a small disk"
    try:
        first = subprocess.run(sweep(work, "disk/out"), env=ENVIRONMENT, capture_output=True)
        assert first.returncode == 2, first.stderr.decode()
        assert b"No space left on device" in first.stderr, first.stderr.decode()
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        subprocess.run(sweep(work, "disk/out"), env=ENVIRONMENT, check=True, capture_output=True)
        return "same hash after making room" if digest(work, "disk/out") == expected else "NO"
    finally:
        subprocess.run(["umount", disk], check=True)


def filled_cache(work: Path) -> str:
    """Run while the disk under the cache fills up, then on the full one: the same, and a line."""
    disk = work / "cache"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True
    )
    if made.returncode:
        return "not tried, for only root may make a small disk"
    try:
        plain, nothing = run_with_cache("")
        filling, said = run_with_cache(str(disk))
        full, again = run_with_cache(str(disk))
        lines = [line for each in (said, again) for line in each]
        told = all("compiled programs are not kept" in line for line in lines)
        same = plain == filling == full and not nothing
        return "same results" if same and told and len(lines) == 2 else "NO"
    finally:
        subprocess.run(["umount", disk], check=True)


def run_with_cache(cache: str) -> tuple[dict, list[str]]:
    """The results of a run, and what it said beside how far it was."""
    done = subprocess.run(
        [*COMMAND, "run", "liu2019/success-rate", "--runs", "200", "--json"],
        env={**ENVIRONMENT, "WHYTRAIN_CACHE": cache}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "of 1 done" not in line]
    return json.loads(done.stdout)["results"], said


def sweep(work: Path, out: str, *options: str) -> list[str]:
    """The command of a sweep."""
    return [*COMMAND, "sweep", str(work / "sweep.toml"), "--out", str(work / out), *options]


def start(work: Path, out: str) -> subprocess.Popen:
    """A driver with two workers."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(sweep(work, out, "--workers", "2"), env=ENVIRONMENT, **quiet)


def pieces(out: Path) -> list[Path]:
    """The pieces there are."""
    return sorted((out / "pieces").glob("*.json"))


def wait_for_progress(out: Path, count: int, running: list[subprocess.Popen]) -> None:
    """Wait until so many more pieces are there, or nobody works any more."""
    wanted = min(len(pieces(out)) + count, 199)
    deadline = time.monotonic() + 60
    while len(pieces(out)) < wanted and time.monotonic() < deadline:
        if all(driver.poll() is not None for driver in running):
            return
        time.sleep(0.02)


def kill_a_worker(driver: subprocess.Popen, chance: random.Random) -> int:
    """Kill a process that a driver started, if there is one."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
        threads = Path(f"/proc/{driver.pid}/task").iterdir()
        for thread in threads:
            children += (thread / "children").read_text().split()
        workers = sorted({child for child in children if is_worker(child)})
        if workers:
            os.kill(int(chance.choice(workers)), signal.SIGKILL)
            return 1
    return 0


def is_worker(pid: str) -> bool:
    """Whether a process computes, as opposed to keeping house for `multiprocessing`."""
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def truncate(out: Path, chance: random.Random) -> int:
    """Cut a piece short, as a failing disk would."""
    found = pieces(out)
    if not found:
        return 0
    path = chance.choice(found)
    path.write_bytes(path.read_bytes()[: chance.randrange(200)])
    return 1


def digest(work: Path, out: str) -> str:
    """The hash of all results, from the command line; every setting must be there."""
    told = subprocess.run(
        [*COMMAND, "status", str(work / out), "--json"],
        env=ENVIRONMENT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(told.stdout)
    assert (found["done"], found["cells"]) == (200, 200), found
    return found["digest"]


if __name__ == "__main__":
    sys.exit(main())
