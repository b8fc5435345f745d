"""Compiled programs between processes: where they lie, and what goes wrong there is no fault."""

import errno
import logging
import os
import stat

import pytest

from whytrain import _programs

SET = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "TF_CPP_MIN_LOG_LEVEL",
    "XLA_FLAGS",
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A cache of our own, and an environment in which nobody has chosen anything."""
    place = tmp_path / "cache"
    _programs.cannot_keep.cache_clear()
    for name in SET:
        monkeypatch.setenv(name, "")  # so that it is afterwards as it was, whoever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("WHYTRAIN_CACHE", str(place))
    return place


def test_a_folder_is_the_users_alone(root):
    place = _programs.folder("jax")
    assert place is not None
    assert place.parents[1] == root
    assert place.name == "jax"
    assert not list(place.iterdir())  # what tried whether there is room is gone
    if hasattr(os, "getuid"):
        assert stat.S_IMODE(root.stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WHYTRAIN_CACHE": "", "XDG_CACHE_HOME": "{}/x"}, None),
        ({"XDG_CACHE_HOME": "{}/x"}, "x/whytrain"),
        ({"XDG_CACHE_HOME": "", "HOME": "{}/home"}, "home/.cache/whytrain"),
    ],
)
def test_where_programs_are_kept(environment, expected, tmp_path, monkeypatch):
    monkeypatch.delenv("WHYTRAIN_CACHE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    place = _programs.folder("numba")
    found = None if place is None else str(place.parents[1].relative_to(tmp_path))
    assert found == expected


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has other rights")
def test_a_directory_that_others_can_write_to_is_not_used(root, caplog):
    root.mkdir()
    root.chmod(0o777)
    assert _programs.folder("jax") is None
    assert "others can write to it" in caplog.text


def test_where_nothing_can_be_kept_one_line_says_so(root, caplog):
    root.write_text("a file where the directory would be")
    assert _programs.folder("jax") is None
    assert _programs.folder("jax") is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"compiled programs are not kept in {root} (")
    assert "WHYTRAIN_CACHE" in record.getMessage()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_disk_that_takes_nothing_is_no_fault(root, number, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_programs.tempfile, "TemporaryFile", full)
    with _programs.kept_programs():
        assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
        assert os.environ["WHYTRAIN_CACHE"] == ""  # so that no worker tries again
    assert os.strerror(number) in caplog.text


def test_jax_is_told_and_a_users_choice_stands(root, monkeypatch):
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "2")
    with _programs.kept_programs():
        assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(_programs.folder("jax"))
        assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "2"


@pytest.mark.parametrize("features", ["flags : sse avx512f", "flags : sse"])
def test_false_alarms_of_a_processor_are_not_printed(root, features, monkeypatch):
    monkeypatch.setattr(_programs, "_features", lambda: features)
    with _programs.kept_programs():
        assert ("TF_CPP_MIN_LOG_LEVEL" in os.environ) == ("avx512" in features)


@pytest.mark.parametrize("name", ["XLA_FLAGS", "NPROC"])
def test_programs_compiled_in_another_way_lie_elsewhere(root, name, monkeypatch):
    before = _programs.folder("jax")
    monkeypatch.setenv(name, "7")
    assert _programs.folder("jax") != before


def test_another_processor_has_other_programs(root, monkeypatch):
    before = _programs.folder("jax")
    monkeypatch.setattr(_programs, "_features", lambda: "flags : none")
    assert _programs.folder("jax") != before


def test_a_damaged_program_is_removed(root, monkeypatch):
    place = _programs.folder("jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(place))
    for name in ("jit_f-1-cache", "jit_g-2-cache"):
        (place / name).write_bytes(b"")
    assert _programs.met(
        "Error reading persistent compilation cache entry for 'jit_f': error: Error -5"
    )
    assert [path.name for path in place.iterdir()] == ["jit_g-2-cache"]
    assert not _programs.met("divide by zero")


def test_a_full_disk_is_told_once(root, monkeypatch, caplog):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(root))
    for name in ("jit_f", "jit_g"):
        assert _programs.met(
            f"Error writing persistent compilation cache entry for '{name}': OSError: full"
        )
    assert len(caplog.records) == 1


def test_what_was_not_used_for_longest_goes_first(root, monkeypatch):
    place = _programs.folder("jax")
    for age in range(10):
        path = place / f"{age}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(_programs, "MOST", 1000)
    _programs.trim()
    assert len(list(place.iterdir())) == 10
    monkeypatch.setattr(_programs, "MOST", 500)
    _programs.trim()
    assert sorted(path.name[0] for path in place.iterdir()) == ["0", "1", "2", "3"]


def test_there_may_be_nothing_to_trim(root, monkeypatch):
    _programs.trim()
    monkeypatch.setenv("WHYTRAIN_CACHE", "")
    _programs.trim()
