"""The tangent kernel of one traced function: layer by layer where there are layers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array

from whytrain.kernels.channels import channels_last
from whytrain.kernels.passing import Passing, passing
from whytrain.kernels.uses import Seen, Use, View, follow, plain, understood

Leaves = Sequence[Any]
Signals = dict[str, Any]

_CACHE = 2**25  # bytes that are held at a time: about what a processor's last cache takes


@dataclass(frozen=True, eq=False)
class Program:
    """How the kernel of a function is computed, for parameters and examples of given shapes.

    Attributes:
        closed: The function of the parameters and one example, traced.
        shapes: Of the parameters.
        uses: Of the parameters whose layers were found, without the inputs.
        taps: Of the contractions' outputs.
        rest: Parameters that go through their Jacobian.
        outputs: How many outputs there are.
    """

    closed: core.ClosedJaxpr
    shapes: tuple[tuple[int, ...], ...]
    uses: tuple[Use, ...]
    taps: tuple[jax.ShapeDtypeStruct, ...]
    rest: frozenset[int]
    outputs: int

    @cached_property
    def groups(self) -> list[list[int]]:
        """The uses, by their number, that see the same part of a parameter."""
        found: dict[tuple, list[int]] = {}
        for number, use in enumerate(self.uses):
            found.setdefault((use.leaf, use.key), []).append(number)
        return list(found.values())

    @cached_property
    def places(self) -> list[tuple[int, int, int]]:
        """Of each use, how many places, groups and outputs its contraction has."""
        return [use.signal(np.broadcast_to(0, self.taps[use.tap].shape)).shape for use in self.uses]

    def single(self, group: Sequence[int]) -> bool:
        """Whether a parameter acts at one place: its gradient is one signal times one input."""
        return len(group) == 1 and self.places[group[0]][:2] == (1, 1)

    @cached_property
    def kept(self) -> int:
        """How many numbers are kept of an example: inputs and signals, or gradients."""
        sizes = [math.prod(shape) for shape in self.shapes]
        found = self.outputs * sum(sizes[leaf] for leaf in self.rest)
        for group in self.groups:
            size, out = sizes[self.uses[group[0]].leaf], self.places[group[0]][2]
            single = self.single(group)
            found += size // out + self.outputs * out if single else self.outputs * size
        return found

    @cached_property
    def passing(self) -> Passing:
        """What one example takes."""
        return passing(self.closed.jaxpr)

    @cached_property
    def held(self) -> int:
        """Bytes for one example while its signals are computed."""
        return self.passing.size * (1 + 2 * self.outputs) * self._itemsize

    @cached_property
    def together(self) -> int:
        """Examples whose signals are computed at a time.

        As many as the cache takes; more where parameters are many, which are read each time.
        """
        read = self._itemsize * sum(map(math.prod, self.shapes))
        return max(max(_CACHE, 4 * read) // max(self.held, 1), 1)

    @property
    def _itemsize(self) -> int:
        output: Any = self.closed.out_avals[0]
        return output.dtype.itemsize

    @cached_property
    def signals(self) -> Callable[[Leaves, Array], Signals]:
        """What the kernel is made of, at a batch of examples; compiled."""
        return jax.jit(self._batch)

    def again(self, leaves: Leaves, x: Array, old: Signals | None) -> Signals:
        """`signals`, in the memory of what was made before, if anything was, which is gone then.

        An allocator that is given blocks back and asked for others leaves gaps between them, and
        holds twice what is in use.
        """
        shapes = jax.eval_shape(self._batch, leaves, x) if old is None else {}
        new = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), shapes)
        return self._again(leaves, x, old or new)

    @cached_property
    def _again(self) -> Callable[[Leaves, Array, Signals], Signals]:
        run = lambda leaves, x, _: self._batch(leaves, x)  # noqa: E731
        return jax.jit(run, donate_argnums=2, keep_unused=True)

    @cached_property
    def square(self) -> Callable[..., tuple[dict[int, Array], Array]]:
        """The kernel of a batch with itself, of rows and columns, and the zeros; compiled."""

        def run(leaves: Leaves, x: Array, outputs: str, by_layer: bool) -> tuple[dict, Array]:
            made = self._batch(leaves, x)
            side = len(x) * (self.outputs if outputs == "full" else 1)
            return {
                name: _symmetric(part.reshape(-1, side, side))
                for name, part in block(made, made, outputs, by_layer).items()
            }, made["zeros"]

        return jax.jit(run, static_argnames=("outputs", "by_layer"))

    @cached_property
    def zeros(self) -> Callable[[Leaves, Array], Array]:
        """How many rectifiers' inputs are exactly 0, for each of a batch; compiled."""
        return jax.jit(jax.vmap(lambda leaves, x: self._run(leaves, x, Seen())[1], (None, 0)))

    def _batch(self, leaves: Leaves, x: Array) -> Signals:
        """Some examples at a time, as many as the cache takes."""
        some = jax.vmap(partial(self._signals, leaves))
        times = math.ceil(len(x) / self.together)
        if times == 1:
            return some(x)
        size = math.ceil(len(x) / times)
        filled = x[jnp.minimum(jnp.arange(times * size), len(x) - 1)]
        made = jax.lax.map(channels_last(some), filled.reshape(times, size, *x.shape[1:]))
        return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[: len(x)], made)

    def _run(self, leaves: Leaves, x: Array, seen: Seen) -> tuple[Array, Array]:
        """The outputs, and the count of zeros."""
        given = [
            leaf if i in self.rest else View(i, self.shapes[i], leaf)
            for i, leaf in enumerate(leaves)
        ]
        [output] = follow(self.closed.jaxpr, self.closed.consts, [*given, x], seen)
        if isinstance(output, View):
            seen.opaque.add(output.leaf)
        return plain(output).reshape(-1), jnp.asarray(sum(seen.zeros))

    def _signals(self, leaves: Leaves, x: Array) -> Signals:
        """At one example: how the outputs change with each layer's, each layer's inputs, ..."""

        def run(taps: list[Array], rest: dict[int, Array]) -> tuple[Array, tuple]:
            seen = Seen(taps)
            mixed = [rest.get(i, leaf) for i, leaf in enumerate(leaves)]
            output, zeros = self._run(mixed, x, seen)
            return output, ([_inputs(use, output.dtype) for use in seen.uses], zeros)

        taps = [jnp.zeros(tap.shape, tap.dtype) for tap in self.taps]
        rest = {i: leaves[i] for i in self.rest}
        output, pull, (inputs, zeros) = jax.vjp(run, taps, rest, has_aux=True)
        changes, jacobian = jax.vmap(pull)(jnp.eye(self.outputs, dtype=output.dtype))
        signals = [jax.vmap(use.signal)(changes[use.tap]) for use in self.uses]
        single: dict[int, Any] = {}
        gradients = {leaf: [rows] for leaf, rows in jacobian.items()}
        for group in self.groups:
            use, first = self.uses[group[0]], group[0]
            if self.single(group):
                _, found = single.setdefault(use.tap, (signals[first][:, 0, 0], {}))
                # Parts of one parameter, such as weights and biases in one array.
                here = [found[use.leaf]] if use.leaf in found else []
                found[use.leaf] = jnp.concatenate([*here, inputs[first].reshape(-1)])
            else:
                parts = (_gradient(inputs[i], signals[i]) for i in group)
                gradients.setdefault(use.leaf, []).append(sum(parts))
        return {
            "single": single,
            "gradients": {
                leaf: jnp.concatenate([rows.reshape(self.outputs, -1) for rows in parts], axis=1)
                for leaf, parts in gradients.items()
            },
            "zeros": zeros,
        }


def _symmetric(square: Array) -> Array:
    """Equal to its mirror image but for rounding: the mean of both."""
    return (square + square.swapaxes(-1, -2)) / 2


def _inputs(use: Use, dtype: Any) -> Array:
    inputs = jnp.ones((1, 1, 1), dtype) if use.inputs is None else use.inputs
    return jnp.asarray(use.scale, dtype) * inputs


def _gradient(inputs: Array, signal: Array) -> Array:
    """`[o, g, k, i]`: `sum_t inputs[t, g, i] signal[o, t, g, k]`; a bias has one input."""
    if inputs.size == 1:
        return (inputs * signal).sum(axis=1)[..., None]
    outputs, places, groups, _ = signal.shape
    # A product of two matrices for each group: XLA copies the signals, and not what comes out.
    rows = signal.transpose(2, 1, 0, 3).reshape(groups, places, -1)
    found = jnp.einsum("gtz,gti->gzi", rows, inputs.swapaxes(0, 1))
    return found.reshape(groups, outputs, signal.shape[-1], -1).swapaxes(0, 1)


@partial(jax.jit, static_argnames=("outputs", "by_layer"))
def block(a: Signals, b: Signals, outputs: str, by_layer: bool) -> dict[int, Array]:
    """The kernel between two batches of examples.

    Args:
        a: The one batch's signals.
        b: The other's.
        outputs: What of the outputs: `"full"`, `"trace"` or `"diagonal"`.
        by_layer: Whether each parameter's contribution is wanted.

    Returns:
        Contributions by parameter, or their sum under -1: (example, output, example, output),
        (example, example) or (output, example, example).
    """
    found: dict[int, Any] = {}
    wide = {"full": np.s_[:, None, :, None], "trace": np.s_[:, :], "diagonal": np.s_[None]}[outputs]
    for tap, (signal, inputs) in a["single"].items():
        other, others = b["single"][tap]
        of_signals = _product(signal, other, outputs)
        of_inputs = {leaf: one @ others[leaf].T for leaf, one in inputs.items()}
        if not by_layer:
            of_inputs = {-1: sum(of_inputs.values())}
        for leaf, part in of_inputs.items():
            found[leaf] = found.get(leaf, 0) + part[wide] * of_signals  # pyright: ignore[reportIndexIssue]
    for leaf, rows in a["gradients"].items():
        name = leaf if by_layer else -1
        found[name] = found.get(name, 0) + _product(rows, b["gradients"][leaf], outputs)
    return found


def _product(a: Array, b: Array, outputs: str) -> Array:
    """Rows (example, output, number) of one batch against those of another."""
    if outputs == "trace":
        return a.reshape(len(a), -1) @ b.reshape(len(b), -1).T
    if outputs == "diagonal":
        return jnp.einsum("aok,bok->oab", a, b)
    rows = a.reshape(-1, a.shape[-1]) @ b.reshape(-1, b.shape[-1]).T
    return rows.reshape(*a.shape[:2], *b.shape[:2])


@lru_cache(maxsize=64)
def program(
    call: Callable[[list, Any], Any],
    leaves: tuple[jax.ShapeDtypeStruct, ...],
    example: jax.ShapeDtypeStruct,
    layers: bool,
) -> Program:
    """Trace a function, and find its layers.

    Args:
        call: `call(leaves, batch)`.
        leaves: The parameters' shapes.
        example: One example's.
        layers: Whether layers are looked for.
    """

    def single(*given: Any) -> Any:
        return call(list(given[:-1]), given[-1][None])[0]

    closed = jax.make_jaxpr(single)(*leaves, example)
    shapes = tuple(leaf.shape for leaf in leaves)
    outputs = math.prod(closed.out_avals[0].shape)
    rest = frozenset(() if layers else range(len(leaves)))
    while True:
        seen = _look(Program(closed, shapes, (), (), rest, outputs), leaves, example)
        more = frozenset(seen.opaque | {use.leaf for use in seen.uses}) - understood(seen)
        if not more:
            break
        rest |= more  # and look again: a bias that was added to its layer is added to none now
    uses = tuple(use._replace(inputs=None, scale=None) for use in seen.uses)
    return Program(closed, shapes, uses, tuple(seen.outputs), rest, outputs)


def _look(program: Program, leaves: Sequence[Any], example: Any) -> Seen:
    """What is met on the way, without computing anything."""
    seen = Seen()
    jax.eval_shape(lambda given, x: program._run(given, x, seen)[0], list(leaves), example)
    return seen
