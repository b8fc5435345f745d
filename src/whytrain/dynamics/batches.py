"""Runs side by side: pytrees with a leading axis of runs in every leaf."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


def count(starts: PyTree) -> int:
    """The number of runs."""
    return len(jax.tree.leaves(starts)[0])


def picked(tree: PyTree, part: Any) -> PyTree:
    """Some of the runs."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[part], tree)


def at_time(path: PyTree, index: int) -> PyTree:
    """All runs at one of their times, the second axis."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, index], path)


def joined(parts: Sequence[tuple]) -> tuple:
    """What blocks of runs gave, four parts each, as one block."""
    return tuple(_join([part[i] for part in parts]) for i in range(4))


def _join(parts: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def as_arrays(tree: PyTree) -> PyTree:
    """Numbers as arrays, so that another value is another argument and not another program."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, float | np.generic) else x, tree)
