"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("x", 0.6, 2.4, "input\n$x$"),
        draw.Box("l1", 1.75, 2.4, "layer\n1"),
        draw.Box("l2", 2.9, 2.4, "layer\n2, …"),
        draw.Box("lL", 4.05, 2.4, "layer\n$L$"),
        draw.Box("f", 5.2, 2.4, "output\n$f$"),
        draw.Box("K2", 1.1, 0.8, "kernel $K_2$\nmoves $f$"),
        draw.Box("K3", 2.9, 0.8, "$K_3$\nmoves $K_2$"),
        draw.Box("K4", 4.7, 0.8, "$K_4$\nmoves $K_3$, …"),
        draw.Box("short", 2.9, 3.35, "shortcuts: residual network only", "green", frame=False),
    )
    arrows = (
        draw.Arrow("x", "l1"),
        draw.Arrow("l1", "l2"),
        draw.Arrow("l2", "lL"),
        draw.Arrow("lL", "f", "$a$"),
        draw.Arrow("l1", "l2", color="green", bend=-0.75),
        draw.Arrow("l2", "lL", color="green", bend=-0.75),
        draw.Arrow("K4", "K3"),
        draw.Arrow("K3", "K2"),
    )
    return draw.diagram(boxes, arrows, size=(5.8, 3.6))


MODEL = Model(
    draw=_draw,
    caption=(
        "Training moves the outputs as the tangent kernel says. The kernel is moved by a third-"
        "order one, that by a fourth, and so on: a hierarchy. The wider the network, the less each "
        "of them moves."
    ),
    symbols=(
        ("$m$, $L$", "width, and number of hidden layers"),
        ("$n$", "number of examples"),
        ("$f_b$, $r_b$", "output at example $b$, and how far it is from its target"),
        ("$R$", "loss: half the mean of $r_b²$; in A-8 its root at the start"),
        ("$K$, $K₂$", "the tangent kernel: products of the gradients of two outputs"),
        ("$K_r$", "kernel of order $r$, which moves that of order $r − 1$"),
        ("$λ$", "least eigenvalue of the tangent kernel"),
        ("$t$, $T$", "time of the gradient flow, and its end"),
        ("$a$", "weights of the read-out; as an index, an example"),
        ("$p$", "order at which the hierarchy is cut off"),
        ("$B_3$, $B_4$", "largest entries of $K_3$ and of $K_4$"),
        ("$e$", "angle between two inputs"),
        ("$O$", "of the order of"),
        ("$x$, $z^{(l)}$", "input, and values before the activation in layer $l$"),
        ("$W^{(l)}$, $σ$", "weights of layer $l$, and the activation"),
        ("$ℓ$", "number of layers of the critical ReLU network"),
        ("$E$, $C$", "mean over draws of the weights, and their variance times the width"),
    ),
)

CONCLUSIONS = (
    Conclusion(
        claims=("A-1", "A-4"),
        holds="the wider the network, the less its tangent kernel moves, with shortcuts and "
        "without: like one over the width",
        fails="the kernel does not move like one over the width",
    ),
    Conclusion(
        claims=("A-4-shortcut", "A-9"),
        holds="with shortcuts it moves less, and depth costs nothing",
        fails="shortcuts do not keep the kernel where it is",
        matters=(
            "How far a network is from its kernel can be computed order by order; and shortcuts "
            "are what lets a deep network stay near it."
        ),
    ),
    Conclusion(
        claims=("A-7",),
        holds="each further order of the hierarchy predicts training better",
        fails="further orders do not predict training better",
    ),
    Conclusion(
        claims=("A-6", "A-6-tight"),
        fails="the cubic width that the proof asks for suffices, but is far more than is needed on "
        "random data",
    ),
)
