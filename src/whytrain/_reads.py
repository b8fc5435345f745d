"""All that a function reads when it is called, where its code tells that without a call.

What a Python function computes follows from its code and from what that reads by name: closures,
globals, defaults, the fields of objects. A checksum of all of it tells in some ten microseconds
whether anything has changed; a trace takes a hundred times as long.
"""

import builtins
import dis
import functools
import hashlib
import marshal
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class UnsureError(Exception):
    """Something is read that might change without being seen here."""


# What a module of these holds does not change. Numbers that NumPy draws do.
_PACKAGES = {
    "whytrain", "jax", "jaxlib", "numpy", "optax", "equinox", "diffrax", "flax", "jaxtyping",
    "builtins", "math", "cmath", "functools", "itertools", "operator", "typing", "collections",
    "dataclasses", "abc", "types",
}  # fmt: skip
_BUILTINS = {  # names that read nothing; of errors, those that code may raise
    "abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "filter", "float",
    "frozenset", "int", "isinstance", "issubclass", "len", "list", "map", "max", "min", "next",
    "iter", "pow", "range", "reversed", "round", "set", "slice", "sorted", "str", "sum", "super",
    "tuple", "type", "zip", "property", "staticmethod", "classmethod", "object",
    "NotImplementedError", "ValueError", "TypeError", "RuntimeError", "AssertionError",
    "KeyError", "IndexError", "AttributeError", "NotImplemented", "Ellipsis",
}  # fmt: skip
_PLAIN = {bool, int, float, complex, str, bytes, type(None), type(...)}
_UNREAD = {  # entries of a class that hold no code of its methods
    "__module__", "__doc__", "__annotations__", "__dict__", "__weakref__", "__dataclass_fields__",
    "__dataclass_params__", "__match_args__", "__abstractmethods__", "__abstractvars__",
    "__abstractclassvars__", "_abc_impl", "__parameters__", "__orig_bases__", "__slots__",
    "__repr__",
}  # fmt: skip
_OF_TUPLES = {
    "__new__", "__repr__", "__getnewargs__", "_make", "_replace", "_asdict", "_fields",
    "_field_defaults", "__replace__",
}  # fmt: skip
_FILES = {"load", "loadtxt", "genfromtxt", "fromfile", "memmap"}  # names of what reads one
_HEAP = 1 << 9  # the flag of a type that can be changed
_MADE = {"__init__", "__eq__", "__repr__", "__hash__", "__setattr__", "__delattr__"}


def _codes(*names: str) -> set[int]:
    return {dis.opmap[name] for name in names}


_IMPORTS = _codes("IMPORT_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
_NOTES = _codes("STORE_ATTR", "DELETE_ATTR"), _codes("STORE_DEREF", "DELETE_DEREF")


def read(*things: Any) -> bytes:
    """A checksum of all that functions, and functions in objects, read.

    Raises:
        UnsureError: Not all of it can be seen: a module that is none of a few known ones, a list or
            a dictionary that a name leads to, an object that is no dataclass, an import in a
            function. Whoever asks looks at a trace instead.
    """
    reading = _Reading()
    for thing in things:
        reading.take(thing)
    return reading.found.digest()


class _Reading:
    """A checksum of what was seen so far, and that with its place: an id is used again."""

    def __init__(self) -> None:
        self.found = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}

    def say(self, *words: Any) -> None:
        self.found.update(f"{words!r};".encode())

    def take(self, thing: Any) -> None:
        """Add a thing, and all that it may read."""
        if type(thing) in _PLAIN:
            self.say(type(thing).__name__, thing)
        elif id(thing) in self.seen:
            self.say("again", self.seen[id(thing)][0])
        else:
            self.seen[id(thing)] = (len(self.seen), thing)
            self.take_new(thing)

    def take_new(self, thing: Any) -> None:
        kind: Any = type(thing)
        if isinstance(thing, ModuleType):
            if not _is_package(thing.__name__) or thing.__name__.startswith("numpy.random"):
                raise UnsureError(thing.__name__)
            self.say("module", thing.__name__)
        elif isinstance(thing, np.ndarray | np.generic | jax.Array):
            self.take_array(thing)
        elif _is_known(thing):
            self.say("known", thing.__module__, _name(thing))
        elif isinstance(thing, FunctionType):
            self.take_function(thing)
        elif isinstance(thing, type):
            self.take_class(thing)
        elif isinstance(thing, Mapping | list | tuple | set | frozenset):
            self.take_container(thing)
        elif isinstance(thing, MethodType) or _is_bound(thing):
            self.take_all("method", thing.__func__, thing.__self__)
        elif isinstance(thing, functools.partial):
            self.take_all("partial", thing.func, thing.args, thing.keywords)
        elif isinstance(thing, property):
            self.take_all("property", thing.fget)
        elif isinstance(thing, staticmethod | classmethod):
            self.take_all(kind.__name__, thing.__func__)
        elif kind is jax.tree_util.PyTreeDef:
            self.take_all("tree", thing.node_data(), *thing.children())
        elif isinstance(thing, np.dtype | range):
            self.say(kind.__name__, str(thing))
        elif kind is object or _is_bare(thing):
            self.say("bare", kind.__module__, kind.__qualname__)
        elif is_dataclass(thing) and _held(thing) <= {one.name for one in fields(thing)}:
            self.take_all("fields", kind, *(getattr(thing, f.name, None) for f in fields(thing)))
        elif kind.__name__ == "PjitFunction":
            self.take_all("jit", getattr(thing, "__wrapped__", None))
        elif isinstance(thing, jax.custom_jvp | jax.custom_vjp):
            self.take_all("custom", kind, vars(thing))
        else:
            raise UnsureError(kind.__qualname__)

    def take_all(self, word: str, *things: Any) -> None:
        self.say(word, len(things))
        for thing in things:
            self.take(thing)

    def take_array(self, thing: Any) -> None:
        if isinstance(thing, Tracer) or thing.dtype == object:
            raise UnsureError("values that cannot be seen")
        key = isinstance(thing, jax.Array) and jnp.issubdtype(thing.dtype, jax.dtypes.prng_key)
        held = np.asarray(jax.random.key_data(thing) if key else thing)
        self.say("array", str(thing.dtype), held.shape, getattr(thing, "weak_type", False))
        self.found.update(np.ascontiguousarray(held).view(np.uint8).data if held.size else b"")

    def take_container(self, thing: Any) -> None:
        self.take_all("container", type(thing), len(thing))
        if _held(thing):
            raise UnsureError("a container with attributes")
        if isinstance(thing, set | frozenset):
            thing = sorted(thing, key=repr)  # of what is plain; all else has no order
            if not all(type(one) in _PLAIN for one in thing):
                raise UnsureError("a set of objects")
        for one in thing:
            self.take(one)
            if isinstance(thing, Mapping):
                self.take(thing[one])

    def take_class(self, kind: type) -> None:
        """The methods and the numbers that stand in a class and in those that it extends."""
        for one in (type(kind), *kind.__mro__):
            self.say("class", one.__module__, one.__qualname__)
            if _is_known(one):
                continue
            names = getattr(one, "_fields", ()) if issubclass(one, tuple) else ()
            self.take_all("names", names, getattr(one, "_field_defaults", None))
            unread = _UNREAD.union(_OF_TUPLES, names) if names else _UNREAD
            for name, held in vars(one).items():
                if name not in unread and not _is_made(held):
                    self.say("entry", name)
                    self.take_named(held)

    def take_function(self, function: FunctionType) -> None:
        self.take_all("function", function.__defaults__, function.__kwdefaults__, vars(function))
        for cell in function.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError as error:
                raise UnsureError("a name that has no value yet") from error
            self.take_named(held)
        code, names = function.__code__, function.__globals__
        if _is_package(names.get("__name__")):  # what it reads does not change but for the above
            self.say(names["__name__"], code.co_qualname, code.co_firstlineno)
        else:
            self.take_code(code, names)

    def take_code(self, code: CodeType, names: dict[str, Any]) -> None:
        _check_sure(code)
        self.found.update(marshal.dumps(code, 2))
        for name in code.co_names:  # of globals, of builtins and of attributes alike
            if name in names:
                if names[name] is np and "random" in code.co_names:
                    raise UnsureError("numbers that NumPy draws")
                self.say("global", name)
                self.take_named(names[name])
            elif name in vars(builtins) and name not in _BUILTINS:
                raise UnsureError(name)
        for held in code.co_consts:
            if isinstance(held, CodeType):
                self.take_code(held, names)

    def take_named(self, thing: Any) -> None:
        """What a name leads to: a list there is often one in which something is noted."""
        if isinstance(thing, Mapping | list | set):
            raise UnsureError("a list or a dictionary that a name leads to")
        self.take(thing)


def _check_sure(code: CodeType) -> None:
    """Refuse code that reads what has no name, or that may change what it reads."""
    steps = set(code.co_code[::2])
    attributes, outer = _NOTES
    if steps & _IMPORTS or _FILES & set(code.co_names):
        raise UnsureError("an import, a file, or a global name that is changed")
    if steps & attributes and code.co_name not in ("__init__", "__post_init__"):
        raise UnsureError("an attribute that is changed")
    if steps & outer and code.co_freevars:
        raise UnsureError("a name of an outer function that is changed")


def _is_package(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _PACKAGES


def _is_known(thing: Any) -> bool:
    """Whether a thing is one that a package's module has under its own name, or a type in C."""
    if isinstance(thing, type) and not thing.__flags__ & _HEAP:
        return True
    module, name = getattr(thing, "__module__", None), _name(thing)
    if not (isinstance(module, str) and isinstance(name, str) and _is_package(module)):
        return False
    held: Any = sys.modules.get(module)
    for part in name.split("."):
        held = getattr(held, part, None)
    return held is thing


def _name(thing: Any) -> Any:
    return getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)


def _held(thing: Any) -> set[str]:
    return set(getattr(thing, "__dict__", ()))


def _is_bound(thing: Any) -> bool:
    """Whether a thing is what Equinox makes of a method."""
    return type(thing).__name__ == "BoundMethod" and _is_known(type(thing))


def _is_bare(thing: Any) -> bool:
    """Whether a thing is of a package's class and holds nothing: a word that stands for itself."""
    kind = type(thing)
    return (
        kind.__bases__ == (object,) and getattr(thing, "__dict__", None) == {} and _is_known(kind)
    )


def _is_made(thing: Any) -> bool:
    """Whether `dataclass` wrote a method: it follows from the fields."""
    code = getattr(thing, "__code__", None)
    return code is not None and code.co_filename == "<string>" and code.co_name in _MADE
