"""A claim of a paper: what it states, the numbers it asks for, and the rules they are held to.

At the end: parts that many claims have, and faults that can be planted in many.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args, overload

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from whytrain._lazy import later
from whytrain.errors import UserError
from whytrain.lab.experiment import Request
from whytrain.lab.settings import as_dict, fingerprint
from whytrain.lab.statistics import LEVEL, Estimate, estimate_rate, largest, unmasked
from whytrain.lab.verdicts import (
    Finding,
    Rule,
    Verdict,
    Word,
    above,
    at_most,
    covers,
    every_run,
)

special, stats = later("scipy.special"), later("scipy.stats")

Group = Literal["definitions", "landscape", "dynamics", "experiments", "caveats"]

SHARES = (0.5, 0.25, 0.25)
"""What part of the probability of error each look at the data may spend."""


@dataclass(frozen=True)
class Cell:
    """All runs of one request.

    Attributes:
        settings: At which settings.
        data: The numbers, over the dimension `run`.
    """

    settings: Any
    data: xr.Dataset

    @property
    def runs(self) -> int:
        """How many runs."""
        return self.data.sizes["run"]

    def at(self, **settings: Any) -> bool:
        """Whether it is at these settings.

        Args:
            **settings: Values by the name of a setting.
        """
        return all(getattr(self.settings, name) == value for name, value in settings.items())

    def assign(self, **variables: Any) -> "Cell":
        """The cell with other numbers: arrays of the shape of what they replace.

        Args:
            **variables: New values by the name of a variable that is there.
        """
        new = {name: self.data[name].copy(data=values) for name, values in variables.items()}
        return replace(self, data=self.data.assign(new))


class Cells(Sequence[Cell]):
    """The numbers that a claim asked for, a cell a request, in their order."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = tuple(cells)

    def __len__(self) -> int:
        return len(self._cells)

    @overload
    def __getitem__(self, place: int) -> Cell: ...
    @overload
    def __getitem__(self, place: slice) -> "Cells": ...
    def __getitem__(self, place: int | slice) -> "Cell | Cells":
        return Cells(self._cells[place]) if isinstance(place, slice) else self._cells[place]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def sel(self, **settings: Any) -> "Cells":
        """Those at these settings.

        Args:
            **settings: Values by the name of a setting.
        """
        return Cells([cell for cell in self if cell.at(**settings)])

    def by(self, name: str) -> "dict[Any, Cells]":
        """Those at each value of a setting, in the order of appearance.

        Args:
            name: The setting.
        """
        values = dict.fromkeys(getattr(cell.settings, name) for cell in self)
        return {value: self.sel(**{name: value}) for value in values}

    def pooled(self, name: str) -> np.ndarray:
        """One variable of all runs of all cells, as a vector; of several places, run by run.

        Only places that were drawn independently count as runs of their own.

        Args:
            name: The variable.

        Raises:
            UserError: If there is no cell.
        """
        if not self._cells:
            raise UserError(
                f"there are no runs to take {name!r} of: they were not asked for at the settings "
                "that the claim compares"
            )
        return np.concatenate([np.ravel(cell.data[name].values) for cell in self])

    def change(self, function: Callable[[Cell], Cell]) -> "Cells":
        """What a function makes of each cell.

        Args:
            function: Gives another cell.
        """
        return Cells([function(cell) for cell in self])

    @property
    def runs(self) -> int:
        """The runs of all cells."""
        return sum(cell.runs for cell in self)


@dataclass(frozen=True)
class Part:
    """One thing that a claim states of the numbers.

    Attributes:
        what: What is measured, in words.
        measure: Gives its estimate; or several, to each of which the rule applies.
        rule: What it is held against.
    """

    what: str
    measure: Callable[[Cells], Estimate | Sequence[Estimate]]
    rule: Rule

    def findings(self, cells: Cells, share: float = 1.0) -> list[Finding]:
        """Hold the numbers against the rule.

        Args:
            cells: The numbers.
            share: The part of the probability of error that may be spent on it.
        """
        found = self.measure(cells)
        several = [found] if isinstance(found, Estimate) else list(found)
        if not several:
            raise UserError(f"nothing was measured of {self.what!r}, so nothing can be said of it")
        if self.rule.relation == "<=" and any(one.bound is not None for one in several):
            raise UserError(
                f"{self.what!r} is sampled: hold it to below(); at_most() is for exact numbers"
            )
        level = 1 - (1 - self.rule.level) * share
        return [Finding(self.what, one.at(level), self.rule, share) for one in several]


@dataclass(frozen=True)
class Fault:
    """A wrong statement that a claim must refuse, planted in its numbers.

    Attributes:
        what: What is wrong, in words, such as "the rate is off by 2 %".
        plant: Gives the numbers that would be measured if it were so, from those that were.
        requests: Asks for other numbers in place of the claim's own, at the preset.
    """

    what: str
    plant: Callable[[Cells], Cells] = lambda cells: cells
    requests: Callable[[str], Sequence[Request]] | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of a paper that can turn out false.

    Attributes:
        id: Its short name, such as `escape`.
        title: What it says, in a few words.
        group: What it is about.
        source: Where it is stated: paper, theorem or table.
        statement: What it says, in words and a formula in plain text.
        requests: The numbers it needs under a preset.
        parts: What is measured, and the rules; all of them must hold.
        faults: Wrong statements that it must refuse.
        does_not_show: What the numbers leave open, in one sentence.
        note: Gives what else the numbers say, in words.
        expected: The verdict that the study expects: a statement known to fail as printed is
            expected to be `contradicted`.
        growth: How many times as many runs each further look has, where a rule has a resolution.
        figures: Names of the figures that show it.
        no_fault: Why no fault can be planted, where there is none.
    """

    id: str
    title: str
    group: Group
    source: str
    statement: str
    requests: Callable[[str], Sequence[Request]]
    parts: tuple[Part, ...]
    faults: tuple[Fault, ...] = ()
    does_not_show: str = ""
    note: Callable[[Cells], str] | None = None
    expected: Word = "supported"
    growth: int = 4
    figures: tuple[str, ...] = ()
    no_fault: str = ""

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError(f"claim {self.id!r} needs a part or more: what is held against a rule")
        if self.group not in get_args(Group):
            raise UserError(
                f"the group of claim {self.id!r} is one of {', '.join(get_args(Group))}; got "
                f"{self.group!r}"
            )
        if type(self.growth) is not int or self.growth < 2:
            raise UserError(
                f"growth of claim {self.id!r} must be a whole number, 2 or more, got "
                f"{self.growth!r}"
            )

    @property
    def looks(self) -> int:
        """How often its numbers may be looked at."""
        again = any(part.rule.resolution is not None for part in self.parts)
        return len(SHARES) if again else 1

    def at_look(self, look: int, asked: Sequence[Request]) -> list[Request]:
        """What a look needs: from the second on, more runs that begin with those of the first.

        Args:
            look: Its number, from 1.
            asked: What the first look needs.
        """
        return [replace(r, runs=r.runs * self.growth ** (look - 1)) for r in asked]

    def judge(self, cells: Cells, look: int = 1) -> Verdict:
        """Hold the numbers against the rules.

        Args:
            cells: The numbers.
            look: Which look at them this is.

        Returns:
            The verdict.
        """
        share = SHARES[look - 1] if self.looks > 1 else 1.0
        findings = [found for part in self.parts for found in part.findings(cells, share)]
        note = self.note(cells) if self.note else ""
        return Verdict(tuple(findings), cells.runs, note, look=look)

    def needs_more(self, verdict: Verdict) -> bool:
        """Whether a further look may decide what this one did not.

        Args:
            verdict: What this one said.
        """
        if verdict.word != "inconclusive" or verdict.look >= self.looks:
            return False
        return any(f.word == "inconclusive" and f.may_be_sharper for f in verdict.findings)

    def plan(self, preset: str) -> str:
        """Hash what is fixed before numbers are seen: statement, rules, looks and requests.

        Args:
            preset: The preset.
        """
        rules = [[part.what, asdict(part.rule)] for part in self.parts]
        asked = [
            [request.experiment, as_dict(request.settings), request.runs]
            for request in self.requests(preset)
        ]
        looks = [self.growth, SHARES]
        return fingerprint(self.id, self.statement, self.expected, rules, looks, asked)


_FARTHEST = 6.0  # standard errors, beyond which no correct closed form is at one point


def closed_form(z: str, what: str) -> tuple[Part, Part]:
    """A closed form lies in Monte Carlo's 95 % intervals about as often as they promise.

    The interval of that share has 99.9 %, so that a correct closed form is not refused by chance;
    one that is ever missed by six standard errors is refused.

    Args:
        z: The variable that holds Monte Carlo less closed form, in standard errors.
        what: What was compared, in words.

    Returns:
        The part on the share of points, and the part on the farthest point.
    """

    def share(cells: Cells) -> Estimate:
        held = np.abs(cells.pooled(z)) < -special.ndtri((1 - LEVEL) / 2)
        return estimate_rate(int(held.sum()), len(held))

    return (
        Part(f"share of points at which Monte Carlo's 95 % interval covers {what}", share,
             covers(LEVEL)),
        Part(f"largest distance between {what} and Monte Carlo, in standard errors",
             lambda cells: largest(np.abs(cells.pooled(z))), at_most(_FARTHEST)),
    )  # fmt: skip


def identity(*errors: str, tolerance: float, what: str) -> Part:
    """These errors are what rounding leaves.

    Args:
        *errors: The variables that hold them.
        tolerance: What rounding may leave.
        what: What they are, in words.
    """

    def worst(cells: Cells) -> Estimate:
        return largest(np.max([cells.pooled(name) for name in errors], axis=0))

    return Part(what, worst, at_most(tolerance))


def in_every_run(
    held: Callable[[Cells], ArrayLike],
    what: str,
    share: float = LEVEL,
    *,
    resolution: float | None = None,
) -> Part:
    """It held in every run.

    Args:
        held: Gives whether it did, run by run.
        what: The runs in which it did, in words.
        share: The share of all runs that the exact interval has to exceed.
        resolution: As in `Rule`.
    """
    return Part(what, _rate(held), every_run(share, resolution=resolution))


def in_most_runs(
    held: Callable[[Cells], ArrayLike],
    what: str,
    share: float = 0.5,
    *,
    resolution: float = 0.2,
) -> Part:
    """It held in most runs.

    What single runs far from all others move is said so, and not by a mean over runs.

    Args:
        held: Gives whether it did, run by run.
        what: The share of these runs, in words.
        share: What the exact interval has to exceed.
        resolution: As in `Rule`.
    """
    return Part(what, _rate(held), above(share, resolution=resolution))


def _rate(held: Callable[[Cells], ArrayLike]) -> Callable[[Cells], Estimate]:
    def rate(cells: Cells) -> Estimate:
        good = _truths(held(cells))
        return estimate_rate(int(good.sum()), len(good))

    return rate


def _truths(given: ArrayLike) -> np.ndarray:
    """Whether it held, run by run; NaN says neither, and would count as true."""
    found = np.atleast_1d(unmasked(given))
    if found.ndim > 1:
        raise UserError(
            f"whether it held is one value a run, got an array of {found.shape}; of the places of "
            "a run take all(axis=-1), say, for they are not independent"
        )
    bad = int((~((found == 0) | (found == 1))).sum())
    if bad:
        raise UserError(
            f"whether it held is true or false (1 or 0) in each run, and {bad} of {len(found)} "
            "values are not; compare numbers with a threshold, and leave out, in words, the runs "
            "that have none"
        )
    return found.astype(bool)


def moved(name: str, size: str, share: float) -> Callable[[Cells], Cells]:
    """A planted fault: the closed form is too large by a share of itself.

    Args:
        name: The variable that holds Monte Carlo less closed form, in standard errors.
        size: The variable that holds the closed form in standard errors.
        share: How much of itself.
    """
    return changed(
        lambda cell: cell.assign(**{name: cell.data[name].values - share * cell.data[size].values})
    )


def changed(function: Callable[..., Cell], *args: Any, **settings: Any) -> Callable[[Cells], Cells]:
    """A planted fault: each cell is another one.

    Args:
        function: Gives the wrong cell from the right one, and from `args`.
        args: What else it takes.
        **settings: Values by the name of a setting: only the cells there are changed.
    """
    return lambda cells: cells.change(
        lambda cell: function(cell, *args) if cell.at(**settings) else cell
    )


def altered(
    name: str, function: Callable[[np.ndarray], np.ndarray], **settings: Any
) -> Callable[[Cells], Cells]:
    """A planted fault: one variable is another function of what was measured.

    Args:
        name: The variable; cells without it stay as they are.
        function: Gives its wrong values from the right ones.
        **settings: Values by the name of a setting: only the cells there are changed.
    """
    return changed(_with_other, name, function, **settings)


def added(name: str, size: float) -> Callable[[Cells], Cells]:
    """A planted fault: every value of a variable is larger by so much.

    Args:
        name: The variable.
        size: How much.
    """
    return altered(name, lambda values: values + size)


def scaled(
    name: str, factor: float | Callable[[Any], float], **settings: Any
) -> Callable[[Cells], Cells]:
    """A planted fault: every value of a variable is so many times as large.

    Args:
        name: The variable.
        factor: How many times; a function gives it from the settings of a cell.
        **settings: As for `altered`.
    """

    def one(cell: Cell) -> Cell:
        size = factor(cell.settings) if callable(factor) else factor
        return _with_other(cell, name, lambda values: values * size)

    return changed(one, **settings)


def grown(name: str, setting: str, power: float) -> Callable[[Cells], Cells]:
    """A planted fault: a variable grows with a setting by another power of it.

    Args:
        name: The variable.
        setting: The setting.
        power: How much larger the power is.
    """
    return scaled(name, lambda settings: getattr(settings, setting) ** power)


def _with_other(cell: Cell, name: str, function: Callable[[np.ndarray], np.ndarray]) -> Cell:
    known = name in cell.data
    return cell.assign(**{name: function(cell.data[name].values.copy())}) if known else cell


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
