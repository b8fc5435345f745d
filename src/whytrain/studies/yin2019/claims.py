"""The claims, under the ids of the paper's sheet, each with the faults that it must refuse.

A statement that fails as printed is one claim, expected to be contradicted; its correction is
another, under the same id with the ending `-corrected`.
"""

from whytrain.lab import (
    Claim,
    Fault,
    Part,
    above,
    altered,
    at_most,
    closed_form,
    equals,
    identity,
    in_every_run,
)
from whytrain.landscapes import Outcome
from whytrain.studies.yin2019 import parts, requests

YIN, PUBLISHED, OWN = "Yin et al. 2019", "Yin et al. 2019, published version", "derived here"
_ALONG = "the closed form along a random direction"
_PRINTED = "largest difference from what is printed and from two quadratures"
_POINTS = "Points at which the filter has length zero, where there is no gradient."
_ANGLES = "Other values of the output weights than the best ones, at which ∂f/∂v does not vanish."
_SCALES = "Places other than the random ones that were tried: a larger ratio may be elsewhere."

CLAIMS = (
    Claim(
        id="Y-L1", title="The loss has a closed form", group="definitions",
        source=f"{YIN}, Lemma 1",
        statement="f(v,w) = 1/8 [vᵀMv − 2 vᵀ(κI + 11ᵀ)v* + v*ᵀMv*] with M = I + 11ᵀ, κ = 1 − "
        "2θ/π; and f(v,0) = 1/8 v*ᵀMv*.",
        requests=requests.closed_forms,
        parts=(
            *closed_form("loss_z", "the closed form of the loss"),
            *closed_form("zero_z", "the closed form of f(v,0)"),
            identity("loss_error", tolerance=1e-9, what="largest difference from what is printed"),
        ),
        faults=(
            parts.too_large("loss", 0.05),
            parts.too_large("zero", 0.05),
            Fault("what is printed is off by 2e-9", parts.added("loss_error", 2e-9)),
        ),
        does_not_show="Errors of less than a few percent in both the printed and our formula.",
    ),
    Claim(
        id="Y-L2", title="So has its gradient", group="definitions", source=f"{YIN}, Lemma 2",
        statement="∂f/∂v = 1/4 [Mv − (κI + 11ᵀ)v*], and ∂f/∂w = −vᵀv*/(2π‖w‖) e for 0 < θ < π.",
        requests=requests.closed_forms,
        parts=(identity("difference_error", tolerance=1e-9,
                        what="largest error against differences of the loss"),),
        faults=(Fault("the gradient is off by 2e-9", parts.added("difference_error", 2e-9)),),
        does_not_show="θ = 0 and θ = π, where the loss has a kink and no gradient.",
    ),
    Claim(
        id="Y-P1", title="Where saddles and spurious minima are", group="landscape",
        source=f"{YIN}, Proposition 1",
        statement="Saddles, at θ = (π/2)(m+1)‖v*‖²/((m+1)‖v*‖² − (1ᵀv*)²), and spurious minima, "
        "at θ = π, exist if and only if (1ᵀv*)² < (m+1)‖v*‖²/2.",
        requests=requests.points,
        parts=parts.EXISTENCE,
        faults=(
            Fault("both exist up to u = 0.42 only", parts.border_at(0.42)),
            Fault("the saddle is 2e-9 rad elsewhere", parts.added("saddle_error", 2e-9)),
            Fault("one critical point has a gradient of 2e-12",
                  parts.in_one_run("residual", 2e-12)),
            Fault("on one side of one saddle the loss rises",
                  parts.in_one_run("both_sides_fall", False)),
            Fault("from one spurious minimum the loss falls",
                  altered("least_rise", parts.lowest_falls)),
        ),
        does_not_show="Teachers with |u − 1/2| < 0.02, whose saddle is nearly at θ = π.",
        figures=("plane",),
    ),
    Claim(
        id="Y-W0", title="A filter of length zero is no minimum", group="caveats",
        source=f"{YIN}, after Lemma 2", statement="(v, 0) is not a local minimizer for any v.",
        requests=requests.zero,
        parts=(in_every_run(parts.no_minimum,
                            "output weights v for which (v, 0) is no local minimum"),),
        faults=(Fault("near every (v, 0) there is a lower loss",
                      altered("least", lambda least: least.clip(max=-1e-6))),),
        does_not_show="How often training would come to such a point.",
        expected="contradicted",
    ),
    Claim(
        id="Y-W0-corrected", title="When a filter of length zero is a minimum", group="caveats",
        source=OWN,
        statement="(v, 0) is a local minimizer if ‖v‖² + (1ᵀv)² > 2(|vᵀv*| + 1ᵀv 1ᵀv*), and none "
        "if it is less.",
        requests=requests.zero,
        parts=(in_every_run(parts.as_the_condition_says,
                            "output weights of which it is as the condition says"),),
        faults=(
            Fault("the 2 in the condition is 5 % too large", parts.another_factor(0.05)),
            Fault("the 2 in the condition is 5 % too small", parts.another_factor(-0.05)),
        ),
        does_not_show="Output weights with both sides equal to a part in a thousand.",
    ),
    Claim(
        id="Y-L3", title="The true gradient is Lipschitz", group="caveats",
        source=f"{YIN}, Lemma 3",
        statement="For ‖v‖ ≤ C_v and ‖w‖ ≥ c_w the true gradient is Lipschitz: the ratio of its "
        "change to the distance stays bounded as the distance goes to 0.",
        requests=requests.bounds,
        parts=(parts.grows("jump", "distance", 0.0, "the ratio over the distance, across θ = 0"),),
        faults=(Fault("the gradient does not jump across θ = 0",
                      parts.steeper("jump", "distance", 1.0)),),
        does_not_show="Places that are not on both sides of θ = 0: for them see the correction.",
        note=parts.worst_in_words("jump", "distance"),
        expected="contradicted",
    ),
    Claim(
        id="Y-L3-corrected", title="It is Lipschitz away from the kinks", group="caveats",
        source=OWN,
        statement="It is Lipschitz where the angle also stays within [δ, π − δ].",
        requests=requests.bounds,
        parts=(parts.grows("inside", "distance", 0.0, "the ratio over the distance, δ = 0.3"),),
        faults=(Fault("the ratio grows like the distance to the −0.12",
                      parts.steeper("inside", "distance", -0.12)),),
        does_not_show=_SCALES,
        note=parts.worst_in_words("inside", "distance"),
    ),
    Claim(
        id="Y-L4", title="The ReLU's coarse gradient is closed", group="definitions",
        source=f"{YIN}, Lemma 4",
        statement="E ∂ℓ/∂v = ∂f/∂v, and E g_relu = h/(2√(2π)) w/‖w‖ − cos(θ/2) vᵀv*/√(2π) (w/‖w‖ "
        "+ w*)/‖·‖.",
        requests=requests.closed_forms,
        parts=(
            *closed_form("output_z", f"∂f/∂v, {_ALONG}"),
            *closed_form("relu_z", f"E g, {_ALONG}"),
            identity("relu_printed_error", "relu_quadrature_error", "output_error", "shrink_error",
                     tolerance=1e-9, what=_PRINTED),
        ),
        faults=(
            parts.too_large("output", 0.2),
            parts.too_large("relu", 0.2),
            Fault("what is printed is off by 2e-9", parts.added("relu_printed_error", 2e-9)),
        ),
        does_not_show=_POINTS,
    ),
    Claim(
        id="Y-L5a", title="The ReLU's coarse gradient goes downhill", group="dynamics",
        source=f"{YIN}, Lemma 5",
        statement="⟨E g_relu, ∂f/∂w⟩ = sin θ (vᵀv*)² / (2 (√(2π))³ ‖w‖) ≥ 0.",
        requests=requests.closed_forms,
        parts=parts.positive_inner("relu"),
        faults=parts.other_inner("relu"),
        does_not_show="How much of a step goes along the filter, which the loss does not see.",
        figures=("alignment",),
    ),
    Claim(
        id="Y-L5b", title="It is bounded by the true gradient", group="caveats",
        source=f"{YIN}, Lemma 5",
        statement="‖E g_relu‖² ≤ A (‖∂f/∂v‖² + ⟨E g_relu, ∂f/∂w⟩) with A depending on C_v ≥ ‖v‖ "
        "only.",
        requests=requests.bounds,
        parts=(parts.grows("relu_ratio", "radius", 0.0, "the needed A over ‖w‖"),),
        faults=(Fault("the needed A does not grow with ‖w‖",
                      parts.steeper("relu_ratio", "radius", -1.0)),),
        does_not_show="Filters whose length is bounded: for them see the correction.",
        note=parts.worst_in_words("relu_ratio", "radius"),
        expected="contradicted",
        figures=("bounds",),
    ),
    Claim(
        id="Y-L5b-corrected", title="It is, if the filter's length is bounded", group="caveats",
        source=OWN,
        statement="The same with A depending on C_v and on C_w ≥ ‖w‖ (here: A = 20 max(1, C_w) at "
        "C_v = 3).",
        requests=requests.bounds,
        parts=(parts.BOUNDED_BY_LENGTH,),
        faults=(Fault("the needed A grows like ‖w‖ to the 1.5",
                      parts.steeper("relu_ratio", "radius", 0.5)),),
        does_not_show=_SCALES,
        figures=("bounds",),
    ),
    Claim(
        id="Y-13", title="With ReLU the loss falls at every step", group="dynamics",
        source=f"{YIN}, equation (13)",
        statement="With the ReLU estimator and a small step size the loss falls at every step "
        "while ‖w‖ ≥ c_w.",
        requests=requests.descents("relu"),
        parts=(parts.NEVER_RISES,),
        faults=(Fault("in one run the loss rises by 2e-12",
                      parts.in_one_run("rise_loss", 2e-12)),),
        does_not_show="Filters that become short: from ‖w₀‖ = 1 the loss does rise in many runs.",
        note=parts.shortest,
    ),
    Claim(
        id="Y-L6", title="The ReLU's rests at critical points only", group="landscape",
        source=f"{YIN}, Lemma 6",
        statement="∂f/∂v and E g_relu vanish together only at saddles and at (global or spurious) "
        "minima.",
        requests=requests.points,
        parts=parts.only_zeros("relu"),
        faults=parts.other_zeros("relu"),
        does_not_show="Zeros less than 0.02 rad from a critical angle.",
        figures=("plane",),
    ),
    Claim(
        id="Y-L7a", title="The identity's coarse gradient is closed", group="definitions",
        source=f"{YIN}, Lemma 7", statement="E g_id = 1/√(2π) (‖v‖² w/‖w‖ − vᵀv* w*).",
        requests=requests.closed_forms,
        parts=(
            *closed_form("identity_z", _ALONG),
            identity("identity_printed_error", "identity_quadrature_error", tolerance=1e-9,
                     what=_PRINTED),
        ),
        faults=(
            parts.too_large("identity", 0.2),
            Fault("what is printed is off by 2e-9", parts.added("identity_printed_error", 2e-9)),
        ),
        does_not_show=_POINTS,
    ),
    Claim(
        id="Y-L7b", title="The identity's does not vanish at the spurious minimum",
        group="landscape", source=f"{YIN}, Lemma 7",
        statement="At the spurious minimum ‖E g_id‖ = 2(m−1)(1ᵀv*)²/(√(2π)(m+1)²) > 0 for m > 1, "
        "1ᵀv* ≠ 0; it points outward, so that descent shrinks the filter.",
        requests=requests.points,
        parts=(
            identity("identity_norm_error", tolerance=1e-12,
                     what="largest error of the stated length"),
            in_every_run(lambda cells: cells.pooled("identity_radial") > 0,
                         "teachers at whose spurious minimum it points outward"),
        ),
        faults=(
            Fault("the length is off by 2e-12", parts.added("identity_norm_error", 2e-12)),
            Fault("for one teacher it points inward", parts.in_one_run("identity_radial", -1e-9)),
        ),
        does_not_show="What becomes of the filter then: see Y-O4 and Y-O5.",
        figures=("plane", "fate"),
    ),
    Claim(
        id="Y-L8a", title="The identity's goes downhill too", group="dynamics",
        source=f"{YIN}, Lemma 8",
        statement="⟨E g_id, ∂f/∂w⟩ = sin θ (vᵀv*)² / ((√(2π))³ ‖w‖) ≥ 0.",
        requests=requests.closed_forms,
        parts=parts.positive_inner("identity"),
        faults=parts.other_inner("identity"),
        does_not_show="That descent along it converges, which it does not.",
        figures=("alignment",),
    ),
    Claim(
        id="Y-L8b", title="The identity's is not bounded by the true gradient", group="dynamics",
        source=f"{YIN}, Lemma 8",
        statement="‖E g_id‖² / (‖∂f/∂v‖² + ⟨E g_id, ∂f/∂w⟩) → ∞ towards a spurious minimum, like "
        "1/(π − θ).",
        requests=requests.bounds,
        parts=(parts.grows("identity_blowup", "gap", -1.0, "the ratio over π − θ"),),
        faults=(
            Fault("it grows like 1/(π − θ) to the 0.88",
                  parts.steeper("identity_blowup", "gap", 0.12)),
            Fault("it grows like 1/(π − θ) to the 1.12",
                  parts.steeper("identity_blowup", "gap", -0.12)),
        ),
        does_not_show="Approaches to the spurious minimum with other output weights than the best.",
        note=parts.worst_in_words("identity_blowup", "gap"),
    ),
    Claim(
        id="Y-T1a", title="With ReLU every run converges", group="dynamics",
        source=f"{YIN}, Theorem 1",
        statement="With the ReLU estimator, while ‖v‖ ≤ C_v and ‖w‖ ≥ c_w, the loss decreases and "
        "the iterates converge to a saddle or a minimum.",
        requests=requests.descents("relu"),
        parts=(parts.NEVER_RISES, parts.CONVERGES),
        faults=(
            Fault("in one run the loss rises by 2e-12", parts.in_one_run("rise_loss", 2e-12)),
            Fault("one run does not come to rest",
                  parts.in_one_run("outcome", Outcome.UNDECIDED)),
        ),
        does_not_show="Filters that become short: all runs here start from ‖w₀‖ = 3.",
        note=parts.where_they_ended,
        figures=("outcomes", "plane"),
    ),
    Claim(
        id="Y-T1b", title="The identity stays at no spurious minimum", group="dynamics",
        source=f"{YIN}, Theorem 1",
        statement="With the identity estimator this fails near spurious minima for m > 1, 1ᵀv* ≠ "
        "0: no run started there stays.",
        requests=requests.fates,
        parts=(
            in_every_run(parts.leaves, "runs that left the spurious minimum"),
            in_every_run(parts.collapses, "runs whose filter came to ‖w‖ = 0"),
        ),
        faults=(
            Fault("one run stays", parts.in_one_run("outcome", Outcome.SPURIOUS)),
            Fault("one filter keeps its length", parts.in_one_run("collapse", float("nan"))),
        ),
        does_not_show="That it fails elsewhere: above u_c these runs reach the global minimum.",
        figures=("fate", "plane"),
    ),
    Claim(
        id="Y-R1", title="With more samples the way down is smooth", group="experiments",
        source=f"{YIN}, Remark 1 and Figure 1",
        statement="Along the negative coarse gradient the empirical loss falls only at a coarse "
        "scale for few samples, and smoothly for many. (Here: its largest move upward over its "
        "whole fall is below 1 % for 10,000 samples in most runs, and in the mean more than twice "
        "as large for 10.)",
        requests=requests.samples,
        parts=(
            Part("share of runs whose largest sample is smooth to 1 %", parts.smooth,
                 above(0.5, resolution=0.1)),
            Part("mean roughness at 10 samples less twice that at 10,000",
                 parts.lead_of_the_roughest, above(0.0, resolution=0.002)),
        ),
        faults=(
            Fault("every sample is rougher by 1.1 % of the fall", parts.added("roughness", 0.011)),
            Fault("every sample is as rough as 100 are", parts.all_as_at(100)),
        ),
        does_not_show="Steps other than the first one from a random start.",
        note=parts.roughness_in_words,
        figures=("samples",),
    ),
    Claim(
        id="Y-PUB1", title="The clipped ReLU's is closed, with two integrals",
        group="definitions", source=f"{PUBLISHED}, clipped-ReLU lemma",
        statement="E g_crelu = p(0,w)/2 h w/‖w‖ − vᵀv* csc(θ/2) q (w/‖w‖ + w*)/‖·‖ − vᵀv* (p − "
        "cot(θ/2) q) w/‖w‖.",
        requests=requests.closed_forms,
        parts=(
            *closed_form("clipped_relu_z", _ALONG),
            identity("clipped_relu_printed_error", tolerance=1e-9,
                     what="largest difference from what is printed"),
        ),
        faults=(
            parts.too_large("clipped_relu", 0.2),
            Fault("what is printed is off by 2e-9",
                  parts.added("clipped_relu_printed_error", 2e-9)),
        ),
        does_not_show=_POINTS,
    ),
    Claim(
        id="Y-PUB2", title="The clipped ReLU's goes downhill", group="dynamics", source=PUBLISHED,
        statement="⟨E g_crelu, ∂f/∂w⟩ = q(θ,w) (vᵀv*)² / (2π‖w‖) ≥ 0.",
        requests=requests.closed_forms,
        parts=parts.positive_inner("clipped_relu"),
        faults=parts.other_inner("clipped_relu"),
        does_not_show="How much of a step goes along the filter, which the loss does not see.",
        figures=("alignment",),
    ),
    Claim(
        id="Y-PUB3", title="The clipped ReLU's is bounded by the true gradient",
        group="dynamics", source=PUBLISHED,
        statement="‖E g_crelu‖² ≤ A (‖∂f/∂v‖² + ⟨E g_crelu, ∂f/∂w⟩), here even with A independent "
        "of ‖w‖.",
        requests=requests.bounds,
        parts=(parts.grows("clipped_relu_ratio", "radius", 0.0, "the needed A over ‖w‖"),),
        faults=(Fault("the needed A grows like ‖w‖ to the 0.12",
                      parts.steeper("clipped_relu_ratio", "radius", 0.12)),),
        does_not_show=_SCALES,
        note=parts.worst_in_words("clipped_relu_ratio", "radius"),
        figures=("bounds",),
    ),
    Claim(
        id="Y-PUB4", title="The clipped ReLU's rests at critical points only",
        group="landscape", source=PUBLISHED,
        statement="E g_crelu has the joint zeros of E g_relu.",
        requests=requests.points,
        parts=parts.only_zeros("clipped_relu"),
        faults=parts.other_zeros("clipped_relu"),
        does_not_show="Zeros less than 0.02 rad from a critical angle.",
    ),
    Claim(
        id="Y-PUB5", title="With the clipped ReLU every run converges", group="dynamics",
        source=f"{PUBLISHED}, Theorem 1",
        statement="Theorem 1 holds for the clipped ReLU too.",
        requests=requests.descents("clipped_relu"),
        parts=(parts.NEVER_RISES, parts.CONVERGES),
        faults=(
            Fault("in one run the loss rises by 2e-12", parts.in_one_run("rise_loss", 2e-12)),
            Fault("one run is trapped at a filter of length zero",
                  parts.in_one_run("outcome", Outcome.COLLAPSED)),
        ),
        does_not_show="Filters that become short: all runs here start from ‖w₀‖ = 3.",
        note=parts.where_they_ended,
        figures=("outcomes",),
    ),
    Claim(
        id="Y-O1", title="The clipped ReLU's is closed without integrals", group="definitions",
        source=OWN,
        statement="E g_crelu is closed: radial part with ε = exp(−1/(2‖w‖²)) and Φ(cot θ/‖w‖), "
        "teacher's part −vᵀv* erf(1/(√2 ‖w‖ sin θ))/(2√(2π)).",
        requests=requests.closed_forms,
        parts=(identity("clipped_relu_printed_error", "clipped_relu_quadrature_error",
                        tolerance=1e-9, what=_PRINTED),),
        faults=(
            Fault("the printed integrals give 2e-9 more",
                  parts.added("clipped_relu_printed_error", 2e-9)),
            Fault("quadrature over inputs gives 2e-9 more",
                  parts.added("clipped_relu_quadrature_error", 2e-9)),
        ),
        does_not_show=_POINTS,
    ),
    Claim(
        id="Y-O2", title="The loss with the best output weights", group="landscape", source=OWN,
        statement="min_v f = (1−κ)/8 [(1+κ)‖v*‖² + (1−κ)(1ᵀv*)²/(m+1)]; the spurious loss is "
        "(1ᵀv*)²/(2(m+1)).",
        requests=requests.points,
        parts=(identity("profile_error", "values_error", tolerance=1e-12, what="largest error"),),
        faults=(
            Fault("min_v f is off by 2e-12", parts.added("profile_error", 2e-12)),
            Fault("the spurious loss is off by 2e-12", parts.added("values_error", 2e-12)),
        ),
        does_not_show="That no other output weights are better, which the quadratic form proves.",
        figures=("plane",),
    ),
    Claim(
        id="Y-O3", title="Five numbers carry the descent", group="dynamics", source=OWN,
        statement="Five numbers carry coarse gradient descent exactly, whatever m and n.",
        requests=requests.closed_forms,
        parts=(parts.REDUCTION,),
        faults=(Fault("ReLU's descents differ by 2e-12", parts.added("relu_reduction", 2e-12)),),
        does_not_show="Runs that pass ‖w‖ ≈ 0: there the map is singular, and rounding decides.",
        note=parts.left_out,
    ),
    Claim(
        id="Y-O4", title="When the identity's filter is gone", group="dynamics", source=OWN,
        statement="The identity estimator brings a filter at the spurious minimum to zero at time "
        "√(2π)(m+1)²‖w₀‖/(2(m−1)(1ᵀv*)²).",
        requests=requests.fates,
        parts=(
            Part("measured over predicted collapse time, for every u", parts.collapse_times,
                 equals(1.0, 0.01)),
            in_every_run(parts.collapses, "runs whose filter came to ‖w‖ = 0"),
        ),
        faults=(
            Fault("it takes 2 % longer", altered("collapse", lambda time: 1.02 * time)),
            Fault("one filter keeps its length", parts.in_one_run("collapse", float("nan"))),
        ),
        does_not_show="Starts more than 0.001 rad from the spurious minimum.",
        figures=("fate",),
    ),
    Claim(
        id="Y-O5", title="Trapped below a threshold, out above it", group="dynamics", source=OWN,
        statement="It is trapped there for u = (1ᵀv*)²/((m+1)‖v*‖²) < u_c(m), and escapes to the "
        "global minimum for u > u_c(m).",
        requests=requests.fates,
        parts=(
            in_every_run(parts.as_predicted, "runs with the predicted fate"),
            Part("largest error of the mean κ of trapped runs", parts.kappa_errors, at_most(2e-3)),
        ),
        faults=(
            Fault("u_c is 5 % larger", parts.threshold_at(1.05)),
            Fault("u_c is 20 % smaller", parts.threshold_at(0.8)),
            Fault("the mean κ is off by 0.004", parts.added("kappa", 0.004)),
        ),
        does_not_show="Where u_c lies between two of the alignments that were tried.",
        figures=("fate",),
    ),
    Claim(
        id="Y-O6", title="How fast the angle closes", group="dynamics", source=OWN,
        statement="The angle closes at the rate |vᵀv*| (μ'(0+) + μ'(0−)) / (2√(2π)‖w‖): identity "
        "twice as fast as ReLU and clipped ReLU.",
        requests=requests.rates,
        parts=(Part("measured over predicted rate, for every estimator, optimum and ‖w‖",
                    parts.rates, equals(1.0, 0.01)),),
        faults=(Fault("it closes 2 % faster", altered("ratio", lambda ratio: 1.02 * ratio)),),
        does_not_show="How long a run takes to come so near.",
        note=parts.unfitted,
    ),
    Claim(
        id="Y-O7", title="The exact constant on the curve of best weights", group="dynamics",
        source=OWN,
        statement="With output weights at their best the ratio of Lemma 5 is exactly √(2π)/2 ‖w‖ "
        "[(κ − cos θ)² + sin² θ]/sin θ.",
        requests=requests.bounds,
        parts=(identity("law_error", tolerance=1e-8, what="largest relative error"),),
        faults=(Fault("the law is off by 2e-8", parts.added("law_error", 2e-8)),),
        does_not_show="Angles with sin θ < 0.05 or |vᵀv*| < 0.05, where both sides vanish.",
        figures=("bounds",),
    ),
)  # fmt: skip
