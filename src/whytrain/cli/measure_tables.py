"""What people see of a measured network, and of compared optimizers, at most 80 columns wide."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from whytrain.cli.tables import _console, _table
from whytrain.portraits import reasons, sections
from whytrain.portraits.sections import number as _number


def show_network(
    documents: Sequence[Mapping[str, Any]], words: Sequence[str], page: str | None
) -> None:
    """Print what was measured of one network, or of several side by side.

    Args:
        documents: What `portraits.documents` returned.
        words: What they are called.
        page: Where the page is, if one was written.
    """
    console, sizes = _console(), documents[0]["network"]
    console.print(
        f"[bold]{sizes['layers']} layer{'s' * (sizes['layers'] != 1)}[/]: {sizes['parameters']} "
        f"parameters, {sizes['examples']} examples"
    )
    compared = min(document["compared"] for document in documents)
    console.print(
        f"outputs agree with the model's on {compared} examples"
        if compared
        else "[bold]not checked against the model[/]: give its outputs to know that it is yours"
    )
    for section in sections(documents):
        table = _table(section.title, *(f">{escape(word)}" for word in words))
        for name, values in section.rows:
            table.add_row(escape(name), *map(escape, values))
        console.print(table)
    for line in reasons(documents, words):
        console.print(f"not measured: {escape(line)}")
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
