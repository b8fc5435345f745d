"""The claims, under the ids of the paper's sheet, each with the check that decides it.

A statement that fails as printed is one claim, expected to be contradicted; its correction is
another, under the same id with the ending `-corrected`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from whytrain.dynamics import count
from whytrain.lab import Claim, Verdict, always, coverage, exact, one_sided, slope_interval, within
from whytrain.landscapes import Outcome
from whytrain.studies.yin2019 import requests
from whytrain.studies.yin2019.descent import monotone
from whytrain.studies.yin2019.fate import FateSettings, kappa_roots, predicted
from whytrain.studies.yin2019.setup import THEOREM
from whytrain.studies.yin2019.zero import SLACK, minimum

Datasets = Sequence[xr.Dataset]
Check = Callable[[Datasets], Verdict]


def pooled(datasets: Datasets, name: str) -> np.ndarray:
    """One variable of all runs."""
    return np.concatenate([np.ravel(dataset[name].values) for dataset in datasets])


def closed_form(z: str, errors: Sequence[str], note: str) -> Check:
    """Monte Carlo's intervals cover it, and exact comparisons agree to 1e-9."""

    def check(datasets: Datasets) -> Verdict:
        worst = max(float(pooled(datasets, name).max()) for name in errors)
        return coverage(pooled(datasets, z), note, worst, 1e-9)

    return check


def small(names: Sequence[str], tolerance: float, note: str) -> Check:
    """All these errors are rounding."""

    def check(datasets: Datasets) -> Verdict:
        return exact(np.max([pooled(datasets, name) for name in names], axis=0), tolerance, note)

    return check


def positive_inner(name: str, note: str) -> Check:
    """The inner product is the stated one, and never negative."""

    def check(datasets: Datasets) -> Verdict:
        error, inner = (pooled(datasets, f"{name}_inner{end}") for end in ("_error", ""))
        return always((error < 1e-12) & (inner >= 0), note)

    return check


def grows(name: str, over: str, power: float, note: str, tolerance: float = 0.1) -> Check:
    """The largest value goes like this power of the scale."""

    def check(datasets: Datasets) -> Verdict:
        scale = datasets[0][over].values
        values = np.max([dataset[name].max("run").values for dataset in datasets], axis=0)
        far = scale >= 30 if over == "radius" else scale <= 1e-2  # where other terms are gone
        slope, low, high = slope_interval(np.log(scale[far]), np.log(values[far]))
        runs = sum(dataset.sizes["run"] for dataset in datasets)
        inside = power - tolerance < low and high < power + tolerance
        outside = high < power - tolerance or low > power + tolerance
        word = "supported" if inside else "contradicted" if outside else "inconclusive"
        told = f"{note}; largest values {values[0]:.3g} … {values[-1]:.3g}"
        return Verdict(word, slope, (low, high), power, runs, told)

    return check


def bounded_below_radius(datasets: Datasets) -> Verdict:
    """The ratio over `max(1, |w|)` stays below one constant."""
    scale = np.maximum(1.0, datasets[0].radius.values)
    worst = pooled([d / scale for d in (x[["relu_ratio"]] for x in datasets)], "relu_ratio")
    note = "largest ratio over max(1, ‖w‖), for ‖v‖ ≤ 3 and ‖w‖ from 1 to 1000"
    return exact(worst, 20.0, note)


def existence(datasets: Datasets) -> Verdict:
    """Saddle and spurious minimum are where they are stated to be, and are what they are."""
    u, rise = pooled(datasets, "u"), pooled(datasets, "least_rise")
    good = pooled(datasets, "as_stated").astype(bool) & (pooled(datasets, "saddle_error") < 1e-9)
    good &= (pooled(datasets, "residual") < 1e-12) & pooled(datasets, "both_sides_fall").astype(
        bool
    )
    good &= np.where(u < 0.5, rise > -1e-7, rise < -1e-7)
    return always(good, "random teachers with saddle and spurious minimum exactly where stated")


def only_zeros(name: str) -> Check:
    """The coarse gradient vanishes with the output's at the critical angles and nowhere else."""

    def check(datasets: Datasets) -> Verdict:
        here, other = (pooled(datasets, f"{name}_{w}") for w in ("at_critical", "elsewhere"))
        return always((here < 1e-12) & (other > 1e-9), "teachers with no other joint zero")

    return check


def identity_at_spurious(datasets: Datasets) -> Verdict:
    """The coarse gradient of the identity there has the stated length and points outward."""
    good = pooled(datasets, "identity_norm_error") < 1e-12
    good &= pooled(datasets, "identity_radial") > 0
    return always(good, "teachers at whose spurious minimum E g is as stated and outward")


def decreases(datasets: Datasets) -> Verdict:
    """No loss ever rose."""
    good = np.concatenate([monotone(dataset) for dataset in datasets])
    least = float(pooled(datasets, "least_radius").min())
    return always(good, f"runs whose loss never rose; ‖w‖ ≥ {least:.2f} throughout", 0.99)


def converges(datasets: Datasets) -> Verdict:
    """Every loss falls, and every run comes to a saddle or a minimum."""
    good = []
    for dataset in datasets:
        codes = dataset.outcome.values
        ended = np.isin(codes, [Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE])
        good.append(ended & monotone(dataset))
    kinds = ", ".join(
        f"{sum(count(d, kind) for d in datasets)} {kind.word}"
        for kind in (Outcome.GLOBAL, Outcome.SPURIOUS, Outcome.SADDLE)
    )
    return always(
        np.concatenate(good), f"monotone runs that came to a critical point: {kinds}", 0.99
    )


def identity_leaves(datasets: Datasets) -> Verdict:
    """From the spurious minimum the filter shrinks to nothing, and no run stays."""
    left = np.concatenate([(d.outcome.values != Outcome.SPURIOUS).ravel() for d in datasets])
    collapsed = np.isfinite(pooled(datasets, "collapse"))
    return always(left & collapsed, "runs that left the spurious minimum through ‖w‖ = 0")


def collapse_time(datasets: Datasets) -> Verdict:
    """The filter is gone when predicted."""
    return within(pooled(datasets, "collapse"), 1.0, 0.01, "measured over predicted collapse time")


def fate_settings(dataset: xr.Dataset, m: int) -> FateSettings:
    """The settings behind a dataset, from its axis."""
    axis = dataset.alignment.values
    return FateSettings(m=m, low=float(axis[0]), high=float(axis[-1]), alignments=len(axis))


def _sizes(datasets: Datasets) -> Sequence[int]:
    return next(sizes for sizes in requests.FATE_SIZES.values() if len(sizes) == len(datasets))


def fate(datasets: Datasets) -> Verdict:
    """Trapped below `u_c` with the predicted mean of kappa, at the global minimum above."""
    good, worst = [], 0.0
    for dataset, m in zip(datasets, _sizes(datasets), strict=True):
        settings = fate_settings(dataset, m)
        codes, trapped = predicted(settings), predicted(settings) == Outcome.COLLAPSED
        gap = np.abs(dataset.kappa.values - kappa_roots(settings))
        worst = max(worst, float(np.max(gap[:, trapped], initial=0.0)))
        good.append((dataset.outcome.values == codes) & ((gap < 2e-3) | ~trapped))
    note = f"runs with the predicted fate; mean κ of trapped ones is off by {worst:.1e} at most"
    return always(np.concatenate([g.ravel() for g in good]), note)


def local_rates(datasets: Datasets) -> Verdict:
    """The angle closes at the linearized rate."""
    note = "measured over predicted local rate, all estimators and optima"
    return within(pooled(datasets, "ratio"), 1.0, 0.01, note)


def smooths(datasets: Datasets) -> Verdict:
    """The loss along the coarse gradient is rough for few samples, and smooth for many."""
    runs = sum(dataset.sizes["run"] for dataset in datasets)
    rough = np.concatenate([dataset.roughness.values for dataset in datasets])
    few, many = rough[:, 0], rough[:, -1]
    steps = ", ".join(f"{x:.4f}" for x in rough.mean(axis=0))
    note = f"roughness of the largest sample; means over sample sizes: {steps}"
    if few.mean() <= 2 * many.mean():
        return Verdict(
            "contradicted", float(many.mean()), (many.min(), many.max()), 0.01, runs, note
        )
    return one_sided(
        float(many.min()), float(many.max()), 0.01, float(many.mean()), runs, note, above=False
    )


def zero_never(datasets: Datasets) -> Verdict:
    """No `(v, 0)` is a local minimum."""
    note = "output weights v for which (v, 0) is no local minimum"
    return always(np.concatenate([~minimum(dataset) for dataset in datasets]), note)


def zero_condition(datasets: Datasets) -> Verdict:
    """`(v, 0)` is a local minimum exactly where the condition holds."""
    margin = pooled(datasets, "margin")
    held = np.concatenate([minimum(dataset) for dataset in datasets])
    told = np.abs(margin) > SLACK
    return always((held == (margin > 0))[told], "output weights as the condition says")


def _errors(name: str) -> list[str]:
    return [f"{name}_printed_error", f"{name}_quadrature_error"]


YIN, PUBLISHED, OWN = "Yin et al. 2019", "Yin et al. 2019, published version", "derived here"
_MC = "the closed form"
CLAIMS = (
    Claim(
        "Y-L1", f"{YIN}, Lemma 1",
        "f(v,w) = 1/8 [vᵀMv − 2 vᵀ(κI + 11ᵀ)v* + v*ᵀMv*] with M = I + 11ᵀ, κ = 1 − 2θ/π; and "
        "f(v,0) = 1/8 v*ᵀMv*.",
        requests.closed_forms, closed_form("loss_z", ["loss_error"], f"{_MC} of the loss"),
    ),
    Claim(
        "Y-L2", f"{YIN}, Lemma 2",
        "∂f/∂v = 1/4 [Mv − (κI + 11ᵀ)v*], and ∂f/∂w = −vᵀv*/(2π‖w‖) e for 0 < θ < π.",
        requests.closed_forms,
        small(["difference_error"], 1e-9, "largest error against differences of the loss"),
    ),
    Claim(
        "Y-P1", f"{YIN}, Proposition 1",
        "Saddles, at θ = (π/2)(m+1)‖v*‖²/((m+1)‖v*‖² − (1ᵀv*)²), and spurious minima, at θ = π, "
        "exist if and only if (1ᵀv*)² < (m+1)‖v*‖²/2.",
        requests.points, existence,
    ),
    Claim(
        "Y-W0", f"{YIN}, after Lemma 2", "(v, 0) is not a local minimizer for any v.",
        requests.zero, zero_never, "contradicted",
    ),
    Claim(
        "Y-W0-corrected", OWN,
        "(v, 0) is a local minimizer if ‖v‖² + (1ᵀv)² > 2(|vᵀv*| + 1ᵀv 1ᵀv*), and none if it is "
        "less.",
        requests.zero, zero_condition,
    ),
    Claim(
        "Y-L3", f"{YIN}, Lemma 3",
        "For ‖v‖ ≤ C_v and ‖w‖ ≥ c_w the true gradient is Lipschitz: the ratio of its change to "
        "the distance stays bounded as the distance goes to 0.",
        requests.bounds,
        grows("jump", "distance", 0.0, "exponent of the ratio over the distance, across θ = 0"),
        "contradicted",
    ),
    Claim(
        "Y-L3-corrected", OWN,
        "It is Lipschitz where the angle also stays within [δ, π − δ].",
        requests.bounds,
        grows("inside", "distance", 0.0, "exponent of the ratio over the distance, δ = 0.3"),
    ),
    Claim(
        "Y-L4", f"{YIN}, Lemma 4",
        "E ∂ℓ/∂v = ∂f/∂v, and E g_relu = h/(2√(2π)) w/‖w‖ − cos(θ/2) vᵀv*/√(2π) (w/‖w‖ + w*)/‖·‖.",
        requests.closed_forms,
        closed_form("relu_z", [*_errors("relu"), "output_error", "shrink_error"], _MC),
    ),
    Claim(
        "Y-L5a", f"{YIN}, Lemma 5",
        "⟨E g_relu, ∂f/∂w⟩ = sin θ (vᵀv*)² / (2 (√(2π))³ ‖w‖) ≥ 0.",
        requests.closed_forms, positive_inner("relu", "points where it is so"),
    ),
    Claim(
        "Y-L5b", f"{YIN}, Lemma 5",
        "‖E g_relu‖² ≤ A (‖∂f/∂v‖² + ⟨E g_relu, ∂f/∂w⟩) with A depending on C_v ≥ ‖v‖ only.",
        requests.bounds,
        grows("relu_ratio", "radius", 0.0, "exponent of the needed A over ‖w‖"), "contradicted",
    ),
    Claim(
        "Y-L5b-corrected", OWN, "The same with A depending on C_v and on C_w ≥ ‖w‖.",
        requests.bounds, bounded_below_radius,
    ),
    Claim(
        "Y-13", f"{YIN}, equation (13)",
        "With the ReLU estimator and a small step size the loss falls at every step while ‖w‖ ≥ "
        "c_w.",
        requests.descents("relu"), decreases,
    ),
    Claim(
        "Y-L6", f"{YIN}, Lemma 6",
        "∂f/∂v and E g_relu vanish together only at saddles and at (global or spurious) minima.",
        requests.points, only_zeros("relu"),
    ),
    Claim(
        "Y-L7a", f"{YIN}, Lemma 7", "E g_id = 1/√(2π) (‖v‖² w/‖w‖ − vᵀv* w*).",
        requests.closed_forms, closed_form("identity_z", _errors("identity"), _MC),
    ),
    Claim(
        "Y-L7b", f"{YIN}, Lemma 7",
        "At the spurious minimum ‖E g_id‖ = 2(m−1)(1ᵀv*)²/(√(2π)(m+1)²) > 0 for m > 1, 1ᵀv* ≠ 0; "
        "it points outward, so that descent shrinks the filter.",
        requests.points, identity_at_spurious,
    ),
    Claim(
        "Y-L8a", f"{YIN}, Lemma 8", "⟨E g_id, ∂f/∂w⟩ = sin θ (vᵀv*)² / ((√(2π))³ ‖w‖) ≥ 0.",
        requests.closed_forms, positive_inner("identity", "points where it is so"),
    ),
    Claim(
        "Y-L8b", f"{YIN}, Lemma 8",
        "‖E g_id‖² / (‖∂f/∂v‖² + ⟨E g_id, ∂f/∂w⟩) → ∞ towards a spurious minimum, like "
        "1/(π − θ).",
        requests.bounds,
        grows("identity_blowup", "gap", -1.0, "exponent of the ratio over π − θ"),
    ),
    Claim(
        "Y-T1a", f"{YIN}, Theorem 1",
        "With the ReLU estimator, while ‖v‖ ≤ C_v and ‖w‖ ≥ c_w, the loss decreases and the "
        "iterates converge to a saddle or a minimum.",
        requests.descents("relu"), converges,
    ),
    Claim(
        "Y-T1b", f"{YIN}, Theorem 1",
        "With the identity estimator this fails near spurious minima for m > 1, 1ᵀv* ≠ 0: no run "
        "started there stays.",
        requests.fates, identity_leaves,
    ),
    Claim(
        "Y-R1", f"{YIN}, Remark 1 and Figure 1",
        "Along the negative coarse gradient the empirical loss falls only at a coarse scale for "
        "few samples, and smoothly for many.",
        requests.samples, smooths,
    ),
    Claim(
        "Y-PUB1", f"{PUBLISHED}, clipped-ReLU lemma",
        "E g_crelu = p(0,w)/2 h w/‖w‖ − vᵀv* csc(θ/2) q (w/‖w‖ + w*)/‖·‖ − vᵀv* (p − cot(θ/2) q) "
        "w/‖w‖.",
        requests.closed_forms,
        closed_form("clipped_relu_z", ["clipped_relu_printed_error"], _MC),
    ),
    Claim(
        "Y-PUB2", PUBLISHED, "⟨E g_crelu, ∂f/∂w⟩ = q(θ,w) (vᵀv*)² / (2π‖w‖) ≥ 0.",
        requests.closed_forms, positive_inner("clipped_relu", "points where it is so"),
    ),
    Claim(
        "Y-PUB3", PUBLISHED,
        "‖E g_crelu‖² ≤ A (‖∂f/∂v‖² + ⟨E g_crelu, ∂f/∂w⟩), here even with A independent of ‖w‖.",
        requests.bounds,
        grows("clipped_relu_ratio", "radius", 0.0, "exponent of the needed A over ‖w‖"),
    ),
    Claim(
        "Y-PUB4", PUBLISHED, "E g_crelu has the joint zeros of E g_relu.",
        requests.points, only_zeros("clipped_relu"),
    ),
    Claim(
        "Y-PUB5", f"{PUBLISHED}, Theorem 1", "Theorem 1 holds for the clipped ReLU too.",
        requests.descents("clipped_relu"), converges,
    ),
    Claim(
        "Y-O1", OWN,
        "E g_crelu is closed: radial part with ε = exp(−1/(2‖w‖²)) and Φ(cot θ/‖w‖), teacher's "
        "part −vᵀv* erf(1/(√2 ‖w‖ sin θ))/(2√(2π)).",
        requests.closed_forms,
        small(_errors("clipped_relu"), 1e-9, "largest error against two quadratures"),
    ),
    Claim(
        "Y-O2", OWN,
        "min_v f = (1−κ)/8 [(1+κ)‖v*‖² + (1−κ)(1ᵀv*)²/(m+1)]; the spurious loss is "
        "(1ᵀv*)²/(2(m+1)).",
        requests.points, small(["profile_error", "values_error"], 1e-12, "largest error"),
    ),
    Claim(
        "Y-O3", OWN, "Five numbers carry coarse gradient descent exactly, whatever m and n.",
        requests.closed_forms,
        lambda datasets: exact(
            np.concatenate([
                np.where(
                    d[f"{name}_shortest"] > 0.05, d[f"{name}_reduction"], 0.0
                ) for d in datasets for name in THEOREM
            ]),
            1e-12, "full against reduced descent, 1000 steps, runs whose ‖w‖ stays above 0.05",
        ),
    ),
    Claim(
        "Y-O4", OWN,
        "The identity estimator brings a filter at the spurious minimum to zero at time "
        "√(2π)(m+1)²‖w₀‖/(2(m−1)(1ᵀv*)²).",
        requests.fates, collapse_time,
    ),
    Claim(
        "Y-O5", OWN,
        "It is trapped there for u = (1ᵀv*)²/((m+1)‖v*‖²) < u_c(m), and escapes to the global "
        "minimum for u > u_c(m).",
        requests.fates, fate,
    ),
    Claim(
        "Y-O6", OWN,
        "The angle closes at the rate |vᵀv*| (μ'(0+) + μ'(0−)) / (2√(2π)‖w‖): identity twice as "
        "fast as ReLU and clipped ReLU.",
        requests.rates, local_rates,
    ),
    Claim(
        "Y-O7", OWN,
        "With output weights at their best the ratio of Lemma 5 is exactly √(2π)/2 ‖w‖ [(κ − cos "
        "θ)² + sin² θ]/sin θ.",
        requests.bounds, small(["law_error"], 1e-8, "largest relative error"),
    ),
)  # fmt: skip
