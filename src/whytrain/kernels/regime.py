"""Whether a trained network is near its tangent kernel: a word, and the number that decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax
from jaxtyping import PyTree

from whytrain._tables import Documented
from whytrain.errors import UserError
from whytrain.kernels.function import examples, network, precision, precision_of
from whytrain.kernels.pytorch import held, is_module, parameters
from whytrain.kernels.spectra import (
    Drift,
    Spectrum,
    alignment,
    drift,
    kernel_regression,
    spectrum,
)
from whytrain.kernels.tangent import tangent_kernel
from whytrain.measures.arrays import as_float64, in_one_line
from whytrain.measures.building import Hints
from whytrain.measures.network import Padding, forward
from whytrain.measures.pairs import check_same as check_same_network
from whytrain.measures.pairs import read_pair
from whytrain.measures.trained import check_same

INSIDE, NEAR = 0.1, 0.5  # of the deciding number
_FEWEST = 10  # examples that tell something
_LARGEST = 1e100  # of a target: its square is a number
_ROUNDING = 100  # epsilons of the outputs: less may be rounding
RULE = (
    "the larger one decides of the kernel's drift |K - K0| / |K0| (Frobenius norms) and the gap "
    "|f - f_lin| / |f - f_0| to the linearized network: in the regime up to 0.1, near it up to 0.5"
)


@dataclass(frozen=True)
class State:
    """A network at one time.

    Attributes:
        spectrum: Of its kernel on the training examples, summed over outputs.
        alignment: Of that kernel with the targets, centered; None where either is constant.
    """

    spectrum: Spectrum
    alignment: float | None

    def document(self) -> dict[str, Any]:
        """The numbers as values that JSON can hold."""
        values, condition = self.spectrum.values, self.spectrum.condition
        ridge = float(values[0]) / (1000 * len(values))
        return {
            "eigenvalues": [float(value) for value in values[:10]],
            "largest": float(values[0]),
            "smallest": float(values[-1]),
            "condition": condition if np.isfinite(condition) else None,
            "rank": self.spectrum.rank,
            "effective_dimension": self.spectrum.effective_dimension(ridge) if ridge > 0 else 0.0,
            "alignment": self.alignment,
        }


@dataclass(frozen=True)
class Predictions:
    """What kernel regression with the initial kernel says beside what the network says.

    Attributes:
        examples: On how many examples, none of which was fitted.
        held_out: Whether they are a part of the training examples, which the network has seen.
        fitted: How many examples kernel regression was fitted to.
        classes: Whether errors are shares of wrong classes and agreement is that of equal ones;
            else errors are mean squares and agreement is a correlation.
        kernel_error: Of kernel regression.
        network_error: Of the trained network.
        agreement: Of the two; None where one of them is constant.
    """

    examples: int
    held_out: bool
    fitted: int
    classes: bool
    kernel_error: float
    network_error: float
    agreement: float | None


@dataclass(repr=False, frozen=True)
class Regime(Documented):
    """How far a network has left its tangent kernel.

    Attributes:
        initial: At the start.
        trained: At the end.
        drift: Of the kernel on the training examples.
        linearization_gap: `|f - f_lin| / |f - f_0|` on them, with `f_lin = f_0 + df_0/dparams
            (params - params_0)`: 0 for a network that trained as its linearization would; None
            where the outputs did not change.
        moved: `|params - params_0| / |params_0|`; None for parameters that started at 0.
        predictions: Of kernel regression and the network.
        examples: How many training examples there are.
        outputs: How many outputs.
        notes: What is not to be trusted about the numbers, a sentence each.
        checked: Whether the network is known to be the user's.
    """

    initial: State
    trained: State
    drift: Drift
    linearization_gap: float | None
    moved: float | None
    predictions: Predictions
    examples: int
    outputs: int
    notes: tuple[str, ...]
    checked: bool

    @property
    def deciding(self) -> float:
        """The larger one of drift and gap."""
        return max(self.drift.frobenius, self.linearization_gap or 0.0)

    @property
    def word(self) -> str:
        """`"in"`, `"near"` or `"out of"` the kernel regime, by `RULE`."""
        return "in" if self.deciding <= INSIDE else "near" if self.deciding <= NEAR else "out of"

    @property
    def sentence(self) -> str:
        """The answer in words, with the number that decides."""
        if self.moved == 0:
            return "The parameters did not move: there is no training to speak of."
        gap = self.linearization_gap
        drifts = gap is None or self.drift.frobenius >= gap
        what = "its kernel drifted by" if drifts else "its outputs left the linearized network's by"
        return f"The network is {self.word} the kernel regime: {what} {self.deciding:.3g}."

    def document(self) -> dict[str, Any]:
        """The numbers as values that JSON can hold."""
        return {
            "regime": self.word,
            "sentence": self.sentence,
            "rule": RULE,
            "deciding": self.deciding,
            "drift": vars(self.drift),
            "linearization_gap": self.linearization_gap,
            "moved": self.moved,
            "initial": self.initial.document(),
            "trained": self.trained.document(),
            "predictions": vars(self.predictions),
            "examples": self.examples,
            "outputs": self.outputs,
            "checked": self.checked,
            "notes": list(self.notes),
        }


def kernel_regime(
    f: Any,
    initial: PyTree,
    trained: PyTree,
    inputs: Any,
    targets: Any,
    *,
    test: tuple[Any, Any] | None = None,
    points: int = 1000,
    memory: str | int = "1GiB",
    notes: tuple[str, ...] = (),
    checked: bool = True,
) -> Regime:
    """Measure how far a network has left its tangent kernel.

    Args:
        f: `f(params, batch)`, or a module of PyTorch, as `tangent_kernel` takes it.
        initial: The parameters before training.
        trained: The parameters after it; of a module None for its own.
        inputs: The training examples.
        targets: Classes, as whole numbers: from 0 on for as many outputs, for one output 0 and 1 or
            -1 and 1. Or values, as floats of the shape of the outputs.
        test: Inputs and targets that were not trained on; None to hold out every fifth training
            example from kernel regression.
        points: How many training examples are measured at most, evenly chosen.
        memory: As `tangent_kernel` takes it.
        notes: What to say beside the numbers.
        checked: Whether `f` is known to be the user's network.

    Returns:
        The measures, and the sentence.

    Raises:
        UserError: The parameters are not those of one network, or what `tangent_kernel` refuses.

    Source: Jacot et al. 2018 for kernel regression; Chizat, Oyallon and Bach, "On lazy training in
    differentiable programming", 2019, for the linearized network.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, w = rng.normal(size=(20, 3)), np.ones(3)
        >>> found = kernel_regime(lambda w, x: x @ w, w, w + 1, x, x @ (w + 1))
        >>> found.sentence
        'The network is in the kernel regime: its kernel drifted by 0.'
    """
    if is_module(f):
        initial, trained = parameters(f, initial), parameters(f, trained)
        notes = (*notes, *held(f, initial))
    check_same(initial, trained)
    dtype = precision_of((initial, trained))
    x = examples(inputs, dtype, "inputs")
    if len(x) < _FEWEST:
        raise UserError(f"{_FEWEST} training examples or more are needed, got {len(x)}")
    if isinstance(points, bool) or not isinstance(points, int) or points < _FEWEST:
        raise UserError(f"points must be a whole number from {_FEWEST} on, got {points!r}")
    (x, wanted), said = _few(x, targets, points, "training")
    notes = (*notes, *said)
    if test is not None:
        if not isinstance(test, tuple | list) or len(test) != 2:
            raise UserError("test must be a pair: inputs, and their targets")
        others = examples(test[0], dtype, "test inputs", like=x)
        if others.shape[1:] != x.shape[1:]:
            raise UserError(
                f"test inputs must be like inputs, of shape {x.shape[1:]}, got {others.shape[1:]}"
            )
        test, said = _few(others, test[1], points, "test")
        notes = (*notes, *said)
    with precision(dtype):
        start, end = (network(f, params, x, dtype) for params in (initial, trained))
        step = [b - a for a, b in zip(start.leaves, end.leaves, strict=True)]
        before, after, slope = _values(start, x), _values(end, x), _float64(start.along(step, x))
        sizes = [float(optax.tree.norm(leaves)) for leaves in (step, start.leaves)]
    change, off = (float(np.linalg.norm(each)) for each in (after - before, after - before - slope))
    gap = off / change if change else None
    if gap is not None and gap > INSIDE and off < _ROUNDING * _epsilon(dtype, after):
        notes = (*notes, "the outputs changed so little that the gap may be rounding; give float64")
    kernels = [
        tangent_kernel(f, params, x, outputs="trace", memory=memory)
        for params in (initial, trained)
    ]
    rows = wanted.rows(before.shape[1])
    return Regime(
        initial=State(spectrum(kernels[0]), _alignment(kernels[0], rows)),
        trained=State(spectrum(kernels[1]), _alignment(kernels[1], rows)),
        drift=drift(*kernels),
        linearization_gap=gap,
        moved=sizes[0] / sizes[1] if sizes[1] else None,
        predictions=_predict(f, initial, trained, x, kernels[0], before, wanted, test, memory),
        examples=len(x),
        outputs=before.shape[1],
        notes=notes,
        checked=checked,
    )


def network_regime(
    initial: Any,
    trained: Any,
    inputs: Any,
    targets: Any,
    *,
    test: tuple[Any, Any] | None = None,
    outputs: Any = None,
    order: Sequence[str] | None = None,
    stride: Mapping[str, int] | None = None,
    padding: Mapping[str, Padding] | None = None,
    ignore: Sequence[str] = (),
    points: int = 1000,
    memory: str | int = "1GiB",
) -> Regime:
    """The same for a network that `whytrain.measures` reads: dense and convolutional, with ReLU.

    Args:
        initial: The network before training: a state dict, a module, an estimator, or layers.
        trained: The network after it.
        inputs: As in `kernel_regime`.
        targets: As there.
        test: As there.
        outputs: The model's outputs of the first examples, or the model: the network that was read
            is held against them, as `measures.deep` does.
        order: As in `measures.layers`.
        stride: As there.
        padding: As there.
        ignore: As there.
        points: As in `kernel_regime`.
        memory: As there.

    Returns:
        The measures, and the sentence; `checked` says whether outputs were compared.

    Raises:
        UserError: The network cannot be read, or its outputs are not the model's.
    """
    pair = read_pair(initial, trained, inputs, outputs, Hints(order, stride, padding), ignore)
    check_same_network(pair)
    return kernel_regime(
        forward, list(pair.initial.layers), list(pair.trained.layers), inputs, targets,
        test=test, points=points, memory=memory, notes=tuple(pair.notes()),
        checked=bool(pair.compared),
    )  # fmt: skip


@dataclass(frozen=True)
class _Targets:
    """What is to be said of examples: classes, or values."""

    given: np.ndarray
    classes: bool

    @classmethod
    def of(cls, targets: Any, x: np.ndarray, which: str) -> "_Targets":
        """Those of the examples of a set."""
        with in_one_line(f"{which} targets must be numbers, one an example or one an output"):
            given = np.asarray(targets)
            whole = given.ndim == 1 and given.dtype.kind in "iub"
            given = given if whole else as_float64(targets, f"{which} targets")
        if given.shape[:1] != (len(x),):
            raise UserError(
                f"there must be one target an example: {len(x)} {which} examples, and targets of "
                f"the shape {given.shape}"
            )
        if not whole and not (np.abs(given) < _LARGEST).all():
            raise UserError(f"{which} targets must be finite numbers, below {_LARGEST:g}")
        return cls(given, whole)

    def some(self, chosen: np.ndarray) -> "_Targets":
        """Those of some examples."""
        return _Targets(self.given[chosen], self.classes)

    def rows(self, outputs: int) -> np.ndarray:
        """As a network's outputs should be."""
        if self.classes:
            found = set(map(int, np.unique(self.given)))
            lowest, highest = min(found), max(found)
            if outputs == 1:  # its sign tells
                if not (found <= {0, 1} or found <= {-1, 1}):
                    raise UserError(
                        "the sign of one output tells two classes, 0 and 1 or -1 and 1, got "
                        f"{lowest} to {highest}; values are given as floats"
                    )
                return np.where(self.given > 0, 1.0, -1.0)[:, None]
            if lowest < 0 or highest >= outputs:
                raise UserError(
                    f"targets must be classes from 0 to {outputs - 1}, got {lowest} to {highest}"
                )
            return np.eye(outputs)[self.given.astype(int)]
        rows = self.given.reshape(len(self.given), -1)
        if rows.shape[1] != outputs:
            raise UserError(
                f"targets must be one number for each of {outputs} outputs, or classes (whole "
                f"numbers), got the shape {self.given.shape}"
            )
        return rows

    def says(self, outputs: np.ndarray) -> np.ndarray:
        """What outputs say: classes, or themselves."""
        if not self.classes:
            return outputs
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else np.sign(outputs[:, 0])

    def error(self, outputs: np.ndarray) -> float:
        """The share of wrong classes, or the mean squared error."""
        rows = self.rows(outputs.shape[1])
        if not self.classes:
            return float(((outputs - rows) ** 2).mean())
        return float((self.says(outputs) != self.says(rows)).mean())


def _few(
    x: np.ndarray, targets: Any, points: int, which: str
) -> tuple[tuple[np.ndarray, _Targets], list[str]]:
    """At most so many examples, evenly chosen, and what to say of that."""
    given = _Targets.of(targets, x, which)
    if len(x) <= points:
        return (x, given), []
    chosen = np.linspace(0, len(x) - 1, points).astype(int)
    said = f"measured on {points} of {len(x)} {which} examples, evenly chosen"
    return (x[chosen], given.some(chosen)), [said]


def _predict(
    f: Any,
    initial: PyTree,
    trained: PyTree,
    x: np.ndarray,
    kernel: np.ndarray,
    before: np.ndarray,
    wanted: _Targets,
    test: tuple[np.ndarray, _Targets] | None,
    memory: Any,
) -> Predictions:
    rows = wanted.rows(before.shape[1])
    if test is None:
        out = np.arange(len(x)) % 5 == 4
        said, others, kept = wanted.some(out), x[out], ~out
        across = kernel[np.ix_(out, kept)]
    else:
        (others, said), kept = test, np.full(len(x), True)
        across = tangent_kernel(f, initial, others, x, outputs="trace", memory=memory)
    dtype = precision_of((initial, trained))
    with precision(dtype):
        start, end = (
            _values(network(f, params, others, dtype), others) for params in (initial, trained)
        )
    regressed = kernel_regression(
        kernel[np.ix_(kept, kept)], rows[kept], across,
        initial=before[kept], initial_others=start,
    )  # fmt: skip
    return Predictions(
        examples=len(others),
        held_out=test is None,
        fitted=int(kept.sum()),
        classes=said.classes,
        kernel_error=said.error(regressed),
        network_error=said.error(end),
        agreement=_agreement(said, regressed, end),
    )


def _agreement(said: _Targets, one: np.ndarray, other: np.ndarray) -> float | None:
    if said.classes:
        return float((said.says(one) == said.says(other)).mean())
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _alignment(kernel: np.ndarray, rows: np.ndarray) -> float | None:
    try:
        return alignment(kernel, rows)
    except UserError:  # constant targets
        return None


def _epsilon(dtype: Any, rows: np.ndarray) -> float:
    return float(np.finfo(dtype).eps * np.linalg.norm(rows))


def _values(of: Any, x: np.ndarray) -> np.ndarray:
    """The outputs of a network at a batch, which is larger than those that it was tried on."""
    found = _float64(of.values(x))
    if len(found) != len(x):
        raise UserError(
            f"f(params, x) must give outputs for each example: of a batch of {len(x)} it gives "
            f"{len(found)}; keep the first axis whole"
        )
    return found


def _float64(rows: Any) -> np.ndarray:
    return np.asarray(rows, np.float64)
