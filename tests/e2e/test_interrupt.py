"""Ctrl-C, for real: what is finished stays, and the same command goes on from there."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whytrain.cli import main

# A shell that starts us in the background makes us, and all we start, deaf to Ctrl-C.
LISTEN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from whytrain.cli import main
sys.exit(main())
"""
STUDY = str(Path(__file__).parents[1] / "slow_toy.py")


def start(out, *words):
    return subprocess.Popen(
        [sys.executable, "-c", LISTEN, "reproduce", STUDY, "--json", "--out", str(out), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the signal below reaches no one else
    )


def finish(out, capsys):
    assert main(["reproduce", STUDY, "--json", "--out", str(out)]) == 0
    return json.loads(capsys.readouterr().out)


def wait_for_pieces(out, count):
    deadline = time.monotonic() + 300  # no test of speed: a machine may be busy
    while len(list(out.glob("pieces/*.json"))) < count:
        assert time.monotonic() < deadline, "no piece was finished"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_interrupted_and_resumed_is_as_undisturbed(workers, tmp_path, capsys):
    out = tmp_path / "interrupted"
    process = start(out, "--workers", workers)
    wait_for_pieces(out, 2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    kept = len(list(out.glob("pieces/*.json")))

    assert process.returncode == 130
    assert output == ""
    *_, line = errors.splitlines()  # before it, on a busy machine, how far the work is
    assert line.startswith("whytrain: interrupted; what is finished is kept, go on with: ")
    assert f"whytrain reproduce {STUDY} --json --out {out} --workers {workers}" in line
    assert 2 <= kept < 8

    resumed, undisturbed = finish(out, capsys), finish(tmp_path / "undisturbed", capsys)
    assert resumed["pieces"] == {"computed": 8 - kept, "reused": kept, "wanted": 8}
    assert undisturbed["pieces"]["computed"] == 8
    assert resumed["claims"] == undisturbed["claims"]
