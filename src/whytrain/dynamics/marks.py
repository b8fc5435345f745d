"""What a training is, as checksums by name: a checkpoint is gone on from by its own alone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree, UInt8

from whytrain._computes import program
from whytrain.dynamics.checkpoints import Checkpoint
from whytrain.dynamics.methods import updated
from whytrain.dynamics.trained import Trained, from_arrays
from whytrain.errors import UserError
from whytrain.networks import EmpiricalRisk, ImageNetwork

Mark = UInt8[np.ndarray, " byte"]

_SIZES = "step sizes"


def mark(*values: Any) -> Mark:
    """A checksum of numbers, arrays and words."""
    found = hashlib.sha256()
    for value in map(np.asarray, values):
        found.update(f"{value.dtype} {value.shape};".encode() + value.tobytes())
    return np.frombuffer(found.digest(), np.uint8)


def marks_of(
    network: ImageNetwork, optimizer: optax.GradientTransformation, activations: Any, keys: Array,
    start: Trained,
) -> dict[str, Mark]:  # fmt: skip
    """The checksums of what trains, by what they are of.

    What a function computes is told by a trace, which is the same in every process.

    Args:
        network: The architecture.
        optimizer: The optimizer.
        activations: All of them, with a leading axis in every array.
        keys: One key a run.
        start: The networks before the first step of this training.
    """
    return {
        "networks": _of_network(network, start),
        "activations": _of_activations(network, activations, start),
        "optimizers": _of_optimizer(optimizer, start),
        "keys": mark(str(jax.random.key_impl(keys)), jax.random.key_data(keys)),
        "starts": mark(*start.arrays().values()),
    }


def _of_network(network: ImageNetwork, start: Trained) -> Mark:
    """A checksum of what a network computes."""

    def shown(params: PyTree, image: Array) -> Any:
        return network(params, image, jax.nn.relu)

    return _of_program(shown, _shapes(start), _image(network))


def _of_optimizer(optimizer: optax.GradientTransformation, start: Trained) -> Mark:
    """A checksum of what an optimizer remembers first, and of its step."""

    def moved(params: PyTree) -> Any:
        memory = optimizer.init(params)
        return memory, updated(optimizer, params, memory, params)

    return _of_program(moved, _shapes(start))


def _of_activations(network: ImageNetwork, activations: Any, start: Trained) -> Mark:
    """A checksum of the numbers in activations, and of the slope of a network with one of them."""
    numbers, rest = eqx.partition(activations, eqx.is_array_like)
    numbers = jax.tree.map(jnp.asarray, numbers)

    def learned(params: PyTree, image: Array, numbers: PyTree) -> Any:
        activation = eqx.combine(jax.tree.map(lambda leaf: leaf[0], numbers), rest)
        return EmpiricalRisk(network, image, jnp.zeros(1, int), activation=activation).grad(params)

    held = _of_program(learned, _shapes(start), _image(network), numbers)
    return mark(held, *jax.tree.leaves(numbers))


def _of_program(function: Any, *given: Any) -> Mark:
    return np.frombuffer(program(function, *given), np.uint8)


def _shapes(start: Trained) -> PyTree:
    """The parameters of one network of (run, variant)."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype), start.initial
    )


def _image(network: ImageNetwork) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *network.shape), jnp.float32)


@dataclass(frozen=True)
class Marked:
    """A checkpoint of one training alone.

    Attributes:
        place: Where it lies.
        marks: The checksums of the training by what they are of, in the plural: first that which
            makes others differ.
        taken: A checksum of the step sizes up to the end of an epoch.
    """

    place: Checkpoint
    marks: dict[str, Mark]
    taken: Callable[[int], Mark]

    def read(
        self, network: ImageNetwork, optimizer: optax.GradientTransformation
    ) -> Trained | None:
        """Give the networks that were written last, or `None` if there are none.

        Raises:
            UserError: They are of another training.
        """
        kept = self.place.read()
        if kept is None:
            return None
        for name, held in self.marks.items():
            self._check(kept, name, held)
        try:
            found = from_arrays(kept, network, optimizer)
        except UserError as error:
            raise UserError(f"cannot go on from {self.place}: {error}") from error
        self._check(kept, _SIZES, self.taken(found.epochs))
        return found

    def write(self, trained: Trained) -> None:
        """Keep networks, in place of what was there."""
        marks = self.marks | {_SIZES: self.taken(trained.epochs)}
        self.place.write(trained.arrays() | {_entry(name): held for name, held in marks.items()})

    def _check(self, kept: dict[str, np.ndarray], name: str, held: Mark) -> None:
        if _entry(name) not in kept:
            raise UserError(
                f"{self.place} does not say of which training it is; take another file, or delete "
                "it; from what save_checkpoint wrote go on with resume=load_checkpoint(...)"
            )
        if not np.array_equal(kept[_entry(name)], held):
            raise UserError(
                f"{self.place} is of another training: the {name} differ; take another file, or "
                "delete it"
            )


def _entry(name: str) -> str:
    """The name of a checksum in a checkpoint."""
    return f"training/{name.replace(' ', '_')}"
