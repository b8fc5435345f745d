"""Claims about how trained networks change with their width: errors, units, layers, time."""

import math
from collections.abc import Callable

import numpy as np

from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Part,
    above,
    altered,
    at_most,
    below,
    estimate_mean,
    largest,
)
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.planted import (
    ONE_MISSES,
    REVERSED,
    exchanged,
    one_of_the_widest,
    shifted,
    times,
)
from whytrain.studies.neyshabur2019.theory_claims import PAPER
from whytrain.studies.neyshabur2019.trends import (
    RESOLUTION,
    Measure,
    all_fit,
    by_width,
    change,
    from_width,
    gathered,
    logs,
    lowest,
    power,
    powers,
    unbounded,
    valley,
    values,
    weighted,
    widest,
    widths,
)

PAPER_NARROWEST = 64  # the paper's figures begin at this width
NEAR = 0.8  # what "nearly with equality" is to mean
FEWEST = 3  # widths that show a trend
AUTHORS = f"{PAPER}, caveat of this study"

FALLS = below(0.0, resolution=RESOLUTION)
RISES = above(0.0, resolution=RESOLUTION)


# --- the test error -----------------------------------------------------------------------


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


def _beyond(misfit: str) -> Callable[[Cells], str]:
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


def _fits_and_generalizes(misfit: str, what: str) -> tuple[Part, Part]:
    return (
        Part("power of the width of the test error, over widths from which on all networks fit",
             _trend_beyond(misfit), FALLS),
        Part(f"networks of the widest that miss {what}",
             lambda cells: largest([_missed(widest(cells), misfit)]), at_most(0.0)),
    )  # fmt: skip


# --- the layers ---------------------------------------------------------------------------

OUTPUT = ("V_frobenius", "V_distance_frobenius")


def _output_powers(cells: Cells) -> list[Estimate]:
    return powers(*OUTPUT)(cells.sel(data="digits"))


def _other_data(cells: Cells) -> str:
    """The ratio of both norms on digits, and what other data say."""
    small = cells.sel(data="digits")
    ratio = gathered(small, OUTPUT[1]) / gathered(small, OUTPUT[0])
    note = f"the second over the first is {ratio.min():.2f} to {ratio.max():.2f}"
    for data, others in cells.by("data").items():
        if data != "digits":
            wide = from_width(others, PAPER_NARROWEST)
            found = [(name, power(wide, name)) for name in OUTPUT]
            note += f"; on {data}, from h = {PAPER_NARROWEST} on, " + " and ".join(
                f"{name} goes like h^{e.value:.3f} ({e.low:.3f} to {e.high:.3f})"
                for name, e in found
            )
    return note


def _more_growth(cells: Cells) -> Estimate:
    """How much more the Frobenius norm grows than the spectral norm, from end to end, in logs."""
    sweep = by_width(cells)
    both = zip(logs(sweep, "U_frobenius"), logs(sweep, "U_spectral"), strict=True)
    growth = [frobenius - spectral for frobenius, spectral in both]
    return weighted([growth[0], growth[-1]], [-1, 1])


def _bottoms(cells: Cells) -> str:
    between = by_width(cells)[1:-1]
    norms = ("U_frobenius", "U_spectral")
    return ", ".join(f"{name} is lowest at h = {lowest(between, name)}" for name in norms)


def _angle(end: int) -> Measure:
    """The mean over runs of the median angle, at one end of the sweep."""
    return lambda cells: estimate_mean(values(by_width(cells)[end].data, "angle"))


# --- norms --------------------------------------------------------------------------------


def _rises_between(cells: Cells) -> list[Estimate]:
    middle = from_width(cells, requests.L1_FROM, requests.L1_TO)
    return powers("row_bartlett_mendelson2002", "row_neyshabur2015", "row_l1max_spec")(middle)


def _smaller(cells: Cells) -> Estimate:
    wide = from_width(cells, PAPER_NARROWEST)
    return largest(gathered(wide, "row_spec_l1max") / gathered(wide, "row_l1max_spec"))


def _turning(cells: Cells) -> Estimate:
    return change(cells, "row_l1max_spec", requests.L1_TO, widest(cells).settings.width)


def _likeness(cell: Cell) -> np.ndarray:
    ratio = values(cell.data, "U_distance_1_2") / values(cell.data, "U_distance_frobenius")
    return ratio / cell.settings.width**0.5


def _classes(cells: Cells) -> Estimate:
    return largest(gathered(cells, "V_frobenius") / gathered(cells, "V_spectral") / 10**0.5)


WIDTH_CLAIMS = (
    Claim(
        id="N-E1", title="Wider generalizes better, long after it fits", group="experiments",
        source=f"{PAPER}, Figure 1",
        statement="Moderate width suffices to fit the sample (here: train error 0), and the test "
        "error keeps falling beyond.",
        requests=requests.widths,
        parts=_fits_and_generalizes("train_error", "an example"),
        faults=(
            REVERSED,
            Fault("one of the widest networks misses an example",
                  one_of_the_widest("train_error", 1e-4)),
        ),
        note=_beyond("train_error"),
        does_not_show="Whether it falls with every step, or on other samples.",
        growth=2, figures=("errors",),
    ),
    Claim(
        id="N-E1-residual", title="So do residual networks", group="experiments",
        source=f"{PAPER}, Figure 1 (left)",
        statement="Residual networks of moderate width fit the sample too (cross-entropy below "
        "0.01), and the test error keeps falling beyond. (Here: fewer channels, fewer and smaller "
        "images than the paper's, no augmentation.)",
        requests=requests.residual,
        parts=_fits_and_generalizes("misses", "the target"),
        faults=(REVERSED, ONE_MISSES),
        note=_beyond("misses"),
        does_not_show="Networks of the paper's size, on its data.",
        growth=2, figures=("residual",),
    ),
    Claim(
        id="N-E2", title="Each unit does less", group="experiments",
        source=f"{PAPER}, Figures 1 and 4",
        statement="Mean unit capacity and mean unit impact fall faster than 1/sqrt(h).",
        requests=requests.widths,
        parts=(
            Part("power of the width of mean unit impact, and of mean unit capacity",
                 powers("unit_impact", "unit_capacity"), below(-0.5, resolution=RESOLUTION)),
            all_fit(),
        ),
        faults=(
            Fault("impacts are larger by h^0.15", shifted("unit_impact", 0.15)),
            Fault("capacities are larger by h^0.4", shifted("unit_capacity", 0.4)),
            ONE_MISSES,
        ),
        does_not_show="That either is a power of the width.",
        growth=2, figures=("errors", "units"),
    ),
    Claim(
        id="N-E3", title="The output layer shrinks", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="||V||_F and ||V - V0||_F fall with the width: on digits, which were chosen for "
        "this after Fashion-MNIST, where the latter falls and then rises (the note has both).",
        requests=requests.both,
        parts=(Part("power of the width of ||V||_F, and of ||V - V0||_F, on digits",
                    _output_powers, FALLS),),
        faults=(
            REVERSED,
            Fault("||V - V0||_F is larger by h^0.2", shifted("V_distance_frobenius", 0.2)),
        ),
        note=_other_data,
        does_not_show="Other data: on Fashion-MNIST it fails.",
        growth=2, figures=("layers",),
    ),
    Claim(
        id="N-E4", title="The hidden layer shrinks and grows", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="||U||_2 and ||U||_F first fall, then rise, the latter faster; ||U - U0||_F "
        "falls. (On Fashion-MNIST ||U||_2 has its least value late, and a width of 8192 was added "
        "to see the rise.)",
        requests=requests.widths,
        parts=(
            Part("log of ||U||_F at both ends over its least between, which was looked for",
                 valley("U_frobenius"), RISES),
            Part("log of ||U||_2 at both ends over its least between, which was looked for",
                 valley("U_spectral"), RISES),
            Part("power of the width of ||U - U0||_F", powers("U_distance_frobenius"), FALLS),
            Part("log of the growth of ||U||_F, narrowest to widest, over that of ||U||_2",
                 _more_growth, RISES),
        ),
        faults=(
            Fault("||U||_2 is larger by h^0.2", shifted("U_spectral", 0.2)),
            Fault("||U||_F and ||U||_2 are exchanged", exchanged("U_frobenius", "U_spectral")),
            Fault("||U - U0||_F is larger by h^0.5", shifted("U_distance_frobenius", 0.5)),
        ),
        note=_bottoms,
        does_not_show="Where the least values are.",
        growth=2, figures=("layers",),
    ),
    Claim(
        id="N-E5", title="Units stay near their start", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="Units turn away from their start less and less, from nearly orthogonal to "
        "nearly aligned (here: the median angle is above 45 degrees for the narrowest and below "
        "for the widest), and unit capacities fall.",
        requests=requests.widths,
        parts=(
            Part("median angle of the narrowest (degrees)", _angle(0), above(45.0, resolution=1.0)),
            Part("median angle of the widest (degrees)", _angle(-1), below(45.0, resolution=1.0)),
            Part("power of the width of the median angle, and of mean unit capacity",
                 powers("angle", "unit_capacity"), FALLS),
        ),
        faults=(
            REVERSED,
            Fault("no angle is below 46 degrees", altered("angle", lambda a: 46 + a / 10)),
            Fault("capacities are larger by h", shifted("unit_capacity", 1.0)),
        ),
        does_not_show="Single units: half of them turn more than the median.",
        growth=2, figures=("layers", "units"),
    ),
    Claim(
        id="N-E6", title="Older measures grow", group="experiments",
        source=f"{PAPER}, Figure 3",
        statement="The terms of l1 type and ||U||_F ||V||_F rise, from h = 32 to 512 (a range "
        "chosen after it was known that they turn outside it, see N-E6-range), while ||U - U0||_F "
        "||V||_F falls; ||U||_2 ||V - V0||_12 is the smaller term (here: of its bound, from h = 64 "
        "on).",
        requests=requests.widths,
        parts=(
            Part("power of the width of ||U||_inf1 ||V||_inf1, ||U||_F ||V||_F and ||U - U0||_12 "
                 "||V||_2, from h = 32 to 512", _rises_between, RISES),
            Part("power of the width of ||U - U0||_F ||V||_F", powers("row_dist_fro"), FALLS),
            Part("largest ||U||_2 ||V - V0||_12 over ||U - U0||_12 ||V||_2, from h = 64 on",
                 _smaller, at_most(1.0)),
        ),
        faults=(
            Fault("||U - U0||_12 ||V||_2 is smaller by h^0.5", shifted("row_l1max_spec", -0.5)),
            Fault("||U||_F ||V||_F is smaller by h^0.4", shifted("row_neyshabur2015", -0.4)),
            Fault("||U - U0||_F ||V||_F is larger by h^0.5", shifted("row_dist_fro", 0.5)),
            Fault("the two terms are exchanged", exchanged("row_l1max_spec", "row_spec_l1max")),
        ),
        does_not_show="Widths outside that range; see `N-E6-range`.",
        growth=2, figures=("terms",),
    ),
    Claim(
        id="N-E6-range", title="They turn for the widest", group="caveats", source=AUTHORS,
        statement="That depends on the range: on small inputs ||U - U0||_12 ||V||_2 is lower for "
        "the widest networks than at h = 512.",
        requests=requests.digits,
        parts=(Part("log of ||U - U0||_12 ||V||_2 at the widest over that at h = 512", _turning,
                    FALLS),),
        faults=(Fault("it is larger by h^0.5", shifted("row_l1max_spec", 0.5)),),
        does_not_show="Larger inputs, where the range is another one.",
        growth=2, figures=("terms",),
    ),
    Claim(
        id="N-E7", title="Wider trains faster", group="experiments", source=f"{PAPER}, Figure 4",
        statement="The epochs needed to reach the target fall with the width.",
        requests=requests.widths,
        parts=(Part("power of the width of the epochs", powers("epochs"), FALLS), all_fit()),
        faults=(REVERSED, ONE_MISSES),
        does_not_show="The time, which an epoch of wide networks takes more of.",
        growth=2, figures=("errors",),
    ),
    Claim(
        id="N-CMP", title="A sum over units costs a root of the width", group="definitions",
        source=f"{PAPER}, Section 3",
        statement="||U - U0||_12 <= sqrt(h) ||U - U0||_F, nearly with equality (here: within 20 "
        "%), and ||V||_F <= sqrt(c) ||V||_2.",
        requests=requests.widths,
        parts=(
            Part("mean of ||U - U0||_12 over sqrt(h) ||U - U0||_F, at every width",
                 lambda cells: [estimate_mean(_likeness(cell)) for cell in cells],
                 above(NEAR, resolution=RESOLUTION)),
            Part("largest ||U - U0||_12 over sqrt(h) ||U - U0||_F",
                 lambda cells: largest(np.concatenate([_likeness(cell) for cell in cells])),
                 at_most(1 + 1e-12)),
            Part("largest ||V||_F over sqrt(c) ||V||_2", _classes, at_most(1 + 1e-12)),
        ),
        faults=(
            Fault("||U - U0||_12 is a quarter smaller", times("U_distance_1_2", 0.75)),
            Fault("||U - U0||_12 is a quarter larger", times("U_distance_1_2", 1.25)),
            Fault("||V||_F is twice as large", times("V_frobenius", 2.0)),
        ),
        does_not_show="Networks whose units are not alike, such as pruned ones.",
        growth=2, figures=("layers",),
    ),
)  # fmt: skip
