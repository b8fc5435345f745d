import os
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import settings

TESTS = Path(__file__).parent

# For the processes that tests start: they find whytrain where we do.
os.environ["PYTHONPATH"] = str(TESTS.parent / "src")

# How long an example takes depends on the machine, and the first one compiles.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _double_precision():
    """Run every test in float64, as whytrain itself does, without a global setting."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _plain_numbers():
    """Print arrays the same on every machine."""
    with np.printoptions(precision=8, suppress=True, linewidth=100):
        yield
