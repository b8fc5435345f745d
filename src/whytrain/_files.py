"""Where a run directory lies: on a disk that processes share, or wherever fsspec reaches."""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from whytrain.errors import UserError

_TEMPORARY = ".tmp-"
_HOUR = 3600.0


class StoreError(UserError):
    """A place that does not take what is written: no fault of the numbers, so everything stops."""


@runtime_checkable
class Files(Protocol):
    """Whole files by name, such as `pieces/KEY.json`, under one root.

    `write` puts a file there whole or not at all, also for readers who look meanwhile and after a
    power cut; the last of several writers wins. There is nothing else to coordinate: no lock, no
    append, no rename that anybody could see.
    """

    @property
    def place(self) -> str:
        """The root, as the user would write it."""
        ...

    @property
    def shared(self) -> bool:
        """Whether another process that is handed these files sees the same ones."""
        ...

    def prepare(self, *folders: str) -> None:
        """Make the root and its folders, and remove what interrupted writes left behind."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Give the names of what is in a folder; none if there is no such folder."""
        ...

    def read(self, name: str) -> bytes:
        """Give the content of a file, or raise `FileNotFoundError`."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, or raise `StoreError`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; it need not be there."""
        ...


def open_files(place: str | Path) -> Files:
    """Find the files of a run directory.

    Args:
        place: A path, or a URL that fsspec understands, such as `s3://bucket/folder`.

    Returns:
        The files; nothing has been made yet.

    Raises:
        UserError: If nobody understands the URL.
    """
    text = str(place)
    if "://" not in text:
        return LocalFiles(Path(place))
    if text.startswith(("file://", "local://")):
        return LocalFiles(Path(text.partition("://")[2]))
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(text)
    except (ValueError, ImportError) as error:
        raise UserError(f"cannot open {text}: {error}") from error
    return RemoteFiles(text, system, root.rstrip("/"))


@dataclass(frozen=True)
class LocalFiles:
    """Files on a disk, or on a network disk that several machines mount.

    Attributes:
        path: The root.
    """

    path: Path

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def shared(self) -> bool:
        """True: every process sees a disk."""
        return True

    def prepare(self, *folders: str) -> None:
        """Make the directories, and remove temporary files older than an hour."""
        with writing_to(self.place):
            for folder in ("", *folders):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
                _sweep_up(self.path / folder)

    def names(self, folder: str = "") -> list[str]:
        """Give the names in a folder, without temporary files."""
        try:
            entries = os.listdir(self.path / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name for name in entries if not name.startswith(_TEMPORARY)]

    def read(self, name: str) -> bytes:
        """Give the content of a file."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write to a temporary name, force to disk, rename."""
        with writing_to(self.place):
            write_atomically(self.path / name, content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with writing_to(self.place):
            (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class RemoteFiles:
    """Files in a bucket, or in any other file system of fsspec that puts whole objects.

    Where a system can leave half a file behind after all, checksums find it.

    Attributes:
        url: The root, as the user wrote it.
        system: The file system of fsspec.
        root: The root within it.
    """

    url: str
    system: Any
    root: str

    @property
    def place(self) -> str:
        """The URL."""
        return self.url

    @property
    def shared(self) -> bool:
        """False for files in this process's memory, True for all others."""
        return not self.url.startswith("memory://")

    def prepare(self, *folders: str) -> None:
        """Make the folders where the system knows such things."""
        with writing_to(self.place):
            for folder in ("", *folders):
                self.system.makedirs(f"{self.root}/{folder}", exist_ok=True)

    def names(self, folder: str = "") -> list[str]:
        """Give the names in a folder."""
        self.system.invalidate_cache()  # others write here too
        try:
            entries = self.system.ls(f"{self.root}/{folder}", detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [entry.rstrip("/").rpartition("/")[2] for entry in entries]

    def read(self, name: str) -> bytes:
        """Give the content of an object."""
        return self.system.cat_file(f"{self.root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Put an object."""
        with writing_to(self.place):
            self.system.pipe_file(f"{self.root}/{name}", content)

    def remove(self, name: str) -> None:
        """Remove an object."""
        with writing_to(self.place), contextlib.suppress(FileNotFoundError):
            self.system.rm_file(f"{self.root}/{name}")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, not even after a power cut.

    Args:
        path: The file; if there is one already, it is replaced.
        content: What to write.
    """
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        _write(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _force_to_disk(path.parent)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files, none of them before all are known to fit where they go.

    Args:
        contents: What to write, by file; those that are there already are replaced.

    Raises:
        StoreError: A place cannot be written; then none has changed.
    """
    temporary = {path: path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}") for path in contents}
    try:
        for path, content in contents.items():
            with writing_to(path):
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "it is a directory")
                _write(temporary[path], content)
        for path in contents:
            with writing_to(path):
                temporary[path].replace(path)
                _force_to_disk(path.parent)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Tell the user in one line that a place cannot be written.

    Args:
        place: The place, for the message.

    Raises:
        StoreError: In place of an `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "make room and give the command again" if full else "give another --out"
        raise StoreError(f"cannot write to {place}: {reason}; {way_out}") from error


def check_place(directory: Path) -> None:
    """Refuse what cannot be written to, before work that would be lost; make nothing.

    Args:
        directory: It, or the nearest one above it that is there, must be a directory to write to.

    Raises:
        StoreError: It is not.
    """
    there = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    with writing_to(directory):
        if not there.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if not os.access(there, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _force_to_disk(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep_up(directory: Path) -> None:
    """Remove what interrupted writes left behind, but nothing that may still be written."""
    long_ago = time.time() - _HOUR
    for leftover in directory.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if leftover.stat().st_mtime < long_ago:
                leftover.unlink()
