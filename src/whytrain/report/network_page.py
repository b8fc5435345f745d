"""The page of a measured network: its numbers, each with what it is good for, and pictures."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whytrain._files import write_atomically, writing_to
from whytrain.portraits import Portrait, documents, reasons, sections
from whytrain.report.export import inline_svg, svg
from whytrain.report.html import environment
from whytrain.report.linearity_page import draw_linearity_page
from whytrain.report.style import CYCLE, color, context

_LIMITS = (
    "Fresh examples: only a test error and the PAC-Bayes bound speak of them, and the bound "
    "is of the network with noise.",
    "Why training found these weights and no others.",
    "Networks of different kinds, compared: norms and complexities order those that are alike.",
)
_FAINT = 1e-6  # of the largest density: what is drawn at the bottom


def draw_network_page(found: Mapping[str, Portrait]) -> Figure:
    """Draw the share of training examples below each margin, over the Lipschitz constant.

    Args:
        found: What was measured of each network, by what it is called.

    Returns:
        The figure, in the current theme.
    """
    with context():
        title = "share of training examples with a smaller margin"
        figure, axes, painted = _axes(found, title, "margin over the Lipschitz constant")
        for one, drawn in painted:
            at = np.sort(one.margins) / one.deep.product_spectral
            axes.step(at, np.arange(1, len(at) + 1) / len(at), where="post", **drawn)
        axes.axvline(0, color=color("gray"), linewidth=0.6)
        axes.set_ylim(0, 1.02)
        _name(axes, "lower right")
    return figure


def draw_spectra(found: Mapping[str, Portrait]) -> Figure:
    """Draw the density of the Hessian's eigenvalues with its band, on a logarithmic scale.

    Args:
        found: What was measured of each network, by what it is called.

    Returns:
        The figure, in the current theme.
    """
    with context():
        title = "density of eigenvalues, with a band of 95 %"
        figure, axes, painted = _axes(found, title, "eigenvalue of the Hessian")
        for one, drawn in painted:
            of, least = one.density, _FAINT * one.density.value.max()
            low, value, high = (np.maximum(each, least) for each in (of.low, of.value, of.high))
            axes.fill_between(of.at, low, high, color=drawn["color"], alpha=0.25, linewidth=0)
            axes.plot(of.at, value, **drawn)
        axes.set_yscale("log")
        _name(axes, "upper right")
    return figure


def _axes(
    found: Mapping[str, Portrait], title: str, xlabel: str
) -> tuple[Figure, Axes, list[tuple[Portrait, dict[str, Any]]]]:
    """Where all networks are drawn, and how each of them is."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(xlabel)
    axes.set_title(title, loc="left")
    painted = zip(found.items(), CYCLE * len(found), strict=False)
    return figure, axes, [
        (one, {"color": color(paint), "label": word}) for (word, one), paint in painted
    ]  # fmt: skip


def _name(axes: Axes, where: Any) -> None:
    """Say which network is which, where there are several."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(loc=where)


def write_network_page(
    found: Mapping[str, Portrait], out: str | Path, data: tuple[Any, Any] | None = None
) -> Path:
    """Write `network.html`, a page that needs nothing but itself, and `network.json`.

    Args:
        found: What was measured of each network, by what it is called.
        out: A directory; it is made if there is none.
        data: Training inputs and labels, for the picture of a boundary.

    Returns:
        The path of the page.

    Raises:
        UserError: The directory cannot be written to.
    """
    told, words, out = documents(list(found.values())), list(found), Path(out)
    page = environment().get_template("network.html.j2").render(
        words=words, sections=sections(told), reasons=reasons(told, words),
        sizes=told[0]["network"], limits=_LIMITS, pictures=_pictures(found, data),
        checked=all(document["checked"] for document in told),
        notes=list(dict.fromkeys(n for document in told for n in document["notes"])),
    )  # fmt: skip
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        named = dict(zip(words, told, strict=True))
        text = json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(out / "network.json", text.encode())
        write_atomically(out / "network.html", page.encode())
    return out / "network.html"


def _pictures(
    found: Mapping[str, Portrait], data: tuple[Any, Any] | None
) -> dict[str, list[dict[str, Any]]]:
    """The pictures of each section, by its title."""
    lines = [(word, one.linearity) for word, one in found.items() if data is not None]
    return {
        "Margins": [
            _picture("margins", "Share of training examples below each margin, in units of the "
                     "Lipschitz constant", lambda: draw_network_page(found))
        ],
        "Curvature of the mean cross-entropy": [
            _picture("spectra", "Density of the Hessian's eigenvalues, each smeared by a twentieth "
                     "of their range; the band holds at each place by itself",
                     lambda: draw_spectra(found))
        ],
        "How linear the boundary is": [
            _picture(f"boundary-{i}", f"{word}: left, what it decides around the examples, darker "
                     "where its weights prove it; right, its hidden units, a line each, and the "
                     "mean of either sign. A straight border, and units in two bundles, are near a "
                     "linear rule",
                     lambda one=one: draw_linearity_page(one, *(data or ())))
            for i, (word, one) in enumerate(lines) if not isinstance(one, str)
        ],
    }  # fmt: skip


def _picture(name: str, title: str, draw: Callable[[], Figure]) -> dict[str, Any]:
    """A picture in both themes."""
    themes = {}
    for theme in ("light", "dark"):
        with context(theme):
            themes[theme] = Markup(inline_svg(svg(draw()), f"{name}-{theme}-", title))
    return {"title": title, "themes": themes}
