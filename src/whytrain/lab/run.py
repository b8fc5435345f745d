"""Running one experiment at one setting."""

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import whytrain
from whytrain.lab.claims import Request
from whytrain.lab.execution import Progress, Results, Silent, execute
from whytrain.lab.executors import Inline
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
    out: Path | None = None,
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
        out: The run directory in which pieces are kept; nothing is stored without one.
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
    plan = Results(source, study, seed, MemoryStore())
    tasks = plan.tasks([request])  # before anything is written: this refuses what is not allowed
    store = MemoryStore() if out is None else Store.open(out)
    tally = execute(tasks, store, executor or Inline(), progress or Silent())
    [dataset] = Results(source, study, seed, store)([request])
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


def jsonable(value: Any) -> Any:
    """Turn nested values into what JSON can hold: NumPy's numbers into plain ones, NaN into `None`.

    Args:
        value: Numbers, words, arrays, and sequences and mappings of them.

    Returns:
        The same, for `json.dumps(..., allow_nan=False)`.

    Example:
        >>> import numpy as np
        >>> jsonable({"rate": np.float64(0.5), "interval": (0.25, math.inf)})
        {'rate': 0.5, 'interval': [0.25, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Sequence):
        return [jsonable(item) for item in value]
    plain = value.tolist() if hasattr(value, "tolist") else value  # arrays of NumPy, JAX, xarray
    if isinstance(plain, list):
        return jsonable(plain)
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
