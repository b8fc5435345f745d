"""A data set: images with labels, to train on and to test on."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from whytrain.errors import UserError

Images = UInt8[np.ndarray, "_ height width channel"] | Float[np.ndarray, "_ height width channel"]
Labels = Int[np.ndarray, " _"]


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images and their classes. Nothing changes one: every function below gives another.

    Attributes:
        name: What it is called, with what was done to it.
        train_images: `uint8` from 0 to 255 as stored, or `float32` (0 to 1, or normalized).
        train_labels: The class of each image, `int32`.
        test_images: As `train_images`.
        test_labels: As `train_labels`.
        classes: The names of the classes.

    Raises:
        UserError: Images or labels are no such arrays, or do not belong together.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for images, labels, part in (
            (self.train_images, self.train_labels, "training"),
            (self.test_images, self.test_labels, "test"),
        ):
            _check_images(f"{self.name}: {part} images", images)
            _check_labels(f"{self.name}: {part} labels", labels, len(self.classes))
            if len(images) != len(labels):
                raise UserError(
                    f"{self.name}: {len(images)} {part} images but {len(labels)} labels; the files "
                    "do not belong together"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise UserError(
                f"{self.name}: training images are of shape {self.train_images.shape[1:]}, but "
                f"test images of {self.test_images.shape[1:]}; the files do not belong together"
            )

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return (
            f"Dataset({self.name!r}: {len(self.train_images)} training and "
            f"{len(self.test_images)} test images, {shape} {self.train_images.dtype}, "
            f"{len(self.classes)} classes)"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.train_images.shape
        return height, width, channels


def _check_images(what: str, images: Any) -> None:
    if not isinstance(images, np.ndarray | jax.Array) or images.ndim != 4:
        shape = getattr(images, "shape", type(images).__name__)
        raise UserError(f"{what} must be an array (image, height, width, channel), got {shape}")
    floats = jnp.issubdtype(images.dtype, jnp.floating)
    if not floats and images.dtype != np.uint8:
        raise UserError(
            f"{what} must be uint8 from 0 to 255, or floats, got {images.dtype}; give pixels from "
            "0 to 255 as images.astype(np.uint8)"
        )
    if floats and not np.isfinite(images).all():
        raise UserError(f"{what} hold numbers that are not finite")


def _check_labels(what: str, labels: Any, classes: int) -> None:
    whole = isinstance(labels, np.ndarray | jax.Array) and labels.dtype.kind in "iu"
    if not whole or labels.ndim != 1:
        raise UserError(f"{what} must be an array of one whole number an image")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise UserError(
            f"{what} must be 0 to {classes - 1}, as there are {classes} classes, got "
            f"{labels.min()} to {labels.max()}"
        )


def as_float(images: Images) -> Float[np.ndarray, "_ height width channel"]:
    """Images as `float32`, those of `uint8` divided by 255.

    Example:
        >>> as_float(np.full((1, 1, 1, 1), 255, np.uint8)).ravel().tolist()
        [1.0]
    """
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32)


# Mean and standard deviation of each channel, of pixels from 0 to 1: the numbers that the public
# code of Neyshabur et al. 2019 uses, those of ImageNet for images in color and those of MNIST.
COLOR = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GRAY = ((0.131,), (0.289,))


def normalize(
    dataset: Dataset,
    mean: tuple[float, ...] | None = None,
    deviation: tuple[float, ...] | None = None,
) -> Dataset:
    """Shift and scale the channels: `(pixel - mean) / deviation` in `float32`.

    Args:
        dataset: What to normalize.
        mean: One number a channel, of pixels from 0 to 1. Default: `COLOR` or `GRAY`, by the number
            of channels.
        deviation: The same.

    Raises:
        UserError: Their number is not that of the channels, one is no finite number, a deviation is
            not positive, or pixels are not from 0 to 1 but whole numbers in floats.

    Example:
        >>> from whytrain.data import load
        >>> gray = normalize(load("digits"), mean=(0.5,), deviation=(0.5,))
        >>> float(gray.train_images.min()), float(gray.train_images.max())
        (-1.0, 1.0)
    """
    channels = dataset.shape[2]
    known = {1: GRAY, 3: COLOR}.get(channels, ((0.0,) * channels, (1.0,) * channels))
    mean = known[0] if mean is None else mean
    deviation = known[1] if deviation is None else deviation
    shift, scale = _by_channel(mean, channels), _by_channel(deviation, channels)
    if shift is None or scale is None or scale.min() < np.finfo(np.float32).tiny:
        raise UserError(
            f"normalize needs {channels} means and positive deviations, one a channel; got "
            f"{mean!r:.100} and {deviation!r:.100}"
        )
    if _unscaled(dataset.train_images) or _unscaled(dataset.test_images):
        raise UserError(
            f"{dataset.name}: pixels are whole numbers above 1 in floats, and normalize takes them "
            "from 0 to 1; divide them by the largest, or give those to 255 as uint8"
        )

    def scaled(images: Images) -> Images:
        return (as_float(images) - shift) / scale

    return replace(
        dataset,
        train_images=scaled(dataset.train_images),
        test_images=scaled(dataset.test_images),
    )


def _by_channel(given: Any, channels: int) -> np.ndarray | None:
    """The numbers in `float32`, None if they are not finite or not one a channel."""
    try:
        with np.errstate(over="ignore"):  # is infinite, and refused
            found = np.asarray(given, np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.shape == (channels,) and np.isfinite(found).all() else None


def _unscaled(images: Images) -> bool:
    """Whether floats hold pixels as they are stored in bytes."""
    if images.dtype == np.uint8 or not images.size or images.min() < 0 or images.max() <= 1:
        return False
    return bool((images == np.rint(images)).all())


def subset(
    dataset: Dataset, train: int | None = None, test: int | None = None, *, key: jax.Array
) -> Dataset:
    """The first `train` and `test` examples after a permutation drawn from the key.

    Args:
        dataset: What to choose from.
        train: How many training examples; None for all, in their order.
        test: The same for the test examples.
        key: Training examples are permuted with `fold_in(key, 0)`, test examples with
            `fold_in(key, 1)`. A larger subset of the same key holds the smaller one.

    Raises:
        UserError: More are asked for than there are, or fewer than one, or it is no key.

    Example:
        >>> from whytrain.data import load
        >>> few = subset(load("digits"), train=100, key=jax.random.key(0))
        >>> few.train_images.shape, few.test_images.shape
        ((100, 8, 8, 1), (597, 8, 8, 1))
    """

    def pick(part: int, images: Images, labels: Labels, count: int | None) -> tuple:
        if count is None:
            return images, labels
        if not _counts(count, 1) or count > len(labels):
            raise UserError(
                f"{dataset.name} has {len(labels)} {('training', 'test')[part]} examples, "
                f"asked for {count!r}"
            )
        with jax.enable_x64(False):  # the permutation must not depend on the caller's setting
            order = jax.random.permutation(_folded(key, part), len(labels))
        chosen = np.asarray(order)[:count]
        return images[chosen], labels[chosen]

    train_images, train_labels = pick(0, dataset.train_images, dataset.train_labels, train)
    test_images, test_labels = pick(1, dataset.test_images, dataset.test_labels, test)
    return replace(
        dataset, train_images=train_images, train_labels=train_labels,
        test_images=test_images, test_labels=test_labels,
    )  # fmt: skip


def _counts(value: Any, least: int) -> bool:
    """Whether it is a whole number from `least` on."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def _folded(key: Any, part: int) -> jax.Array:
    try:
        return jax.random.fold_in(key, part)
    except (TypeError, ValueError) as error:
        raise UserError(f"key must be one of jax.random.key(0), got {key!r:.100}") from error


def enlarge(dataset: Dataset, factor: int, border: int = 0) -> Dataset:
    """Images with every pixel repeated `factor` times along both sides, and a border of zeros.

    Args:
        dataset: The images.
        factor: At least 1.
        border: Width of the border, in new pixels.

    Raises:
        UserError: A number is not whole, or out of range.

    Example:
        >>> from whytrain.data import load
        >>> enlarge(load("digits"), 3, 2).shape
        (28, 28, 1)
    """
    if not _counts(factor, 1) or not _counts(border, 0):
        raise UserError(
            "factor must be 1 or more and border 0 or more, whole numbers, got "
            f"{factor!r} and {border!r}"
        )
    sides = ((0, 0), (border, border), (border, border), (0, 0))

    def larger(images: np.ndarray) -> np.ndarray:
        return np.pad(images.repeat(factor, axis=1).repeat(factor, axis=2), sides)

    return replace(
        dataset,
        train_images=larger(dataset.train_images),
        test_images=larger(dataset.test_images),
    )


def random_labels(dataset: Dataset, key: jax.Array) -> Dataset:
    """The same images, each with a class drawn uniformly, whatever it shows (Zhang et al. 2017).

    The test labels are random too: there is nothing to generalize.

    Raises:
        UserError: It is no key.

    Example:
        >>> from whytrain.data import load
        >>> noise = random_labels(load("digits"), jax.random.key(0))
        >>> round(float(np.mean(noise.train_labels == load("digits").train_labels)), 1)
        0.1
    """

    def drawn(part: int, labels: Labels) -> Labels:
        with jax.enable_x64(False):
            each = _folded(key, part)
            numbers = jax.random.randint(each, labels.shape, 0, len(dataset.classes))
        return np.asarray(numbers, np.int32)

    return replace(
        dataset,
        name=f"{dataset.name}, random labels",
        train_labels=drawn(0, dataset.train_labels),
        test_labels=drawn(1, dataset.test_labels),
    )
