"""How long a new process takes to import the package, and to print its help."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import whytrain": ["-c", "import whytrain"],
    "whytrain --help": ["-m", "whytrain", "--help"],
}


def measure(repeats: int) -> dict:
    """Time whole processes, in turn, several times over.

    Returns:
        Median seconds of each command.
    """
    turns = [{name: _timed(words) for name, words in COMMANDS.items()} for _ in range(repeats + 1)]
    kept = turns[1:]  # the first one reads the disk
    medians = {name: statistics.median(turn[name] for turn in kept) for name in COMMANDS}
    return {"repeats": repeats, "seconds": medians}


def _timed(words: list[str]) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before
