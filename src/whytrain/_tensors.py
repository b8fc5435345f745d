"""Arrays by name as the bytes of a safetensors file, with a checksum: nothing can be executed."""

import hashlib
import json

import numpy as np

from whytrain.errors import UserError

FORMAT = "whytrain-1"
_LABEL = "whytrain"  # one entry: safetensors orders several of them differently each time


class DamagedError(UserError):
    """Bytes that are no safetensors file, or not the one that was written."""


def encode(arrays: dict[str, np.ndarray], about: dict | None = None) -> bytes:
    """The same arrays give the same bytes.

    Args:
        arrays: The arrays.
        about: What they are, as values that JSON can hold; kept in the header of the file.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    label = {"format": FORMAT, "sha256": _checksum(arrays), **(about or {})}
    return save(arrays, metadata={_LABEL: json.dumps(label)})


def decode(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of bytes that `encode` made.

    Raises:
        DamagedError: The bytes are others.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        label = json.loads(_header(content)["__metadata__"][_LABEL])
        if label["format"] != FORMAT:
            raise DamagedError(f"its format is {label['format']}, expected {FORMAT}")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"no checkpoint of whytrain ({' '.join(str(error).split())})") from error
    if label["sha256"] != _checksum(arrays):
        raise DamagedError("its checksum is wrong")
    return arrays


def _header(content: bytes) -> dict:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        found.update(np.ascontiguousarray(arrays[name]).data)
    return found.hexdigest()
