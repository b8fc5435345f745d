"""Reading a network off the program that JAX makes of a model: Flax, Equinox, plain functions."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

from whytrain.measures.chains import Chain, added, no_place, recognized
from whytrain.measures.network import Convolution, Dense
from whytrain.measures.stages import Pool, Transpose

_SOFTMAX = "as of a layer normalization or a softmax; give logits"
Literal: Any = jax.extend.core.Literal
_LAYOUT = {"reshape", "squeeze", "expand_dims", "broadcast_in_dim", "convert_element_type", "copy",
           "stop_gradient", "copy_p"}  # fmt: skip
_CALLS = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat",
          "checkpoint", "custom_vjp_call_jaxpr"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Numbers:
    """A function of each number of a chain, not yet known to be an activation."""

    chain: Chain
    function: Callable[[np.ndarray], Any]
    made: tuple[str, ...]  # of these operations
    line: tuple[float, float] | None = None  # factor and shift by arrays, before all else
    straight: bool = False  # nothing but this line

    @functools.cached_property
    def settled(self) -> Chain:
        """The activation that it is; found once, so that two branches have it in common."""
        found, chain = recognized(self.function), self.chain
        if found is None and self.line is not None:  # of equal biases, which belong to the layer
            slope, start = self.line
            found = recognized(lambda x: self.function((x - start) / slope))
            chain = chain.scaled(slope, start)
        if found is None:
            raise no_place(f"an activation that is not known ({', '.join(self.made)})")
        factor, shift, activation = found
        if activation.name != "identity":
            chain = chain.then(activation)
        return chain.scaled(factor, shift)


def read_jax(call: Callable, shape: Sequence[int]) -> Chain:
    """The stages of a function of one batch.

    Args:
        call: The model on a batch, in evaluation mode.
        shape: Of the batch, of one example.

    Returns:
        What the model does to the inputs.

    Raises:
        UserError: It does something that is not measured.
    """
    try:
        program = jax.make_jaxpr(call)(jnp.zeros(shape, jnp.float32))
    except TypeError:  # a model in float64, where operations take one kind of numbers only
        program = jax.make_jaxpr(call)(jnp.zeros(shape))
    if len(program.out_avals) != 1:
        raise no_place(f"{len(program.out_avals)} outputs")
    [found] = _run(program.jaxpr, program.consts, [Chain((), tuple(shape)[1:])])
    if not isinstance(found, Chain | _Numbers):
        raise no_place("outputs that do not depend on the inputs")
    return _settled(found).shaped(program.out_avals[0].shape[1:])


def _run(program: Any, constants: Sequence[Any], given: Sequence[Any]) -> list:
    """Go through a program; what does not depend on the inputs is computed."""
    known = dict(zip((*program.constvars, *program.invars), (*constants, *given), strict=True))

    def value(atom: Any) -> Any:
        return np.asarray(atom.val) if isinstance(atom, Literal) else known[atom]

    for step in program.eqns:
        found = _step(step, [value(atom) for atom in step.invars])
        known.update(zip(step.outvars, found, strict=True))
    return [value(atom) for atom in program.outvars]


def _step(step: Any, given: list) -> Sequence[Any]:
    name = step.primitive.name
    moving = [one for one in given if isinstance(one, Chain | _Numbers)]
    if name in _CALLS:
        return _called(step, given)
    if not moving:
        found = step.primitive.bind(*given, **step.params)
        return found if step.primitive.multiple_results else [found]
    if name == "convert_element_type" or name in _LAYOUT:
        return [_laid_out(step, given[0])]
    if name in _BY_NAME:
        return [_of_numbers(step, given)]
    if name not in _READ:
        raise no_place(f"the operation {name}")
    return [_READ[name](step, [_settled(one) for one in given])]


def _called(step: Any, given: list) -> list:
    """A function within the program; one of each number is an activation of its own."""
    inner = next(
        step.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in step.params
    )
    program, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
    name = str(step.params.get("name", ""))
    if name == "log_softmax":  # adds one number to all logits, which the comparison sees
        return given[:1]
    if "softmax" in name and any(isinstance(one, Chain | _Numbers) for one in given):
        raise no_place(f"a {name.strip('_')}; give logits")
    count = len(program.invars)
    return _run(program, constants, given[len(given) - count :])


def _laid_out(step: Any, value: Any) -> Any:
    """What changes no number and no order of numbers."""
    before, after = step.invars[0].aval.shape, step.outvars[0].aval.shape
    if math.prod(before) != math.prod(after):
        how = f"{step.primitive.name} from {before} to {after}"
        raise no_place(f"{how}, {_SOFTMAX}")
    if step.primitive.name == "broadcast_in_dim":
        kept = [axis for axis in step.params["broadcast_dimensions"] if after[axis] > 1]
        if kept != sorted(kept):
            raise no_place("broadcast_in_dim")
    return value


def _settled(value: Any) -> Any:
    return value.settled if isinstance(value, _Numbers) else value


def _of_numbers(step: Any, given: list) -> Any:
    """An operation on each number, of a chain and of constants."""
    chains = [one for one in given if isinstance(one, Chain | _Numbers)]
    uniform = all(
        isinstance(one, Chain | _Numbers) or (np.asarray(one) == np.asarray(one).flat[0]).all()
        for one in given
    )
    first = chains[0]
    base = first.chain if isinstance(first, _Numbers) else first
    same = all((one.chain if isinstance(one, _Numbers) else one) is base for one in chains)
    whole = math.prod(step.outvars[0].aval.shape) == math.prod(base.shape)
    if uniform and same and whole:
        made = [name for one in chains if isinstance(one, _Numbers) for name in one.made]
        made = dict.fromkeys([*made, step.primitive.name])
        function = _composed(step, given)
        lines = [one.line for one in chains if isinstance(one, _Numbers) and one.line]
        straight = _goes_on(step, given)
        line = _line(function) if straight else next(iter(lines), None)
        return _Numbers(base, function, tuple(made), line, straight)
    return _combined(step, [_settled(one) for one in given])


def _goes_on(step: Any, given: list) -> bool:
    """Whether an array moves or scales a chain on which nothing but such was done before."""
    name, other = step.primitive.name, [one for one in given if np.ndim(one)]
    moving = [one for one in given if isinstance(one, Chain | _Numbers)]
    if len(moving) != 1 or not other or name not in ("add", "sub", "mul", "div"):
        return False
    return (isinstance(moving[0], Chain) or moving[0].straight) and not (
        name == "div" and moving[0] is given[1]
    )


def _line(function: Callable[[np.ndarray], Any]) -> tuple[float, float] | None:
    """Factor and shift; None where the numbers themselves do not count."""
    start, end = (float(one) for one in function(np.array([0.0, 1.0])))
    return (end - start, start) if end != start else None


def _composed(step: Any, given: list) -> Callable[[np.ndarray], Any]:
    def function(x: np.ndarray) -> Any:
        arguments = [
            one.function(x)
            if isinstance(one, _Numbers)
            else x
            if isinstance(one, Chain)
            else np.full(np.shape(x), np.asarray(one).flat[0])
            for one in given
        ]
        if step.primitive.name == "convert_element_type":
            return arguments[0]
        return _BY_NAME[step.primitive.name](*arguments, **step.params)

    return function


def _select(which: Any, *cases: Any, **_: Any) -> Any:
    return np.choose(np.asarray(which).astype(int), [np.asarray(case) for case in cases])


def _numpy(name: str) -> Callable:
    function = getattr(np, name)
    return lambda *arguments, **_: function(*arguments)


def _erf(x: Any, **_: Any) -> Any:
    from scipy.special import erf

    return erf(x)


def _erfc(x: Any, **_: Any) -> Any:
    from scipy.special import erfc

    return erfc(x)


_BY_NAME: dict[str, Callable] = {
    "max": _numpy("maximum"), "min": _numpy("minimum"), "tanh": _numpy("tanh"),
    "logistic": lambda x, **_: 1 / (1 + np.exp(-x)), "erf": _erf, "erfc": _erfc,
    "exp": _numpy("exp"), "exp2": _numpy("exp2"), "expm1": _numpy("expm1"), "log": _numpy("log"),
    "log1p": _numpy("log1p"), "neg": _numpy("negative"), "sign": _numpy("sign"),
    "abs": _numpy("abs"), "integer_pow": lambda x, y, **_: np.asarray(x) ** y,
    "pow": _numpy("power"), "sqrt": _numpy("sqrt"), "rsqrt": lambda x, **_: 1 / np.sqrt(x),
    "square": _numpy("square"), "select_n": _select, "ge": _numpy("greater_equal"),
    "gt": _numpy("greater"), "le": _numpy("less_equal"), "lt": _numpy("less"),
    "eq": _numpy("equal"), "ne": _numpy("not_equal"), "add": _numpy("add"),
    "add_any": _numpy("add"), "sub": _numpy("subtract"), "mul": _numpy("multiply"),
    "div": _numpy("divide"), "clamp": lambda low, x, high, **_: np.clip(x, low, high),
    "is_finite": _numpy("isfinite"), "and": _numpy("logical_and"), "or": _numpy("logical_or"),
    "not": _numpy("logical_not"), "stop_gradient": lambda x, **_: x, "copy": lambda x, **_: x,
    "cbrt": _numpy("cbrt"), "sin": _numpy("sin"), "cos": _numpy("cos"),
}  # fmt: skip


def _combined(step: Any, given: list) -> Chain:
    """A sum of two branches, or a factor and a shift that differ from number to number."""
    name, shape = step.primitive.name, step.outvars[0].aval.shape
    chains = [one for one in given if isinstance(one, Chain)]
    size = math.prod(shape)
    if any(math.prod(one.shape) != size for one in chains):
        raise no_place(f"the operation {name} of different shapes, {_SOFTMAX}")
    if len(chains) == 2:
        one, other = chains
        if name == "sub":
            other = other.scaled(-1.0, 0.0)
        elif name not in ("add", "add_any"):
            raise no_place(f"the operation {name} of two branches")
        return added(one, other)
    [chain] = chains
    [constant] = [one for one in given if not isinstance(one, Chain)]
    constant = np.broadcast_to(constant, shape).reshape(chain.shape).astype(np.float64)
    if name in ("add", "add_any"):
        return chain.scaled(1.0, constant)
    if name == "mul":
        return chain.scaled(constant, 0.0)
    if name == "sub":
        return chain.scaled(*((1.0, -constant) if given[0] is chain else (-1.0, constant)))
    if name == "div" and given[0] is chain:
        return chain.scaled(1 / constant, 0.0)
    raise no_place(f"the operation {name} with numbers that differ from unit to unit")


def _dense(step: Any, given: list) -> Chain:
    """A product with a matrix, on whichever side it stands."""
    (left, right), batch = step.params["dimension_numbers"]
    here = 0 if isinstance(given[0], Chain) else 1
    if isinstance(given[1 - here], Chain) or any(batch):
        raise no_place("a product of two values that depend on the inputs")
    matrix, sums = np.asarray(given[1 - here]), (left, right)
    shape = step.invars[here].aval.shape
    rest = [axis for axis in range(len(shape)) if axis not in sums[here] and shape[axis] > 1]
    if rest or [a for a in sums[here] if shape[a] > 1] != sorted(
        a for a in sums[here] if shape[a] > 1
    ):
        raise no_place("a product along one of several axes")
    into = tuple(sums[1 - here])
    out = [axis for axis in range(matrix.ndim) if axis not in into]
    weight = np.transpose(matrix, (*out, *into)).reshape(-1, math.prod(shape))
    return given[here].then(Dense(weight.astype(np.float64)), (len(weight),))


def _convolution(step: Any, given: list) -> Chain:
    says = step.params
    numbers = says["dimension_numbers"]
    shape = step.invars[0].aval.shape
    if not isinstance(given[0], Chain) or isinstance(given[1], Chain) or len(shape) != 4:
        raise no_place(f"a convolution of {len(shape) - 2} axes, or with a kernel of its own")
    if set(says["lhs_dilation"]) != {1} or says["batch_group_count"] != 1:
        raise no_place("a transposed convolution")
    examples, channel, *places = numbers.lhs_spec
    if shape[examples] != 1 or places != sorted(places) or numbers.out_spec != numbers.lhs_spec:
        raise no_place("a convolution with its axes in an unusual order")
    last = channel > max(places)
    if not last and channel > min(places):
        raise no_place("a convolution with its axes in an unusual order")
    weight = np.transpose(np.asarray(given[1], np.float64), numbers.rhs_spec)
    sides: Any = tuple((int(a), int(b)) for a, b in says["padding"])
    layer = Convolution(
        weight, None, tuple(says["window_strides"]), sides, last, tuple(says["rhs_dilation"]),
        int(says["feature_group_count"]),
    )  # fmt: skip
    chain = given[0].shaped([n for axis, n in enumerate(shape) if axis != examples])
    out = step.outvars[0].aval.shape
    return chain.then(layer, [n for axis, n in enumerate(out) if axis != examples])


def _pool(kind: Any, step: Any, given: list) -> Chain:
    says, shape = step.params, step.invars[0].aval.shape
    if {*says["base_dilation"], *says["window_dilation"]} != {1}:
        raise no_place("a dilated pooling")
    window, stride = says["window_dimensions"], says["window_strides"]
    padding = tuple((int(a), int(b)) for a, b in says["padding"])
    pool = Pool(kind, tuple(window), tuple(stride), padding)
    return given[0].shaped(shape).then(pool, step.outvars[0].aval.shape)


def _reduced(kind: Any, step: Any, given: list) -> Chain:
    shape, axes = step.invars[0].aval.shape, step.params["axes"]
    window = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
    pool = Pool(kind, window, window, ((0, 0),) * len(shape))
    after = [1 if axis in axes else n for axis, n in enumerate(shape)]
    return given[0].shaped(shape).then(pool, after)


def _transposed(step: Any, given: list) -> Chain:
    shape, order = step.invars[0].aval.shape, step.params["permutation"]
    kept = [axis for axis in order if shape[axis] > 1]
    if kept == sorted(kept):
        return given[0]
    chain = given[0].shaped(shape)
    return chain.then(Transpose(tuple(order)), [shape[axis] for axis in order])


_READ: dict[str, Callable] = {
    "dot_general": _dense,
    "conv_general_dilated": _convolution,
    "reduce_window_max": lambda step, given: _pool("max", step, given),
    "reduce_window_sum": lambda step, given: _pool("sum", step, given),
    "reduce_sum": lambda step, given: _reduced("sum", step, given),
    "reduce_max": lambda step, given: _reduced("max", step, given),
    "transpose": _transposed,
}
