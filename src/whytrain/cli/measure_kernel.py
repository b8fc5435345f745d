"""`whytrain measure kernel`: is the user's own network near its tangent kernel?

`measure network` says so too, of classifiers whose layers it can read. Here any function of JAX is
measured, with targets of any kind, and nothing else is computed.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from whytrain.cli.options import AsJson, Data, Ignore, Order, Outputs, names, test_set
from whytrain.errors import UserError


def kernel(
    initial: Annotated[
        Path, typer.Option(metavar="FILE", help="Weights before training: .safetensors, .npz.")
    ],
    trained: Annotated[Path, typer.Option(metavar="FILE", help="Weights after it.")],
    data: Data,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:FUNCTION",
            help="Your network, function(params, batch) in JAX; params are the entries by name.",
        ),
    ] = None,
    order: Order = None,
    ignore: Ignore = None,
    outputs: Outputs = None,
    points: Annotated[
        int, typer.Option(metavar="N", min=10, help="Training examples measured at most.")
    ] = 1000,
    memory: Annotated[str, typer.Option(metavar="BYTES", help="That may be used.")] = "1GiB",
    as_json: AsJson = False,
) -> None:
    """Measure how far a trained network has left its tangent kernel."""
    from whytrain import kernels, measures
    from whytrain._user_code import find_callable
    from whytrain.cli import measure_tables

    arrays = measures.read_data(data)
    before, after = measures.read_checkpoint(initial), measures.read_checkpoint(trained)
    test = test_set(arrays, data)
    if python is not None:
        if order or ignore or outputs:
            raise UserError(
                "--python names the network itself; leave out --order, --ignore, --outputs"
            )
        with contextlib.redirect_stdout(sys.stderr):  # what the network prints is no result
            found = kernels.kernel_regime(
                find_callable(python)[0], before, after, arrays["inputs"], arrays["labels"],
                test=test, points=points, memory=memory,
            )  # fmt: skip
    else:
        found = kernels.network_regime(
            before, after, arrays["inputs"], arrays["labels"],
            test=test,
            outputs=arrays.get("outputs") if outputs is None else measures.read_outputs(outputs),
            order=names(order),
            ignore=ignore or [],
            points=points,
            memory=memory,
        )  # fmt: skip
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))
    else:
        measure_tables.show_kernel(found.document())
