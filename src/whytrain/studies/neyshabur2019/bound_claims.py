"""Claims about the bounds: how they move with the width, and whether they tell labels apart."""

from collections.abc import Callable, Sequence

import numpy as np

from whytrain.lab import (
    Cell,
    Cells,
    Claim,
    Estimate,
    Fault,
    Part,
    above,
    at_most,
    below,
    largest,
)
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.planted import ONE_MISSES, REVERSED, shifted, times
from whytrain.studies.neyshabur2019.theory_claims import PAPER
from whytrain.studies.neyshabur2019.trends import (
    RESOLUTION,
    all_fit,
    by_width,
    from_width,
    gathered,
    logs,
    powers,
    rise_from_its_least,
    values,
    weighted,
    widest,
)
from whytrain.studies.neyshabur2019.width_claims import AUTHORS, FALLS, PAPER_NARROWEST, RISES

NORM_BOUNDS = ("bartlett_mendelson2002", "neyshabur2015", "bartlett2017", "neyshabur2018")
VC_FROM = 1025  # the paper: below VC for h > 1024
BELOW = below(0.0, resolution=RESOLUTION)


def _rises(cells: Cells) -> list[Estimate]:
    return [rise_from_its_least(f"C_{name}")(cells) for name in NORM_BOUNDS]


def _rise_of_vc(cells: Cells) -> Estimate:
    """Nothing is random: it is a function of the width."""
    *before, last = (float(log.mean()) for log in logs(by_width(cells), "C_vc"))
    return largest([last - min(before)])


def _rises_in_words(cells: Cells) -> str:
    rises = zip((*NORM_BOUNDS, "vc"), (*_rises(cells), _rise_of_vc(cells)), strict=True)
    found = (f"{name} ends {np.exp(rise.value):.3g} times" for name, rise in rises)
    return f"{', '.join(found)} its least value"


def _over(name: str, cell: Cell) -> np.ndarray:
    """The log of the new bound over another one, run by run."""
    return np.log(values(cell.data, "C_neyshabur2019") / values(cell.data, f"C_{name}"))


def _ratios(names: Sequence[str], narrowest: int = 0) -> Callable[[Cells], list[Estimate]]:
    """Measures the mean log of the new bound over each of these, at every width from one on."""
    return lambda cells: [
        weighted([_over(name, cell)], [1.0])
        for cell in from_width(cells, narrowest)
        for name in names
    ]


def _nearest(narrowest: int = 0) -> Callable[[Cells], str]:
    """Says which norm-based bound is nearest to the new one."""

    def note(cells: Cells) -> str:
        found = {
            (name, cell.settings.width): float(_over(name, cell).mean())
            for cell in from_width(cells, narrowest)
            for name in NORM_BOUNDS
        }
        name, h = max(found, key=lambda at: found[at])
        return (
            f"the nearest is {name} at h = {h}, where the new bound is "
            f"{np.exp(found[name, h]):.3g} times as large"
        )

    return note


def _share(cells: Cells) -> np.ndarray:
    """The largest m / C of any bound, network by network."""
    names = (*NORM_BOUNDS, "vc", "neyshabur2019")
    m = gathered(cells, "m")
    return np.max([m / gathered(cells, f"C_{name}") for name in names], axis=0)


def _least_bound(cells: Cells) -> str:
    least = _share(cells).max() ** -0.5
    return f"the gap is bounded by {least:.0f} or more, and could be 1 at most"


def _overtaken(cells: Cells) -> str:
    last = widest(cells)
    share = values(last.data, "row_init_fro") / values(last.data, "row_dist_fro")
    return f"at h = {last.settings.width} it is {share.mean():.2f} times ||U - U0||_F ||V||_F"


def _margins(cells: Cells) -> Estimate:
    """The log of the ratio of median normalized margins, true over random labels."""
    [true], [random] = (logs(cells.sel(labels=kind), "median_normalized_margin")
                        for kind in ("true", "random"))  # fmt: skip
    return weighted([true, random], [1, -1])


def _raw_margins(cells: Cells) -> str:
    true, random = (
        gathered(cells.sel(labels=kind), "margin").mean() for kind in ("true", "random")
    )
    return (
        f"the raw 5 % margins are {true:.3g} with true and {random:.3g} with random labels; labels "
        "were drawn once"
    )


def _exchanged_labels(cells: Cells) -> Cells:
    true, random = cells.sel(labels="true"), cells.sel(labels="random")
    pairs = [(true, random), (random, true)]
    return Cells([
        Cell(a.settings, b.data) for one, other in pairs for a, b in zip(one, other, strict=True)
    ])  # fmt: skip


BOUND_CLAIMS = (
    Claim(
        id="N-E8", title="Only the new bound falls", group="experiments",
        source=f"{PAPER}, Figure 5",
        statement="The new bound falls with the width, and it alone: every other one ends above "
        "its minimum.",
        requests=requests.widths,
        parts=(
            Part("power of the width of the new bound", powers("C_neyshabur2019"), FALLS),
            Part("log of each other norm-based bound for the widest over its least before, which "
                 "was looked for", _rises, RISES),
            Part("log of VC for the widest over its least before", _rise_of_vc, above(0.0)),
        ),
        faults=(
            Fault("the new bound is larger by h^0.5", shifted("C_neyshabur2019", 0.5)),
            Fault("the bound of products of Frobenius norms is smaller by h",
                  shifted("C_neyshabur2015", -1.0)),
            Fault("VC is smaller by h^2", shifted("C_vc", -2.0)),
        ),
        note=_rises_in_words,
        does_not_show="Wider networks, for which the new bound must rise in the end: see "
        "N-E8-range.",
        growth=2, figures=("bounds", "bounds-normalized"),
    ),
    Claim(
        id="N-E8-below", title="The new bound is below the others", group="experiments",
        source=f"{PAPER}, Figure 5",
        statement="From h = 64 on the new bound is below all other norm-based bounds, beyond h = "
        "1024 below VC.",
        requests=requests.widths,
        parts=(
            Part("mean log of the new bound over each norm-based one, at every width from 64 on",
                 _ratios(NORM_BOUNDS, PAPER_NARROWEST), BELOW),
            Part("mean log of the new bound over VC, at every width beyond 1024",
                 _ratios(["vc"], VC_FROM), BELOW),
        ),
        faults=(
            Fault("the new bound is three times as large", times("C_neyshabur2019", 3.0)),
            Fault("VC is a thousandth of what it is", times("C_vc", 1e-3)),
        ),
        note=_nearest(PAPER_NARROWEST),
        does_not_show="That any of them says something: see N-E8-vacuous.",
        growth=2, figures=("bounds",),
    ),
    Claim(
        id="N-E8-narrow", title="It is below them at every width", group="caveats", source=AUTHORS,
        statement="The new bound is below all other norm-based bounds at every width, narrow "
        "networks among them.",
        requests=requests.digits,
        parts=(Part("mean log of the new bound over each norm-based one, at every width",
                    _ratios(NORM_BOUNDS), BELOW),),
        faults=(Fault("the new bound is a quarter smaller", times("C_neyshabur2019", 0.75)),),
        note=_nearest(),
        does_not_show="The paper's own range, which begins at h = 64.",
        expected="contradicted", growth=2, figures=("bounds",),
    ),
    Claim(
        id="N-E8-vacuous", title="No bound says anything", group="caveats",
        source=f"{PAPER}, Figure 5",
        statement="All bounds are far above the number of examples (here: above it for every "
        "network): they say nothing.",
        requests=requests.widths,
        parts=(Part("largest m / C of any bound", lambda cells: largest(_share(cells)),
                    at_most(1.0)),),
        faults=(Fault("the new bound is a 10^5-th of what it is", times("C_neyshabur2019", 1e-5)),),
        note=_least_bound,
        does_not_show="Samples as large as the paper's.",
        figures=("bounds",),
    ),
    Claim(
        id="N-E8-range", title="In the end the new bound must rise", group="caveats",
        source=AUTHORS,
        statement="The term of the initial weights, ||U0||_2 ||V||_F, rises with the width: the "
        "new bound must rise in the end.",
        requests=requests.digits,
        parts=(Part("power of the width of ||U0||_2 ||V||_F", powers("row_init_fro"), RISES),),
        faults=(
            REVERSED,
            Fault("it is smaller by h^0.4", shifted("row_init_fro", -0.4)),
        ),
        note=_overtaken,
        does_not_show="The width at which the bound turns.",
        growth=2, figures=("terms",),
    ),
    Claim(
        id="N-E9", title="It tells true labels from random ones", group="experiments",
        source=f"{PAPER}, Figure 4",
        statement="Margins over the measure are larger for true than for random labels.",
        requests=requests.labels,
        parts=(
            Part("log of the median normalized margin, true over random labels", _margins, RISES),
            all_fit(),
        ),
        faults=(Fault("the labels are exchanged", _exchanged_labels), ONE_MISSES),
        note=_raw_margins,
        does_not_show="Other drawings of labels, or other widths.",
        growth=2, figures=("margins",),
    ),
)  # fmt: skip
