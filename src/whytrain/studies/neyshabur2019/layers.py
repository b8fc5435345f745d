"""How do units and layers change with the width?"""

import numpy as np

from whytrain import lab
from whytrain.report import figures as draw
from whytrain.studies.neyshabur2019 import curves, trends
from whytrain.studies.neyshabur2019.trends import FALLS, ONE_MISSES, PAPER, REVERSED, RISES
from whytrain.studies.neyshabur2019.width import DIGITS, LEVELS, WIDTHS

NEAR = 0.8  # what "nearly with equality" is to mean
OUTPUT = ("V_frobenius", "V_distance_frobenius")
_SYMBOLS = ("$‖V‖_F$", "$‖V − V_0‖_F$")


def _output_powers(cells: lab.Cells) -> list[lab.Estimate]:
    return trends.powers(*OUTPUT)(cells.sel(data="digits"))


def _other_data(cells: lab.Cells) -> str:
    """The ratio of both norms on digits, and what other data say."""
    small = cells.sel(data="digits")
    ratio = trends.gathered(small, OUTPUT[1]) / trends.gathered(small, OUTPUT[0])
    note = f"the second over the first is {ratio.min():.2f} to {ratio.max():.2f}"
    for data, others in cells.by("data").items():
        if data != "digits":
            wide = trends.from_width(others, trends.PAPER_NARROWEST)
            found = [trends.power(wide, name) for name in OUTPUT]
            note += f"; on {data}, from $h = {trends.PAPER_NARROWEST}$ on, " + " and ".join(
                f"{symbol} goes like $h^{{{e.value:.3f}}}$ ({e.low:.3f} to {e.high:.3f})"
                for symbol, e in zip(_SYMBOLS, found, strict=True)
            )
    return note


def _more_growth(cells: lab.Cells) -> lab.Estimate:
    """How much more the Frobenius norm grows than the spectral norm, from end to end, in logs."""
    sweep = trends.by_width(cells, 2)
    both = zip(trends.logs(sweep, "U_frobenius"), trends.logs(sweep, "U_spectral"), strict=True)
    growth = [frobenius - spectral for frobenius, spectral in both]
    return trends.weighted([growth[0], growth[-1]], [-1, 1])


def _bottoms(cells: lab.Cells) -> str:
    between = trends.by_width(cells)[1:-1]
    norms = {"$‖U‖_F$": "U_frobenius", "$‖U‖_2$": "U_spectral"}
    lowest = {symbol: trends.lowest(between, name) for symbol, name in norms.items()}
    return ", ".join(f"{symbol} is lowest at $h = {h}$" for symbol, h in lowest.items())


def _angle(end: int) -> trends.Measure:
    """The mean over runs of the median angle, at one end of the sweep."""
    return lambda cells: lab.estimate_mean(
        trends.values(trends.by_width(cells, 2)[end].data, "angle")
    )


def _likeness(cell: lab.Cell) -> np.ndarray:
    ratio = trends.values(cell.data, "U_distance_1_2") / trends.values(
        cell.data, "U_distance_frobenius"
    )
    return ratio / cell.settings.width**0.5


def _classes(cells: lab.Cells) -> lab.Estimate:
    return lab.largest(
        trends.gathered(cells, "V_frobenius") / trends.gathered(cells, "V_spectral") / 10**0.5
    )


def _draw_layers(cells: lab.Cells) -> tuple:
    figure = curves.panels(cells, [
        ("output layer", {"V_frobenius": "$‖V‖_F$", "V_distance_frobenius": "$‖V − V_0‖_F$"}),
        ("hidden layer", {
            "U_frobenius": "$‖U‖_F$", "U_spectral": "$‖U‖_2$",
            "U_distance_frobenius": "$‖U − U_0‖_F$",
        }),
        ("median angle of $u_j$ to $u_j^0$ (degrees)", {"angle": ""}),
    ])  # fmt: skip
    end = float(trends.values(trends.widest(cells).data, "angle").mean())
    output, moved, hidden = (
        curves.power(cells, name) for name in (*OUTPUT, "U_distance_frobenius")
    )
    return figure, (
        f"Norms of both layers over the width. $‖V‖_F$ goes like {output}, $‖V − V_0‖_F$ like "
        f"{moved}, $‖U − U_0‖_F$ like {hidden}. $‖U‖_F$ and $‖U‖_2$ rise in wide networks because "
        f"the initial weights do: the widest units have turned by {end:.1f} degrees. (On "
        "Fashion-MNIST $‖V − V_0‖_F$ falls at first and then rises, and $‖U‖_2$ rises only at the "
        "very end; claims N-E3 and N-E4.)"
    )


def _draw_units(cells: lab.Cells) -> tuple:
    colors = draw.sequence(len(cells))
    series = [
        draw.Series(
            cell.data.unit_capacity_levels.mean("run").values, LEVELS,
            f"$h = {cell.settings.width}$", color=color,
        )
        for cell, color in zip(cells, colors, strict=True)
    ]  # fmt: skip
    figure = draw.lines(
        series, x_label="unit capacity $‖u_j − u_j^0‖$", y_label="share of units below", log="x",
        y_limits=(0, 1.02),
    )  # fmt: skip
    return figure, (
        "A line for each width, averaged over seeds: "
        "the distribution moves down as a whole, so that no few units carry the network."
    )


CLAIMS = (
    lab.Claim(
        id="N-D1", title="Units add up to Frobenius norms", group="definitions",
        source=f"{PAPER}, definitions",
        statement="Squared unit capacities sum to $‖U − U_0‖_F²$, squared unit impacts to "
        "$‖V‖_F²$.",
        requests=WIDTHS,
        parts=(lab.identity("sum_of_squares_error", tolerance=1e-10,
                            what="largest relative difference of either sum"),),
        faults=(lab.Fault("a sum differs by $10⁻⁹$ of itself",
                          lab.added("sum_of_squares_error", 1e-9)),),
        does_not_show="Networks with more than one hidden layer.",
        figures=("errors", "layers"),
    ),
    lab.Claim(
        id="N-E2", title="Each unit does less", group="experiments",
        source=f"{PAPER}, Figures 1 and 4",
        statement=r"Mean unit capacity and mean unit impact fall faster than $1/\sqrt{h}$.",
        requests=WIDTHS,
        parts=(
            lab.Part("power of the width of mean unit impact, and of mean unit capacity",
                     trends.powers("unit_impact", "unit_capacity"),
                     lab.below(-0.5, resolution=trends.RESOLUTION)),
            trends.all_fit(),
        ),
        faults=(
            lab.Fault("impacts are larger by $h^{0.15}$", trends.shifted("unit_impact", 0.15)),
            lab.Fault("capacities are larger by $h^{0.4}$", trends.shifted("unit_capacity", 0.4)),
            ONE_MISSES,
        ),
        does_not_show="That either is a power of the width.",
        growth=2, figures=("errors", "units"),
    ),
    lab.Claim(
        id="N-E3", title="The output layer shrinks", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="$‖V‖_F$ and $‖V − V_0‖_F$ fall with the width: on digits, which were chosen "
        "for this after Fashion-MNIST, where the latter falls and then rises (the note has both).",
        requests=DIGITS + WIDTHS,
        parts=(lab.Part("power of the width of $‖V‖_F$, and of $‖V − V_0‖_F$, on digits",
                        _output_powers, FALLS),),
        faults=(
            REVERSED,
            lab.Fault("$‖V − V_0‖_F$ is larger by $h^{0.2}$",
                      trends.shifted("V_distance_frobenius", 0.2)),
        ),
        note=_other_data,
        does_not_show="Other data: on Fashion-MNIST it fails.",
        growth=2, figures=("layers",),
    ),
    lab.Claim(
        id="N-E4", title="The hidden layer shrinks and grows", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="$‖U‖_2$ and $‖U‖_F$ first fall, then rise, the latter faster; $‖U − U_0‖_F$ "
        "falls. (On Fashion-MNIST $‖U‖_2$ has its least value late, and a width of 8192 was "
        "added to see the rise.)",
        requests=WIDTHS,
        parts=(
            lab.Part("log of $‖U‖_F$ at both ends over its least between, which was looked for",
                     trends.valley("U_frobenius"), RISES),
            lab.Part("log of $‖U‖_2$ at both ends over its least between, which was looked for",
                     trends.valley("U_spectral"), RISES),
            lab.Part("power of the width of $‖U − U_0‖_F$",
                     trends.powers("U_distance_frobenius"), FALLS),
            lab.Part("log of the growth of $‖U‖_F$, narrowest to widest, over that of $‖U‖_2$",
                     _more_growth, RISES),
        ),
        faults=(
            lab.Fault("$‖U‖_2$ is larger by $h^{0.2}$", trends.shifted("U_spectral", 0.2)),
            lab.Fault("$‖U‖_F$ and $‖U‖_2$ are exchanged",
                      trends.exchanged("U_frobenius", "U_spectral")),
            lab.Fault("$‖U − U_0‖_F$ is larger by $h^{0.5}$",
                      trends.shifted("U_distance_frobenius", 0.5)),
        ),
        note=_bottoms,
        does_not_show="Where the least values are.",
        growth=2, figures=("layers",),
    ),
    lab.Claim(
        id="N-E5", title="Units stay near their start", group="experiments",
        source=f"{PAPER}, Figure 2",
        statement="Units turn away from their start less and less, from nearly orthogonal to "
        "nearly aligned (here: the median angle is above 45 degrees for the narrowest and below "
        "for the widest), and unit capacities fall.",
        requests=WIDTHS,
        parts=(
            lab.Part("median angle of the narrowest (degrees)",
                     _angle(0), lab.above(45.0, resolution=1.0)),
            lab.Part("median angle of the widest (degrees)",
                     _angle(-1), lab.below(45.0, resolution=1.0)),
            lab.Part("power of the width of the median angle, and of mean unit capacity",
                     trends.powers("angle", "unit_capacity"), FALLS),
        ),
        faults=(
            REVERSED,
            lab.Fault("no angle is below 46 degrees", lab.altered("angle", lambda a: 46 + a / 10)),
            lab.Fault("capacities are larger by $h$", trends.shifted("unit_capacity", 1.0)),
        ),
        does_not_show="Single units: half of them turn more than the median.",
        growth=2, figures=("layers", "units"),
    ),
    lab.Claim(
        id="N-CMP", title="A sum over units costs a root of the width", group="definitions",
        source=f"{PAPER}, Section 3",
        statement=r"$‖U − U_0‖_{1,2} ≤ \sqrt{h} ‖U − U_0‖_F$, nearly with equality (here: "
        r"within 20 %), and $‖V‖_F ≤ \sqrt{c} ‖V‖_2$.",
        requests=WIDTHS,
        parts=(
            lab.Part(r"mean of $‖U − U_0‖_{1,2}$ over $\sqrt{h} ‖U − U_0‖_F$, at every width",
                     lambda cells: [lab.estimate_mean(_likeness(cell)) for cell in cells],
                     lab.above(NEAR, resolution=trends.RESOLUTION)),
            lab.Part(r"largest $‖U − U_0‖_{1,2}$ over $\sqrt{h} ‖U − U_0‖_F$",
                     lambda cells: lab.largest(np.concatenate([_likeness(cell) for cell in cells])),
                     lab.at_most(1 + 1e-12)),
            lab.Part(r"largest $‖V‖_F$ over $\sqrt{c} ‖V‖_2$", _classes, lab.at_most(1 + 1e-12)),
        ),
        faults=(
            lab.Fault("$‖U − U_0‖_{1,2}$ is a quarter smaller",
                      lab.scaled("U_distance_1_2", 0.75)),
            lab.Fault("$‖U − U_0‖_{1,2}$ is a quarter larger",
                      lab.scaled("U_distance_1_2", 1.25)),
            lab.Fault("$‖V‖_F$ is twice as large", lab.scaled("V_frobenius", 2.0)),
        ),
        does_not_show="Networks whose units are not alike, such as pruned ones.",
        growth=2, figures=("layers",),
    ),
)  # fmt: skip

TOPIC = lab.Topic((), CLAIMS, (
    lab.Figure("layers", "The two layers over the width (Figure 2)", WIDTHS, _draw_layers),
    lab.Figure("units", "Distribution of unit capacities (Figure 2)", WIDTHS, _draw_units),
))  # fmt: skip
