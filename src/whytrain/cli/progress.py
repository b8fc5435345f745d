"""Progress on a terminal; silence where nobody watches."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class LiveProgress:
    """A bar on standard error that vanishes when the work is over."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)

    def start(self, total: int) -> None:
        """Show a bar for so many pieces."""
        self._bar.update(self._task, total=total, description="compiling")
        self._bar.start()

    def advance(self, label: str) -> None:
        """Move the bar by one piece."""
        self._bar.update(self._task, advance=1, description=label)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()
