"""What every gate does with code that somebody else wrote: whatever fails is told in one line."""

from collections.abc import Callable
from typing import Any

FAR = 5.0
"""Standard errors, beyond which no right number lies: once in two million numbers."""


def name_of(thing: Any) -> str:
    """What a function or an object is called in messages."""
    return getattr(thing, "__name__", None) or type(thing).__name__


def tried(what: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """What a function gives.

    Raises:
        AssertionError: It fails.
    """
    try:
        return function(*args, **named)
    except Exception as error:  # the code is the user's
        told = " ".join(str(error).split())[:200]
        raise AssertionError(f"{what} fails: {type(error).__name__}: {told}") from error
