"""What one checkpoint has more than another, with intervals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from whytrain.portraits.portrait import Portrait


def documents(found: Sequence[Portrait]) -> list[dict[str, Any]]:
    """The numbers of each network; of all but the first also its `differences` from the first."""
    first, *others = found
    more = [one.document() | {"differences": differences(first, one)} for one in others]
    return [first.document(), *more]


def differences(first: Portrait, other: Portrait) -> dict[str, dict[str, float]]:
    """What `other` has more than `first`, with intervals of about 95 %.

    Test errors are compared example by example (Bonett and Price 2012): with `b` examples that only
    `other` has wrong and `c` that only `first` has, of `n`, in place of the shares `p = (b + 1) /
    (n + 2)` and `q = (c + 1) / (n + 2)`

        p - q +- 1.96 sqrt( (p + q - (p - q)^2) / (n + 2) )

    Estimates with intervals of their own, of independent draws, by adding the squares of their
    reaches on either side (Newcombe 1998). An eigenvalue's difference is sure within the sum of
    both residuals, but for what `Eigenvalue` says of them.

    Args:
        first: A portrait.
        other: Another one, of the same examples, with another seed.

    Returns:
        For each number `value`, `low` and `high`; of the noise's width the ratio.
    """
    found = {"trace": _apart(_ends(first.trace, "value"), _ends(other.trace, "value"))}
    for name in ("top", "bottom"):
        one, two = getattr(first, name), getattr(other, name)
        reach, value = one.residual + two.residual, two.value - one.value
        found[name] = (value, value - reach, value + reach)
    if first.test_margins is not None and other.test_margins is not None:
        found["test_error"] = _paired(first.test_margins <= 0, other.test_margins <= 0)
    if not isinstance(first.flatness, str) and not isinstance(other.flatness, str):
        logs = [np.log(_ends(one, "sigma")) for one in (first.flatness, other.flatness)]
        found["sigma_ratio"] = tuple(np.exp(_apart(*logs)).tolist())
    return {n: dict(zip(("value", "low", "high"), v, strict=True)) for n, v in found.items()}


def _paired(first: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    n = len(first) + 2
    p, q = (np.sum(other & ~first) + 1) / n, (np.sum(first & ~other) + 1) / n
    reach = 1.96 * math.sqrt((p + q - (p - q) ** 2) / n)
    return float(other.mean() - first.mean()), float(p - q - reach), float(p - q + reach)


def _ends(found: Any, name: str) -> tuple[float, float, float]:
    return getattr(found, name), found.low, found.high


def _apart(first: Any, other: Any) -> tuple[float, float, float]:
    (a, a_low, a_high), (b, b_low, b_high) = first, other
    low, high = math.hypot(b - b_low, a_high - a), math.hypot(b_high - b, a - a_low)
    return b - a, b - a - low, b - a + high
