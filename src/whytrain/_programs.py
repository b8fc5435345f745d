"""Compiled programs, kept between processes in the user's cache directory.

`WHYTRAIN_CACHE` says where; set to nothing, none are kept. Nothing depends on it but time. What is
kept is code that later processes run: the directory belongs to the user alone, or is not used. It
has a folder for each kind of processor and each way of compiling, so that a program is met only
where it was made for. What was not used for longest goes when there is too much, and what is
damaged, or cannot be written, is compiled anew.
"""

import contextlib
import functools
import hashlib
import logging
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

SETTING = "WHYTRAIN_CACHE"
MOST = 500_000_000  # bytes that are kept
LEAST = 0.8  # the share of them that is left when it was too much

_PROBE = 1 << 18  # bytes for which there has to be room
_READING = "Error reading persistent compilation cache entry for '"  # how JAX tells of it
_WRITING = "Error writing persistent compilation cache entry for '"
_COMPILED_AS = ("NPROC", "PJRT_NPROC", "XLA_FLAGS")  # on which a program of XLA depends

_log = logging.getLogger("whytrain")


def folder(kind: str) -> Path | None:
    """Where programs of a kind are kept for this machine; None if none are kept.

    Args:
        kind: Who compiled them.
    """
    root = _root()
    if root is None:
        return None
    place = root / _machine() / kind
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _ours(root):
            raise PermissionError(0, "others can write to it, or it is not yours")
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(bytes(_PROBE))
    except OSError as error:
        cannot_keep(root, error.strerror or str(error))
        return None
    return place


@contextlib.contextmanager
def kept_programs() -> Iterator[None]:
    """Keep what JAX compiles in this process and in those that it starts.

    To be entered before JAX is imported, in a process that is ours; a user's choice stands. What is
    too much is removed at the end.
    """
    _tell_jax()
    try:
        yield
    finally:
        trim()


def _tell_jax() -> None:
    place = folder("jax")
    if place is None:
        os.environ[SETTING] = ""  # and nobody that is started here tries again
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(place))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "avx512" in _features():
        # XLA takes a preference of the compiler's (prefer-no-gather) for a feature that the machine
        # lacks, and logs an error of many lines for each program; the program is right.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def met(warning: str) -> bool:
    """Deal with a warning of JAX's about the programs that it keeps.

    A damaged one is removed, and compiled anew; that one cannot be written is told once.

    Args:
        warning: Its words.

    Returns:
        Whether it was one.
    """
    place = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", ""))
    if warning.startswith(_READING):
        name = warning.removeprefix(_READING).partition("'")[0]
        _remove(*place.glob(f"{name}-*"))
    elif warning.startswith(_WRITING):
        cannot_keep(place, warning.partition("': ")[2])
    else:
        return False
    return True


@functools.cache  # once is enough
def cannot_keep(place: Path, reason: str) -> None:
    """Tell the user that programs are compiled anew in every process.

    Args:
        place: Where they were to be kept.
        reason: Why they are not.
    """
    _log.warning(
        "compiled programs are not kept in %s (%s); name another directory in %s, or none",
        place, reason, SETTING,
    )  # fmt: skip


def trim() -> None:
    """Remove what was not used for longest, if there is too much."""
    root = _root()
    if root is None:
        return
    found = []
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):  # another process trims too
            about = path.stat()
            if stat.S_ISREG(about.st_mode):
                found.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    total = sum(size for _, size, _ in found)
    left = total if total <= MOST else LEAST * MOST
    for _, size, path in sorted(found):
        if total <= left:
            break
        _remove(path)
        total -= size


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _root() -> Path | None:
    chosen = os.environ.get(SETTING)
    if chosen is not None:
        return Path(chosen) if chosen else None
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whytrain"
    except RuntimeError:  # nobody has a home here
        return None


def _ours(root: Path) -> bool:
    """Whether nobody else can put a program there."""
    if not hasattr(os, "getuid"):
        return True
    about = root.stat()
    return about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _machine() -> str:
    """A name for what compiled programs depend on, beside what their compilers look at."""
    settings = [os.environ.get(name, "") for name in _COMPILED_AS]
    whole = "\n".join([platform.machine(), _features(), *settings])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _features() -> str:
    """What this machine's processor can do, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
