"""The file formats of the image sets: IDX, CIFAR's binary records, SVHN's MATLAB files.

Each reader checks all that the format promises, and says in one line what is wrong with a file. No
format here can carry code, and no pickle is ever opened.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from whytrain.errors import UserError

GZIP = b"\x1f\x8b"
LARGEST = 1 << 32  # bytes that a header may announce


def find(directory: Path, *names: str) -> Path:
    """The first of these files that is in the directory.

    Raises:
        UserError: None of them is.
    """
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise UserError(f"{directory} holds no file {' or '.join(names)}")


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """An array of unsigned bytes from an IDX file, compressed with gzip or not.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of dimensions, each
    extent as a big-endian 32-bit integer, then the bytes.

    Args:
        path: The file; it is decompressed if it is one of gzip, whatever its name.
        dimensions: How many dimensions the array must have.

    Raises:
        UserError: The file cannot be read, is of another type or shape, or has another length than
            its header says.
    """
    opener = gzip.open if _read(path, 2) == GZIP else open
    try:
        with opener(path, "rb") as file:
            head = file.read(4 + 4 * dimensions)
            if head[:4] != bytes([0, 0, 8, dimensions]) or len(head) < 4 + 4 * dimensions:
                raise UserError(
                    f"{path} is no IDX file of unsigned bytes in {dimensions} dimensions: it "
                    f"begins with {head[:4].hex(' ') or 'nothing'}"
                )
            shape = [int(extent) for extent in np.frombuffer(head, ">u4", offset=4)]
            size = int(np.prod(shape, dtype=object))
            if not 0 < size <= LARGEST:
                raise UserError(f"{path}: the header announces an array of shape {tuple(shape)}")
            body = file.read(size + 1)  # and no more, whatever a compressed file unfolds to
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {_words(error)}; fetch it again") from error
    if len(body) != size:
        longer = "more" if len(body) > size else f"only {len(body)}"
        raise UserError(f"{path}: {size} bytes announced, {longer} found; fetch it again")
    return np.frombuffer(body, np.uint8).reshape(shape)


CIFAR_RECORD = 1 + 3 * 32 * 32


def read_cifar(
    path: Path,
) -> tuple[UInt8[np.ndarray, "example 32 32 3"], Int[np.ndarray, " example"]]:
    """Images and labels from a file of CIFAR-10's binary version.

    The format: records of one byte of label, 1024 of red, 1024 of green and 1024 of blue.

    Raises:
        UserError: The file cannot be read, its length is not that of whole records, or a label is
            above 9.
    """
    data = np.frombuffer(_read(path), np.uint8)
    if len(data) == 0 or len(data) % CIFAR_RECORD:
        raise UserError(
            f"{path}: {len(data)} bytes are no whole number of records of {CIFAR_RECORD}; take the "
            "binary version of CIFAR-10 (files named *.bin)"
        )
    records = data.reshape(-1, CIFAR_RECORD)
    labels = _labels(path, records[:, 0], 10)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), labels


def read_svhn(
    path: Path,
) -> tuple[UInt8[np.ndarray, "example 32 32 3"], Int[np.ndarray, " example"]]:
    """Images and labels from a file of SVHN's cropped format (`train_32x32.mat`).

    The format: MATLAB 5, with `X` of shape (32, 32, 3, examples) and `y`, in which 10 stands for
    the digit 0.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    import scipy.io

    _read(path, 1)
    try:
        content = scipy.io.loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # SciPy's reader fails on a damaged file in any number of ways
        raise UserError(f"{path} is no MATLAB 5 file: {_words(error)}; fetch it again") from error
    if not {"X", "y"} <= set(content):
        raise UserError(f"{path} holds no variables X and y; take SVHN's cropped format")
    images, column = np.asarray(content["X"]), np.asarray(content["y"])
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise UserError(
            f"{path}: X is {images.dtype} of shape {images.shape}, expected uint8 (32, 32, 3, "
            "examples)"
        )
    if images.shape[3] == 0:
        raise UserError(f"{path} holds no images; fetch it again")
    labels = column.ravel()
    single = column.size == max(column.shape, default=0)  # one row or column
    if not single or labels.dtype.kind not in "iu" or images.shape[3] != len(labels):
        shape = " x ".join(map(str, [len(labels)] if single else column.shape))
        raise UserError(f"{path}: {images.shape[3]} images, but y is {labels.dtype} x {shape}")
    if {0, 10} <= set(np.unique(labels).tolist()):
        raise UserError(f"{path}: labels are 0 and 10, but 10 stands for the digit 0")
    digits = np.where(labels == 10, 0, labels)
    return images.transpose(3, 0, 1, 2).copy(), _labels(path, digits, 10)


def read_labels(path: Path, classes: int) -> Int[np.ndarray, " example"]:
    """Labels from an IDX file.

    Raises:
        UserError: As `read_idx`, or a label is not below `classes`.
    """
    return _labels(path, read_idx(path, 1), classes)


def _labels(path: Path, values: np.ndarray, classes: int) -> Int[np.ndarray, " example"]:
    wrong = (values < 0) | (values >= classes)
    if wrong.any():
        raise UserError(
            f"{path}: labels must be 0 to {classes - 1}, but number {int(np.argmax(wrong))} is "
            f"{int(values[np.argmax(wrong)])}"
        )
    return values.astype(np.int32)


def _read(path: Path, count: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError as error:
        raise UserError(f"cannot read {path}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text or type(error).__name__
