"""Claims about the theorems and definitions: each is tested where everything can be computed."""

import math
from collections.abc import Sequence

import numpy as np

from whytrain.lab import (
    Claim,
    Verdict,
    all_of,
    exact,
    mean_interval,
    nearest,
    one_sided,
    slope_interval,
)
from whytrain.measures.rademacher import covering_number_log
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.trends import Datasets, gathered, runs, values, widths
from whytrain.studies.neyshabur2019.witness import FLOOR

PAPER = "Neyshabur et al. 2019"
UNITS = (2, 8, 64, 1024, 32768, 10**6)  # widths at which the covering number is evaluated


def _theorem1(datasets: Datasets) -> Verdict:
    ramp, plain = (gathered(datasets, name) for name in ("ramp_loss", "no_loss"))
    by_norms = gathered(datasets, "by_norms")
    note = (
        f"largest complexity over its bound: {ramp.max():.3f} with the ramp loss, "
        f"{plain.max():.3f} without; (7) over (6): {by_norms.min():.4f} or more"
    )
    order = exact(1 - by_norms, 1e-12, f"(6) exceeds (7), by {1 - by_norms.min():.2g} of it")
    return all_of(exact(np.maximum(ramp, plain), 1.0, note), order, note=note)


def _theorem2(datasets: Datasets) -> Verdict:
    covering = [covering_number_log(h) / h for h in UNITS]
    gap = gathered(datasets, "test_error") - gathered(datasets, "train_error")
    ratio = gap / np.sqrt(gathered(datasets, "C_neyshabur2019") / gathered(datasets, "m"))
    return all_of(
        exact(ratio, 1.0, f"the gap is {ratio.max():.2g} of its bound at most"),
        exact(covering, 5.0, f"ln N / h is {max(covering):.2f} at most, up to h = {UNITS[-1]:.0e}"),
    )


def _mean_above(draws: Sequence[np.ndarray], floor: float, note: str) -> Verdict:
    """At every size the mean over draws is above a floor."""
    return nearest(*(
        one_sided(*mean_interval(of), floor, float(of.mean()), len(of), note) for of in draws
    ))  # fmt: skip


def _witness(datasets: Datasets) -> Verdict:
    norms = gathered(datasets, "spectral")
    norms = norms[np.isfinite(norms)]  # it is computed for small sizes only
    note = (
        f"mean of the ratio at the size where it is nearest to {FLOOR:.4f}; ||U||_2 is "
        f"{norms.max():.12g} max beta at most"
    )
    reached = _mean_above([values(d, "ratio") for d in datasets], FLOOR, note)
    return all_of(reached, exact(norms, 1 + 1e-9, note))


def _second_term(datasets: Datasets) -> Verdict:
    note = "mean of the ratio at the size where it is nearest to 1/2; samples hold -x with x"
    return _mean_above([values(d, "initial_ratio") for d in datasets], 0.5, note)


def _linear_gap(datasets: Datasets) -> Verdict:
    ratios = [values(d, "over_linear") for d in datasets]
    h = np.array(widths(datasets))
    growth = slope_interval(np.log(h), np.log([ratio.mean() for ratio in ratios]))[0]
    note = (
        "mean ratio over sqrt(h) at the size where it is nearest to the constant; the ratio goes "
        f"like h^{growth:.2f} (the construction has (1 + 1/h) sqrt(h)) and is "
        f"{ratios[-1].mean():.2f} at h = {h[-1]}, for linear networks 1 at most"
    )
    scaled = [ratio / size**0.5 for ratio, size in zip(ratios, h, strict=True)]
    return all_of(_mean_above(scaled, FLOOR, note), _mean_above(ratios[-1:], 1.0, note))


def _units(datasets: Datasets) -> Verdict:
    note = (
        "sum of squared unit capacities over ||U - U0||_F^2, and of impacts over ||V||_F^2, off 1"
    )
    return exact(gathered(datasets, "sum_of_squares_error"), 1e-10, note)


def _margin(datasets: Datasets) -> Verdict:
    note = "largest difference quotient of the margin in the logits; the constant is sqrt(2)"
    return exact(gathered(datasets, "margin_slope"), math.sqrt(2) + 1e-9, note)


def _ramp(name: str):
    def check(datasets: Datasets) -> Verdict:
        slopes = gathered(datasets, f"{name}_slope")
        note = f"largest slope, times gamma, over random margins, {runs(datasets)} draws of them"
        return exact(slopes, 1 + 1e-6, note)

    return check


THEORY_CLAIMS = (
    Claim(
        "N-T1", f"{PAPER}, Theorem 1",
        "The Rademacher complexity of networks with bounded unit capacities and impacts is at most "
        "(6), and (6) at most (7).",
        requests.tiny, _theorem1,
    ),
    Claim(
        "N-T2", f"{PAPER}, Theorem 2",
        "The union bound over unit capacities and impacts costs at most 5 h: ln N <= 5 h; and no "
        "gap exceeds the bound (which is far above 1, so that this second part is easy).",
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
        "Bounded spectral norms allow a complexity that is sqrt(h) times that of linear networks, "
        "up to a constant, 1/(4 sqrt 2) or more, and beyond what any linear network has.",
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
)  # fmt: skip
