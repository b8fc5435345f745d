"""Ensembles of any landscape under any method: one compiled loop for a block of runs."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt32

from whytrain._computes import computes
from whytrain._types import Numeric
from whytrain.dynamics.batches import count
from whytrain.dynamics.extremes import WithExtremes
from whytrain.dynamics.methods import Method, State
from whytrain.dynamics.own import Landscapes
from whytrain.dynamics.stopping import STOPPED, WithStop, has_stopped
from whytrain.landscapes import Landscape
from whytrain.landscapes.outcome import Outcome

CHECK = 64  # steps between two looks at the runs of a block
LARGE = 1 << 13  # bytes of parameters beyond which a run goes alone: others would only slow it


class Block(NamedTuple):
    """Runs on their way: a leading axis of runs in every leaf."""

    state: State
    outcome: Int[Numeric, " run"]
    steps: Int[Numeric, " run"]


def start_block(
    landscapes: Landscapes, method: Method | WithExtremes | WithStop, params: PyTree
) -> Block:
    """The runs of a block before their first step."""

    def start(params: PyTree, own: PyTree) -> State:
        return method.init(landscapes.of(own), params)

    state = each(start)(params, landscapes.own)
    runs = count(params)
    return Block(state, np.zeros(runs, np.int8), np.zeros(runs, np.int64))


def each(function: Callable) -> Callable:
    """`jax.vmap`, but for a large run that goes alone: it compiles faster without a batch axis."""

    def mapped(batch: PyTree, *others: PyTree) -> PyTree:
        alone = count(batch) == 1 and size_of_one(batch) > LARGE
        if not alone:
            return jax.vmap(function)(batch, *others)
        first = jax.tree.map(lambda leaf: leaf[0], (batch, *others))
        return jax.tree.map(lambda leaf: leaf[None], function(*first))

    return mapped


def size_of_one(batch: PyTree) -> int:
    """Bytes of the parameters of one run of a batch."""
    return sum(
        np.dtype(leaf.dtype).itemsize * int(np.prod(leaf.shape[1:]))
        for leaf in jax.tree.leaves(batch)
    )


@functools.cache
def _a_key() -> Array:
    return jax.random.key(0)


def computed(landscape: Landscape, method: Any, starts: PyTree, proof: Callable | None) -> bytes:
    """A checksum of what a landscape and a method compute now; see `whytrain._computes`."""

    def of_one(landscape: Landscape, method: Any, proof: Any, params: PyTree, key: Array) -> PyTree:
        state = method.init(landscape, params)
        moved = method.step(landscape, state, jnp.zeros((), int), key)
        return state, moved, None if proof is None else proof(moved.params)

    one = jax.tree.map(lambda leaf: leaf[0], starts)
    return computes(of_one, landscape, method, proof, one, _a_key())


@eqx.filter_jit
def advance(
    landscapes: Landscapes,
    method: Method | WithExtremes | WithStop,
    block: Block,
    keys: UInt32[Numeric, "run word"],
    generator: Any,
    start: Int[Numeric, ""],
    stop: Int[Numeric, ""],
    proof: Callable | None,
) -> Block:
    """Move a block from step `start` to step `stop`, or until all of its runs are decided.

    Args:
        landscapes: What the runs descend on.
        method: How they move.
        block: Where they are.
        keys: The words of one key a run; step `t` of a run gets `fold_in(key, t)`.
        generator: What the keys are of, as `jax.random.key_impl` says.
        start: Number of the first step.
        stop: Number of the step before which to stop.
        proof: Where a run is proved to end, for early verdicts; None for no early verdicts.
    """
    of_runs = jax.random.wrap_key_data(keys, impl=generator)

    def one_step(t: Array, state: State) -> State:
        def step(state: State, key: Array, own: PyTree) -> State:
            landscape = landscapes.of(own)
            return method.step(landscape, state, t, jax.random.fold_in(key, t))

        return each(step)(state, of_runs, landscapes.own)

    def more(carry: tuple[Array, Block]) -> Array:
        t, block = carry
        return (t < stop) & jnp.any(block.outcome == Outcome.UNDECIDED)

    def look(carry: tuple[Array, Block]) -> tuple[Array, Block]:
        t, block = carry
        after = jnp.minimum(t + CHECK, stop)
        moved = jax.lax.fori_loop(t, after, one_step, block.state)
        going = block.outcome == Outcome.UNDECIDED
        state = moved  # a run that is alone goes on, or the loop would have ended
        if len(going) > 1:
            state = jax.tree.map(lambda new, old: _where(going, new, old), moved, block.state)
        judged = _judge(state.params, proof)
        if (halted := has_stopped(state)) is not None:
            judged = jnp.where(halted, STOPPED, judged)
        outcome = jnp.where(going, judged, block.outcome).astype(jnp.int8)
        return after, Block(state, outcome, block.steps + jnp.where(going, after - t, 0))

    if proof is not None:
        first = _judge(block.state.params, proof)
        block = block._replace(outcome=jnp.where(block.outcome == 0, first, block.outcome))
    return jax.lax.while_loop(more, look, (jnp.asarray(start), _arrays(block)))[1]


@eqx.filter_jit
def reasons_at_the_end(
    landscapes: Landscapes, method: WithStop, params: PyTree
) -> Int[Array, " run"]:
    """Why runs would stop at their last point, from which no step went."""

    def reason(params: PyTree, own: PyTree) -> Array:
        return method.reason(landscapes.of(own), params)

    return each(reason)(params, landscapes.own)


def _arrays(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.asarray, tree)


def _where(going: Array, new: Array, old: Array) -> Array:
    return jnp.where(going.reshape(going.shape + (1,) * (new.ndim - 1)), new, old)


def _judge(params: PyTree, proof: Callable | None) -> Int[Array, " run"]:
    """Diverged where not finite, the proved minimum where there is a proof, else undecided."""

    def one(params: PyTree) -> Array:
        finite = jnp.all(jnp.isfinite(jax.flatten_util.ravel_pytree(params)[0]))
        proved = 0 if proof is None else proof(params)
        return jnp.where(finite, proved, int(Outcome.DIVERGED)).astype(jnp.int8)

    return each(one)(params)
