"""Which measures and bounds fall with the width, and do they tell labels apart?"""

from collections.abc import Callable, Sequence

import numpy as np

from whytrain import lab
from whytrain.errors import UserError
from whytrain.report import figures as draw
from whytrain.studies.neyshabur2019 import curves, trends
from whytrain.studies.neyshabur2019.trends import AUTHORS, FALLS, ONE_MISSES, PAPER, REVERSED, RISES
from whytrain.studies.neyshabur2019.width import DIGITS, LABELS, LEVELS, WIDTHS

L1_FROM, L1_TO = 32, 512  # where terms of l1 type are held against the paper's
VC_FROM = 1025  # the paper: below VC for h > 1024
NORM_BOUNDS = ("bartlett_mendelson2002", "neyshabur2015", "bartlett2017", "neyshabur2018")
BELOW = lab.below(0.0, resolution=trends.RESOLUTION)
BOUNDS = {
    "vc": ("VC", "gray"), "bartlett_mendelson2002": ("BM 2002", "brick"),
    "neyshabur2015": ("N 2015", "olive"), "bartlett2017": ("B 2017", "indigo"),
    "neyshabur2018": ("N 2018", "sky"), "neyshabur2019": ("N 2019", "ink"),
}  # fmt: skip


# --- the terms ----------------------------------------------------------------------------


def _rises_between(cells: lab.Cells) -> list[lab.Estimate]:
    middle = trends.from_width(cells, L1_FROM, L1_TO)
    return trends.powers("row_bartlett_mendelson2002", "row_neyshabur2015", "row_l1max_spec")(
        middle
    )


def _smaller(cells: lab.Cells) -> lab.Estimate:
    wide = trends.from_width(cells, trends.PAPER_NARROWEST)
    return lab.largest(
        trends.gathered(wide, "row_spec_l1max") / trends.gathered(wide, "row_l1max_spec")
    )


def _turning(cells: lab.Cells) -> lab.Estimate:
    return trends.change(cells, "row_l1max_spec", L1_TO, trends.widest(cells).settings.width)


def _overtaken(cells: lab.Cells) -> str:
    last = trends.widest(cells)
    share = trends.values(last.data, "row_init_fro") / trends.values(last.data, "row_dist_fro")
    times = f"{share.mean():.2f} times $‖U − U_0‖_F ‖V‖_F$"
    return f"at $h = {last.settings.width}$ it is {times}"


def _draw_terms(cells: lab.Cells) -> tuple:
    figure = curves.panels(cells, [
        ("terms of Bartlett 2017", {
            "row_l1max_spec": "$‖U − U_0‖_{1,2}‖V‖_2$",
            "row_spec_l1max": "$‖U‖_2‖V − V_0‖_{1,2}$",
        }),
        ("terms of Neyshabur 2018", {
            "row_dist_spec": "$√h D_1‖V‖_2$", "row_spec_dist": "$√c D_2‖U‖_2$",
        }),
        ("terms of the new bound", {
            "row_dist_fro": "$D_1‖V‖_F$", "row_init_fro": "$‖U_0‖_2‖V‖_F$",
        }),
        ("other rows of Table 1", {
            "row_bartlett_mendelson2002": "$‖U‖_{1,∞}‖V‖_{1,∞}$",
            "row_neyshabur2015": "$‖U‖_F‖V‖_F$",
        }),
    ])  # fmt: skip
    moved, initial = (curves.power(cells, f"row_{name}") for name in ("dist_fro", "init_fro"))
    return figure, (
        "The terms that the bounds are made of, without constants, with $D_1 = ‖U − U_0‖_F$ and "
        f"$D_2 = ‖V − V_0‖_F$. $D_1 ‖V‖_F$ goes like {moved}, the term of the initial weights like "
        f"{initial}: "
        "it is what will stop the new bound from falling at still larger widths."
    )


# --- the bounds ---------------------------------------------------------------------------


def _rises(cells: lab.Cells) -> list[lab.Estimate]:
    return [trends.rise_from_its_least(f"C_{name}")(cells) for name in NORM_BOUNDS]


def _rise_of_vc(cells: lab.Cells) -> lab.Estimate:
    """Nothing is random: it is a function of the width."""
    *before, last = (float(log.mean()) for log in trends.logs(trends.by_width(cells, 2), "C_vc"))
    return lab.largest([last - min(before)])


def _rises_in_words(cells: lab.Cells) -> str:
    rises = zip((*NORM_BOUNDS, "vc"), (*_rises(cells), _rise_of_vc(cells)), strict=True)
    found = (f"{BOUNDS[name][0]} ends {np.exp(rise.value):.3g} times" for name, rise in rises)
    return f"{', '.join(found)} its least value"


def _over(name: str, cell: lab.Cell) -> np.ndarray:
    """The log of the new bound over another one, run by run."""
    return np.log(
        trends.values(cell.data, "C_neyshabur2019") / trends.values(cell.data, f"C_{name}")
    )


def _ratios(names: Sequence[str], narrowest: int = 0) -> Callable[[lab.Cells], list[lab.Estimate]]:
    """Measures the mean log of the new bound over each of these, at every width from one on."""
    return lambda cells: [
        trends.weighted([_over(name, cell)], [1.0])
        for cell in trends.from_width(cells, narrowest)
        for name in names
    ]


def _nearest(narrowest: int = 0) -> Callable[[lab.Cells], str]:
    """Says which norm-based bound is nearest to the new one."""

    def note(cells: lab.Cells) -> str:
        found = {
            (name, cell.settings.width): float(_over(name, cell).mean())
            for cell in trends.from_width(cells, narrowest)
            for name in NORM_BOUNDS
        }
        name, h = max(found, key=lambda at: found[at])
        return (
            f"the nearest is {BOUNDS[name][0]} at $h = {h}$, where the new bound is "
            f"{np.exp(found[name, h]):.3g} times as large"
        )

    return note


def _share(cells: lab.Cells) -> np.ndarray:
    """The largest m / C of any bound, network by network."""
    names = (*NORM_BOUNDS, "vc", "neyshabur2019")
    m = trends.gathered(cells, "m")
    return np.max([m / trends.gathered(cells, f"C_{name}") for name in names], axis=0)


def _least_bound(cells: lab.Cells) -> str:
    least = _share(cells).max() ** -0.5
    return f"the gap is bounded by {least:.0f} or more, and could be 1 at most"


def _draw_bounds(cells: lab.Cells) -> tuple:
    series = [
        curves.series(cells, f"C_{name}", label, color) for name, (label, color) in BOUNDS.items()
    ]
    m = cells[0].settings.examples
    least = min(np.nanmin(trends.gathered(cells, f"C_{name}")) for name in BOUNDS) / m
    figure = draw.lines(
        series, x_label="hidden units $h$", y_label="capacity $C$", log="xy",
        x_ticks=curves.ticks(cells), y_limits=(m / 3, None),
        references=[draw.Reference(m, "number of examples")],
    )  # fmt: skip
    return figure, (
        "Every bound with its constants: the gap is at most the root of $C/m$. B is Bartlett et "
        "al., BM "
        "Bartlett and Mendelson, N Neyshabur et al., VC the VC dimension. The new bound, N 2019, "
        f"goes like {curves.power(cells, 'C_neyshabur2019')}. The least of all is {least:,.0f} "
        "times the number of examples: where that is above 1, no bound says anything about these "
        "networks."
    )


def _draw_normalized(cells: lab.Cells) -> tuple:
    series, growth = [], ""
    for name, (label, color) in BOUNDS.items():
        means = np.array([trends.values(cell.data, f"C_{name}").mean() for cell in cells])
        growth += f"{', ' if growth else ''}{means[-1] / means.min():.3g} ({label})"
        series.append(curves.series(cells, f"C_{name}", label, color, 1 / float(means.max())))
    figure = draw.lines(
        series, x_label="hidden units $h$", y_label="capacity over its maximum", log="xy",
        x_ticks=curves.ticks(cells),
    )  # fmt: skip
    return figure, (
        "The same bounds, each over its largest value. The paper has the new one falling and every "
        "other one ending above its least value; here, from their least values to the widest, they "
        f"grow by the factors {growth}."
    )


# --- true and random labels ---------------------------------------------------------------


def _of_labels(cells: lab.Cells) -> tuple[lab.Cells, lab.Cells]:
    """Networks of true labels, and of random ones."""
    true, random = cells.sel(labels="true"), cells.sel(labels="random")
    if not true or not random:
        raise UserError("true and random labels are compared; leave labels unset")
    return true, random


def _margins(cells: lab.Cells) -> lab.Estimate:
    """The log of the ratio of median normalized margins, true over random labels."""
    [true], [random] = (trends.logs(some, "median_normalized_margin") for some in _of_labels(cells))
    return trends.weighted([true, random], [1, -1])


def _raw_margins(cells: lab.Cells) -> str:
    true, random = (trends.gathered(some, "margin").mean() for some in _of_labels(cells))
    return (
        f"the raw 5 % margins are {true:.3g} with true and {random:.3g} with random labels; labels "
        "were drawn once"
    )


def _exchanged_labels(cells: lab.Cells) -> lab.Cells:
    true, random = _of_labels(cells)
    pairs = zip([*true, *random], [*random, *true], strict=True)
    return lab.Cells([lab.Cell(a.settings, b.data) for a, b in pairs])


def _draw_margins(cells: lab.Cells) -> tuple:
    true, random = _of_labels(cells)
    series = [
        draw.Series(
            cell.data.normalized_margin_levels.mean("run").values, LEVELS,
            f"{cell.settings.labels} labels", color=color,
        )
        for cell, color in zip(cells, ("ink", "brick"), strict=True)
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="margin over $(‖U_0‖_2 + ‖U − U_0‖_F)‖V‖_F$",
        y_label="share of examples below",
        log="x", y_limits=(0, 1.02),
    )  # fmt: skip
    raw = [trends.gathered(some, "margin").mean() for some in (true, random)]
    median = [trends.gathered(some, "median_normalized_margin").mean() for some in (true, random)]
    return figure, (
        f"Margins over the measure, $h = {cells[0].settings.width}$: the median is "
        f"{median[0] / median[1]:.1f} times as large with true labels as with random ones. The raw "
        f"margins at the 5 % quantile do not tell them apart so: {raw[0]:.2f} with true labels, "
        f"{raw[1]:.2f} with random ones."
    )


CLAIMS = (
    lab.Claim(
        id="N-E6", title="Older measures grow", group="experiments",
        source=f"{PAPER}, Figure 3",
        statement="The terms of the type $‖·‖_{1,∞}$ and $‖U‖_F ‖V‖_F$ rise, from $h = 32$ to "
        "512 (a range chosen after it was known that they turn outside it, see N-E6-range), "
        "while $‖U − U_0‖_F ‖V‖_F$ falls; $‖U‖_2 ‖V − V_0‖_{1,2}$ is the smaller term (here: of "
        "its bound, from $h = 64$ on).",
        requests=WIDTHS,
        parts=(
            lab.Part("power of the width of $‖U‖_{1,∞} ‖V‖_{1,∞}$, $‖U‖_F ‖V‖_F$ and $‖U − "
                     "U_0‖_{1,2} ‖V‖_2$, from $h = 32$ to 512", _rises_between, RISES),
            lab.Part("power of the width of $‖U − U_0‖_F ‖V‖_F$",
                     trends.powers("row_dist_fro"), FALLS),
            lab.Part("largest $‖U‖_2 ‖V − V_0‖_{1,2}$ over $‖U − U_0‖_{1,2} ‖V‖_2$, from $h = "
                     "64$ on",
                     _smaller, lab.at_most(1.0)),
        ),
        faults=(
            lab.Fault("$‖U − U_0‖_{1,2} ‖V‖_2$ is smaller by $h^{0.5}$",
                      trends.shifted("row_l1max_spec", -0.5)),
            lab.Fault("$‖U‖_F ‖V‖_F$ is smaller by $h^{0.4}$",
                      trends.shifted("row_neyshabur2015", -0.4)),
            lab.Fault("$‖U − U_0‖_F ‖V‖_F$ is larger by $h^{0.5}$",
                      trends.shifted("row_dist_fro", 0.5)),
            lab.Fault("the two terms are exchanged",
                      trends.exchanged("row_l1max_spec", "row_spec_l1max")),
        ),
        does_not_show="Widths outside that range; see N-E6-range.",
        growth=2, figures=("terms",),
    ),
    lab.Claim(
        id="N-E6-range", title="They turn for the widest", group="caveats", source=AUTHORS,
        statement="That depends on the range: on small inputs $‖U − U_0‖_{1,2} ‖V‖_2$ is lower "
        "for the widest networks than at $h = 512$.",
        requests=DIGITS,
        parts=(lab.Part("log of $‖U − U_0‖_{1,2} ‖V‖_2$ at the widest over that at $h = 512$",
                        _turning, FALLS),),
        faults=(lab.Fault("it is larger by $h^{0.5}$", trends.shifted("row_l1max_spec", 0.5)),),
        does_not_show="Larger inputs, where the range is another one.",
        growth=2, figures=("terms",),
    ),
    lab.Claim(
        id="N-E8", title="Only the new bound falls", group="experiments",
        source=f"{PAPER}, Figure 5",
        statement="The new bound falls with the width, and it alone: every other one ends above "
        "its minimum.",
        requests=WIDTHS,
        parts=(
            lab.Part("power of the width of the new bound",
                     trends.powers("C_neyshabur2019"), FALLS),
            lab.Part("log of each other norm-based bound for the widest over its least before, "
                     "which was looked for", _rises, RISES),
            lab.Part("log of VC for the widest over its least before", _rise_of_vc, lab.above(0.0)),
        ),
        faults=(
            lab.Fault("the new bound is larger by $h^{0.5}$",
                      trends.shifted("C_neyshabur2019", 0.5)),
            lab.Fault("the bound of products of Frobenius norms is smaller by $h$",
                      trends.shifted("C_neyshabur2015", -1.0)),
            lab.Fault("VC is smaller by $h²$", trends.shifted("C_vc", -2.0)),
        ),
        note=_rises_in_words,
        does_not_show="Wider networks, for which the new bound must rise in the end: see "
        "N-E8-range.",
        growth=2, figures=("bounds", "bounds-normalized"),
    ),
    lab.Claim(
        id="N-E8-below", title="The new bound is below the others", group="experiments",
        source=f"{PAPER}, Figure 5",
        statement="From $h = 64$ on the new bound is below all other norm-based bounds, beyond "
        "$h = 1024$ below VC.",
        requests=WIDTHS,
        parts=(
            lab.Part("mean log of the new bound over each norm-based one, at every width from "
                     "64 on", _ratios(NORM_BOUNDS, trends.PAPER_NARROWEST), BELOW),
            lab.Part("mean log of the new bound over VC, at every width beyond 1024",
                     _ratios(["vc"], VC_FROM), BELOW),
        ),
        faults=(
            lab.Fault("the new bound is three times as large",
                      lab.scaled("C_neyshabur2019", 3.0)),
            lab.Fault("VC is a thousandth of what it is", lab.scaled("C_vc", 1e-3)),
        ),
        note=_nearest(trends.PAPER_NARROWEST),
        does_not_show="That any of them says something: see N-E8-vacuous.",
        growth=2, figures=("bounds",),
    ),
    lab.Claim(
        id="N-E8-narrow", title="It is below them at every width", group="caveats", source=AUTHORS,
        statement="The new bound is below all other norm-based bounds at every width, narrow "
        "networks among them.",
        requests=DIGITS,
        parts=(lab.Part("mean log of the new bound over each norm-based one, at every width",
                        _ratios(NORM_BOUNDS), BELOW),),
        faults=(lab.Fault("the new bound is a quarter smaller",
                          lab.scaled("C_neyshabur2019", 0.75)),),
        note=_nearest(),
        does_not_show="The paper's own range, which begins at $h = 64$.",
        expected="contradicted", growth=2, figures=("bounds",),
    ),
    lab.Claim(
        id="N-E8-vacuous", title="No bound says anything", group="caveats",
        source=f"{PAPER}, Figure 5",
        statement="All bounds are far above the number of examples (here: above it for every "
        "network): they say nothing.",
        requests=WIDTHS,
        parts=(lab.Part("largest $m/C$ of any bound", lambda cells: lab.largest(_share(cells)),
                        lab.at_most(1.0)),),
        faults=(lab.Fault("the new bound is $10⁻⁵$ of what it is",
                          lab.scaled("C_neyshabur2019", 1e-5)),),
        note=_least_bound,
        does_not_show="Samples as large as the paper's.",
        figures=("bounds",),
    ),
    lab.Claim(
        id="N-E8-range", title="In the end the new bound must rise", group="caveats",
        source=AUTHORS,
        statement="The term of the initial weights, $‖U_0‖_2 ‖V‖_F$, rises with the width: the "
        "new bound must rise in the end.",
        requests=DIGITS,
        parts=(lab.Part("power of the width of $‖U_0‖_2 ‖V‖_F$",
                        trends.powers("row_init_fro"), RISES),),
        faults=(
            REVERSED,
            lab.Fault("it is smaller by $h^{0.4}$", trends.shifted("row_init_fro", -0.4)),
        ),
        note=_overtaken,
        does_not_show="The width at which the bound turns.",
        growth=2, figures=("terms",),
    ),
    lab.Claim(
        id="N-E9", title="It tells true labels from random ones", group="experiments",
        source=f"{PAPER}, Figure 4",
        statement="Margins over the measure are larger for true than for random labels.",
        requests=LABELS,
        parts=(
            lab.Part("log of the median normalized margin, true over random labels",
                     _margins, RISES),
            trends.all_fit(),
        ),
        faults=(lab.Fault("the labels are exchanged", _exchanged_labels), ONE_MISSES),
        note=_raw_margins,
        does_not_show="Other drawings of labels, or other widths.",
        growth=2, figures=("margins",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((), CLAIMS, (
    lab.Figure("terms", "The terms of the bounds (Figure 3)", WIDTHS, _draw_terms),
    lab.Figure("margins", "True and random labels (Figure 4)", LABELS, _draw_margins),
    lab.Figure("bounds", "The bounds (Figure 5, left)", WIDTHS, _draw_bounds),
    lab.Figure("bounds-normalized", "The bounds over their maxima (Figure 5)",
               WIDTHS, _draw_normalized),
))  # fmt: skip
