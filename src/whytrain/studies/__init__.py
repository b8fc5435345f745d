"""The studies: one subpackage a paper, and any Python file that defines one."""

import functools
import hashlib
import importlib
import pkgutil
from pathlib import Path

from whytrain._user_code import run_file
from whytrain.errors import UserError, nearest
from whytrain.lab import Source, Study


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
        module = run_file(path)
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
