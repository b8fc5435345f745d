"""Showing it: the figures, and the report of a reproduced study.

`write` makes the report of a study; `figures` has the pictures that any study and any user can
draw; `style` their colors. Names are loaded when they are first used.
"""

from whytrain._lazy import lazily

_HOME = {
    "Drawing": "whytrain.report.drawing",
    "content": "whytrain.report.document",
    "draw": "whytrain.report.drawing",
    "draw_linearity_page": "whytrain.report.linearity_page",
    "draw_optimizers_page": "whytrain.report.optimizers_page",
    "draw_ste_page": "whytrain.report.ste_page",
    "write": "whytrain.report.writing",
    "write_linearity_page": "whytrain.report.linearity_page",
    "write_optimizers_page": "whytrain.report.optimizers_page",
    "write_ste_page": "whytrain.report.ste_page",
}
_MODULES = ("figures", "style")

__all__ = [*_HOME, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _HOME)
