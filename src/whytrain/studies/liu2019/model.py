"""The model in one picture, its letters, and what to take home."""

from whytrain.lab import Conclusion, Model
from whytrain.report import figures as draw


def _draw():
    boxes = (
        draw.Box("Z", 0.75, 2.0, "patches\n$Z_1, …, Z_k$"),
        draw.Box("v", 2.3, 2.0, "one filter\n$v^⊤Z_j$"),
        draw.Box("relu", 3.6, 2.0, "ReLU\n$σ$"),
        draw.Box("f", 4.9, 2.0, "$∑_j a_jσ(v^⊤Z_j)$"),
        draw.Box("CNN", 1.05, 3.1, "CNN: $v$ starts anywhere", "brick", frame=False),
        draw.Box(
            "ResNet",
            4.1,
            3.1,
            "ResNet: $v = 1/√p + w$, $w$ starts at 0",
            "green",
            frame=False,
        ),
        draw.Box("teacher", 3.6, 0.75, "teacher of the same form: $v^*$, $a^*$"),
        draw.Box("angle", 1.05, 0.75, "angle $φ$\nfrom $v$ to $v^*$", "purple", frame=False),
    )
    arrows = (
        draw.Arrow("Z", "v"),
        draw.Arrow("v", "relu"),
        draw.Arrow("relu", "f"),
        draw.Arrow("teacher", "f", "loss $L$", bend=0.25),
        draw.Arrow("CNN", "v", color="brick"),
        draw.Arrow("ResNet", "v", color="green"),
    )
    return draw.diagram(boxes, arrows, size=(5.8, 3.5))


MODEL = Model(
    draw=_draw,
    caption=(
        "A student and a teacher of one form: a filter that all patches share, a rectifier, and "
        "output weights. The shortcut adds the average of a patch, so that the filter of the "
        "ResNet starts near the teacher’s."
    ),
    symbols=(
        ("$k$, $p$", "number of patches, and numbers in a patch"),
        ("$Z_j$", "patch $j$: independent standard normal numbers"),
        ("$v$, $v*$", "filter of the student and of the teacher, both of length 1"),
        ("$w$", "what the ResNet trains: $v = 1/\\sqrt{p} + w$, made of length 1"),
        ("$a$, $a*$", "output weights of the student and of the teacher"),
        ("$L$", "the loss: half the mean squared difference of student and teacher"),
        ("$φ$, $φ_0$", "angle from $v$ to $v*$, and its value at the start"),
        ("$φ_s$", "angle at which the saddle lies"),
        ("$s$, $u$", "$s = 1ᵀa$, $u = aᵀa*$"),
        ("$S$, $A$", "$S = 1ᵀa*$, $A = ‖a*‖²$; $S²/A$ says how alike the teacher’s weights are"),
        ("$g(φ)$", "$(π−φ) cos φ + sin φ$"),
        ("$η$, $η_w$, $η_a$", "step size, of the filter, and of the output weights"),
        ("$I$", "the identity matrix"),
        ("$t$, $δ_t$", "step, and distance from the angle $π$ after $t$ steps"),
        ("$ũ$", "the limit of $u$ at the spurious minimum"),
        ("$ε$", "the loss at which a run counts as done"),
    ),
)

CONCLUSIONS = (
    Conclusion(
        claims=("cnn-constant-probability", "spurious-minimum"),
        holds="from a random start a plain CNN often falls into a spurious optimum, and stays",
    ),
    Conclusion(
        claims=("shortcut-beats-cnn", "escape"),
        holds="with the shortcut, normalization and step-size warm-up every run gets out",
        fails="with the shortcut and warm-up some runs do not get out",
        matters=(
            "The shortcut starts the filter on the right side of the spurious optimum, and warm-up "
            "keeps it there until the output weights have the right sign: one reason why residual "
            "networks may train well."
        ),
    ),
    Conclusion(
        claims=("warmup-needed",),
        holds="without warm-up some runs fail",
        fails="warm-up is not needed",
    ),
    Conclusion(
        claims=("convergence", "polynomial-time"),
        holds="those that escape converge geometrically, in a time polynomial in the number of "
        "patches",
        fails="runs do not converge at the rates stated",
    ),
)
