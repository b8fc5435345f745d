"""The cache of compiled programs, for real: shared, cut off, out of reach, damaged."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

# A shell that starts us in the background makes us, and all we start, deaf to Ctrl-C.
LISTEN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from whytrain.cli import main
sys.exit(main())
"""
WORDS = ("run", "liu2019/success-rate", "--runs", "300", "--set", "warmup=false", "--json")


def start(**environment):
    return subprocess.Popen(
        [sys.executable, "-c", LISTEN, *WORDS],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that a signal reaches no one else
    )


def finish(process):
    """The results, and what was said; not how far the work is, as on a busy machine."""
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    said = [line for line in errors.splitlines() if "of 1 done" not in line]
    return json.loads(output)["results"], said


@pytest.fixture(scope="module")
def expected():
    return finish(start(WHYTRAIN_CACHE=""))[0]


def programs(cache):
    return {path.name for path in cache.rglob("*") if path.is_file()}


def test_processes_share_it_and_find_what_others_compiled(expected, tmp_path):
    together = [start(WHYTRAIN_CACHE=str(tmp_path / "cache")) for _ in range(2)]
    for process in together:
        assert finish(process) == (expected, [])
    kept = programs(tmp_path / "cache")
    assert {name.rpartition(".")[2] for name in kept} >= {"nbi", "nbc"}
    assert any(name.startswith("jit__uniforms-") for name in kept)
    assert finish(start(WHYTRAIN_CACHE=str(tmp_path / "cache"))) == (expected, [])
    assert programs(tmp_path / "cache") == kept


def test_a_home_that_cannot_be_written_costs_a_line(expected, tmp_path):
    (tmp_path / "home").write_text("no directory")
    environment = {k: v for k, v in os.environ.items() if k != "WHYTRAIN_CACHE"}
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, *WORDS],
        env={**environment, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    results, said = finish(process)
    assert results == expected
    [line] = said
    assert line.startswith("whytrain: compiled programs are not kept in ")
    assert "WHYTRAIN_CACHE" in line


def test_damaged_programs_are_compiled_anew(expected, tmp_path):
    cache = tmp_path / "cache"
    assert finish(start(WHYTRAIN_CACHE=str(cache))) == (expected, [])
    for path in cache.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert finish(start(WHYTRAIN_CACHE=str(cache))) == (expected, [])
    kept = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    assert finish(start(WHYTRAIN_CACHE=str(cache))) == (expected, [])
    assert {path: path.read_bytes() for path in kept} == kept


def test_interrupted_while_it_compiles(expected, tmp_path):
    cache = tmp_path / "cache"
    process = start(WHYTRAIN_CACHE=str(cache))
    deadline = time.monotonic() + 300  # no test of speed: a machine may be busy
    while not programs(cache):
        assert time.monotonic() < deadline, "nothing was compiled"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, output) == (130, ""), errors
    assert errors.splitlines()[-1].startswith("whytrain: interrupted; ")
    assert finish(start(WHYTRAIN_CACHE=str(cache))) == (expected, [])
