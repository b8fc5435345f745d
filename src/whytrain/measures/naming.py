"""How leaves of a pytree and other things are called in messages; and whole numbers."""

import operator
from collections.abc import Sequence
from typing import Any

import jax

from whytrain.errors import UserError

_SHOWN = 3  # names in a message


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
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def check_whole(name: str, value: Any, least: int) -> None:
    """Check a number that counts.

    Raises:
        UserError: It is no whole number, or less than `least`.
    """
    try:
        fine = operator.index(value) >= least
    except TypeError:
        fine = False
    if not fine:
        raise UserError(f"{name} must be {least} or more, a whole number, got {value!r}")
