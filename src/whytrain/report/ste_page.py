"""The one-page picture of a straight-through estimator."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whytrain.gaussian import Estimator
from whytrain.measures import SteMeasure
from whytrain.report.export import write_pictures
from whytrain.report.figures.axis import set_decades
from whytrain.report.style import context, theme


def draw_ste_page(found: SteMeasure, estimator: Estimator) -> Figure:
    """Draw the derivative, what it lets through, and what leaks where the unit is off.

    Args:
        found: The measure.
        estimator: What was measured.

    Returns:
        The figure, in the current theme.
    """
    x = np.linspace(-2, 2, 801)
    with jax.enable_x64(True):
        derivative = np.asarray(estimator.derivative(jax.numpy.asarray(x)), dtype=float)
    with context():
        figure = Figure(figsize=(5.6, 6.4))
        figure.suptitle(f"{found.name}: {found.verdict}", x=0.02, ha="left")
        top, middle, bottom = figure.subplots(3, 1)
        _draw(top, x, derivative, "surrogate derivative $μ′(x)$", "$x$")
        _draw(middle, found.lengths, found.passed, "$E\\,μ′(sx)$: downhill where positive", "$s$")
        words = "$E\\,|x|\\,μ′(sx)\\,1\\{x < 0\\}$: rests at minima where zero"
        _draw(bottom, found.lengths, found.leak, words, "$s$")
        for axes in (middle, bottom):
            axes.set_xscale("log")
            set_decades(axes.xaxis)
    return figure


def _draw(
    axes: Axes, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, what: str,
    over: str,
) -> None:  # fmt: skip
    axes.axhline(0, color=theme().soft, linewidth=1, linestyle=(0, (1, 2)))
    axes.plot(np.asarray(x), np.asarray(y), color=theme().ink)
    axes.set(title=what, xlabel=over, ylim=_with_zero(y))


def _with_zero(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return limits that hold all values and zero."""
    low, high = min(0.0, float(np.min(values))), max(0.0, float(np.max(values)))
    margin = 0.08 * max(high - low, 1e-3)
    return low - margin, high + margin


def write_ste_page(found: SteMeasure, estimator: Estimator, out: Path) -> Path:
    """Write the picture as PNG and SVG.

    Args:
        found: The measure.
        estimator: What was measured.
        out: A directory; it is made if there is none.

    Returns:
        The path of the PNG.

    Raises:
        UserError: The directory cannot be written to.
    """
    return write_pictures(draw_ste_page(found, estimator), out, f"ste-{found.name}")
