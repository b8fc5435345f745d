"""All that is measured of one network, with what each number is good for and what it is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from whytrain._tables import Documented, Table
from whytrain.errors import UserError
from whytrain.kernels.regime import Regime, network_regime
from whytrain.measures.arrays import as_float64, check_whole
from whytrain.measures.building import Hints
from whytrain.measures.capacity import Capacity, capacity
from whytrain.measures.cross_entropy import cross_entropy
from whytrain.measures.deep import DeepMeasures, deep
from whytrain.measures.density import Density, hessian_density
from whytrain.measures.flatness import Flatness, flatness
from whytrain.measures.linearity import Linearity, linearity
from whytrain.measures.models import Model, is_model, network
from whytrain.measures.network import forward
from whytrain.measures.network import outputs as outputs_of
from whytrain.measures.pac_bayes import PacBayes, check_chance, pac_bayes
from whytrain.measures.pairs import Pair, read_pair
from whytrain.measures.sample import examples, margins
from whytrain.measures.spectrum import Eigenvalue, bottom_eigenvalue, top_eigenvalue
from whytrain.measures.trace import Trace, hessian_trace
from whytrain.portraits.sections import SAYS, reasons, sections

_BATCH = 1024
_NORMS = ("product_spectral", "sum_spectral", "product_frobenius", "sum_frobenius", "distance",
          "path_1", "path_2", "fisher_rao")  # fmt: skip
_SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, repr=False)
class Portrait(Documented):
    """One trained network, measured.

    An instrument that does not apply is there as the line that says why.

    Attributes:
        deep: Norms, margins and complexities.
        bound: The PAC-Bayes bound about the initial weights.
        top: The largest eigenvalue of the Hessian of the cross-entropy.
        bottom: The smallest one.
        trace: Its trace.
        density: The density of its eigenvalues.
        flatness: The noise that the weights bear.
        kernel: How far the network has left its tangent kernel.
        capacity: Of two layers with ReLU: units, and bounds with all constants.
        linearity: Of two layers and two classes: how linear the boundary is.
        margins: Of every training example.
        test_margins: Of every example of the test set; None without one.
        examples: On how many examples curvature, flatness and kernel were measured.
    """

    deep: DeepMeasures
    bound: PacBayes | str
    top: Eigenvalue
    bottom: Eigenvalue
    trace: Trace
    density: Density
    flatness: Flatness | str
    kernel: Regime | str
    capacity: Capacity | str
    linearity: Linearity | str
    margins: Float[np.ndarray, " example"]
    test_margins: Float[np.ndarray, " example"] | None
    examples: int

    @property
    def checked(self) -> bool:
        """Whether the network is known to be the user's model."""
        return self.deep.checked

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not to be trusted."""
        found = (self.deep, self.bound, self.top, self.flatness, self.kernel, self.capacity,
                 self.linearity)  # fmt: skip
        notes = [note for each in found if not isinstance(each, str) for note in each.notes]
        return tuple(dict.fromkeys(notes))

    def shown(self) -> Table:
        """The numbers that a page shows, under their headings."""
        told = self.document()
        rows = [
            row
            for section in sections([told])
            for row in [(section.title, ""), *((f"  {n}", v) for n, [v] in section.rows)]
        ]
        notes = [f"not measured: {line}" for line in reasons([told], [""])]
        return Table("Portrait", ("", ">value"), rows, (*notes, *self.notes))

    def __repr__(self) -> str:
        return str(self.shown())

    def document(self) -> dict[str, Any]:
        """All numbers as values that JSON can hold; None for what does not apply."""
        of = self.deep
        two: Any = {} if isinstance(self.capacity, str) else self.capacity.document()
        some = {name: getattr(self, name) for name in ("flatness", "kernel", "linearity")}
        more = {"capacity": self.capacity, "pac_bayes": self.bound}
        why = {n: found for n, found in (some | more).items() if isinstance(found, str)}
        bound = None if isinstance(self.bound, str) else self.bound.document()
        return {
            "network": two.get("network", {}) | {"parameters": of.parameters,
                        "layers": len(of.layers), "examples": len(self.margins)},
            "checked": self.checked,
            "compared": of.compared,
            "errors": self._errors(),
            "margin": {
                "quantile": of.quantile,
                "value": of.margin,
                "over_lipschitz": of.margin / of.product_spectral,
                "distribution": {f"{s:g}": float(np.quantile(self.margins, s)) for s in _SHARES},
            } | two.get("margin", {}),
            "norms": {name: getattr(of, name) for name in _NORMS} | two.get("norms", {})
            | {"layers": [vars(layer) for layer in of.layers]},
            "complexities": {
                name: {"value": value, "over_root": value and value / len(self.margins) ** 0.5}
                for name, value in (
                    ("bartlett2017", of.bartlett2017), ("neyshabur2018", of.neyshabur2018),
                )
            },
            "bounds": {"pac_bayes": bound} | two.get("bounds", {}),
            "curvature": {
                "loss": "mean cross-entropy",
                "examples": self.examples,
                **{name: getattr(self, name).document()
                   for name in ("top", "bottom", "trace", "density")},
            },
            **{name: None if name in why else found.document() for name, found in some.items()},
            **{name: two.get(name) for name in ("measures", "units", "delta", "complexity")},
            "not_measured": why,
            "says": SAYS,
            "notes": list(self.notes),
        }  # fmt: skip

    def _errors(self) -> dict[str, float]:
        train, test = self.deep.train_error, self.deep.test_error
        more = {} if test is None else {"test": test, "gap": test - train}
        return {"train": train} | more


def portrait(
    initial: Any,
    trained: Any,
    inputs: Any,
    labels: Any,
    *,
    test: Any = None,
    outputs: Any = None,
    quantile: float = 0.05,
    order: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    slope: float = 0.0,
    classes: Sequence[int] | None = None,
    sample: int = 1000,
    products: int = 60,
    draws: int = 2000,
    delta: float = 0.05,
    seed: int = 0,
) -> Portrait:
    """Measure a classifier with all instruments that apply to it.

    Norms and margins as `deep`; a PAC-Bayes bound in numbers with the initial weights as the
    prior's mean; eigenvalues, trace and density of the Hessian of the mean cross-entropy in all
    weights, batch normalization folded, and its flatness; the drift of the tangent kernel as
    `network_regime`; of two layers `capacity`, and between two classes `linearity`.

    Args:
        initial: The network before training: a model, which `network` reads, or what it has read;
            or as `deep` takes it.
        trained: The network after it.
        inputs: The training examples.
        labels: Their classes.
        test: Inputs and labels of a test set.
        outputs: As `deep` takes them.
        quantile: The share of training margins that may be smaller than the margin.
        order: As `deep` takes it.
        ignore: As there.
        slope: Below 0, of the rectifiers of a network that comes from state dicts or files.
        classes: Two, between which linearity is measured where there are more.
        sample: How many of the first examples curvature, flatness and kernel are measured on.
        products: With the Hessian, for the trace; as many at most for each eigenvalue, twice as
            many for the density.
        draws: Of the weights, for the PAC-Bayes bound.
        delta: With which probability the PAC-Bayes bound may fail.
        seed: Of all random numbers.

    Returns:
        The measures, with `document()`.

    Raises:
        UserError: As `deep`, `pac_bayes` and the instruments of curvature.

    Example:
        >>> import equinox as eqx
        >>> import jax
        >>> x = np.eye(7)
        >>> before, after = (
        ...     eqx.nn.MLP(7, 2, 4, 1, key=jax.random.key(seed)) for seed in range(2))
        >>> y = np.asarray(jax.vmap(after)(x)).argmax(axis=1)
        >>> found = portrait(before, after, x, y, draws=50)
        >>> found.checked, found.top.value >= found.bottom.value, found.kernel
        (True, True, '10 training examples or more are needed, got 7')
        >>> found.bound
        'there must be 8 examples or more, got 7'
    """
    check_whole("sample", sample, 1)
    check_chance(draws, delta)
    first = examples(inputs, labels).first
    initial, trained = (network(one, first) if is_model(one) else one for one in (initial, trained))
    with np.errstate(all="ignore"):  # what is not finite is refused
        pair = read_pair(initial, trained, first, outputs, Hints(order, slope=slope), ignore)
    networks = pair.initial, _known(pair)
    before, after = (list(one.layers) for one in networks)
    measured = deep(*networks, inputs, labels, quantile=quantile, test=test)
    x, y = as_float64(inputs, "the inputs"), as_float64(labels, "the labels").astype(np.int64)
    few = x[:sample], y[:sample]
    fresh = test and (
        as_float64(test[0], "the test inputs"), np.asarray(test[1]).astype(np.int64),
    )  # fmt: skip
    search: dict[str, int] = {"seed": seed, "most": products}
    return Portrait(
        deep=measured,
        bound=_tried(pac_bayes, forward, before, after, x, y, delta=delta, draws=draws, seed=seed),
        top=top_eigenvalue(cross_entropy, after, *few, **search),
        bottom=bottom_eigenvalue(cross_entropy, after, *few, **search),
        trace=hessian_trace(cross_entropy, after, *few, seed=seed, products=products),
        density=hessian_density(cross_entropy, after, *few, seed=seed, steps=products // 3),
        flatness=_tried(flatness, cross_entropy, before, after, *few, seed=seed, draws=4, groups=8),
        kernel=_tried(network_regime, *networks, x, y, test=fresh, points=sample),
        capacity=_tried(capacity, *networks, inputs, labels, quantile=quantile, test=test),
        linearity=_tried(linearity, networks[1], x, y, test=fresh, classes=classes, seed=seed),
        margins=_margins(after, x, y),
        test_margins=fresh and _margins(after, *fresh),
        examples=len(few[0]),
    )


def _known(pair: Pair) -> Model:
    """The trained network, with on how many examples it is the user's."""
    last = pair.trained
    return Model(last.layers, last.names, last.notes, pair.compared, pair.parameters)


def _tried(instrument: Callable, *given: Any, **more: Any) -> Any:
    """What an instrument finds, or the line that says why it does not apply."""
    try:
        return instrument(*given, **more)
    except UserError as refused:
        return str(refused)


def _margins(layers: list[Any], x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, " example"]:
    parts = [slice(i, i + _BATCH) for i in range(0, len(x), _BATCH)]
    return np.concatenate([margins(outputs_of(layers, x[at]), y[at]) for at in parts])
