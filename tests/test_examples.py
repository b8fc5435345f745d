"""The scripts in examples/ run, and find what they say. (own_landscape.py is the README's.)"""

import json
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from whytrain.cli import main
from whytrain.lab import Cell, Cells, as_dict

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, capsys):
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_a_method_of_ones_own(capsys):
    lines = run("own_method.py", capsys).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "normalized descent", "momentum (Optax)", "sign descent",
    ]  # fmt: skip
    for line in lines:
        counts = eval(line.partition(": ")[2])
        assert counts["global"] + counts["spurious"] >= 295
        assert counts["global"] > 100


def test_an_activation_of_ones_own(capsys):
    printed = run("own_activation.py", capsys)
    both = "global at 0.0 degrees, global at 180.0 degrees, saddle at 90.0 degrees"
    assert printed.count(both) == 2  # an odd activation cannot tell a filter from its opposite
    trap = "global at 0.0 degrees, spurious at 180.0 degrees, saddle at 90.0 degrees"
    assert f"relu, teacher of sum 0: {trap}" in printed
    assert f"softplus, teacher of sum 0: {trap}" in printed
    assert "{'global': 15, 'spurious': 15}" in printed


def test_a_study_of_ones_own(tmp_path, capsys):
    study = EXAMPLES / "own_study.py"
    target = f"{study}/descent"
    assert main(["run", target, "--set", "condition=30", "--runs", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"]["steps"] > 100
    assert main(["reproduce", str(study), "--out", str(tmp_path), "--json"]) == 0
    [claim] = json.loads(capsys.readouterr().out)["claims"]
    assert claim["verdict"] == "supported"
    assert claim["estimate"] == pytest.approx(0.5, abs=0.1)
    assert (tmp_path / "figures" / "steps.png").exists()


def test_its_claim_is_contradicted_where_it_is_false():
    [claim] = runpy.run_path(str(EXAMPLES / "own_study.py"))["study"].claims
    [fault], noise = claim.faults, np.linspace(0.999, 1.001, 10)
    roots = Cells([
        Cell(r.settings, xr.Dataset({"arrival": ("run", r.settings.condition**0.5 * noise)}))
        for r in claim.requests("quick")
    ])  # fmt: skip
    assert claim.judge(roots).word == "supported"
    assert claim.judge(fault.plant(roots)).word == "contradicted"


def test_its_settings_are_plain():
    settings = runpy.run_path(str(EXAMPLES / "own_study.py"))["DescentSettings"]
    assert as_dict(settings(momentum=True))["momentum"] is True


def test_the_cluster_scripts_are_sound():
    cluster = EXAMPLES / "cluster"
    subprocess.run(["sh", "-n", cluster / "slurm.sh"], check=True)
    names = runpy.run_path(str(cluster / "slurm_cluster.py"))
    assert callable(names["main"])


def test_optimizers_are_compared_on_the_shipped_training(capsys):
    """At the best of some step sizes each trains to about what it should."""
    train = runpy.run_path(str(EXAMPLES / "optimizers.py"))["train"]
    for optimizer, rate in (("sgd", 0.3), ("momentum", 0.03), ("adam", 0.01), ("adamw", 0.01)):
        found = train(optimizer, rate, 0.0, 0)
        assert len(found["loss"]) == len(found["score"]) == 30
        assert 0 < found["loss"][-1] < 0.15
        assert 0 < found["score"][-1] < 0.6
    np.testing.assert_array_equal(found["loss"], train("adamw", 0.01, 0.0, 0)["loss"])
    words = ["measure", "optimizers", "--python", f"{EXAMPLES / 'optimizers.py'}:train"]
    words += ["--optimizer", "sgd", "--optimizer", "muon", "--budget", "1", "--trials", "2"]
    assert main([*words, "--learning-rates", "0.01,0.03", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compared_at"] == "equal training loss"
