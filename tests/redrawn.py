"""Whether a figure says what it shows, and whether its data are enough to draw it again."""

import csv
import io

import numpy as np
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from whytrain.report import style
from whytrain.report.export import arrange
from whytrain.report.seeing import seen
from whytrain.report.tables import marks, panels, table_of, text_of
from wording import slips


def check_figure(figure, cells):
    """Draw a study's figure: its words, and its data drawn once more."""
    with style.context("light"):
        picture, caption = figure.draw(cells)
        arrange(picture)
    assert len(caption) > 40
    assert not slips(caption), caption
    assert not caption.startswith(figure.title.split(" (")[0]), caption
    check_data(picture)
    return caption


def check_data(picture):
    """All that is drawn in the coordinates of the data is in the table, and comes back from it."""
    rows = table_of(picture)
    for axes in panels(picture):
        assert len([mark for mark in marks(axes) if mark[2]]) >= len(drawn(axes)) > 0
    again = table_of(drawn_again(text_of(rows)))
    for kind in ("line", "band", "point"):
        assert of_kind(again, kind) == of_kind(rows, kind), kind
    # What cells of a plain figure stand for are their middles: not so where an axis is logarithmic.
    assert values(again) == values(rows)
    assert any(letter.isdigit() for letter in seen(picture)) or of_kind(rows, "contour")


def drawn(axes):
    """What has data: lines, points, bands, maps."""
    known = [one for one in axes.get_children() if isinstance(one, (Line2D, Collection, AxesImage))]
    return [one for one in known if one.get_transform().contains_branch(axes.transData)
            or isinstance(one, (Collection, AxesImage))]  # fmt: skip


def drawn_again(text):
    """The lines, bands, points and maps of a table, in panels of a plain figure."""
    rows = list(csv.DictReader(io.StringIO(text)))
    count = max(int(row["panel"]) for row in rows)
    axes = Figure().subplots(count, 1, squeeze=False)[:, 0]
    groups = {}
    for row in rows:
        key = int(row["panel"]), row["mark"], row["series"]
        groups.setdefault(key, []).append(row)
    for (panel, mark, series), points in groups.items():
        column = {
            name: np.array([float(p[name]) for p in points])
            for name in ("x", "y", "low", "high", "value")
            if points[0][name]
        }
        draw_again(axes[panel - 1], mark, series or "_", column)
    return axes[0].figure


def draw_again(axes, mark, label, column):
    if mark == "line":
        axes.plot(column["x"], column["y"], label=label)
    elif mark == "band":
        axes.fill_between(column["x"], column["low"], column["high"], label=label)
    elif mark == "point":
        axes.scatter(column["x"], column["y"], label=label)
    elif mark == "map":
        shape = len(set(column["y"])), len(set(column["x"]))
        grid = (column[name].reshape(shape) for name in ("x", "y", "value"))
        mesh = axes.pcolormesh(*grid, shading="nearest", label=label)
        assert isinstance(mesh, QuadMesh)


def values(rows):
    return [row["value"] for row in of_kind(rows, "map")]


def of_kind(rows, *kinds):
    """The rows of these marks, in an order that does not depend on when they were drawn."""
    return [
        {k: f"{v:.9g}" if isinstance(v, float) else v for k, v in row.items()}
        for row in sorted(rows, key=lambda row: (row["panel"], row["mark"], row["series"]))
        if row["mark"] in kinds
    ]
