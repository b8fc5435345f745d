"""`whytrain measure capacity`: the capacity of the user's own network."""

import json
from typing import Annotated

import typer

from whytrain.cli.options import AsJson, Data, Ignore, Initial, Outputs, Trained, names, test_set


def _share(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"it must be a number from 0 to 1, got {text!r}") from None


def capacity(
    initial: Initial,
    trained: Trained,
    data: Data,
    hidden: Annotated[
        str | None, typer.Option(metavar="NAME", help="The hidden layer, if shapes do not tell.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="The output layer, likewise.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="A,B", help="Both layers in their order, likewise.")
    ] = None,
    ignore: Ignore = None,
    outputs: Outputs = None,
    margin_quantile: Annotated[
        float,
        typer.Option(parser=_share, metavar="Q", help="Share of margins that may be smaller."),
    ] = 0.05,
    as_json: AsJson = False,
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
        test=test_set(arrays, data),
        outputs=arrays.get("outputs") if outputs is None else measures.read_outputs(outputs),
        hidden=hidden,
        output=output,
        order=names(order),
        ignore=ignore or [],
    )
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))
    else:
        measure_tables.show_capacity(found.document())
