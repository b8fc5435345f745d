"""Lines over the width, with 95 % intervals of the mean over runs."""

from collections.abc import Sequence

import numpy as np

from whytrain import lab
from whytrain.report import figures as draw
from whytrain.studies.neyshabur2019 import trends
from whytrain.studies.neyshabur2019.trends import gathered, values, widths


def _band(row: np.ndarray) -> tuple[float, float, float]:
    """The mean of what could be measured, and the ends of its 95 % interval.

    Few runs bound little: a band must not leave the positive numbers of a logarithmic axis.
    """
    known = row[np.isfinite(row)]
    if not len(known):
        return np.nan, np.nan, np.nan
    mean = lab.estimate_mean(known)
    return mean.value, max(mean.low, 0.5 * known.min()), min(mean.high, 2 * known.max())


def ticks(cells: lab.Cells, apart: float = 3.0) -> list[int]:
    """Widths far enough apart for their labels."""
    kept: list[int] = []
    for width in widths(cells):
        if not kept or width >= apart * kept[-1]:
            kept.append(width)
    return kept


def series(
    cells: lab.Cells, name: str, label: str = "", color: str | None = None, scale: float = 1.0
) -> "draw.Series":
    """The mean over runs of a number over the width, with its 95 % interval."""
    rows = [values(cell.data, name) * scale for cell in cells]
    means, low, high = np.transpose([_band(row) for row in rows])
    return draw.Series(widths(cells), means, label, low=low, high=high, color=color, marker="o")


def panels(
    cells: lab.Cells, content: Sequence[tuple[str, dict[str, str]]],
    x_label: str = "hidden units $h$", apart: float = 3.0,
):  # fmt: skip
    """Panels of such lines: titles, and in each numbers with their labels."""
    colors = ("ink", "brick", "teal", "indigo")
    panels = [
        draw.Panel(
            [
                series(cells, name, label, color)
                for (name, label), color in zip(lines.items(), colors, strict=False)
            ],
            title,
            log=True,
        )
        for title, lines in content
    ]
    return draw.lines(panels, x_label=x_label, log="x", x_ticks=ticks(cells, apart))


def power(cells: lab.Cells, name: str) -> str:
    """The power of the width with which a number goes."""
    return f"$h^{{{trends.power(cells, name).value:.2f}}}$"


def fit(cells: lab.Cells) -> tuple[int, int]:
    """How many networks reached the target, and of how many."""
    fits = gathered(cells, "fits")
    return int(fits.sum()), len(fits)


def seeds(cells: lab.Cells) -> str:
    """The numbers of runs of a width, smallest to largest."""
    counts = [cell.runs for cell in cells]
    few, many = min(counts), max(counts)
    return str(few) if few == many else f"{few} to {many}"
