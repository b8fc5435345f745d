"""A study: one paper, made executable."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from whytrain._tables import Shown, Table
from whytrain.errors import UserError, nearest
from whytrain.lab.claims import Cells, Claim
from whytrain.lab.experiment import RUNS, Experiment, Grid, Request, read_runs
from whytrain.lab.settings import read_value

if TYPE_CHECKING:
    import matplotlib.figure


Asking = Callable[[str], Sequence[Request]]


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

    def bibtex(self, key: str) -> str:
        """Give it as an entry of a bibliography.

        Args:
            key: The name under which it is cited.

        Example:
            >>> print(Paper("A. Walker, B. Runner", "On walks", "ICML", 1905).bibtex("walker1905"))
            @inproceedings{walker1905,
              author = {A. Walker and B. Runner},
              title = {On walks},
              booktitle = {ICML},
              year = {1905},
            }
        """
        journal = any(word in self.venue for word in ("Transactions", "Journal", "Annals"))
        fields = {
            "author": self.authors.replace(", ", " and "),
            "title": self.title,
            "journal" if journal else "booktitle": self.venue,
            "year": str(self.year),
        }
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        return f"@{'article' if journal else 'inproceedings'}{{{key},\n{lines}}}"


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: Its file name without an ending.
        title: What it shows.
        requests: The numbers it needs under a preset.
        draw: Gives the matplotlib figure and a caption that says what to conclude, from the
            numbers asked for with their settings.
    """

    name: str
    title: str
    requests: Callable[[str], Sequence[Request]]
    draw: "Callable[[Cells], tuple[matplotlib.figure.Figure, str]]"


@dataclass(frozen=True)
class Model:
    """What a paper looks at, in one picture.

    Attributes:
        draw: Gives the picture as a matplotlib figure.
        caption: What is seen, in a sentence or two.
        symbols: What each letter of the claims means: pairs of a formula and words.
    """

    draw: "Callable[[], matplotlib.figure.Figure]"
    caption: str
    symbols: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Conclusion:
    """What to take home from some claims; which of its words are said, their verdicts choose.

    Attributes:
        claims: Ids of the claims on which it rests.
        holds: What is said where all of them are supported, as a clause.
        fails: What is said where one of them is contradicted.
        matters: Why that matters, a sentence; said where all came out as the study expects.
    """

    claims: tuple[str, ...]
    holds: str = ""
    fails: str = ""
    matters: str = ""


@dataclass(frozen=True)
class Topic:
    """One question of a paper: what is computed for it, stated and drawn.

    Attributes:
        experiments: What can be run.
        claims: What the paper states.
        figures: What the report draws.
    """

    experiments: tuple[Experiment, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, repr=False)
class Study(Shown):
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
        conclusions: What to take home, as the verdicts have it.
        model: What the paper looks at.
        topics: Its questions; their experiments, claims and figures come before those given here.
    """

    name: str
    title: str
    question: str
    paper: Paper
    experiments: tuple[Experiment, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    presets: tuple[str, ...] = ("quick", "paper")
    conclusions: tuple[Conclusion, ...] = ()
    model: Model | None = None
    topics: tuple[Topic, ...] = ()

    def __post_init__(self) -> None:
        for name in ("experiments", "claims", "figures"):
            parts = (*(getattr(topic, name) for topic in self.topics), getattr(self, name))
            object.__setattr__(self, name, tuple(one for part in parts for one in part))
        object.__setattr__(self, "topics", ())
        if not self.name or Path(self.name).name != self.name:
            raise UserError(f"the name of a study is one of a folder, too; got {self.name!r}")
        _refuse_twice("experiments", [experiment.name for experiment in self.experiments])
        _refuse_twice("claims", [claim.id for claim in self.claims])
        _refuse_twice("figures", [figure.name for figure in self.figures])

    def shown(self) -> Table:
        """The claims, and the names of experiments and figures."""
        names = {
            "experiments": [experiment.name for experiment in self.experiments],
            "figures": [figure.name for figure in self.figures],
        }
        rows = [(claim.id, claim.statement) for claim in self.claims]
        notes = tuple(f"{word}: {', '.join(some)}" for word, some in names.items() if some)
        return Table(self.name, ("claim", "statement"), rows, notes, self.question)

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

    def narrowed(self, claims: Sequence[str], settings: Mapping[str, str]) -> "Study":
        """The study with some of its claims only, at other settings where they have them.

        The figures are those that the claims name.

        Args:
            claims: Ids; all claims if there are none.
            settings: What is written for a setting, by its name; an axis over it becomes one value,
                and what the study derives from it follows.

        Raises:
            UserError: If there is no such claim, no experiment of a claim has the setting, or its
                value is not allowed.
        """
        known = {claim.id: claim for claim in self.claims}
        chosen = [find(f"claim of {self.name}", id, known) for id in claims] or self.claims
        shown = {name for claim in chosen for name in claim.figures}
        figures = [figure for figure in self.figures if not claims or figure.name in shown]
        if settings:
            chosen = [self._at(claim, settings) for claim in chosen]
            figures = [self._figure_at(figure, settings) for figure in figures]
        return replace(self, claims=tuple(chosen), figures=tuple(figures))

    def _at(self, claim: Claim, settings: Mapping[str, str]) -> Claim:
        asked = self._checked(f"claim {claim.id}", claim.requests, settings)
        faults = [
            replace(fault, requests=self._asked(fault.requests, settings))
            if fault.requests
            else fault
            for fault in claim.faults
        ]
        return replace(claim, requests=asked, faults=tuple(faults))

    def _figure_at(self, figure: Figure, settings: Mapping[str, str]) -> Figure:
        return replace(figure, requests=self._asked(figure.requests, settings))

    def _checked(self, who: str, requests: Asking, settings: Mapping[str, str]) -> Asking:
        """Other requests, made once at each preset, so that nothing is refused half way."""
        before = {r.experiment for preset in self.presets for r in requests(preset)}
        for name in settings:
            classes = [self.experiment(one).settings for one in sorted(before)]
            fields = {f.name for cls in classes for f in dataclasses.fields(cls)}
            find(f"setting of {who}", name, dict.fromkeys([*fields, RUNS]))
        asked = self._asked(requests, settings)
        if not any(asked(preset) for preset in self.presets):
            told = ", ".join(f"{name}={value}" for name, value in settings.items())
            raise UserError(f"{who} asks for nothing at {told}")
        return asked

    def _asked(self, requests: Asking, settings: Mapping[str, str]) -> Asking:
        """The same requests at other settings."""
        if isinstance(requests, Grid):
            return requests.set(settings)

        def asked(preset: str) -> list[Request]:
            return list(dict.fromkeys(self._moved(r, settings) for r in requests(preset)))

        return asked

    def _moved(self, request: Request, settings: Mapping[str, str]) -> Request:
        cls = type(request.settings)
        fields = {field.name for field in dataclasses.fields(cls)}
        values = {k: read_value(cls, k, text) for k, text in settings.items() if k in fields}
        more = RUNS in settings and RUNS not in fields
        runs = read_runs(settings[RUNS]) if more else request.runs
        return replace(request, settings=request.settings.but(**values), runs=runs)


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


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UserError(f"two {what} are named {twice[0]!r}; give one of them another name")
