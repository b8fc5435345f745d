"""Names that are loaded when they are first used, so that importing a package costs nothing."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's `__getattr__` and `__dir__`.

    Args:
        package: The package's name.
        home: For each public name the module that has it; no module is called as a name in it.

    Returns:
        Both functions.

    Example:
        >>> get, names = lazily("numbers", {"sqrt": "math"})
        >>> get("sqrt")(4.0), names()
        (2.0, ['sqrt'])
    """

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home[name]), name)

    return get, lambda: sorted(home)
