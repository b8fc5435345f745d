"""Training networks: epochs of shuffled minibatches, one program for all runs and variants."""

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Int, PyTree

from whytrain._computes import computes
from whytrain._process import threads
from whytrain.data.dataset import Dataset, as_float
from whytrain.dynamics import asked
from whytrain.dynamics.checkpoints import Checkpoint
from whytrain.dynamics.marks import Mark, Marked, mark, marks_of
from whytrain.dynamics.methods import updated
from whytrain.dynamics.schedules import Schedule, table
from whytrain.dynamics.trained import METRICS, MOMENTUM, Position, Trained, begin, from_arrays
from whytrain.errors import UserError
from whytrain.networks import EmpiricalRisk, ImageNetwork, cross_entropy

FORGET = 0.1  # weight of a batch in the running statistics, as other libraries have it
CHUNK = 64  # test examples at a time
SECONDS = 30.0  # between two checkpoints


def train(
    network: ImageNetwork,
    dataset: Dataset,
    keys: Array,
    *,
    epochs: int,
    step_size: float | Schedule,
    activations: Any = jax.nn.relu,
    batch: int = 64,
    optimizer: optax.GradientTransformation = MOMENTUM,
    starts: PyTree | None = None,
    resume: Trained | None = None,
    target: float | None = None,
    test_every: int = 1,
    checkpoint: str | Path | Checkpoint | None = None,
) -> Trained:
    """Train one network per run and variant, all of them together, in float32 on cross-entropy.

    A run is a key: it draws the initial parameters and the order of the examples. A variant is an
    activation, such as a quantizer of other bits or with another estimator. The variants of a run
    see the same batches from the same start, so that their differences are paired.

    Every epoch of a run goes through a permutation of the training examples in batches of one size;
    what does not fill a batch is left out. A step is

        params <- params - step_size(step) * direction

    with the direction that the optimizer makes of the gradient. A network's result depends on its
    own key and activation only, to the last bit: not on the other runs and variants, nor on the
    number of threads.

    Args:
        network: The architecture.
        dataset: Training and test examples.
        keys: One key a run.
        epochs: How many epochs in all, those of `resume` among them.
        step_size: A number, or a schedule over steps such as one of Optax.
        activations: One activation, or a batch of them with a leading axis in every array, as from
            `whytrain.networks.stack`.
        batch: Examples a step.
        optimizer: An Optax transformation that makes a direction to be *subtracted*, without step
            size. Default: momentum 0.9.
        starts: Initial parameters with axes (run, variant), either of length 1 to be repeated.
            Default: `network.init`.
        resume: Go on from here instead.
        target: Networks whose mean loss over an epoch is below this stand still from then on, and
            training ends when all do.
        test_every: Look at the test set after every so many epochs, and after the last.
        checkpoint: A safetensors file, or another place, where the networks are kept every half
            minute and at the end. What is there already is gone on from, with the same result as
            if the training had never been interrupted.

    Returns:
        The networks, with their metrics. A loss that is not finite is a reported outcome.

    Raises:
        UserError: An argument is not what it should be, a label is no class of the network, or the
            checkpoint is of another training or has more epochs behind it.

    Example:
        >>> from whytrain.data import load
        >>> from whytrain.networks import TwoLayer
        >>> digits = load("digits")
        >>> network = TwoLayer(digits.shape, width=64)
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> trained = train(network, digits, keys, epochs=5, step_size=0.1)
        >>> bool((trained.history().test_accuracy.isel(epoch=-1) > 0.85).all())
        True
    """
    asked.check_data(network, dataset)
    asked.check_sizes(len(dataset.train_labels), epochs, batch, test_every, target)
    asked.check_step_size(step_size)
    asked.check_keys(keys)
    asked.check_functions(activations, optimizer)
    checkpoint = asked.checked_place(checkpoint)
    variants, activations = _variants(activations)
    per_epoch = len(dataset.train_labels) // batch
    with jax.enable_x64(False), ThreadPoolExecutor(threads()) as pool:
        train_set = _examples(dataset.train_images, dataset.train_labels)
        test_set = _examples(dataset.test_images, dataset.test_labels)
        if resume is None:
            now = begin(network, optimizer, keys, variants, starts)
        else:
            now = _resumed(resume, network, optimizer, (len(keys), variants), starts)
            _check_still(resume, target)
        place = None
        if checkpoint is not None:
            first = now.epochs * per_epoch

            def taken(epochs: int) -> Mark:
                return mark(_sizes(step_size, first, epochs * per_epoch))

            marks = marks_of(network, optimizer, activations, keys, now) | {
                "training examples": mark(*train_set),
                "test examples": mark(*test_set),
                "batches": mark(int(batch)),
                "values of test_every": mark(int(test_every)),
                "targets": mark(np.nan if target is None else float(target)),
            }
            place = Marked(checkpoint, marks, taken)
            now = place.read(network, optimizer) or now
        if now.epochs > epochs:
            held = "resume" if now is resume else checkpoint
            raise UserError(
                f"{held} has {now.epochs} epochs behind it; epochs, those among them, must be as "
                f"many or more, got {epochs}"
            )
        step_now = _step_now(network, optimizer, activations, train_set, batch, now.position)
        test_now = _test_now(network, activations, test_set, now.position)
        saved = time.monotonic()
        for epoch in range(now.epochs, epochs):
            position = now.position
            if target is not None and not np.asarray(position.training).any():
                break
            sizes = _sizes(step_size, epoch * per_epoch, (epoch + 1) * per_epoch)
            order = _order(keys, epoch, len(dataset.train_labels), per_epoch, batch)
            go = functools.partial(
                _epoch, network, optimizer, activations, train_set, jnp.asarray(sizes),
                jnp.float32(-np.inf if target is None else target), step_now,
            )  # fmt: skip
            position, train_metrics = _one_by_one(pool, go, position, order)
            last = epoch + 1 == epochs or not np.asarray(position.training).any()
            if last or (epoch + 1) % test_every == 0:
                look = functools.partial(_test, network, activations, test_set, test_now)
                test_metrics = _one_by_one(pool, look, position)
            else:
                test_metrics = (np.full_like(train_metrics[0], np.nan),) * 2
            now = _after(now, position, (*train_metrics, *test_metrics))
            if place is not None and (last or time.monotonic() - saved > SECONDS):
                place.write(now)
                saved = time.monotonic()
    return now


def _after(before: Trained, position: Position, metrics: Sequence[np.ndarray]) -> Trained:
    """The networks an epoch later, with its metrics behind the earlier ones."""
    found = {name: np.asarray(each)[..., None] for name, each in zip(METRICS, metrics, strict=True)}
    if before.metrics:
        found = {n: np.concatenate([before.metrics[n], found[n]], axis=-1) for n in METRICS}
    return Trained(before.initial, position, found)


def _resumed(
    resume: Any, network: ImageNetwork, optimizer: optax.GradientTransformation,
    axes: tuple[int, int], starts: PyTree | None,
) -> Trained:  # fmt: skip
    """What is to be gone on from, if it is of this network, and of as many runs and variants."""
    if not isinstance(resume, Trained):
        raise UserError(
            "resume must be what train or load_checkpoint gave, got "
            f"{type(resume).__name__}; a file is read by load_checkpoint"
        )
    if starts is not None:
        raise UserError("starts and resume are both given; resume has its own: leave one out")
    try:
        from_arrays(resume.arrays(), network, optimizer)
    except UserError as error:
        raise UserError(f"cannot go on from resume: {error}") from error
    if (held := np.shape(resume.position.steps)) != axes:
        raise UserError(
            f"resume holds (runs, variants) = {held}, keys and activations are for {axes}"
        )
    return resume


def _check_still(resume: Trained, target: float | None) -> None:
    """Refuse networks that stand still without having reached the target: they had another one."""
    still = ~np.asarray(resume.position.training)
    least = np.fmin.reduce(resume.metrics["train_loss"], axis=-1)
    for run, variant in np.argwhere(
        still & ~(least < np.float32(-np.inf if target is None else target))
    ):
        raise UserError(
            f"run {run}, variant {variant} of resume stands still at a loss of "
            f"{least[run, variant]:.3g}, below another target than {target}; give that target, or "
            "starts=resume.params"
        )


def _sizes(step_size: float | Schedule, start: int, stop: int) -> Float[np.ndarray, " step"]:
    """The step sizes of some steps, as they are taken."""
    sizes = table(step_size, start, stop).astype(np.float32)
    if not ((sizes >= 0) & (sizes < np.inf)).all():
        wrong = int(np.argmin((sizes >= 0) & (sizes < np.inf)))
        raise UserError(
            f"step sizes must be finite numbers >= 0, step_size gives {sizes[wrong]} at step "
            f"{start + wrong}"
        )
    return sizes


def evaluate(
    network: ImageNetwork, dataset: Dataset, trained: Trained, activations: Any
) -> xr.Dataset:
    """Loss and accuracy on the test set with the running statistics, over (run, variant)."""
    variants, activations = _variants(activations)
    asked.check_data(network, dataset)
    if variants not in (1, held := np.shape(trained.position.steps)[1]):
        raise UserError(f"activations must be one, or {held} as in the training, got {variants}")
    with jax.enable_x64(False), ThreadPoolExecutor(threads()) as pool:
        test_set = _examples(dataset.test_images, dataset.test_labels)
        now = _test_now(network, activations, test_set, trained.position)
        look = functools.partial(_test, network, activations, test_set, now)
        loss, accuracy = _one_by_one(pool, look, trained.position)
    dims = ("run", "variant")
    return xr.Dataset({
        "test_loss": (dims, np.asarray(loss)), "test_accuracy": (dims, np.asarray(accuracy)),
    })  # fmt: skip


def _one_by_one(
    pool: ThreadPoolExecutor, program: Callable, position: Position, *others: Array
) -> tuple:
    """Call a program of a single network for every one of them, on all cores.

    Networks share nothing, and a core each serves small ones better than all cores one step. Nor do
    several of them side by side in one program pay (`jax.vmap`): what one has in flight fits into
    the cache of a core, what six have does not.

    Args:
        pool: The threads.
        program: Takes the number of the variant, a position of one network, and of each of `others`
            the part of its run.
        position: Where the networks are.
        others: Arrays whose second axis is that of runs.
    """
    whole, rest = jax.tree.map(np.asarray, (position, others))
    axes = whole.steps.shape

    def one(run: int, variant: int) -> tuple:
        part = jax.tree.map(lambda leaf: leaf[run, variant], whole)
        with jax.enable_x64(False):  # a setting of the thread
            found = program(np.int32(variant), part, *(leaf[:, run] for leaf in rest))
            return jax.tree.map(np.asarray, found)

    # The first one alone where it has to be compiled; the others then find it compiled.
    alone = int(not whole.steps.any())
    cells = list(np.ndindex(*axes))
    parts = [one(*cell) for cell in cells[:alone]]
    parts += pool.map(lambda cell: one(*cell), cells[alone:])
    return jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*axes, *leaves[0].shape), *parts)


class _Examples(NamedTuple):
    images: Float[Any, "example height width channel"]
    labels: Int[Any, " example"]


def _examples(images: np.ndarray, labels: np.ndarray) -> _Examples:
    return _Examples(jnp.asarray(as_float(images)), jnp.asarray(labels))


def _variants(activations: Any) -> tuple[int, Any]:
    """How many activations there are, and each with a leading axis."""
    numbers = [leaf for leaf in jax.tree.leaves(activations) if eqx.is_array_like(leaf)]
    extents = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in numbers}
    if len(extents) > 1:
        raise UserError(f"activations must have one leading axis in all arrays, got {extents}")
    if extents == {0}:  # one activation with numbers in it
        activations = jax.tree.map(
            lambda leaf: np.asarray(leaf)[None] if eqx.is_array_like(leaf) else leaf, activations
        )
    return max(extents, default=1) or 1, activations


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _order(keys: Array, epoch: Int[Any, ""], examples: int, steps: int, batch: int) -> Array:
    """The numbers of the examples of each step, (steps, run, batch)."""

    def one(key: Array) -> Array:
        # 0 is for the initial parameters
        return jax.random.permutation(jax.random.fold_in(key, 1 + epoch), examples)

    chosen = jax.vmap(one)(keys)[:, : steps * batch]
    return jnp.moveaxis(chosen.reshape(len(keys), steps, batch), 0, 1)


@eqx.filter_jit
def _epoch(
    network: ImageNetwork, optimizer: optax.GradientTransformation, activations: Any,
    examples: _Examples, sizes: Array, target: Array, computes: bytes, variant: Array,
    start: Position, order: Array,
) -> tuple[Position, tuple[Array, Array]]:  # fmt: skip
    """One epoch of one network; the position after it, and its mean loss and accuracy."""
    del computes  # a program is of it
    risk = EmpiricalRisk(network, examples.images, examples.labels)
    activation = _chosen(activations, variant)

    def step(position: Position, at: tuple[Array, Array]) -> tuple[Position, tuple[Array, Array]]:
        chosen, size = at
        return _step(network, optimizer, activation, risk.batch(chosen), position, size)

    end, (losses, hits) = jax.lax.scan(step, start, (order, sizes))
    end = jax.tree.map(lambda new, old: jnp.where(start.training, new, old), end, start)
    loss = jnp.where(start.training, losses.mean(), jnp.nan)
    accuracy = jnp.where(start.training, hits.mean(), jnp.nan)
    return end._replace(training=start.training & ~(loss < target)), (loss, accuracy)


def _chosen(activations: Any, variant: Array) -> Any:
    """One activation out of a batch of them."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf)[variant] if eqx.is_array_like(leaf) else leaf, activations
    )


def _step(
    network: ImageNetwork, optimizer: optax.GradientTransformation, activation: Any, batch: Any,
    position: Position, size: Array,
) -> tuple[Position, tuple[Array, Array]]:  # fmt: skip
    risk = EmpiricalRisk(network, batch.inputs, batch.targets, activation=activation)
    (loss, output), slope = jax.value_and_grad(risk.loss_and_output, has_aux=True)(
        position.params, batch
    )
    direction, memory = updated(optimizer, slope, position.memory, position.params)
    params = jax.tree.map(lambda p, d: p - size * d, position.params, direction)
    # A plain mean over the first batches: what was there before the first of them does not count.
    weight = jnp.maximum(FORGET, 1 / (1 + position.steps.astype(jnp.float32)))
    statistics = jax.tree.map(
        lambda old, new: old + weight * (new - old), position.statistics, output.statistics
    )
    hit = jnp.mean(jnp.argmax(output.logits, axis=-1) == batch.targets, dtype=jnp.float32)
    after = Position(params, memory, statistics, position.steps + 1, position.training)
    return after, (loss, hit)


def _step_now(
    network: ImageNetwork, optimizer: optax.GradientTransformation, activations: Any,
    examples: _Examples, batch: int, position: Position,
) -> bytes:  # fmt: skip
    """A checksum of what a step does now; see `whytrain._computes`."""

    def step(activations: Any, examples: _Examples, position: Position) -> Any:
        risk = EmpiricalRisk(network, examples.images[:batch], examples.labels[:batch])
        some, activation = risk.batch(jnp.arange(batch)), _chosen(activations, jnp.int32(0))
        return _step(network, optimizer, activation, some, position, jnp.float32(0))

    return computes(step, activations, examples, _first(position))


def _test_now(
    network: ImageNetwork, activations: Any, examples: _Examples, position: Position
) -> bytes:
    """A checksum of what a look at test examples does now."""

    def look(activations: Any, images: Array, position: Position) -> Any:
        activation = _chosen(activations, jnp.int32(0))
        return network(position.params, images[:1], activation, position.statistics or None).logits

    return computes(look, activations, examples.images, _first(position))


def _first(position: Position) -> Any:
    """One network of (run, variant)."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[2:], leaf.dtype), position)


@eqx.filter_jit
def _test(
    network: ImageNetwork, activations: Any, examples: _Examples, computes: bytes, variant: Array,
    position: Position,
) -> tuple[Array, Array]:  # fmt: skip
    """Mean loss and accuracy on examples, with the running statistics."""
    del computes  # a program is of it
    images, labels = examples
    activation = _chosen(activations, variant)
    size = min(CHUNK, len(labels))
    chunks = -(-len(labels) // size)
    numbers = jnp.arange(chunks * size)
    inside = (numbers < len(labels)).reshape(chunks, size)
    numbers = jnp.minimum(numbers, len(labels) - 1).reshape(chunks, size)

    def chunk(sums: tuple, at: tuple) -> tuple:
        chosen, counts = at
        statistics = position.statistics or None
        logits = network(position.params, images[chosen], activation, statistics).logits
        each = jax.vmap(cross_entropy)(logits[:, None], labels[chosen][:, None])
        hit = jnp.argmax(logits, axis=-1) == labels[chosen]
        return (
            sums[0] + jnp.sum(jnp.where(counts, each, 0)),
            sums[1] + jnp.sum(hit & counts),
        ), None

    zero = jnp.float32(0), jnp.int32(0)
    (loss, hits), _ = jax.lax.scan(chunk, zero, (numbers, inside))
    return loss / len(labels), hits / len(labels)
