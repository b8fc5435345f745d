"""`whytrain measure network`: all that is measured of the user's own network, on one page."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from whytrain.cli.options import AsJson, Data, Ignore, Order, Outputs, names, test_set
from whytrain.errors import UserError


def network(
    data: Data,
    initial: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights before training: .safetensors, .npz."),
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
    order: Order = None,
    ignore: Ignore = None,
    outputs: Outputs = None,
    slope: Annotated[
        float, typer.Option(help="Of the rectifiers below 0, where files hold a leaky network.")
    ] = 0.0,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Two labels, to measure how linear their boundary is."),
    ] = None,
    margin_quantile: Annotated[
        float, typer.Option(metavar="Q", help="Share of margins that may be smaller.")
    ] = 0.05,
    examples: Annotated[
        int,
        typer.Option(metavar="N", min=10, help="Examples for curvature, flatness and kernel."),
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of every random number.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the page there.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a trained network: all that applies, on one page."""
    from whytrain import measures, portraits
    from whytrain.cli import measure_tables

    arrays = measures.read_data(data)
    x, y = arrays["inputs"], arrays["labels"]
    before, after, words = _networks(initial, trained, python, x)
    said = None
    if python is None:
        said = arrays.get("outputs") if outputs is None else measures.read_outputs(outputs)
        if said is not None and len(after) > 1:
            raise UserError(
                f"outputs are of one model, got {len(after)} checkpoints: leave out "
                "--outputs, or the array outputs in the npz, or measure one --trained at a time"
            )
    elif order or ignore or outputs or slope:
        raise UserError(
            "--python gives the models; leave out --order, --ignore, --outputs, --slope"
        )
    found = [
        portraits.portrait(
            before, one, x, y,
            test=test_set(arrays, data), outputs=said, quantile=margin_quantile,
            order=names(order), ignore=ignore or [],
            slope=slope, classes=_labels(classes), sample=examples, seed=seed + i,
        )
        for i, one in enumerate(after)
    ]  # fmt: skip
    documents = portraits.documents(found)
    page = None
    if out is not None:
        from whytrain.report import write_network_page

        page = str(write_network_page(dict(zip(words, found, strict=True)), out, (x, y)))
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
    if python is not None:
        if initial or trained:
            raise UserError("--python gives the models itself; leave out --initial and --trained")
        read = _models(python, inputs[:1024])
        return read[0], read[1:], [f"model {i}" for i in range(1, len(read))]
    if initial is None or not trained:
        raise UserError("give --initial FILE and --trained FILE, or --python FILE:FUNCTION")
    from whytrain.measures import read_checkpoint

    words = [path.stem for path in trained]
    if len(set(words)) < len(words):
        words = [str(path) for path in trained]
    if twice := [word for i, word in enumerate(words) if word in words[:i]]:
        raise UserError(f"--trained has {twice[0]} twice; compare different checkpoints")
    return read_checkpoint(initial), [read_checkpoint(path) for path in trained], words


def _models(python: str, example: Any) -> list[Any]:
    """The models that the user's function gives."""
    from whytrain import measures
    from whytrain._user_code import calling, find_callable

    function, name, path = find_callable(python)
    models = calling(function, path)()
    if not isinstance(models, list | tuple) or len(models) < 2:
        raise UserError(f"{name} must give a list of models, [initial, trained, ...]")
    return [measures.network(model, example) for model in models]


def _labels(text: str | None) -> list[int] | None:
    """Two labels that are given as A,B."""
    if text is None:
        return None
    try:
        low, high = (int(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--classes must be two labels A,B, got {text!r}") from None
    return [low, high]
