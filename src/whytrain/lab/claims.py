"""A claim of a paper, the numbers it asks for, and the verdict they lead to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import xarray as xr

Word = Literal["supported", "contradicted", "inconclusive"]


@dataclass(frozen=True)
class Request:
    """So many runs of an experiment at these settings.

    Attributes:
        experiment: The experiment's name within the study.
        settings: Its settings.
        runs: How many runs.
    """

    experiment: str
    settings: Any  # of the experiment's own subclass of Settings
    runs: int


@dataclass(frozen=True)
class Verdict:
    """What the numbers say about a claim.

    Attributes:
        verdict: The word.
        estimate: The measured quantity.
        interval: Its confidence interval, `(low, high)`.
        threshold: The value that the interval was held against.
        runs: The number of runs behind it.
        note: One sentence that says it in words.
    """

    verdict: Word
    estimate: float
    interval: tuple[float, float]
    threshold: float
    runs: int
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement of a paper that can turn out false.

    Attributes:
        id: Its short name, such as `escape`.
        source: Where it is stated: paper, theorem or table.
        statement: What it says, in words and a formula in plain text.
        requests: The numbers it needs under a preset.
        check: Gives the verdict, from the datasets in the order of the requests.
        expected: The verdict that the study expects: a statement known to fail as printed is
            expected to be `contradicted`.
    """

    id: str
    source: str
    statement: str
    requests: Callable[[str], Sequence[Request]]
    check: Callable[[Sequence[xr.Dataset]], Verdict]
    expected: Word = "supported"
