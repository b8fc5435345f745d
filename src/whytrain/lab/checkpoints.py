"""Checkpoints in a run directory: networks of one piece, while they train and when they have."""

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whytrain._tensors import DamagedError, decode, encode
from whytrain.lab.files import Files

FOLDER = "checkpoints"

_log = logging.getLogger("whytrain")


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
        return StoredCheckpoint(self.files, f"{FOLDER}/{self.key}-{name}.safetensors")

    def clear(self) -> None:
        """Forget all that were asked for."""
        for name in self.asked:
            self[name].remove()
