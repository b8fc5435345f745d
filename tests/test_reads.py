"""What a function reads is told by its code: any change of it is seen, or said to be unsure."""

import functools
import math
import random
import time
import types
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from whytrain._reads import UnsureError, read
from whytrain.landscapes import Landscape

scale, array, pair, calls, table = 2.0, np.ones(3), (1, 2.0), [], {"a": 1.0}
own = types.ModuleType("own")
own.scale = 1.0


def inner(w):
    return scale * jnp.sum(w)


def outer(w):
    return inner(w) ** 2


def of_closure(by):
    return lambda w: by * w


def with_default(by=1.0):
    return lambda w, by=by: by * w


class Bowl(Landscape):
    by: float
    power = 2

    def loss(self, params):
        return self.helped(params) * scale

    def helped(self, params):
        return jnp.sum(params**self.power) * self.by


class Steep(Bowl):
    def loss(self, params):
        return super().loss(params) * 2


@dataclass(frozen=True)
class Plain:
    by: float

    @property
    def twice(self):
        return 2 * self.by


class Pair(NamedTuple):
    a: float
    b: float = 2.0

    @property
    def sum(self):
        return (self.a + self.b) * scale


class Undeclared:
    def __init__(self):
        self.by = 1.0


@jax.custom_jvp
def ruled(w):
    return w


@ruled.defjvp
def rule(primals, tangents):
    return primals[0], scale * tangents[0]


plain, of_pair, undeclared = Plain(1.0), Pair(1.0), Undeclared()

# A function, and what is set to something else: (where, name, value).
SEEN = {
    "a number": (lambda w: scale * w, (globals(), "scale", 3.0)),
    "an integer that was a float": (lambda w: scale * w, (globals(), "scale", 2)),
    "zero's sign": (lambda w: scale * w, (globals(), "scale", -2.0)),
    "an array": (lambda w: array * w, (globals(), "array", np.array([1.0, 1, 2]))),
    "an array's type": (lambda w: array * w, (globals(), "array", np.ones(3, np.float32))),
    "an array's shape": (lambda w: array * w, (globals(), "array", np.ones((3, 1)))),
    "an array of JAX": (lambda w: array * w, (globals(), "array", jnp.ones(3))),
    "a tuple": (lambda w: pair[0] * w, (globals(), "pair", (1, 3.0))),
    "a function's number": (outer, (globals(), "scale", 3.0)),
    "a function": (outer, (globals(), "inner", lambda w: jnp.sum(w))),
    "within a program": (jax.jit(outer), (globals(), "scale", 3.0)),
    "a gradient": (jax.grad(outer), (globals(), "scale", 3.0)),
    "a checkpoint": (jax.checkpoint(outer), (globals(), "scale", 3.0)),
    "a batch": (jax.vmap(outer), (globals(), "scale", 3.0)),
    "some arguments": (functools.partial(outer), (globals(), "scale", 3.0)),
    "a nested function": (lambda w: (lambda v: scale * v)(w), (globals(), "scale", 3.0)),
    "a comprehension": (lambda w: sum(scale * v for v in w), (globals(), "scale", 3.0)),
    "a landscape's number": (Bowl(1.0), (globals(), "scale", 3.0)),
    "a method": (Bowl(1.0).loss, (globals(), "scale", 3.0)),
    "a class's number": (Bowl(1.0), (Bowl, "power", 3)),
    "a class's method": (Bowl(1.0), (Bowl, "helped", lambda self, params: params)),
    "a base's number": (Steep(1.0), (Bowl, "power", 3)),
    "a bound global": (lambda w: plain.by * w, (globals(), "plain", Plain(2.0))),
    "a property": (lambda w: plain.twice * w, (Plain, "twice", property(lambda self: 3))),
    "a named tuple": (lambda w: of_pair.sum * w, (globals(), "of_pair", Pair(1.0, 3.0))),
    "a named tuple's property": (lambda w: of_pair.sum * w, (globals(), "scale", 3.0)),
    "a rule for derivatives": (lambda w: ruled(w), (globals(), "scale", 3.0)),
    "a module's number": (lambda w: own.scale * w, (own, "scale", 3.0)),
    "an object's number": (lambda w: undeclared.by * w, (undeclared, "by", 3.0)),
    "a list": (lambda w: w if calls else 2 * w, (globals(), "calls", [1])),
    "a dictionary": (lambda w: table["a"] * w, (globals(), "table", {"a": 2.0})),
    "an optimizer's mask": (optax.masked(optax.sgd(1.0), outer), (globals(), "scale", 3.0)),
    "a name that comes": (lambda w: w if "later" else later * w, (globals(), "later", 3.0)),  # noqa: F821
    "a module's alias": (lambda w: jnp.sum(w), (globals(), "jnp", np)),
    "a builtin": (lambda w: abs(w), (globals(), "abs", lambda w: w)),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_a_change_is_seen(name, monkeypatch):
    function, (place, key, value) = SEEN[name]
    try:
        first = read(function)
    except UnsureError:
        return
    assert read(function) == first
    if isinstance(place, dict):
        monkeypatch.setitem(place, key, value)
    else:
        monkeypatch.setattr(place, key, value)
    try:
        assert read(function) != first
    except UnsureError:
        return
    monkeypatch.undo()
    assert read(function) == first


def test_most_is_seen_without_a_trace():
    unsure = set()
    for name, (function, _) in SEEN.items():
        try:
            read(function)
        except UnsureError:
            unsure.add(name)
    assert unsure == {"a module's number", "an object's number", "a list", "a dictionary"}


def test_what_is_changed_in_place_is_seen(monkeypatch):
    held = np.ones(3)
    function = of_closure(held)
    first = read(function)
    held[1] = 2
    assert read(function) != first


def test_closures_and_defaults_are_told_apart():
    assert read(of_closure(1.0)) == read(of_closure(1.0)) != read(of_closure(2.0))
    assert read(with_default(1.0)) == read(with_default(1.0)) != read(with_default(2.0))
    assert read(of_closure(outer)) != read(of_closure(inner))
    assert read(Bowl(1.0)) == read(Bowl(1.0)) != read(Bowl(2.0))
    assert read(Plain(1.0)) != read(Plain(2.0)) != read(2.0)


def test_structures_are_told_apart():
    def of(tree):
        return read(jax.tree.structure(tree))

    layer = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    trees = ({"a": 1}, {"b": 1}, {"a": (1,)}, (1,), [1], (1, 1), None, layer)
    assert len({of(tree) for tree in trees}) == len(trees)
    assert of({"a": 1}) == of({"a": 2.0})


def imports(w):
    import own_module

    return own_module.scale * w


def keeps_count(w):
    global scale
    scale = scale + 1
    return w


def of_an_outer_name():
    n = 0

    def counts(w):
        nonlocal n
        n += 1
        return w

    return counts


def notes(w):
    notes.calls = 1
    return w


def pretends(w):
    return scale * w


@pytest.mark.parametrize(
    "function",
    [
        imports,
        keeps_count,
        of_an_outer_name(),
        notes,
        lambda w: w * time.time(),
        lambda w: w * random.random(),
        lambda w: w * np.random.normal(),
        lambda w: w * np.load("weights.npy"),
        lambda w: w * eval("scale"),
        lambda w: w * getattr(own, "scale"),  # noqa: B009
        lambda w: w * globals()["scale"],
        lambda w: w * len(open("scale").read()),  # noqa: SIM115
        of_closure(np.random.default_rng(0)),
        of_closure(Undeclared()),
        of_closure({"a": 1}),
        of_closure(own),
        functools.wraps(jnp.tanh)(lambda w: w * time.time()),
        eqx.filter_jit(lambda w: w * time.time()),
    ],
)
def test_what_cannot_be_seen_is_said(function):
    with pytest.raises(UnsureError):
        read(function)


def test_a_name_of_a_package_makes_no_code_the_package_s(monkeypatch):
    monkeypatch.setattr(pretends, "__module__", "jax.numpy")
    monkeypatch.setattr(pretends, "__qualname__", "tanh")
    first = read(pretends)
    monkeypatch.setitem(globals(), "scale", 3.0)
    assert read(pretends) != first


@pytest.mark.parametrize(
    "known",
    [
        jnp.tanh, jnp.add, jax.nn.gelu, jax.nn.relu, math.exp, np.tanh, optax.adam(1e-3),
        jax.random.key(0), jnp.linalg.norm, jax.lax.dot, None, jnp.float32, np.float64(1.0),
    ],
)  # fmt: skip
def test_what_packages_hold_is_known(known):
    assert read(known) == read(known)


def test_a_function_that_calls_itself_ends():
    def again(w):
        return again(w) if w is None else w

    assert read(again) == read(again)


def test_values_of_a_trace_are_not_seen():
    def traced(w):
        with pytest.raises(UnsureError):
            read(of_closure(w))
        return w

    jax.make_jaxpr(traced)(1.0)
