import gc
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
PACKAGES = ("distributed", "fastparquet", "pyarrow")  # that no user needs to have

# For the processes that tests start: they find whytrain where we do.
os.environ["PYTHONPATH"] = str(TESTS.parent / "src")

# Programs that a user's earlier processes compiled are not what is tested.
os.environ["WHYTRAIN_CACHE"] = ""

# Thousands of compiled programs live as long as the process: to go through them for garbage after
# every 700 new objects, as is usual, takes 7 % of all time.
gc.set_threshold(50_000, 20, 20)

# How long an example takes depends on the machine, and the first one compiles.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class Lacking(PathFinder):
    """Finds no optional package, as on a machine where none is installed."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname in PACKAGES else super().find_spec(fullname, path, target)


def pytest_addoption(parser):
    words = "run only the tests that need what not every machine has, and hide none of it"
    parser.addoption("--optional", action="store_true", help=words)


def pytest_configure(config):
    """Make a bare machine of this one: no image sets but digits, no optional packages."""
    if not config.getoption("optional"):
        bare = pytest.MonkeyPatch()
        bare.setenv("WHYTRAIN_DATA", "")  # set to nothing; OpenML is off too
        finders = [Lacking if one is PathFinder else one for one in sys.meta_path]
        bare.setattr(sys, "meta_path", finders)
        config.add_cleanup(bare.undo)  # the process may go on, and run other tests


def pytest_collection_modifyitems(config, items):
    """With the option the optional tests alone, without it all others; they skip in words."""
    needy = [item for item in items if item.get_closest_marker("optional")]
    if not config.getoption("optional"):
        for item in needy:
            [what] = item.get_closest_marker("optional").args
            item.add_marker(pytest.mark.skip(reason=f"{what} is hidden; see make test-optional"))
        return
    config.hook.pytest_deselected(items=[item for item in items if item not in needy])
    items[:] = needy


@pytest.fixture(autouse=True)
def _double_precision():
    """Run every test in float64, as whytrain itself does, without a global setting."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _own_numbers(request, monkeypatch):
    """Draw the same numbers in a test whatever has run before it in its process."""
    if hasattr(getattr(request.node, "module", None), "RNG"):
        monkeypatch.setattr(request.node.module, "RNG", np.random.default_rng(1))


@pytest.fixture(autouse=True)
def _plain_numbers():
    """Print arrays the same on every machine."""
    with np.printoptions(precision=8, suppress=True, linewidth=100):
        yield
