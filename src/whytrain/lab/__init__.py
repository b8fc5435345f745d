"""Running it: experiments, executors, the store of results, claims and verdicts."""

from whytrain.lab.claims import Cell, Cells, Claim, Fault, Part
from whytrain.lab.execution import Counts, NotYetRun, PieceFailed, Progress
from whytrain.lab.executors import open_executor
from whytrain.lab.experiment import Experiment, Grid, Request
from whytrain.lab.jsonable import jsonable
from whytrain.lab.opening import export, open, query, table
from whytrain.lab.parts import altered, closed_form, identity, in_every_run, moved
from whytrain.lab.plan import Plan, make_plan, read_plan
from whytrain.lab.randomness import Runs, normals
from whytrain.lab.reproduction import Reproduction, reopen, reproduce
from whytrain.lab.run import run_experiment
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
from whytrain.lab.sweep import sweep
from whytrain.lab.sweep_directory import Sweep, run_sweep, sweep_cost, verify
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
    "jsonable",
    "largest",
    "make_plan",
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
    "sweep",
    "sweep_cost",
    "table",
    "verify",
]
