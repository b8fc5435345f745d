"""The picture of a network's boundary: decisions, examples and units in the plane of the centers.

Inputs of two numbers are shown as they are. Longer ones are shown on the plane through the mean of
the examples that the centers of both clusters span: decisions are those of inputs in that plane,
examples are projected on it.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from whytrain.measures import Linearity
from whytrain.report.style import color, context

SHOWN, POINTS = 400, 240  # examples at most, and points of the ground in each direction
SIDES = ("orange", "blue")


def draw_linearity_page(found: Linearity, inputs: ArrayLike, labels: ArrayLike) -> Figure:
    """Draw the boundary with the certified region and some examples, and the directions of units.

    Args:
        found: The measure.
        inputs: The training inputs.
        labels: Their labels.

    Returns:
        The figure, in the current theme.
    """
    x, y = np.asarray(inputs, float), np.asarray(labels)
    of_pair = np.isin(y, found.classes)
    x, y = x[of_pair].reshape(of_pair.sum(), -1), y[of_pair]
    plane, mean = _plane(found, x), np.zeros(x.shape[1])
    if x.shape[1] > 2:
        mean = x.mean(axis=0) - plane @ (plane.T @ x.mean(axis=0))
    with context():
        figure = Figure(figsize=(8.4, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_boundary(left, found, (x[:SHOWN], y[:SHOWN]), plane, mean)
        _draw_units(right, found, plane)
        if x.shape[1] > 2:
            names = "along the hyperplane's normal", "across it, in the plane of the centers"
            left.set(xlabel=names[0], ylabel=names[1])
            right.set(xlabel=names[0], ylabel=names[1])
        else:
            for axes in (left, right):
                axes.set(xlabel="first input", ylabel="second input")
    return figure


def _plane(found: Linearity, x: np.ndarray) -> np.ndarray:
    """Two orthonormal directions of inputs, as columns: of the normal, and of the centers."""
    d = x.shape[1]
    if d == 2:
        return np.eye(2)
    spanning = [found.network.normal[:d], found.clusters.plus[:d]]
    spread = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2]
    basis, _ = np.linalg.qr(np.column_stack([*spanning, *spread[:2]]))
    signs = np.where(basis[:, :1].T @ spanning[0] < 0, -1.0, 1.0)
    return basis[:, :2] * [signs[0], 1.0]


def _draw_boundary(
    axes: Axes, found: Linearity, shown: tuple[np.ndarray, np.ndarray], plane: np.ndarray,
    mean: np.ndarray,
) -> None:  # fmt: skip
    x, y = shown
    at = x @ plane
    low, high = at.min(axis=0), at.max(axis=0)
    half = 0.58 * max(high - low) + 1e-12
    grid = [np.linspace(a - half, a + half, POINTS) for a in (low + high) / 2]
    mesh = np.stack(np.meshgrid(*grid), axis=-1)
    into = mean + mesh.reshape(-1, 2) @ plane.T
    sides = found.network.decisions(into).reshape(POINTS, POINTS)
    proven = found.network.certified(into).reshape(POINTS, POINTS)
    paints = [color(name) for name in SIDES]
    strong, weak = ([to_rgba(paint, alpha) for paint in paints] for alpha in (0.35, 0.1))
    depth = np.where(proven, 2, 1) * sides
    axes.contourf(*grid, depth, levels=(-3, -1.5, 0, 1.5, 3), colors=[strong[0], *weak, strong[1]])
    if np.ptp(sides):
        values = found.network.outputs(into).reshape(POINTS, POINTS)
        axes.contour(*grid, values, levels=(0,), colors=color("ink"), linewidths=1.2)
    for label, paint, marker in zip(found.classes, paints, "^o", strict=True):
        axes.plot(*at[y == label].T, marker, color=paint, markersize=3, label=f"label {label}")
    axes.set_aspect("equal")
    axes.legend(loc="upper right")
    more = "" if len(plane) == 2 else "\nin a plane, examples projected"
    axes.set_title(f"decisions; darker where certified{more}", loc="left")


def _draw_units(axes: Axes, found: Linearity, plane: np.ndarray) -> None:
    d = len(plane)
    for units, paint in zip((found.network.u, found.network.w), SIDES, strict=True):
        at = units[:, :d] @ plane
        paint = color(paint)
        lines = np.stack([np.zeros_like(at), at, np.full_like(at, np.nan)], axis=1).reshape(-1, 2)
        axes.plot(*lines.T, color=paint, linewidth=0.7, alpha=0.7)
        axes.plot(*at.mean(axis=0), "D", color=paint, markersize=6)
    axes.axhline(0, color=color("gray"), linewidth=0.5, zorder=0)
    axes.axvline(0, color=color("gray"), linewidth=0.5, zorder=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title("units, and the centers of both signs", loc="left")
