"""The picture of a comparison of optimizers: every pair's difference, and what was chosen."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whytrain.lab import Comparison
from whytrain.report.export import write_pictures
from whytrain.report.style import color, context

PAINTS = {"better": "blue", "worse": "orange", "cannot tell": "gray"}


def draw_optimizers_page(found: Comparison) -> Figure:
    """Draw the difference of every pair with its interval, and the learning rates that were chosen.

    Args:
        found: The comparison.

    Returns:
        The figure, in the current theme.
    """
    rows = max(len(found.pairs), len(found.optimizers))
    with context():
        figure = Figure(figsize=(8.0, 1.6 + 0.32 * rows), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_pairs(left, found)
        _draw_choices(right, found)
    return figure


def _draw_pairs(axes: Axes, found: Comparison) -> None:
    for place, pair in enumerate(found.pairs):
        one, paint = pair.difference, color(PAINTS[pair.word])
        if np.isfinite(one.value):
            axes.plot(one.value, place, "o", color=paint)
        if np.all(np.isfinite(one.interval)):
            axes.plot(one.interval, (place, place), color=paint)
    axes.axvline(0, color=color("ink"), linewidth=0.8)
    axes.set_yticks(range(len(found.pairs)), [f"{p.first} − {p.second}" for p in found.pairs])
    axes.set_ylim(len(found.pairs) - 0.5, -0.5)
    where = "equal training loss" if found.matched else "the end"
    axes.set_xlabel(f"difference of the scores at {where}")
    axes.set_title("left of 0 the first is better", loc="left")


def _draw_choices(axes: Axes, found: Comparison) -> None:
    for place, (name, trials) in enumerate(found.trials.items()):
        rates = [trial.setting[0] for trial in trials if trial.setting is not None]
        axes.plot(rates, [place] * len(rates), "|", color=color("blue"), markersize=12)
        if broken := found.failures(name):
            axes.annotate(
                f"{broken} broke down", (1, place), xycoords=("axes fraction", "data"), ha="right",
                va="bottom", color=color("orange"),
            )  # fmt: skip
    axes.set_yticks(range(len(found.optimizers)), list(found.optimizers))
    axes.set_ylim(len(found.optimizers) - 0.5, -0.5)
    axes.set_xscale("log")
    low, high = found.learning_rates
    axes.set_xlim(low / 1.5, high * 1.5)
    axes.set_xlabel("learning rate")
    axes.set_title("what each search chose", loc="left")


def write_optimizers_page(found: Comparison, out: Path) -> Path:
    """Write the picture as PNG and SVG.

    Args:
        found: The comparison.
        out: A directory; it is made if there is none.

    Returns:
        The path of the PNG.

    Raises:
        UserError: The directory cannot be written to.
    """
    return write_pictures(draw_optimizers_page(found), out, "optimizers")
