"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("x", 0.7, 1.7, "input $x$\nlabel $y = ±1$"),
        draw.Box("w", 2.7, 2.6, "units $w_1, …, w_k$\nleaky ReLU", "blue"),
        draw.Box("u", 2.7, 0.8, "units $u_1, …, u_k$\nleaky ReLU", "orange"),
        draw.Box("N", 4.85, 1.7, "$N(x)$\nsign decides"),
        draw.Box("start", 1.15, 3.25, "all start at random, of size $s$", "gray", frame=False),
    )
    arrows = (
        draw.Arrow("x", "w"),
        draw.Arrow("x", "u"),
        draw.Arrow("w", "N", "$+v$", color="blue"),
        draw.Arrow("u", "N", "$−v$", color="orange"),
    )
    return draw.diagram(boxes, arrows, size=(5.8, 3.5))


MODEL = Model(
    draw=_draw,
    caption=(
        "Two groups of units vote for the two labels with fixed output weights. A line separates "
        "the data, but the network could draw a bent boundary."
    ),
    symbols=(
        ("$x_i$, $y_i$", "example $i$ and its label, 1 or −1"),
        ("$N(x)$, $f$", "output of the network; its sign is the decision"),
        ("$k$", "number of units of a sign"),
        ("$w_j$, $u_j$", "weights of the units that vote for 1 and for −1"),
        ("$W$", "all of these weights together"),
        ("$v$", "the output weight, $1/\\sqrt{2k}$, which is not trained"),
        ("$α$", "slope of the leaky ReLU below 0"),
        ("$s$", "size of the weights at the start"),
        ("$w*$, $W*$", "shortest weights of a line that separates with margin 1, and $k$ copies of "
         "$w*$ and of $−w*$"),
        ("$η$", "step size"),
        ("$l$, $p$", "the loss of an example, and the size of its slope, $p = |l′|$"),
        ("$T$", "number of steps"),
        ("$R$, $R_0$", "largest $|x_i|$, and $|W|$ at the start"),
        ("$M$", "a bound on the number of updates"),
        ("$w̄$, $ū$", "centers of the two groups"),
        ("$r$", "largest distance of a unit from its center"),
        ("$s_w$, $s_u$", "slope, 1 or $α$, that the units of a group have at an example"),
    ),
)  # fmt: skip

CONCLUSIONS = (
    Conclusion(
        claims=("C-T1",),
        holds="gradient descent fits data that a line separates, at any width",
        fails="gradient descent does not always fit data that a line separates",
    ),
    Conclusion(
        claims=("C-T2", "C-T3"),
        holds="if the units of a sign cluster, the boundary is linear, and it is the line of a "
        "convex program",
        fails="clustered units do not give the line that was predicted",
    ),
    Conclusion(
        claims=("C-T6", "C-T6-images"),
        holds="from small weights they cluster, on images too; from large ones they do not",
        fails="small weights do not lead to linear boundaries",
        matters=(
            "The size of the first weights, not the architecture, decides whether the network "
            "learns a line or a bent boundary; and the line generalizes better."
        ),
    ),
)
