"""A field over two settings, with analytic borders on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.spines import Spine
from numpy.typing import ArrayLike

from whytrain.errors import UserError, nearest
from whytrain.report.figures.axis import check_log, set_decades, set_scales
from whytrain.report.figures.labels import ground
from whytrain.report.figures.picture import Picture
from whytrain.report.style import context, rate_colormap, theme
from whytrain.report.tables import CENTERS

_SIZE = (5.6, 4.4)


def phase_diagram(
    dataset: xr.Dataset,
    *,
    x: str,
    y: str,
    value: str = "success_rate",
    borders: Sequence[tuple[str, ArrayLike, ArrayLike]] = (),
    log: str = "",
    level: float | None = 0.5,
    limits: tuple[float, float] | None = None,
    is_rate: bool | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    value_label: str | None = None,
) -> Figure:
    """Draw a variable over two of its dimensions as a heat map.

    A field within [0, 1] is taken for a rate: orange at 0, blue at 1, pale at 1/2. Any other is
    drawn in an even sequence of lightness. Cells without a number stay empty.

    Args:
        dataset: Holds the variable and the coordinates of both dimensions.
        x: The dimension drawn to the right.
        y: The dimension drawn upwards.
        value: The variable. Its dimensions are `x` and `y`, in any order.
        borders: Curves on top, each `(label, x, y)`: what theory says.
        log: Which axes are logarithmic: `""`, `"x"`, `"y"`, or `"xy"`.
        level: Height of the contour line drawn through the field; None for no line.
        limits: The values at the ends of the color scale; by default [0, 1] for a rate, else the
            extremes of the field.
        is_rate: Whether it is a rate of success; by default where it is within [0, 1].
        x_label: Name and unit of the horizontal axis; by default from the coordinate's attributes
            `long_name` and `units`.
        y_label: The same upwards.
        value_label: The same for the color scale.

    Returns:
        The figure, in the current theme.

    Raises:
        UserError: A name is not in the dataset, the variable has other dimensions, or a coordinate
            of a logarithmic axis is not positive.

    Example:
        >>> import numpy as np, xarray as xr
        >>> tilt, step = np.linspace(0, 3, 7), np.geomspace(0.01, 1, 5)
        >>> rate = 1 / (1 + np.exp(5 * (tilt[:, None] - 1.5 + np.log10(step))))
        >>> ds = xr.Dataset({"success_rate": (("tilt", "step_size"), rate)},
        ...                 {"tilt": tilt, "step_size": step})
        >>> figure = phase_diagram(ds, x="tilt", y="step_size", value="success_rate", log="y")
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['tilt', 'success rate']
    """
    check_log(log)
    field = _field(dataset, x, y, value)
    level = level if min(field.shape) > 2 else None  # through four cells a contour says nothing
    right, up = (_coordinate(dataset, name, axis in log) for name, axis in ((x, "x"), (y, "y")))
    with context():
        figure = Picture(figsize=_SIZE)
        axes = figure.add_subplot()
        set_scales(axes, log)
        image = axes.pcolormesh(
            _edges(right, "x" in log),
            _edges(up, "y" in log),
            field,
            rasterized=True,
            **_shades(field, limits, is_rate),
        )
        setattr(image, CENTERS, (right, up))
        shades = _shades(field, limits, is_rate)
        paint = theme().paper if shades["cmap"] == "cividis" else theme().ink
        _draw_level(axes, right, up, field, level, paint)
        axes.set_xlabel(x_label or _label(dataset, x))
        axes.set_title(y_label or _label(dataset, y))
        axes.autoscale_view()  # now, or the limits stay those of an empty axis
        axes.autoscale(False)
        for name in log:
            set_decades({"x": axes.xaxis, "y": axes.yaxis}[name])
        for number, border in enumerate(borders, 1):
            _draw_border(axes, *border, at=number / (len(borders) + 1))
        _draw_scale(axes, image, value_label or _label(dataset, value), level)
    return figure


def _field(dataset: xr.Dataset, x: str, y: str, value: str) -> np.ndarray:
    """Return the variable with rows along `y` and columns along `x`."""
    if value not in dataset:
        names = [str(name) for name in dataset.data_vars]
        raise UserError(f"the dataset has no variable {value!r}{nearest(value, names)}")
    variable = dataset[value]
    if set(variable.dims) != {x, y}:
        raise UserError(
            f"{value!r} must have the dimensions {x!r} and {y!r}, it has {variable.dims}; "
            "select or average over the others first"
        )
    return variable.transpose(y, x).to_numpy().astype(float)


def _coordinate(dataset: xr.Dataset, name: str, log: bool) -> np.ndarray:
    """Return the places of the cells along one dimension."""
    values = dataset[name].to_numpy().astype(float)
    if log and values.min() <= 0:
        raise UserError(
            f"{name!r} is not positive ({values.min():g}) and cannot have a logarithmic axis"
        )
    return values


def _edges(centers: np.ndarray, log: bool) -> np.ndarray:
    """Return the borders of the cells around `centers`, halfway on the axis that is drawn."""
    places = np.log(centers) if log else centers
    if len(places) == 1:
        edges = places[0] + np.array([-0.5, 0.5])
    else:
        middle = (places[1:] + places[:-1]) / 2
        edges = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    if places.min() >= 0 and not log:
        edges = np.maximum(edges, 0)  # what is never below 0 has no cell that is
    return np.exp(edges) if log else edges


def _shades(
    field: np.ndarray, limits: tuple[float, float] | None, is_rate: bool | None
) -> dict[str, Any]:
    """Return the color map and its ends."""
    finite = field[np.isfinite(field)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    is_rate = low >= 0 and high <= 1 if is_rate is None else is_rate
    ends = limits or ((0.0, 1.0) if is_rate else (low, high))
    return {"cmap": rate_colormap() if is_rate else "cividis", "vmin": ends[0], "vmax": ends[1]}


def _draw_level(
    axes: Axes, x: np.ndarray, y: np.ndarray, field: np.ndarray, level: float | None, paint: str
) -> None:
    """Draw the contour at one level, where the field crosses it."""
    finite = field[np.isfinite(field)]
    if level is None or not np.any(finite < level) & np.any(finite > level):
        return
    axes.contour(x, y, np.ma.masked_invalid(field), [level], colors=[paint], linewidths=1.1)


def _draw_scale(axes: Axes, image: QuadMesh, label: str, level: float | None) -> None:
    """Draw the color scale below the field, with the level of the contour marked on it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, location="bottom", aspect=36, pad=0.03, fraction=0.08)
    cast(Spine, bar.outline).set_visible(False)
    bar.set_label(label)
    if level is not None:
        bar.ax.axvline(level, color=theme().ink, linewidth=1.1)


def _draw_border(axes: Axes, label: str, x: ArrayLike, y: ArrayLike, *, at: float) -> None:
    """Draw a dashed curve, with its name beside the fraction `at` of its visible part."""
    curve = np.column_stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)))
    axes.plot(*curve.T, linestyle=(0, (4, 2)), color=theme().ink, linewidth=1.6)
    places = axes.transAxes.inverted().transform(axes.transData.transform(curve))
    places = _refined(places)
    seen = np.flatnonzero(((places >= 0) & (places <= 1)).all(axis=1))
    if not label or not seen.size:
        return
    spot = seen[int(at * seen.size)]
    before, after = places[max(spot - 1, 0)], places[min(spot + 1, len(places) - 1)]
    rise, run = np.abs(after - before)[::-1]
    axes.annotate(
        label,
        tuple(places[spot]),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9.5,
        bbox=ground(),
        **(_beside(places[spot][0]) if rise > run else _above(places[spot][1])),
    )


def _beside(place: float) -> dict[str, Any]:
    """Return where the label of a steep border goes: to the side that has more room."""
    if place > 0.6:
        return {"xytext": (-8, 0), "ha": "right", "va": "center"}
    return {"xytext": (8, 0), "ha": "left", "va": "center"}


def _above(place: float) -> dict[str, Any]:
    """Return where the label of a flat border goes: above, or below where the panel ends."""
    if place > 0.85:
        return {"xytext": (0, -6), "ha": "center", "va": "top"}
    return {"xytext": (0, 6), "ha": "center", "va": "bottom"}


def _refined(places: np.ndarray) -> np.ndarray:
    """Return a curve with at least 200 places on it, evenly spread between the given ones."""
    fine = np.linspace(0, len(places) - 1, max(200, len(places)))
    return np.column_stack([np.interp(fine, range(len(places)), axis) for axis in places.T])


def _label(dataset: xr.Dataset, name: str) -> str:
    """Return the name of a variable or coordinate, with its unit, for readers."""
    attributes = dataset[name].attrs
    words = str(attributes.get("long_name", name.replace("_", " ")))
    unit = attributes.get("units", "")
    return f"{words} ({unit})" if unit and unit != "1" else words
