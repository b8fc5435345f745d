"""What `simulate` is asked: each argument as it is needed, or one line that says what is wrong."""

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt32

from whytrain._lazy import later
from whytrain.dynamics.methods import Flow, Method, State
from whytrain.dynamics.own import Own
from whytrain.errors import UserError, nearest
from whytrain.landscapes import Landscape, Reduction

optax = later("optax")

Observed = Callable | None  # None: a number that the landscape has by that name

_RESULTS = ("run", "time", "outcome", "steps", "stopped")

KEYS = "keys must be one random key a run, as of jax.random.split(jax.random.key(0), runs)"


def check_pair(landscape: Any, method: Any) -> None:
    """Refuse what is no landscape or no method, and a reduction under a method it is not for."""
    if not isinstance(landscape, Landscape):
        raise UserError(f"landscape must be a Landscape, got {_said(landscape)}")
    if not isinstance(method, Method | Flow):
        raise UserError(
            f"method must be a Method such as GradientDescent(0.1), got {_said(method)}"
        )
    if isinstance(method, Flow) and method.rule is None and type(method).velocity is Flow.velocity:
        raise UserError(f"{type(method).__name__} says neither its rule nor its velocity")
    if isinstance(landscape, Reduction) and method.rule not in landscape.exact_under:
        raise UserError(landscape.not_exact_under(type(method).__name__))


def checked_landscapes(landscape: Any) -> tuple[Any, ...]:
    """The landscapes of a list, of one kind with arrays of one shape; none for a single one."""
    if not isinstance(landscape, list | tuple):
        return ()
    if not landscape:
        raise UserError("landscape must be a Landscape, or a list of them, one a run; got none")
    first = _fixed(landscape[0])
    for place, one in enumerate(landscape):
        if _fixed(one) != first:
            raise UserError(
                "landscapes of one simulation must differ in the numbers of their arrays alone, "
                f"number {place} is of another kind than number 0; simulate each kind by itself"
            )
    return tuple(landscape)


def _fixed(landscape: Any) -> tuple:
    """What landscapes of one simulation share: all but the numbers in their arrays."""

    def kept(leaf: Any) -> Any:
        number = isinstance(leaf, float | np.generic | np.ndarray | jax.Array)
        return (np.shape(leaf), str(np.asarray(leaf).dtype)) if number else leaf

    leaves, structure = jax.tree.flatten(landscape)
    return structure, [kept(leaf) for leaf in leaves]


def checked_own(landscapes: tuple, keys: "Keys", runs: int, method: Any) -> Own:
    """What each run has of its own."""
    if len(landscapes) not in (0, runs):
        raise UserError(
            f"give one landscape, or a list of one a run: {runs}, got {len(landscapes)}"
        )
    if landscapes and (isinstance(method, Flow) or isinstance(landscapes[0], Reduction)):
        raise UserError("a flow, or a reduction, takes one landscape for all runs: loop over them")
    return Own(*keys, landscapes)


def checked_starts(landscape: Landscape, starts: PyTree, dtype: Any = np.float64) -> PyTree:
    """Starts as arrays of the precision, with a leading axis of runs in every leaf."""
    kind = landscape.parameters
    if kind is not None and not isinstance(starts, kind):
        raise UserError(
            f"starts of a {type(landscape).__name__} must be {_form(kind)}, with a leading axis of "
            f"runs in each field, got {_said(starts)}"
        )
    try:
        if any(np.ma.is_masked(leaf) for leaf in jax.tree.leaves(starts)):
            raise TypeError("some are masked; leave those runs out")
        starts = jax.tree.map(np.asarray, starts)
        if any(np.iscomplexobj(leaf) for leaf in jax.tree.leaves(starts)):
            raise TypeError("complex numbers; give real and imaginary part apart")
        starts = jax.tree.map(lambda leaf: leaf.astype(dtype, copy=False), starts)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"starts must hold numbers, each array with a leading axis of runs: {_line(error)}"
        ) from error
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(starts)}
    if len(counts) != 1 or counts == {0}:
        hint = "; a list is a pytree of its own: give an array" if _listed(starts) else ""
        raise UserError(
            f"starts must have the same leading axis of 1 or more runs in every array, got "
            f"{sorted(counts) or 'no array'}{hint}"
        )
    if not any(leaf.size for leaf in jax.tree.leaves(starts)):
        raise UserError("starts hold no parameter: their arrays have an axis of length 0")
    if isinstance(landscape, Reduction) and any(leaf.ndim != 1 for leaf in starts):
        raise UserError(
            f"each field of {_form(landscape.parameters)} must be one number a run, got shapes "
            f"{[leaf.shape for leaf in starts]}"
        )
    return starts


def checked_steps(steps: Any, flow: bool) -> Any:
    """A whole number of steps, or the end of a flow."""
    number = not isinstance(steps, bool) and isinstance(steps, int | float | np.number)
    if flow:
        if not number or not (0 < steps < np.inf):
            raise UserError(f"steps, the time at which a flow ends, must be > 0, got {steps!r}")
        return steps
    if not number or not 1 <= steps < 2**63 or steps != np.floor(steps):
        what = steps if number else repr(steps)
        raise UserError(f"steps must be 1 or more, got {what}: a whole number")
    return int(steps)


def checked_times(times: Any, steps: Any, flow: bool) -> np.ndarray:
    """Sorted times between 0 and `steps`."""
    try:
        given = np.asarray(times)
        numbers = np.unique(given.astype(np.float64))
    except (TypeError, ValueError):
        raise UserError(f"times must be numbers, got {times!r}") from None
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        raise UserError(f"times must be a list of numbers, got {times!r}")
    if len(numbers) == 0 or not (numbers[0] >= 0 and numbers[-1] <= steps):
        raise UserError(f"times must lie between 0 and steps = {steps}, got {numbers}")
    if flow:
        return np.unique(given)
    if (numbers != np.floor(numbers)).any():
        raise UserError(f"times must be whole steps, got {numbers[numbers != np.floor(numbers)]}")
    return numbers.astype(int)


class Keys(NamedTuple):
    """One random key a run, as the words it is made of, and the generator that it is for.

    Words, because each number of keys that is picked out of an array of keys is a program that JAX
    compiles.
    """

    words: UInt32[np.ndarray, "run word"]
    generator: Any


def checked_keys(keys: Any, runs: int) -> Keys:
    """One key a run; the numbers of the runs where none is given."""
    if keys is None:
        numbers = np.arange(runs, dtype=np.uint32)
        return Keys(np.stack([0 * numbers, numbers], axis=1), "threefry2x32")
    typed = isinstance(keys, jax.Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    old = not typed and getattr(keys, "dtype", None) == np.uint32 and np.shape(keys)[1:] == (2,)
    if not (typed or old):
        raise UserError(f"{KEYS}, got {_said(keys)}")
    if np.shape(keys)[:1] != (runs,) or (typed and keys.ndim != 1):
        raise UserError(f"{KEYS}; there are {runs} runs, got keys of shape {np.shape(keys)}")
    if old:
        return Keys(np.asarray(keys), "threefry2x32")
    return Keys(np.asarray(jax.random.key_data(keys)), jax.random.key_impl(keys))


def checked_number(name: str, value: Any) -> None:
    """Refuse a `block` or `threads` that is no whole number from 1 on."""
    if value is None:
        return
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise UserError(f"{name} must be a whole number from 1 on, got {value!r}")


def checked_extremes(extremes: Any) -> Sequence[str]:
    """Names."""
    if isinstance(extremes, str) or not all(isinstance(name, str) for name in _list(extremes)):
        raise UserError(f"extremes must be names, such as ('loss',), got {extremes!r}")
    return tuple(extremes)


def checked_observables(
    observables: Any, landscape: Landscape, starts: PyTree
) -> Mapping[str, Observed]:
    """Functions of the parameters by name; None for the numbers of the landscape."""
    if isinstance(observables, Mapping):
        for name, function in observables.items():
            if not isinstance(name, str) or not callable(function):
                raise UserError(
                    f"observable {name!r} must be a function of the parameters, got {function!r}"
                )
            if name in _RESULTS or name.startswith(("final", "least_", "rise_")):
                raise UserError(f"an observable cannot be named {name!r}, as another result is")
            one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), starts)
            said = _shape_of(f"observable {name!r} cannot take one of the starts", function, one)
            if not isinstance(said, jax.ShapeDtypeStruct):
                raise UserError(f"observable {name!r} must be one number, got {_shapes(said)}")
            if jnp.issubdtype(said.dtype, jnp.complexfloating):
                raise UserError(f"observable {name!r} must be real; take real and imaginary apart")
        return observables
    if isinstance(observables, str) or not all(isinstance(n, str) for n in _list(observables)):
        raise UserError(
            "observables must be names such as ('loss',), or functions of the parameters by name, "
            f"got {observables!r}"
        )
    known: dict[str, Observed] = dict.fromkeys(numbers_of(landscape))
    known |= _fields_of(starts)
    for name in observables:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(
                f"observable {name!r} is not known; known: {', '.join(sorted(known))}{hint}"
            )
    return {name: known[name] for name in observables}


def _fields_of(starts: PyTree) -> dict[str, Callable]:
    names = getattr(starts, "_fields", ())
    return {n: operator.attrgetter(n) for n in names if getattr(starts, n).ndim == 1}


def numbers_of(landscape: Landscape) -> dict[str, Callable]:
    """Observables of the landscape, and the length of its gradient where it has one."""
    known: dict[str, Callable] = dict(landscape.observables())
    if not isinstance(landscape, Reduction):
        known["gradient_norm"] = lambda p: _length(landscape.tangent(p, landscape.grad(p)))
    return known


def checked_stop(stop: Any, landscape: Landscape, starts: PyTree) -> Mapping[str, Any]:
    """By name: the value of a number that the landscape has, or a function that says whether."""
    if not isinstance(stop, Mapping):
        raise UserError(f"stop must be values by name, such as {{'loss': 1e-6}}, got {stop!r}")
    known = numbers_of(landscape)
    least = np.finfo(jax.tree.leaves(starts)[0].dtype).tiny
    for name, value in stop.items():
        if callable(value):
            _check_says(name, value, starts)
            continue
        if name not in known:
            raise UserError(
                f"stop: {name!r} is not known; known: {', '.join(sorted(known))}"
                f"{nearest(str(name), known)}"
            )
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or np.isnan(value):
            raise UserError(f"stop: the value of {name!r} must be a number, got {value!r}")
        if 0 < value < least:
            raise UserError(
                f"stop: {name!r} cannot be told from 0 at {value!r} in this precision, whose least "
                f"number is {least:.2g}"
            )
    return stop


def _check_says(name: str, function: Callable, starts: PyTree) -> None:
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), starts)
    said = _shape_of(f"stop: {name!r} cannot take one of the starts", function, one)
    if getattr(said, "shape", None) != () or said.dtype != bool:
        raise UserError(
            f"stop: {name!r} must say True or False of the parameters of a run, got {_shapes(said)}"
        )


def checked_dtype(dtype: Any, flow: bool) -> Any:
    """float64 or float32."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise UserError(f"dtype must be float64 or float32, got {dtype!r}")
    if flow and found == np.float32:
        raise UserError("a flow is solved in float64: its tolerance is below what float32 resolves")
    return found


def _length(tree: PyTree) -> Array:
    """The Euclidean length, right also where squares would underflow or overflow.

    A power of two is taken out: elsewhere that changes no bit.
    """
    leaves = jax.tree.leaves(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]))
    power = jnp.frexp(largest)[1]
    squares = sum(jnp.sum(jnp.ldexp(leaf, -power) ** 2) for leaf in leaves)
    return jnp.ldexp(jnp.sqrt(squares), power)


def explain(landscape: Landscape, method: Any, starts: PyTree, error: Exception) -> None:
    """Raise in one line what went wrong with a user's landscape, method or starts, if they did.

    Nothing is computed: each function is asked for the shapes that it gives at one start.
    """
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), starts)
    name, like = type(landscape).__name__, _shapes(one)
    value = _shape_of(f"{name}.loss cannot take one of the starts, {like}", landscape.loss, one)
    if not isinstance(value, jax.ShapeDtypeStruct) or value.shape != ():
        raise UserError(f"{name}.loss must give one number, got {_shapes(value)}") from error
    if isinstance(method, Flow):
        return
    mine = type(method).__name__
    state = _shape_of(f"{mine}.init fails", lambda p: method.init(landscape, p), one)
    if not isinstance(state, State):
        raise UserError(f"{mine}.init must give a State, got {_shapes(state)}") from error
    key, step = jax.random.key(0), jnp.zeros((), int)
    moved = _shape_of(
        f"{mine}.step fails on {name}", lambda s: method.step(landscape, s, step, key), state
    )
    if jax.tree.structure(moved) != jax.tree.structure(state) or any(
        (a.shape, a.dtype) != (b.shape, b.dtype)
        for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(state), strict=True)
    ):
        raise UserError(
            f"{mine}.step must give a State like the one it gets, {_shapes(state)}, got "
            f"{_shapes(moved)}"
        ) from error


def _shape_of(what: str, function: Callable, argument: PyTree) -> Any:
    try:
        return jax.eval_shape(lambda at: function(at), argument)  # NumPy's own crash JAX
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{what}: {type(error).__name__}: {_line(error)}") from error


def _shapes(tree: PyTree) -> str:
    """A pytree with the shape and type of each array in its place."""
    return str(
        jax.tree.map(
            lambda leaf: _Word(f"{getattr(leaf, 'dtype', type(leaf))}{list(np.shape(leaf))}"), tree
        )
    )


class _Word(str):
    __slots__ = ()
    __repr__ = str.__str__


def _said(value: Any) -> str:
    """What a value is, and what was probably meant."""
    if inspect.isclass(value):
        return f"the class {value.__name__}; make one of it: {value.__name__}(...)"
    if isinstance(value, bool | int | float | str | np.number) or value is None:
        return repr(value)
    if isinstance(value, optax.GradientTransformation):
        return "an Optax transformation; wrap it: OptaxMethod(...)"
    if type(value).__name__ in ("TwoLayer", "LeNet5", "ResNet8", "ResNet18"):
        return (
            f"the network {type(value).__name__}; its loss on data is EmpiricalRisk(network, ...)"
        )
    article = "an" if type(value).__name__[:1] in "AEIOUaeiou" else "a"
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict) else ""
    return f"{article} {type(value).__name__}{size}"


def _form(kind: type) -> str:
    fields = getattr(kind, "_fields", ())
    return f"{kind.__name__}({', '.join(fields)})"


def _list(value: Any) -> Sequence:
    return value if isinstance(value, Sequence) else [None]


def _listed(starts: PyTree) -> bool:
    return isinstance(starts, list)


def _line(error: Exception) -> str:
    """The first line of an error."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
