"""Progress on a terminal; elsewhere a plain line now and then."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from whytrain.lab import Counts

QUIET = 30.0  # seconds between two plain lines


class LiveProgress:
    """A bar on standard error that vanishes when the work is over.

    Where standard error is no terminal, there is a plain line every 30 seconds instead.

    Args:
        where: Who computes, in words.
    """

    def __init__(self, where: str = "") -> None:
        self._where = f" on {where}" if where else ""
        console = Console(stderr=True)
        self._watched = console.is_terminal
        self._bar = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not self._watched,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._began = self._said = time.monotonic()

    def start(self, counts: Counts) -> None:
        """Show a bar for so many pieces."""
        self._began = self._said = time.monotonic()
        todo = counts.total - counts.found
        self._bar.update(self._task, total=todo, description=f"compiling{self._where}")
        self._bar.start()

    def show(self, counts: Counts, label: str) -> None:
        """Move the bar, or say a line if the last one is long ago."""
        now = time.monotonic()
        words = _in_words(counts, now - self._began) + self._where
        done = counts.computed + counts.failed
        self._bar.update(self._task, completed=done, description=f"{label} {words}".strip())
        if not self._watched and now - self._said >= QUIET:
            self._said = now
            print(f"whytrain: {words}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _in_words(counts: Counts, seconds: float) -> str:
    """Say how far the work is, and how long it will take or, where nothing tells that, took."""
    done = counts.computed + counts.failed
    todo = counts.total - counts.found - done
    parts = [f"{counts.found + done} of {counts.total} done"]
    parts += [f"{counts.running} running"] if counts.running else []
    parts += [f"{counts.failed} failed"] if counts.failed else []
    if not counts.alike:
        parts += [f"{_time(seconds)} so far"]
    elif done and seconds > 0:
        rate = done / seconds
        parts += [f"{rate:.3g}/s", f"{_time(todo / rate)} left"]
    return ", ".join(parts)


def _time(seconds: float) -> str:
    """A length of time for people.

    Example:
        >>> _time(5), _time(200), _time(9000)
        ('5 s', '3 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
