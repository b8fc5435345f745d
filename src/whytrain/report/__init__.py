"""Showing it: the figures, and the report of a reproduced study.

`write` makes the report of a study; `figures` has the pictures that any study and any user can
draw; `style` their colors. Names are loaded when they are first used.
"""

import importlib
from typing import Any

from whytrain._lazy import lazily

_HOME = {
    "Drawing": "whytrain.report.drawing",
    "content": "whytrain.report.document",
    "draw": "whytrain.report.drawing",
    "draw_all": "whytrain.report.writing",
    "draw_linearity_page": "whytrain.report.linearity_page",
    "draw_network_page": "whytrain.report.network_page",
    "draw_optimizers_page": "whytrain.report.optimizers_page",
    "has_reports": "whytrain.report.papers_page",
    "draw_spectra": "whytrain.report.network_page",
    "draw_ste_page": "whytrain.report.ste_page",
    "write": "whytrain.report.writing",
    "write_network_page": "whytrain.report.network_page",
    "write_papers": "whytrain.report.papers_page",
    "write_optimizers_page": "whytrain.report.optimizers_page",
    "write_ste_page": "whytrain.report.ste_page",
}
_MODULES = ("figures", "style")

__all__ = [*_HOME, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]
_get, _ = lazily(__name__, _HOME)


def __getattr__(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}") if name in _MODULES else _get(name)


def __dir__() -> list[str]:
    return sorted(__all__)
