"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("x", 0.75, 2.1, "image $x$"),
        draw.Box("U", 2.5, 2.1, "$h$ hidden units\n$\\max(Ux, 0)$"),
        draw.Box("V", 4.5, 2.1, "$c$ logits\n$V\\max(Ux, 0)$"),
        draw.Box("alpha", 1.7, 0.75, "capacity of unit $j$:\n$β_j = ‖u_j − u_j^0‖$", "green"),
        draw.Box("beta", 4.25, 0.75, "impact of unit $j$:\n$α_j = ‖v_j‖$", "purple"),
        draw.Box("width", 2.5, 3.05, "how wide? $h$ = 8 to 2048 and more", "gray", frame=False),
    )
    arrows = (
        draw.Arrow("x", "U", "$U$", color="green"),
        draw.Arrow("U", "V", "$V$", color="purple"),
        draw.Arrow("alpha", "U", color="green", dashed=True),
        draw.Arrow("beta", "V", color="purple", dashed=True),
    )
    return draw.diagram(boxes, arrows, size=(5.6, 3.4))


MODEL = Model(
    draw=_draw,
    caption=(
        "A network with one hidden layer. Each hidden unit has a capacity, how far its weights "
        "moved, and an impact, how much it weighs in the output. The paper’s bound is their "
        "product, summed over units."
    ),
    symbols=(
        ("$h$, $c$", "number of hidden units, and of classes"),
        ("$m$, $n$", "number of examples, and of inputs of the network"),
        ("$X$, $x$", "all examples as columns, and one of them"),
        ("$U$, $U_0$", "weights of the hidden layer, and at the start"),
        ("$u_j$, $u^0_j$", "those of unit $j$"),
        ("$V$, $V_0$", "weights of the output layer, and at the start"),
        ("$α_j$, $β_j$", "impact of unit $j$, $‖v_j‖$, and its capacity, $‖u_j − u^0_j‖$"),
        ("$‖·‖_F$, $‖·‖_2$", "root of the sum of squares, and the largest singular value"),
        ("$‖·‖_{1,2}$", "sum of the lengths of the rows"),
        ("$‖·‖_{1,∞}$", "largest sum of absolute values in a row"),
        ("$μ$, $γ$", "margin of an example, and the margin asked for"),
        ("$C$", "the value of a bound on the complexity"),
        ("$N$", "number of sets that a union bound goes through"),
    ),
)

CONCLUSIONS = (
    Conclusion(
        claims=("N-E1", "N-E1-residual"),
        holds="wider networks generalize better, long after they fit their sample",
        fails="the test error does not keep falling with the width",
    ),
    Conclusion(
        claims=("N-E2", "N-E5"),
        holds="each hidden unit then moves less and weighs less",
        fails="single units do not shrink with the width",
    ),
    Conclusion(
        claims=("N-E8",),
        holds="of all bounds that were compared the new one alone falls with the width",
        fails="the new bound does not fall alone",
    ),
    Conclusion(
        claims=("N-D3-printed", "N-D3"),
        fails="the ramp loss as printed jumps (its corrected form does not)",
    ),
    Conclusion(
        claims=("N-E8-narrow",),
        holds="it is below the others at every width",
        fails="for narrow networks the new bound is not the smallest",
    ),
    Conclusion(
        claims=("N-E8-vacuous",),
        holds="every bound is far above 1, so that none guarantees anything",
        matters=(
            "Counting what single units do explains the trend that counting parameters gets "
            "wrong; it does not yet explain the error itself."
        ),
    ),
)
