"""Running it: experiments, executors, the store of results, claims and verdicts."""

from whytrain.lab.claims import Claim, Request, Verdict
from whytrain.lab.execution import Counts, NotYetRun, Progress
from whytrain.lab.executors import open_executor
from whytrain.lab.experiment import Experiment
from whytrain.lab.jsonable import jsonable
from whytrain.lab.opening import export, open, query, table
from whytrain.lab.plan import Plan, make_plan, read_plan
from whytrain.lab.randomness import Runs, normals
from whytrain.lab.reproduction import Reproduction, reopen, reproduce
from whytrain.lab.run import run_experiment
from whytrain.lab.settings import Derived, Settings, as_dict, fingerprint, parse, setting
from whytrain.lab.statistics import (
    binomial_interval,
    contrast_interval,
    mean_interval,
    slope_interval,
)
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Figure, Paper, Study
from whytrain.lab.sweep import sweep
from whytrain.lab.sweep_directory import Sweep, estimate, run_sweep, verify
from whytrain.lab.tasks import Source
from whytrain.lab.verdicts import all_of, always, coverage, exact, nearest, one_sided, within

__all__ = [
    "Claim",
    "Counts",
    "Derived",
    "Experiment",
    "Figure",
    "MemoryStore",
    "NotYetRun",
    "Paper",
    "Plan",
    "Progress",
    "Reproduction",
    "Request",
    "Runs",
    "Settings",
    "Source",
    "Store",
    "Study",
    "Sweep",
    "Verdict",
    "all_of",
    "always",
    "as_dict",
    "binomial_interval",
    "contrast_interval",
    "coverage",
    "estimate",
    "exact",
    "export",
    "fingerprint",
    "jsonable",
    "make_plan",
    "mean_interval",
    "nearest",
    "normals",
    "one_sided",
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
    "slope_interval",
    "sweep",
    "table",
    "verify",
    "within",
]
