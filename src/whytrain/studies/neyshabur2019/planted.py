"""Wrong statements that claims must refuse, planted in what was measured."""

from collections.abc import Callable
from typing import Any

import numpy as np

from whytrain.lab import Cell, Cells, Fault
from whytrain.studies.neyshabur2019.trends import by_width, widest

Plant = Callable[[Cells], Cells]


def scaled(name: str, factor: Callable[[Any], float]) -> Plant:
    """A number times a function of the settings, where it was measured."""

    def one(cell: Cell) -> Cell:
        if name not in cell.data:
            return cell
        return cell.assign(**{name: cell.data[name].values * factor(cell.settings)})

    return lambda cells: cells.change(one)


def times(name: str, factor: float) -> Plant:
    """A number times another one."""
    return scaled(name, lambda settings: factor)


def shifted(name: str, power: float) -> Plant:
    """A number times a power of the width."""
    return scaled(name, lambda settings: settings.width**power)


def exchanged(one: str, other: str) -> Plant:
    """Two numbers change places."""
    return lambda cells: cells.change(
        lambda cell: cell.assign(
            **{one: cell.data[other].values, other: cell.data[one].values}
        )
    )  # fmt: skip


def reversed_widths(cells: Cells) -> Cells:
    """The narrowest networks have the numbers of the widest, and so on, on all data."""
    return Cells([
        Cell(one.settings, other.data)
        for some in cells.by("data").values()
        for one, other in zip(by_width(some), reversed(by_width(some)), strict=True)
    ])  # fmt: skip


def one_of_the_widest(name: str, value: float) -> Plant:
    """A number of one of the widest networks is another one."""

    def plant(cells: Cells) -> Cells:
        last = widest(cells)
        numbers = np.array(last.data[name].values, float)
        numbers[-1] = value
        changed = last.assign(**{name: numbers})
        return cells.change(lambda cell: changed if cell is last else cell)

    return plant


REVERSED = Fault("the widths are reversed", reversed_widths)
ONE_MISSES = Fault("one of the widest networks misses the target", one_of_the_widest("fits", 0.0))
