"""What outputs cost that are held against targets: a mean over examples."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Shaped

from whytrain._lazy import later
from whytrain.errors import UserError

optax = later("optax")

Cost = Callable[[Any, Any], Any]


def cross_entropy(
    logits: Float[Array, "batch class"], labels: Int[Array, " batch"]
) -> Float[Array, ""]:
    """`mean_i [ log sum_c exp(logits[i, c]) - logits[i, labels[i]] ]`, in nats.

    Raises:
        UserError: The logits are not one number a class, or the labels not one a row of them, or
            one of them is no class.

    Example:
        >>> print(f"{cross_entropy(jnp.zeros((3, 10)), jnp.arange(3)):.4f}")
        2.3026
    """
    if jnp.ndim(logits) != 2 or jnp.shape(labels) != jnp.shape(logits)[:1]:
        raise UserError(
            "cross_entropy is of logits (example, class) and one class an example, got shapes "
            f"{jnp.shape(logits)} and {jnp.shape(labels)}; for values take square, for signs "
            "logistic"
        )
    if not isinstance(labels, Tracer):
        check_classes("labels of cross_entropy", labels, jnp.shape(logits)[1])
    return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels))


def square(
    outputs: Float[Array, "batch ..."], targets: Shaped[Array, "batch ..."]
) -> Float[Array, ""]:
    """`mean_i |outputs[i] - targets[i]|^2 / 2`.

    Raises:
        UserError: Outputs and targets have not the same shape.

    Example:
        >>> print(f"{square(jnp.zeros((2, 1)), jnp.array([[1.0], [3.0]])):.1f}")
        2.5
    """
    _check_alike("square", outputs, targets)
    gap = (outputs - targets).reshape(len(targets), -1)
    return 0.5 * jnp.mean(jnp.sum(gap**2, axis=-1))


def logistic(
    outputs: Float[Array, "batch ..."], signs: Shaped[Array, "batch ..."]
) -> Float[Array, ""]:
    """`mean_i log(1 + exp(-signs[i] * outputs[i]))`, in nats, right also where it is tiny.

    Raises:
        UserError: Outputs and signs have not the same shape.

    Example:
        >>> with jax.enable_x64(True):
        ...     print(f"{logistic(jnp.array([400.0]), jnp.array([1.0])):.3g}")
        1.92e-174
    """
    _check_alike("logistic", outputs, signs)
    return jnp.mean(jax.nn.softplus(-signs * outputs))


def check_targets(cost: Cost, targets: Any, classes: int | None) -> None:
    """Refuse targets that a cost would take for others: 0 and 1 for signs, signs for classes.

    Args:
        cost: Only `cross_entropy` and `logistic` say what their targets are.
        targets: Numbers; within a compiled program, where they have none, nothing is looked at.
        classes: How many classes the network tells apart, if it says so.

    Raises:
        UserError: The targets are not of the cost's kind.
    """
    if isinstance(targets, Tracer):
        return
    if cost is logistic and not np.isin(values := np.asarray(targets), (-1, 1)).all():
        raise UserError(f"targets of logistic must be -1 or 1, got {_other(values, (-1, 1))}")
    if cost is cross_entropy:
        values = np.asarray(targets)
        if values.dtype.kind not in "iu":
            raise UserError(
                "targets of cross_entropy must be classes, whole numbers from 0 on, got "
                f"{values.dtype}; for values give cost=square, for signs cost=logistic"
            )
        check_classes("targets of cross_entropy", values, classes)


def check_classes(name: str, labels: Any, classes: int | None) -> None:
    """Refuse labels that are no classes: JAX would take -1 for the last one.

    Args:
        name: What they are called.
        labels: Numbers.
        classes: How many classes there are; None where that is not known.

    Raises:
        UserError: They are not whole numbers from 0 to the last class.
    """
    values = np.asarray(labels)
    if values.dtype.kind not in "iu":
        raise UserError(f"{name} must be classes, whole numbers from 0 on, got {values.dtype}")
    known = range(int(values.max(initial=0)) + 1 if classes is None else classes)
    wrong = values[(values < 0) | (values >= len(known))]
    if wrong.size:
        raise UserError(f"{name} must be classes from 0 to {len(known) - 1}, got {wrong[0]}")


def _check_alike(cost: str, outputs: Any, targets: Any) -> None:
    # Broadcasting would hold every output against every target.
    if jnp.shape(outputs) != jnp.shape(targets):
        raise UserError(
            f"{cost} needs a target for each output, got outputs of shape {jnp.shape(outputs)} and "
            f"targets of shape {jnp.shape(targets)}; give the targets the shape of the outputs"
        )


def _other(values: np.ndarray, known: Any) -> Any:
    return values[~np.isin(values, known)][0]
