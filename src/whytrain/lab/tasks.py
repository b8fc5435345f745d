"""A task: one piece of work, described so that any process can do it."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import xarray as xr

from whytrain.errors import UnstableStepWarning, UserError
from whytrain.lab.claims import Request
from whytrain.lab.experiment import Experiment
from whytrain.lab.randomness import Runs
from whytrain.lab.settings import as_dict, fingerprint
from whytrain.lab.store import FORMAT
from whytrain.lab.study import Study

_MOST_RUNS = 2**32  # a run's number is folded into its key as 32 bits


@dataclass(frozen=True)
class Source:
    """Where a study comes from, in a form that another process can follow.

    Attributes:
        load: Gives the study of a reference; pickled by name.
        reference: The name of a built-in study, or the path of a file that defines one.
        edition: Tells apart states of a study that its experiments' versions do not: the hash of
            the user's file, nothing for a built-in study.
    """

    load: Callable[[str], Study]
    reference: str
    edition: str = ""

    def study(self) -> Study:
        """Load the study."""
        return self.load(self.reference)


@dataclass(frozen=True)
class Task:
    """Consecutive runs of one setting: a piece of the store, once done.

    Attributes:
        source: The study.
        experiment: The name of the experiment.
        settings: Its settings by name; a user's class of settings may not be importable elsewhere.
        runs: The runs.
        key: The name of the piece.
    """

    source: Source
    experiment: str
    settings: dict[str, Any]
    runs: Runs
    key: str

    def compute(self) -> xr.Dataset:
        """Do it.

        Returns:
            The dataset of the runs.

        Raises:
            ValueError: If the experiment gives another number of runs than it was asked for.
        """
        experiment = self.source.study().experiment(self.experiment)
        with warnings.catch_warnings(action="ignore"):  # whoever made the task has been warned
            settings = experiment.settings(**self.settings)
        with warnings.catch_warnings(action="ignore", category=UnstableStepWarning):
            dataset = experiment.compute(settings, self.runs)
        if dataset.sizes.get("run") != len(self.runs):
            raise ValueError(
                f"experiment {self.experiment!r} must give a dimension 'run' of length "
                f"{len(self.runs)}, gave {dict(dataset.sizes)}"
            )
        return dataset

    def describe(self) -> dict[str, Any]:
        """Say what the piece is, for people who look into the store."""
        runs = {"seed": self.runs.seed, "first": self.runs.first, "count": self.runs.count}
        return {"experiment": self.experiment, "settings": self.settings, **runs}


def split(source: Source, study: Study, request: Request, seed: int) -> list[Task]:
    """Cut a request into the pieces that are computed and stored one by one.

    Args:
        source: Where the study comes from.
        study: The study.
        request: What is asked for.
        seed: The user's seed.

    Returns:
        The tasks, in the order of their runs.

    Raises:
        UserError: If there is no such experiment, or the seed or the number of runs is not allowed.
    """
    check_seed(seed)
    check_runs(request.runs)
    experiment = study.experiment(request.experiment)
    settings = as_dict(request.settings)
    identity = [study.name, experiment.name, settings]
    stream = int(fingerprint(*identity)[:8], 16)
    edition = [experiment.version, source.edition, FORMAT]
    return [
        Task(
            source=source,
            experiment=experiment.name,
            settings=settings,
            runs=Runs(seed, stream, first, count),
            key=fingerprint(*identity, seed, first, count, *edition),
        )
        for first, count in _blocks(request.runs, experiment)
    ]


def check_seed(seed: int) -> None:
    """Refuse a seed that is out of range.

    Args:
        seed: The user's seed.

    Raises:
        UserError: If it is.
    """
    if not 0 <= seed < 2**63:
        raise UserError(f"the seed must be an integer from 0 to 2**63 - 1, got {seed}")


def check_runs(runs: int) -> None:
    """Refuse a number of runs that is out of range.

    Args:
        runs: How many runs the user wants.

    Raises:
        UserError: If they are none, or more than there are keys for.
    """
    if not 1 <= runs <= _MOST_RUNS:
        raise UserError(f"the number of runs must be an integer from 1 to 2**32, got {runs}")


def _blocks(runs: int, experiment: Experiment) -> Iterator[tuple[int, int]]:
    for first in range(0, runs, experiment.block):
        yield first, min(experiment.block, runs - first)
