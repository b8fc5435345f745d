"""That runs go together in blocks of the size, and on the threads, that were asked for."""

import sys

import numpy as np
import xarray as xr

from whytrain.dynamics import GradientDescent, simulate
from whytrain.landscapes import SharedFilter, Weights


def test_block_and_threads_are_not_taken_for_each_other(monkeypatch):
    seen = []

    def ended(*given):
        seen.extend(given)
        return xr.Dataset()

    monkeypatch.setattr(sys.modules["whytrain.dynamics.simulate"], "_ended", ended)
    starts = Weights(np.ones((4, 3)), np.ones((4, 2)))
    landscape = SharedFilter(np.array([1.0, 0.0, 0.0]), np.ones(2))
    simulate(landscape, GradientDescent(0.1), starts, 5, block=3, threads=2)
    assert seen[-2:] == [3, 2]
