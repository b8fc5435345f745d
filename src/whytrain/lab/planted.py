"""Faults that many claims are tried with: an error everywhere, or in a single run."""

from collections.abc import Callable

from whytrain.lab.claims import Cells


def added(name: str, size: float) -> Callable[[Cells], Cells]:
    """A planted fault: every value of a variable is larger by so much.

    Args:
        name: The variable.
        size: How much.
    """
    return lambda cells: cells.change(
        lambda cell: cell.assign(**{name: cell.data[name].values + size})
    )


def in_one_run(name: str, value: float) -> Callable[[Cells], Cells]:
    """A planted fault: the first value of the first cell is this one.

    Args:
        name: The variable.
        value: What it is there.
    """

    def plant(cells: Cells) -> Cells:
        values = cells[0].data[name].values.copy()
        values.flat[0] = value
        return Cells([cells[0].assign(**{name: values}), *cells[1:]])

    return plant
