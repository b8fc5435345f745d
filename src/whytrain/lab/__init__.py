"""Running it: experiments, executors, the store of results, claims and verdicts."""

from whytrain._json import jsonable
from whytrain.lab.claims import (
    Cell,
    Cells,
    Claim,
    Fault,
    Part,
    altered,
    closed_form,
    identity,
    in_every_run,
    moved,
)
from whytrain.lab.directory import Sweep, export, open, query, table, verify
from whytrain.lab.execution import Counts, NotYetRun, PieceFailed, Progress
from whytrain.lab.executors import open_executor
from whytrain.lab.experiment import Experiment, Grid, Request
from whytrain.lab.monte_carlo import monte_carlo
from whytrain.lab.planted import added, in_one_run
from whytrain.lab.randomness import Runs, normals
from whytrain.lab.reproduction import Reproduction, reopen, reproduce
from whytrain.lab.settings import Derived, Settings, as_dict, fingerprint, parse, setting
from whytrain.lab.statistics import (
    Estimate,
    estimate_contrast,
    estimate_mean,
    estimate_median,
    estimate_rate,
    estimate_rate_difference,
    estimate_slope,
    largest,
)
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Figure, Paper, Study, Topic
from whytrain.lab.summary import summarize, told
from whytrain.lab.sweep import (
    Plan,
    make_plan,
    read_plan,
    run_experiment,
    run_sweep,
    sweep,
    sweep_cost,
)
from whytrain.lab.tasks import Source
from whytrain.lab.verdicts import (
    Finding,
    Rule,
    Verdict,
    above,
    at_most,
    below,
    corrected,
    covers,
    equals,
    every_run,
)

__all__ = [
    "Cell",
    "Cells",
    "Claim",
    "Counts",
    "Derived",
    "Estimate",
    "Experiment",
    "Fault",
    "Figure",
    "Finding",
    "Grid",
    "MemoryStore",
    "NotYetRun",
    "Paper",
    "Part",
    "PieceFailed",
    "Plan",
    "Progress",
    "Reproduction",
    "Request",
    "Rule",
    "Runs",
    "Settings",
    "Source",
    "Store",
    "Study",
    "Sweep",
    "Topic",
    "Verdict",
    "above",
    "added",
    "altered",
    "as_dict",
    "at_most",
    "below",
    "closed_form",
    "corrected",
    "covers",
    "equals",
    "estimate_contrast",
    "estimate_mean",
    "estimate_median",
    "estimate_rate",
    "estimate_rate_difference",
    "estimate_slope",
    "every_run",
    "export",
    "fingerprint",
    "identity",
    "in_every_run",
    "in_one_run",
    "jsonable",
    "largest",
    "make_plan",
    "monte_carlo",
    "moved",
    "normals",
    "open",
    "open_executor",
    "parse",
    "query",
    "read_plan",
    "reopen",
    "reproduce",
    "run_experiment",
    "run_sweep",
    "setting",
    "summarize",
    "sweep",
    "sweep_cost",
    "table",
    "told",
    "verify",
]
