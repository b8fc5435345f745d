"""`whytrain measure network`: all that is measured of the user's own network, on one page."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from whytrain.cli.options import AsJson, Data, Ignore, Outputs, names, test_set


def network(
    data: Data,
    initial: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights before training, .safetensors.")
    ] = None,
    trained: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Weights after it; may be repeated, to compare."),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:FUNCTION",
            help="In place of files: function() gives your models, [initial, trained, ...].",
        ),
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="A,B", help="The layers in their order, if need be.")
    ] = None,
    ignore: Ignore = None,
    outputs: Outputs = None,
    margin_quantile: Annotated[
        float, typer.Option(metavar="Q", help="Share of margins that may be smaller.")
    ] = 0.05,
    examples: Annotated[
        int, typer.Option(metavar="N", min=8, help="Examples that curvature is measured on.")
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of every random number.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the page there.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a trained network: margins, norms, bounds and curvature, on one page."""
    from whytrain import measures
    from whytrain.cli import measure_tables

    arrays = measures.read_data(data)
    before, after, words = _networks(initial, trained, python, arrays["inputs"])
    said = None
    if python is None:
        said = arrays.get("outputs") if outputs is None else measures.read_outputs(outputs)
    found = [
        measures.portrait(
            before, one, arrays["inputs"], arrays["labels"],
            test=test_set(arrays, data), outputs=said, quantile=margin_quantile,
            order=names(order), ignore=ignore or [], examples_of_curvature=examples, seed=seed,
        )
        for one in after
    ]  # fmt: skip
    documents = [one.document() for one in found]
    page = None
    if out is not None:
        from whytrain.report import write_network_page

        page = str(write_network_page(found, words, out))
    if as_json:
        several = dict(zip(words, documents, strict=True))
        whole: Any = documents[0] if len(documents) == 1 else several
        print(json.dumps(whole, indent=2, allow_nan=False))
    else:
        measure_tables.show_network(documents, words, page)


def _networks(
    initial: Path | None, trained: list[Path] | None, python: str | None, inputs: Any
) -> tuple[Any, list[Any], list[str]]:
    """The network before training, those after it, and what they are called."""
    from whytrain import measures
    from whytrain._user_code import calling, find_callable
    from whytrain.errors import UserError

    if python is not None:
        if initial or trained:
            raise UserError("--python gives the models itself; leave out --initial and --trained")
        function, name, path = find_callable(python)
        models = calling(function, path)()
        if not isinstance(models, list | tuple) or len(models) < 2:
            raise UserError(f"{name} must give a list of models, [initial, trained, ...]")
        read = [measures.network(model, inputs[:1024]) for model in models]
        return read[0], read[1:], [f"model {i}" for i in range(1, len(read))]
    if initial is None or not trained:
        raise UserError("give --initial FILE and --trained FILE, or --python FILE:FUNCTION")
    words = [path.stem for path in trained]
    if len(set(words)) < len(words):
        words = [str(path) for path in trained]
    after = [measures.read_checkpoint(path) for path in trained]
    return measures.read_checkpoint(initial), after, words
