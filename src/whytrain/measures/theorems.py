"""Which measure is a theorem's for which network."""

from collections.abc import Sequence
from typing import Any

from whytrain.measures.stages import Activation, Pool, Residual, stages_between


def theorems(stages: Sequence[Any]) -> tuple[set[str], list[str]]:
    """Which measures are a theorem's for what stands between the layers, and why others are not.

    Args:
        stages: A network; of layers alone, with rectifiers between.

    Returns:
        Their names, and a sentence for what is left out or has a Lipschitz constant that is not 1.

    Example:
        >>> import numpy as np
        >>> from whytrain.measures.network import Dense
        >>> from whytrain.measures.stages import Reshape
        >>> allowed, why = theorems([Reshape((2,)), Dense(np.ones((1, 2))), Activation("sigmoid")])
        >>> sorted(allowed), why[0]
        ([], 'no bartlett2017: its theorem is for chains of activations that are 0 at 0; sigmoid')
    """
    inner = list(stages_between(stages))
    skips = ["a skip"] if any(isinstance(one, Residual) for one in inner) else []
    acts = {str(one): one for one in inner if isinstance(one, Activation)}
    lifted = [name for name, one in acts.items() if not one.fixes_zero]
    curved = [name for name, one in acts.items() if not one.homogeneous or abs(one.slope) > 1]
    reasons = {
        "bartlett2017": ("chains of activations that are 0 at 0", [*skips, *lifted]),
        "neyshabur2018": ("chains of (leaky) rectifiers", [*skips, *curved]),
        "path": ("positively homogeneous activations", curved),
    }
    notes = [
        f"no {name}: its theorem is for {what}; {', '.join(odd)}"
        for name, (what, odd) in reasons.items()
        if odd
    ]
    constants = {
        str(one) if isinstance(one, Activation) else f"{one.kind} pooling": one.lipschitz
        for one in inner
        if isinstance(one, Activation | Pool) and one.lipschitz != 1
    }
    if constants:
        told = ", ".join(f"{name} {value:.4g}" for name, value in constants.items())
        notes.append(f"Lipschitz constants used: {told}; of other activations 1")
    return {name for name, (_, odd) in reasons.items() if not odd}, notes
