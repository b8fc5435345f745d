"""What is shown of measured networks, on a page and on a terminal: numbers under headings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAYS = {
    "errors": "which share is classified wrong; only the test error speaks of fresh examples",
    "margin": "how far training examples are from being classified otherwise; comparable between "
    "networks only in units of what the layers can do, and nothing about fresh examples",
    "norms": "what the layers can do at most; a Lipschitz constant is far above what the network "
    "does on data, and rescaling layers against each other changes all but the product",
    "pac_bayes": "a bound in numbers that holds with all constants (Langford and Seeger 2001, "
    "Maurer 2004); of the network with noise on its weights, not of the one without; vacuous where "
    "it is no smaller than the error of guessing among the classes, 1 − 1/classes",
    "bounds": "by how much the error exceeds the share of small training margins at most; a bound "
    "is vacuous, and says nothing, where it is no smaller than the error of guessing among the "
    "classes, 1 − 1/classes, as these nearly always are",
    "complexities": "orders networks that are alike; without constants and logarithms, so that it "
    "is no bound in numbers",
    "curvature": "how sharp the loss is at these weights, on these examples; rescaling layers "
    "changes it though the network stays the same, so that flat is not yet good",
    "flatness": "how much noise on all weights at once the loss bears; as with curvature, rescaled "
    "layers are another number and the same network",
    "kernel": "whether training was that of a linear model in fixed features, which the theory of "
    "wide networks supposes; nothing about which of both is better",
    "linearity": "whether one hyperplane would decide as the network does: certified where the "
    "weights prove it, observed on probes that are normal and no data",
    "units": "how far each hidden unit moved, and how much it counts; few units that moved are "
    "what the bounds of 2019 make use of",
    "differences": "what one checkpoint has more than the first; an interval that holds 0 leaves "
    "open which has more, and training again with another seed may differ by more",
}
"""What each group of numbers is good for, and what not."""

Document = Mapping[str, Any]
Row = tuple[str, Callable[[Any], str]]


@dataclass(frozen=True)
class Section:
    """Numbers of one kind.

    Attributes:
        title: The heading.
        says: What they are good for, and what not.
        rows: The name of each number, and it for every network.
    """

    title: str
    says: str
    rows: list[tuple[str, list[str]]]


def sections(documents: Sequence[Document]) -> list[Section]:
    """All numbers that there are.

    Args:
        documents: What `Portrait.document` gave for each network.
    """
    found = [_section(*each, documents) for each in _SECTIONS]
    return [section for section in found if section.rows]


def reasons(documents: Sequence[Document], words: Sequence[str]) -> list[str]:
    """What was not measured, and why, a line each.

    Args:
        documents: What `Portrait.document` gave for each network.
        words: What they are called.
    """
    told: dict[str, list[str]] = {}
    for document, word in zip(documents, words, strict=True):
        for name, why in document["not_measured"].items():
            told.setdefault(f"{name}: {why}", []).append(word)
    every = len(words)
    return [line if len(of) == every else f"{', '.join(of)}: {line}" for line, of in told.items()]


def _section(
    title: str, part: str, says: str, rows: Sequence[Row], documents: Sequence[Document]
) -> Section:
    parts = [document.get(part) for document in documents]
    shown = [(name, ["–" if one is None else show(one) for one in parts]) for name, show in rows]
    kept = [row for row in shown if set(row[1]) != {"–"}]
    return Section(title, SAYS[says], kept)


def number(value: float | None) -> str:
    """Four digits; a dash for none."""
    return "–" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _interval(found: Document, name: str = "value") -> str:
    return f"{number(found[name])} [{number(found['low'])}, {number(found['high'])}]"


def _eigenvalue(end: Document) -> str:
    late = "" if end["converged"] else " (not converged)"
    return f"{end['value']:.4g} ± {end['residual']:.1g}{late}"


def _at(*path: str, show: Callable = number) -> Callable[[Any], str]:
    """What shows one number of a document; a dash where it is not there."""

    def found(document: Any) -> str:
        for name in path:
            if document is None or name not in document:
                return "–"
            document = document[name]
        return "–" if document is None else show(document)

    return found


def _gap(bound: Document) -> str:
    if bound["gap"] is None:
        return "none"
    return number(bound["gap"]) + (", vacuous" if bound["vacuous"] else "")


def _bound(said: Document) -> str:
    return f"{said['bound']:.3f}" + (", vacuous" if said["vacuous"] else "")


def _regime(kernel: Document) -> str:
    return f"{kernel['regime']} the kernel regime" if kernel["moved"] != 0 else "where it started"


def _spread(values: Document) -> str:
    return f"{number(values['median'])} [{number(values['q05'])}, {number(values['q95'])}]"


def _agreement(found: Document) -> str:
    return f"{found['share']:.2%} [{found['low']:.2%}, {found['high']:.2%}]"


_SECTIONS: tuple[tuple[str, str, str, Sequence[Row]], ...] = (
    ("Errors", "errors", "errors", (
        ("error on the training examples", _at("train", show=_percent)),
        ("error on the test examples", _at("test", show=_percent)),
    )),
    ("Margins", "margin", "margin", (
        ("margin at its quantile", _at("value")),
        ("the same over the Lipschitz constant", _at("over_lipschitz")),
        ("median margin", _at("distribution", "0.5")),
        ("share of margins below, as a ramp", _at("ramp_loss", show=_percent)),
    )),
    ("Norms, and what moved", "norms", "norms", (
        ("distance of all weights from the start", _at("distance")),
        ("Lipschitz constant, of spectral norms", _at("product_spectral")),
        ("product of Frobenius norms", _at("product_frobenius")),
        ("path norm, of absolute values", _at("path_1")),
        ("path norm, of squares", _at("path_2")),
        ("Fisher-Rao norm", _at("fisher_rao")),
    )),
    ("Hidden units: median, 5 % to 95 %", "units", "units", (
        ("capacity ‖u − u⁰‖", _at("capacity", show=_spread)),
        ("impact ‖v‖", _at("impact", show=_spread)),
        ("angle of u to u⁰, in degrees", _at("angle_degrees", show=_spread)),
    )),
    ("A bound in numbers", "bounds", "pac_bayes", (
        ("bound on the noisy network's error", _at("pac_bayes", show=_bound)),
        ("its training error, no more than", _at("pac_bayes", "error_bound", show=_percent)),
        ("width of the noise", _at("pac_bayes", "sigma")),
        ("divergence from the prior", _at("pac_bayes", "divergence")),
        ("fails with probability", _at("pac_bayes", "delta")),
    )),
    ("Bounds beyond the share of small margins", "bounds", "bounds", (
        ("by the VC dimension", _at("vc", show=_gap)),
        ("by l1 norms (2002)", _at("bartlett_mendelson2002", show=_gap)),
        ("by Frobenius norms (2015)", _at("neyshabur2015", show=_gap)),
        ("by spectral norms and rows (2017)", _at("bartlett2017", show=_gap)),
        ("by spectral and Frobenius norms (2018)", _at("neyshabur2018", show=_gap)),
        ("by unit capacities (2019)", _at("neyshabur2019", show=_gap)),
    )),
    ("Complexities over √m", "complexities", "complexities", (
        ("spectral, by rows (2017)", _at("bartlett2017", "over_root")),
        ("spectral, PAC-Bayes (2018)", _at("neyshabur2018", "over_root")),
    )),
    ("Curvature of the mean cross-entropy", "curvature", "curvature", (
        ("largest eigenvalue ± residual", _at("top", show=_eigenvalue)),
        ("smallest eigenvalue ± residual", _at("bottom", show=_eigenvalue)),
        ("trace, with its 95 % interval", _at("trace", show=_interval)),
        ("on so many examples", _at("examples", show=str)),
    )),
    ("Flatness", "flatness", "flatness", (
        ("noise that raises the loss by 0.1", lambda f: _interval(f, "sigma")),
        ("‖w − w⁰‖² / 2σ²", _at("divergence")),
    )),
    ("The tangent kernel", "kernel", "kernel", (
        ("the network is", _regime),
        ("drift of the kernel", _at("drift", "frobenius")),
        ("outputs from the linearized ones", _at("linearization_gap")),
        ("weights moved, of their norm", _at("moved")),
        ("alignment with the classes at the start", _at("initial", "alignment")),
        ("alignment with the classes at the end", _at("trained", "alignment")),
        ("error of kernel regression", _at("predictions", "kernel_error")),
        ("error of the network there", _at("predictions", "network_error")),
    )),
    ("How linear the boundary is", "linearity", "linearity", (
        ("observed: the boundary is", _at("word", show=str)),
        ("as the best linear rule decides", _at("agreement", show=_agreement)),
        ("as a linear SVM decides", _at("svm_agreement", show=_percent)),
        ("certified to be linear, of training", _at("certified", "training", show=_percent)),
        ("certified beyond this angle, in degrees", _at("cone_degrees")),
        ("clusters of hidden units", _at("clusters", "number", show=str)),
        ("slope of the rectifier below 0", _at("slope")),
    )),
    ("What it has more than the first", "differences", "differences", (
        ("error on the test examples", _at("test_error", show=_interval)),
        ("trace", _at("trace", show=_interval)),
        ("largest eigenvalue", _at("top", show=_interval)),
        ("smallest eigenvalue", _at("bottom", show=_interval)),
        ("ratio of the noise that is borne", _at("sigma_ratio", show=_interval)),
    )),
)  # fmt: skip
