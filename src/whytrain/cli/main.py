"""The way in: every ending of a command becomes a line and an exit status."""

import contextlib
import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence

from typer.exceptions import TyperException

from whytrain._process import sum_in_one_order, warn_in_one_line
from whytrain._programs import kept_programs
from whytrain.cli.commands import app
from whytrain.cli.status import Status
from whytrain.errors import UserError

_TRACEBACK = "--traceback"  # it may stand anywhere
_COMPILE = ("reproduce", "run", "sweep", "verify", "measure")  # commands that do


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after `whytrain`; those of this process by default.

    Returns:
        The exit status: 0 done and every verdict as the study expects, 1 a verdict differs, 2 the
        user's mistake, 130 interrupted, 141 where nobody reads the output any more.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # the process is ours
        sum_in_one_order()
    try:
        status = _run(words, ours=arguments is None)
        sys.stdout.flush()  # here, where a reader that has gone is no traceback
    except BrokenPipeError:
        return _unread()
    except SystemExit as end:  # what Rich and Typer make of it
        if isinstance(end.__context__, BrokenPipeError):
            return _unread()
        raise
    if arguments is None and status == Status.INTERRUPTED:
        # Threads of XLA may still compute, and crash where the interpreter takes itself apart.
        sys.stderr.flush()
        os._exit(status)
    return status


def _run(words: list[str], *, ours: bool) -> int:
    traced, words = _TRACEBACK in words, [word for word in words if word != _TRACEBACK]
    compiles = ours and words[:1] and words[0] in _COMPILE
    with _messages_in_one_line(), kept_programs() if compiles else contextlib.nullcontext():
        try:
            status = app(words or ["--help"], prog_name="whytrain", standalone_mode=False)
        except (UserError, TyperException) as error:
            if traced:
                traceback.print_exception(error)
            text = error.format_message() if isinstance(error, TyperException) else str(error)
            _say(f"error: {' '.join(text.split())}")
            return Status.MISTAKE
        if status == Status.INTERRUPTED:  # what Typer makes of Ctrl-C
            _say(_how_to_resume(words))
    return status or Status.DONE


def _unread() -> Status:
    """Drop what is left to print, or Python complains of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    return Status.UNREAD


def _say(line: str) -> None:
    print(f"whytrain: {line}", file=sys.stderr, flush=True)


def _how_to_resume(words: Sequence[str]) -> str:
    command = shlex.join(["whytrain", *words])
    if words[0] not in ("reproduce", "run", "sweep"):  # which alone have pieces to keep
        return f"interrupted; nothing is kept, start again with: {command}"
    if words[0] == "reproduce" or any(word.split("=")[0] == "--out" for word in words):
        return f"interrupted; what is finished is kept, go on with: {command}"
    return f"interrupted; nothing is kept without --out DIR, start again with: {command}"


class _Once(logging.Filter):
    """Lets a message through the first time: a damaged piece is met more than once on the way."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self._said
        self._said.add(message)
        return new


@contextlib.contextmanager
def _messages_in_one_line() -> Iterator[None]:
    """Send warnings and log messages to standard error, a line each, while a command runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Once())
    handler.setFormatter(logging.Formatter("whytrain: %(message)s"))
    logger, shown = logging.getLogger("whytrain"), warnings.showwarning
    logger.addHandler(handler)
    warn_in_one_line()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        warnings.showwarning = shown
