"""Does the test error keep falling with the width, long after networks fit?"""

import math
from collections.abc import Callable

from whytrain.lab import Cell, Cells, Claim, Estimate, Fault, Figure, Part, Topic, at_most, largest
from whytrain.studies.neyshabur2019 import curves
from whytrain.studies.neyshabur2019.trends import (
    FALLS,
    ONE_MISSES,
    PAPER,
    REVERSED,
    Measure,
    all_fit,
    by_width,
    change,
    one_of_the_widest,
    power,
    powers,
    unbounded,
    values,
    widest,
    widths,
)
from whytrain.studies.neyshabur2019.width import WIDTH, WIDTHS

FEWEST = 3  # widths that show a trend


def _that_fit(cells: Cells, misfit: str) -> Cells:
    """The widths from which on no network has a misfit."""
    wide: list[Cell] = []
    for cell in reversed(by_width(cells)):
        if _missed(cell, misfit):
            break
        wide.insert(0, cell)
    return Cells(wide)


def _missed(cell: Cell, misfit: str) -> int:
    """How many networks have a misfit, or were not measured."""
    return int((values(cell.data, misfit) != 0).sum())


def _trend_beyond(misfit: str) -> Measure:
    """The power of the width of the test error, where networks fit; two widths bound nothing."""

    def trend(cells: Cells) -> Estimate:
        wide = _that_fit(cells, misfit)
        if len(wide) < FEWEST:
            return unbounded(math.nan, wide.runs)
        return power(wide, "test_error")

    return trend


def beyond(misfit: str) -> Callable[[Cells], str]:
    """Says from which width on networks fit, and what the last step does to the test error."""

    def note(cells: Cells) -> str:
        wide = _that_fit(cells, misfit)
        if len(wide) < FEWEST:
            return f"only {len(wide)} widths fit, too few to speak of a trend"
        *_, before, last = widths(wide)
        step = change(wide, "test_error", before, last).through(math.exp)
        return (
            f"networks fit from width {widths(wide)[0]} on; the last step, to {last}, multiplies "
            f"the test error by {step.value:.2f} ({step.low:.2f} to {step.high:.2f}); runs share "
            "the sample and the test set"
        )

    return note


def fits_and_generalizes(misfit: str, what: str) -> tuple[Part, Part]:
    """The test error falls where networks fit, and the widest do."""
    return (
        Part("power of the width of the test error, over widths from which on all networks fit",
             _trend_beyond(misfit), FALLS),
        Part(f"networks of the widest that miss {what}",
             lambda cells: largest([_missed(widest(cells), misfit)]), at_most(0.0)),
    )  # fmt: skip


def _draw(cells: Cells) -> tuple:
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
        f"like {impact}; the paper has the latter two below h^-0.5."
    )


CLAIMS = (
    Claim(
        id="N-E1", title="Wider generalizes better, long after it fits", group="experiments",
        source=f"{PAPER}, Figure 1",
        statement="Moderate width suffices to fit the sample (here: train error 0), and the test "
        "error keeps falling beyond.",
        requests=WIDTHS,
        parts=fits_and_generalizes("train_error", "an example"),
        faults=(
            REVERSED,
            Fault("one of the widest networks misses an example",
                  one_of_the_widest("train_error", 1e-4)),
        ),
        note=beyond("train_error"),
        does_not_show="Whether it falls with every step, or on other samples.",
        growth=2, figures=("errors",),
    ),
    Claim(
        id="N-E7", title="Wider trains faster", group="experiments", source=f"{PAPER}, Figure 4",
        statement="The epochs needed to reach the target fall with the width.",
        requests=WIDTHS,
        parts=(Part("power of the width of the epochs", powers("epochs"), FALLS), all_fit()),
        faults=(REVERSED, ONE_MISSES),
        does_not_show="The time, which an epoch of wide networks takes more of.",
        growth=2, figures=("errors",),
    ),
)  # fmt: skip

TOPIC = Topic(
    experiments=(WIDTH,),
    claims=CLAIMS,
    figures=(Figure("errors", "Error, units and time (Figures 1 and 4)", WIDTHS, _draw),),
)
