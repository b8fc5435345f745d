"""The one-page picture of a straight-through estimator."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

from whytrain.gaussian import Estimator
from whytrain.measures import SteMeasure
from whytrain.report.export import write_pictures
from whytrain.report.figures import Panel, Reference, Series, lines
from whytrain.report.style import context


def draw_ste_page(found: SteMeasure, estimator: Estimator) -> Figure:
    """Draw the derivative, what it lets through, and what leaks where the unit is off.

    Args:
        found: The measure.
        estimator: What was measured.

    Returns:
        The figure, in the current theme.
    """
    scale = np.log10(found.lengths)
    x = np.linspace(-2, 2, 801)
    with jax.enable_x64(True):
        derivative = np.asarray(estimator.derivative(jax.numpy.asarray(x)), dtype=float)
    panels = [
        Panel(
            [Series(x, derivative, color="ink")], "surrogate derivative μ'(x), over x",
            limits=_with_zero(derivative),
        ),
        Panel(
            [Series(scale, np.array(found.passed), color="blue")],
            "E μ'(s x), over log₁₀ s: downhill where positive",
            limits=_with_zero(found.passed), references=[Reference(0.0)],
        ),
        Panel(
            [Series(scale, np.array(found.leak), color="orange")],
            "E |x| μ'(s x) 1{x < 0}, over log₁₀ s: rests at minima where zero",
            limits=_with_zero(found.leak), references=[Reference(0.0)],
        ),
    ]  # fmt: skip
    with context():
        figure = lines(panels, x_label=f"{found.name}: {found.verdict}", x_limits=(-2, 2))
    return figure


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
