"""The store: a run directory of immutable pieces, each named by a hash of what it is.

    DIR/whytrain.json            says that the directory is ours, and in which format
    DIR/pieces/KEY.zarr.zip      a dataset, as Zarr in a zip file (`zarr.storage.ZipStore` reads it)
    DIR/pieces/KEY.json          what it is, and the checksum of the zip file; written last

A file is written under a temporary name, forced to disk, and renamed. A piece is thus there or not
there: finding it is resuming, and two processes that write the same piece do no harm, since they
write the same bytes.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import time
import uuid
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import xarray as xr
from zarr.storage import MemoryStore as ZarrMemory
from zarr.storage import ZipStore

from whytrain.errors import UserError

FORMAT = 1

_MARKER = "whytrain.json"
_TEMPORARY = ".tmp-"
_HOUR = 3600.0

_log = logging.getLogger("whytrain")


@runtime_checkable
class Pieces(Protocol):
    """Where finished pieces are kept."""

    @property
    def shared(self) -> bool:
        """Whether a piece that another process puts is found here."""
        ...

    def has(self, key: str) -> bool:
        """Say whether a piece is there, whole."""
        ...

    def get(self, key: str) -> xr.Dataset | None:
        """Give a piece, or `None` if it is missing or damaged."""
        ...

    def put(self, key: str, dataset: xr.Dataset, description: dict[str, Any]) -> None:
        """Keep a piece under its key."""
        ...


@dataclass(frozen=True)
class MemoryStore:
    """Pieces that live as long as the process."""

    pieces: dict[str, xr.Dataset] = field(default_factory=dict)
    shared: bool = False

    def has(self, key: str) -> bool:
        """Say whether a piece is there."""
        return key in self.pieces

    def get(self, key: str) -> xr.Dataset | None:
        """Give a piece, or `None` if it is missing."""
        return self.pieces.get(key)

    def put(self, key: str, dataset: xr.Dataset, description: dict[str, Any]) -> None:
        """Keep a piece; nobody reads the description of one that is never on disk."""
        self.pieces[key] = dataset


@dataclass(frozen=True)
class Store:
    """Pieces in a directory; `Store.open` makes or finds it.

    Attributes:
        path: The directory.
        shared: True: a directory is seen by every process.
    """

    path: Path
    shared: bool = True

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> "Store":
        """Open a run directory.

        Args:
            path: The directory.
            create: Whether to make it if it is not there.

        Returns:
            The store.

        Raises:
            UserError: If the directory cannot be written, or holds something else.
        """
        path = Path(path)
        if not create and not (path / _MARKER).is_file():
            raise UserError(f"{path} is not a run directory of whytrain; give one that --out made")
        with writing_to(path):
            _refuse_foreign(path)
            path.mkdir(parents=True, exist_ok=True)
            if not (path / _MARKER).exists():
                write_atomically(path / _MARKER, _json({"format": FORMAT}))
            (path / "pieces").mkdir(exist_ok=True)
            _sweep_up(path)
        return cls(path)

    def has(self, key: str) -> bool:
        """Say whether a piece is there, whole.

        Args:
            key: Its name.

        Returns:
            Whether its checksum is right. A damaged piece is reported in the log.
        """
        return self._checked(key) is not None

    def get(self, key: str) -> xr.Dataset | None:
        """Read a piece into memory.

        Args:
            key: Its name.

        Returns:
            The dataset, or `None` if it is missing or damaged; damage is reported in the log.
        """
        archive = self._checked(key)
        if archive is None:
            return None
        try:
            with ZipStore(archive, mode="r") as zipped:
                return xr.open_zarr(zipped, consolidated=False, chunks=None).load()
        except Exception as error:  # whatever Zarr makes of bytes that it does not understand
            _report_damage(key, error)
            return None

    def put(self, key: str, dataset: xr.Dataset, description: dict[str, Any]) -> None:
        """Write a piece so that it is there whole, or not at all.

        Args:
            key: Its name.
            dataset: The piece.
            description: What it is, as values that JSON can hold; kept beside it for people.

        Raises:
            UserError: If the disk does not take it.
        """
        archive = _archive(dataset)
        checksum = hashlib.sha256(archive).hexdigest()
        with writing_to(self.path):
            write_atomically(self._archive(key), archive)
            write_atomically(self._label(key), _json({"sha256": checksum, **description}))

    def _archive(self, key: str) -> Path:
        return self.path / "pieces" / f"{key}.zarr.zip"

    def _label(self, key: str) -> Path:
        return self.path / "pieces" / f"{key}.json"

    def _checked(self, key: str) -> Path | None:
        """Give the file of a piece whose checksum is right."""
        archive, label = self._archive(key), self._label(key)
        if not label.exists():
            return None
        try:
            expected = json.loads(label.read_bytes())["sha256"]
            with archive.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == expected:
                    return archive
            _report_damage(key, "its checksum is wrong")
        except (OSError, ValueError, KeyError, TypeError) as error:
            _report_damage(key, error)
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, not even after a power cut.

    Args:
        path: The file; if there is one already, it is replaced.
        content: What to write.
    """
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _force_to_disk(path.parent)


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Tell the user in one line that a directory cannot be written.

    Args:
        path: The directory, for the message.

    Raises:
        UserError: In place of an `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write to {path}: {reason}; give another --out") from error


def _force_to_disk(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _archive(dataset: xr.Dataset) -> bytes:
    """Give a dataset as a zip file of a Zarr group; the same dataset gives the same bytes."""
    files: dict[str, Any] = {}
    uncompressed = {name: {"compressors": None} for name in dataset.variables}
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        # Zarr warns that its version 3 has yet to specify arrays of strings.
        dataset.drop_encoding().to_zarr(
            ZarrMemory(files), zarr_format=3, consolidated=False, encoding=uncompressed
        )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # dated 1980, so that bytes do not depend on the time
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, files[name].to_bytes())
    return archive.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _refuse_foreign(path: Path) -> None:
    """Raise if a directory holds what whytrain did not put there."""
    if not path.is_dir():
        return  # what is wrong with it, if anything, shows when it is made
    marker = path / _MARKER
    if not marker.exists():
        if any(not entry.name.startswith(_TEMPORARY) for entry in path.iterdir()):
            raise UserError(f"{path} holds files that are not whytrain's; give an empty --out")
        return
    try:
        found = json.loads(marker.read_bytes())["format"]
    except (OSError, ValueError, KeyError, TypeError):
        found = "unreadable"
    if found != FORMAT:
        raise UserError(f"{marker} has format {found}, expected {FORMAT}; give another --out")


def _sweep_up(path: Path) -> None:
    """Remove what interrupted writes left behind, but nothing that may still be written."""
    long_ago = time.time() - _HOUR
    for directory in (path, path / "pieces"):
        for leftover in directory.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(FileNotFoundError):
                if leftover.stat().st_mtime < long_ago:
                    leftover.unlink()


def _report_damage(key: str, reason: object) -> None:
    _log.warning("piece %s is damaged (%s); computing it again", key[:12], reason)
