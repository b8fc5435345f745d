"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("feature", 1.25, 2.6, "patch 1: the feature\n$y e_0$", "blue"),
        draw.Box(
            "noise", 1.25, 1.0, "patch 2: noise at $s$ places,\nand $−αy$ at place 0", "orange"
        ),
        draw.Box("neurons", 3.55, 1.8, "$m$ neurons\na label\n$σ(z) = \\max(z, 0)^q$"),
        draw.Box("u", 5.15, 1.8, "$F_1 − F_{−1}$\nsign decides"),
        draw.Box("L", 3.5, 3.15, "learned feature: $Λ$", "blue", frame=False),
        draw.Box("G", 3.5, 0.45, "memorized noise: $Γ$", "orange", frame=False),
    )
    arrows = (
        draw.Arrow("feature", "neurons", color="blue"),
        draw.Arrow("noise", "neurons", color="orange"),
        draw.Arrow("neurons", "u"),
    )
    return draw.diagram(boxes, arrows, size=(5.8, 3.6))


MODEL = Model(
    draw=_draw,
    caption=(
        "Each example has one patch with the feature and one with sparse noise, which also holds a "
        "little of the feature with the wrong sign. The network can fit its sample by either."
    ),
    symbols=(
        ("$d$, $s$", "numbers in a patch, and how many of the noise are not 0"),
        ("$n$", "number of examples"),
        ("$y$", "label, 1 or −1"),
        ("$α$", "feature noise: how much of the feature the noise holds, with the wrong sign"),
        ("$σ_p$", "standard deviation of the noise"),
        ("$m$, $q$", "number of neurons for a label, and the power of the activation"),
        ("$w_r$, $ξ_i$", "weights of neuron $r$, and the noise of example $i$"),
        ("$Λ$, $Λ_r$", "how far the feature is learned: the most by any neuron, and by neuron $r$"),
        ("$Γ$", "how far the noise of an example is memorized"),
        ("$η$", "step size"),
        ("$λ$", "weight decay"),
        ("$T$", "number of steps"),
        ("$b_1$, $b_2$", "Adam’s decay rates of the two means, 0.9 and 0.999"),
        ("$∇$", "gradient of the loss with the weight decay"),
    ),
)

CONCLUSIONS = (
    Conclusion(
        claims=("B-T1", "B-T2"),
        holds="from the same start both fit the sample, but gradient descent learns the feature "
        "and Adam the noise",
        fails="Adam and gradient descent do not end where the theorems say",
    ),
    Conclusion(
        claims=("B-T3",),
        holds="with a convex loss both end at one solution",
        fails="with a convex loss they end at different solutions",
    ),
    Conclusion(
        claims=("B-C1", "B-C2", "B-C3"),
        holds="less feature noise, more weight decay or small batches mend Adam",
        fails="less feature noise, more decay or small batches do not mend Adam",
        matters=(
            "The gap is one of which solution is found, not of how well the sample is fitted; and "
            "it hangs on conditions that practice can change."
        ),
    ),
    Conclusion(
        claims=("B-E2",),
        holds="on images Adam’s filters are rougher",
        fails="on images Adam’s filters are not rougher",
    ),
    Conclusion(
        claims=("B-E2-error",),
        holds="on images its error is more than two points higher",
        fails="on images no such gap is seen: with LeNet-5 Adam’s test error is less than two "
        "points above that of gradient descent",
    ),
)
