"""Numba's programs between processes: found again under the same name only, come what may."""

import errno

import numpy as np
import pytest
from numba.core import caching

from whytrain import _programs
from whytrain.dynamics import kept
from whytrain.landscapes.kernel import jit


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("WHYTRAIN_CACHE", str(tmp_path / "cache"))
    _programs.cannot_keep.cache_clear()
    return tmp_path / "cache"


def made(identity="half", factor=0.5):
    """A compiled function that is closed over a number and over another one."""
    inner = jit(lambda x: factor * x)

    def scaled(x):
        return inner(x) + 1

    return kept.keep(jit(scaled, outermost=True), identity)


def hits(function):
    return sum(function.stats.cache_hits.values())


def test_a_program_is_found_again(root):
    first, second = made(), made()
    assert (first(4.0), hits(first)) == (3.0, 0)
    assert (second(4.0), hits(second)) == (3.0, 1)
    assert second(np.float64(1 / 3)) == first(np.float64(1 / 3))


@pytest.mark.parametrize("change", ["identity", "sources"])
def test_another_kernel_or_another_source_is_another_program(root, change, monkeypatch):
    assert made()(4.0) == 3.0
    if change == "sources":
        monkeypatch.setattr(kept, "_origin", lambda: "edited")
    other = made("third" if change == "identity" else "half", factor=0.25)
    assert (other(4.0), hits(other)) == (2.0, 0)


def test_every_source_of_a_kernel_counts(tmp_path, monkeypatch):
    kept._origin.cache_clear()
    before = kept._origin()
    for package in ("gaussian", "landscapes", "dynamics"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "step.py").write_text(package)
    monkeypatch.setattr(kept.whytrain, "__file__", str(tmp_path / "__init__.py"))
    names = {before}
    for package in ("gaussian", "landscapes", "dynamics"):
        (tmp_path / package / "step.py").write_text("x = 1")
        kept._origin.cache_clear()
        names.add(kept._origin())
    kept._origin.cache_clear()
    assert len(names) == 4


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_program_is_compiled_anew_and_kept(root, ending):
    assert made()(4.0) == 3.0
    [path] = root.rglob(f"*.{ending}")
    path.write_bytes(path.read_bytes()[:30])
    again = made()
    assert (again(4.0), hits(again)) == (3.0, 0)
    third = made()
    assert (third(4.0), hits(third)) == (3.0, 1)


def test_a_full_disk_is_no_fault(root, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert made()(4.0) == 3.0
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("case", ["a user's own", "none are kept"])
def test_what_has_no_identity_or_no_place_is_compiled(root, case, monkeypatch):
    if case == "none are kept":
        monkeypatch.setenv("WHYTRAIN_CACHE", "")
    function = made("" if case == "a user's own" else "half")
    assert function(4.0) == 3.0
    assert not list(root.rglob("*.nbc"))
