"""Does the test error keep falling with the width, long after networks fit?"""

import math
from collections.abc import Callable

from whytrain import lab
from whytrain.studies.neyshabur2019 import curves, trends
from whytrain.studies.neyshabur2019.trends import FALLS, ONE_MISSES, PAPER, REVERSED
from whytrain.studies.neyshabur2019.width import WIDTH, WIDTHS

FEWEST = 3  # widths that show a trend


def _that_fit(cells: lab.Cells, misfit: str) -> lab.Cells:
    """The widths from which on no network has a misfit."""
    wide: list[lab.Cell] = []
    for cell in reversed(trends.by_width(cells)):
        if _missed(cell, misfit):
            break
        wide.insert(0, cell)
    return lab.Cells(wide)


def _missed(cell: lab.Cell, misfit: str) -> int:
    """How many networks have a misfit, or were not measured."""
    return int((trends.values(cell.data, misfit) != 0).sum())


def _trend_beyond(misfit: str) -> trends.Measure:
    """The power of the width of the test error, where networks fit; two widths bound nothing."""

    def trend(cells: lab.Cells) -> lab.Estimate:
        wide = _that_fit(cells, misfit)
        if len(wide) < FEWEST:
            return trends.unbounded(math.nan, wide.runs)
        return trends.power(wide, "test_error")

    return trend


def beyond(misfit: str) -> Callable[[lab.Cells], str]:
    """Says from which width on networks fit, and what the last step does to the test error."""

    def note(cells: lab.Cells) -> str:
        wide = _that_fit(cells, misfit)
        if len(wide) < FEWEST:
            return f"only {len(wide)} widths fit, too few to speak of a trend"
        *_, before, last = trends.widths(wide)
        step = trends.change(wide, "test_error", before, last).through(math.exp)
        return (
            f"networks fit from width {trends.widths(wide)[0]} on; the last step, to {last}, "
            f"multiplies the test error by {step.value:.2f} ({step.low:.2f} to {step.high:.2f}); "
            "runs share the sample and the test set"
        )

    return note


def fits_and_generalizes(misfit: str, what: str) -> tuple[lab.Part, lab.Part]:
    """The test error falls where networks fit, and the widest do."""
    return (
        lab.Part("power of the width of the test error, over widths from which on all networks fit",
                 _trend_beyond(misfit), FALLS),
        lab.Part(f"networks of the widest that miss {what}",
                 lambda cells: lab.largest([_missed(trends.widest(cells), misfit)]),
                 lab.at_most(0.0)),
    )  # fmt: skip


def _draw(cells: lab.Cells) -> tuple:
    figure = curves.panels(cells, [
        ("error", {"test_error": "test"}),
        ("mean over hidden units", {"unit_capacity": "capacity", "unit_impact": "impact"}),
        ("epochs to the target", {"epochs": ""}),
    ])  # fmt: skip
    fit, all_runs = curves.fit(cells)
    error, capacity, impact = (
        curves.power(cells, name) for name in ("test_error", "unit_capacity", "unit_impact")
    )
    return figure, (
        "Test error, mean unit capacity and impact, and training time over the width; bands are 95 "
        f"% intervals of the mean over {curves.seeds(cells)} seeds. {fit} of {all_runs} networks "
        f"fit their sample. The test error goes like {error}, capacity like {capacity}, impact "
        f"like {impact}; the paper has the latter two below "
        "$h^{-0.5}$."
    )


CLAIMS = (
    lab.Claim(
        id="N-E1", title="Wider generalizes better, long after it fits", group="experiments",
        source=f"{PAPER}, Figure 1",
        statement="Moderate width suffices to fit the sample (here: train error 0), and the test "
        "error keeps falling beyond.",
        requests=WIDTHS,
        parts=fits_and_generalizes("train_error", "an example"),
        faults=(
            REVERSED,
            lab.Fault("one of the widest networks misses an example",
                      trends.one_of_the_widest("train_error", 1e-4)),
        ),
        note=beyond("train_error"),
        does_not_show="Whether it falls with every step, or on other samples.",
        growth=2, figures=("errors",),
    ),
    lab.Claim(
        id="N-E7", title="Wider trains faster", group="experiments", source=f"{PAPER}, Figure 4",
        statement="The epochs needed to reach the target fall with the width.",
        requests=WIDTHS,
        parts=(lab.Part("power of the width of the epochs",
                        trends.powers("epochs"), FALLS), trends.all_fit()),
        faults=(REVERSED, ONE_MISSES),
        does_not_show="The time, which an epoch of wide networks takes more of.",
        growth=2, figures=("errors",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((WIDTH,), CLAIMS, (
    lab.Figure("errors", "Error, units and time (Figures 1 and 4)", WIDTHS, _draw),
))  # fmt: skip
