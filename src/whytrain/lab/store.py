"""The store: a run directory of immutable pieces, each named by a hash of what it is.

    whytrain.json               says that the directory is ours, and in which format
    pieces/KEY.json             a piece: what it is, its results if it has any, and checksums
    pieces/KEY.zarr.zip         the arrays of a piece that has any, as Zarr in a zip file
    checkpoints/KEY-NAME.safetensors
                                networks while they train and when they have
    failures/KEY.json           why a piece could not be computed
    records/ID.json             every command that worked here, with versions

The contract, which `tests/lab/test_store.py` holds every kind of files to:

1. A piece is there or not there. Its `.json` is written last, and whole; a piece with a wrong
   checksum, in either file, counts as missing, and is reported.
2. The same computation gives the same bytes, so that writers who meet do no harm.
3. Nothing but the pieces says which pieces there are. Finding one is resuming. A checkpoint only
   spares a piece some of its work: the piece is the same without it.
"""

import hashlib
import io
import json
import logging
import uuid
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from whytrain._files import Files, open_files
from whytrain._lazy import later
from whytrain._tensors import DamagedError, decode, encode
from whytrain.errors import UserError

buffers, storage = later("zarr.buffer.cpu"), later("zarr.storage")

FORMAT = 2

_MARKER = "whytrain.json"
_CHECKPOINTS = "checkpoints"

_log = logging.getLogger("whytrain")

Record = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """What is kept of a computation.

    Attributes:
        record: What it is, and results, as values that JSON can hold.
        dataset: Its arrays, if it has any.
    """

    record: Record
    dataset: xr.Dataset | None = None


@runtime_checkable
class Pieces(Protocol):
    """Where finished pieces are kept."""

    @property
    def shared(self) -> bool:
        """Whether a piece that another process puts is found here."""
        ...

    def keys(self) -> set[str]:
        """Give the names of all pieces, whole or not."""
        ...

    def has(self, key: str) -> bool:
        """Say whether a piece is there, whole."""
        ...

    def get(self, key: str) -> Piece | None:
        """Give a piece, or `None` if it is missing or damaged."""
        ...

    def put(self, key: str, piece: Piece) -> None:
        """Keep a piece under its key."""
        ...


@dataclass(frozen=True)
class MemoryStore:
    """Pieces that live as long as the process."""

    pieces: dict[str, Piece] = field(default_factory=dict)
    shared: bool = False

    def keys(self) -> set[str]:
        """Give the names of all pieces."""
        return set(self.pieces)

    def has(self, key: str) -> bool:
        """Say whether a piece is there."""
        return key in self.pieces

    def get(self, key: str) -> Piece | None:
        """Give a piece, or `None` if it is missing."""
        return self.pieces.get(key)

    def put(self, key: str, piece: Piece) -> None:
        """Keep a piece."""
        self.pieces[key] = piece


@dataclass(frozen=True)
class StoredCheckpoint:
    """Arrays by name in one safetensors file of a run directory.

    Attributes:
        files: Where it lies; None for nowhere: nothing is kept then.
        name: The name of the file.
    """

    files: Files | None
    name: str

    def __str__(self) -> str:
        return f"the checkpoint {self.name}"

    def read(self) -> dict[str, np.ndarray] | None:
        """Give what was written last, or `None` if there is nothing, or nothing whole."""
        if self.files is None:
            return None
        try:
            return decode(self.files.read(self.name))
        except FileNotFoundError:
            return None
        except (OSError, DamagedError) as error:
            _log.warning("%s is damaged (%s); training from the start", self, error)
            return None

    def write(self, arrays: dict[str, np.ndarray], **about: Any) -> None:
        """Keep arrays, in place of what was there.

        Args:
            arrays: The arrays.
            about: What else the header of the file is to say.
        """
        if self.files is not None:
            self.files.write(self.name, encode(arrays, about))

    def remove(self) -> None:
        """Forget it."""
        if self.files is not None:
            self.files.remove(self.name)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one piece, by name.

    Attributes:
        files: Where the run directory lies; None for nowhere.
        key: The name of the piece.
        asked: The names that were asked for.
    """

    files: Files | None = None
    key: str = ""
    asked: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> StoredCheckpoint:
        """Give the checkpoint of a name."""
        self.asked.add(name)
        return StoredCheckpoint(self.files, f"{_CHECKPOINTS}/{self.key}-{name}.safetensors")

    def clear(self) -> None:
        """Forget all that were asked for."""
        for name in self.asked:
            self[name].remove()


@dataclass(frozen=True)
class Store:
    """Pieces in a directory or a bucket; `Store.open` makes or finds it.

    Attributes:
        files: Where they lie.
    """

    files: Files

    @classmethod
    def open(cls, place: str | Path, *, create: bool = True) -> "Store":
        """Open a run directory.

        Args:
            place: A path, or a URL that fsspec understands.
            create: Whether to make it if it is not there.

        Returns:
            The store.

        Raises:
            UserError: If the place cannot be written, or holds something else.
        """
        files = open_files(place)
        found = _marked(files)
        if not create:
            if not found:
                raise UserError(
                    f"{place} is not a run directory of whytrain; give one that --out made"
                )
            return cls(files)
        files.prepare("pieces", _CHECKPOINTS, "failures", "records")
        if not found:
            files.write(_MARKER, _json({"format": FORMAT}))
        return cls(files)

    @property
    def shared(self) -> bool:
        """Whether other processes find what is put here."""
        return self.files.shared

    def keys(self) -> set[str]:
        """Give the names of all pieces, whole or not."""
        names = self.files.names("pieces")
        return {name.removesuffix(".json") for name in names if name.endswith(".json")}

    def has(self, key: str) -> bool:
        """Say whether a piece is there, whole.

        Args:
            key: Its name.

        Returns:
            Whether its checksums are right. A damaged piece is reported in the log.
        """
        return self._checked(key) is not None

    def record(self, key: str) -> Record | None:
        """Read what a piece is, and its results, without its arrays.

        Args:
            key: Its name.

        Returns:
            The record, or `None` if it is missing or damaged; damage is reported in the log.
        """
        try:
            record = json.loads(self.files.read(_label(key)))
            if record.pop("checksum") == _checksum(_json(record)):
                return record
            _report_damage(key, "its checksum is wrong")
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _report_damage(key, error)
        return None

    def get(self, key: str) -> Piece | None:
        """Read a piece into memory.

        Args:
            key: Its name.

        Returns:
            The piece, or `None` if it is missing or damaged; damage is reported in the log.
        """
        checked = self._checked(key)
        if checked is None:
            return None
        record, archive = checked
        if archive is None:
            return Piece(record)
        try:
            return Piece(record, _from_archive(archive))
        except Exception as error:  # whatever Zarr makes of bytes that it does not understand
            _report_damage(key, error)
            return None

    def put(self, key: str, piece: Piece) -> None:
        """Write a piece so that it is there whole, or not at all.

        Args:
            key: Its name.
            piece: The piece.

        Raises:
            UserError: If the place does not take it.
        """
        for name, content in piece_files(key, piece).items():
            self.files.write(name, content)

    def fail(self, key: str, record: Record) -> None:
        """Keep why a piece could not be computed.

        Args:
            key: Its name.
            record: What it is, and the error.
        """
        self.files.write(f"failures/{key}.json", _json(record))

    def failures(self) -> set[str]:
        """Give the names of the pieces that could not be computed, and are not there."""
        names = {name.removesuffix(".json") for name in self.files.names("failures")}
        return names - self.keys() if names else names

    def failure(self, key: str) -> Record | None:
        """Read why a piece could not be computed, or give `None`."""
        try:
            return json.loads(self.files.read(f"failures/{key}.json"))
        except (OSError, ValueError):
            return None

    def forgive(self, key: str) -> None:
        """Forget a failure."""
        self.files.remove(f"failures/{key}.json")

    def checkpoints(self, key: str) -> Checkpoints:
        """Give the place of a piece's checkpoints."""
        return Checkpoints(self.files, key)

    def note(self, record: Record) -> None:
        """Keep a record of a command that works here."""
        self.files.write(f"records/{uuid.uuid4().hex}.json", _json(record))

    def _checked(self, key: str) -> tuple[Record, bytes | None] | None:
        """Give the record and the archive of a piece whose checksums are right."""
        record = self.record(key)
        if record is None:
            return None
        if record["archive"] is None:
            return record, None
        try:
            archive = self.files.read(_archive_name(key))
        except OSError as error:
            _report_damage(key, error)
            return None
        if _checksum(archive) == record["archive"]:
            return record, archive
        _report_damage(key, "its checksum is wrong")
        return None


def piece_files(key: str, piece: Piece) -> dict[str, bytes]:
    """Give the files of a piece, by name, in the order in which they are written.

    Args:
        key: The name of the piece.
        piece: The piece.

    Returns:
        The content of each file; the same piece gives the same bytes.
    """
    files, archive = {}, None
    if piece.dataset is not None:
        files[_archive_name(key)] = _archive(piece.dataset)
        archive = _checksum(files[_archive_name(key)])
    record = {**piece.record, "archive": archive}
    files[_label(key)] = _json({**record, "checksum": _checksum(_json(record))})
    return files


def _label(key: str) -> str:
    return f"pieces/{key}.json"


def _archive_name(key: str) -> str:
    return f"pieces/{key}.zarr.zip"


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Record) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def _archive(dataset: xr.Dataset) -> bytes:
    """Give a dataset as a zip file of a Zarr group; the same dataset gives the same bytes."""
    files: dict[str, Any] = {}
    uncompressed = {name: {"compressors": None} for name in dataset.variables}
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        # Zarr warns that its version 3 has yet to specify arrays of strings.
        dataset.drop_encoding().to_zarr(
            storage.MemoryStore(files), zarr_format=3, consolidated=False, encoding=uncompressed
        )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # dated 1980, so that bytes do not depend on the time
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, files[name].to_bytes())
    return archive.getvalue()


def _from_archive(content: bytes) -> xr.Dataset:
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        files: dict[str, Any] = {
            name: buffers.Buffer.from_bytes(zipped.read(name)) for name in zipped.namelist()
        }
    found = xr.open_zarr(storage.MemoryStore(files), consolidated=False, chunks=None).load()
    return found[sorted(map(str, found.variables))]  # Zarr lists the arrays of a group in no order


def _marked(files: Files) -> bool:
    """Whether a place is a run directory; raise if it holds what whytrain did not put there."""
    try:
        marker = files.read(_MARKER)
    except FileNotFoundError:
        if files.names():
            raise UserError(
                f"{files.place} holds files that are not whytrain's; give an empty --out"
            ) from None
        return False
    except OSError:  # what is wrong with the place shows when it is written
        return False
    try:
        found = json.loads(marker)["format"]
    except (ValueError, KeyError, TypeError):
        found = "unreadable"
    if found != FORMAT:
        where = f"{files.place.rstrip('/')}/{_MARKER}"
        raise UserError(f"{where} has format {found}, expected {FORMAT}; give another --out")
    return True


def _report_damage(key: str, reason: object) -> None:
    _log.warning("piece %s is damaged (%s); computing it again", key[:12], reason)
