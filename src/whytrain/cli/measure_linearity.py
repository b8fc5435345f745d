"""`whytrain measure linearity`: does the user's own network decide as a linear rule does?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from whytrain.cli.options import AsJson, Data, Ignore, Outputs, Trained, names, test_set


def linearity(
    trained: Trained,
    data: Data,
    slope: Annotated[
        float | None,
        typer.Option(help="Of the activation below 0; read off the outputs if there are some."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="The two labels, where there are more than two."),
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="A,B", help="Both layers in their order, if need be.")
    ] = None,
    ignore: Ignore = None,
    outputs: Outputs = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the probes.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the picture there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how linear a two-layer network decides: certified, and observed."""
    from whytrain import measures
    from whytrain.cli import measure_tables

    arrays = measures.read_data(data)
    found = measures.linearity(
        measures.read_checkpoint(trained),
        arrays["inputs"],
        arrays["labels"],
        test=test_set(arrays, data),
        slope=slope,
        classes=_labels(classes),
        outputs=arrays.get("outputs") if outputs is None else measures.read_outputs(outputs),
        order=names(order),
        ignore=ignore or [],
        seed=seed,
    )
    document = found.document()
    if out is not None:
        from whytrain.report import write_linearity_page

        document["picture"] = str(write_linearity_page(found, arrays["inputs"],
                                                       arrays["labels"], out))  # fmt: skip
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        measure_tables.show_linearity(document)


def _labels(text: str | None) -> list[int] | None:
    """Two labels that are given as A,B."""
    if text is None:
        return None
    try:
        low, high = (int(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--classes must be two labels A,B, got {text!r}") from None
    return [low, high]
