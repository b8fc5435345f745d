"""All that is measured of one network, with what each number is good for and what it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from whytrain.measures.arrays import as_float64
from whytrain.measures.building import Hints
from whytrain.measures.deep import DeepMeasures, deep
from whytrain.measures.network import forward
from whytrain.measures.network import outputs as outputs_of
from whytrain.measures.pac_bayes import PacBayes, pac_bayes
from whytrain.measures.pairs import read_pair
from whytrain.measures.sample import examples, margins
from whytrain.measures.spectrum import Eigenvalue, bottom_eigenvalue, top_eigenvalue
from whytrain.measures.trace import Trace, hessian_trace

_BATCH = 1024
SAYS = {
    "margin": "how far training examples are from being classified otherwise; comparable between "
    "networks only in units of what the layers can do, and nothing about fresh examples",
    "norms": "what the layers can do at most; a Lipschitz constant is far above what the network "
    "does on data, and rescaling layers against each other changes all but the product",
    "bartlett2017": "orders networks that are alike; without its constants and logarithms, so that "
    "it is no bound in numbers",
    "neyshabur2018": "the same, by PAC-Bayes: the leading term without its constant",
    "pac_bayes": "a bound in numbers that holds with all constants; of the network with noise on "
    "its weights, not of the one without",
    "curvature": "how sharp the loss is at these weights, on these examples; rescaling layers "
    "changes it though the network stays the same, so that flat is not yet good",
}


@dataclass(frozen=True, repr=False)
class Portrait:
    """One trained network, measured.

    Attributes:
        deep: Norms, margins and complexities.
        bound: The PAC-Bayes bound about the initial weights.
        top: The largest eigenvalue of the Hessian of the cross-entropy.
        bottom: The smallest one.
        trace: Its trace.
        margins: Of every training example.
        examples: On how many examples curvature was measured.
    """

    deep: DeepMeasures
    bound: PacBayes
    top: Eigenvalue
    bottom: Eigenvalue
    trace: Trace
    margins: Float[np.ndarray, " example"]
    examples: int

    def __repr__(self) -> str:
        return (
            f"Portrait({self.deep!r}, PAC-Bayes bound {self.bound.bound:.3g}, eigenvalues "
            f"{self.bottom.value:.3g} to {self.top.value:.3g}, trace {self.trace.value:.4g})"
        )

    @property
    def checked(self) -> bool:
        """Whether the network is known to be the user's model."""
        return self.deep.checked

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not to be trusted."""
        return tuple(dict.fromkeys((*self.deep.notes, *self.bound.notes, *self.top.notes)))

    def document(self) -> dict[str, Any]:
        """All numbers as values that JSON can hold, under the names of `measure capacity`."""
        of, m = self.deep, len(self.margins)
        norms = ("product_spectral", "sum_spectral", "product_frobenius", "sum_frobenius",
                 "distance", "path_1", "path_2", "fisher_rao")  # fmt: skip
        shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
        errors = {"train": of.train_error}
        if of.test_error is not None:
            errors |= {"test": of.test_error, "gap": of.test_error - of.train_error}
        return {
            "network": {"parameters": of.parameters, "layers": len(of.layers), "examples": m},
            "checked": self.checked,
            "compared": of.compared,
            "errors": errors,
            "margin": {
                "quantile": of.quantile,
                "value": of.margin,
                "distribution": {f"{s:g}": float(np.quantile(self.margins, s)) for s in shares},
                "normalized": of.margin / of.product_spectral,
            },
            "norms": {name: getattr(of, name) for name in norms}
            | {"layers": [vars(layer) for layer in of.layers]},
            "bounds": {
                name: {"complexity": value, "gap": value and value / m**0.5, "vacuous": None}
                for name, value in (
                    ("bartlett2017", of.bartlett2017), ("neyshabur2018", of.neyshabur2018),
                )
            }
            | {"pac_bayes": self.bound.document()},
            "curvature": {
                "loss": "mean cross-entropy",
                "examples": self.examples,
                "top": self.top.document(),
                "bottom": self.bottom.document(),
                "trace": self.trace.document(),
            },
            "says": SAYS,
            "notes": list(self.notes),
        }  # fmt: skip


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
    examples_of_curvature: int = 1000,
    products: int = 60,
    delta: float = 0.05,
    seed: int = 0,
) -> Portrait:
    """Measure a classifier with all instruments that apply to it.

    Norms and margins as `deep`; a PAC-Bayes bound in numbers with the initial weights as the
    prior's mean; top and bottom eigenvalue and trace of the Hessian of the mean cross-entropy in
    all weights, batch normalization folded, on the first examples.

    Args:
        initial: The network before training, as `deep` takes it; best what `network` has read.
        trained: The network after it.
        inputs: The training examples.
        labels: Their classes.
        test: Inputs and labels of a test set.
        outputs: As `deep` takes them.
        quantile: The share of training margins that may be smaller than the margin.
        order: As `deep` takes it.
        ignore: As there.
        examples_of_curvature: How many of the first examples curvature is measured on.
        products: With the Hessian, for the trace; as many at most for each eigenvalue.
        delta: With which probability the PAC-Bayes bound may fail.
        seed: Of all random numbers.

    Returns:
        The measures, with `document()`.

    Raises:
        UserError: As `deep`, `pac_bayes` and the instruments of curvature.

    Example:
        >>> import equinox as eqx
        >>> import jax
        >>> from whytrain.measures import network
        >>> x = np.eye(8)
        >>> before, after = (
        ...     eqx.nn.MLP(8, 2, 4, 1, key=jax.random.key(seed)) for seed in range(2))
        >>> y = np.asarray(jax.vmap(after)(x)).argmax(axis=1)
        >>> found = portrait(network(before, x), network(after, x), x, y)
        >>> found.checked, found.top.value >= found.bottom.value
        (True, True)
    """
    measured = deep(
        initial, trained, inputs, labels, quantile=quantile, test=test, outputs=outputs,
        order=order, ignore=ignore,
    )  # fmt: skip
    sample = examples(inputs, labels)
    pair = read_pair(initial, trained, sample.first, outputs, Hints(order), ignore)
    before, after = list(pair.initial.layers), list(pair.trained.layers)
    y = as_float64(labels, "the labels").astype(np.int64)
    x = as_float64(inputs, "the inputs")
    parts = [slice(i, i + _BATCH) for i in range(0, len(x), _BATCH)]
    found = np.concatenate([margins(outputs_of(after, x[at]), y[at]) for at in parts])
    some = x[:examples_of_curvature], y[:examples_of_curvature]
    return Portrait(
        deep=measured,
        bound=pac_bayes(forward, before, after, x, y, delta=delta, seed=seed),
        top=top_eigenvalue(cross_entropy, after, *some, seed=seed, most=products),
        bottom=bottom_eigenvalue(cross_entropy, after, *some, seed=seed, most=products),
        trace=hessian_trace(cross_entropy, after, *some, seed=seed, products=products),
        margins=found,
        examples=len(some[0]),
    )


def cross_entropy(layers: Sequence[Any], x: Any, y: Any) -> Any:
    """The mean cross-entropy of a network's logits, a loss as the instruments of curvature take it.

    Args:
        layers: The network, layers or what `network` has read.
        x: Inputs.
        y: Labels.
    """
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(forward(layers, x), y)
    return jnp.mean(losses)
