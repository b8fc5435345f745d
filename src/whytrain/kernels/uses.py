"""Where a traced function contracts its parameters with what it computes: its layers, found."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

Way = tuple[tuple, ...]

_UNROLLED = 256  # steps of a scan that is written out, so that each of its layers is found
_CALLS = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}  # fmt: skip
_COMPARISONS = ("max", "gt", "ge", "lt", "le")


class View(NamedTuple):
    """A parameter, or a part of one, laid out anew and multiplied by a number.

    Attributes:
        leaf: Which parameter.
        shape: The parameter's shape.
        value: The array.
        way: How its numbers came to lie where they do.
        scale: What they were multiplied by.
    """

    leaf: int
    shape: tuple[int, ...]
    value: Any
    way: Way = ()
    scale: Any = 1.0


class Use(NamedTuple):
    """A contraction of a parameter with what a network computes, or a bias added to its output.

    With `d` the derivative of anything with respect to the contraction's output, laid out by
    `signal` as (place, group, out), the derivative with respect to the parameter is

        sum_t inputs[t, g, i] d[t, g, k]

    up to how it is laid out: over the places `t` at which the parameter acts, with the groups `g`
    of a convolution apart.

    Attributes:
        leaf: Which parameter.
        key: Uses of a parameter with the same key see its numbers in the same order.
        tap: Which contraction's output.
        inputs: An array (place, group, in); None for a bias, whose input is `scale`.
        scale: What the parameter was multiplied by before.
        signal: Lays out what has the output's shape.
    """

    leaf: int
    key: tuple
    tap: int
    inputs: Any
    scale: Any
    signal: Callable[[Any], Any]


@dataclass
class Seen:
    """What is met on the way through a function.

    Attributes:
        taps: What is added to the outputs of the contractions, in their order; None for nothing.
        uses: The uses of parameters.
        outputs: Shapes of the contractions' outputs.
        opaque: Parameters that something else is done with.
        zeros: For each rectifier, how many of its inputs are exactly 0.
    """

    taps: Sequence[Any] | None = None
    uses: list[Use] = field(default_factory=list)
    outputs: list[jax.ShapeDtypeStruct] = field(default_factory=list)
    opaque: set[int] = field(default_factory=set)
    zeros: list[Any] = field(default_factory=list)

    def use(self, view: View, key: tuple, inputs: Any, signal: Callable, made: Any) -> "_Layer":
        """Note a contraction; give its output with what is to be added to it."""
        tap = len(self.outputs)
        self.outputs.append(jax.ShapeDtypeStruct(made.shape, made.dtype))
        self.uses.append(Use(view.leaf, (key, view.way), tap, inputs, view.scale, signal))
        return _Layer(made if self.taps is None else made + self.taps[tap], tap, signal)


class _Layer(NamedTuple):
    """The output of a contraction, as long as only one equation reads it."""

    value: Any
    tap: int
    signal: Callable[[Any], Any]


def follow(jaxpr: core.Jaxpr, consts: Sequence, given: Sequence, seen: Seen) -> list[Any]:
    """Compute a traced function, and note where the parameters among its arguments are used.

    Args:
        jaxpr: The function.
        consts: Its constants.
        given: Its arguments, some of them a `View`.
        seen: Is added to.

    Returns:
        The results; one that is a parameter itself is still a `View`.
    """
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *given], strict=True))
    variables = [*itertools.chain(*(eqn.invars for eqn in jaxpr.eqns)), *jaxpr.outvars]
    readers = Counter(var for var in variables if not isinstance(var, core.Literal))

    def read(var: Any) -> Any:
        if isinstance(var, core.Literal):
            return var.val
        found = env[var]
        return found.value if isinstance(found, _Layer) and readers[var] > 1 else found

    for eqn in jaxpr.eqns:
        made = _step(eqn, [read(var) for var in eqn.invars], seen)
        env.update(zip(eqn.outvars, made, strict=True))
    return [read(var) for var in jaxpr.outvars]


def understood(seen: Seen) -> set[int]:
    """The parameters that nothing else is done with than what `Use` describes.

    Two uses of one parameter must see the same numbers in the same order, or none in common.
    """
    found: dict[int, set[tuple]] = {}
    for use in seen.uses:
        found.setdefault(use.leaf, set()).add(use.key)
    return {
        leaf
        for leaf, keys in found.items()
        if leaf not in seen.opaque
        and all(apart(one[1], other[1]) for one, other in itertools.combinations(keys, 2))
    }


def apart(one: Way, other: Way) -> bool:
    """Whether two ways into a parameter lead to parts of it that have no number in common.

    Example:
        >>> apart((("part", 0), ("transpose", (1, 0))), (("part", 1),))
        True
    """
    for (name, *a), (kind, *b) in zip(one, other, strict=False):
        if name == kind == "broadcast_in_dim":
            return False  # what is cut apart afterwards may be the same numbers
        if (name, a) != (kind, b):
            if name == kind == "part":
                return True
            if name == kind == "slice":
                sides = zip(*a[:2], *b[:2], strict=True)
                return any(end <= low or last <= start for start, end, low, last in sides)
            return False
    return False


def plain(given: Any) -> Any:
    """The array behind what `follow` passes on."""
    return given.value if isinstance(given, View | _Layer) else given


def _step(eqn: core.JaxprEqn, given: list, seen: Seen) -> Sequence[Any]:
    name, views = eqn.primitive.name, [one for one in given if isinstance(one, View)]
    seen.zeros.extend(jnp.sum(plain(given[i]) == 0) for i in _compared(eqn))
    if name in _CALLS and (views or name in ("jit", "pjit")):
        inner = eqn.params[_CALLS[name]]
        consts = inner.consts if isinstance(inner, core.ClosedJaxpr) else ()
        return follow(getattr(inner, "jaxpr", inner), consts, given, seen)  # pyright: ignore[reportArgumentType]
    if name == "scan" and views and 0 < eqn.params["length"] <= _UNROLLED:
        return _scan(eqn, given, seen)
    made = _understood(eqn, given, views[0], seen) if len(views) == 1 else None
    if made is not None:
        return [made]
    seen.opaque.update(view.leaf for view in views)
    return bind(eqn, given)


def _understood(eqn: core.JaxprEqn, given: list, view: View, seen: Seen) -> Any:
    """What comes of an equation with one parameter in it; None if it is none of these."""
    match eqn.primitive.name:
        case "transpose" | "reshape" | "squeeze" | "slice" | "broadcast_in_dim":
            return view._replace(value=bind(eqn, given)[0], way=(*view.way, _layout(eqn)))
        case "convert_element_type" if jnp.issubdtype(eqn.params["new_dtype"], jnp.floating):
            return view._replace(value=bind(eqn, given)[0])
        case "mul" | "div" | "neg":
            return _scaled(eqn, given, view)
        case "dot_general":
            return _dense(eqn, given, view, seen)
        case "conv_general_dilated" if given[1] is view:
            return _convolution(eqn, given, view, seen)
        case "add":
            return _bias(eqn, given, view, seen)
    return None


def _layout(eqn: core.JaxprEqn) -> tuple:
    p = eqn.params
    match eqn.primitive.name:
        case "transpose":
            return "transpose", tuple(p["permutation"])
        case "slice":
            return "slice", tuple(p["start_indices"]), tuple(p["limit_indices"]), p["strides"]
        case "broadcast_in_dim":
            return "broadcast_in_dim", tuple(p["shape"]), tuple(p["broadcast_dimensions"])
    return "reshape", eqn.outvars[0].aval.shape  # pyright: ignore[reportAttributeAccessIssue]


def _laid_out(array: np.ndarray, way: Way) -> np.ndarray:
    """The way that a parameter's numbers took, for an array of the parameter's shape."""
    for name, *how in way:
        match name:
            case "part":
                array = array[how[0]]
            case "transpose":
                array = array.transpose(how[0])
            case "reshape":
                array = array.reshape(how[0])
            case "slice":
                cuts = zip(*how[:2], how[2] or (1,) * array.ndim, strict=True)
                array = array[tuple(slice(*cut) for cut in cuts)]
            case "broadcast_in_dim":
                shape, axes = how
                wide = [array.shape[axes.index(i)] if i in axes else 1 for i in range(len(shape))]
                array = np.broadcast_to(array.reshape(wide), shape)
    return array


def _repeats(way: Way) -> bool:
    """Whether numbers may lie at several places."""
    return any(name == "broadcast_in_dim" for name, *_ in way)


def _scaled(eqn: core.JaxprEqn, given: list, view: View) -> View | None:
    value = bind(eqn, given)[0]
    if eqn.primitive.name == "neg":
        return view._replace(value=value, scale=-1.0 * view.scale)
    other = plain(given[1] if given[0] is view else given[0])
    divides = eqn.primitive.name == "div"
    if jnp.ndim(other) or (divides and given[1] is view):
        return None
    return view._replace(value=value, scale=view.scale / other if divides else view.scale * other)


def _to_last_cut(way: Way) -> Way:
    """A way without the layouts at its end, which leave the numbers what they are."""
    cuts = [at for at, (name, *_) in enumerate(way, 1) if name in ("part", "slice")]
    return way[: max(cuts, default=0)]


def _dense(eqn: core.JaxprEqn, given: list, view: View, seen: Seen) -> _Layer | None:
    contracted, (batch, _) = eqn.params["dimension_numbers"]
    if batch or _repeats(view.way):
        return None
    first = given[0] is view
    other = plain(given[1] if first else given[0])
    of_view, of_other = contracted if first else contracted[::-1]
    pairs = sorted(zip(of_view, of_other, strict=True))
    free = [axis for axis in range(other.ndim) if axis not in of_other]
    places = math.prod(other.shape[axis] for axis in free)
    inputs = other.transpose(*free, *(axis for _, axis in pairs)).reshape(places, 1, -1)

    def signal(change: Any) -> Any:
        # The free axes of the first operand come first.
        rows = change.reshape(-1, places).T if first else change.reshape(places, -1)
        return rows.reshape(places, 1, -1)

    key = "dense", tuple(axis for axis, _ in pairs)
    return seen.use(view, key, inputs, signal, bind(eqn, given)[0])


def _convolution(eqn: core.JaxprEqn, given: list, view: View, seen: Seen) -> _Layer | None:
    p = eqn.params
    if p["batch_group_count"] != 1 or _repeats(view.way):
        return None
    numbers, groups = p["dimension_numbers"], p["feature_group_count"]
    kernel = [view.value.shape[axis] for axis in numbers.rhs_spec[2:]]
    patches = _patches(_channels_last(plain(given[0]), numbers.lhs_spec), kernel, p)
    offsets = math.prod(kernel)
    inputs = patches.reshape(-1, offsets, groups, patches.shape[-1] // groups).swapaxes(1, 2)

    def signal(change: Any) -> Any:
        rows = _channels_last(change, numbers.out_spec)
        return rows.reshape(math.prod(rows.shape[:-1]), groups, -1)

    key = "convolution", numbers, groups
    inputs = inputs.reshape(*inputs.shape[:2], -1)
    return seen.use(view, key, inputs, signal, bind(eqn, given)[0])


def _channels_last(image: Any, spec: Sequence[int]) -> Any:
    """(image, place ..., channel): so XLA lays images out itself, and nothing is transposed."""
    return image.transpose(spec[0], *spec[2:], spec[1])


def _patches(image: Any, kernel: Sequence[int], params: dict) -> Any:
    """What each place of the output sees: (image, place ..., offset in the kernel, channel)."""
    sides = zip(params["padding"], params["lhs_dilation"], strict=True)
    wide = [(0, 0, 0), *((low, high, step - 1) for (low, high), step in sides), (0, 0, 0)]
    image = jax.lax.pad(image, jnp.zeros((), image.dtype), wide)
    strides, steps = params["window_strides"], params["rhs_dilation"]
    reach = [(size - 1) * step for size, step in zip(kernel, steps, strict=True)]

    def part(offset: tuple[int, ...]) -> Any:
        start = [at * step for at, step in zip(offset, steps, strict=True)]
        sizes = zip(start, image.shape[1:-1], reach, strict=True)
        limit = [low + size - far for low, size, far in sizes]
        cut = (0, *start, 0), (len(image), *limit, image.shape[-1]), (1, *strides, 1)
        return jax.lax.slice(image, *cut)

    return jnp.stack([part(at) for at in itertools.product(*map(range, kernel))], axis=-2)


def _bias(eqn: core.JaxprEqn, given: list, view: View, seen: Seen) -> Any:
    """A bias: a number for each output of a layer, the same at all its places."""
    layer = given[1] if given[0] is view else given[0]
    if not isinstance(layer, _Layer):
        return None
    numbers = _laid_out(np.arange(math.prod(view.shape)).reshape(view.shape), view.way)
    rows = layer.signal(np.broadcast_to(numbers, layer.value.shape))
    if (rows != rows[0]).any() or len(np.unique(rows[0])) != rows[0].size:
        return None
    key = ("bias", rows[0].shape, rows[0].tobytes()), _to_last_cut(view.way)
    seen.uses.append(Use(view.leaf, key, layer.tap, None, view.scale, layer.signal))
    return bind(eqn, given)[0]


def _scan(eqn: core.JaxprEqn, given: list, seen: Seen) -> list[Any]:
    """A loop, step by step; a parameter that is given on from step to step is left as it is."""
    p, closed = eqn.params, eqn.params["jaxpr"]
    ends = p["num_consts"], p["num_consts"] + p["num_carry"]
    # A layer's output that all steps read has more than one reader.
    consts = [one.value if isinstance(one, _Layer) else one for one in given[: ends[0]]]
    carry, series = given[slice(*ends)], given[ends[1] :]
    found: list = [None] * p["length"]
    for at in sorted(range(p["length"]), reverse=p["reverse"]):
        here = [_part(one, at) for one in series]
        made = follow(closed.jaxpr, closed.consts, [*consts, *carry, *here], seen)
        carry, found[at] = made[: p["num_carry"]], made[p["num_carry"] :]
    seen.opaque.update(one.leaf for made in found for one in made if isinstance(one, View))
    return [*carry, *(jnp.stack([*map(plain, each)]) for each in zip(*found, strict=True))]


def _part(series: Any, at: int) -> Any:
    if isinstance(series, View):
        return series._replace(value=series.value[at], way=(*series.way, ("part", at)))
    return plain(series)[at]


def _compared(eqn: core.JaxprEqn) -> list[int]:
    """Which arguments of an equation are held against 0, as a rectifier's is."""
    if eqn.primitive.name in _COMPARISONS:
        zeros = [isinstance(v, core.Literal) and np.all(v.val == 0) for v in eqn.invars]
        aval: Any = eqn.invars[0].aval
        whole = aval.dtype.kind in "iub"  # as of an index, which has no derivative
        return [1 - zeros.index(True)] if any(zeros) and not whole else []
    if eqn.primitive.name != "custom_jvp_call":
        return []
    inner = eqn.params["call_jaxpr"].jaxpr
    return [inner.invars.index(var) for var in _compared_in(inner) if var in inner.invars]


def _compared_in(jaxpr: core.Jaxpr) -> list[Any]:
    found = []
    for eqn in jaxpr.eqns:
        found += [eqn.invars[i] for i in _compared(eqn)]
        if eqn.primitive.name in ("jit", "pjit"):
            inner = eqn.params["jaxpr"].jaxpr
            below = [var for var in _compared_in(inner) if var in inner.invars]
            found += [eqn.invars[inner.invars.index(var)] for var in below]
    return found


def bind(eqn: core.JaxprEqn, given: Sequence) -> Sequence[Any]:
    """What an equation gives, with the derivative rules that it has."""
    variables = [i for i, var in enumerate(eqn.invars) if not isinstance(var, core.Literal)]
    names = core.DebugInfo("equation", "", ("",) * len(variables), ("",) * len(eqn.outvars))
    given_to = [eqn.invars[i] for i in variables]
    alone = core.Jaxpr((), given_to, eqn.outvars, [eqn], eqn.effects, names)  # pyright: ignore[reportArgumentType]
    return core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))(*(plain(given[i]) for i in variables))
