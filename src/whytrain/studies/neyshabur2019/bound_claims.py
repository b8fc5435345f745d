"""Claims about the bounds: how they move with the width, and whether they tell labels apart."""

from collections.abc import Sequence

import numpy as np

from whytrain.lab import (
    Claim,
    Verdict,
    all_of,
    contrast_interval,
    exact,
    mean_interval,
    nearest,
    one_sided,
)
from whytrain.studies.neyshabur2019 import requests
from whytrain.studies.neyshabur2019.theory_claims import PAPER
from whytrain.studies.neyshabur2019.trends import (
    SHARED,
    Datasets,
    all_fit,
    ends_above_its_least,
    falls,
    gathered,
    logs,
    rises,
    runs,
    values,
    widths,
)
from whytrain.studies.neyshabur2019.width_claims import AUTHORS, PAPER_NARROWEST, from_width

NORM_BOUNDS = ("bartlett_mendelson2002", "neyshabur2015", "bartlett2017", "neyshabur2018")
VC_FROM = 1025  # the paper: below VC for h > 1024


def _ours_decreases(datasets: Datasets) -> Verdict:
    others = [ends_above_its_least(datasets, f"C_{name}") for name in (*NORM_BOUNDS, "vc")]
    return all_of(falls(datasets, "C_neyshabur2019"), *others)


def _below(datasets: Datasets, names: Sequence[str]) -> Verdict:
    """At every width the new bound is below each of these."""
    found = {
        (name, h): np.log(values(dataset, "C_neyshabur2019") / values(dataset, f"C_{name}"))
        for dataset, h in zip(datasets, widths(datasets), strict=True)
        for name in names
    }
    name, h = max(found, key=lambda at: found[at].mean())
    note = f"log of the new bound over the others; the nearest is {name} at h = {h}; {SHARED}"
    return nearest(*(
        one_sided(*mean_interval(ratio), 0.0, float(ratio.mean()), len(ratio), note, above=False)
        for ratio in found.values()
    ))  # fmt: skip


def _below_norms(datasets: Datasets) -> Verdict:
    return all_of(
        _below(from_width(datasets, PAPER_NARROWEST), NORM_BOUNDS),
        _below(from_width(datasets, VC_FROM), ["vc"]),
    )


def _below_everywhere(datasets: Datasets) -> Verdict:
    return _below(datasets, NORM_BOUNDS)


def _vacuous(datasets: Datasets) -> Verdict:
    m = gathered(datasets, "m")
    names = (*NORM_BOUNDS, "vc", "neyshabur2019")
    share = np.max([m / gathered(datasets, f"C_{name}") for name in names], axis=0)
    note = (
        "largest m / C of any bound, network by network: the gap is bounded by "
        f"{share.max() ** -0.5:.0f} or more, and could be 1 at most"
    )
    return exact(share, 1.0, note)


def _initial_term(datasets: Datasets) -> Verdict:
    last = datasets[-1]
    share = values(last, "row_init_fro") / values(last, "row_dist_fro")
    found = rises(datasets, "row_init_fro")
    note = (
        f"{found.note}; at h = {int(last.h[0])} it is {share.mean():.2f} times ||U - U0||_F ||V||_F"
    )
    return all_of(found, note=note)


def _random_labels(datasets: Datasets) -> Verdict:
    estimate, low, high = contrast_interval(logs(datasets, "median_normalized_margin"), [1, -1])
    raw = [float(values(d, "margin").mean()) for d in datasets]
    note = (
        f"log of the ratio of median normalized margins; the raw 5 % margins are {raw[0]:.3g} with "
        f"true and {raw[1]:.3g} with random labels; labels were drawn once"
    )
    found = one_sided(low, high, 0.0, estimate, runs(datasets), note)
    return all_of(found, all_fit(datasets))


BOUND_CLAIMS = (
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
)  # fmt: skip
