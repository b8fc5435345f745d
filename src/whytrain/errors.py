"""What goes wrong through the user's hand, and how it is said."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user, told in one line: the rule, the value that broke it, the likely fix.

    The command line prints the line and exits with status 2; it never shows a traceback for it.
    """


class KinkWarning(UserWarning):
    """A derivative was taken where there is none, and is what a convention says."""


class UnstableStepWarning(UserWarning):
    """A step size at which the linearized update does not contract."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known names that look most like a mistyped one.

    Args:
        name: What the user wrote.
        known: The names that would have been understood.

    Returns:
        An ending for an error message; empty where nothing is near.

    Example:
        >>> nearest("archtecture", ["architecture", "angle", "norm"])
        "; did you mean 'architecture'?"
    """
    matches = difflib.get_close_matches(name, list(known), n=2)
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""
