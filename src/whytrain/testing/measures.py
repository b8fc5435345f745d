"""Whether a measure of a network keeps what it claims when nothing changes but the description."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from whytrain._json import jsonable
from whytrain.errors import UserError
from whytrain.measures import Convolution, Dense
from whytrain.testing.told import name_of, tried

Layer = Dense | Convolution
Networks = Sequence[Sequence[Layer]]
_SCALE = 8.0  # a power of two: products of scaled layers keep their bits


def check_measure(
    measure: Callable[..., Any],
    networks: Networks,
    inputs: Any,
    labels: Any,
    *,
    rescaling: Sequence[str] | None = (),
    batches: bool = True,
    tolerance: float = 1e-9,
) -> None:
    """Hold a measure of ReLU networks to invariances, and to telling what it cannot measure.

    It is called as `measure(*networks, inputs, labels)`, and gives a number, a mapping, or an
    object with `document()`; with `batch=n` it holds `n` examples at a time.

    - All numbers are finite, and JSON can hold them;
    - none changes where hidden units are renamed, which is the same function;
    - those that say so do not change where a layer is multiplied by `a > 0` and the next one
      divided by it, which is the same function too;
    - none depends on the batch, but by rounding;
    - NaN among inputs or weights is a `UserError` of one line.

    Args:
        measure: The measure.
        networks: One network, or its states (initial, trained): lists of two layers or more.
        inputs: Examples along the first axis.
        labels: Their classes.
        rescaling: Names of the numbers that rescaling leaves as they are (`bounds.vc.gap` is the
            number `gap` within `vc` within `bounds`), or of groups of them; None for all.
        batches: Whether it takes `batch=`.
        tolerance: Relative, of numbers that are the same.

    Raises:
        AssertionError: Something is wrong.

    Example:
        >>> def product(layers, inputs, labels):
        ...     if not np.isfinite(inputs).all() or not all(np.isfinite(one.weight).all()
        ...                                                 for one in layers):
        ...         raise UserError("there is a number that is not finite")
        ...     return {"frobenius": math.prod(np.linalg.norm(one.weight) for one in layers)}
        >>> layers = [Dense(np.eye(2)), Dense(np.eye(2))]
        >>> how = {"rescaling": None, "batches": False}
        >>> check_measure(product, [layers], np.eye(2), np.arange(2), **how)
    """
    name = name_of(measure)

    def found(networks: Networks, inputs: Any = inputs, **how: Any) -> dict[str, float]:
        return _numbers(name, tried(name, measure, *networks, inputs, labels, **how))

    right = found(networks)
    for i in range(len(networks[0]) - 1):
        permuted = [_permuted(layers, i) for layers in networks]
        _same(name, right, found(permuted), tolerance, f"when units of layer {i} are renamed")
        scaled = [_rescaled(layers, i) for layers in networks]
        kept = {key: value for key, value in right.items() if _among(key, rescaling)}
        _same(name, kept, found(scaled), tolerance, f"when layer {i} is multiplied by {_SCALE:g}")
    for batch in (1, max(len(inputs) // 2, 1)) if batches else ():
        parts = found(networks, batch=batch)
        _same(name, right, parts, tolerance, f"with {batch} examples at a time")
    spoiled = np.array(inputs, float)
    spoiled.flat[0] = math.nan
    _refuses(name, lambda: measure(*networks, spoiled, labels), "inputs")
    broken = [[_with_nan(layers[0]), *layers[1:]] for layers in networks]
    _refuses(name, lambda: measure(*broken, inputs, labels), "weights")


def _numbers(name: str, given: Any) -> dict[str, float]:
    """All numbers of what a measure gave, by the names on the way to them."""
    document = given.document() if callable(getattr(given, "document", None)) else given
    try:
        json.dumps(jsonable(document), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{name}: JSON cannot hold what it gives: {error}") from None
    numbers = dict(_walk("value", document) if not isinstance(document, Mapping)
                   else _walk("", document))  # fmt: skip
    for key, value in numbers.items():
        assert math.isfinite(value), f"{name}: {key} is {value}"
    assert numbers, f"{name}: it gives no number"
    return numbers


def _walk(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _walk(f"{name}.{key}" if name else str(key), each)
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from _walk(f"{name}.{i}", each)
    elif isinstance(value, int | float | np.number | np.ndarray) and np.ndim(value) == 0:
        yield name, float(value)


def _among(key: str, names: Sequence[str] | None) -> bool:
    return names is None or any(key == name or key.startswith(f"{name}.") for name in names)


def _same(
    name: str, right: Mapping[str, float], found: Mapping[str, float], tolerance: float, when: str
) -> None:
    for key, value in right.items():
        other = found.get(key, math.nan)
        assert abs(other - value) <= tolerance * max(abs(value), 1e-3), (
            f"{name}: {key} changes {when}, from {value:.6g} to {other:.6g}"
        )


def _permuted(layers: Sequence[Layer], i: int) -> list[Layer]:
    """The outputs of layer `i` in another order, and so what the next one takes."""
    order = np.random.default_rng(i).permutation(len(np.asarray(layers[i].weight)))
    return _changed(layers, i, lambda w: w[order], lambda w, axis: np.take(w, order, axis))


def _rescaled(layers: Sequence[Layer], i: int) -> list[Layer]:
    return _changed(layers, i, lambda w: w * _SCALE, lambda w, axis: w / _SCALE)


def _changed(
    layers: Sequence[Layer],
    i: int,
    out: Callable[[np.ndarray], np.ndarray],
    into: Callable[[np.ndarray, int], np.ndarray],
) -> list[Layer]:
    """Layers with other outputs of one, and what the next one takes of them."""
    one, two = layers[i], layers[i + 1]
    weight, bias, after = (None if w is None else np.asarray(w, float)
                           for w in (one.weight, one.bias, two.weight))  # fmt: skip
    assert weight is not None
    assert after is not None
    shape, count = after.shape, len(weight)
    if isinstance(one, Convolution) and isinstance(two, Dense):  # an image, flattened
        last = one.channels_last
        after = after.reshape(len(after), *((-1, count) if last else (count, -1)))
        after = into(after, 2 if last else 1).reshape(shape)
    else:
        after = into(after, 1)
    found = list(layers)
    found[i] = _with(one, out(weight), None if bias is None else out(bias))
    found[i + 1] = _with(two, after, two.bias)
    return found


def _with(layer: Layer, weight: Any, bias: Any) -> Layer:
    if isinstance(layer, Dense):
        return Dense(weight, bias)
    return Convolution(weight, bias, layer.stride, layer.padding, layer.channels_last)


def _with_nan(layer: Layer) -> Layer:
    weight = np.array(layer.weight, float)
    weight.flat[0] = math.nan
    return _with(layer, weight, layer.bias)


def _refuses(name: str, call: Callable[[], Any], what: str) -> None:
    try:
        call()
    except UserError as error:
        if "\n" in str(error):
            raise AssertionError(f"{name}: NaN among the {what} is told in many lines") from error
    except Exception as error:
        raise AssertionError(
            f"{name}: NaN among the {what} is a {type(error).__name__}, and no UserError"
        ) from error
    else:
        raise AssertionError(f"{name}: NaN among the {what} is measured in silence")
