"""What `train` is asked, or one line that says what is wrong."""

import inspect
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.data.dataset import Dataset
from whytrain.dynamics.arguments import KEYS
from whytrain.dynamics.checkpoints import Checkpoint, CheckpointFile
from whytrain.errors import UserError
from whytrain.networks import ImageNetwork
from whytrain.networks.costs import check_classes


def check_data(network: Any, dataset: Any) -> None:
    """Refuse what is no network or no data set, and examples that are not for the network."""
    if not isinstance(network, ImageNetwork):
        raise UserError(
            "network must be an ImageNetwork such as TwoLayer(dataset.shape, 64), got "
            f"{_told(network)}"
        )
    if not isinstance(dataset, Dataset):
        raise UserError(f"dataset must be a Dataset, as of load('digits'), got {_told(dataset)}")
    for part in ("training", "test"):
        images, labels = examples(dataset, part)
        if len(labels) == 0:
            raise UserError(f"{dataset.name} has no {part} examples; give one or more")
        if tuple(network.shape) != np.shape(images)[1:]:
            raise UserError(
                f"the network takes images of shape {tuple(network.shape)}, the {part} images of "
                f"{dataset.name} are {np.shape(images)[1:]}"
            )
        check_classes(f"the {part} labels of {dataset.name}", labels, network.classes)


def examples(dataset: Dataset, part: str) -> tuple[Any, Any]:
    """Images and labels of the part `training` or `test`."""
    if part == "test":
        return dataset.test_images, dataset.test_labels
    return dataset.train_images, dataset.train_labels


def check_sizes(examples: int, epochs: Any, batch: Any, test_every: Any, target: Any) -> None:
    """Refuse numbers that are out of range, or none."""
    if not _is_whole(batch) or not 1 <= batch <= examples:
        raise UserError(
            f"batch must be 1 to {examples}, the number of examples, got {batch!r}: a whole number"
        )
    for name, value in (("epochs", epochs), ("test_every", test_every)):
        if not _is_whole(value) or value < 1:
            raise UserError(f"{name} must be a whole number from 1 on, got {value!r}")
    if target is not None and math.isnan(_number(target)):
        raise UserError(f"target must be a number, a mean loss, or None, got {target!r}")


def check_step_size(step_size: Any) -> None:
    """Refuse a step size that is neither a number from 0 on nor a schedule."""
    if callable(step_size) and not inspect.isclass(step_size):
        return
    if not 0 <= _number(step_size) < math.inf:
        raise UserError(
            "step_size must be a finite number >= 0, or a schedule such as warm_up(0.1, 1.0, 50), "
            f"got {_told(step_size)}"
        )


def check_keys(keys: Any) -> None:
    """Refuse what is not one typed key a run."""
    typed = isinstance(keys, jax.Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    if not typed or keys.ndim != 1 or len(keys) == 0:
        raise UserError(f"{KEYS}, got {_told(keys)}")


def check_functions(activations: Any, optimizer: Any) -> None:
    """Refuse activations and optimizers that cannot be called."""
    if not callable(activations) or inspect.isclass(activations):
        raise UserError(
            "activations must be a function such as jax.nn.relu, or quantizers that "
            f"whytrain.networks.stack made one of, got {_told(activations)}"
        )
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise UserError(
            "optimizer must be an Optax transformation such as optax.trace(0.9), got "
            f"{_told(optimizer)}"
        )


def checked_place(checkpoint: Any) -> Checkpoint | None:
    """A place for arrays; a path is that of a file."""
    if isinstance(checkpoint, str | Path):
        return CheckpointFile(Path(checkpoint))
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    raise UserError(f"checkpoint must be a path, or a Checkpoint, got {_told(checkpoint)}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _number(value: Any) -> float:
    """One real number, also where it is an array of no axes; NaN for all else."""
    if not hasattr(value, "__float__") or np.ndim(value) > 0:
        return math.nan
    return float(value) if np.asarray(value).dtype.kind in "iuf" else math.nan


def _told(value: Any) -> str:
    """A value, where it is short; else what it is."""
    if inspect.isclass(value):
        return f"the class {value.__name__}; make one of it: {value.__name__}(...)"
    if isinstance(value, bool | int | float | str | Path | np.number) or value is None:
        return repr(value)
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    return f"{'an' if type(value).__name__[:1] in 'AEIOUaeiou' else 'a'} {type(value).__name__}"
