"""The page of a measured network: its numbers, each with what it is good for, and its margins."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from whytrain._files import write_atomically, writing_to
from whytrain.measures import Portrait
from whytrain.report.export import inline_svg, svg
from whytrain.report.html import environment
from whytrain.report.style import CYCLE, color, context

_LIMITS = (
    "Fresh examples: only a test error and the PAC-Bayes bound speak of them, and the bound "
    "is of the network with noise.",
    "Why training found these weights and no others.",
    "Networks of different kinds, compared: norms and complexities order those that are alike.",
)


def draw_network_page(found: Sequence[Portrait], words: Sequence[str]) -> Figure:
    """Draw the share of training examples below each margin, over the Lipschitz constant.

    Args:
        found: What was measured of each network.
        words: What they are called.

    Returns:
        The figure, in the current theme.
    """
    with context():
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.subplots()
        for one, word, paint in zip(found, words, CYCLE * len(found), strict=False):
            at = np.sort(one.margins) / one.deep.product_spectral
            axes.step(at, np.arange(1, len(at) + 1) / len(at), where="post",
                      color=color(paint), label=word)  # fmt: skip
        axes.axvline(0, color=color("gray"), linewidth=0.6)
        axes.set(xlabel="margin over the Lipschitz constant", ylim=(0, 1.02))
        axes.set_title("share of training examples with a smaller margin", loc="left")
        if len(found) > 1:
            axes.legend(loc="lower right")
    return figure


def write_network_page(found: Sequence[Portrait], words: Sequence[str], out: Path) -> Path:
    """Write `network.html`, a page that needs nothing but itself, and `network.json`.

    Args:
        found: What was measured of each network.
        words: What they are called.
        out: A directory; it is made if there is none.

    Returns:
        The path of the page.

    Raises:
        UserError: The directory cannot be written to.
    """
    documents = [one.document() for one in found]
    title = "Share of training examples below each margin"
    pictures = {}
    for theme in ("light", "dark"):
        with context(theme):
            pictures[theme] = Markup(
                inline_svg(svg(draw_network_page(found, words)), f"margins-{theme}-", title)
            )
    page = environment().get_template("network.html.j2").render(
        words=words, sections=[_section(*each, documents) for each in _SECTIONS],
        sizes=documents[0]["network"], themes=pictures, title=title, limits=_LIMITS,
        checked=all(document["checked"] for document in documents),
        notes=list(dict.fromkeys(n for document in documents for n in document["notes"])),
    )  # fmt: skip
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        named = dict(zip(words, documents, strict=True))
        text = json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(out / "network.json", text.encode())
        write_atomically(out / "network.html", page.encode())
    return out / "network.html"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _eigenvalue(end: dict[str, Any]) -> str:
    late = "" if end["converged"] else " (not converged)"
    return f"{end['value']:.4g} ± {end['residual']:.1g}{late}"


def _interval(trace: dict[str, Any]) -> str:
    return f"{trace['value']:.4g} [{trace['low']:.4g}, {trace['high']:.4g}]"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _bound(said: dict[str, Any]) -> str:
    return f"{said['bound']:.3f}" + (": vacuous, says nothing" if said["vacuous"] else "")


_SECTIONS = (
    ("Errors and margins", "margin", (
        ("error on the training examples", lambda d: _percent(d["errors"]["train"])),
        ("error on the test examples", lambda d: _percent(d["errors"].get("test"))),
        ("margin at its quantile", lambda d: _number(d["margin"]["value"])),
        ("the same over the Lipschitz constant", lambda d: _number(d["margin"]["normalized"])),
    )),
    ("Norms, and what moved", "norms", (
        ("distance of all weights from the start", lambda d: _number(d["norms"]["distance"])),
        ("Lipschitz constant, of spectral norms",
         lambda d: _number(d["norms"]["product_spectral"])),
        ("product of Frobenius norms", lambda d: _number(d["norms"]["product_frobenius"])),
        ("path norm, of absolute values", lambda d: _number(d["norms"]["path_1"])),
        ("path norm, of squares", lambda d: _number(d["norms"]["path_2"])),
        ("Fisher-Rao norm", lambda d: _number(d["norms"]["fisher_rao"])),
    )),
    ("A bound in numbers", "pac_bayes", (
        ("bound on the noisy network's error", lambda d: _bound(d["bounds"]["pac_bayes"])),
        ("its training error, no more than",
         lambda d: _percent(d["bounds"]["pac_bayes"]["error_bound"])),
        ("width of the noise", lambda d: _number(d["bounds"]["pac_bayes"]["sigma"])),
        ("divergence from the prior", lambda d: _number(d["bounds"]["pac_bayes"]["divergence"])),
        ("fails with probability", lambda d: _number(d["bounds"]["pac_bayes"]["delta"])),
        ("theorem", lambda d: d["bounds"]["pac_bayes"]["theorem"]),
    )),
    ("Complexities over √m", "bartlett2017", (
        ("spectral, by rows (2017)", lambda d: _number(d["bounds"]["bartlett2017"]["gap"])),
        ("spectral, PAC-Bayes (2018)", lambda d: _number(d["bounds"]["neyshabur2018"]["gap"])),
    )),
    ("Curvature of the mean cross-entropy", "curvature", (
        ("largest eigenvalue ± residual", lambda d: _eigenvalue(d["curvature"]["top"])),
        ("smallest eigenvalue ± residual", lambda d: _eigenvalue(d["curvature"]["bottom"])),
        ("trace, with its 95 % interval", lambda d: _interval(d["curvature"]["trace"])),
        ("on so many examples", lambda d: str(d["curvature"]["examples"])),
    )),
)  # fmt: skip


def _section(title: str, says: str, rows: Sequence, documents: Sequence[dict]) -> dict[str, Any]:
    return {
        "title": title,
        "says": documents[0]["says"][says],
        "rows": [(name, [show(document) for document in documents]) for name, show in rows],
    }
