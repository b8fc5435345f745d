"""Options that several measurements of a user's network take."""

from pathlib import Path
from typing import Annotated, Any

import typer

from whytrain.errors import UserError

Data = Annotated[
    Path, typer.Option(metavar="FILE", help="Training set, .npz with inputs and labels.")
]
Order = Annotated[
    str | None, typer.Option(metavar="A,B", help="The layers in their order, if need be.")
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="An entry not to use, or a pattern; may be repeated."),
]
Outputs = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Logits of the first examples, .npy or .npz, to check."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def names(order: str | None) -> list[str] | None:
    """Layers that are given as A,B."""
    return [name.strip() for name in order.split(",")] if order else None


def test_set(arrays: dict[str, Any], data: Path) -> tuple[Any, Any] | None:
    """The test set of a data file, if it has one.

    Raises:
        UserError: It has inputs without labels, or labels without inputs.
    """
    there = [name for name in ("test_inputs", "test_labels") if name in arrays]
    if len(there) == 1:
        raise UserError(f"{data} has {there[0]!r} alone; a test set is test_inputs and test_labels")
    return (arrays["test_inputs"], arrays["test_labels"]) if there else None
