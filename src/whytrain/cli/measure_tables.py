"""What people see of a measured network, at most 80 columns wide."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from whytrain.cli.tables import _console, _table

_BOUNDS = {
    "vc": "VC dimension",
    "bartlett_mendelson2002": "l1 norms",
    "neyshabur2015": "Frobenius norms",
    "bartlett2017": "spectral, rows",
    "neyshabur2018": "spectral, Frobenius",
    "neyshabur2019": "unit capacities",
}
_NUMBERS = ("capacity", "gap")


def show_capacity(document: Mapping[str, Any]) -> None:
    """Print the bounds, the units and the norms of a two-layer network.

    Args:
        document: What `Capacity.document` returned.
    """
    console, sizes, margin = _console(), document["network"], document["margin"]
    console.print(
        f"[bold]{sizes['inputs']}-{sizes['hidden']}-{sizes['classes']}[/]: {sizes['parameters']} "
        f"parameters, {sizes['examples']} examples, margin {margin['value']:.4g} at quantile "
        f"{margin['quantile']:g}"
    )
    console.print(
        f"outputs agree with the model's on {document['compared']} examples"
        if document["checked"]
        else "[bold]not checked against the model[/]: give its outputs to know that it is yours"
    )
    table = _table("bound", "made of", ">capacity C", ">√(C/m)", "says")
    for name, bound in document["bounds"].items():
        says = "nothing" if bound["vacuous"] else f"gap < {bound['gap']:.2g}"
        numbers = (f"{bound[key]:.3g}" if bound[key] is not None else "none" for key in _NUMBERS)
        table.add_row(name, _BOUNDS[name], *numbers, says)
    console.print(table)
    units = _table("of the hidden units", ">mean", ">5 %", ">median", ">95 %", ">max")
    for name, title in (
        ("capacity", "capacity ‖u − u⁰‖"),
        ("impact", "impact ‖v‖"),
        ("angle_degrees", "angle of u to u⁰ (degrees)"),
    ):
        values = document["units"][name]
        shown = (f"{values[key]:.4g}" for key in ("mean", "q05", "median", "q95", "max"))
        units.add_row(title, *shown)
    console.print(units)
    pairs = list((document["norms"] | _errors(document)).items())
    norms = _table("norm", ">value", "norm", ">value")
    half = (len(pairs) + 1) // 2
    for i in range(half):
        cells = [cell for pair in pairs[i::half] for cell in (pair[0], f"{pair[1]:.5g}")]
        norms.add_row(*cells)
    console.print(norms)
    for note in document["notes"]:
        console.print(f"note: {escape(note)}")


def network_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is shown of a network, each number with its error where it has one.

    Args:
        document: What `Portrait.document` returned.
    """
    curvature, bound = document["curvature"], document["bounds"]["pac_bayes"]
    trace = curvature["trace"]
    rows = [
        ("training error", f"{document['errors']['train']:.3%}"),
        ("margin at its quantile", _number(document["margin"]["value"])),
        ("the same over the Lipschitz constant", _number(document["margin"]["normalized"])),
        ("distance from the start", _number(document["norms"]["distance"])),
        ("Lipschitz constant, from spectral norms", _number(document["norms"]["product_spectral"])),
        ("path norm (squares)", _number(document["norms"]["path_2"])),
        ("Fisher-Rao norm", _number(document["norms"]["fisher_rao"])),
        ("PAC-Bayes bound of the noisy network", f"{bound['bound']:.3f}"
         + (", vacuous" if bound["vacuous"] else "")),
        ("its training error, at noise sigma", f"{bound['error']:.3f} at {bound['sigma']:.2g}"),
        ("spectral complexity (2017) / sqrt(m)",
         _number(document["bounds"]["bartlett2017"]["gap"])),
        ("PAC-Bayes spectral (2018) / sqrt(m)",
         _number(document["bounds"]["neyshabur2018"]["gap"])),
        *((f"{end} eigenvalue, residual",
           f"{curvature[end]['value']:.4g} ± {curvature[end]['residual']:.1g}"
           + ("" if curvature[end]["converged"] else ", not converged"))
          for end in ("top", "bottom")),
        ("trace, 95 %", f"{trace['value']:.4g} [{trace['low']:.4g}, {trace['high']:.4g}]"),
    ]  # fmt: skip
    if "test" in document["errors"]:
        rows.insert(1, ("test error", f"{document['errors']['test']:.3%}"))
    return rows


def show_network(
    documents: Sequence[Mapping[str, Any]], words: Sequence[str], page: str | None
) -> None:
    """Print what was measured of one network, or of several side by side.

    Args:
        documents: What `Portrait.document` returned for each.
        words: What they are called.
        page: Where the page is, if one was written.
    """
    console, sizes = _console(), documents[0]["network"]
    console.print(
        f"[bold]{sizes['layers']} layers[/]: {sizes['parameters']} parameters, {sizes['examples']} "
        "examples"
    )
    if not all(document["checked"] for document in documents):
        console.print("[bold]not checked against the model[/]: give its outputs")
    table = _table("", *(f">{escape(word)}" for word in words))
    columns = [network_rows(document) for document in documents]
    for cells in zip(*columns, strict=True):
        table.add_row(cells[0][0], *(escape(value) for _, value in cells))
    console.print(table)
    for note in dict.fromkeys(note for document in documents for note in document["notes"]):
        console.print(f"note: {escape(note)}")
    if page is not None:
        console.print(f"page: {escape(page)}", soft_wrap=True)


def show_kernel(document: Mapping[str, Any]) -> None:
    """Print how far a network has left its tangent kernel.

    Args:
        document: What `Regime.document` returned.
    """
    console = _console()
    console.print(f"[bold]{escape(document['sentence'])}[/]")
    console.print(f"rule: {document['rule']}")
    console.print(
        f"measured on {document['examples']} training examples; kernels are summed over outputs "
        f"({document['outputs']})"
    )
    if not document["checked"]:
        console.print("[bold]not checked against the model[/]: give its outputs")
    states = _table("tangent kernel", ">at the start", ">at the end")
    for key, title in (
        ("largest", "largest eigenvalue"),
        ("smallest", "smallest eigenvalue"),
        ("condition", "condition number"),
        ("rank", "rank"),
        ("effective_dimension", "effective dimension (ridge: largest / 1000)"),
        ("alignment", "alignment with the targets"),
    ):
        states.add_row(title, *(_number(document[at][key]) for at in ("initial", "trained")))
    console.print(states)
    moved = _table("what moved", ">by", "times")
    moved.add_row("parameters", _number(document["moved"]), "their norm at the start")
    drift = document["drift"]
    for key, title, of in (
        ("frobenius", "kernel, in the Frobenius norm", "its norm at the start"),
        ("operator", "kernel, in the spectral norm", "its norm at the start"),
        ("largest", "kernel, entry that changed most", "its largest entry at the start"),
    ):
        moved.add_row(title, _number(drift[key]), of)
    gap = _number(document["linearization_gap"])
    moved.add_row("outputs from the linearized ones", gap, "their change in training")
    console.print(moved)
    console.print(_predictions(document["predictions"]))
    for note in document["notes"]:
        console.print(f"note: {escape(note)}")


def show_linearity(document: Mapping[str, Any]) -> None:
    """Print how linear a network decides.

    Args:
        document: What `Linearity.document` returned, with `picture` where one was drawn.
    """
    console = _console()
    console.print(f"[bold]{escape(document['sentence'])}[/]")
    console.print(f"rule: {document['rule']}")
    console.print(
        f"outputs agree with the model's on {document['compared']} examples"
        if document["checked"]
        else "[bold]not checked against the model[/]: give its outputs to know that it is yours"
    )
    low, high = document["classes"]
    units, clusters, cone = document["units"], document["clusters"], document["cone_degrees"]
    table = _table("of the network", ">value")
    for title, value in (
        (f"units for {escape(str(high))}", units["plus"]),
        (f"units for {escape(str(low))}", units["minus"]),
        (f"slope below 0 ({document['slope_from']})", _number(document["slope"])),
        ("clusters of directions", clusters["number"]),
        ("radius over length of the center", _number(clusters["ratio"])),
        ("effective rank of the units", _number(clusters["effective_rank"])),
        ("certified beyond this angle (degrees)", _number(cone)),
    ):
        table.add_row(title, str(value))
    console.print(table)
    shares = _table("share of", ">training", ">test", ">probes")
    held, agreement = document["certified"], document["agreement"]
    rows = (
        ("decisions certified to be linear", *map(held.get, ("training", "test", "probes"))),
        ("decisions as the best linear rule", None, None, agreement["share"]),
        ("decisions as a linear SVM", None, None, document["svm_agreement"]),
        ("errors", document["train_error"], document["test_error"], None),
        ("all units of a sign agree", document["regimes"]["neural"], None, None),
        ("all units agree with the label", document["regimes"]["perfect"], None, None),
    )
    for title, *each in rows:
        shares.add_row(title, *("" if value is None else f"{value:.2%}" for value in each))
    console.print(shares)
    console.print(
        f"[dim]{document['probes']} probes, normal with the mean and the covariance of the "
        "training inputs; test: where a test set was given[/]"
    )
    for note in document["notes"]:
        console.print(f"note: {escape(note)}")
    if "picture" in document:
        console.print(f"picture: {escape(document['picture'])}", soft_wrap=True)


def show_optimizers(document: Mapping[str, Any]) -> None:
    """Print a comparison of optimizers.

    Args:
        document: What `Comparison.document` returned, with `picture` where one was drawn.
    """
    console = _console()
    console.print(f"[bold]{escape(document['sentence'])}[/]")
    console.print(
        f"scores at {document['compared_at']}; {document['trials']} trials, each a search of "
        f"{document['budget']} runs and {document['fresh_runs']} on fresh seeds"
    )
    pairs = _table("first", "second", "first is", ">difference", f">{document['level']:.0%} of all")
    for pair in document["pairs"]:
        difference = pair["difference"]
        low, high = (_number(difference[key]) for key in ("low", "high"))
        pairs.add_row(
            escape(pair["first"]), escape(pair["second"]), pair["first_is"],
            _number(difference["estimate"]), f"[{low}, {high}]".replace("[", "\\["),
        )  # fmt: skip
    console.print(pairs)
    table = _table(
        "optimizer", ">score", ">sd of seeds", ">sd of searches", ">learning rates", ">broke"
    )
    for name, each in document["optimizers"].items():
        rates = each["learning_rates"]
        table.add_row(
            escape(name), _number(each["score"]), _number(each["deviation_seed"]),
            _number(each["deviation_search"]),
            f"{min(rates):.1g} to {max(rates):.1g}" if rates else "none",
            f"{each['broke_down']} of {document['trials']}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "[dim]score: last one, mean over trials; searches: what is left of the spread when that of "
        "seeds is taken out[/]"
    )
    if "picture" in document:
        console.print(f"picture: {escape(document['picture'])}", soft_wrap=True)


def _predictions(says: Mapping[str, Any]) -> str:
    kind = "training examples that only the network saw" if says["held_out"] else "test examples"
    error, alike = "mean squared error", "correlation of the two"
    if says["classes"]:
        error, alike = "share of wrong classes", "share of equal ones"
    return (
        f"{error} on {says['examples']} {kind}: kernel regression {says['kernel_error']:.3g} "
        f"(fitted to {says['fitted']}), network {says['network_error']:.3g}; {alike} "
        f"{_number(says['agreement'])}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _errors(document: Mapping[str, Any]) -> dict[str, float]:
    return {f"error_{name}": value for name, value in document["errors"].items()}
