"""The files of a report."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from whytrain._files import write_atomically, writing_to
from whytrain.lab import Reproduction, Sweep
from whytrain.report import html, markdown
from whytrain.report.document import content
from whytrain.report.drawing import Drawing, draw, draw_model
from whytrain.report.grid_page import grid_files
from whytrain.report.sources import code_of


def write(
    found: Reproduction | Sweep,
    directory: str | pathlib.Path,
    drawings: Sequence[Drawing] | None = None,
) -> pathlib.Path:
    """Write the report of a reproduced study, a sweep or a run, finished or not.

    Beside `report.html`, which needs no other file, there are `report.md`, `report.json`, and the
    figures as `figures/NAME.png` and `figures/NAME.svg`, with their data as `figures/NAME.csv`.
    Files of an earlier report are replaced.

    Args:
        found: The study as it was reproduced, or the run directory of a sweep or a run.
        directory: Where the files go.
        drawings: The figures of the study, where they have been drawn already.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: The files cannot be written there.
    """
    directory = pathlib.Path(directory)
    files = grid_files(found) if isinstance(found, Sweep) else _study_files(found, drawings)
    with writing_to(directory):
        (directory / "figures").mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomically(directory / name, data if isinstance(data, bytes) else data.encode())
    return directory / "report.html"


def draw_all(found: Reproduction) -> list[Drawing]:
    """Draw the figures of a study.

    Args:
        found: The study as it was reproduced.
    """
    return [draw(figure, found.preset, found.cells) for figure in found.study.figures]


def _study_files(found: Reproduction, drawings: Sequence[Drawing] | None) -> dict[str, bytes | str]:
    drawings = draw_all(found) if drawings is None else drawings
    model = draw_model(found.study.model) if found.study.model else None
    code = code_of(found.study)
    said = content(found, drawings, code)
    return {
        **_pictures(drawings),
        "report.json": json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": markdown.render(said),
        "report.html": html.render(said, drawings, code, model),
    }


def _pictures(drawings: Sequence[Drawing]) -> dict[str, bytes | str]:
    """Return the files of the figures that could be drawn."""
    drawn = [drawing for drawing in drawings if not drawing.problem]
    files: dict[str, bytes | str] = {}
    for one in drawn:
        kinds = {"png": one.png, "svg": one.light, "csv": one.data}
        files |= {f"figures/{one.name}.{kind}": data for kind, data in kinds.items()}
    return files
