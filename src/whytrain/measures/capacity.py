"""The capacity of a trained two-layer network, as the theories of its width measure it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain.errors import UserError
from whytrain.measures import norms as norm
from whytrain.measures.arrays import check_finite
from whytrain.measures.bounds import (
    AS_RELEASED,
    BOUNDS,
    NO_BOUND,
    Facts,
    theorem1,
    theorem1_by_norms,
)
from whytrain.measures.building import Hints
from whytrain.measures.network import TwoLayerWeights
from whytrain.measures.pairs import Pair, read_pair
from whytrain.measures.reading import layer_order
from whytrain.measures.sample import (
    _BATCH,
    ONE_OUTPUT,
    Examples,
    OfClassifier,
    Sample,
    collect,
    error,
    examples,
    positive_quantile,
    ramp,
    test_error,
    unsure,
)
from whytrain.measures.two_layers import rectified

_SCALE = "are the checkpoints and the inputs those of one network, and is its margin not tiny?"
_SHARES = {
    "min": 0.0,
    "q05": 0.05,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q95": 0.95,
    "max": 1.0,
}

Units = Float[np.ndarray, " hidden"]


@dataclass(frozen=True)
class Bound:
    """One bound, evaluated.

    Attributes:
        capacity: `C`; None where the formula is no bound for a network of these sizes.
        gap: `sqrt(C / m)`, which bounds the error beyond the share of small training margins.
        vacuous: Whether the gap is no smaller than the error of guessing among the classes, `1 - 1
            / c`, or there is none: the bound says nothing then.
        as_released: `C` in the form of the authors' released code, where that is another one.
    """

    capacity: float | None
    gap: float | None
    vacuous: bool
    as_released: float | None = None


@dataclass(repr=False, frozen=True)
class Capacity(OfClassifier):
    """All that was measured; `document()` gives it as plain values.

    Attributes:
        facts: The numbers that the bounds are made of.
        norms: Every norm, by name.
        measures: The rows of the paper's Table 1 without constants, and the terms they are sums of.
        margins: The margin of every example.
        unit_capacity: `||u_i - u0_i||` of every hidden unit.
        unit_impact: `||v_i||` of every hidden unit, the length of its column of `V`.
        unit_angle: The angle between `u_i` and `u0_i`, in degrees.
        bounds: Every bound, by name.
        complexity: Theorem 1 of the paper, unit by unit (6) and by norms (7).
    """

    facts: Facts
    norms: dict[str, float]
    measures: dict[str, float]
    margins: Float[np.ndarray, " example"]
    unit_capacity: Units
    unit_impact: Units
    unit_angle: Units
    bounds: dict[str, Bound]
    complexity: dict[str, float]

    def normalized_margins(self) -> Float[np.ndarray, " example"]:
        """The margins over `(||U0||_2 + ||U - U0||_F) ||V||_F`, the measure without `sqrt(h)`.

        Only so can margins of different networks be compared: scaling the output layer scales them.
        """
        return self.margins / (self.measures["init_fro"] + self.measures["dist_fro"])

    def document(self) -> dict[str, Any]:
        """All numbers as values that JSON can hold.

        Returns:
            `network`, `checked`, `compared`, `norms`, `measures`, `margin`, `units`, `bounds`,
            `complexity`, `errors`, `notes`.
        """
        sizes = {name: getattr(self.facts, name) for name in ("d", "h", "c", "m")}
        named = {"d": "inputs", "h": "hidden", "c": "classes", "m": "examples"}
        errors = {"train": self.train_error}
        if self.test_error is not None:
            errors |= {"test": self.test_error, "gap": self.test_error - self.train_error}
        return {
            "network": {named[name]: value for name, value in sizes.items()}
            | {"parameters": self.facts.parameters},
            "checked": self.checked,
            "compared": self.compared,
            "norms": self.norms,
            "measures": self.measures,
            "margin": {
                "quantile": self.quantile,
                "value": self.margin,
                "ramp_loss": float(np.mean(ramp(self.margins, self.margin))),
                "normalized": _distribution(self.normalized_margins()),
            },
            "units": {
                "capacity": _distribution(self.unit_capacity),
                "impact": _distribution(self.unit_impact),
                "angle_degrees": _distribution(self.unit_angle),
            },
            "bounds": {
                name: {
                    key: value
                    for key, value in asdict(bound).items()
                    if key != "as_released" or value is not None
                }
                for name, bound in self.bounds.items()
            },
            "delta": self.facts.delta,
            "complexity": self.complexity,
            "errors": errors,
            "notes": list(self.notes),
        }


def capacity(
    initial: Any,
    trained: Any,
    inputs: Any,
    labels: Any = None,
    *,
    quantile: float = 0.05,
    delta: float = 0.01,
    test: Any = None,
    outputs: Any = None,
    hidden: str | None = None,
    output: str | None = None,
    order: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    batch: int = _BATCH,
) -> Capacity:
    """Measure the capacity of a two-layer ReLU network `V [U x + b]_+ + b'` on its training sample.

    Unit capacities `||u_i - u0_i||` and impacts `||v_i||` (Neyshabur et al. 2019), the norms and
    bounds of that paper's Table 1 and Figure 5, and the margins. Everything is in float64, and
    independent of the batch and of the order of the examples up to rounding.

    Weights do not say what is between them: an activation, a skip connection, a normalization. So
    the network is held against the model's own outputs, where there are some, and refused where it
    is off by more than 1e-4 of the largest (2e-2 if they are stored in half precision).

    Args:
        initial: The weights before training, the actual ones: a state dict (of PyTorch, or read by
            `read_checkpoint`), Flax variables, a module of PyTorch or Equinox, a fitted network of
            scikit-learn, or `TwoLayerWeights`. Every entry is used, ignored by name, or refused;
            batch normalization in evaluation mode is folded into the layer before it.
        trained: The weights after it. A module or an estimator is called on the first examples, as
            `outputs`.
        inputs: The training examples, as the network was given them (normalized, if they were); the
            first axis counts them. May be memory-mapped. Without labels, an iterable of pairs.
        labels: Their classes, from 0.
        quantile: The share of training margins that may be smaller than the margin.
        delta: The probability with which a bound may fail.
        test: Inputs and labels of a test set, for the error there.
        outputs: The logits of the first examples (any number of them), or the model, which is
            called. They decide what names and shapes leave open.
        hidden: The name of the hidden layer in both state dicts, if it cannot be told by its shape.
        output: The name of the output layer.
        order: The names of both layers in their order, in place of `hidden` and `output`.
        ignore: Entries, by name or pattern (`"head.*"`), that the network does not use.
        batch: How many examples are held at a time.

    Returns:
        The measurements; `checked` says whether outputs were compared.

    Raises:
        UserError: The outputs are not those of the model, the margin is not positive, the outputs
            do not depend on the inputs, numbers leave float64, an entry has no place, or weights,
            inputs or labels do not fit together.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
        >>> first = {"hidden.weight": 0.1 * np.eye(2), "output.weight": np.eye(2)}
        >>> last = first | {"hidden.weight": np.eye(2)}
        >>> found = capacity(first, last, x, y, outputs=[[1.0, 0.0], [0.0, 1.0]])
        >>> found.unit_capacity.tolist(), found.margin, found.bounds["vc"].vacuous, found.checked
        ([0.9, 0.9], 1.0, True, True)
    """
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        hints = Hints(layer_order(hidden, output, order))
        sample = examples(inputs, labels, batch)
        pair = read_pair(initial, trained, sample.first, outputs, hints, ignore, flat=True)
        found = _measured(pair, sample, quantile, delta, test, batch)
        check_finite(found.document())
        return found


def _measured(
    pair: Pair,
    sample: Examples,
    quantile: float,
    delta: float,
    test: Any,
    batch: int,
) -> Capacity:
    before, after = map(rectified, (pair.initial, pair.trained))
    if before.U.shape != after.U.shape or before.V.shape != after.V.shape:
        raise UserError(
            f"the initial network is {_sizes(before)}, the trained one {_sizes(after)} (inputs-"
            "hidden-classes); both checkpoints must be of one network"
        )
    if after.classes < 2:
        raise UserError(ONE_OUTPUT)
    if isinstance(delta, str) or not 0 < delta < 1:
        raise UserError(f"delta must be between 0 and 1, got {delta}")
    hint = None if pair.compared else sample.hint()
    seen = collect(before, after, sample)
    gamma = positive_quantile(seen.margin, quantile, pair.compared, hint)
    norms = weight_norms(before, after)
    if 0 in (norms["V_frobenius"], norms["U0_spectral"] + norms["U_distance_frobenius"]):
        raise UserError(
            "the trained output layer, or the hidden layer before and after, is zero: the outputs "
            "do not depend on the inputs, and there is no capacity to measure"
        )
    alpha, beta = norm.row_norms(after.V.T), norm.row_norms(after.U - before.U)
    facts = _facts(after, norms, seen, gamma, delta)
    total = math.sqrt(facts.m) * facts.input_rms
    arguments = (alpha, beta, total, seen.response, facts.c, gamma, facts.m)
    return Capacity(
        facts=facts,
        norms=norms | _data_norms(facts),
        measures=table1(norms, facts),
        quantile=quantile,
        margin=gamma,
        margins=seen.margin,
        unit_capacity=beta,
        unit_impact=alpha,
        unit_angle=_angles(before.U, after.U),
        bounds={name: _evaluate(name, facts) for name in BOUNDS},
        complexity={
            "theorem1": theorem1(*arguments), "theorem1_by_norms": theorem1_by_norms(*arguments),
        },
        train_error=error(seen.margin),
        test_error=test_error(test, batch, (after.inputs,), after.classes, after.outputs),
        notes=(*_notes(before, after, facts, quantile), *([hint] if hint else []), *pair.notes()),
        compared=pair.compared,
    )  # fmt: skip


def weight_norms(initial: TwoLayerWeights, trained: TwoLayerWeights) -> dict[str, float]:
    """Every norm of both layers, of their initial values, and of how far they moved.

        path_1 = sum_kj |V_kj| ||u_j||_1,    path_2 = sqrt( sum_kj V_kj^2 ||u_j||_2^2 )

    Args:
        initial: The initial network.
        trained: The trained network.

    Returns:
        The norms by name: `U`, `V` trained, `U0`, `V0` initial, `..._distance` of the difference;
        `spectral`, `frobenius`, `1_2` and `inf_1` as the functions of `whytrain.measures.norms`.
    """
    found: dict[str, float] = {}
    for name in ("U", "V"):
        now, then = getattr(trained, name), getattr(initial, name)
        found |= _norms(name, now, "spectral", "frobenius", "1_2", "inf_1")
        found |= _norms(f"{name}0", then, "spectral", "frobenius")
        found |= _norms(f"{name}_distance", now - then, "spectral", "frobenius", "1_2")
    lengths = norm.row_norms(trained.U)
    found["path_1"] = float(np.sum(np.abs(trained.V) @ np.abs(trained.U).sum(axis=1)))
    found["path_2"] = _path_2(trained.V, lengths)
    return found


def _path_2(V: np.ndarray, lengths: np.ndarray) -> float:
    def of(outer: np.ndarray) -> float:
        return norm.root(lambda inner: float(np.sqrt(np.sum(outer**2 @ inner**2))), lengths)

    return norm.root(of, V)


def _norms(name: str, matrix: np.ndarray, *kinds: str) -> dict[str, float]:
    return {f"{name}_{kind}": _KINDS[kind](matrix) for kind in kinds}


_KINDS = {
    "spectral": norm.spectral, "frobenius": norm.frobenius, "1_2": norm.one_two,
    "inf_1": norm.infinity_one,
}  # fmt: skip


def table1(norms: Mapping[str, float], sizes: Facts) -> dict[str, float]:
    """The rows of Table 1, without constants, and the terms drawn in Figures 3 and 4.

    All are on the scale of the root of a capacity (gap ~ row / sqrt(m)); the first, which the paper
    prints as `d h`, is its root here. With `D1 = ||U - U0||_F` and `D2 = ||V - V0||_F` the terms
    are

        spec_l1max = ||U||_2 ||V - V0||_{1,2}      l1max_spec = ||U - U0||_{1,2} ||V||_2
        spec_dist  = ||U||_2 D2 sqrt(c)            dist_spec  = sqrt(h) D1 ||V||_2
        init_fro   = ||U0||_2 ||V||_F              dist_fro   = D1 ||V||_F

    Args:
        norms: What `weight_norms` gave.
        sizes: For `d`, `h` and `c`.

    Returns:
        The rows under the names of the bounds, and the terms. Row (5) is printed without the factor
        `sqrt(c)` of its first term, and so it is in the row.
    """
    U2, V2, VF = norms["U_spectral"], norms["V_spectral"], norms["V_frobenius"]
    D1, D2, root = norms["U_distance_frobenius"], norms["V_distance_frobenius"], math.sqrt(sizes.h)
    terms = {
        "spec_l1max": U2 * norms["V_distance_1_2"], "l1max_spec": norms["U_distance_1_2"] * V2,
        "spec_dist": U2 * D2 * math.sqrt(sizes.c), "dist_spec": root * D1 * V2,
        "init_fro": norms["U0_spectral"] * VF, "dist_fro": D1 * VF,
    }  # fmt: skip
    return {
        "vc": math.sqrt(sizes.d * sizes.h),
        "bartlett_mendelson2002": norms["U_inf_1"] * norms["V_inf_1"],
        "neyshabur2015": norms["U_frobenius"] * VF,
        "bartlett2017": terms["spec_l1max"] + terms["l1max_spec"],
        "neyshabur2018": U2 * D2 + terms["dist_spec"],
        "neyshabur2019": terms["init_fro"] + terms["dist_fro"] + root,
    } | terms


def _facts(
    network: TwoLayerWeights, norms: Mapping[str, float], sample: Sample, gamma: float, delta: float
) -> Facts:
    m = len(sample.margin)
    same = ("U_spectral", "U_frobenius", "U_inf_1", "V_spectral", "V_frobenius", "V_inf_1")
    same += ("U0_spectral", "U_distance_1_2", "V_distance_1_2")
    return Facts(
        d=network.inputs, h=network.hidden, c=network.classes, m=m, gamma=gamma, delta=delta,
        **{name: norms[name] for name in same},
        U_distance=norms["U_distance_frobenius"], V_distance=norms["V_distance_frobenius"],
        input_rms=norm.rms(sample.length), input_max=float(sample.length.max()),
        input_inf_rms=norm.rms(sample.inf), input_inf_released=sample.released_inf(),
        U0_response=float(np.linalg.norm(sample.response)) / math.sqrt(m),
        U0_response_released=sample.features / math.sqrt(m),
    )  # fmt: skip


def _data_norms(facts: Facts) -> dict[str, float]:
    names = ("input_rms", "input_max", "input_inf_rms", "U0_response")
    return {name: getattr(facts, name) for name in names}


def _angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angles between the rows of two matrices in degrees, exact near 0 and 180."""
    a, b = map(_directions, (one, other))
    return np.degrees(2 * np.arctan2(norm.row_norms(a - b), norm.row_norms(a + b)))


def _directions(matrix: np.ndarray) -> np.ndarray:
    lengths = norm.row_norms(matrix)[:, None]
    return matrix / np.where(lengths == 0, 1, lengths)


def _evaluate(name: str, facts: Facts) -> Bound:
    if name in NO_BOUND and NO_BOUND[name](facts):
        return Bound(None, None, True)
    try:
        released = AS_RELEASED.get(name)
        value, other = BOUNDS[name](facts), released and released(facts)
        if not math.isfinite(value) or not math.isfinite(other or 0):
            raise OverflowError
        gap = math.sqrt(value / facts.m)
        return Bound(value, gap, gap >= 1 - 1 / facts.c, other)
    except (OverflowError, ZeroDivisionError, ValueError):  # inf, 0 or nan on the way
        raise UserError(f"the bound {name} is too large for float64; {_SCALE}") from None


def _notes(
    initial: TwoLayerWeights, trained: TwoLayerWeights, facts: Facts, quantile: float
) -> list[str]:
    """What a reader should not trust, in words."""
    notes = unsure(quantile, facts.m)
    for name, what in (("bartlett_mendelson2002", "input"), ("bartlett2017", "example")):
        if NO_BOUND[name](facts):
            notes.append(f"{name} has a logarithm that is 0 for one {what}: no bound in that case")
    if facts.U_distance == 0:
        notes.append(
            "the hidden layer is where it started; is the initial checkpoint the right one?"
        )
    if any(
        np.any(bias) for net in (initial, trained) for bias in (net.hidden_bias, net.output_bias)
    ):
        notes.append(
            "biases enter the margins and the count of parameters; no bound accounts for them"
        )
    notes.append(
        "as_released of bartlett_mendelson2002 depends on the order of the examples, by a fault of "
        "the released code"
    )
    return notes


def _distribution(values: np.ndarray) -> dict[str, float]:
    return {"mean": float(values.mean())} | {
        name: float(np.quantile(values, share)) for name, share in _SHARES.items()
    }


def _sizes(network: TwoLayerWeights) -> str:
    return f"{network.inputs}-{network.hidden}-{network.classes}"
