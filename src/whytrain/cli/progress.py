"""Progress on a terminal; elsewhere a plain line now and then."""

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

if TYPE_CHECKING:
    from whytrain.lab import Counts  # to import it takes longer than to show a first sign

QUIET = 30.0  # seconds between two plain lines


class LiveProgress:
    """A bar and a clock on standard error, from the beginning of a block to its end.

    Where standard error is no terminal, there is a plain line every 30 seconds instead. What a
    study prints meanwhile goes there, too: standard output is for results.

    Args:
        where: Who computes, in words.
    """

    def __init__(self, where: str = "") -> None:
        self._where = f" on {where}" if where else ""
        console = Console(stderr=True)
        self._watched = console.is_terminal
        words = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bar = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.description}", table_column=words),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
            disable=not self._watched,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._began = self._said = time.monotonic()
        self._ran: tuple[float, int] | None = None

    def __enter__(self) -> "LiveProgress":
        self._printed = contextlib.redirect_stdout(sys.stderr)
        self._printed.__enter__()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._printed.__exit__(None, None, None)

    def say(self, words: str) -> None:
        """Show what is being done that nobody can count."""
        self._bar.update(self._task, description=words)
        self._bar.start()

    def start(self, counts: "Counts") -> None:
        """Show a bar for so many pieces."""
        self._began = self._said = time.monotonic()
        self._ran = None
        todo = counts.total - counts.found
        self._bar.update(self._task, total=todo, description=f"compiling{self._where}")
        self._bar.start()

    def show(self, counts: "Counts", label: str) -> None:
        """Move the bar, or say a line if the last one is long ago."""
        now = time.monotonic()
        done = counts.computed + counts.failed
        if self._ran is None and done >= max(1, counts.running):
            self._ran = now, done  # whoever computes has compiled: from here on pieces tell
        words = _in_words(counts, now, self._began, self._ran) + self._where
        if done or not counts.running:
            self._bar.update(self._task, completed=done, description=f"{label} {words}".strip())
        if not self._watched and now - self._said >= QUIET:
            self._said = now
            print(f"whytrain: {words}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _in_words(counts: "Counts", now: float, began: float, ran: tuple[float, int] | None) -> str:
    """Say how far the work is, and how long it will take, or that nothing tells this.

    Only pieces that ran after the first ones tell it: those compiled, and those that were there
    took no time.

    Args:
        counts: How far the work is.
        now: The time.
        began: When it began.
        ran: When everybody who computes had done a piece, and how many were done then.
    """
    done = counts.computed + counts.failed
    todo = counts.total - counts.found - done
    parts = [f"{counts.found + done} of {counts.total} done"]
    parts += [f"{counts.running} running"] if counts.running else []
    parts += [f"{counts.failed} failed"] if counts.failed else []
    if not counts.alike:
        parts += [f"{_time(now - began)} so far"]
    elif todo and ran is not None and done > ran[1] and now > ran[0]:
        rate = (done - ran[1]) / (now - ran[0])
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
