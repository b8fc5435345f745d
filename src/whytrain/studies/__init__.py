"""The studies: one subpackage a paper, and any Python file that defines one."""

import functools
import hashlib
import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from whytrain._user_code import run_file
from whytrain.errors import UserError, nearest

if TYPE_CHECKING:
    from whytrain.lab import Source, Study


def names() -> list[str]:
    """Give the names of the built-in studies."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def source(reference: str) -> "Source":
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
    from whytrain.lab import Source

    if not isinstance(reference, str | Path):
        raise UserError(f"a study is named by its name or the path of its file, got {reference!r}")
    path, reference = Path(reference), str(reference)
    if path.suffix != ".py":
        return Source(load, _built_in(reference))
    edition = _edition(path)
    return Source(_Edition(edition), str(path.resolve()), edition)


def load(reference: str) -> "Study":
    """Load a study, once a process; a file once more when it has changed.

    Args:
        reference: The name of a built-in study, or the path of a `.py` file that defines `study`.

    Returns:
        The study.

    Raises:
        UserError: If there is no such study, or its file cannot be run or defines none.
    """
    path = Path(reference)
    if path.suffix == ".py":
        return _from_file(reference, _edition(path))
    return _in(importlib.import_module(f"{__name__}.{_built_in(reference)}"), reference)


@dataclass(frozen=True)
class _Edition:
    """Loads a file as it was when its study was asked for; in any process."""

    edition: str

    def __call__(self, reference: str) -> "Study":
        return _from_file(reference, self.edition)


@functools.cache
def _from_file(reference: str, edition: str) -> "Study":
    path = Path(reference)
    if _edition(path) != edition:
        raise UserError(f"{reference} has changed since it was asked for; give the command again")
    return _in(run_file(path), reference)


def _edition(path: Path) -> str:
    """The hash of a file's text."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the study {str(path)!r}: {error.strerror}") from error


def _in(module: ModuleType, reference: str) -> "Study":
    from whytrain.lab import Study

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
