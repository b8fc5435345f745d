"""Numbers of whatever library, as float64 of NumPy, and names as they are shown in messages."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from whytrain.errors import UserError

_SHOWN = 8  # names in a message


def as_float64(array: Any, of: str = "an array") -> np.ndarray:
    """An array of NumPy, JAX or PyTorch, on any device, as float64 of NumPy.

    Args:
        array: The array.
        of: What it is, for messages.

    Returns:
        Its numbers.

    Raises:
        UserError: It does not hold real numbers: words, dates and complex numbers are not made
            into some.

    Example:
        >>> as_float64([1, 2]).dtype
        dtype('float64')
    """
    try:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(array, torch.Tensor):
            array = array.detach().cpu()
            array = array.numpy() if array.is_complex() else array.double().numpy()
        array = np.asarray(array)
        if array.dtype.kind in "cmMOSU" or array.dtype.names:
            raise UserError(f"{of} must be real numbers, got {array.dtype}")
        return array.astype(np.float64, copy=False)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{of} must be an array of real numbers ({words(error)})") from error


def check_finite(values: Any, name: str = "") -> None:
    """Refuse nested numbers one of which is not finite; None stands for no number.

    Raises:
        UserError: Naming it.
    """
    if isinstance(values, Mapping):
        for key, value in values.items():
            check_finite(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        for i, value in enumerate(values):
            check_finite(value, f"{name}.{i}")
    elif values is not None and not isinstance(values, str) and not np.isfinite(values).all():
        raise UserError(
            f"{name} is no number in float64: weights or inputs are too large or too small; are "
            "the checkpoints and the inputs those of one network, and is its margin not tiny?"
        )


def words(error: BaseException) -> str:
    """What an error says, in one line of no great length."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def shown(names: Iterable[str]) -> str:
    """Some names, in one line whatever they hold.

    Example:
        >>> shown(["a", "b"]), shown([])
        ('a, b', 'nothing')
    """
    names = [plain(name) for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def plain(name: Any) -> str:
    """One name without what would break a line."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name))
    return text if len(text) <= 80 else f"{text[:77]}..."
