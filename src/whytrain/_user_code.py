"""A user's own Python file: run it, and find what it is to give."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from whytrain.errors import UserError, nearest


def run_file(path: Path) -> ModuleType:
    """Import a file under a name that no other file has.

    Args:
        path: The file.

    Returns:
        The module. The user's own modules beside the file can be imported from it.

    Raises:
        UserError: If there is no such file, or it cannot be run; with the line at fault.
    """
    name = f"whytrain_user_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"there is no Python file {str(path)!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            spec.loader.exec_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        where = _line_in(path, error)
        raise UserError(f"{path}{where}: {type(error).__name__}: {words}") from error
    return module


def find_callable(reference: str, *others: type) -> tuple[Any, str, Path]:
    """Find what a user's file calls so.

    Args:
        reference: `FILE:NAME`.
        *others: What will do beside something that can be called.

    Returns:
        What was found, its name, and the file.

    Raises:
        UserError: If the file cannot be run, or has nothing of that name that can be called.
    """
    text, _, name = reference.rpartition(":")
    if not text or not name:
        raise UserError(f"give FILE:FUNCTION, got {reference!r}")
    path = Path(text)
    if not path.is_file():
        raise UserError(f"there is no Python file {text!r}; give FILE:FUNCTION")
    module = run_file(path)
    found = getattr(module, name, None)
    if not callable(found) and not isinstance(found, others):
        known = [key for key, value in vars(module).items() if callable(value)]
        hint = nearest(name, known) or f"; it has {', '.join(sorted(known)) or 'none'}"
        raise UserError(f"{path} has no function {name!r}{hint}")
    return found, name, path


def calling(function: Callable[..., Any], path: Path) -> Callable[..., Any]:
    """The user's function; an error in it becomes one line that says where it arose."""

    def called(*args: Any) -> Any:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return function(*args)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            words = " ".join(str(error).split())[:200]
            where = _line_in(path, error)
            raise UserError(f"{path}{where}: {type(error).__name__}: {words}") from error

    return called


def _line_in(path: Path, error: BaseException) -> str:
    """Say at which line of a file an error arose."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in (str(path), str(path.absolute())):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f", line {lines[-1]}" if lines else ""
