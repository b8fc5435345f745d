"""Where networks in training are kept, so that an interrupted training goes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import optax

from whytrain._files import write_atomically
from whytrain._tensors import DamagedError, decode, encode
from whytrain.dynamics.trained import MOMENTUM, Trained, from_arrays
from whytrain.errors import UserError
from whytrain.networks import ImageNetwork


@runtime_checkable
class Checkpoint(Protocol):
    """A place for arrays by name; what is written there is there whole, or not at all."""

    def read(self) -> dict[str, np.ndarray] | None:
        """Give what was written last, or `None` if there is nothing."""
        ...

    def write(self, arrays: dict[str, np.ndarray]) -> None:
        """Keep arrays, in place of what was there."""
        ...


@dataclass(frozen=True)
class CheckpointFile:
    """A safetensors file with a checksum.

    Attributes:
        path: The file; it need not be there yet.
    """

    path: Path

    def __str__(self) -> str:
        return f"the checkpoint {self.path}"

    def read(self) -> dict[str, np.ndarray] | None:
        """Give what is in the file, or `None` if there is no such file.

        Raises:
            UserError: The file cannot be read, is damaged, or is no checkpoint.
        """
        try:
            return decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, DamagedError) as error:
            raise UserError(f"cannot read {self}: {error}") from error

    def write(self, arrays: dict[str, np.ndarray]) -> None:
        """Put a file there.

        Raises:
            UserError: The place does not take it.
        """
        try:
            write_atomically(self.path, encode(arrays))
        except OSError as error:
            raise UserError(f"cannot write {self}: {error.strerror or error}") from error


def save_checkpoint(path: str | Path, trained: Trained) -> None:
    """Write initial and present parameters, statistics, optimizer state and metrics.

    The arrays are named after their place: `initial/U`, `position/params/U`,
    `position/memory/...`, `metrics/train_loss`. The file appears whole or not at all.

    Raises:
        UserError: The place does not take it.

    Example:
        >>> import jax
        >>> from tempfile import TemporaryDirectory
        >>> from whytrain.data import load
        >>> from whytrain.dynamics import train
        >>> from whytrain.networks import TwoLayer
        >>> digits, keys = load("digits"), jax.random.split(jax.random.key(0), 2)
        >>> network = TwoLayer(digits.shape, width=8)
        >>> half = train(network, digits, keys, epochs=1, step_size=0.1)
        >>> with TemporaryDirectory() as directory:
        ...     save_checkpoint(f"{directory}/half.safetensors", half)
        ...     again = load_checkpoint(f"{directory}/half.safetensors", network)
        >>> whole = train(network, digits, keys, epochs=2, step_size=0.1, resume=again)
        >>> whole.epochs
        2
    """
    CheckpointFile(Path(path)).write(trained.arrays())


def load_checkpoint(
    path: str | Path, network: ImageNetwork, optimizer: optax.GradientTransformation = MOMENTUM
) -> Trained:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.
        network: The architecture that was trained.
        optimizer: The optimizer that trained it.

    Raises:
        UserError: The file cannot be read, is damaged, or is of another network or optimizer.
    """
    arrays = CheckpointFile(Path(path)).read()
    if arrays is None:
        raise UserError(f"cannot read the checkpoint {path}: there is no such file")
    try:
        return from_arrays(arrays, network, optimizer)
    except UserError as error:
        raise UserError(f"cannot go on from {path}: {error}") from error
