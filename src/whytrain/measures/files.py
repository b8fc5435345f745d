"""Checkpoints and data from files that cannot carry code: safetensors, and npz without pickles."""

import json
import math
import re
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from whytrain.errors import UserError
from whytrain.measures.arrays import a, plain, shown, words

# What zipfile and NumPy raise for a file that is damaged, encrypted or packed in another way, and
# NumPy for the header of an array, which it reads as Python.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, SyntaxError,
    tokenize.TokenError, TypeError, LookupError, OverflowError, MemoryError, struct.error,
)  # fmt: skip
_ZIP = b"PK\3\4"  # how a zip file begins
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name
_CHUNK = 1 << 20  # bytes that are read at once, of what is only checked


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of a safetensors or npz file, by name, or of several that an index names.

    Args:
        path: The file; of several safetensors files the index (`model.safetensors.index.json`), or
            the folder that has one. Each tensor is taken from the file that the index names for
            it, which lies beside the index or below.

    Returns:
        Each array as it is stored, of safetensors bfloat16 and float8 among them, the names in
        natural order, `10` after `2`: safetensors files keep them sorted as text.

    Raises:
        UserError: The file cannot be read, is none of these, or holds numbers of a kind that NumPy
            has not. Nothing is ever unpickled.
    """
    path = _path(path, "a checkpoint")
    if path.is_dir():
        found = sorted(path.glob("*.safetensors.index.json")) or sorted(path.glob("*.safetensors"))
        if len(found) != 1:
            raise UserError(f"{path} holds {len(found)} checkpoints; name the file, or its index")
        path = found[0]
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    return _several(path) if path.name.endswith(".index.json") else _one(path)


def _path(given: Any, what: str) -> Path:
    try:
        return Path(given)
    except TypeError as error:
        raise UserError(f"{what} is read from a file; give its path, got {a(given)}") from error


def _one(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one file."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(_ZIP)) == _ZIP
        if packed:
            return _packed(path)
        with safe_open(path, framework="numpy") as file:
            return {name: _tensor(path, file, name) for name in sorted(file.keys(), key=_natural)}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is no safetensors file of numbers ({words(error)}); write one with "
            "safetensors.torch.save_file(model.state_dict(), FILE)"
        ) from error


def _packed(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file; what PyTorch and Keras write is a zip file, too."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist(), key=_natural):
                name = member.removesuffix(".npy")
                if name == member:
                    raise ValueError(f"it holds {plain(name)}")
                found[name] = _unpacked(archive, member)
    except _UNREADABLE as error:
        raise UserError(
            f"{path} is no npz file of plain arrays ({words(error)}); write one with "
            "numpy.savez(FILE, **arrays), or safetensors.torch.save_file(model.state_dict(), FILE)"
        ) from error
    if {"inputs", "labels"} <= set(found):
        raise UserError(f"{path} is no checkpoint but data: it holds inputs and labels")
    return found


def _several(index: Path) -> dict[str, np.ndarray]:
    """The tensors that an index names, each from the file that it names for it."""
    try:
        where = {
            name: str(file) for name, file in json.loads(index.read_text())["weight_map"].items()
        }
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(f"{index} is no index of safetensors files ({words(error)})") from error
    held = {file: _one(_below(index, file)) for file in sorted(set(where.values()))}
    if lost := sorted(name for name, file in where.items() if name not in held[file]):
        raise UserError(f"{index} names {shown(lost)}, which the file named for it does not hold")
    return {name: held[where[name]][name] for name in sorted(where, key=_natural)}


def _below(index: Path, file: str) -> Path:
    """A file that an index names, which must lie in its folder."""
    path = index.parent / file
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise UserError(f"{index} names {plain(file)!r}; it must name files in its own folder")
    if not path.is_file():
        raise UserError(f"{index} names {plain(file)!r}, and there is no such file")
    return path


_SHORT = {
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}


def _bytes_of(path: Path, name: str, kind: str) -> np.ndarray:
    """A tensor of a type that NumPy has not, as the format has it: a header, and then the bytes."""
    with path.open("rb") as file:
        [length] = struct.unpack("<Q", file.read(8))
        said = json.loads(file.read(length))[name]
        begin, end = said["data_offsets"]
        file.seek(8 + length + begin)
        return np.frombuffer(file.read(end - begin), _SHORT[kind]).reshape(said["shape"])


def _tensor(path: Path, file: Any, name: str) -> np.ndarray:
    kind = file.get_slice(name).get_dtype()
    if kind in _SHORT:
        return _bytes_of(path, name, kind)
    try:
        return file.get_tensor(name)
    except (TypeError, KeyError, AttributeError) as error:  # a type that NumPy has not
        raise UserError(
            f"{path}: {plain(name)!r} is stored as {kind}, which cannot be read here; save it as "
            "float32, as the network uses it"
        ) from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers: the longer one is the larger one."""
    parts = re.split(r"(\d+)", name)
    numbers = [part.lstrip("0") if part.isdigit() else None for part in parts]
    return [
        (-1, part) if number is None else (len(number), number)
        for part, number in zip(parts, numbers, strict=True)
    ]


def read_data(path: str | Path) -> dict[str, np.ndarray]:
    """Open the arrays `inputs` and `labels` (or `x` and `y`) of an npz file, and a test set if any.

    Arrays that are stored without compression, as `numpy.savez` stores them, stay on disk and are
    read as they are used, after one pass that holds them against their checksum; compressed ones
    are unpacked into memory.

    Args:
        path: The file. `test_inputs`, `test_labels` and `outputs` (the model's logits of the first
            examples) are optional.

    Returns:
        The arrays under the names `inputs`, `labels`, `test_inputs`, `test_labels`, `outputs`.

    Raises:
        UserError: The file cannot be read, is no npz file, or lacks an array. Pickled arrays are
            refused.
    """
    path = _path(path, "a data set")
    if not path.is_file():
        raise UserError(f"there is no data file {path}")
    wanted = {"inputs": "x", "labels": "y", "test_inputs": "test_x", "test_labels": "test_y"}
    wanted |= {"outputs": "logits"}
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            there = {name.removesuffix(".npy"): name for name in archive.namelist()}
            for name, short in wanted.items():
                member = there.get(name) or there.get(short)
                if member is not None:
                    found[name] = _array(path, archive, member)
    except _UNREADABLE as error:
        raise UserError(
            f"{path} is no npz file of plain arrays ({words(error)}); write one with "
            "numpy.savez(FILE, inputs=X, labels=y)"
        ) from error
    for name in ("inputs", "labels"):
        if name not in found:
            held = ", ".join(there) or "nothing"
            raise UserError(f"{path} has no array {name!r} (or {wanted[name]!r}); it has {held}")
    return found


def read_outputs(path: str | Path) -> np.ndarray:
    """Read the logits of some examples, an npy file or the array `outputs` of an npz file.

    Args:
        path: The file.

    Returns:
        The array.

    Raises:
        UserError: The file cannot be read, or holds no such array. Pickled arrays are refused.
    """
    path = _path(path, "an array of outputs")
    if not path.is_file():
        raise UserError(f"there is no file of outputs {path}")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = [n for n in ("outputs", "logits") if n in found] or found.files
            if len(names) == 1 or names[:1] == ["outputs"]:
                if isinstance(array := found[names[0]], np.ndarray):
                    return array
                raise ValueError(f"it holds {plain(names[0])}, which is no array")
    except _UNREADABLE as error:
        raise UserError(
            f"{path} is no npy or npz file of plain arrays ({words(error)}); write one with "
            "numpy.save(FILE, logits)"
        ) from error
    raise UserError(f"{path} has no array 'outputs'; it has {', '.join(names) or 'nothing'}")


def _array(path: Path, archive: zipfile.ZipFile, member: str) -> np.ndarray:
    """One array: mapped where it lies plainly in the file, read otherwise."""
    info = archive.getinfo(member)
    with archive.open(member) as stream:
        first = np.lib.format.read_magic(stream) == (1, 0)  # the usual version of the format
        header = np.lib.format.read_array_header_1_0(stream) if first else None
        begin = stream.tell()
    shape, fortran, dtype = header or ((), False, np.dtype(object))
    plain = info.compress_type == zipfile.ZIP_STORED and not dtype.hasobject
    if not plain or 0 in shape or not shape:
        return _unpacked(archive, member)
    held = min(info.file_size, info.compress_size)
    if min(shape) < 0 or begin + dtype.itemsize * math.prod(shape) > held:
        raise ValueError(f"{member} is shorter than its header says")
    with archive.open(member) as stream:
        _check_sum(stream)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:30])
    offset = info.header_offset + _LOCAL_HEADER + name + extra + begin
    order = "F" if fortran else "C"
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)


def _unpacked(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    with archive.open(member) as stream:
        found = np.lib.format.read_array(stream, allow_pickle=False)
        _check_sum(stream)
    return found


def _check_sum(stream: Any) -> None:
    """Read a member to its end, where zipfile holds it against its checksum."""
    while stream.read(_CHUNK):
        pass
