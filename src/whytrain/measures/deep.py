"""Norm-based measures of a deeper network, and the Fisher-Rao norm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from whytrain.errors import UserError
from whytrain.measures import norms as norm
from whytrain.measures.arrays import as_float64, check_finite
from whytrain.measures.building import Hints
from whytrain.measures.network import Convolution, Dense, Layer, Padding, forward, shapes
from whytrain.measures.network import outputs as outputs_of
from whytrain.measures.norms import Norm, convolution_norm, rms
from whytrain.measures.pairs import Pair, check_same, read_pair
from whytrain.measures.sample import (
    Examples,
    OfClassifier,
    check_outputs,
    checked,
    error,
    examples,
    margins,
    positive_quantile,
    test_error,
    unsure,
)
from whytrain.measures.stages import (
    Activation,
    Pool,
    Reshape,
    Residual,
    apply,
    layers_of,
    lipschitz,
    of_paths,
    stages_between,
)


@dataclass(frozen=True)
class LayerNorms:
    """The norms of one layer; of the weights as they are stored, unless said otherwise.

    Attributes:
        spectral: Of the linear map that the layer is.
        exact: Whether `spectral` is the norm itself; otherwise it is an upper bound.
        residual: What `spectral` is exact to beyond rounding, see `convolution_norm`.
        frobenius: The root of the sum of squared weights.
        distance: The same of the difference to the initial weights.
        distance_1_2: Of the difference as a linear map, the sum over outputs of row norms: for a
            convolution the sum over output channels, times the positions (an upper bound at edges).
        widest: The larger one of its numbers of inputs and outputs.
    """

    spectral: float
    exact: bool
    residual: float
    frobenius: float
    distance: float
    distance_1_2: float
    widest: int


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
        UserError: The outputs are not those of the model, the margin is not positive, the outputs
            do not depend on the inputs, numbers leave float64, an entry has no place, or layers and
            sample do not fit together.

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
    sizes = shapes(trained, _shape(trained, sample.first))
    if len(sizes[-1]) != 1:
        raise UserError(
            f"the last layer gives images, of shape {sizes[-1]}; a classifier ends in a dense layer"
        )
    [classes] = sizes[-1]
    if classes < 2:
        raise UserError("a margin needs 2 classes or more, the network has 1 output")
    hint = None if pair.compared else sample.hint()
    lengths, found, slopes = _sample(trained, checked(sample.batches, sizes[0], classes))
    gamma = positive_quantile(found, quantile, pair.compared, hint)
    last = list(layers_of(trained, sizes[0]))
    each = tuple(  # of the initial network only the weights count: its strides may not be known
        _layer_norms(old, new, into, out)
        for (old, _, _), (new, into, out) in zip(layers_of(initial), last, strict=True)
    )
    spectral, frobenius = [n.spectral for n in each], [n.frobenius for n in each]
    if 0 in spectral:
        raise UserError(
            f"the weights of layer {spectral.index(0)} are zero: the outputs do not depend on the "
            "inputs, and there is nothing to measure"
        )
    product, depth = lipschitz(trained, iter(spectral)), len(each)
    if product == 0:
        raise UserError("the product of the spectral norms is too small for float64")
    rows = sum(_ratio(n.distance_1_2, n.spectral) ** (2 / 3) for n in each) ** 1.5
    moved = _length([_ratio(n.distance, n.spectral) for n in each])
    width = max(n.widest for n in each)
    allowed, why = theorems(trained)
    paths = [path_norm(trained, sizes[0], p) if "path" in allowed else None for p in (1, 2)]
    bartlett = rms(lengths) / gamma * product * rows
    neyshabur = (
        float(lengths.max()) / gamma * depth * math.sqrt(width * math.log(max(width * depth, 2)))
        * product * moved
    )  # fmt: skip
    shared = _shared(pair)
    return DeepMeasures(
        parameters=pair.parameters
        or sum(np.size(leaf) for layer, _, _ in last for leaf in jax.tree.leaves(layer))
        - sum(size for _, size in shared),
        layers=each,
        exact=all(n.exact for n in each),
        product_spectral=product,
        sum_spectral=sum(spectral),
        product_frobenius=math.prod(frobenius),
        sum_frobenius=sum(frobenius),
        distance=_length([n.distance for n in each]),
        path_1=paths[0],
        path_2=paths[1],
        margin=gamma,
        quantile=quantile,
        bartlett2017=bartlett if "bartlett2017" in allowed else None,
        neyshabur2018=neyshabur if "neyshabur2018" in allowed else None,
        fisher_rao=rms(slopes),
        notes=tuple(
            unsure(quantile, len(found)) + _notes([layer for layer, _, _ in last], each)
            + why + [words for words, _ in shared] + ([hint] if hint else []) + pair.notes()
        ),
        train_error=error(found),
        test_error=test_error(test, batch, sizes[0], classes, lambda x: outputs_of(trained, x)),
        compared=pair.compared,
    )  # fmt: skip


def theorems(stages: Sequence[Any]) -> tuple[set[str], list[str]]:
    """Which measures are a theorem's for what stands between the layers, and why others are not.

    Args:
        stages: A network; of layers alone, with rectifiers between.

    Returns:
        Their names, and a sentence for what is left out or has a Lipschitz constant that is not 1.

    Example:
        >>> from whytrain.measures.stages import Activation, Reshape
        >>> allowed, why = theorems([Reshape((2,)), Dense(np.eye(2)), Activation("sigmoid")])
        >>> sorted(allowed), why[0]
        ([], 'no bartlett2017: its theorem is for chains of activations that are 0 at 0; sigmoid')
    """
    inner = list(stages_between(stages))
    skips = ["a skip"] if any(isinstance(one, Residual) for one in inner) else []
    acts = {str(one): one for one in inner if isinstance(one, Activation)}
    lifted = [name for name, one in acts.items() if not one.fixes_zero]
    curved = [name for name, one in acts.items() if not one.homogeneous or abs(one.slope) > 1]
    reasons = {
        "bartlett2017": ("chains of activations that are 0 at 0", [*skips, *lifted]),
        "neyshabur2018": ("chains of (leaky) rectifiers", [*skips, *curved]),
        "path": ("positively homogeneous activations", curved),
    }
    notes = [
        f"no {name}: its theorem is for {what}; {', '.join(odd)}"
        for name, (what, odd) in reasons.items()
        if odd
    ]
    constants = {
        str(one) if isinstance(one, Activation) else f"{one.kind} pooling": one.lipschitz
        for one in inner
        if isinstance(one, Activation | Pool) and one.lipschitz != 1
    }
    if constants:
        told = ", ".join(f"{name} {value:.4g}" for name, value in constants.items())
        notes.append(f"Lipschitz constants used: {told}; of other activations 1")
    return {name for name, (_, odd) in reasons.items() if not odd}, notes


def _shape(layers: Sequence[Any], first: Any) -> tuple[int, ...]:
    """The shape of one input, a vector where the first layer is dense."""
    shape = np.shape(first)[1:]
    if isinstance(layers[0], Reshape):  # of a model, which takes inputs of this shape
        return layers[0].shape
    return (math.prod(shape),) if isinstance(layers[0], Dense) else shape


def _length(values: list[float]) -> float:
    def plain(some: np.ndarray) -> float:
        try:
            return math.sqrt(sum(float(one) ** 2 for one in some))
        except OverflowError:
            return math.inf

    return norm.root(plain, np.array(values))


def _shared(pair: Pair) -> list[tuple[str, int]]:
    """Arrays that two layers share, told for all but the first, with how many numbers they have.

    They are equal before and after training, bit for bit, and most of their numbers differ from
    each other, which no accident brings about.
    """
    found, seen = [], []
    nets = (
        [layer for layer, _, _ in layers_of(net.layers)] for net in (pair.initial, pair.trained)
    )
    for i, (first, last) in enumerate(zip(*nets, strict=True)):
        for what in ("weight", "bias"):
            if getattr(first, what) is None or getattr(last, what) is None:
                continue
            one = [as_float64(getattr(layer, what)) for layer in (first, last)]
            same = [j for j, other in seen if all(map(np.array_equal, one, other))]
            if same and 2 * len(np.unique(one[1])) > one[1].size:
                found.append(
                    (f"layers {same[0]} and {i} share one {what}: counted once", one[1].size)
                )
            else:
                seen.append((i, one))
    return found


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


def path_norm(layers: Sequence[Any], shape: Sequence[int], power: int) -> float:
    """`( sum over paths of prod |w|^power )^(1 / power)`: the network of `|w|^power` on ones.

    Args:
        layers: The layers; biases are left out.
        shape: The shape of one input.
        power: 1 or 2.

    Returns:
        The path norm.

    Example:
        >>> from whytrain.measures import Dense
        >>> path_norm([Dense(np.array([[3.0, -4.0]])), Dense(np.array([[2.0]]))], (2,), 2)
        10.0
    """
    if not all(isinstance(layer, Layer) for layer in layers):
        with jax.enable_x64(True):
            ones = apply(of_paths(layers, power), jnp.ones((1, *shape)))
            return float(jnp.sum(ones) ** (1 / power))
    sizes = [np.abs(as_float64(layer.weight)) for layer in layers]
    exponents = [_extreme(size) for size in sizes]
    with jax.enable_x64(True):
        bare = [
            eqx.tree_at(
                lambda one: (one.weight, one.bias), layer,
                (np.ldexp(size, -exponent) ** power, None),
                is_leaf=lambda leaf: leaf is None,
            )
            for layer, size, exponent in zip(layers, sizes, exponents, strict=True)
        ]  # fmt: skip
        found = float(jnp.sum(forward(bare, np.ones((1, *shape)))) ** (1 / power))
    return float(np.ldexp(found, sum(exponents)))


def _extreme(size: np.ndarray) -> int:
    """The power of two of the largest number, where squares and sums may leave float64; else 0."""
    exponent = int(np.frexp(size.max(initial=0.0))[1])
    return exponent if abs(exponent) > 64 else 0


def _layer_norms(
    initial: Layer, trained: Layer, into: tuple[int, ...], out: tuple[int, ...]
) -> LayerNorms:
    weight, first = as_float64(trained.weight), as_float64(initial.weight)
    moved = (weight - first).reshape(len(weight), -1)
    positions = math.prod(out) // len(weight)
    if isinstance(trained, Convolution):
        found = convolution_norm(trained, *(into[:2] if trained.channels_last else into[1:]))
    else:
        found = Norm(norm.spectral(weight), True)
    return LayerNorms(
        *found,
        frobenius=norm.frobenius(weight.reshape(len(weight), -1)),
        distance=norm.frobenius(moved),
        distance_1_2=norm.one_two(moved) * positions,
        widest=max(math.prod(into), math.prod(out)),
    )


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
            logits, slopes = map(np.asarray, _slopes(params, jnp.asarray(x), jnp.asarray(y)))
            parts.append((_lengths(x), margins(check_outputs(logits), y), slopes))
    one, two, three = (np.concatenate(part) for part in zip(*parts, strict=True))
    return one, two, three


def _lengths(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    found = np.linalg.norm(flat, axis=1)
    usual = (found > 1e-140) & np.isfinite(found)  # no square was lost
    return found if usual.all() else norm.row_norms(flat)


@jax.jit
def _slopes(params: list[Any], x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logits, and the derivative of each example's loss along the parameters themselves."""

    def losses(at: list[Any]) -> tuple[jax.Array, jax.Array]:
        logits = forward(at, x)
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, y), logits

    _, slopes, logits = jax.jvp(losses, (params,), (params,), has_aux=True)
    return logits, slopes
