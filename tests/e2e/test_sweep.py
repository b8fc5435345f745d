"""Sweeps from the command line: statuses, streams, and one line a mistake."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import whytrain as wt
from whytrain.cli import main

TOY = str(Path(__file__).parents[1] / "toy.py")
SWEEP = f"""
experiment = "{TOY}/walk"
runs = 120
seed = 3
[settings]
drift = 0.25
[grid]
steps = {{start = 1, stop = 3, num = 3}}
[[zip]]
kind = ["normal", "coin"]
scale = [1.0, 2.0]
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text(SWEEP)


@pytest.fixture
def call(capsys):
    def run(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


def test_a_sweep_from_start_to_finish(call):
    status, out, err = call("sweep", "a.toml", "--out", "here")
    assert (status, err) == (0, "")
    assert "6 done, 0 failed, 0 missing" in out
    status, out, err = call("sweep", "a.toml", "--out", "here", "--json")
    assert err == "whytrain: nothing computed: 6 pieces found in here\n"
    first = json.loads(out)
    assert (first["cells"], first["done"], first["seed"]) == (6, 6, 3)
    status, out, _ = call("status", "here", "--json")
    assert json.loads(out) == first
    assert wt.open("here")["mean"].dims == ("steps", "kind")


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(call):
    _, one, _ = call("sweep", "a.toml", "--out", "one", "--json")
    words = ["sweep", "a.toml", "--out", "two", "--json", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "whytrain", *words], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["digest"] == json.loads(one)["digest"]


def test_a_dry_run_estimates_and_writes_nothing(call):
    status, out, _ = call("sweep", "a.toml", "--out", "here", "--dry-run")
    assert status == 0
    assert "6 settings, 6 pieces to compute" in out
    assert "MB in all" in out
    _, out, _ = call("sweep", "a.toml", "--out", "here", "--dry-run", "--json")
    assert json.loads(out)["cells"] == 6
    assert not Path("here").exists()


def test_failures_are_told_and_are_status_1(call):
    Path("b.toml").write_text(f'experiment = "{TOY}/walk"\n[grid]\nbroken = [true, false]\n')
    status, out, err = call("sweep", "b.toml", "--out", "here")
    assert (status, err) == (1, "")
    assert "1 done, 1 failed, 0 missing" in out
    assert "RuntimeError: broken on purpose (toy.py, line" in out
    assert "broken = true" in out
    assert call("status", "here")[0] == 0
    assert call("sweep", "b.toml", "--out", "here", "--retry-failed")[0] == 1


def test_a_table_that_fits_is_filtered_and_exported(call):
    call("sweep", "a.toml", "--out", "here")
    status, out, _ = call("query", "here", "steps > 1", "--sort", "mean", "--limit", "3")
    assert status == 0
    assert "3 of 4 rows" in out
    assert max(map(len, out.splitlines())) <= 80
    status, out, _ = call(
        "query", "here", "--columns", "steps,mean", "--csv", "x.csv", "--descending"
    )
    assert Path("x.csv").read_text().splitlines()[0] == "steps,mean"
    assert len(Path("x.csv").read_text().splitlines()) == 7


def test_verification(call):
    call("sweep", "a.toml", "--out", "here")
    status, out, err = call("verify", "here", "--sample", "2")
    assert (status, out) == (0, "6 pieces, 0 damaged\n2 computed again, 0 differ\n")
    assert "checksums of 6 pieces" in err
    path = min(Path("here", "pieces").iterdir())
    path.write_bytes(b"")
    status, out, _ = call("verify", "here", "--sample", "0", "--json")
    assert status == 1
    assert json.loads(out)["damaged"] == [path.stem]


def test_a_bucket_takes_run_and_sweep(call):
    status, out, _ = call("sweep", "a.toml", "--out", "memory://sweep-e2e", "--json")
    assert (status, json.loads(out)["done"]) == (0, 6)
    assert call("query", "memory://sweep-e2e", "steps == 1")[0] == 0
    status, out, _ = call("run", f"{TOY}/walk", "--out", "memory://run-e2e", "--json")
    assert json.loads(out)["pieces"]["computed"] == 3
    status, _, err = call("reproduce", TOY, "--out", "memory://report")
    assert status == 2
    assert "writes a report and needs a local directory, got 'memory://report'" in err


# Only a file system of its own, which Linux gives to root alone, can be full for this test only.
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
def test_a_full_disk_stops_in_one_line_and_goes_on_when_there_is_room(call, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = "size=28k"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may make a small disk")
    try:
        status, _, err = call("sweep", "a.toml", "--out", disk / "here")
        assert status == 2
        assert err.count("\n") == 1
        assert "No space left on device; make room and give the command again" in err
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        status, out, _ = call("sweep", "a.toml", "--out", disk / "here", "--json")
        assert (status, json.loads(out)["done"]) == (0, 6)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", "none.toml", "--out", "x"], "cannot read the sweep 'none.toml'"),
        (["sweep", "a.toml"], "--out"),
        (["sweep", "bad.toml", "--out", "x"], "bad.toml is not TOML"),
        (["sweep", "key.toml", "--out", "x"], "key.toml: unknown key 'gird'; did you mean 'grid'"),
        (["sweep", "a.toml", "--out", "x", "--workers", "0"], "workers must be an integer >= 1"),
        (["sweep", "a.toml", "--out", "x", "--scheduler", "nowhere"], "scheduler"),
        (["sweep", "a.toml", "--out", "nosuch://x"], "cannot open nosuch://x"),
        (["sweep", "a.toml", "--out", "/proc/x"], "cannot write to /proc/x"),
        (["sweep", "a.toml", "--out", "mine"], "holds files that are not whytrain's"),
        (["status", "none"], "none is not a run directory"),
        (["query", "none"], "none is not a run directory"),
        (["query", "done", "stepz > 1"], "cannot use the condition 'stepz > 1'"),
        (["query", "done", "--sort", "man"], "there is no column 'man'; did you mean 'mean'"),
        (["query", "done", "--columns", ""], "there is no column ''; the columns are steps"),
        (["query", "done", "--limit", "-1"], "the limit must be an integer >= 0, got -1"),
        (["query", "done", "--columns", "steps,x"], "there is no column 'x'"),
        (["query", "done", "--limit", "many"], "it must be an integer, got 'many'"),
        (["query", "done", "--csv", "none/x.csv"], "cannot write to none/x.csv"),
        (["verify", "none"], "none is not a run directory"),
        (["verify", "done", "--sample", "-1"], "the sample must be an integer >= 0, got -1"),
    ],
)
def test_a_mistake_is_one_line(words, message, call):
    Path("bad.toml").write_text("experiment")
    Path("key.toml").write_text("gird = 1")
    Path("mine").mkdir()
    Path("mine", "thesis.tex").write_text("precious")
    call("sweep", "a.toml", "--out", "done")
    call("run", f"{TOY}/walk", "--out", "run", "--runs", "1")
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert err.startswith("whytrain: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not Path("x").exists()
