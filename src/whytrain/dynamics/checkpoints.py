"""Networks in training, kept in a safetensors file: nothing in it can be executed."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from whytrain.dynamics.training import METRICS, MOMENTUM, Position, Trained, empty
from whytrain.errors import UserError
from whytrain.networks import Network

FORMAT = "whytrain-training-1"


def save_checkpoint(path: str | Path, trained: Trained) -> None:
    """Write initial and present parameters, statistics, optimizer state and metrics.

    The arrays are named after their place: `initial/U`, `position/params/U`,
    `position/memory/...`, `metrics/train_loss`. The file appears whole or not at all.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from whytrain.data import load
        >>> from whytrain.dynamics import train
        >>> from whytrain.networks import TwoLayer
        >>> digits, keys = load("digits"), jax.random.split(jax.random.key(0), 2)
        >>> network = TwoLayer(digits.shape, width=8)
        >>> half = train(network, digits, keys, epochs=1, step_size=0.1)
        >>> with TemporaryDirectory() as directory:
        ...     save_checkpoint(f"{directory}/half.safetensors", half)
        ...     again = load_checkpoint(f"{directory}/half.safetensors", network)
        >>> whole = train(network, digits, keys, epochs=2, step_size=0.1, resume=again)
        >>> whole.epochs
        2
    """
    from safetensors.numpy import save_file

    path = Path(path)
    named = {
        name: np.ascontiguousarray(leaf)
        for part, tree in (
            ("initial", trained.initial),
            ("position", trained.position._asdict()),
            ("metrics", trained.metrics),
        )
        for name, leaf in _named(part, tree).items()
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(named, temporary, metadata={"format": FORMAT})
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(
    path: str | Path, network: Network, optimizer: optax.GradientTransformation = MOMENTUM
) -> Trained:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.
        network: The architecture that was trained.
        optimizer: The optimizer that trained it.

    Raises:
        UserError: The file cannot be read, is damaged, or is of another network or optimizer.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                raise UserError(f"{path} is no checkpoint of whytrain")
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read the checkpoint {path}: {error}") from error
    axes = np.shape(found.get("position/steps", ()))
    if len(axes) != 2:
        raise UserError(f"{path} is no checkpoint of whytrain")
    template = empty(network, optimizer, axes)
    initial = _filled(path, "initial", template.initial, found)
    position = _filled(path, "position", template.position._asdict(), found)
    metrics = {name: found[f"metrics/{name}"] for name in METRICS if f"metrics/{name}" in found}
    return Trained(initial, Position(**position), metrics)


def _named(part: str, tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        f"{part}/{jax.tree_util.keystr(path, simple=True, separator='/')}": leaf
        for path, leaf in leaves
    }


def _filled(path: str | Path, part: str, template: Any, found: dict[str, np.ndarray]) -> Any:
    """The template with the arrays of the file in it."""
    names = _named(part, template)
    for name, leaf in names.items():
        if name not in found or found[name].shape != leaf.shape or found[name].dtype != leaf.dtype:
            held = f"{found[name].dtype} {found[name].shape}" if name in found else "nothing"
            raise UserError(
                f"{path} is of another network or optimizer: {name} must be {leaf.dtype} "
                f"{leaf.shape}, the file holds {held}"
            )
    return jax.tree.unflatten(jax.tree.structure(template), [found[name] for name in names])
