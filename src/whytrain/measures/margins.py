"""Margins of a classifier, and the ramp loss that the bounds are stated for."""

import math

import numpy as np
from jaxtyping import Float, Int

from whytrain.errors import UserError

Margins = Float[np.ndarray, " example"]
FEW = 10  # examples below a quantile, under which it is said to be unsure


def margins(
    logits: Float[np.ndarray, "example classes"], labels: Int[np.ndarray, " example"]
) -> Margins:
    """`logits[i, y] - max_{j != y} logits[i, j]` with `y = labels[i]`; positive where it is right.

    Its Lipschitz constant in the Euclidean length of the logits is `sqrt(2)`. Implementations that
    subtract the largest logit *including* that of the label give 0 to every right example; those
    that take an absolute value call wrong examples right.

    Example:
        >>> margins(np.array([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), np.array([0, 2])).tolist()
        [2.0, -3.0]
    """
    rows = np.arange(len(labels))
    others = np.array(logits, dtype=np.float64)
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    return own - others.max(axis=1)


def quantile(margins: Margins, share: float) -> float:
    """The margin that a share of the examples stays below, linear between neighboring examples.

    As `numpy.quantile` and `torch.quantile` have it. The papers' figures take the share 0.05: one
    example in twenty may have a smaller margin.

    Raises:
        UserError: The share is not in [0, 1].

    Example:
        >>> print(f"{quantile(np.arange(1.0, 102.0), 0.05):.1f}")
        6.0
    """
    if isinstance(share, str) or not 0 <= share <= 1:
        raise UserError(f"the quantile of the margin must be from 0 to 1, got {share}")
    return float(np.quantile(margins, share))


def unsure(share: float, examples: int) -> list[str]:
    """Say that a quantile rests on few examples, if it does.

    Example:
        >>> unsure(0.05, 40)[0].partition(";")[0]
        'the margin rests on 2 examples below its quantile'
        >>> unsure(0.05, 1000)
        []
    """
    if share * examples >= FEW:
        return []
    few = math.ceil(share * examples)
    return [
        f"the margin rests on {few} example{'' if few == 1 else 's'} below its quantile; take more "
        "examples or a larger quantile"
    ]


UNCHECKED = (
    "the network that was measured may not be yours: nothing was compared with its outputs (give "
    "outputs=, logits of some examples or the model itself); "
)


def positive_quantile(
    margins: Margins, share: float, compared: int = 0, hint: str | None = None
) -> float:
    """As `quantile`, refused where it is not positive.

    Args:
        margins: The margins.
        share: The share of examples that may have a smaller one.
        compared: On how many examples the network's outputs were those of the user's model. Where
            they were not compared, that is the likelier reason than the training, and said first.
        hint: What else may be the reason.

    Raises:
        UserError: The margin is not positive, so that no bound which divides by it says anything.
    """
    if not np.isfinite(margins).all():
        raise UserError("the margins of the trained network are too large for float64")
    value = quantile(margins, share)
    if value > 0:
        return value
    wrong = float(np.mean(~(margins > 0)))
    more = (
        "train until fewer are misclassified"
        if wrong >= 1
        else f"train on, or take a margin quantile above {wrong:.3g}"
    )
    reasons = [f"its outputs are those of the model on {compared} examples"] if compared else []
    reasons += [hint] if hint else []
    after = "are these the labels of these examples? " if compared else "where the outputs agree: "
    raise UserError(
        f"{'' if compared else UNCHECKED}the margin at quantile {share:g} is {value:.4g}, not "
        f"positive ({wrong:.1%} of the examples are not classified right): the bounds divide by it "
        f"and would mean nothing; {''.join(f'{reason}; ' for reason in reasons)}{after}{more}"
    )


def ramp(margins: Margins, gamma: float) -> Margins:
    """The ramp loss: 0 where the margin exceeds `gamma`, 1 where it is negative, linear between.

        ramp = clip(1 - margin / gamma, 0, 1)

    For `gamma = 0` it is the error, `1{margin <= 0}`. The paper's equation (1) prints `margin /
    gamma` for the middle branch, which would be discontinuous and would grow with the margin.

    Raises:
        UserError: `gamma` is negative.

    Example:
        >>> ramp(np.array([-1.0, 0.0, 0.25, 1.0, 2.0]), 1.0).tolist()
        [1.0, 1.0, 0.75, 0.0, 0.0]
    """
    if not gamma >= 0:
        raise UserError(f"the margin of the ramp must be 0 or more, got {gamma:g}")
    if gamma == 0:
        return (margins <= 0).astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny margin: all others are far from it
        return np.clip(1 - margins / gamma, 0, 1)
