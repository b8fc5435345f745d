"""A study: one paper, made executable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import xarray as xr

from whytrain.errors import UserError, nearest
from whytrain.lab.claims import Claim, Request, Verdict
from whytrain.lab.experiment import Experiment

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True)
class Paper:
    """What a study is about.

    Attributes:
        authors: As printed, separated by commas.
        title: The paper's title.
        venue: Where it appeared.
        year: When.
        arxiv: Its arXiv number, or an empty string.
        builds_on: The papers it continues.
    """

    authors: str
    title: str
    venue: str
    year: int
    arxiv: str = ""
    builds_on: "tuple[Paper, ...]" = ()


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: Its file name without an ending.
        title: What it shows.
        requests: The numbers it needs under a preset.
        draw: Gives the matplotlib figure and a caption that says what to conclude, from the
            datasets in the order of the requests.
    """

    name: str
    title: str
    requests: Callable[[str], Sequence[Request]]
    draw: "Callable[[Sequence[xr.Dataset]], tuple[matplotlib.figure.Figure, str]]"


@dataclass(frozen=True)
class Study:
    """A paper's experiments, claims and figures.

    Attributes:
        name: Its name on the command line, `authorYEAR` for a paper.
        title: What it is about, in one line.
        question: The question that it answers.
        paper: The paper.
        experiments: What can be run.
        claims: What the paper states.
        figures: What the report draws.
        presets: Names of the sizes at which it can be reproduced, the smallest first.
        summary: Gives the finding in a few sentences, from the claims and their verdicts.
    """

    name: str
    title: str
    question: str
    paper: Paper
    experiments: tuple[Experiment, ...]
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    presets: tuple[str, ...] = ("quick", "paper")
    summary: Callable[[Sequence[tuple[Claim, Verdict]]], str] | None = None

    def experiment(self, name: str) -> Experiment:
        """Find an experiment by name.

        Args:
            name: Its name.

        Returns:
            The experiment.

        Raises:
            UserError: If the study has none of that name.
        """
        return find(f"experiment of {self.name}", name, {e.name: e for e in self.experiments})

    def preset(self, name: str) -> str:
        """Check the name of a preset.

        Args:
            name: The name.

        Returns:
            The same name.

        Raises:
            UserError: If the study has no such preset.
        """
        return find(f"preset of {self.name}", name, {preset: preset for preset in self.presets})


Found = TypeVar("Found")


def find(kind: str, name: str, known: dict[str, Found]) -> Found:
    """Look a name up that a user gave.

    Args:
        kind: What it names, for the message.
        name: The name.
        known: What there is.

    Returns:
        What has that name.

    Raises:
        UserError: If nothing has.
    """
    if name not in known:
        hint = nearest(name, known) or f"; there is {', '.join(known) or 'none'}"
        raise UserError(f"unknown {kind}: {name!r}{hint}")
    return known[name]
