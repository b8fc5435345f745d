"""The figures of the report, after Figures 1 to 5 of the paper."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from whytrain.lab import Cells, Figure, estimate_mean
from whytrain.report import figures as draw
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.trends import slope, values
from whytrain.studies.neyshabur2019.width import LEVELS

Datasets = Sequence[xr.Dataset]
Drawing = tuple  # a matplotlib figure and its caption

BOUNDS = {
    "vc": ("VC", "gray"), "bartlett_mendelson2002": ("BM 2002", "orange"),
    "neyshabur2015": ("N 2015", "green"), "bartlett2017": ("B 2017", "purple"),
    "neyshabur2018": ("N 2018", "sky"), "neyshabur2019": ("N 2019", "blue"),
}  # fmt: skip


def _widths(datasets: Datasets) -> list[int]:
    return [int(dataset.h[0]) for dataset in datasets]


def _band(row: np.ndarray) -> tuple[float, float, float]:
    """The mean of what could be measured, and the ends of its 95 % interval.

    Few runs bound little: a band must not leave the positive numbers of a logarithmic axis.
    """
    known = row[np.isfinite(row)]
    if not len(known):
        return np.nan, np.nan, np.nan
    mean = estimate_mean(known)
    return mean.value, max(mean.low, 0.5 * known.min()), min(mean.high, 2 * known.max())


def _ticks(datasets: Datasets, apart: float = 3.0) -> list[int]:
    """Widths far enough apart for their labels."""
    kept: list[int] = []
    for width in _widths(datasets):
        if not kept or width >= apart * kept[-1]:
            kept.append(width)
    return kept


def _series(
    datasets: Datasets, name: str, label: str = "", color: str | None = None, scale: float = 1.0
) -> draw.Series:
    """The mean over runs of a number over the width, with its 95 % interval."""
    rows = [values(dataset, name) * scale for dataset in datasets]
    means, low, high = np.transpose([_band(row) for row in rows])
    return draw.Series(_widths(datasets), means, label, low=low, high=high, color=color, marker="o")


def _panels(
    datasets: Datasets, content: Sequence[tuple[str, dict[str, str]]],
    x_label: str = "hidden units h", apart: float = 3.0,
):  # fmt: skip
    colors = ("blue", "orange", "green", "purple")
    panels = [
        draw.Panel(
            [
                _series(datasets, name, label, color)
                for (name, label), color in zip(lines.items(), colors, strict=False)
            ],
            title,
            log=True,
        )
        for title, lines in content
    ]
    return draw.lines(panels, x_label=x_label, log="x", x_ticks=_ticks(datasets, apart))


def _figure1(datasets: Datasets) -> Drawing:
    figure = _panels(datasets, [
        ("error", {"test_error": "test"}),
        ("mean over hidden units", {"unit_capacity": "capacity", "unit_impact": "impact"}),
        ("epochs to the target", {"epochs": ""}),
    ])  # fmt: skip
    fit, all_runs = _fit(datasets)
    return figure, (
        "Test error, mean unit capacity and impact, and training time over the width; bands are 95 "
        f"% intervals of the mean over {_seeds(datasets)} seeds. {fit} of {all_runs} networks fit "
        f"their sample. The test error goes like {_power(datasets, 'test_error')}, capacity like "
        f"{_power(datasets, 'unit_capacity')}, impact like {_power(datasets, 'unit_impact')}; the "
        "paper has the latter two below h^-0.5."
    )


def _power(datasets: Datasets, name: str) -> str:
    logs = [np.log(values(dataset, name)) for dataset in datasets]
    return f"h^{slope(_widths(datasets), logs).value:.2f}"


def _fit(datasets: Datasets) -> tuple[int, int]:
    """How many networks reached the target, and of how many."""
    fits = np.concatenate([values(dataset, "fits") for dataset in datasets])
    return int(fits.sum()), len(fits)


def _seeds(datasets: Datasets) -> str:
    """The numbers of runs of a width, smallest to largest."""
    counts = [dataset.sizes["run"] for dataset in datasets]
    few, many = min(counts), max(counts)
    return str(few) if few == many else f"{few} to {many}"


def _residual(datasets: Datasets) -> Drawing:
    figure = _panels(
        datasets, [("test error", {"test_error": ""}), ("epochs to the target", {"epochs": ""})],
        x_label="channels k", apart=1.3,
    )  # fmt: skip
    narrow, wide = datasets[0], datasets[-1]
    fit, all_runs = _fit(datasets)
    errors = [float(values(d, "test_error").mean()) for d in (narrow, wide)]
    return figure, (
        f"Pre-activation ResNet18 with k to 8k channels: {fit} of {all_runs} networks fit their "
        f"sample of {int(narrow.m[0])} images, to a cross-entropy of 0.01. The mean test error "
        f"goes from {errors[0]:.3f} at k = {int(narrow.h[0])} to {errors[1]:.3f} at k = "
        f"{int(wide.h[0])}; bands are 95 % intervals over {_seeds(datasets)} seeds. Channels, "
        "images and sample are smaller than the paper's, which are of CIFAR-10."
    )


def _figure2(datasets: Datasets) -> Drawing:
    figure = _panels(datasets, [
        ("output layer", {"V_frobenius": "‖V‖F", "V_distance_frobenius": "‖V − V⁰‖F"}),
        ("hidden layer", {
            "U_frobenius": "‖U‖F", "U_spectral": "‖U‖₂", "U_distance_frobenius": "‖U − U⁰‖F",
        }),
        ("median angle of u to u⁰ (degrees)", {"angle": ""}),
    ])  # fmt: skip
    end = float(values(datasets[-1], "angle").mean())
    return figure, (
        "Norms of both layers over the width. ‖V‖F goes like "
        f"{_power(datasets, 'V_frobenius')}, ‖V − V⁰‖F like "
        f"{_power(datasets, 'V_distance_frobenius')}, ‖U − U⁰‖F like "
        f"{_power(datasets, 'U_distance_frobenius')}. ‖U‖F and ‖U‖₂ rise in wide networks because "
        f"the initial weights do: the widest units have turned by {end:.1f} degrees. (On "
        "Fashion-MNIST ‖V − V⁰‖F falls at first and then rises, and ‖U‖₂ rises only at the very "
        "end; claims N-E3 and N-E4.)"
    )


def _distributions(datasets: Datasets, name: str, label: str, log: str) -> list[draw.Series]:
    colors = ("sky", "blue", "green", "orange", "purple", "ink")
    series = []
    for dataset, color in zip(datasets, colors, strict=False):
        values = dataset[name].mean("run").values
        series.append(draw.Series(values, LEVELS, label.format(int(dataset.h[0])), color=color))
    return series


def _units(datasets: Datasets) -> Drawing:
    figure = draw.lines(
        _distributions(datasets, "unit_capacity_levels", "h = {}", "x"),
        x_label="unit capacity ‖u − u⁰‖", y_label="share of units below", log="x",
        y_limits=(0, 1.02),
    )  # fmt: skip
    return figure, (
        "Distribution of unit capacities over the hidden units of each width, averaged over seeds: "
        "it moves down as a whole, so that no few units carry the network."
    )


def _figure3(datasets: Datasets) -> Drawing:
    figure = _panels(datasets, [
        ("terms of Bartlett 2017", {
            "row_l1max_spec": "‖U − U⁰‖₁₂‖V‖₂", "row_spec_l1max": "‖U‖₂‖V − V⁰‖₁₂",
        }),
        ("terms of Neyshabur 2018", {
            "row_dist_spec": "√h D₁‖V‖₂", "row_spec_dist": "√c D₂‖U‖₂",
        }),
        ("terms of the new bound", {
            "row_dist_fro": "D₁‖V‖F", "row_init_fro": "‖U⁰‖₂‖V‖F",
        }),
        ("other rows of Table 1", {
            "row_bartlett_mendelson2002": "‖U‖∞₁‖V‖∞₁", "row_neyshabur2015": "‖U‖F‖V‖F",
        }),
    ])  # fmt: skip
    return figure, (
        "The terms that the bounds are made of, without constants, with D₁ = ‖U − U⁰‖F and D₂ = ‖V "
        f"− V⁰‖F. D₁‖V‖F goes like {_power(datasets, 'row_dist_fro')}, the term of the initial "
        f"weights like {_power(datasets, 'row_init_fro')}: it is what will stop the new bound from "
        "falling at still larger widths."
    )


def _figure5(datasets: Datasets) -> Drawing:
    series = [
        _series(datasets, f"C_{name}", label, color) for name, (label, color) in BOUNDS.items()
    ]
    m = float(datasets[0].m[0])
    least = min(float(np.nanmin(values(d, f"C_{name}"))) for name in BOUNDS for d in datasets) / m
    figure = draw.lines(
        series, x_label="hidden units h", y_label="capacity C", log="xy",
        x_ticks=_ticks(datasets), y_limits=(m / 3, None),
        references=[draw.Reference(m, "number of examples")],
    )  # fmt: skip
    return figure, (
        "Every bound with its constants: the gap is at most √(C/m). B is Bartlett et al., BM "
        "Bartlett and Mendelson, N Neyshabur et al., VC the VC dimension. The new bound, N 2019, "
        f"goes like {_power(datasets, 'C_neyshabur2019')}. The least of all is {least:,.0f} times "
        "the number of examples: where that is above 1, no bound says anything about these "
        "networks."
    )


def _figure5_normalized(datasets: Datasets) -> Drawing:
    series, growth = [], ""
    for name, (label, color) in BOUNDS.items():
        means = np.array([values(d, f"C_{name}").mean() for d in datasets])
        growth += f"{', ' if growth else ''}{means[-1] / means.min():.3g} ({label})"
        series.append(_series(datasets, f"C_{name}", label, color, 1 / float(means.max())))
    figure = draw.lines(
        series, x_label="hidden units h", y_label="capacity over its maximum", log="xy",
        x_ticks=_ticks(datasets),
    )  # fmt: skip
    return figure, (
        "The same bounds, each over its largest value. The paper has the new one falling and every "
        "other one ending above its least value; here, from their least values to the widest, they "
        f"grow by the factors {growth}."
    )


def _figure4(datasets: Datasets) -> Drawing:
    series = [
        draw.Series(
            d.normalized_margin_levels.mean("run").values, LEVELS, f"{kind} labels", color=color
        )
        for d, kind, color in zip(datasets, ("true", "random"), ("blue", "orange"), strict=True)
    ]
    figure = draw.lines(
        series, x_label="margin / ((‖U⁰‖₂ + ‖U − U⁰‖F)‖V‖F)", y_label="share of examples below",
        log="x", y_limits=(0, 1.02),
    )  # fmt: skip
    raw = [float(values(d, "margin").mean()) for d in datasets]
    median = [float(values(d, "median_normalized_margin").mean()) for d in datasets]
    return figure, (
        f"Margins over the measure, h = {int(datasets[0].h[0])}: the median is "
        f"{median[0] / median[1]:.1f} times as large with true labels as with random ones. The raw "
        f"margins at the 5 % quantile do not tell them apart so: {raw[0]:.2f} with true labels, "
        f"{raw[1]:.2f} with random ones."
    )


def _data(draw: Callable[[Datasets], Drawing]) -> Callable[[Cells], Drawing]:
    return lambda cells: draw([cell.data for cell in cells])


FIGURES = (
    Figure("errors", "Error, units and time (Figures 1 and 4)", requests.widths, _data(_figure1)),
    Figure("residual", "Residual networks (Figure 1, left)", requests.residual, _data(_residual)),
    Figure("layers", "The two layers over the width (Figure 2)", requests.widths, _data(_figure2)),
    Figure("units", "Distribution of unit capacities (Figure 2)", requests.widths, _data(_units)),
    Figure("terms", "The terms of the bounds (Figure 3)", requests.widths, _data(_figure3)),
    Figure("margins", "True and random labels (Figure 4)", requests.labels, _data(_figure4)),
    Figure("bounds", "The bounds (Figure 5, left)", requests.widths, _data(_figure5)),
    Figure(
        "bounds-normalized", "The bounds over their maxima (Figure 5)", requests.widths,
        _figure5_normalized,
    ),
)  # fmt: skip
