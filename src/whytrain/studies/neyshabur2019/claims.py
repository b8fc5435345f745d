"""The claims, each with the check that decides it; ids follow the paper's theorems and figures."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from whytrain.lab import Claim, Verdict, mean_interval, slope_interval
from whytrain.measures.rademacher import covering_number_log
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.witness import FLOOR

Datasets = Sequence[xr.Dataset]
NORM_BOUNDS = ("bartlett_mendelson2002", "neyshabur2015", "bartlett2017", "neyshabur2018")
PAPER_NARROWEST = 64  # the paper's figures begin at this width
L1_WIDEST = 512


def verdict(
    low: float,
    high: float,
    threshold: float,
    estimate: float,
    runs: int,
    note: str,
    above: bool = True,
) -> Verdict:
    """Supported where the interval is on the claim's side, contradicted on the other."""
    holds, fails = low > threshold, high < threshold
    if not above:
        holds, fails = fails, holds
    word = "supported" if holds else "contradicted" if fails else "inconclusive"
    return Verdict(word, estimate, (low, high), threshold, runs, note)


def bounded(values: np.ndarray, limit: float, runs: int, note: str) -> Verdict:
    """Supported where no value exceeds a limit that none may exceed."""
    worst = float(np.max(values))
    word = "supported" if worst <= limit else "contradicted"
    return Verdict(word, worst, (float(np.min(values)), worst), limit, runs, note)


def sizes(datasets: Datasets) -> np.ndarray:
    """The width of every run."""
    return np.concatenate([dataset.h.values for dataset in datasets])


def gathered(datasets: Datasets, name: str) -> np.ndarray:
    """A number of every run; NaN where it could not be measured."""
    nothing = [np.full(dataset.sizes["run"], np.nan) for dataset in datasets]
    return np.concatenate([
        dataset[name].values if name in dataset else empty
        for dataset, empty in zip(datasets, nothing, strict=True)
    ])  # fmt: skip


def slope(datasets: Datasets, name: str) -> tuple[float, float, float]:
    """The power of the width in a number, with its 95 % interval over all runs."""
    return slope_interval(np.log(sizes(datasets)), np.log(gathered(datasets, name)))


def steepest(datasets: Datasets, names: Sequence[str], sign: int, threshold: float = 0.0):
    """Of several powers of the width the one that is nearest to being on the wrong side."""
    found = {name: slope(datasets, name) for name in names}
    worst = min(names, key=lambda name: sign * found[name][0] - abs(_half(found[name])))
    words = ", ".join(f"{name} {found[name][0]:+.2f}" for name in names)
    estimate, low, high = found[worst]
    note = f"powers of the width: {words}"
    return verdict(low, high, threshold, estimate, len(sizes(datasets)), note, sign > 0)


def _half(found: tuple[float, float, float]) -> float:
    return (found[2] - found[1]) / 2


def combine(*parts: Verdict) -> Verdict:
    """All must hold: the first that is contradicted, else inconclusive, else the first of all."""
    for word in ("contradicted", "inconclusive"):
        for part in parts:
            if part.verdict == word:
                return part
    first = parts[0]
    note = "; ".join(part.note for part in parts)
    return Verdict("supported", first.estimate, first.interval, first.threshold, first.runs, note)


def log_ratio(datasets: Datasets, name: str, first: int, last: int) -> np.ndarray:
    """The logarithm of a number at one width over its mean at another, for every run."""
    base = float(np.log(gathered([datasets[first]], name)).mean())
    return np.log(gathered([datasets[last]], name)) - base


def all_fit(datasets: Datasets) -> Verdict:
    """Every network reached the target, or no capacity may be compared."""
    fits = gathered(datasets, "fits")
    share = float(fits.mean())
    word = "supported" if share == 1 else "contradicted"
    note = f"{int(fits.sum())} of {len(fits)} networks reach the target"
    return Verdict(word, share, (share, share), 1.0, len(fits), note)


def _theorem1(datasets: Datasets) -> Verdict:
    ramp, plain = (gathered(datasets, name) for name in ("ramp_loss", "no_loss"))
    note = (
        f"largest complexity over its bound: {ramp.max():.3f} with the ramp loss, "
        f"{plain.max():.3f} without; (7) over (6): {gathered(datasets, 'by_norms').min():.4f} or "
        "more"
    )
    order = 1 / gathered(datasets, "by_norms")
    worst = np.maximum(np.maximum(ramp, plain), order * (order > 1 + 1e-12))
    return bounded(worst, 1.0, len(ramp), note)


def _theorem2(datasets: Datasets) -> Verdict:
    widths = (2, 8, 64, 1024, 32768, 10**6)
    worst = max(covering_number_log(h) / h for h in widths)
    gap = gathered(datasets, "test_error") - gathered(datasets, "train_error")
    ratio = gap / np.sqrt(gathered(datasets, "C_neyshabur2019") / gathered(datasets, "m"))
    note = f"ln N / h is {worst:.2f} at most, the theorem's constant is 5; gap over its bound"
    if worst > 5:
        return Verdict("contradicted", worst, (worst, worst), 5.0, len(widths), note)
    return bounded(ratio, 1.0, len(ratio), note)


def _witness(datasets: Datasets) -> Verdict:
    found = [(*mean_interval(d.ratio.values), float(d.ratio.mean())) for d in datasets]
    low, high, estimate = min(found)
    top = float(np.nanmax(gathered(datasets, "spectral")))
    runs = len(gathered(datasets, "ratio"))
    note = f"the least mean over sizes; ||U||_2 is {top:.12g} max beta at most"
    if top > 1 + 1e-9:
        return Verdict("contradicted", estimate, (low, high), FLOOR, runs, note)
    return verdict(low, high, FLOOR, estimate, runs, note)


def _second_term(datasets: Datasets) -> Verdict:
    found = [
        (*mean_interval(d.initial_ratio.values), float(d.initial_ratio.mean())) for d in datasets
    ]
    low, high, estimate = min(found)
    runs = len(gathered(datasets, "ratio"))
    note = "the least mean over sizes, for samples that hold -x with x: half of ||U0 X|| is kept"
    return verdict(low, high, 0.5, estimate, runs, note)


def _linear_gap(datasets: Datasets) -> Verdict:
    means = [float(d.over_linear.mean()) for d in datasets]
    h = np.array(requests.SIZES["paper"][: len(means)])
    estimate, low, high = slope_interval(np.log(h), np.log(means))
    largest = mean_interval(datasets[-1].over_linear.values)
    runs = len(gathered(datasets, "ratio"))
    note = (
        f"power of h; at h = {h[-1]} the ratio is {means[-1]:.2f}, a linear network's is at most 1"
    )
    word = "supported" if abs(estimate - 0.5) < 0.1 and largest[0] > 1 else "contradicted"
    return Verdict(word, estimate, (low, high), 0.5, runs, note)


def _units(datasets: Datasets) -> Verdict:
    errors = gathered(datasets, "sum_of_squares_error")
    note = (
        "sum of squared unit capacities over ||U - U0||_F^2, and of impacts over ||V||_F^2, off 1"
    )
    return bounded(np.nan_to_num(errors, nan=np.inf), 1e-10, len(errors), note)


def _margin(datasets: Datasets) -> Verdict:
    slopes = gathered(datasets, "margin_slope")
    note = "largest difference quotient of the margin in the logits; the constant is sqrt(2)"
    return bounded(slopes, math.sqrt(2) + 1e-9, len(slopes), note)


def _ramp(name: str):
    def check(datasets: Datasets) -> Verdict:
        slopes = gathered(datasets, f"{name}_slope")
        below = gathered(datasets, f"{name}_below_error").any()
        note = "largest slope, times gamma, over random margins"
        note += "; somewhere below the error" if below else "; nowhere below the error"
        return bounded(slopes, np.inf if np.nan in slopes else 1 + 1e-6, len(slopes), note)

    return check


def _fit_and_generalize(datasets: Datasets) -> Verdict:
    errors = gathered(datasets, "train_error")
    found = steepest(datasets, ["test_error"], -1)
    fitting = [int(d.h[0]) for d in datasets if float(d.train_error.max()) == 0]
    if not fitting or np.isnan(errors).any():
        return Verdict("contradicted", float(np.nanmax(errors)), (0, 1), 0.0, len(errors), "no fit")
    wide = [d for d in datasets if int(d.h[0]) >= min(fitting)]
    found = steepest(wide, ["test_error"], -1)
    note = f"train error 0 from h = {min(fitting)} on; beyond, {found.note}"
    return Verdict(found.verdict, found.estimate, found.interval, 0.0, found.runs, note)


def _shrinking_units(datasets: Datasets) -> Verdict:
    return combine(
        steepest(datasets, ["unit_impact", "unit_capacity"], -1, -0.5), all_fit(datasets)
    )


def _output_layer(datasets: Datasets) -> Verdict:
    """Decided on digits; what other data say stands in the note."""
    norms = ["V_frobenius", "V_distance_frobenius"]
    small, others = datasets[: len(requests.DIGITS)], datasets[len(requests.DIGITS) :]
    ratio = gathered(small, norms[1]) / gathered(small, norms[0])
    found = steepest(small, norms, -1)
    note = f"{found.note}; the second over the first is {ratio.min():.2f} to {ratio.max():.2f}"
    if others:
        wide = [d for d in others if int(d.h[0]) >= PAPER_NARROWEST]
        also = ", ".join(f"{name} {slope(wide, name)[0]:+.2f}" for name in norms)
        note += f"; on the preset's own data, from h = {PAPER_NARROWEST} on: {also}"
    return Verdict(found.verdict, found.estimate, found.interval, 0.0, found.runs, note)


def _valley(datasets: Datasets, name: str) -> Verdict:
    """First down, then up: both the fall to the lowest mean and the rise from it exceed 0."""
    means = [float(gathered([d], name).mean()) for d in datasets]
    lowest = int(np.nanargmin(means))
    runs = len(gathered(datasets, name))
    note = f"{name} has its minimum at h = {int(datasets[lowest].h[0])}"
    if lowest in (0, len(datasets) - 1):
        return Verdict("contradicted", 0.0, (0.0, 0.0), 0.0, runs, f"{note}, an end")
    fall = mean_interval(-log_ratio(datasets, name, 0, lowest))
    rise = mean_interval(log_ratio(datasets, name, lowest, -1))
    low, high = min(fall, rise)
    return verdict(low, high, 0.0, (low + high) / 2, runs, note)


def _hidden_layer(datasets: Datasets) -> Verdict:
    moved = steepest(datasets, ["U_distance_frobenius"], -1)
    faster = log_ratio(datasets, "U_frobenius", 0, -1) - log_ratio(datasets, "U_spectral", 0, -1)
    low, high = mean_interval(faster)
    note = "the Frobenius norm ends higher over its start than the spectral norm"
    more = verdict(low, high, 0.0, float(faster.mean()), len(faster), note)
    return combine(
        _valley(datasets, "U_frobenius"), _valley(datasets, "U_spectral"), moved, more,
    )  # fmt: skip


def _angles(datasets: Datasets) -> Verdict:
    first, last = (gathered([datasets[i]], "angle") for i in (0, -1))
    found = combine(
        steepest(datasets, ["angle"], -1), steepest(datasets, ["unit_capacity"], -1),
    )  # fmt: skip
    note = f"median angle from {first.mean():.0f} degrees, narrow, to {last.mean():.1f}, wide"
    low, high = mean_interval(first - last)
    return combine(verdict(low, high, 45.0, float((first - last).mean()), len(first), note), found)


def _l1_terms(datasets: Datasets) -> Verdict:
    narrow = [d for d in datasets if int(d.h[0]) <= L1_WIDEST]
    rise = ["row_bartlett_mendelson2002", "row_neyshabur2015", "row_l1max_spec"]
    small = gathered(datasets, "row_spec_l1max") / gathered(datasets, "row_l1max_spec")
    ends = [d for d in narrow if int(d.h[0]) >= 32]
    return combine(
        steepest(ends, rise, 1), steepest(datasets, ["row_dist_fro"], -1),
        bounded(small[sizes(datasets) >= PAPER_NARROWEST], 1.0, len(small), "smaller over larger"),
    )  # fmt: skip


def _turning(datasets: Datasets) -> Verdict:
    means = [float(gathered([d], "row_l1max_spec").mean()) for d in datasets]
    top = int(np.nanargmax(means))
    note = f"||U - U0||_12 ||V||_2 is largest at h = {int(datasets[top].h[0])}"
    runs = len(sizes(datasets))
    if top == len(datasets) - 1:
        change = log_ratio(datasets, "row_l1max_spec", -2, -1)
        low, high = mean_interval(change)
        return verdict(low, high, 0.0, float(change.mean()), runs, f"{note}, the largest", False)
    low, high = mean_interval(log_ratio(datasets, "row_l1max_spec", top, -1))
    return verdict(low, high, 0.0, (low + high) / 2, runs, note, False)


def _epochs(datasets: Datasets) -> Verdict:
    return combine(steepest(datasets, ["epochs"], -1), all_fit(datasets))


def _ours_decreases(datasets: Datasets) -> Verdict:
    found = steepest(datasets, ["C_neyshabur2019"], -1)
    rises = [f"C_{name}" for name in NORM_BOUNDS] + ["C_vc"]
    ends = {}
    for name in rises:
        means = [float(gathered([d], name).mean()) for d in datasets]
        lowest = int(np.nanargmin(means))
        ends[name] = math.log(means[-1] / means[lowest]) if lowest < len(means) - 1 else 0.0
    least = min(ends, key=lambda name: ends[name])
    word = "supported" if ends[least] > 0 else "contradicted"
    note = (
        f"every other bound ends above its minimum, by a factor {math.exp(ends[least]):.2f} or more"
    )
    value = ends[least]
    return combine(found, Verdict(word, value, (value, value), 0.0, found.runs, note))


def _below(datasets: Datasets, names: Sequence[str], narrowest: int) -> Verdict:
    wide = [d for d in datasets if int(d.h[0]) >= narrowest]
    ratios = np.array([
        np.log(gathered(wide, "C_neyshabur2019") / gathered(wide, f"C_{name}")) for name in names
    ])  # fmt: skip
    worst = ratios.max(axis=0).reshape(len(wide), -1)
    at = int(worst.mean(axis=1).argmax())
    nearest = names[int(ratios.reshape(len(names), len(wide), -1).mean(axis=2)[:, at].argmax())]
    low, high = mean_interval(worst[at])
    note = f"log of the new bound over the nearest other ({nearest}), at h = {int(wide[at].h[0])}"
    return verdict(low, high, 0.0, float(worst[at].mean()), worst.size, note, False)


def _below_norms(datasets: Datasets) -> Verdict:
    late = [d for d in datasets if int(d.h[0]) > 1024]
    return combine(
        _below(datasets, NORM_BOUNDS, PAPER_NARROWEST), _below(late, ["vc"], PAPER_NARROWEST)
    )


def _below_everywhere(datasets: Datasets) -> Verdict:
    return _below(datasets, NORM_BOUNDS, 0)


def _vacuous(datasets: Datasets) -> Verdict:
    names = (*NORM_BOUNDS, "vc", "neyshabur2019")
    least = np.min(
        [np.log(gathered(datasets, f"C_{n}") / gathered(datasets, "m")) for n in names], 0
    )
    worst = float(least.min())
    word = "supported" if worst > 0 else "contradicted"
    note = "the least log(C / m) over bounds, widths and runs: all bounds say nothing"
    return Verdict(word, worst, (worst, float(least.max())), 0.0, len(least), note)


def _initial_term(datasets: Datasets) -> Verdict:
    last = datasets[-1]
    share = gathered([last], "row_init_fro") / gathered([last], "row_dist_fro")
    found = steepest(datasets, ["row_init_fro"], 1)
    note = (
        f"{found.note}; at h = {int(last.h[0])} it is {share.mean():.2f} times ||U - U0||_F ||V||_F"
    )
    return Verdict(found.verdict, found.estimate, found.interval, 0.0, found.runs, note)


def _random_labels(datasets: Datasets) -> Verdict:
    true, drawn = (np.log(gathered([d], "median_normalized_margin")) for d in datasets)
    lead = true - drawn.mean()
    spread = float(drawn.std(ddof=1)) if len(drawn) > 1 else math.inf
    low, high = mean_interval(lead)
    raw = [float(gathered([d], "margin").mean()) for d in datasets]
    note = (
        f"log of the ratio of median normalized margins; the raw 5 % margins are {raw[0]:.3g} with "
        f"true and {raw[1]:.3g} with random labels"
    )
    found = verdict(low - spread, high + spread, 0.0, float(lead.mean()), 2 * len(true), note)
    return combine(found, all_fit(datasets))


def _comparison(datasets: Datasets) -> Verdict:
    h = sizes(datasets)
    near = (
        gathered(datasets, "U_distance_1_2") / gathered(datasets, "U_distance_frobenius") / h**0.5
    )
    output = gathered(datasets, "V_frobenius") / gathered(datasets, "V_spectral") / 10**0.5
    note = (
        "||U - U0||_12 over sqrt(h) ||U - U0||_F; "
        f"||V||_F is {output.max():.2f} of sqrt(c) ||V||_2 at most"
    )
    low, high = float(near.min()), float(near.max())
    holds = high <= 1 + 1e-12 and output.max() <= 1 + 1e-12 and low > 0.8
    word = "supported" if holds else "contradicted"
    return Verdict(word, float(near.mean()), (low, high), 1.0, len(h), note)


PAPER = "Neyshabur et al. 2019"
AUTHORS = f"{PAPER}, caveat of this study"

CLAIMS = (
    Claim(
        "N-T1", f"{PAPER}, Theorem 1",
        "The Rademacher complexity of networks with bounded unit capacities and impacts is at most "
        "(6), and (6) at most (7).",
        requests.tiny, _theorem1,
    ),
    Claim(
        "N-T2", f"{PAPER}, Theorem 2",
        "The union bound over unit capacities and impacts costs at most 5 h: ln N <= 5 h; and no "
        "gap exceeds the bound.",
        requests.widths, _theorem2,
    ),
    Claim(
        "N-T3", f"{PAPER}, Theorem 3",
        "There are samples on which the complexity is at least a constant times sum_j alpha_j "
        "beta_j ||X||_F / m, with ||U - U0||_2 <= max beta: 1/(4 sqrt 2), whatever h and n.",
        requests.witnesses, _witness,
    ),
    Claim(
        "N-T3b", f"{PAPER}, Theorem 3, second term",
        "With beta = 0 the complexity is at least a constant times sum_j alpha_j ||u0_j X|| / m: "
        "1/2 on symmetric samples.",
        requests.witnesses, _second_term,
    ),
    Claim(
        "N-C4", f"{PAPER}, Corollary 4",
        "Bounded spectral norms allow a complexity that is sqrt(h) times that of linear networks.",
        requests.equal_witnesses, _linear_gap,
    ),
    Claim(
        "N-D1", f"{PAPER}, definitions",
        "Squared unit capacities sum to ||U - U0||_F^2, squared unit impacts to ||V||_F^2.",
        requests.widths, _units,
    ),
    Claim(
        "N-D2", f"{PAPER}, definition of the margin",
        "The margin changes by at most sqrt(2) times the change of the logits.",
        requests.tiny, _margin,
    ),
    Claim(
        "N-D3-printed", f"{PAPER}, equation (1) as printed",
        "The ramp loss, with mu/gamma for its middle branch, has slope 1/gamma at most.",
        requests.tiny, _ramp("printed"), expected="contradicted",
    ),
    Claim(
        "N-D3", f"{PAPER}, equation (1) corrected",
        "The ramp loss, with 1 - mu/gamma for its middle branch, has slope 1/gamma at most.",
        requests.tiny, _ramp("ramp"),
    ),
    Claim(
        "N-E1", f"{PAPER}, Figure 1",
        "Moderate width suffices to fit the sample, and the test error keeps falling beyond.",
        requests.widths, _fit_and_generalize,
    ),
    Claim(
        "N-E2", f"{PAPER}, Figures 1 and 4",
        "Mean unit capacity and mean unit impact fall faster than 1/sqrt(h).",
        requests.widths, _shrinking_units,
    ),
    Claim(
        "N-E3", f"{PAPER}, Figure 2",
        "On digits, ||V||_F and ||V - V0||_F fall with the width.",
        requests.both, _output_layer,
    ),
    Claim(
        "N-E4", f"{PAPER}, Figure 2",
        "||U||_2 and ||U||_F first fall, then rise, the latter faster; ||U - U0||_F falls.",
        requests.widths, _hidden_layer,
    ),
    Claim(
        "N-E5", f"{PAPER}, Figure 2",
        "Units turn away from their start less and less, from nearly orthogonal to nearly aligned: "
        "the median angle falls by more than 45 degrees, and unit capacities fall.",
        requests.widths, _angles,
    ),
    Claim(
        "N-E6", f"{PAPER}, Figure 3",
        "Up to h = 512 the terms of l1 type and ||U||_F ||V||_F rise from h = 32 on, while "
        "||U - U0||_F ||V||_F falls; ||U||_2 ||V - V0||_12 is the smaller term.",
        requests.widths, _l1_terms,
    ),
    Claim(
        "N-E6-range", AUTHORS,
        "That depends on the range: on small inputs ||U - U0||_12 ||V||_2 turns down at larger "
        "widths.",
        requests.digits, _turning,
    ),
    Claim(
        "N-E7", f"{PAPER}, Figure 4",
        "The epochs needed to reach the target fall with the width.",
        requests.widths, _epochs,
    ),
    Claim(
        "N-E8", f"{PAPER}, Figure 5",
        "The new bound falls with the width, and it alone: every other one ends above its minimum.",
        requests.widths, _ours_decreases,
    ),
    Claim(
        "N-E8-below", f"{PAPER}, Figure 5",
        "From h = 64 on the new bound is below all other norm-based bounds, beyond h = 1024 below "
        "VC.",
        requests.widths, _below_norms,
    ),
    Claim(
        "N-E8-narrow", AUTHORS,
        "The new bound is below all other norm-based bounds at every width, narrow networks among "
        "them.",
        requests.digits, _below_everywhere, expected="contradicted",
    ),
    Claim(
        "N-E8-vacuous", f"{PAPER}, Figure 5",
        "All bounds are far above the number of examples: they say nothing.",
        requests.widths, _vacuous,
    ),
    Claim(
        "N-E8-range", AUTHORS,
        "The term of the initial weights, ||U0||_2 ||V||_F, rises with the width: the new bound "
        "must rise in the end.",
        requests.digits, _initial_term,
    ),
    Claim(
        "N-E9", f"{PAPER}, Figure 4",
        "Margins over the measure are larger for true than for random labels.",
        requests.labels, _random_labels,
    ),
    Claim(
        "N-CMP", f"{PAPER}, Section 3",
        "||U - U0||_12 <= sqrt(h) ||U - U0||_F, nearly with equality, and ||V||_F <= sqrt(c) "
        "||V||_2.",
        requests.widths, _comparison,
    ),
)  # fmt: skip
