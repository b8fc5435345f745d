"""Norm-based measures of a deeper network, and the Fisher-Rao norm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, check_finite
from whytrain.measures.building import Hints
from whytrain.measures.cross_entropy import along_weights
from whytrain.measures.layer_norms import LayerNorms, layer_norms, shared_arrays
from whytrain.measures.network import Dense, Padding, shapes
from whytrain.measures.network import outputs as outputs_of
from whytrain.measures.norms import rms, row_norms
from whytrain.measures.pairs import Pair, check_same, read_pair
from whytrain.measures.paths import path_norm
from whytrain.measures.sample import (
    ONE_OUTPUT,
    Examples,
    OfClassifier,
    check_outputs,
    checked,
    error,
    examples,
    margin_of,
    margins,
    test_error,
    unsure,
)
from whytrain.measures.stages import Reshape, layers_of, lipschitz
from whytrain.measures.theorems import theorems


@dataclass(repr=False, frozen=True)
class DeepMeasures(OfClassifier):
    """Measures of a network of `L` layers with weights `W_l`, initially `W0_l`, and margin `gamma`.

    Where spectral norms are upper bounds, so is every measure that grows with them, as `exact`
    says.

    Attributes:
        parameters: How many there are, biases among them; layers that share an array count it once.
        layers: The norms of each layer.
        exact: Whether all spectral norms are exact.
        product_spectral: `prod_l ||W_l||_2`, times the Lipschitz constants of activations and
            poolings, and with the sum over both branches of a skip: a Lipschitz constant.
        sum_spectral: `sum_l ||W_l||_2`.
        product_frobenius: `prod_l ||W_l||_F`.
        sum_frobenius: `sum_l ||W_l||_F`.
        distance: The Euclidean distance of all weights to the initial ones.
        path_1: The sum over paths from inputs to outputs of the absolute product of the weights.
        path_2: The root of the sum over paths of the squared product. Neyshabur, Salakhutdinov and
            Srebro 2015. Biases are left out; other implementations count them as weights of an
            input 1. None where an activation is not positively homogeneous; a maximum over a
            window counts as the sum.
        bartlett2017: `(B / gamma) prod_l s_l ( sum_l (||W_l - W0_l||_{1,2} / s_l)^(2/3) )^(3/2)`
            with `s_l = ||W_l||_2` and `B` the root of the mean of `||x||^2`: spectral complexity
            (Bartlett, Foster and Telgarsky 2017, equation 1.2), times the Lipschitz constants of
            what stands between the layers; gap ~ this / sqrt(m) up to logarithms. None with a skip,
            or an activation that is not 0 at 0.
        neyshabur2018: `(Bmax / gamma) L sqrt(w ln(w L)) prod_l s_l sqrt( sum_l ||W_l - W0_l||_F^2 /
            s_l^2 )` with `w` the largest width: the root of the PAC-Bayes spectral bound's leading
            term (Neyshabur, Bhojanapalli and Srebro 2018, Theorem 1, there around 0), up to a
            constant. None with a skip, or anything but (leaky) rectifiers and pooling between.
            Both are None where the margin is not positive, for they divide by it.
        fisher_rao: `sqrt( E <grad loss(x, y), W>^2 )` over all parameters and the sample, with the
            loss's cross-entropy and the given labels (Liang et al. 2019, empirical Fisher). For
            networks without biases it equals `L sqrt( E <d loss / d f, f>^2 )`, which other
            implementations use also where there are biases and it is another number.
    """

    parameters: int
    layers: tuple[LayerNorms, ...]
    exact: bool
    product_spectral: float
    sum_spectral: float
    product_frobenius: float
    sum_frobenius: float
    distance: float
    path_1: float | None
    path_2: float | None
    bartlett2017: float | None
    neyshabur2018: float | None
    fisher_rao: float

    def document(self) -> dict[str, Any]:
        """All numbers as values that JSON can hold; `test_error` only if there was a test set."""
        found = asdict(self) | {"checked": self.checked}
        if self.test_error is None:
            del found["test_error"]
        return found


def deep(
    initial: Any,
    trained: Any,
    inputs: Any,
    labels: Any = None,
    *,
    quantile: float = 0.05,
    test: Any = None,
    outputs: Any = None,
    order: Sequence[str] | None = None,
    stride: Mapping[str, int] | None = None,
    padding: Mapping[str, Padding] | None = None,
    ignore: Sequence[str] = (),
    batch: int = 1024,
) -> DeepMeasures:
    """Measure a ReLU network of dense and convolutional layers, in float64.

    The network is held against the model's own outputs, where there are some, as `capacity` does.

    Args:
        initial: The network before training: what `network` has read from a model, which may have
            other activations, pooling and skips; a list of layers; or whatever `layers` and
            `capacity` take (state dicts, Flax variables, modules, estimators).
        trained: The network after it; a module or an estimator is called, as `outputs`.
        inputs: The training examples, (example, inputs) or (example, channel, height, width); of
            Flax and Keras (example, height, width, channel). Without labels, an iterable of pairs.
        labels: As in `capacity`.
        quantile: As there.
        test: As there.
        outputs: As there.
        order: As in `layers`.
        stride: As in `layers`.
        padding: As in `layers`.
        ignore: As in `layers`.
        batch: As in `capacity`; no result depends on it but by rounding.

    Returns:
        The measures; `checked` says whether outputs were compared.

    Raises:
        UserError: The outputs are not those of the model, the margin is not positive and nothing
            tells that the network is yours, the outputs do not depend on the inputs, numbers leave
            float64, an entry has no place, or layers and sample do not fit together.

    Example:
        >>> from whytrain.measures import Dense
        >>> first = [Dense(np.eye(2)), Dense(np.eye(2))]
        >>> last = [Dense(2 * np.eye(2)), Dense(3 * np.eye(2))]
        >>> found = deep(first, last, np.eye(2), np.array([0, 1]))
        >>> found.product_spectral, found.path_1, found.margin, found.checked
        (6.0, 12.0, 6.0, False)
    """
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        sample = examples(inputs, labels, batch)
        hints = Hints(order, stride, padding)
        pair = read_pair(initial, trained, sample.first, outputs, hints, ignore)
        check_same(pair)
        try:
            found = _measured(pair, sample, quantile, test, batch)
        except (OverflowError, ZeroDivisionError):
            raise UserError(
                "a measure is no number in float64: weights or inputs are too large or too small; "
                "are the checkpoints and the inputs those of one network?"
            ) from None
        check_finite(found.document())
        return found


def _measured(pair: Pair, sample: Examples, quantile: float, test: Any, batch: int) -> DeepMeasures:
    initial, trained = list(pair.initial.layers), list(pair.trained.layers)
    if not list(layers_of(trained)):
        raise UserError("the network has no layer with weights: there is nothing to measure")
    sizes = shapes(trained, _shape(trained, sample.first))
    if len(sizes[-1]) != 1:
        raise UserError(
            f"the last layer gives images, of shape {sizes[-1]}; a classifier ends in a dense layer"
        )
    [classes] = sizes[-1]
    if classes < 2:
        raise UserError(ONE_OUTPUT)
    hint = None if pair.compared else sample.hint()
    lengths, found, slopes = _sample(trained, checked(sample.batches, sizes[0], classes))
    gamma, no_margin = margin_of(found, quantile, pair.compared, hint)
    last = list(layers_of(trained, sizes[0]))
    each = tuple(  # of the initial network only the weights count: its strides may not be known
        layer_norms(old, new, into, out)
        for (old, _, _), (new, into, out) in zip(layers_of(initial), last, strict=True)
    )
    product = _product(trained, each)
    allowed, why = theorems(trained)
    if no_margin:
        allowed -= {"bartlett2017", "neyshabur2018"}
    paths = [path_norm(trained, sizes[0], p) if "path" in allowed else None for p in (1, 2)]
    shared = shared_arrays(pair)
    return DeepMeasures(
        parameters=pair.parameters
        or sum(np.size(leaf) for layer, _, _ in last for leaf in jax.tree.leaves(layer))
        - sum(size for _, size in shared),
        layers=each,
        exact=all(n.exact for n in each),
        product_spectral=product,
        sum_spectral=sum(n.spectral for n in each),
        product_frobenius=math.prod(n.frobenius for n in each),
        sum_frobenius=sum(n.frobenius for n in each),
        distance=_length([n.distance for n in each]),
        path_1=paths[0],
        path_2=paths[1],
        margin=gamma,
        quantile=quantile,
        bartlett2017=_bartlett2017(each, rms(lengths), product / gamma)
        if "bartlett2017" in allowed
        else None,
        neyshabur2018=_neyshabur2018(each, float(lengths.max()), product / gamma)
        if "neyshabur2018" in allowed
        else None,
        fisher_rao=rms(slopes),
        notes=tuple(
            unsure(quantile, len(found)) + _notes([layer for layer, _, _ in last], each)
            + why + no_margin + [words for words, _ in shared] + ([hint] if hint else [])
            + pair.notes()
        ),
        train_error=error(found),
        test_error=test_error(test, batch, sizes[0], classes, lambda x: outputs_of(trained, x)),
        compared=pair.compared,
    )  # fmt: skip


def _product(network: list[Any], each: Sequence[LayerNorms]) -> float:
    """The Lipschitz constant, refused where it is zero."""
    spectral = [n.spectral for n in each]
    zero = [i for i, norm in enumerate(spectral) if norm == 0]
    # Of a skip one branch may be zero: so starts many a residual network.
    if zero and lipschitz(network, iter([float(norm > 0) for norm in spectral])) == 0:
        which = f"layer {zero[0]}" if len(zero) == 1 else f"layers {zero}"
        raise UserError(
            f"the weights of {which} are zero: the outputs do not depend on the inputs, and there "
            "is nothing to measure"
        )
    product = lipschitz(network, iter(spectral))
    if product == 0:
        raise UserError("the product of the spectral norms is too small for float64")
    return product


def _bartlett2017(each: Sequence[LayerNorms], length: float, steep: float) -> float:
    rows = sum(_ratio(n.distance_1_2, n.spectral) ** (2 / 3) for n in each) ** 1.5
    return length * steep * rows


def _neyshabur2018(each: Sequence[LayerNorms], length: float, steep: float) -> float:
    depth, width = len(each), max(n.widest for n in each)
    moved = _length([_ratio(n.distance, n.spectral) for n in each])
    return length * steep * depth * math.sqrt(width * math.log(max(width * depth, 2))) * moved


def _shape(layers: Sequence[Any], first: Any) -> tuple[int, ...]:
    """The shape of one input, a vector where the first layer is dense."""
    shape = np.shape(first)[1:]
    if isinstance(layers[0], Reshape):  # of a model, which takes inputs of this shape
        return layers[0].shape
    return (math.prod(shape),) if isinstance(layers[0], Dense) else shape


def _notes(layers: Sequence[Any], norms: Sequence[LayerNorms]) -> list[str]:
    notes = []
    if bounds := [i for i, of in enumerate(norms) if not of.exact]:
        notes.append(
            f"the spectral norms of layers {bounds} are upper bounds, and so are product_spectral, "
            "sum_spectral, bartlett2017 and neyshabur2018"
        )
    if still := [i for i, of in enumerate(norms) if of.distance == 0]:
        notes.append(
            f"layers {still} are where they started; is the initial network the right one?"
        )
    if any(layer.bias is not None for layer in layers):
        notes.append("biases enter margins, parameters and fisher_rao, and no other measure")
    return notes


def _length(values: list[float]) -> float:
    return float(row_norms(np.array([values]))[0])


def _ratio(one: float, other: float) -> float:
    return one / other if one else 0.0


def _sample(
    layers: list[Any], batches: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length, margin, and `<grad loss, W>` of every example."""
    parts = []
    with jax.enable_x64(True):
        params = jax.tree.map(as_float64, layers)
        for x, y in batches:
            logits, slopes = map(np.asarray, along_weights(params, jnp.asarray(x), jnp.asarray(y)))
            parts.append(
                (row_norms(x.reshape(len(x), -1)), margins(check_outputs(logits), y), slopes)
            )
    one, two, three = (np.concatenate(part) for part in zip(*parts, strict=True))
    return one, two, three
