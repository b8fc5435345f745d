"""Time to the verdicts of the whole success table, with and without early ones."""

import time
import warnings

import numpy as np

from whytrain.dynamics import simulate
from whytrain.lab import Runs
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders
from whytrain.studies.liu2019.success import TABLE

NANOSECONDS = 1.0  # that a step of a run takes, about
PATIENCE = 150.0  # seconds that full runs may take; with less time, fewer runs a cell


def measure(repeats: int) -> dict:
    """Compute the table with early verdicts, then without, from the same starts.

    Args:
        repeats: Not used: one full table takes minutes.

    Returns:
        Seconds and steps of both sides, as if both had made all runs of a cell.
    """
    del repeats
    requests = TABLE("paper")
    settings, runs = [request.settings for request in requests], requests[0].runs
    cost = sum(each.steps for each in settings) * NANOSECONDS * 1e-9
    full_runs = max(100, min(runs, int(PATIENCE / cost)))
    start = time.perf_counter()
    for each in settings:  # every size of network has its own programs for the random starts
        _ends(each, 10, True)

    before = time.perf_counter()
    early = [_ends(each, runs, True) for each in settings]
    middle = time.perf_counter()
    full = [_ends(each, full_runs, False) for each in settings]
    after = time.perf_counter()

    steps = {"early": sum(steps for _, steps in early), "full": sum(steps for _, steps in full)}
    wrong = sum(
        int((soon[:full_runs] != late).sum())
        for (soon, _), (late, _) in zip(early, full, strict=True)
    )
    scale = runs / full_runs
    return {
        "cells": len(settings), "runs": runs, "full_runs": full_runs,
        "compile_seconds": before - start,
        "early_seconds": middle - before, "full_seconds": (after - middle) * scale,
        "early_steps": steps["early"], "full_steps": int(steps["full"] * scale),
        "ratio_seconds": (after - middle) * scale / (middle - before),
        "ratio_steps": steps["full"] * scale / steps["early"],
        "disagreements": wrong,
    }  # fmt: skip


def _ends(settings: DescentSettings, runs: int, early: bool) -> tuple[np.ndarray, int]:
    """Outcomes, and steps summed over the runs."""
    starts = draw_orders(settings, Runs(0, 0, 0, runs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ended = simulate(settings.reduction, settings.method, starts, settings.steps, early=early)
    return ended.outcome.values, int(ended.steps.sum())
