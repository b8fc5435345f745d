"""What of a pytree is trained, by name, and not carried along; a loss as a function of that."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from whytrain.errors import UserError
from whytrain.measures.arrays import a, name_of, some
from whytrain.measures.loss import told

# What Flax, PyTorch and Keras call what a network carries along and does not train.
_STATISTICS = frozenset({
    "batch_stats", "running_mean", "running_var", "num_batches_tracked", "moving_mean",
    "moving_variance",
})  # fmt: skip
_AFFINE = {"scale", "bias", "weight", "gamma", "beta"}
_ALONE = (
    "pass the parameters alone and close over the rest: in Flax loss = lambda params, *data: "
    "f({**variables, 'params': params}, *data) at variables['params'], in NNX the state of "
    "nnx.split(model, nnx.Param, ...), in Equinox the model without its State"
)


def refuse_carried(params: PyTree, names: Sequence[str]) -> None:
    """Refuse a pytree that holds more than parameters, by its nodes' types and their names."""
    found = _carried(params) or _named_like_statistics(params, names)
    if found:
        raise UserError(
            f"of {len(names)} leaves {len(found)} are no parameters but statistics, counts or "
            f"keys ({some(found)}); {_ALONE}"
        )


def _carried(params: PyTree) -> list[str]:
    """Leaves whose type says that they are carried along: Equinox's state, NNX's variables."""

    def typed(node: Any) -> bool:
        return isinstance(node, eqx.nn.State | eqx.nn.StateIndex) or _is_variable(node)

    nodes = jax.tree_util.tree_flatten_with_path(params, is_leaf=typed)[0]
    return [
        name_of((*path, *below))
        for path, node in nodes
        if typed(node) and "Param" not in _kinds(node)
        for below, _ in jax.tree_util.tree_flatten_with_path(node)[0]
    ]


def _is_variable(node: Any) -> bool:
    return not {"Variable", "VariableState"}.isdisjoint(_kinds(node))


def _kinds(node: Any) -> set[str]:
    """The names of a node's classes; NNX once kept a variable's class as its `type`."""
    kind = getattr(node, "type", None)
    classes = (*type(node).__mro__, *(kind.__mro__ if isinstance(kind, type) else ()))
    return {each.__name__ for each in classes}


def _named_like_statistics(params: PyTree, names: Sequence[str]) -> list[str]:
    beside = isinstance(params, Mapping) and "params" in params and len(params) > 1
    words = {name: re.split(r"[/.]", name) for name in names}
    levels: dict[str, set[str]] = {}
    for name in names:
        above, _, last = name.rpartition("/")
        levels.setdefault(above, set()).add(last)

    def normalizes(name: str) -> bool:
        above, _, last = name.rpartition("/")
        there = levels[above]
        return last in ("mean", "var") and {"mean", "var"} < there and bool(there & _AFFINE)

    return [
        name
        for name in names
        if not _STATISTICS.isdisjoint(words[name])
        or (beside and words[name][0] != "params")
        or normalizes(name)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class OfTrained:
    """What is measured of a loss as a function of what is trained.

    Attributes:
        left_out: What of the parameters is no array of floating-point numbers, such as the
            activation functions of an Equinox module, by name; empty where nothing is.
    """

    left_out: str = field(default="", repr=False)

    @property
    def checked(self) -> bool:
        """True: the loss is the user's own, and was called."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        return (f"not among the parameters: {self.left_out}",) if self.left_out else ()

    def document(self) -> dict[str, Any]:
        """The numbers as values that JSON can hold; no vectors."""
        single = {f.name: getattr(self, f.name) for f in fields(self)}
        single = {name: value for name, value in single.items() if not np.ndim(value)}
        return single | {"notes": list(self.notes)}


@dataclass(frozen=True)
class Trained:
    """A loss at the parameters that it is differentiated in.

    Attributes:
        loss: `loss(arrays, *data)`.
        arrays: A pytree whose leaves are all arrays of floating-point numbers.
        names: What each leaf is called.
        left_out: What of the given parameters is no such array, by name.
    """

    loss: Callable[..., Any]
    arrays: PyTree
    names: tuple[str, ...]
    left_out: str


def trained(loss: Any, params: PyTree) -> Trained:
    """Tell what of `params` the loss is differentiated in.

    In an Equinox module that is every array of floating-point numbers; activation functions,
    rates, flags and counts stay as they are. Elsewhere every leaf must be such an array, or a
    Python `float`. Statistics of normalization layers are refused, wherever they are.

    Args:
        loss: `loss(params, *data)`.
        params: A pytree of arrays, or an Equinox module, or a pytree with such in it.

    Returns:
        The arrays, and the loss as a function of them.

    Raises:
        UserError: A leaf is no parameter, or not finite, or there is none.

    Example:
        >>> import equinox as eqx
        >>> layer = eqx.nn.Sequential([eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.nn.Lambda(
        ...     jax.nn.relu)])
        >>> found = trained(lambda net, x: net(x).sum(), layer)
        >>> found.names, found.left_out
        (('layers/0/weight', 'layers/0/bias'), 'layers/1/fn')
    """
    if not callable(loss):
        raise UserError(f"the loss must be a function loss(params, *data), got {a(loss)}")
    flat, treedef = jax.tree_util.tree_flatten_with_path(params)
    names = [name_of(path) for path, _ in flat]
    leaves = [leaf for _, leaf in flat]
    refuse_carried(params, names)
    keep = [_is_trained(*each) for each in zip(names, leaves, _in_modules(params), strict=True)]
    if not sum(np.size(leaf) for leaf, kept in zip(leaves, keep, strict=True) if kept):
        raise UserError(f"there is no parameter, an array of floats, in {a(params)}")
    chosen = [leaf for leaf, kept in zip(leaves, keep, strict=True) if kept]
    named = tuple(name for name, kept in zip(names, keep, strict=True) if kept)
    for name, leaf in zip(named, chosen, strict=True):
        _check_values(name, leaf)
    if all(keep):
        return Trained(_hashable(loss), params, named, "")
    rest = tuple(None if kept else leaf for leaf, kept in zip(leaves, keep, strict=True))
    whole = _Whole(_hashable(loss), treedef, tuple(keep), rest)
    out = [name for name, kept in zip(names, keep, strict=True) if not kept]
    return Trained(whole, chosen, named, ", ".join(out))


def check_same(initial: PyTree, params: PyTree) -> list[np.ndarray]:
    """Read the parameters of another point of the same network."""
    there, here = _by_name(initial), _by_name(params)
    for name in here | there:
        if name not in there or name not in here:
            where = "initial" if name in here else "trained"
            what = f"{name!r} is not among the {where} ones"
        elif there[name].shape != here[name].shape:
            what = f"{name!r} has the shapes {there[name].shape} and {here[name].shape}"
        else:
            continue
        raise UserError(f"initial and trained parameters must be of one network, but {what}")
    return [there[name] for name in here]


def _by_name(params: PyTree) -> dict[str, np.ndarray]:
    found = trained(_by_name, params)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(found.arrays)]
    return dict(zip(found.names, arrays, strict=True))


@dataclass(frozen=True, eq=False)
class _Whole:
    """A loss of a module as one of its arrays; equal to its like, so that JAX compiles it once."""

    loss: Callable[..., Any]
    treedef: Any
    keep: tuple[bool, ...]
    rest: tuple[Any, ...]

    def __call__(self, arrays: list, *data: Any) -> Any:
        given = iter(arrays)
        leaves = [
            next(given) if kept else leaf for kept, leaf in zip(self.keep, self.rest, strict=True)
        ]
        return self.loss(jax.tree.unflatten(self.treedef, leaves), *data)

    def __hash__(self) -> int:
        return hash((self.loss, self.treedef, self.keep))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Whole)
            and (self.loss, self.treedef, self.keep) == (other.loss, other.treedef, other.keep)
            and all(map(_same, self.rest, other.rest))
        )


def _same(one: Any, other: Any) -> bool:
    # Arrays can be written to, and are then compiled anew.
    if type(one) in _PLAIN:
        return type(one) is type(other) and one == other
    return one is other and not isinstance(one, np.ndarray | jax.Array)


_PLAIN = (bool, int, float, str, type(None))


def _hashable(loss: Callable[..., Any]) -> Callable[..., Any]:
    try:
        hash(loss)
    except TypeError:  # such as an Equinox module that can be called
        return functools.partial(loss)
    return loss


def _in_modules(params: PyTree) -> list[bool]:
    """For every leaf, whether it is part of an Equinox module."""
    nodes = jax.tree.leaves(params, is_leaf=_is_module)
    return [_is_module(node) for node in nodes for _ in jax.tree.leaves(node)]


def _is_module(node: Any) -> bool:
    return isinstance(node, eqx.Module)


def _is_trained(name: str, leaf: Any, in_module: bool) -> bool:
    array = isinstance(leaf, np.ndarray | np.generic | jax.Array)
    if array and jnp.issubdtype(leaf.dtype, jnp.floating):
        return True
    if array and jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        raise UserError(f"the parameter {name!r} is complex; give real and imaginary part apart")
    if in_module or type(leaf) is float:
        return not in_module
    what = f"an array of {leaf.dtype}" if array else a(leaf)
    one = "array.astype(float)" if array else "tensor.numpy(), np.asarray(list), model parameters"
    raise UserError(
        f"parameters must be arrays of floating-point numbers, but {name!r} is {what}; make it one "
        f"({one}), or close over it if it is not trained"
    )


def _check_values(name: str, leaf: Any) -> None:
    with told():
        finite = np.isfinite(np.asarray(leaf))
    if not finite.all():
        raise UserError(
            f"the parameter {name!r} is not finite in {int((~finite).sum())} of {finite.size} "
            "numbers; there is nothing to measure"
        )
