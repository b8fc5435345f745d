"""What stands between the layers of a network: activations, pooling, changes of shape, skips.

A network that was read from a model is a list of stages, layers among them, which act on a batch
one after the other.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from whytrain._types import Numeric
from whytrain.errors import UserError
from whytrain.measures.network import Convolution, Dense


class Activation(eqx.Module):
    """A function of every number.

    Attributes:
        name: What it is called.
        slope: Its parameter: of a leaky rectifier the slope below 0, of ELU and CELU `alpha`, of
            softplus `beta`.
    """

    name: str = eqx.field(static=True)
    slope: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse a CELU without a Lipschitz constant: its slope at `x < 0` is `exp(x / alpha)`."""
        if self.name == "celu" and not self.slope > 0:
            raise UserError(
                f"CELU with alpha {self.slope:g} has slopes without limit; alpha must be above 0"
            )

    def __call__(self, x: Float[Numeric, "..."]) -> Float[Array, "..."]:
        """The function."""
        return ACTIVATIONS[self.name][0](x, self.slope)

    @property
    def lipschitz(self) -> float:
        """The smallest constant, or a number less than 1e-4 above it."""
        return ACTIVATIONS[self.name][1](self.slope)

    @property
    def homogeneous(self) -> bool:
        """Whether `f(a x) = a f(x)` for `a > 0`."""
        return self.name in ("identity", "relu", "leaky_relu")

    @property
    def fixes_zero(self) -> bool:
        """Whether `f(0) = 0`, which bounds of norms suppose."""
        return self.name not in ("sigmoid", "softplus", "hard_sigmoid", "log_sigmoid")

    def __str__(self) -> str:
        return f"{self.name}({self.slope:g})" if self.slope != 1 else self.name


Constant = Callable[[float], float]
_GELU = 1.1290  # x = sqrt(2): Phi(x) + x phi(x) = 1.12890; with tanh 1.12898
ACTIVATIONS: dict[str, tuple[Callable, Constant]] = {
    "identity": (lambda x, a: x, lambda a: 1.0),
    "relu": (lambda x, a: jax.nn.relu(x), lambda a: 1.0),
    "leaky_relu": (lambda x, a: jnp.where(x > 0, x, a * x), lambda a: max(1.0, abs(a))),
    "tanh": (lambda x, a: jnp.tanh(x), lambda a: 1.0),
    "sigmoid": (lambda x, a: jax.nn.sigmoid(x), lambda a: 0.25),
    "gelu": (lambda x, a: jax.nn.gelu(x, approximate=False), lambda a: _GELU),
    "gelu_tanh": (lambda x, a: jax.nn.gelu(x, approximate=True), lambda a: _GELU),
    "silu": (lambda x, a: jax.nn.silu(x), lambda a: 1.0999),
    "elu": (lambda x, a: jax.nn.elu(x, a), lambda a: max(1.0, abs(a))),
    "celu": (lambda x, a: jax.nn.celu(x, a), lambda a: 1.0),
    "selu": (lambda x, a: jax.nn.selu(x), lambda a: 1.7581),
    "softplus": (lambda x, a: jax.nn.softplus(a * x) / a, lambda a: 1.0),
    "hard_tanh": (lambda x, a: jnp.clip(x, -1, 1), lambda a: 1.0),
    "relu6": (lambda x, a: jnp.clip(x, 0, 6), lambda a: 1.0),
    "hard_sigmoid": (lambda x, a: jnp.clip(x + 3, 0, 6) / 6, lambda a: 1 / 6),
    "hard_swish": (lambda x, a: x * jnp.clip(x + 3, 0, 6) / 6, lambda a: 1.5),
    "mish": (lambda x, a: x * jnp.tanh(jax.nn.softplus(x)), lambda a: 1.0885),
    "softsign": (lambda x, a: x / (1 + jnp.abs(x)), lambda a: 1.0),
    "log_sigmoid": (lambda x, a: jax.nn.log_sigmoid(x), lambda a: 1.0),
}
"""Each with its parameter, and its Lipschitz constant as a function of that."""


class Reshape(eqx.Module):
    """The same numbers in the same order in another shape, that of one example."""

    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
        """The batch in that shape."""
        return x.reshape(len(x), *self.shape)


class Transpose(eqx.Module):
    """The axes of an example in another order."""

    order: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
        """The batch with those axes."""
        return jnp.transpose(x, (0, *(axis + 1 for axis in self.order)))


class Pool(eqx.Module):
    """The largest number, or `factor` times the sum, of every window of an example.

    Attributes:
        kind: `max` or `sum`.
        window: Its size along every axis.
        stride: How far apart windows are.
        padding: What is added on both sides of each axis: zeros, or nothing that could be largest.
        factor: Of a sum; one over the size of a window for a mean.
    """

    kind: Literal["max", "sum"] = eqx.field(static=True)
    window: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: tuple[tuple[int, int], ...] = eqx.field(static=True)
    factor: float = eqx.field(static=True, default=1.0)

    def __call__(self, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
        """The pooled batch."""
        largest = self.kind == "max"
        start, combine = (-jnp.inf, jax.lax.max) if largest else (0.0, jax.lax.add)
        found = jax.lax.reduce_window(
            x, np.asarray(start, x.dtype), combine, (1, *self.window), (1, *self.stride),
            ((0, 0), *self.padding),
        )  # fmt: skip
        return found if largest else self.factor * found

    @property
    def lipschitz(self) -> float:
        """An upper bound of its constant: a number is in at most `overlap` windows."""
        overlap = math.prod(-(-w // s) for w, s in zip(self.window, self.stride, strict=True))
        if self.kind == "max":
            return math.sqrt(overlap)
        return abs(self.factor) * math.sqrt(math.prod(self.window) * overlap)


class Scale(eqx.Module):
    """`factor x + shift`, number by number: what normalization in evaluation mode does."""

    factor: Float[Numeric, "..."]
    shift: Float[Numeric, "..."]

    def __call__(self, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
        """The scaled batch."""
        return jnp.asarray(self.factor) * x + jnp.asarray(self.shift)


class Residual(eqx.Module):
    """`body(x) + shortcut(x)`."""

    body: tuple
    shortcut: tuple

    def __call__(self, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
        """The sum."""
        y = apply(self.body, x)
        return y + apply(self.shortcut, x).reshape(y.shape)


class TwoLogits(eqx.Module):
    """One output `f` as the logits 0 and `f`: it has no weights, and changes no length."""

    def __call__(self, x: Float[Numeric, "example 1"]) -> Float[Array, "example 2"]:
        """The logits of both classes."""
        return jnp.concatenate([jnp.zeros_like(x), x], axis=1)


Stage = Dense | Convolution | Activation | Reshape | Transpose | Pool | Scale | Residual | TwoLogits


def apply(stages: Sequence, x: Float[Numeric, "example ..."]) -> Float[Array, "example ..."]:
    """The stages in turn."""
    for stage in stages:
        x = stage(x)
    return x


def lipschitz(stages: Sequence, norms: Iterator[float]) -> float:
    """A Lipschitz constant: the product over stages, the sum over both branches of a skip.

    Args:
        stages: The stages.
        norms: The spectral norms of their layers, in the order of `layers_of`.

    Returns:
        The constant.
    """
    found = 1.0
    for stage in stages:
        if isinstance(stage, Residual):
            found *= lipschitz(stage.body, norms) + lipschitz(stage.shortcut, norms)
        elif is_layer(stage):
            found *= next(norms)
        elif isinstance(stage, Activation | Pool):
            found *= stage.lipschitz
    return found


def layers_of(stages: Sequence, shape: Sequence[int] = ()) -> Iterator[tuple[Any, Any, Any]]:
    """Every layer with the shapes of what enters and of what leaves it, where one is given."""
    for stage in stages:
        if isinstance(stage, Residual):
            yield from layers_of(stage.body, shape)
            yield from layers_of(stage.shortcut, shape)
        after = _shape_after(stage, shape) if shape else ()
        if is_layer(stage):
            yield stage, tuple(shape), after
        shape = after


def _shape_after(stage: Any, shape: Sequence[int]) -> tuple[int, ...]:
    zeros = jax.ShapeDtypeStruct((1, *shape), np.float32)
    return jax.eval_shape(lambda x: stage(x), zeros).shape[1:]


def stages_between(stages: Sequence) -> Iterator[Any]:
    """All that is no layer: activations, poolings, skips, and what is within those."""
    for stage in stages:
        if isinstance(stage, Residual):
            yield from stages_between((*stage.body, *stage.shortcut))
        if not is_layer(stage):
            yield stage


def of_paths(stages: Sequence, power: int) -> tuple:
    """The network of `|w|^power` with sums in place of maxima and no activation, on its own sizes.

    What it gives for ones is the sum over all paths of the product of `|w|^power`.
    """
    found = []
    for stage in stages:
        if isinstance(stage, Residual):
            found.append(Residual(of_paths(stage.body, power), of_paths(stage.shortcut, power)))
        elif isinstance(stage, Pool):
            factor = 1.0 if stage.kind == "max" else abs(stage.factor) ** power
            found.append(Pool("sum", stage.window, stage.stride, stage.padding, factor))
        elif is_layer(stage):
            weight = np.abs(np.asarray(stage.weight, np.float64)) ** power
            found.append(_with(stage, weight, None))
        elif not isinstance(stage, Activation):
            found.append(stage)
    return tuple(found)


def leaky(layers: Sequence, slope: float) -> tuple:
    """Layers with a leaky rectifier between each two; as they are where its slope below 0 is 0."""
    if not math.isfinite(slope):
        raise UserError(f"the slope of a rectifier below 0 must be a finite number, got {slope}")
    if not slope:
        return tuple(layers)
    between = Activation("leaky_relu", float(slope))
    return tuple(each for layer in layers for each in (layer, between))[:-1]


def biased(stages: Sequence, like: Sequence) -> tuple:
    """The same with a bias of zeros where another state of the network has a bias.

    Biases that start at zero leave no trace in the program of a model.
    """
    if len(stages) != len(like):
        return tuple(stages)
    return tuple(_biased(one, other) for one, other in zip(stages, like, strict=True))


def _biased(stage: Any, like: Any) -> Any:
    if isinstance(stage, Residual):
        parts = ("body", "shortcut")
        return Residual(*(biased(getattr(stage, p), getattr(like, p, ())) for p in parts))
    if is_layer(stage) and stage.bias is None and getattr(like, "bias", None) is not None:
        return _with(stage, stage.weight, np.zeros(len(stage.weight)))
    return stage


def is_layer(stage: object) -> bool:
    """Whether a stage is a layer with weights."""
    return isinstance(stage, Dense | Convolution)


def folded(stages: Sequence) -> list:
    """The same stages with every scale in the layer before or after it, where it fits in one.

    A factor of a sum becomes the pooling's own.
    """
    found: list = []
    for stage in stages:
        if isinstance(stage, Residual):
            stage = Residual(tuple(folded(stage.body)), tuple(folded(stage.shortcut)))
        merged = isinstance(stage, Scale) and _into(found, stage)
        if not merged:
            found.append(stage)
    return _forward(found)


def _into(found: list, scale: Scale) -> bool:
    """Put a scale into the stage that stands last; false where it does not fit in."""
    at = len(found) - 1
    while at >= 0 and isinstance(found[at], Reshape):
        at -= 1
    if at < 0:
        return False
    last, factor, shift = found[at], np.asarray(scale.factor), np.asarray(scale.shift)
    if isinstance(last, Pool) and last.kind == "sum" and np.ptp(factor) == 0 and not shift.any():
        found[at] = Pool("sum", last.window, last.stride, last.padding,
                         last.factor * float(factor.flat[0]))  # fmt: skip
        return True
    if isinstance(last, Scale):
        shape = np.shape(last.factor)
        factor, shift = factor.reshape(shape), shift.reshape(shape)
        found[at] = Scale(factor * last.factor, factor * last.shift + shift)
        return True
    if isinstance(last, Dense):
        factor, shift = factor.ravel(), shift.ravel()
    elif isinstance(last, Convolution):
        per = _per_channel(last, factor), _per_channel(last, shift)
        if per[0] is None or per[1] is None:
            return False
        factor, shift = (np.asarray(one) for one in per)
    else:
        return False
    weight = np.asarray(last.weight)
    weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    found[at] = _with(last, weight, _moved(last.bias, factor, shift))
    return True


def _moved(bias: Any, factor: Any, shift: np.ndarray) -> np.ndarray | None:
    """`factor bias + shift`; none where there was none and nothing is added."""
    if bias is None:
        return shift if shift.any() else None
    return factor * np.asarray(bias) + shift


def _per_channel(layer: Convolution, values: np.ndarray) -> np.ndarray | None:
    """One number a channel, where all positions have the same."""
    out = len(layer.weight)
    flat = values.reshape(-1, out).T if layer.channels_last else values.reshape(out, -1)
    return flat[:, 0] if np.ptp(flat, axis=1).max(initial=0) == 0 else None


def _forward(stages: list) -> list:
    """Put what is left into the layer after it: `W (a x + b) = (W a) x + W b`."""
    found = list(stages)
    for i, scale in enumerate(stages):
        after = [j for j in range(i + 1, len(found)) if not isinstance(found[j], Reshape)]
        layer: Any = found[after[0]] if after else None
        if not isinstance(scale, Scale) or not is_layer(layer):
            continue
        factor, shift = np.asarray(scale.factor), np.asarray(scale.shift)
        weight = np.asarray(layer.weight)
        if isinstance(layer, Dense):
            moved = weight @ shift.ravel()
            changed = weight * factor.ravel()
        elif np.ptp(factor) == 0 and not shift.any():
            moved, changed = np.zeros(len(weight)), weight * factor.flat[0]
        else:  # with zeros around the image the shift has no place in a bias
            continue
        found[after[0]] = _with(layer, changed, _moved(layer.bias, 1.0, moved))
        found[i] = Reshape(factor.shape)
    return found


def _with(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    return eqx.tree_at(
        lambda one: (one.weight, one.bias), layer, (weight, bias), is_leaf=lambda leaf: leaf is None
    )


def words_of(stages: Sequence) -> list[str]:
    """What the stages are called, in short."""
    found = []
    for stage in stages:
        if isinstance(stage, Dense):
            out, into = np.shape(stage.weight)
            found.append(f"Dense {into}-{out}")
        elif isinstance(stage, Convolution):
            out, into, *size = np.shape(stage.weight)
            found.append(f"Convolution {into * stage.groups}-{out} {'x'.join(map(str, size))}")
        elif isinstance(stage, Activation):
            found.append(str(stage))
        elif isinstance(stage, Residual):
            body, short = (" ".join(words_of(part)) for part in (stage.body, stage.shortcut))
            found.append(f"[{body} + {short or 'x'}]")
        elif isinstance(stage, TwoLogits):
            found.append("logits 0 and f")
        elif not isinstance(stage, Reshape):
            kind = getattr(stage, "kind", "")
            found.append(f"{kind} pool" if kind else type(stage).__name__.lower())
    return found
