"""The image sets by name, and where their files are looked for."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from whytrain.data.dataset import Dataset
from whytrain.data.files import find, read_cifar, read_idx, read_labels, read_svhn
from whytrain.errors import UserError, nearest

VARIABLE = "WHYTRAIN_DATA"
DEBIAN = Path("/usr/share/datasets")  # where Debian's packages of images put their files

_NUMERALS = tuple("0123456789")
_CLASSES = {
    "digits": _NUMERALS,
    "mnist": _NUMERALS,
    "svhn": _NUMERALS,
    "fashion-mnist": (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
}  # fmt: skip
_FILES = {
    "mnist": "train-images-idx3-ubyte.gz and its three companions",
    "fashion-mnist": "train-images-idx3-ubyte.gz and its three companions",
    "svhn": "train_32x32.mat and test_32x32.mat",
    "cifar10": "the binary version, data_batch_1.bin to data_batch_5.bin and test_batch.bin",
}
_PACKAGES = {"fashion-mnist": "dataset-fashion-mnist"}  # of Debian
_OPENML = {"fashion-mnist": "Fashion-MNIST", "mnist": "mnist_784"}
_DIGITS_TRAIN = 1200


def load(name: str, directory: str | Path | None = None, *, openml: bool = False) -> Dataset:
    """An image set by name.

    | name | files | examples |
    |---|---|---|
    | `digits` | none, scikit-learn has it: 8 by 8, the first 1200 to train on | 1200 + 597 |
    | `mnist`, `fashion-mnist` | IDX: `train-images-idx3-ubyte.gz`, ... | 60,000 + 10,000 |
    | `cifar10` | the binary version: `data_batch_1.bin`, ..., `test_batch.bin` | 50,000 + 10,000 |
    | `svhn` | the cropped format: `train_32x32.mat`, `test_32x32.mat` | 73,257 + 26,032 |

    Args:
        name: One of the names above.
        directory: Where the files are. Default: the directory of that name in the one that the
            environment variable `WHYTRAIN_DATA` names, then where Debian's packages are, such as
            `dataset-fashion-mnist`. Set to nothing, the variable hides all sets but `digits`.
        openml: Fetch `mnist` or `fashion-mnist` from OpenML, which needs a network the first time.

    Returns:
        The images as stored, `uint8`; those of `digits` are `float32` from 0 to 1.

    Raises:
        UserError: The name is not known, or a file is missing or is not what it should be.

    Example:
        >>> load("digits").train_images.shape
        (1200, 8, 8, 1)
    """
    if not isinstance(name, str):
        raise UserError(f"a data set is named by a word, such as 'digits', got {name!r:.100}")
    if name not in _CLASSES:
        known = nearest(name, _CLASSES) or f"; there is {', '.join(_CLASSES)}"
        raise UserError(f"unknown data set {name!r}{known}")
    if name == "digits":
        return _digits()
    if openml:
        return _from_openml(name)
    return _READERS[name](name, _directory(name, directory))


def available(name: str) -> bool:
    """Whether `load(name)` would find files; they may still be damaged.

    Example:
        >>> available("digits")
        True
    """
    if name == "digits":
        return True
    return any((place / name).is_dir() or _within(place, name) for place in _places())


_FOLDERS = {
    "mnist": ("MNIST/raw", "raw"),
    "fashion-mnist": ("FashionMNIST/raw", "raw"),
    "cifar10": ("cifar-10-batches-bin",),
}


def _hidden() -> bool:
    """Whether this is to be a machine without optional data."""
    return os.environ.get(VARIABLE) == ""


def _places() -> list[Path]:
    """The directories in which sets are looked for by name."""
    if _hidden():
        return []
    return [*map(Path, filter(None, [os.environ.get(VARIABLE)])), DEBIAN]


def _directory(name: str, given: str | Path | None) -> Path:
    if given is not None:
        if not isinstance(given, str | os.PathLike) or not Path(given).is_dir():
            raise UserError(f"there is no directory {given}")
        return _within(Path(given), name) or Path(given)
    for place in _places():
        if (place / name).is_dir():
            return _within(place / name, name) or place / name
        if found := _within(place, name):
            return found
    raise UserError(f"the files of {name} are not here; {_ways(name)}")


def _within(directory: Path, name: str) -> Path | None:
    """The folder in a directory that torchvision, or the set's own archive, makes for a set."""
    for folder in _FOLDERS.get(name, ()):
        if (directory / folder).is_dir():
            return directory / folder
    return None


def _ways(name: str) -> str:
    """How to get a set, in words."""
    ways = [f"apt-get install {_PACKAGES[name]}"] if name in _PACKAGES else []
    ways += [f"set {VARIABLE} to a directory whose subdirectory {name} holds {_FILES[name]}"]
    python = "; in Python, load() takes a directory" + " or openml=True" * (name in _OPENML)
    hidden = f" ({VARIABLE} is set to nothing, which hides them)" if _hidden() else ""
    return ", or ".join(ways) + python + hidden


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    images = (found.images / 16).astype(np.float32)[..., None]
    labels = found.target.astype(np.int32)
    cut = _DIGITS_TRAIN
    return Dataset(
        "digits", images[:cut], labels[:cut], images[cut:], labels[cut:], _CLASSES["digits"]
    )


def _from_idx(name: str, directory: Path) -> Dataset:
    parts: list[Any] = []
    for part in ("train", "t10k"):
        images = read_idx(_idx(directory, f"{part}-images", 3), 3)
        if images.shape[1:] != (28, 28):
            raise UserError(f"{directory}: images of {name} are 28 by 28, got {images.shape[1:]}")
        parts += [images[..., None], read_labels(_idx(directory, f"{part}-labels", 1), 10)]
    train_images, train_labels, test_images, test_labels = parts
    return Dataset(name, train_images, train_labels, test_images, test_labels, _CLASSES[name])


def _idx(directory: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{joint}idx{dimensions}-ubyte" for joint in "-."]
    return find(directory, *(name + ending for name in names for ending in (".gz", "")))


def _from_cifar(name: str, directory: Path) -> Dataset:
    if (directory / "data_batch_1").is_file() and not (directory / "data_batch_1.bin").is_file():
        raise UserError(
            f"{directory} holds the python version of CIFAR-10, which is pickled and is never "
            "opened; take the binary version (data_batch_1.bin, ...)"
        )
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    *batches, test = (read_cifar(find(directory, each)) for each in names)
    _check_batches(directory, dict(zip(names, [*batches, test], strict=True)))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Dataset(name, images, labels, *test, _CLASSES[name])


def _check_batches(directory: Path, batches: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuse files of other lengths, as where one is cut, and copies of another."""
    sizes = {name: len(labels) for name, (_, labels) in batches.items()}
    if len(set(sizes.values())) > 1:
        raise UserError(
            f"{directory}: files hold unequal numbers of images, {sizes}; fetch them again"
        )
    seen: dict[bytes, str] = {}
    for name, (images, _) in batches.items():
        other = seen.setdefault(sha256(images.tobytes()).digest(), name)
        if other != name:
            raise UserError(f"{directory}: {name} holds the images of {other}; fetch it again")


def _from_svhn(name: str, directory: Path) -> Dataset:
    train, test = (read_svhn(find(directory, f"{part}_32x32.mat")) for part in ("train", "test"))
    return Dataset(name, *train, *test, _CLASSES[name])


def _from_openml(name: str) -> Dataset:
    from sklearn.datasets import fetch_openml

    if name not in _OPENML:
        raise UserError(f"{name} is not read from OpenML; that is for {', '.join(_OPENML)}")
    if _hidden():
        raise UserError(f"{VARIABLE} is set to nothing, which turns OpenML off; unset it")
    try:
        found: Any = fetch_openml(_OPENML[name], version=1, as_frame=False)
    except Exception as error:  # of the network, of its parser, of its cache
        words = " ".join(str(error).split())
        raise UserError(f"cannot fetch {name} from OpenML: {words}") from error
    images = np.asarray(found.data).reshape(-1, 28, 28, 1).astype(np.uint8)
    labels = np.asarray(found.target).astype(np.int32)
    cut = len(labels) - 10_000
    return Dataset(name, images[:cut], labels[:cut], images[cut:], labels[cut:], _CLASSES[name])


_READERS: dict[str, Callable[[str, Path], Dataset]] = {
    "mnist": _from_idx,
    "fashion-mnist": _from_idx,
    "cifar10": _from_cifar,
    "svhn": _from_svhn,
}
