"""How linear a trained two-layer network decides: what is certified, and what is only observed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from whytrain._tables import Documented
from whytrain.errors import UserError
from whytrain.measures.arrays import as_float64, shown
from whytrain.measures.clusters import (
    AgreementRegimes,
    WeightClusters,
    agreement_regimes,
    certified_signs,
    checked_inputs,
    signed_units,
    weight_clusters,
)
from whytrain.measures.linear import LinearAgreement, linear_agreement, linear_svm
from whytrain.measures.network import Network, TwoLayerWeights
from whytrain.measures.reading import layer_order, two_layer
from whytrain.measures.sources import COMPARED, Expected, centered, expected, source
from whytrain.measures.two_layers import two_layers

PROBES = 20_000
LINEAR, NEARLY = 0.99, 0.95
RULE = (
    f"linear where the interval of the agreement lies above {LINEAR:.0%}, nearly linear above "
    f"{NEARLY:.0%}, not linear below {NEARLY:.0%}, undecided elsewhere"
)


@dataclass(frozen=True)
class SignedNetwork:
    """`f(x) = sum_j s(w[j] . x) - sum_j s(u[j] . x) + bias`, `s(z) = z` above 0, `slope z` below.

    Attributes:
        w: (unit, input): the units that count positively, scaled by their output weights.
        u: Those that count negatively.
        slope: Of the activation below 0.
        bias: What is added.
        constant: Whether the last input is always 1 and stands for biases of the units.
    """

    w: Float[np.ndarray, "plus d"]
    u: Float[np.ndarray, "minus d"]
    slope: float
    bias: float = 0.0
    constant: bool = False

    def inputs(self, x: Float[np.ndarray, "example inputs"]) -> Float[np.ndarray, "example d"]:
        """Examples as the units take them."""
        return np.column_stack([x, np.ones(len(x))]) if self.constant else x

    def outputs(self, x: Float[np.ndarray, "example inputs"]) -> Float[np.ndarray, " example"]:
        """`f`."""
        into = self.inputs(x)
        plus, minus = (
            np.maximum(z, self.slope * z).sum(axis=1) for z in (into @ self.w.T, into @ self.u.T)
        )
        return plus - minus + self.bias

    def decisions(self, x: Float[np.ndarray, "example inputs"]) -> Float[np.ndarray, " example"]:
        """The sign of `f`; 1 on the boundary."""
        return np.where(self.outputs(x) >= 0, 1.0, -1.0)

    @property
    def normal(self) -> Float[np.ndarray, " d"]:
        """`sum_j w[j] - sum_j u[j]`: with `bias` the rule to which the units point together."""
        return self.w.sum(axis=0) - self.u.sum(axis=0)

    def certified(self, x: Float[np.ndarray, "example inputs"]) -> np.ndarray:
        """Where the clusters alone prove that `f` has the sign of `normal . x + bias`."""
        into = self.inputs(x)
        proven = certified_signs(self.w, self.u, into, self.slope, self.bias)
        return (proven != 0) & (proven == np.sign(into @ self.normal + self.bias))

    @property
    def cone(self) -> float | None:
        """Degrees from the hyperplane of `normal` beyond which all decisions are certified.

            sin(cone) = (radius of the w + radius of the u) / |plus - minus|

        None if no angle is enough, or the condition is not one of an angle: unequal numbers of
        units of either sign, a bias of the output, or ReLU, which is 0 where no unit is active.
        """
        if len(self.w) != len(self.u) or self.bias or not self.slope:
            return None
        centers = [units.mean(axis=0) for units in (self.w, self.u)]
        reach = sum(
            np.linalg.norm(units - center, axis=1).max()
            for units, center in zip((self.w, self.u), centers, strict=True)
        )
        between = np.linalg.norm(centers[0] - centers[1])
        return math.degrees(math.asin(reach / between)) if reach < between else None


@dataclass(repr=False, frozen=True)
class Linearity(Documented):
    """What `linearity` found.

    Attributes:
        network: The network as a difference of two sums of units.
        classes: The labels that count as -1 and 1.
        clusters: Of the units of either sign.
        regimes: On which training examples the units agree.
        train_error: The share of training examples on the wrong side.
        test_error: The same of the test set, if one was given.
        certified: The share of the training examples, of the test set (if one was given) and of the
            probes at which the decision is certified to be that of `network.normal`.
        agreement: With the best linear rule that was found, on probes.
        svm_agreement: The share of the probes on which a linear SVM, fitted to the training
            examples, decides as the network does; None where its solver does not converge.
        probes: How many there were.
        slope_from: Where the slope comes from: `"model"`, `"given"`, `"outputs"` or `"assumed"`.
        compared: On how many examples the outputs are those of the user's model.
        notes: What a reader should know, a sentence each.
    """

    network: SignedNetwork
    classes: tuple[Any, Any]
    clusters: WeightClusters
    regimes: AgreementRegimes
    train_error: float
    test_error: float | None
    certified: dict[str, float]
    agreement: LinearAgreement
    svm_agreement: float | None
    probes: int
    slope_from: str
    compared: int
    notes: tuple[str, ...]

    @property
    def checked(self) -> bool:
        """Whether the network is known to be the user's model: its outputs were compared."""
        return self.compared > 0

    @property
    def word(self) -> str:
        """By `RULE`: linear, nearly linear, not linear, undecided."""
        if self.agreement.low > LINEAR:
            return "linear"
        if self.agreement.low > NEARLY:
            return "nearly linear"
        return "not linear" if self.agreement.high < NEARLY else "undecided"

    @property
    def sentence(self) -> str:
        """What is certified, and what is only observed."""
        share, cone = self.certified["training"], self.network.cone
        where = "" if cone is None else f", and everywhere more than {cone:.3g}° from it"
        proven = (
            f"Certified: one hyperplane decides as the network does at {share:.1%} of the training "
            f"examples{where}."
            if share
            else "Certified: nothing, the clusters are too wide or not opposite (radius over "
            f"center {self.clusters.ratio:.3g})."
        )
        found = self.agreement
        return (
            f"{proven} Observed only: {self.word}; the best linear rule that was found agrees on "
            f"{found.share:.2%} of fresh probes [{found.low:.2%}, {found.high:.2%}]."
        )

    def document(self) -> dict[str, Any]:
        """All numbers, for JSON; None where there is none."""
        found, clusters = self.agreement, self.clusters
        return {
            "sentence": self.sentence,
            "word": self.word,
            "rule": RULE,
            "checked": self.checked,
            "compared": self.compared,
            "classes": [_plain(each) for each in self.classes],
            "slope": self.network.slope,
            "slope_from": self.slope_from,
            "units": {"plus": len(self.network.w), "minus": len(self.network.u)},
            "clusters": {
                "number": clusters.number,
                "ratio": clusters.ratio if math.isfinite(clusters.ratio) else None,
                "radius": clusters.radius,
                "effective_rank": clusters.rank,
            },
            "regimes": {"neural": self.regimes.neural, "perfect": self.regimes.perfect},
            "train_error": self.train_error,
            "test_error": self.test_error,
            "certified": self.certified,
            "cone_degrees": self.network.cone,
            "agreement": {
                "share": found.share, "low": found.low, "high": found.high, "level": 0.95
            },
            "svm_agreement": self.svm_agreement,
            "probes": self.probes,
            "normal": found.normal.tolist(),
            "notes": list(self.notes),
        }  # fmt: skip


def linearity(
    trained: Any,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    slope: float | None = None,
    classes: Sequence[Any] | None = None,
    outputs: Any = None,
    hidden: str | None = None,
    output: str | None = None,
    order: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    probes: int = PROBES,
    seed: int = 0,
) -> Linearity:
    """How linear a trained two-layer network with (leaky) ReLU decides between two classes.

    Of `f(x) = sum_j a[j] s(h[j] . x + b[j]) + c`, one output or the difference of two logits, the
    units are scaled by `|a[j]|` and sorted by its sign, a bias being the weight of an input that is
    always 1. Then (Sarussi, Brutzkus and Globerson 2021, Theorem 2, in a sharper form for any
    numbers of units; see `certified_signs`): where the clusters of the units prove the sign, one
    hyperplane decides as the network does. That is certified. What a linear rule reaches on probes
    is observed: probes are normal with the mean and the covariance of the training inputs.

    Args:
        trained: The trained network, as `capacity` takes it, or what `network` has read.
        inputs: Training inputs; each is flattened.
        labels: Their labels.
        test: Inputs and labels of fresh examples.
        slope: Of the activation below 0: 0 for ReLU, 0.01 for PyTorch's `LeakyReLU`. Where it is
            not given it is read off the outputs, and without those ReLU is assumed.
        classes: The labels that count as -1 and 1, where there are more than two; the logits of
            these classes are compared, and only their examples used.
        outputs: Outputs of the first training examples, or the model, to check the network.
        hidden: The hidden layer, if shapes do not tell.
        output: The output layer, likewise.
        order: Both, likewise.
        ignore: Entries of the checkpoint not to be used, by name or pattern.
        probes: How many, 100 or more.
        seed: Of the probes.

    Returns:
        All that was found.

    Raises:
        UserError: The network has not two dense layers, or not one or two outputs (and no
            `classes`), its outputs are not those given, all units have one sign, or an array does
            not fit.

    Example:
        >>> weights = {"0.weight": [[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]]}
        >>> weights |= {"2.weight": [[1.0, 1.0, -1.0, -1.0]]}
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> found = linearity(weights, x, x[:, 0] > 0, slope=0.1)
        >>> print(found.word, f"{found.network.cone:.2f}", found.clusters.number)
        linear 5.74 2
    """
    trained, slope = _without_logistic(trained, slope)
    named = layer_order(hidden, output, order)
    if named is not None and len(named) != 2:
        raise UserError(f"order must name the two layers, hidden and output, got {list(named)}")
    hidden, output = named or (None, None)
    weights, known = _weights(trained, hidden, output, ignore)
    x, y = _flat(inputs, "the inputs", weights.inputs), np.asarray(labels)
    _check_labels(y, len(x))
    pair = _pair(classes, y, weights.classes)
    said = _said(outputs, trained, inputs)
    readout, bias = _readout(weights, pair, y)
    slope, slope_from, compared = known or _slope(weights, x, said, slope)
    network = _signed(weights, readout, bias, slope)
    signs = _signs(y, pair)
    kept, kept_signs = x[signs != 0], signs[signs != 0]
    fresh = None if test is None else _fresh(test, weights.inputs, pair)
    if probes < 100:
        raise UserError(f"probes must be 100 or more, got {probes}")
    points = _probes(kept, probes, seed)
    decisions = network.decisions(points)
    into = network.inputs(points)
    candidate = network.normal.copy()
    if network.constant:
        candidate[-1] += bias
    certified = {"training": kept, "probes": points} | ({} if fresh is None else {"test": fresh[0]})
    notes = _notes(slope_from, compared, network, kept_signs)
    return Linearity(
        network, pair, weight_clusters(network.w, network.u),
        agreement_regimes(network.w, network.u, network.inputs(kept), kept_signs),
        float(np.mean(network.decisions(kept) != kept_signs)),
        None if fresh is None else float(np.mean(network.decisions(fresh[0]) != fresh[1])),
        {name: float(network.certified(each).mean()) for name, each in certified.items()},
        linear_agreement(into, decisions, [candidate]),
        _svm_agreement((network.inputs(kept), kept_signs), into, decisions),
        probes, slope_from, compared, tuple(notes),
    )  # fmt: skip


def _weights(
    trained: Any, hidden: str | None, output: str | None, ignore: Sequence[str]
) -> tuple[TwoLayerWeights, tuple[float, str, int] | None]:
    """The weights, and of a network that was read before its slope and on how much it was held."""
    if not isinstance(trained, Network):
        return two_layer(trained, hidden, output, ignore=ignore), None
    weights, slope = two_layers(trained)
    return weights, (slope, "model", getattr(trained, "compared", 0))


def _without_logistic(trained: Any, slope: float | None) -> tuple[Any, float | None]:
    """A binary classifier of scikit-learn as its weights; its class says that it has ReLU."""
    if getattr(trained, "out_activation_", None) != "logistic":
        return trained, slope
    if trained.activation != "relu":
        raise UserError(
            f"the checkpoint has the activation {trained.activation}; only rectifiers are measured"
        )
    parts = {"coefs_": trained.coefs_, "intercepts_": trained.intercepts_}
    arrays = {f"{name}.{i}": each for name, all_ in parts.items() for i, each in enumerate(all_)}
    return arrays, 0.0 if slope is None else slope


def _flat(given: ArrayLike, what: str, width: int) -> Float[np.ndarray, "example inputs"]:
    x = as_float64(given, what)
    if x.ndim < 2 or not len(x) or x[0].size != width:
        raise UserError(
            f"{what} must be examples of {width} numbers, as the network takes them, got shape "
            f"{x.shape}"
        )
    return checked_inputs(x.reshape(len(x), -1))


def _check_labels(y: np.ndarray, count: int) -> None:
    if y.shape != (count,):
        raise UserError(f"labels must be one for each of {count} examples, got shape {y.shape}")


def _pair(classes: Sequence[Any] | None, y: np.ndarray, logits: int) -> tuple[Any, Any]:
    """The labels that count as -1 and 1."""
    there = np.unique(y)
    if classes is None:
        if len(there) != 2:
            raise UserError(
                f"linearity is of two classes, these labels have {len(there)} "
                f"({shown(map(str, there))}); name two in classes="
            )
        return there[0].item(), there[1].item()
    named = list(classes)
    if len(named) != 2 or len(set(named)) != 2 or not np.isin(named, there).all():
        raise UserError(
            f"classes must be two labels that occur ({shown(map(str, there))}), got {named}"
        )
    if logits == 1 and len(there) > 2:
        raise UserError(
            f"the network has one output, and the labels {len(there)} values; which two classes "
            "does it tell apart? give their examples alone"
        )
    return named[0], named[1]


def _readout(
    weights: TwoLayerWeights, pair: tuple[Any, Any], y: np.ndarray
) -> tuple[np.ndarray, float]:
    """Output weights and bias of the number whose sign decides."""
    if weights.classes == 1:
        return weights.V[0], float(weights.output_bias[0])
    there = np.unique(y).tolist()
    if len(there) == weights.classes:  # a logit for each label, in their order
        low, high = (there.index(label) for label in pair)
    elif all(isinstance(i, int) and 0 <= i < weights.classes for i in pair):
        low, high = pair
    else:
        raise UserError(
            f"the network has {weights.classes} logits and these labels {len(there)} values "
            f"({shown(map(str, there))}); give labels from 0 to {weights.classes - 1}"
        )
    bias = float(weights.output_bias[high] - weights.output_bias[low])
    return weights.V[high] - weights.V[low], bias


def _said(outputs: Any, trained: Any, inputs: Any) -> Expected | None:
    """Outputs of the model; a network with one output may give one number an example."""
    if outputs is not None and hasattr(outputs, "shape") and len(np.shape(outputs)) == 1:
        outputs = as_float64(outputs, "the outputs")[:, None]
    read = isinstance(trained, TwoLayerWeights | Network)
    opened = None if read else source(trained, "the checkpoint")
    return expected(outputs, opened, inputs[:COMPARED])


def _slope(
    weights: TwoLayerWeights, x: np.ndarray, said: Expected | None, slope: float | None
) -> tuple[float, str, int]:
    """The slope, where it comes from, and how many outputs agree with it.

    The outputs are linear in the slope, `A + slope B`: those of the model tell it.
    """
    if slope is not None and not 0 <= slope < 1:
        raise UserError(f"slope must be from 0 to below 1, got {slope:g}")
    if said is None:
        return (0.0, "assumed", 0) if slope is None else (float(slope), "given", 0)
    count = len(said.outputs)
    if count > len(x) or said.outputs.shape[1] != weights.classes:
        raise UserError(
            f"the outputs have shape {said.outputs.shape}, the network gives {weights.classes} for "
            f"each of {len(x)} examples; outputs are those of the first ones, in their order"
        )
    z = x[:count] @ weights.U.T + weights.hidden_bias
    A = centered(np.maximum(z, 0) @ weights.V.T + weights.output_bias)
    B = centered(np.minimum(z, 0) @ weights.V.T)
    with np.errstate(divide="ignore"):
        given = centered(np.log(said.outputs) if said.softmax else said.outputs)
    size = np.abs(given).max()
    if not np.isfinite(given).all() or not size:
        raise UserError("the outputs of the model are all alike, or not finite: nothing to compare")
    fitted = float(np.sum(B * (given - A)) / np.sum(B * B)) if B.any() else 0.0
    off = np.abs(A + (fitted if slope is None else slope) * B - given).max() / size
    if off <= said.tolerance and (slope is not None or -said.tolerance <= fitted < 1):
        near = 0.0 if abs(fitted) <= said.tolerance else fitted
        return (near, "outputs", count) if slope is None else (float(slope), "given", count)
    fits = np.abs(A + fitted * B - given).max() / size <= said.tolerance
    more = f"; they are with the slope {fitted:.4g}" if fits else (
        "; usual causes: another activation than a (leaky) rectifier, a normalization, inputs "
        "scaled otherwise, another order of the examples"
    )  # fmt: skip
    raise UserError(
        f"the outputs on {count} examples are not those of this network: off by {off:.2g} of the "
        f"largest (allowed: {said.tolerance:g}){more}"
    )


def _signed(
    weights: TwoLayerWeights, readout: np.ndarray, bias: float, slope: float
) -> SignedNetwork:
    constant = bool(weights.hidden_bias.any())
    units = np.column_stack([weights.U, weights.hidden_bias]) if constant else weights.U
    if not ((readout > 0).any() and (readout < 0).any()):
        raise UserError(
            "all units count for one class: the network has no boundary of two clusters; is the "
            "output layer the right one?"
        )
    return SignedNetwork(*signed_units(units, readout), slope, bias, constant)


def _signs(y: np.ndarray, pair: tuple[Any, Any]) -> np.ndarray:
    """-1, 1, or 0 for a label that is neither of the two."""
    return np.where(y == pair[1], 1.0, np.where(y == pair[0], -1.0, 0.0))


def _fresh(
    test: tuple[ArrayLike, ArrayLike], width: int, pair: tuple[Any, Any]
) -> tuple[np.ndarray, np.ndarray]:
    x, y = _flat(test[0], "the test inputs", width), np.asarray(test[1])
    _check_labels(y, len(x))
    signs = _signs(y, pair)
    if not signs.any():
        raise UserError(f"the test set has no example of the classes {pair[0]} and {pair[1]}")
    return x[signs != 0], signs[signs != 0]


def _probes(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Normal with the mean and the covariance of some inputs."""
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    spread = vectors * np.sqrt(np.maximum(values, 0))
    return mean + np.random.default_rng(seed).standard_normal((count, x.shape[1])) @ spread.T


def _svm_agreement(
    sample: tuple[np.ndarray, np.ndarray], probes: np.ndarray, decisions: np.ndarray
) -> float | None:
    try:
        normal = linear_svm(*sample)
    except UserError:  # no answer of the solver, or one class alone
        return None
    return float(np.mean(np.where(probes @ normal >= 0, 1.0, -1.0) == decisions))


def _notes(slope_from: str, compared: int, network: SignedNetwork, signs: np.ndarray) -> list[str]:
    notes = []
    if slope_from == "assumed":
        notes.append(
            "ReLU is assumed: the weights do not tell the slope below 0; give slope= or outputs="
        )
    if not compared:
        notes.append("not checked against the model: give outputs= of some examples")
    if len(network.w) != len(network.u) or network.bias or not network.slope:
        notes.append(
            "certified are shares of examples and no angle: that takes as many units of either "
            "sign, no bias of the output, and a slope above 0"
        )
    if min(np.sum(signs > 0), np.sum(signs < 0)) * 20 < len(signs):
        notes.append("one class has less than 5 % of the examples: agreement is easy to reach")
    return notes


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
