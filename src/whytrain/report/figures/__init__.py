"""Figures that every study and every user can draw.

Each function returns a `matplotlib.figure.Figure` in the current theme of `whytrain.report.style`
and leaves matplotlib's settings as they were. Names are loaded when they are first used:

- `lines`: rates over a setting with bands, time series in stacked panels, scaling fits;
- `phase_diagram`: a field over two settings with analytic borders on top;
- `forest_plot`: numbers with their intervals, a row each;
- `plane`: a loss over two coordinates with its critical points and trajectories;
- `diagram`: boxes and arrows, a model in one picture.
"""

from whytrain._lazy import lazily

_HOME = {
    "Arrow": "whytrain.report.figures.boxes",
    "Box": "whytrain.report.figures.boxes",
    "Panel": "whytrain.report.figures.line_panels",
    "Path": "whytrain.report.figures.contour_plane",
    "Point": "whytrain.report.figures.contour_plane",
    "Reference": "whytrain.report.figures.line_panels",
    "Series": "whytrain.report.figures.line_panels",
    "color": "whytrain.report.style",
    "context": "whytrain.report.style",
    "diagram": "whytrain.report.figures.boxes",
    "lines": "whytrain.report.figures.line_panels",
    "sequence": "whytrain.report.style",
    "phase_diagram": "whytrain.report.figures.phase_map",
    "Interval": "whytrain.report.figures.forest",
    "forest_plot": "whytrain.report.figures.forest",
    "plane": "whytrain.report.figures.contour_plane",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _HOME)
