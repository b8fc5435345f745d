"""What users give, looked at: numbers of whatever library, names, whole numbers, seeds and keys."""

import contextlib
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from whytrain.errors import UserError

_SHOWN, _SOME = 8, 3  # names in a message


class Measured(Protocol):
    """What every instrument gives, so that one table, page or test can show any of them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not to be trusted about the numbers, a sentence each."""
        ...

    @property
    def checked(self) -> bool:
        """Whether what was measured is known to be the user's model."""
        ...

    def document(self) -> dict[str, Any]:
        """The numbers as values that JSON can hold."""
        ...


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
    # What NumPy, JAX and PyTorch raise for what has no numbers, among them sparse and meta tensors.
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{of} must be an array of real numbers ({words(error)})") from error


def check_finite(values: Any, name: str = "") -> None:
    """Refuse nested numbers one of which is not finite; None stands for no number."""
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


@contextlib.contextmanager
def in_one_line(what: str, help: str = "") -> Iterator[None]:
    """Tell in one line what of a user's own code, which runs in the block, went wrong.

    Args:
        what: What could not be done.
        help: What is told after the error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever the user's code or a library makes of it
        raise UserError(f"{what}: {type(error).__name__}: {words(error)}{help}") from error


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


def name_of(path: tuple) -> str:
    """The way to a leaf: `layers/0/weight`; `params` for a tree that is one leaf."""
    return jax.tree_util.keystr(path, simple=True, separator="/") or "params"


def a(thing: Any) -> str:
    """What a thing is that should be another."""
    if isinstance(thing, type):
        return f"the class {thing.__name__} (an instance is wanted)"
    kind = type(thing)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}."
    return f"an object of type {where}{kind.__name__}"


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _SOME
    return ", ".join(names[:_SOME]) + (f" and {more} more" if more > 0 else "")


def check_whole(name: str, value: Any, least: int) -> None:
    """Check a number that counts."""
    try:
        fine = operator.index(value) >= least
    except TypeError:
        fine = False
    if not fine:
        raise UserError(f"{name} must be {least} or more, a whole number, got {value!r}")


def check_number(name: str, value: Any) -> None:
    """Check that something is one real number, so that it can be compared.

    Example:
        >>> check_number("angle", "20")
        Traceback (most recent call last):
        ...
        whytrain.errors.UserError: angle must be real numbers, got <U2
    """
    if (shape := as_float64(value, name).shape) != ():
        raise UserError(f"{name} must be one number, got an array of shape {shape}")


def generator(seed: Any, key: Any) -> np.random.Generator:
    """NumPy's generator for a seed, or for a key where there is one.

    Args:
        seed: An integer, 0 or more, or a key.
        key: A key, or an integer, that goes before the seed; or None.

    Returns:
        The generator.

    Raises:
        UserError: It is neither.

    Example:
        >>> draws = [generator(*given).integers(100) for given in ((3, None), (0, 3))]
        >>> bool(draws[0] == draws[1])
        True
    """
    found = _known(seed if key is None else key)
    if isinstance(found, int):
        return np.random.default_rng(found)
    return np.random.default_rng(np.asarray(jax.random.key_data(found)))


def jax_key(seed: Any, key: Any) -> Array:
    """A JAX key for a seed, or the key where there is one; see `generator`."""
    found = _known(seed if key is None else key)
    return jax.random.key(found) if isinstance(found, int) else found


def _known(given: Any) -> Any:
    array = isinstance(given, np.ndarray | np.generic | jax.Array)
    if array and given.shape == () and jnp.issubdtype(given.dtype, jax.dtypes.prng_key):
        return given
    if array and given.shape == (2,) and given.dtype == np.uint32:  # what jax.random.PRNGKey makes
        return jax.random.wrap_key_data(jnp.asarray(given))
    whole = array and given.shape == () and np.issubdtype(given.dtype, np.integer)
    if whole or (isinstance(given, int) and not isinstance(given, bool)):
        if not 0 <= int(given) < 2**63:
            raise UserError(f"a seed must be an integer from 0 to 2^63 - 1, got {int(given)}")
        return int(given)
    what = f"an array of {given.dtype}, shape {given.shape}" if array else repr(given)
    raise UserError(f"a seed is an integer, a key what jax.random.key(0) makes; got {what:.100}")
