"""Figures that every study and every user can draw.

Each function returns a `matplotlib.figure.Figure` in the current theme of `whytrain.report.style`
and leaves matplotlib's settings as they were:

- `lines`: rates over a setting with bands, time series in stacked panels, scaling fits;
- `phase_diagram`: a field over two settings with analytic borders on top;
- `plane`: a loss over two coordinates with its critical points and trajectories.
"""

from whytrain.report.figures.contour_plane import Path, Point, plane
from whytrain.report.figures.line_panels import Panel, Reference, Series, lines
from whytrain.report.figures.phase_map import phase_diagram
from whytrain.report.style import color, context

__all__ = [
    "Panel",
    "Path",
    "Point",
    "Reference",
    "Series",
    "color",
    "context",
    "lines",
    "phase_diagram",
    "plane",
]
