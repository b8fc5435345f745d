"""`whytrain measure capacity`: the capacity of the user's own network."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from whytrain.errors import UserError


def _share(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"it must be a number from 0 to 1, got {text!r}") from None


def capacity(
    initial: Annotated[
        Path, typer.Option(metavar="FILE", help="Weights before training, .safetensors.")
    ],
    trained: Annotated[Path, typer.Option(metavar="FILE", help="Weights after it, .safetensors.")],
    data: Annotated[
        Path, typer.Option(metavar="FILE", help="Training set, .npz with inputs and labels.")
    ],
    hidden: Annotated[
        str | None, typer.Option(metavar="NAME", help="The hidden layer, if shapes do not tell.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="The output layer, likewise.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="A,B", help="Both layers in their order, likewise.")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An entry not to use, or a pattern; may be repeated."),
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Logits of the first examples, .npy or .npz, to check the network."
        ),
    ] = None,
    margin_quantile: Annotated[
        float,
        typer.Option(parser=_share, metavar="Q", help="Share of margins that may be smaller."),
    ] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure unit capacities, norms, margins and bounds of a trained two-layer network."""
    from whytrain import measures
    from whytrain.cli import measure_tables

    arrays = measures.read_data(data)
    found = measures.capacity(
        measures.read_checkpoint(initial),
        measures.read_checkpoint(trained),
        arrays["inputs"],
        arrays["labels"],
        quantile=margin_quantile,
        test=_test(arrays, data),
        outputs=arrays.get("outputs") if outputs is None else measures.read_outputs(outputs),
        hidden=hidden,
        output=output,
        order=order and [name.strip() for name in order.split(",")],
        ignore=ignore or [],
    )
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))
    else:
        measure_tables.show_capacity(found.document())


def _test(arrays: dict[str, Any], data: Path) -> tuple[Any, Any] | None:
    there = [name for name in ("test_inputs", "test_labels") if name in arrays]
    if len(there) == 1:
        raise UserError(f"{data} has {there[0]!r} alone; a test set is test_inputs and test_labels")
    return (arrays["test_inputs"], arrays["test_labels"]) if there else None
