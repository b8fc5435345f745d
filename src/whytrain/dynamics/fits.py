"""How fast an error dies out along a run."""

import numpy as np
from jaxtyping import Float, Real


def fitted_rates(
    time: Real[np.ndarray, " time"],
    errors: Float[np.ndarray, "run time"],
    low: float,
    high: float,
) -> Float[np.ndarray, " run"]:
    """The rate of each run: how much the logarithm of its error falls in a unit of time.

    A least-squares line through the logarithms of the errors between `low` and `high`, after the
    error was last above `high`, so that one that passes zero on its way does not count there.

    Args:
        time: When the errors were looked at.
        errors: The errors, none negative.
        low: Where rounding begins to count.
        high: Where the linear regime begins.

    Returns:
        The rates; NaN for a run with fewer than two errors in that range.

    Example:
        >>> time = np.arange(200)
        >>> [float(rate) for rate in fitted_rates(time, np.exp(-0.25 * time)[None], 1e-11, 1e-4)]
        [0.25]
    """
    rates = np.full(len(errors), np.nan)
    for run, path in enumerate(errors):
        small = np.flip(np.logical_and.accumulate(np.flip(path < high)))
        inside = small & (path > low)
        if inside.sum() >= 2:
            rates[run] = -np.polyfit(time[inside], np.log(path[inside]), 1)[0]
    return rates
