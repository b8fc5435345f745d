"""Networks in training: where they are, where they start, and their arrays by name."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Bool, Int, PyTree

from whytrain.errors import UserError
from whytrain.networks import ImageNetwork

MOMENTUM = optax.trace(decay=0.9)  # the direction `m <- 0.9 m + gradient`
METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


class Position(NamedTuple):
    """Where the networks are: everything that the next step needs, with axes (run, variant).

    Attributes:
        params: The parameters.
        memory: What the optimizer remembers.
        statistics: Running mean and variance of each batch normalization.
        steps: Steps taken.
        training: Which networks have not yet reached the target.
    """

    params: PyTree
    memory: PyTree
    statistics: PyTree
    steps: Int[Array, "run variant"]
    training: Bool[Array, "run variant"]


@dataclass(frozen=True)
class Trained:
    """Networks in training, or after it.

    Attributes:
        initial: The parameters before the first step.
        position: Where the networks are now.
        metrics: Of every epoch, arrays (run, variant, epoch) by the names in `METRICS`: loss and
            accuracy over the batches of the epoch while it went on, and on the test set after it
            with the running statistics; NaN where the test set was not looked at.
    """

    initial: PyTree
    position: Position
    metrics: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def params(self) -> PyTree:
        """The parameters now."""
        return self.position.params

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return self.metrics["train_loss"].shape[-1] if self.metrics else 0

    def history(self) -> xr.Dataset:
        """The metrics with named dimensions; `epoch` counts from 1."""
        dims = ("run", "variant", "epoch")
        data = {name: (dims, values) for name, values in self.metrics.items()}
        return xr.Dataset(data, {"epoch": np.arange(1, self.epochs + 1)})

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name: `initial/U`, `position/params/U`, `metrics/train_loss`."""
        parts = {
            "initial": self.initial, "position": self.position._asdict(), "metrics": self.metrics,
        }  # fmt: skip
        return {
            name: np.asarray(leaf)
            for part, tree in parts.items()
            for name, leaf in _named(part, tree).items()
        }


def begin(
    network: ImageNetwork, optimizer: optax.GradientTransformation, keys: Array, variants: int,
    starts: PyTree | None,
) -> Trained:  # fmt: skip
    """Networks before the first step.

    Raises:
        UserError: `starts` has other axes.
    """
    axes = (len(keys), variants)
    if starts is None:
        starts = _drawn(network, keys)
    else:
        _check_starts(network, starts, axes)
    return Trained(*_start(network, optimizer, starts, axes))


def _check_starts(network: ImageNetwork, starts: PyTree, axes: tuple[int, int]) -> None:
    """Refuse starts that are not the parameters of the network, with axes (run, variant)."""
    with jax.enable_x64(False):
        wanted = _named("starts", jax.eval_shape(network.init, jax.random.key(0)))
    given = _named("starts", starts)
    if given.keys() != wanted.keys():
        name = min(given.keys() ^ wanted.keys())
        raise UserError(
            f"starts must be parameters as of network.init: {name} is "
            f"{'not one of them' if name in given else 'missing'}"
        )
    for name, leaf in given.items():
        shape, own = np.shape(leaf), wanted[name].shape
        if len(shape) < 2 or any(n not in (1, m) for n, m in zip(shape, axes, strict=False)):
            raise UserError(f"starts must have leading axes {axes}, or 1, got {name} of {shape}")
        if shape[2:] != own or np.asarray(leaf).dtype.kind not in "iufV":
            raise UserError(
                f"{name} must be real numbers of shape {own} behind the axes {axes}, got "
                f"{np.asarray(leaf).dtype} {shape[2:]}"
            )


def from_arrays(
    arrays: dict[str, np.ndarray], network: ImageNetwork, optimizer: optax.GradientTransformation
) -> Trained:
    """Networks from what `Trained.arrays` gave.

    Raises:
        UserError: They are of another network or optimizer.
    """
    axes = np.shape(arrays.get("position/steps", ()))
    if len(axes) != 2 or 0 in axes:
        raise UserError("no networks in training are in it")
    template = _empty(network, optimizer, (axes[0], axes[1]))
    initial = _filled("initial", template.initial, arrays)
    position = Position(**_filled("position", template.position._asdict(), arrays))
    return Trained(initial, position, _metrics(arrays, axes))


def _metrics(arrays: dict[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The metrics: all of them, of one number of epochs."""
    held = {name: arrays.get(f"metrics/{name}") for name in METRICS}
    metrics = {name: found for name, found in held.items() if found is not None}
    epochs = {found.shape[2:] for found in metrics.values()}
    alike = len(epochs) == 1 and all(found.shape[:2] == axes for found in metrics.values())
    if len(metrics) < len(METRICS) or not alike or len(epochs.pop()) != 1:
        shapes = {f"metrics/{n}": "nothing" if f is None else f.shape for n, f in held.items()}
        raise UserError(
            f"each of its metrics must be of shape {axes} and one number of epochs, it holds "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        )
    return metrics


@eqx.filter_jit
def _drawn(network: ImageNetwork, keys: Array) -> PyTree:
    """Initial parameters with axes (run, 1)."""

    def one(key: Array) -> PyTree:
        return network.init(jax.random.fold_in(key, 0))

    return jax.tree.map(lambda leaf: leaf[:, None], jax.vmap(one)(keys))


@eqx.filter_jit
def _start(
    network: ImageNetwork,
    optimizer: optax.GradientTransformation,
    starts: PyTree,
    axes: tuple[int, int],
) -> tuple[PyTree, Position]:
    initial = jax.tree.map(
        lambda leaf: jnp.broadcast_to(jnp.asarray(leaf, jnp.float32), axes + leaf.shape[2:]), starts
    )
    one = jax.tree.map(lambda leaf: leaf[0, 0], initial)
    image = jnp.zeros((1, *network.shape), jnp.float32)
    shapes = jax.eval_shape(lambda: network(one, image, jax.nn.relu).statistics)
    statistics = jax.tree.map(lambda leaf: jnp.zeros(axes + leaf.shape, jnp.float32), shapes)
    memory = jax.vmap(jax.vmap(optimizer.init))(initial)
    counts, training = jnp.zeros(axes, jnp.int32), jnp.ones(axes, bool)
    return initial, Position(initial, memory, statistics, counts, training)


def _empty(
    network: ImageNetwork, optimizer: optax.GradientTransformation, axes: tuple[int, int]
) -> Trained:
    """The shapes of networks in training, without their numbers."""

    def shapes() -> tuple[PyTree, Position]:
        starts = _drawn(network, jax.random.split(jax.random.key(0), axes[0]))
        return _start(network, optimizer, starts, axes)

    with jax.enable_x64(False):
        return Trained(*jax.eval_shape(shapes))


def _named(part: str, tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        f"{part}/{jax.tree_util.keystr(path, simple=True, separator='/')}": leaf
        for path, leaf in leaves
    }


def _filled(part: str, template: Any, found: dict[str, np.ndarray]) -> Any:
    """The template with the arrays that were found in it."""
    names = _named(part, template)
    for name, leaf in names.items():
        if name not in found or found[name].shape != leaf.shape or found[name].dtype != leaf.dtype:
            held = f"{found[name].dtype} {found[name].shape}" if name in found else "nothing"
            raise UserError(
                f"it is of another network or optimizer: {name} must be {leaf.dtype} "
                f"{leaf.shape}, it holds {held}"
            )
    if more := sorted(n for n in found if n.startswith(f"{part}/") and n not in names):
        raise UserError(f"it is of another network or optimizer, with {more[0]} in it")
    return jax.tree.unflatten(jax.tree.structure(template), [found[name] for name in names])
