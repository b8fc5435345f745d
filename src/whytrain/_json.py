"""Results as values that JSON can hold."""

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from whytrain.errors import UserError


def jsonable(value: Any) -> Any:
    """Turn nested values into what JSON can hold: NumPy's numbers into plain ones, NaN into `None`.

    Args:
        value: Numbers, words, arrays, and sequences and mappings of them.

    Returns:
        The same, for `json.dumps(..., allow_nan=False)`.

    Raises:
        UserError: A whole number is too large for a floating-point one, as readers take it, or two
            keys are one word.

    Example:
        >>> import numpy as np
        >>> jsonable({"rate": np.float64(0.5), "interval": (0.25, math.inf)})
        {'rate': 0.5, 'interval': [0.25, None]}
    """
    if isinstance(value, Mapping):
        words = [str(key) for key in value]
        for word, times in Counter(words).items():
            if times > 1:  # such as 1 and "1": one would hide the other
                raise UserError(f"{times} results have the name {word!r}; keep one, or rename them")
        return {word: jsonable(item) for word, item in zip(words, value.values(), strict=True)}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Sequence):
        return [jsonable(item) for item in value]
    plain = value.tolist() if hasattr(value, "tolist") else value  # arrays of NumPy, JAX, xarray
    if isinstance(plain, list):
        return jsonable(plain)
    if isinstance(plain, int) and abs(plain) > sys.float_info.max:
        raise UserError(f"a result of {plain.bit_length()} bits is beyond all numbers of float64")
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
