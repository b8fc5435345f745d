"""Progress where a notebook shows it."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

from whytrain.lab import Counts

OFTEN = 0.2  # seconds between two pictures of the bar


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """A bar below the cell, with what is being done and a clock; it goes when the work is over."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._began = self._said = 0.0

    def start(self, counts: Counts) -> None:
        """Show a bar for so many pieces."""
        self._began = time.monotonic()
        self._show(counts, "compiling")

    def show(self, counts: Counts, label: str) -> None:
        """Move the bar."""
        if time.monotonic() - self._said >= OFTEN:
            self._show(counts, label)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.update(_html(""))
            self._bar = None

    def _show(self, counts: Counts, label: str) -> None:
        self._said = time.monotonic()
        picture = _html(_bar(counts, label, self._said - self._began))
        if self._bar is None:
            from IPython.display import display  # pyright: ignore[reportMissingImports]

            self._bar = display(picture, display_id=True)
        else:
            self._bar.update(picture)


def _bar(counts: Counts, label: str, seconds: float) -> str:
    """The bar as HTML.

    Example:
        >>> _bar(Counts(total=8, found=2, computed=3), "walk", 4.2)
        '<progress value="5" max="8"></progress> walk: 5 of 8 pieces, 4 s'
    """
    done = counts.found + counts.computed + counts.failed
    failed = f", {counts.failed} failed" if counts.failed else ""
    words = f"{label}: {done} of {counts.total} pieces{failed}, {seconds:.0f} s"
    return f'<progress value="{done}" max="{counts.total}"></progress> {html.escape(words)}'


def _html(text: str) -> Any:
    from IPython.display import HTML  # pyright: ignore[reportMissingImports]

    return HTML(text)
