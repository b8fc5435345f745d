"""Names that are loaded when they are first used, so that importing a package costs nothing."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


class _Later:
    """A module before it is imported."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def later(name: str) -> Any:
    """A module that is imported when something of it is first asked for.

    For libraries that take long to import, and that most commands have no use for.

    Example:
        >>> math = later("math")
        >>> math.sqrt(4.0)
        2.0
    """
    return _Later(name)


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
