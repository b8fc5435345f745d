"""The report of a run or a sweep: a row for every setting that is finished."""

from __future__ import annotations

import json
import math
from typing import Any

from whytrain.lab import Sweep
from whytrain.report.html import environment
from whytrain.report.numbers import shown


def grid_files(found: Sweep) -> dict[str, str]:
    """Return the files of the report, by name.

    Args:
        found: The run directory.
    """
    said = _content(found)
    page = environment().get_template("grid.html.j2").render(report=said)
    return {
        "report.json": json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": _markdown(said),
        "report.html": page,
    }


def _content(found: Sweep) -> dict[str, Any]:
    rows = found.table()
    cells = [[_value(value) for value in row] for row in rows.itertuples(index=False)]
    about = {name: found.record[name] for name in ("settings", "started", "versions")}
    return found.status() | about | {"columns": list(map(str, rows.columns)), "rows": cells}


def _value(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _markdown(said: dict[str, Any]) -> str:
    lines = [
        f"# {said['experiment']}",
        f"\n{said['done']} of {said['cells']} settings, {said['runs']} runs each, seed "
        f"{said['seed']}.\n",
        _row(said["columns"]),
        _row(["---"] * len(said["columns"])),
        *(_row([shown(value) for value in row]) for row in said["rows"]),
        "",
        *(f"- failed at {error['settings']}: {error['error']}" for error in said["errors"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _row(words: list[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"
