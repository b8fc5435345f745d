"""Ensembles of any landscape under any method: one compiled loop for a block of runs."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from whytrain.dynamics.extremes import WithExtremes
from whytrain.dynamics.methods import State
from whytrain.landscapes import Landscape
from whytrain.landscapes.outcome import Outcome

CHECK = 64  # steps between two looks at the runs of a block


class Block(NamedTuple):
    """Runs on their way: a leading axis of runs in every leaf."""

    state: State
    outcome: Int[Array, " run"]
    steps: Int[Array, " run"]


def start_block(landscape: Landscape, method: WithExtremes, params: PyTree) -> Block:
    """The runs of a block before their first step."""
    state = jax.vmap(lambda p: method.init(landscape, p))(params)
    count = jax.tree.leaves(params)[0].shape[0]
    return Block(state, jnp.zeros(count, jnp.int8), jnp.zeros(count, jnp.int64))


@eqx.filter_jit
def advance(
    landscape: Landscape,
    method: WithExtremes,
    block: Block,
    keys: Array,
    start: Int[Array, ""],
    stop: Int[Array, ""],
    proof: Callable | None,
) -> Block:
    """Move a block from step `start` to step `stop`, or until all of its runs are decided.

    Args:
        landscape: What the runs descend on.
        method: How they move.
        block: Where they are.
        keys: One key a run; step `t` of a run gets `fold_in(key, t)`.
        start: Number of the first step.
        stop: Number of the step before which to stop.
        proof: Where a run is proved to end, for early verdicts; None for no early verdicts.
    """

    def one_step(t: Array, state: State) -> State:
        def step(state: State, key: Array) -> State:
            return method.step(landscape, state, t, jax.random.fold_in(key, t))

        return jax.vmap(step)(state, keys)

    def more(carry: tuple[Array, Block]) -> Array:
        t, block = carry
        return (t < stop) & jnp.any(block.outcome == Outcome.UNDECIDED)

    def look(carry: tuple[Array, Block]) -> tuple[Array, Block]:
        t, block = carry
        after = jnp.minimum(t + CHECK, stop)
        moved = jax.lax.fori_loop(t, after, one_step, block.state)
        going = block.outcome == Outcome.UNDECIDED
        state = jax.tree.map(lambda new, old: _where(going, new, old), moved, block.state)
        outcome = jnp.where(going, _judge(state.params, proof), block.outcome)
        return after, Block(state, outcome, block.steps + jnp.where(going, after - t, 0))

    if proof is not None:
        first = _judge(block.state.params, proof)
        block = block._replace(outcome=jnp.where(block.outcome == 0, first, block.outcome))
    return jax.lax.while_loop(more, look, (start, block))[1]


def _where(going: Array, new: Array, old: Array) -> Array:
    return jnp.where(going.reshape(going.shape + (1,) * (new.ndim - 1)), new, old)


def _judge(params: PyTree, proof: Callable | None) -> Int[Array, " run"]:
    """Diverged where not finite, the proved minimum where there is a proof, else undecided."""

    def one(params: PyTree) -> Array:
        leaves = jax.tree.leaves(params)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
        proved = 0 if proof is None else proof(params)
        return jnp.where(finite, proved, int(Outcome.DIVERGED)).astype(jnp.int8)

    return jax.vmap(one)(params)
