"""Figures as bytes: PNG, a stand-alone SVG, and an SVG to put into a page.

The bytes depend on nothing but the figure: no date, no random identifier.
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from whytrain._files import write_atomically, writing_to

_SALT = "whytrain"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_FAMILY = re.compile(r"'DejaVu Sans'(?:, [\w' -]+)*")
_SIZE = re.compile(r'<svg\b[^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>', re.DOTALL)
# Saving takes the layout away and brings it back, the one of the settings if there was none.
_ARRANGED: dict[Any, Any] = {"figure.constrained_layout.use": False}
_AS_TEXT: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": _SALT}
_RESET = re.compile(r'<style type="text/css">\*\{[^}]*\}</style>')


def lay_out(figure: Figure) -> None:
    """Compute a figure's layout as it stands, without drawing it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def arrange(figure: Figure) -> None:
    """Give a figure its layout for good: each picture of it would compute one, and draw twice."""
    lay_out(figure)
    with matplotlib.rc_context(_ARRANGED):
        figure.set_layout_engine(None)


def png(figure: Figure, dpi: int = 200) -> bytes:
    """Return a figure as a PNG image."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_ARRANGED):
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Return a figure as an SVG document, its text as text."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_ARRANGED | _AS_TEXT):
        figure.savefig(buffer, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
    return _FAMILY.sub(_FONTS, buffer.getvalue())


def write_pictures(figure: Figure, out: Path, name: str) -> Path:
    """Write a figure as `name.png` and `name.svg`.

    Args:
        figure: The figure.
        out: A directory; it is made if there is none.
        name: The files' name without ending.

    Returns:
        The path of the PNG.

    Raises:
        UserError: The directory cannot be written to.
    """
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / f"{name}.svg", svg(figure).encode())
        write_atomically(out / f"{name}.png", png(figure))
    return out / f"{name}.png"


def inline_svg(document: str, prefix: str, title: str) -> str:
    """Return an SVG document as an element for a page that holds others like it.

    Args:
        document: What `svg` returned.
        prefix: Put before every identifier, so that none occurs twice in the page.
        title: What a screen reader says.

    Returns:
        The element `<svg>`, without fixed size, name spaces, metadata, and page-wide styles.

    Example:
        >>> document = '<svg viewBox="0 0 4 3"><g id="a"/><use xlink:href="#a"/></svg>'
        >>> inline_svg(document, "f-", "F").partition(">")[2]
        '<g id="f-a"/><use href="#f-a"/></svg>'
    """
    body = document[document.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _RESET.sub("", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'href="#', f'href="#{prefix}', body)
    body = body.replace("url(#", f"url(#{prefix}")
    return _SIZE.sub(lambda match: _opening(match, title), body, count=1).strip()


def _opening(match: re.Match[str], title: str) -> str:
    """Return the opening tag of an inlined SVG element."""
    width, height = match.groups()
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}" '
        'stroke-linejoin="round" stroke-linecap="butt">'
    )
