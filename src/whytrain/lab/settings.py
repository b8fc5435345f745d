"""The settings of an experiment: declared once, checked once, hashed the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

from whytrain.errors import UserError, nearest

Scalar = int | float | bool | str

# The type of a setting that may be given as None, which `check` then replaces: `Derived[float]` is
# `float` to whoever reads it.
if TYPE_CHECKING:
    _Type = TypeVar("_Type")
    Derived = Annotated[_Type, "None is replaced"]
else:
    Derived = Optional

_LARGEST_INTEGER = 2**63 - 1


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    exclusive: bool = False,
) -> Any:
    """Declare a field of a `Settings` class.

    Args:
        default: Its value when the user gives none. `None` stands for a default derived from other
            settings, which `doc` states and `check` fills in; annotate the field `Derived[...]`.
        doc: What it means, in one line.
        unit: Its unit, if it has one.
        low: The least value allowed.
        high: The greatest value allowed.
        choices: The words allowed, for a field of type `str`.
        exclusive: Whether `low` and `high` are themselves forbidden.

    Returns:
        A dataclass field.
    """
    choices = tuple(choices) if choices else None
    rule = {"low": low, "high": high, "choices": choices, "exclusive": exclusive}
    return dataclasses.field(default=default, metadata={"doc": doc, "unit": unit, **rule})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every experiment's settings: a frozen dataclass whose fields come from `setting`.

    Making one checks every field, so that settings which exist are settings which can be run.

    Raises:
        UserError: If a value has the wrong type or is out of its range, or `check` fails.

    Example:
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class Walk(Settings):
        ...     steps: int = setting(100, "number of steps", low=1)
        ...     drift: float = setting(0.0, "mean of a step", low=-1, high=1)
        >>> Walk(drift=1)
        Walk(steps=100, drift=1.0)
        >>> parse(Walk, ["steps=1e3"])
        Walk(steps=1000, drift=0.0)
    """

    if TYPE_CHECKING:
        _given: typing.ClassVar[dict[str, Any]]  # by whoever made it, without the derived ones

    def __post_init__(self) -> None:
        check_class(type(self))
        for field in dataclasses.fields(self):
            value = _checked(type(self), field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        object.__setattr__(
            self, "_given", {k: v for k, v in as_dict(self).items() if v is not None}
        )
        try:
            self.check()
        except (UserError, Warning):
            raise
        except Exception as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"the check of {type(self).__name__} fails: {words}") from error

    def check(self) -> None:
        """Check rules that span several fields; subclasses raise `UserError` or warn here."""

    def derive(self, name: str, value: Scalar) -> None:
        """Fill in a default that depends on other settings; for `check`.

        Args:
            name: The field, which stays as it is unless it is None.
            value: Its default, which must be allowed like any value.

        Raises:
            UserError: If it is not allowed.
        """
        if getattr(self, name) is None:
            object.__setattr__(self, name, check_value(type(self), name, value))

    def but(self, **changes: Any) -> Settings:
        """The same settings with other values; defaults that are derived follow.

        Args:
            **changes: Values by the name of a field.

        Raises:
            UserError: If there is no such field, or a value is not allowed.
        """
        for name in changes:
            check_name(type(self), name)
        return type(self)(**{**self._given, **changes})


def check_class(cls: type[Settings]) -> None:
    """Refuse a class whose settings would go unseen, as it is no dataclass.

    Args:
        cls: The class of settings.

    Raises:
        UserError: If it, or one that it is made of, has settings and not the decorator.
    """
    for part in cls.__mro__:
        declared = [k for k, v in vars(part).items() if isinstance(v, dataclasses.Field)]
        if issubclass(part, Settings):  # the decorator puts defaults in the place of the fields
            fields = part.__dict__.get("__dataclass_fields__", {})
            types = inspect.get_annotations(part)  # or words for them
            declared += [k for k in types if k not in fields and "ClassVar" not in str(types[k])]
        if declared := list(dict.fromkeys(declared)):
            raise UserError(
                f"{part.__name__} has settings ({', '.join(declared)}) and is no dataclass; put "
                f"@dataclass(frozen=True, kw_only=True) above class {part.__name__}"
            )


SettingsType = TypeVar("SettingsType", bound=Settings)


def parse(cls: type[SettingsType], pairs: Sequence[str]) -> SettingsType:
    """Make settings from words like `k=25`, as they come from a command line.

    Args:
        cls: The class of settings.
        pairs: Words of the form `NAME=VALUE`; the last one of a name counts. `VALUE` is `none` for
            a derived default.

    Returns:
        The settings, with defaults for what is not named.

    Raises:
        UserError: If a name is unknown or a value cannot be read or is not allowed.
    """
    return cls(**{name: read_value(cls, name, text) for name, text in split_pairs(pairs).items()})


def split_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Take words like `k=25` apart.

    Args:
        pairs: Words of the form `NAME=VALUE`; the last one of a name counts.

    Raises:
        UserError: If a word has another form.
    """
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UserError(f"a setting is written NAME=VALUE, got {pair!r}")
        found[name.strip()] = text.strip()
    return found


def read_value(cls: type[Settings], name: str, text: str) -> Scalar | None:
    """Read one value of the command line.

    Args:
        cls: The class of settings.
        name: The field's name.
        text: What was written.

    Raises:
        UserError: If there is no such field, or the value is not allowed.
    """
    return check_value(cls, name, _read(cls, check_name(cls, name), text.strip()))


def check_value(cls: type[Settings], name: str, value: Any) -> Scalar | None:
    """Bring one value to the type of its field, or refuse it.

    Args:
        cls: The class of settings.
        name: The field's name.
        value: The value.

    Returns:
        The value as the settings will hold it.

    Raises:
        UserError: If there is no such field, or the value is not allowed.
    """
    return _checked(cls, check_name(cls, name), value)


def check_name(cls: type[Settings], name: str) -> dataclasses.Field:
    """Find a setting by name.

    Args:
        cls: The class of settings.
        name: The field's name.

    Returns:
        The field.

    Raises:
        UserError: If there is no such field.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if name not in fields:
        hint = nearest(name, fields) or f"; the settings are {', '.join(fields)}"
        raise UserError(f"unknown setting {name!r}{hint}")
    return fields[name]


def as_dict(settings: Settings) -> dict[str, Scalar | None]:
    """Give the settings as plain values that JSON can hold, in the order of declaration.

    Args:
        settings: The settings.

    Returns:
        A new dictionary from field name to value.
    """
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def fingerprint(*parts: Any) -> str:
    """Hash JSON-able values to a name that is the same on every machine and in every process.

    Args:
        *parts: Values that JSON can hold. Their order counts, that of dictionary keys does not.

    Returns:
        A SHA-256 digest in hexadecimal.

    Example:
        >>> fingerprint("a", {"x": 1, "y": 2}) == fingerprint("a", {"y": 2, "x": 1})
        True
    """
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@functools.cache
def value_type(cls: type[Settings], name: str) -> tuple[type, bool]:
    """Read the type of a field from its annotation.

    Args:
        cls: The class of settings.
        name: The field's name.

    Returns:
        Its type (`int`, `float`, `bool` or `str`), and whether `None` is allowed too.

    Raises:
        UserError: If the annotation is anything else (a mistake in the study).
    """
    hint = typing.get_type_hints(cls)[name]
    options = set(typing.get_args(hint)) if _is_union(hint) else {hint}
    optional = type(None) in options
    kinds = options - {type(None)}
    if len(kinds) != 1 or not kinds <= {int, float, bool, str}:
        raise UserError(f"{cls.__name__}.{name}: a setting is int, float, bool or str, not {hint}")
    return kinds.pop(), optional


def allowed(cls: type[Settings], field: dataclasses.Field) -> str:
    """Say in words what a field accepts.

    Args:
        cls: The class of settings.
        field: One of its fields.

    Returns:
        A phrase such as `an integer >= 1`.
    """
    kind, optional = value_type(cls, field.name)
    rule = field.metadata
    if rule.get("choices"):
        words = " or ".join(map(repr, rule["choices"]))
    elif kind is bool:
        words = "true or false"
    else:
        noun = {int: "an integer", float: "a finite number", str: "a word"}[kind]
        words = noun + _range_in_words(rule)
    return f"{words}, or none" if optional else words


def meaning(cls: type[Settings], field: dataclasses.Field) -> str:
    """Say in words what a field means and accepts.

    Args:
        cls: The class of settings.
        field: One of its fields.
    """
    unit = f" [{field.metadata['unit']}]" if field.metadata.get("unit") else ""
    return f"{field.metadata.get('doc', '')}{unit}: {allowed(cls, field)}"


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _range_in_words(rule: Mapping[str, Any]) -> str:
    equal = "" if rule.get("exclusive") else "="
    low, high = rule.get("low"), rule.get("high")
    bounds = [] if low is None else [f">{equal} {low:.6g}"]
    bounds += [] if high is None else [f"<{equal} {high:.6g}"]
    return " " + " and ".join(bounds) if bounds else ""


def _refuse(cls: type[Settings], field: dataclasses.Field, value: Any) -> UserError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return UserError(f"setting {field.name!r} must be {allowed(cls, field)}, got {shown}")


def _checked(cls: type[Settings], field: dataclasses.Field, value: Any) -> Scalar | None:
    """Bring a value to its field's own type, or refuse it."""
    kind, optional = value_type(cls, field.name)
    if value is None and optional:
        return None
    converted = _CONVERT[kind](value)
    if converted is None or not _within(field.metadata, converted):
        raise _refuse(cls, field, value)
    return converted


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ == "bool"  # NumPy's own bool too


def _is_finite(value: Any) -> bool:
    if _is_bool(value) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _to_bool(value: Any) -> bool | None:
    return bool(value) if _is_bool(value) else None


def _to_int(value: Any) -> int | None:
    whole = _is_finite(value) and int(value) == value and abs(value) <= _LARGEST_INTEGER
    return int(value) if whole else None


def _to_float(value: Any) -> float | None:
    return float(value) + 0.0 if _is_finite(value) else None  # + 0.0: -0.0 is the setting 0.0


def _to_str(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


_CONVERT: dict[type, Callable[[Any], Scalar | None]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_str,
}


def _within(rule: Mapping[str, Any], value: Scalar) -> bool:
    if rule.get("choices"):
        return value in rule["choices"]
    if isinstance(value, str):
        return True
    low, high = rule.get("low"), rule.get("high")
    if rule.get("exclusive"):
        return (low is None or value > low) and (high is None or value < high)
    return (low is None or value >= low) and (high is None or value <= high)


def _read(cls: type[Settings], field: dataclasses.Field, text: str) -> Scalar | None:
    """Read one value of the command line."""
    kind, optional = value_type(cls, field.name)
    if optional and text.lower() == "none":
        return None
    try:
        return _READ[kind](text)
    except (ValueError, KeyError):
        raise _refuse(cls, field, text) from None


def _read_int(text: str) -> int | float:
    """Read `1000` exactly, and `1e3` for convenience; what is no integer is refused later."""
    try:
        return int(text)
    except ValueError:
        return float(text)


_READ: dict[type, Callable[[str], Scalar]] = {
    bool: lambda text: {"true": True, "false": False}[text.lower()],
    int: _read_int,
    float: float,
    str: str,
}
