"""What Numba compiles, kept between processes: of one kernel, under all that went into it.

Numba looks at the file of the function that it compiles; the numbers and functions that a kernel is
closed over it does not know again. So the name here is a hash of the sources of every package that
a kernel can come from, of versions, and of the kernel's identity; Numba adds the processor's.
"""

import functools
import hashlib
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

from numba.core import caching

import whytrain
from whytrain import _programs

_SOURCES = ("gaussian", "landscapes", "dynamics")
_VERSIONS = ("numba", "llvmlite", "numpy", "scipy")


def keep(function: Any, identity: str) -> Any:
    """Let a compiled function keep its programs, if it has an identity and there is a place.

    Args:
        function: What `numba.njit` gave.
        identity: Tells it from all others that are made of the same sources; may be empty.

    Returns:
        The function.
    """
    if identity and _programs.folder("numba") is not None:
        function.py_func.__qualname__ = _name(identity)
        function._cache = _Kept(function.py_func)
    return function


def _name(identity: str) -> str:
    return hashlib.sha256(f"{_origin()} {identity}".encode()).hexdigest()[:32]


@functools.cache
def _origin() -> str:
    """A hash of the sources, and the versions of what makes programs of them."""
    root, found = Path(whytrain.__file__).parent, hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((root / package).glob("*.py")):
            found.update(path.read_bytes())
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _VERSIONS]
    return " ".join([found.hexdigest(), sys.version, *versions])


class _Locator(caching._CacheLocator):
    """Our folder, and a name that says all."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "_Locator":
        del py_func, py_file
        return cls()

    def get_cache_path(self) -> Any:
        place = _programs.folder("numba")
        return str(place) if place else os.devnull

    def get_source_stamp(self) -> Any:
        return ""

    def get_disambiguator(self) -> Any:
        return ""


class _Programs(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _Kept(caching.FunctionCache):
    """Numba's cache, but that a fault of the disk is none of the computation."""

    _impl_class = _Programs

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Give a program that was kept, or None; what is damaged makes room for a new one."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever becomes of bytes that are damaged
            for path in Path(self.cache_path).glob(f"*{self._py_func.__qualname__}*"):
                path.unlink(missing_ok=True)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a program, if there is room."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _programs.cannot_keep(Path(self.cache_path), error.strerror or str(error))

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Not Numba's own: it hashes what the function is closed over, which differs every time.
        return sig, codegen.magic_tuple()
