"""What the runs of an ensemble do not share: random keys, and landscapes where each has another."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt32

from whytrain.landscapes import Landscape


class Landscapes(NamedTuple):
    """The landscapes of a block of runs.

    Attributes:
        shared: A landscape; its arrays count only where there are none in `own`.
        own: A landscape whose arrays have a leading axis of runs and all else is None; or None.
        computes: A checksum of what they and the method compute now, of which a program is.
    """

    shared: Landscape
    own: PyTree = None
    computes: bytes = b""

    def of(self, own: PyTree) -> Landscape:
        """The landscape of one run, from its part of `own`."""
        return eqx.combine(own, self.shared)


class Own(NamedTuple):
    """What each run has of its own, beside its start."""

    words: UInt32[np.ndarray, "run word"]  # of the key of each
    generator: Any
    landscapes: tuple[Landscape, ...] = ()  # none where all have the same

    def pick(self, runs: Any) -> "Own":
        """That of some of the runs."""
        landscapes = tuple(self.landscapes[run] for run in runs) if self.landscapes else ()
        return Own(self.words[np.asarray(runs)], self.generator, landscapes)

    def lanes(self, shared: int) -> int:
        """Runs of a tile, of so many where all have one landscape.

        Runs on data of their own share no product of matrices; side by side they would only be
        slower, and a run's last bits would depend on its place in the tile.
        """
        return 1 if self.landscapes else shared

    def stacked(self, shared: Landscape, computes: bytes) -> Landscapes:
        """The landscapes of the runs, as the loop takes them."""
        if not self.landscapes:
            return Landscapes(shared, None, computes)
        arrays = [eqx.filter(one, _is_array) for one in self.landscapes]
        return Landscapes(
            shared, jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *arrays), computes
        )


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array)
