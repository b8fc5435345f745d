"""What the built-in studies hold, for who only wants to see it: to load them takes seconds.

A test holds it against the studies themselves.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """What is told of a study before it is loaded.

    Attributes:
        question: The question that it answers.
        claims: How many claims it has.
        experiments: The names of its experiments.
    """

    question: str
    claims: int
    experiments: tuple[str, ...]


CATALOG = {
    "li2020": Entry(
        "How far, and how fast, does the tangent kernel of a wide network move while it "
        "trains, and what do shortcuts change?",
        15,
        (
            "hierarchy",
            "drift",
            "truncation",
            "depth",
            "width-demand",
            "limit",
            "mean-kernel",
        ),
    ),
    "liu2019": Entry(
        "Why does a shortcut connection, with normalization and step-size warm-up, escape a "
        "spurious optimum into which a plain CNN falls?",
        14,
        (
            "landscape",
            "rates",
            "success-rate",
            "phase-prior",
            "phase-alignment",
            "trajectories",
            "separatrix",
            "scaling",
            "sampling",
        ),
    ),
    "neyshabur2019": Entry(
        "Why does the test error of a network keep falling when it is made wider than it need "
        "be to fit its sample, and which measure of capacity falls with it?",
        25,
        (
            "tiny",
            "witness",
            "width",
            "residual-width",
        ),
    ),
    "sarussi2021": Entry(
        "A network that could bend its boundary is trained on data that a line separates: "
        "when does it learn the line, and which one?",
        9,
        (
            "optimization",
            "clustering",
            "kkt",
            "agreement",
            "init-scale",
            "real-pairs",
        ),
    ),
    "yin2019": Entry(
        "A step has no useful derivative. Why does training with a made-up one go downhill, "
        "and which made-up ones are good?",
        34,
        (
            "networks",
            "descent",
            "trajectories",
            "alignment-map",
            "identity-fate",
            "sample-size",
            "rates",
            "landscape",
            "critical-points",
            "bounds",
            "zero-filter",
        ),
    ),
    "zou2021": Entry(
        "From the same start, with the same weight decay: when does Adam fit the noise where "
        "gradient descent learns the feature?",
        14,
        (
            "separation",
            "stages",
            "convex",
            "image-filters",
        ),
    ),
}
