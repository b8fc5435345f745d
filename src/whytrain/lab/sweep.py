"""A phase diagram in a few lines: a function of the user's, called over a grid."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from whytrain.lab.randomness import Runs
from whytrain.lab.settings import fingerprint
from whytrain.lab.tasks import check_runs, check_seed


def sweep(
    function: Callable[..., Any],
    *,
    runs: int | None = None,
    seed: int = 0,
    **axes: Iterable[Any],
) -> xr.Dataset:
    """Call a function at every point of a grid, and label what it returns.

    Args:
        function: Called with one value of every axis by name, and with `keys` (see `runs`). It
            returns a number, a mapping from names to numbers, or a dataset.
        runs: How many random keys each point gets, as the argument `keys`, a typed key array of
            this length. The keys of a point do not depend on the rest of the grid. None are passed
            without it.
        seed: The seed of the keys.
        **axes: The values of each axis.

    Returns:
        A dataset with a dimension for each axis, in the order given. A bare number is named
        `value`.

    Raises:
        UserError: If `runs` or `seed` is out of range.

    Example:
        >>> diagram = sweep(lambda tilt, noise: tilt > noise, tilt=[1, 2, 3], noise=[0, 2])
        >>> diagram.value.values.astype(int)
        array([[1, 0],
               [1, 0],
               [1, 1]])
    """
    check_seed(seed)
    if runs is not None:
        check_runs(runs)
    grid = {name: np.asarray(list(values)) for name, values in axes.items()}

    def evaluate(point: dict[str, Any]) -> xr.Dataset:
        if runs is None:
            return _labeled(function(**point))
        stream = int(fingerprint("sweep", point)[:8], 16)
        return _labeled(function(**point, keys=Runs(seed, stream, 0, runs).keys()))

    return _over(grid, evaluate, {})


def _over(
    axes: Mapping[str, np.ndarray],
    evaluate: Callable[[dict[str, Any]], xr.Dataset],
    point: dict[str, Any],
) -> xr.Dataset:
    """Walk the first axis, and for each of its values all the others."""
    if not axes:
        return evaluate(point)
    (name, values), *others = axes.items()
    slices = [_over(dict(others), evaluate, {**point, name: value}) for value in values.tolist()]
    return xr.concat(slices, dim=xr.DataArray(values, dims=name, name=name), join="exact")


def _labeled(value: Any) -> xr.Dataset:
    """Make a dataset of what the user's function returned."""
    if isinstance(value, xr.Dataset):
        return value
    if isinstance(value, xr.DataArray):
        return value.to_dataset(name=value.name or "value")
    named = value if isinstance(value, Mapping) else {"value": value}
    return xr.Dataset({name: np.asarray(number) for name, number in named.items()})
