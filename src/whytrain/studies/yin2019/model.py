"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("Z", 0.7, 2.1, "rows\n$Z_1, …, Z_m$"),
        draw.Box("w", 2.1, 2.1, "one filter\n$w^⊤Z_i$"),
        draw.Box("step", 3.55, 2.1, "step\n$σ = 1\\{x > 0\\}$"),
        draw.Box("v", 5.05, 2.1, "$∑_i v_iσ_i$"),
        draw.Box("loss", 5.05, 0.7, "loss $f$\nto $v^*, w^*$"),
        draw.Box("ste", 3.0, 0.7, "$μ′$ in place of\nthe step’s derivative", "brick"),
        draw.Box("kinds", 1.0, 0.7, "identity, ReLU,\nclipped ReLU", "brick", frame=False),
        draw.Box("angle", 2.1, 3.05, "angle $θ$ from $w$ to $w^*$", "purple", frame=False),
    )
    arrows = (
        draw.Arrow("Z", "w"),
        draw.Arrow("w", "step"),
        draw.Arrow("step", "v"),
        draw.Arrow("v", "loss"),
        draw.Arrow("loss", "ste", color="brick", dashed=True),
        draw.Arrow("ste", "w", "$g$", color="brick", dashed=True),
        draw.Arrow("kinds", "ste", color="brick"),
    )
    return draw.diagram(boxes, arrows, size=(5.8, 3.4))


MODEL = Model(
    draw=_draw,
    caption=(
        "Forward, a network of steps; backward (dashed), a made-up derivative in place of the "
        "step’s, which is zero. What comes out of it is the coarse gradient, not the gradient of "
        "the loss."
    ),
    symbols=(
        ("$m$, $n$", "number of hidden units, and numbers in a row of the input"),
        ("$Z$", "the input: $m$ rows of $n$ independent standard normal numbers"),
        ("$w$, $w*$", "filter of the network and of the teacher, the latter of length 1"),
        ("$v$, $v*$", "output weights of the network and of the teacher"),
        ("$f$, $ℓ$", "the expected loss, and the loss of one input"),
        ("$θ$", "angle from $w$ to $w*$"),
        ("$κ$", "$1 − 2θ/π$, which is 1 at $w*$ and −1 opposite to it"),
        ("$M$, $I$", "$M = I + 11ᵀ$ with the identity matrix $I$"),
        ("$μ′$", "the made-up derivative; an estimator is named after it"),
        ("$g_{\\text{relu}}$, $g_{\\text{id}}$, $g_{\\text{crelu}}$",
         "coarse gradient of the filter by the ReLU, the identity and the clipped ReLU"),
        ("$E$", "mean over inputs"),
        ("$e$, $z$", "unit vectors: across $w$ towards $w*$, and along $w/‖w‖ + w*$"),
        ("$h$", "$‖v‖² + (1ᵀv)² − (1ᵀv)(1ᵀv*) + vᵀv*$"),
        ("$p$, $q$", "the two integrals of the published version, functions of $θ$ and $w$"),
        ("$Φ$", "distribution function of the standard normal"),
        ("$u$, $u_c$", "$u = (1ᵀv*)²/((m+1)‖v*‖²)$, and the value at which runs begin to escape"),
        ("$C_v$, $C_w$, $c_w$", "bounds: $‖v‖ ≤ C_v$, $c_w ≤ ‖w‖ ≤ C_w$"),
        ("$A$, $δ$", "a constant to be found, and a distance of the angle from 0 and $π$"),
        ("$t$", "time: step size times number of steps"),
    ),
)  # fmt: skip

CONCLUSIONS = (
    Conclusion(
        claims=("Y-T1a", "Y-PUB5", "Y-L5a", "Y-PUB2"),
        holds="with the ReLU or the clipped ReLU in place of the step’s derivative, training goes "
        "downhill and converges",
        fails="training with the ReLU or the clipped ReLU does not always go downhill",
        matters="It matters which made-up derivative one takes: ReLU and clipped ReLU are safe, "
        "the identity is not.",
    ),
    Conclusion(
        claims=("Y-T1b", "Y-O5"),
        holds="with the identity it leaves every spurious minimum, and often loses its filter",
        fails="with the identity runs stay at spurious minima",
    ),
    Conclusion(
        claims=("Y-E1",),
        holds="on real networks ReLU and clipped ReLU are better by far",
        fails="on real networks ReLU and clipped ReLU are not better",
    ),
    Conclusion(
        claims=("Y-L3", "Y-L3-corrected"),
        fails="as printed, the true gradient is not Lipschitz where the angle is 0 (Lemma 3)",
    ),
    Conclusion(
        claims=("Y-L5b", "Y-L5b-corrected"),
        fails="the bound of Lemma 5 needs a bounded filter too",
    ),
    Conclusion(
        claims=("Y-W0", "Y-W0-corrected"),
        fails="a filter of length zero can be a minimum",
        matters=(
            "Each statement that fails has a corrected form that holds, and the main theorem "
            "stands."
        ),
    ),
)
