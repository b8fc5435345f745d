"""Norm-based measures of a deeper network, and the Fisher-Rao norm."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from whytrain.errors import UserError
from whytrain.measures import norms as norm
from whytrain.measures.convolutions import Norm, convolution_norm
from whytrain.measures.layers import Convolution, Layer, forward, shapes
from whytrain.measures.margins import margins, positive_quantile, unsure
from whytrain.measures.weights import as_float64


@dataclass(frozen=True)
class LayerNorms:
    """The norms of one layer; of the weights as they are stored, unless said otherwise.

    Attributes:
        spectral: Of the linear map that the layer is; for convolutions with zeros around an upper
            bound.
        exact: Whether `spectral` is the norm itself.
        frobenius: The root of the sum of squared weights.
        distance: The same of the difference to the initial weights.
        distance_1_2: Of the difference as a linear map, the sum over outputs of row norms: for a
            convolution the sum over output channels, times the positions (an upper bound at edges).
        widest: The larger one of its numbers of inputs and outputs.
    """

    spectral: float
    exact: bool
    frobenius: float
    distance: float
    distance_1_2: float
    widest: int


@dataclass(frozen=True)
class DeepMeasures:
    """Measures of a network of `L` layers with weights `W_l`, initially `W0_l`, and margin `gamma`.

    Where spectral norms are upper bounds, so is every measure that grows with them, as `exact`
    says.

    Attributes:
        parameters: How many there are, biases among them.
        layers: The norms of each layer.
        exact: Whether all spectral norms are exact.
        product_spectral: `prod_l ||W_l||_2`; bounds the Lipschitz constant.
        sum_spectral: `sum_l ||W_l||_2`.
        product_frobenius: `prod_l ||W_l||_F`.
        sum_frobenius: `sum_l ||W_l||_F`.
        distance: The Euclidean distance of all weights to the initial ones.
        path_1: The sum over paths from inputs to outputs of the absolute product of the weights.
        path_2: The root of the sum over paths of the squared product. Neyshabur, Salakhutdinov and
            Srebro 2015. Biases are left out; other implementations count them as weights of an
            input 1.
        margin: The margin at the quantile.
        quantile: The share of margins that may be smaller.
        bartlett2017: `(B / gamma) prod_l s_l ( sum_l (||W_l - W0_l||_{1,2} / s_l)^(2/3) )^(3/2)`
            with `s_l = ||W_l||_2` and `B` the root of the mean of `||x||^2`: spectral complexity
            (Bartlett, Foster and Telgarsky 2017, equation 1.2); gap ~ this / sqrt(m) up to
            logarithms.
        neyshabur2018: `(Bmax / gamma) L sqrt(w ln(w L)) prod_l s_l sqrt( sum_l ||W_l - W0_l||_F^2 /
            s_l^2 )` with `w` the largest width: the root of the PAC-Bayes spectral bound's leading
            term (Neyshabur, Bhojanapalli and Srebro 2018, Theorem 1, there around 0), up to a
            constant.
        fisher_rao: `sqrt( E <grad loss(x, y), W>^2 )` over all parameters and the sample, with the
            loss's cross-entropy and the given labels (Liang et al. 2019, empirical Fisher). For
            networks without biases it equals `L sqrt( E <d loss / d f, f>^2 )`, which other
            implementations use also where there are biases and it is another number.
        notes: What is not to be trusted about these numbers, a sentence each.
    """

    parameters: int
    layers: tuple[LayerNorms, ...]
    exact: bool
    product_spectral: float
    sum_spectral: float
    product_frobenius: float
    sum_frobenius: float
    distance: float
    path_1: float
    path_2: float
    margin: float
    quantile: float
    bartlett2017: float
    neyshabur2018: float
    fisher_rao: float
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """All numbers as values that JSON can hold."""
        return asdict(self)


def deep(
    initial: Sequence[Layer],
    trained: Sequence[Layer],
    inputs: Any,
    labels: Any,
    *,
    quantile: float = 0.05,
    batch: int = 1024,
) -> DeepMeasures:
    """Measure a ReLU network of dense and convolutional layers, in float64.

    Args:
        initial: The layers before training.
        trained: The layers after it.
        inputs: The training examples, (example, inputs) or (example, channel, height, width).
        labels: Their classes, from 0.
        quantile: The share of training margins that may be smaller than the margin.
        batch: How many examples are held at a time; no result depends on it but by rounding.

    Returns:
        The measures.

    Raises:
        UserError: The margin is not positive, or layers and sample do not fit together.

    Example:
        >>> from whytrain.measures import Dense
        >>> first = [Dense(np.eye(2)), Dense(np.eye(2))]
        >>> last = [Dense(2 * np.eye(2)), Dense(3 * np.eye(2))]
        >>> found = deep(first, last, np.eye(2), np.array([0, 1]))
        >>> found.product_spectral, found.path_1, found.margin
        (6.0, 12.0, 6.0)
    """
    initial, trained = list(initial), list(trained)
    form = [np.shape(layer.weight) for layer in trained]
    if form != [np.shape(layer.weight) for layer in initial] or not form:
        raise UserError("initial and trained must be the layers of one network, of the same shapes")
    if batch < 1 or len(inputs) == 0 or np.shape(labels) != (len(inputs),):
        raise UserError(
            f"needed: a batch of 1 or more, and a label for each of the {len(inputs)} inputs, one "
            f"or more; got batch {batch} and labels of shape {np.shape(labels)}"
        )
    sizes = shapes(trained, np.shape(inputs)[1:])
    each = tuple(
        _layer_norms(*pair, *sizes[i : i + 2])
        for i, pair in enumerate(zip(initial, trained, strict=True))
    )
    lengths, found, slopes = _sample(trained, inputs, labels, batch)
    gamma = positive_quantile(found, quantile)
    spectral, frobenius = [n.spectral for n in each], [n.frobenius for n in each]
    product, depth = math.prod(spectral), len(each)
    rows = sum(_ratio(n.distance_1_2, n.spectral) ** (2 / 3) for n in each) ** 1.5
    moved = math.sqrt(sum(_ratio(n.distance, n.spectral) ** 2 for n in each))
    width = max(n.widest for n in each)
    paths = [path_norm(trained, sizes[0], power) for power in (1, 2)]
    return DeepMeasures(
        parameters=sum(np.size(leaf) for leaf in jax.tree.leaves(trained)),
        layers=each,
        exact=all(n.exact for n in each),
        product_spectral=product,
        sum_spectral=sum(spectral),
        product_frobenius=math.prod(frobenius),
        sum_frobenius=sum(frobenius),
        distance=math.sqrt(sum(n.distance**2 for n in each)),
        path_1=paths[0],
        path_2=paths[1],
        margin=gamma,
        quantile=quantile,
        bartlett2017=float(np.sqrt(np.mean(lengths**2))) / gamma * product * rows,
        neyshabur2018=float(lengths.max()) / gamma * depth
        * math.sqrt(width * math.log(max(width * depth, 2))) * product * moved,
        fisher_rao=float(np.sqrt(np.mean(slopes**2))),
        notes=tuple(unsure(quantile, len(found)) + _notes(trained, each)),
    )  # fmt: skip


def _notes(layers: Sequence[Layer], norms: Sequence[LayerNorms]) -> list[str]:
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


def path_norm(layers: Sequence[Layer], shape: Sequence[int], power: int) -> float:
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
    with jax.enable_x64(True):
        bare = [
            eqx.tree_at(
                lambda one: (one.weight, one.bias), layer,
                (np.abs(as_float64(layer.weight)) ** power, None),
                is_leaf=lambda leaf: leaf is None,
            )
            for layer in layers
        ]  # fmt: skip
        return float(jnp.sum(forward(bare, np.ones((1, *shape)))) ** (1 / power))


def _layer_norms(
    initial: Layer, trained: Layer, into: tuple[int, ...], out: tuple[int, ...]
) -> LayerNorms:
    weight, first = as_float64(trained.weight), as_float64(initial.weight)
    moved = (weight - first).reshape(len(weight), -1)
    positions = math.prod(out) // len(weight)
    if isinstance(trained, Convolution):
        found = convolution_norm(trained, *into[1:])
    else:
        found = Norm(norm.spectral(weight), True)
    return LayerNorms(
        *found,
        frobenius=float(np.linalg.norm(weight)),
        distance=float(np.linalg.norm(moved)),
        distance_1_2=norm.one_two(moved) * positions,
        widest=max(math.prod(into), math.prod(out)),
    )


def _ratio(one: float, other: float) -> float:
    return one / other if one else 0.0


def _sample(
    layers: list[Layer], inputs: Any, labels: Any, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length, margin, and `<grad loss, W>` of every example."""
    parts = []
    with jax.enable_x64(True):
        params = jax.tree.map(as_float64, layers)
        for start in range(0, len(inputs), batch):
            x = as_float64(inputs[start : start + batch])
            y = as_float64(labels[start : start + batch]).astype(np.int64)
            logits, slopes = map(np.asarray, _slopes(params, jnp.asarray(x), jnp.asarray(y)))
            if logits.ndim != 2 or y.min() < 0 or y.max() >= logits.shape[1]:
                raise UserError(
                    f"labels must be from 0 to the number of outputs, of shape {logits.shape[1:]}, "
                    f"less one; got {y.min()} to {y.max()}"
                )
            parts.append(
                (np.linalg.norm(x.reshape(len(x), -1), axis=1), margins(logits, y), slopes)
            )
    one, two, three = (np.concatenate(part) for part in zip(*parts, strict=True))
    return one, two, three


@jax.jit
def _slopes(params: list[Layer], x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logits, and the derivative of each example's loss along the parameters themselves."""

    def losses(at: list[Layer]) -> tuple[jax.Array, jax.Array]:
        logits = forward(at, x)
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, y), logits

    _, slopes, logits = jax.jvp(losses, (params,), (params,), has_aux=True)
    return logits, slopes
