"""An experiment: from settings and random keys to labeled numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from whytrain.lab.randomness import Runs
from whytrain.lab.settings import Settings


@dataclass(frozen=True)
class Experiment:
    """A function from settings and runs to a dataset; it knows no files, processes or progress.

    Attributes:
        name: Its name on the command line.
        doc: What it does, in one sentence.
        settings: The class of its settings.
        compute: Gives, for settings and runs, a dataset whose dimension `run` has one entry a run.
            A variable without that dimension must be the same for all runs of one setting.
        summarize: Gives, for the dataset of all runs and the settings, what is worth telling, as
            values that JSON can hold. With `reduce`, it is given the reduced dataset.
        runs: How many runs are made when the user does not say.
        block: How many runs are computed, and stored, at a time. No result depends on it.
        reduce: Gives, for the dataset of some runs, one without the dimension `run` that is enough
            for `summarize`: numbers that add up over runs, such as counts. Whole numbers, or the
            last bit depends on the blocks. Where there is no such thing, all runs are held at once.
        version: To be raised when the numbers it computes change: older pieces are then left alone.
    """

    name: str
    doc: str
    settings: type[Settings]
    compute: Callable[[Any, Runs], xr.Dataset]
    summarize: Callable[[xr.Dataset, Any], dict[str, Any]]
    runs: int = 1000
    block: int = 8192
    reduce: Callable[[xr.Dataset], xr.Dataset] | None = None
    version: int = 1

    def results(self, dataset: xr.Dataset, settings: Any) -> dict[str, Any]:
        """Summarize runs.

        Args:
            dataset: What `compute` gave.
            settings: The settings.

        Returns:
            What is worth telling.
        """
        return self.summarize(self.reduce(dataset) if self.reduce else dataset, settings)
