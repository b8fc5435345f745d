"""Running one experiment at one setting."""

import time
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import whytrain
from whytrain.lab.execution import Progress, Results, Silent, execute
from whytrain.lab.executors import Inline
from whytrain.lab.experiment import Request
from whytrain.lab.jsonable import jsonable
from whytrain.lab.provenance import provenance
from whytrain.lab.settings import Settings, as_dict
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.tasks import Source


def run_experiment(
    source: Source,
    name: str,
    settings: Settings,
    *,
    runs: int,
    seed: int = 0,
    out: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run an experiment and summarize it.

    Args:
        source: Where the study comes from.
        name: The experiment.
        settings: Its settings.
        runs: How many runs.
        seed: The seed.
        out: The run directory, a path or a URL, in which pieces are kept; nothing is stored without
            one.
        executor: Who computes; this thread by default.
        progress: Who is told.

    Returns:
        What `whytrain run --json` prints.

    Raises:
        UserError: If something asked for is not allowed.
    """
    started = time.perf_counter()
    study = source.study()
    request = Request(name, settings, runs)
    results = Results(source, study, seed, MemoryStore(), reduced=True)
    tasks = results.tasks([request])  # before anything is written: this refuses what is not allowed
    if out is not None:
        store = Store.open(out)
        store.note({"command": "run", "experiment": name, "runs": runs, **provenance(source, seed)})
        results = replace(results, store=store)
    tally = execute(tasks, results.store, executor or Inline(), progress or Silent())
    [dataset] = results([request])
    return {
        "study": study.name,
        "experiment": name,
        "settings": as_dict(settings),
        "seed": seed,
        "runs": runs,
        "results": jsonable(study.experiment(name).summarize(dataset, settings)),
        "seconds": round(time.perf_counter() - started, 3),
        "version": whytrain.__version__,
        "pieces": {"computed": tally.computed, "reused": tally.reused},
    }
