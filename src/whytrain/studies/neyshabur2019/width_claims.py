"""Claims about how trained networks change with their width: errors, units, layers, time."""

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
    change,
    falls,
    gathered,
    goes,
    logs,
    power,
    rises,
    runs,
    valley,
    values,
    widths,
)

PAPER_NARROWEST = 64  # the paper's figures begin at this width
NEAR = 0.8  # what "nearly with equality" is to mean
AUTHORS = f"{PAPER}, caveat of this study"


def from_width(datasets: Datasets, narrowest: int) -> list:
    """The part of a sweep that begins at a width."""
    return [d for d, h in zip(datasets, widths(datasets), strict=True) if h >= narrowest]


def _falls_beyond(datasets: Datasets, misfits: list[np.ndarray], note: str) -> Verdict:
    """From some width on no network has a misfit, and beyond it the test error falls."""
    fit = [float(misfit.max()) == 0 for misfit in misfits]
    if not fit[-1]:
        worst = np.nan_to_num(misfits[-1], nan=1.0)
        return exact(worst, 0.0, f"{note} not even in the widest networks")
    first = max((place + 1 for place, fits in enumerate(fit) if not fits), default=0)
    wide = list(datasets[first:])
    note += f" from width {widths(wide)[0]} on; "
    if len(wide) < 3:
        note += "too few wider ones to speak of a trend"
        return Verdict("inconclusive", 0.0, (-np.inf, np.inf), 0.0, runs(wide), note)
    estimate, *_ = power(wide, "test_error")
    last = np.exp(change(wide, "test_error", -2, -1))
    note += (
        f"beyond, the test error goes like h^{estimate:.2f}; the last step, to {widths(wide)[-1]}, "
        f"multiplies it by {last[0]:.2f} ({last[1]:.2f} to {last[2]:.2f}); {SHARED} and the test "
        "set"
    )
    return goes(wide, "test_error", note=note)


def _fit_and_generalize(datasets: Datasets) -> Verdict:
    errors = [values(dataset, "train_error") for dataset in datasets]
    return _falls_beyond(datasets, errors, "train error 0")


def _residual(datasets: Datasets) -> Verdict:
    missed = [1 - values(dataset, "fits") for dataset in datasets]
    return _falls_beyond(datasets, missed, "cross-entropy below 0.01")


def _shrinking_units(datasets: Datasets) -> Verdict:
    return all_of(falls(datasets, "unit_impact", "unit_capacity", than=-0.5), all_fit(datasets))


def _output_layer(datasets: Datasets) -> Verdict:
    """Decided on digits; what the preset's own data say stands in the note."""
    norms = ("V_frobenius", "V_distance_frobenius")
    small, others = datasets[: len(requests.DIGITS)], datasets[len(requests.DIGITS) :]
    ratio = gathered(small, norms[1]) / gathered(small, norms[0])
    found = falls(small, *norms)
    note = f"{found.note}; the second over the first is {ratio.min():.2f} to {ratio.max():.2f}"
    if others:
        note += f"; on the preset's own data, from h = {PAPER_NARROWEST} on, "
        note += " and ".join(
            "{} goes like h^{:.3f} ({:.3f} to {:.3f})".format(
                name, *power(from_width(others, PAPER_NARROWEST), name)
            )
            for name in norms
        )
    return all_of(found, note=note)


def _hidden_layer(datasets: Datasets) -> Verdict:
    growth = [
        frobenius - spectral
        for frobenius, spectral in zip(
            logs(datasets, "U_frobenius"), logs(datasets, "U_spectral"), strict=True
        )
    ]
    ends = np.zeros(len(datasets))
    ends[[0, -1]] = -1, 1
    estimate, low, high = contrast_interval(growth, ends)
    note = "from the narrowest to the widest the Frobenius norm grows more than the spectral norm"
    return all_of(
        valley(datasets, "U_frobenius"), valley(datasets, "U_spectral"),
        falls(datasets, "U_distance_frobenius"),
        one_sided(low, high, 0.0, estimate, runs(datasets), note),
    )  # fmt: skip


def _angles(datasets: Datasets) -> Verdict:
    ends = [values(datasets[place], "angle") for place in (0, -1)]
    note = f"median angle from {ends[0].mean():.0f} degrees, narrow, to {ends[1].mean():.1f}, wide"
    narrow, wide = (
        one_sided(*mean_interval(end), 45.0, float(end.mean()), len(end), note, above)
        for end, above in zip(ends, (True, False), strict=True)
    )
    return all_of(narrow, wide, falls(datasets, "angle", "unit_capacity"))


def _l1_terms(datasets: Datasets) -> Verdict:
    middle = [d for d in datasets if requests.L1_FROM <= int(d.h[0]) <= requests.L1_TO]
    wide = from_width(datasets, PAPER_NARROWEST)
    smaller = gathered(wide, "row_spec_l1max") / gathered(wide, "row_l1max_spec")
    return all_of(
        rises(middle, "row_bartlett_mendelson2002", "row_neyshabur2015", "row_l1max_spec"),
        falls(datasets, "row_dist_fro"),
        exact(smaller, 1.0, f"||U||_2 ||V - V0||_12 is {smaller.max():.2f} of the other at most"),
    )  # fmt: skip


def _turning(datasets: Datasets) -> Verdict:
    at = widths(datasets).index(requests.L1_TO)
    estimate, low, high = change(datasets, "row_l1max_spec", at, -1)
    ends = f"h = {widths(datasets)[-1]} over that at h = {requests.L1_TO}"
    note = f"log of ||U - U0||_12 ||V||_2 at {ends}; {SHARED}"
    return one_sided(low, high, 0.0, estimate, runs(datasets), note, above=False)


def _epochs(datasets: Datasets) -> Verdict:
    return all_of(falls(datasets, "epochs"), all_fit(datasets))


def _comparison(datasets: Datasets) -> Verdict:
    near = [
        values(d, "U_distance_1_2") / values(d, "U_distance_frobenius") / h**0.5
        for d, h in zip(datasets, widths(datasets), strict=True)
    ]
    output = gathered(datasets, "V_frobenius") / gathered(datasets, "V_spectral") / 10**0.5
    note = "||U - U0||_12 over sqrt(h) ||U - U0||_F, at the width where it is least"
    most = np.concatenate(near)
    limits = exact(most, 1 + 1e-12, f"it is {most.max():.3f} at most")
    classes = exact(output, 1 + 1e-12, f"||V||_F is {output.max():.2f} of sqrt(c) ||V||_2 at most")
    likeness = [one_sided(*mean_interval(r), NEAR, float(r.mean()), len(r), note) for r in near]
    return all_of(nearest(*likeness), limits, classes)


WIDTH_CLAIMS = (
    Claim(
        "N-E1", f"{PAPER}, Figure 1",
        "Moderate width suffices to fit the sample, and the test error keeps falling beyond.",
        requests.widths, _fit_and_generalize,
    ),
    Claim(
        "N-E1-residual", f"{PAPER}, Figure 1 (left)",
        "Residual networks of moderate width fit the sample too (cross-entropy below 0.01), and "
        "the test error keeps falling beyond. (Here: fewer channels, fewer and smaller images than "
        "the paper's, no augmentation.)",
        requests.residual, _residual,
    ),
    Claim(
        "N-E2", f"{PAPER}, Figures 1 and 4",
        "Mean unit capacity and mean unit impact fall faster than 1/sqrt(h).",
        requests.widths, _shrinking_units,
    ),
    Claim(
        "N-E3", f"{PAPER}, Figure 2",
        "||V||_F and ||V - V0||_F fall with the width: on digits, which were chosen for this after "
        "Fashion-MNIST, where the latter falls and then rises (the note has both).",
        requests.both, _output_layer,
    ),
    Claim(
        "N-E4", f"{PAPER}, Figure 2",
        "||U||_2 and ||U||_F first fall, then rise, the latter faster; ||U - U0||_F falls. (On "
        "Fashion-MNIST ||U||_2 has its least value late, and a width of 8192 was added to see the "
        "rise.)",
        requests.widths, _hidden_layer,
    ),
    Claim(
        "N-E5", f"{PAPER}, Figure 2",
        "Units turn away from their start less and less, from nearly orthogonal to nearly aligned "
        "(here: the median angle is above 45 degrees for the narrowest and below for the widest), "
        "and unit capacities fall.",
        requests.widths, _angles,
    ),
    Claim(
        "N-E6", f"{PAPER}, Figure 3",
        "The terms of l1 type and ||U||_F ||V||_F rise, from h = 32 to 512 (a range chosen after "
        "it was known that they turn outside it, see N-E6-range), while ||U - U0||_F ||V||_F "
        "falls; ||U||_2 ||V - V0||_12 is the smaller term.",
        requests.widths, _l1_terms,
    ),
    Claim(
        "N-E6-range", AUTHORS,
        "That depends on the range: on small inputs ||U - U0||_12 ||V||_2 is lower for the widest "
        "networks than at h = 512.",
        requests.digits, _turning,
    ),
    Claim(
        "N-E7", f"{PAPER}, Figure 4",
        "The epochs needed to reach the target fall with the width.",
        requests.widths, _epochs,
    ),
    Claim(
        "N-CMP", f"{PAPER}, Section 3",
        "||U - U0||_12 <= sqrt(h) ||U - U0||_F, nearly with equality (here: within 20 %), and "
        "||V||_F <= sqrt(c) ||V||_2.",
        requests.widths, _comparison,
    ),
)  # fmt: skip
