"""Running it: experiments, executors, the store of results, claims and verdicts."""

from whytrain.lab.claims import Claim, Request, Verdict
from whytrain.lab.execution import NotYetRun, Progress
from whytrain.lab.executors import open_executor
from whytrain.lab.experiment import Experiment
from whytrain.lab.randomness import Runs
from whytrain.lab.reproduction import Reproduction, reopen, reproduce
from whytrain.lab.run import jsonable, run_experiment
from whytrain.lab.settings import Derived, Settings, as_dict, fingerprint, parse, setting
from whytrain.lab.statistics import binomial_interval, mean_interval, slope_interval
from whytrain.lab.store import MemoryStore, Store
from whytrain.lab.study import Figure, Paper, Study
from whytrain.lab.sweep import sweep
from whytrain.lab.tasks import Source
from whytrain.lab.verdicts import always, coverage, exact, one_sided, within

__all__ = [
    "Claim",
    "Derived",
    "Experiment",
    "Figure",
    "MemoryStore",
    "NotYetRun",
    "Paper",
    "Progress",
    "Reproduction",
    "Request",
    "Runs",
    "Settings",
    "Source",
    "Store",
    "Study",
    "Verdict",
    "always",
    "as_dict",
    "binomial_interval",
    "coverage",
    "exact",
    "fingerprint",
    "jsonable",
    "mean_interval",
    "one_sided",
    "open_executor",
    "parse",
    "reopen",
    "reproduce",
    "run_experiment",
    "setting",
    "slope_interval",
    "sweep",
    "within",
]
