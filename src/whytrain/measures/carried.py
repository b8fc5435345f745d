"""What a network carries along and does not train: statistics of normalization, counts, keys."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from whytrain.errors import UserError
from whytrain.measures.naming import name_of, some

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
    """Refuse a pytree that holds more than parameters, by the types of its nodes and their names.

    Args:
        params: The pytree.
        names: What its leaves are called.

    Raises:
        UserError: It does; how to pass the parameters alone.
    """
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
