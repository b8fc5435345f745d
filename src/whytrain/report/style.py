"""House style of the figures: two themes, one colorblind-safe palette, no global state.

Colors are asked for by name, so that one drawing function serves paper and screen, light and dark:
`color("blue")` is a dark blue on white and a light blue on black. Outcomes of runs have fixed
colors (`color("spurious")`), the same in every figure of every study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib
from matplotlib.colors import LinearSegmentedColormap, is_color_like, to_hex

from whytrain.errors import UserError, nearest

OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "global": "blue",
        "spurious": "orange",
        "saddle": "purple",
        "collapsed": "amber",
        "diverged": "ink",
        "undecided": "gray",
    }
)
"""The palette color of each outcome of a run."""

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "plain": "brick",
        "residual": "green",
        "warmed up": "sky",
        "identity": "brown",
        "relu": "indigo",
        "clipped_relu": "olive",
        "gd": "teal",
        "adam": "rose",
    }
)
"""The palette color of networks without and with shortcuts (and warm-up), straight-through
estimators, and optimizers: the same in every report, and none that an outcome has."""

CYCLE = ("blue", "orange", "green", "purple", "amber", "sky")
"""Colors that series without one of their own receive, in this order."""


@dataclass(frozen=True)
class Theme:
    """The colors of one ground.

    Attributes:
        name: `"light"` or `"dark"`.
        paper: The ground.
        ink: Text and data without a color of their own.
        soft: Axes, tick labels, and secondary text.
        faint: Grid and contour lines.
        palette: The named colors of this theme; each has a contrast of at least 4.5 to the ground,
            so that it can carry text.
        rates: The colors of the rates 0, 1/2, and 1 in a heat map: the hues of `spurious` and
            `global`, softened, because they cover an area and carry lines.
    """

    name: str
    paper: str
    ink: str
    soft: str
    faint: str
    palette: Mapping[str, str]
    rates: tuple[str, str, str]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c1e21",
    soft="#5a6069",
    faint="#dfe2e6",
    palette=MappingProxyType(
        {
            "blue": "#0a63a8",
            "orange": "#c04a06",
            "green": "#0b7a5b",
            "purple": "#9a3f80",
            "amber": "#8f6400",
            "sky": "#1f7fa8",
            "brick": "#a32638",
            "indigo": "#5a4fcf",
            "olive": "#5f6b00",
            "brown": "#7d4e24",
            "teal": "#00706b",
            "rose": "#c2185b",
            "gray": "#6b7178",
            "ink": "#1c1e21",
        }
    ),
    rates=("#dd7f45", "#f3f2f0", "#468cc4"),
)
DARK = Theme(
    name="dark",
    paper="#15181c",
    ink="#e8eaed",
    soft="#a4abb3",
    faint="#333941",
    palette=MappingProxyType(
        {
            "blue": "#62b0f2",
            "orange": "#ff9455",
            "green": "#45c79d",
            "purple": "#e590cb",
            "amber": "#e3b341",
            "sky": "#7fd4f0",
            "brick": "#f2828f",
            "indigo": "#a9a1f7",
            "olive": "#b9c34a",
            "brown": "#d3a071",
            "teal": "#4fc9c0",
            "rose": "#ff7fae",
            "gray": "#949ba3",
            "ink": "#e8eaed",
        }
    ),
    rates=("#b05a26", "#24282d", "#2b6ca6"),
)
THEMES: Mapping[str, Theme] = MappingProxyType({theme.name: theme for theme in (LIGHT, DARK)})

_current: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """Return the theme that figures are drawn in here and now; light unless told otherwise."""
    return _current.get()


@contextmanager
def context(name: str | None = None) -> Iterator[Theme]:
    """Draw in the house style inside a `with` block; matplotlib's settings return afterwards.

    Args:
        name: `"light"` or `"dark"`; by default the theme of the surrounding block.

    Yields:
        The theme.

    Raises:
        UserError: There is no theme of that name.

    Example:
        >>> with context("dark"):
        ...     color("blue")
        '#62b0f2'
        >>> color("blue")
        '#0a63a8'
    """
    if name is not None and name not in THEMES:
        raise UserError(f"theme {name!r} is unknown{nearest(name, THEMES)}")
    chosen = theme() if name is None else THEMES[name]
    token = _current.set(chosen)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_parameters(chosen))  # pyright: ignore
            yield chosen
    finally:
        _current.reset(token)


def color(name: str) -> str:
    """Return a color of the current theme as a hexadecimal string.

    Args:
        name: A palette name (`"blue"`, `"gray"`, …), an outcome (`"spurious"`), one of `KINDS`
            (`"residual"`), or anything that matplotlib takes for a color.

    Raises:
        UserError: It is none of these.

    Example:
        >>> color("global") == color("blue")
        True
        >>> color("#123456")
        '#123456'
    """
    palette = theme().palette
    name = OUTCOMES.get(name) or KINDS.get(name, name)
    if name in palette:
        return palette[name]
    if is_color_like(name):
        return to_hex(name)
    raise UserError(f"color {name!r} is unknown{nearest(name, [*palette, *OUTCOMES, *KINDS])}")


def sequence(count: int) -> list[str]:
    """Return colors for what has an order, from the first, lightest against the ground, to ink.

    Args:
        count: How many.

    Example:
        >>> sequence(3)[-1] == color("ink")
        True
    """
    ends = LinearSegmentedColormap.from_list("sequence", [color("sky"), color("ink")])
    return [to_hex(ends(place / max(count - 1, 1))) for place in range(count)]


def rate_colormap() -> LinearSegmentedColormap:
    """Return the map of a rate: the hue of `spurious` at 0, of `global` at 1, none at 1/2."""
    return LinearSegmentedColormap.from_list("rate", theme().rates)


def _parameters(chosen: Theme) -> dict[str, Any]:
    """Return matplotlib's settings of a theme."""
    return {
        "figure.figsize": (5.6, 3.5),
        "figure.dpi": 100,
        "figure.facecolor": chosen.paper,
        "figure.constrained_layout.use": True,
        "font.family": ["DejaVu Sans"],
        "font.size": 10.5,
        "text.color": chosen.ink,
        "mathtext.fontset": "dejavusans",
        "axes.facecolor": chosen.paper,
        "axes.edgecolor": chosen.soft,
        "axes.labelcolor": chosen.soft,
        "axes.labelsize": 10.5,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.titlecolor": chosen.soft,
        "axes.titlepad": 8,
        "xtick.color": chosen.soft,
        "ytick.color": chosen.soft,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.minor.visible": False,
        "grid.color": chosen.faint,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "lines.solid_capstyle": "round",
        "savefig.facecolor": chosen.paper,
    }
