"""The studies: one subpackage a paper, and any Python file that defines one."""

import functools
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from whytrain.errors import UserError, nearest
from whytrain.lab.study import Study
from whytrain.lab.tasks import Source


def names() -> list[str]:
    """Give the names of the built-in studies."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def source(reference: str) -> Source:
    """Find a study.

    Args:
        reference: The name of a built-in study, or the path of a `.py` file that defines `study`.

    Returns:
        Its source; the edition of a file is the hash of its text, so that a changed file never
        meets numbers which an older one computed. (Of modules that it imports it knows nothing:
        for those, an experiment's `version` is to be raised.)

    Raises:
        UserError: If there is no such study.
    """
    path = Path(reference)
    if path.suffix != ".py":
        return Source(load, _built_in(reference))
    try:
        return Source(load, str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        raise UserError(f"cannot read the study {reference!r}: {error.strerror}") from error


@functools.cache
def load(reference: str) -> Study:
    """Load a study, once a process.

    Args:
        reference: The name of a built-in study, or the path of a `.py` file that defines `study`.

    Returns:
        The study.

    Raises:
        UserError: If there is no such study, or its file cannot be run or defines none.
    """
    path = Path(reference)
    if path.suffix == ".py":
        module = _run_file(path)
    else:
        module = importlib.import_module(f"{__name__}.{_built_in(reference)}")
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise UserError(f"{reference} defines no study; it must say: study = whytrain.Study(...)")
    return study


def _built_in(name: str) -> str:
    known = names()
    if name not in known:
        hint = (
            nearest(name, known) or f"; there is {', '.join(known)}, or give the path of a .py file"
        )
        raise UserError(f"unknown study {name!r}{hint}")
    return name


def _run_file(path: Path) -> ModuleType:
    """Import a user's file under a name that no other file has."""
    name = f"whytrain_study_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"there is no study file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for the user's own modules beside it
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        where = _line_in(path, error)
        raise UserError(f"{path}{where}: {type(error).__name__}: {error}") from error
    return module


def _line_in(path: Path, error: BaseException) -> str:
    """Say at which line of a file an error arose."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f", line {lines[-1]}" if lines else ""
