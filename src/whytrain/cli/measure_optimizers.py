"""`whytrain measure optimizers`: is one better here, or is it the step size, or the seed?"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def optimizers(
    python: Annotated[
        str,
        typer.Option(
            metavar="FILE:FUNCTION",
            help="Your training, function(optimizer, learning_rate, weight_decay, seed): its "
            "score, the lower the better, or {'loss': [...], 'score': [...]}.",
        ),
    ],
    optimizer: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="A name to call it with; give two or more."),
    ],
    learning_rates: Annotated[
        str, typer.Option(metavar="LOW,HIGH", help="The range that every search covers.")
    ] = "1e-4,1",
    weight_decays: Annotated[str, typer.Option(metavar="LOW,HIGH", help="The same.")] = "0,0",
    budget: Annotated[int, typer.Option(metavar="N", help="Runs of a search, for each alike.")] = 8,
    trials: Annotated[int, typer.Option(metavar="N", help="Searches for each.")] = 10,
    level: Annotated[float, typer.Option(help="With which all intervals cover.")] = 0.95,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of every random number.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the picture there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare optimizers on your own training, equally well tuned."""
    from whytrain import lab
    from whytrain._files import check_place
    from whytrain._user_code import calling, find_callable
    from whytrain.cli import measure_tables

    train, _, path = find_callable(python)
    if out is not None:
        check_place(out)
    found = lab.compare_optimizers(
        calling(train, path),
        optimizer,
        learning_rates=_range("learning-rates", learning_rates),
        weight_decays=_range("weight-decays", weight_decays),
        budget=budget,
        trials=trials,
        level=level,
        seed=seed,
        progress=lambda line: print(f"whytrain: {line}", file=sys.stderr, flush=True),
    )
    document = found.document()
    if out is not None:
        from whytrain.report import write_optimizers_page

        document["picture"] = str(write_optimizers_page(found, out))
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        measure_tables.show_optimizers(document)


def _range(name: str, text: str) -> tuple[float, float]:
    try:
        low, *rest = (float(word) for word in text.split(","))
        [high] = rest or [low]
    except ValueError:
        raise typer.BadParameter(
            f"--{name} must be LOW,HIGH, such as 1e-4,1; got {text!r}"
        ) from None
    return low, high
