"""`whytrain measure linearity`, as a user calls it."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from whytrain.cli import main


@pytest.fixture
def files(tmp_path):
    """A leaky network of two clusters, on data that a line separates."""
    rng = np.random.default_rng(0)
    units = np.array([[1.0, 0.3]] * 4 + [[-1.0, -0.2]] * 4) + 0.05 * rng.standard_normal((8, 2))
    readout = np.repeat([[1.0, -1.0]], 4, axis=1)
    x = rng.standard_normal((100, 2))
    h = x @ units.T
    out = np.where(h > 0, h, 0.2 * h) @ readout.T
    save_file({"0.weight": units, "2.weight": readout}, tmp_path / "trained.safetensors")
    np.savez(tmp_path / "data.npz", inputs=x, labels=(out[:, 0] > 0).astype(int), outputs=out)
    return tmp_path


def asked(files, *more):
    given = "--trained", str(files / "trained.safetensors"), "--data", str(files / "data.npz")
    return ["measure", "linearity", *given, *more]


def test_numbers_a_picture_and_the_sentence(files, capsys):
    assert main(asked(files, "--out", str(files / "pictures"))) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80 or "pictures" in shown.splitlines()[-1]
    assert "Certified: one hyperplane" in " ".join(shown.split())
    assert "Observed only: linear" in " ".join(shown.split())
    assert "0.2" in shown
    assert {path.name for path in (files / "pictures").iterdir()} == {
        "linearity.png", "linearity.svg"
    }  # fmt: skip


def test_one_document(files, capsys):
    assert main(asked(files, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checked"] is True
    assert found["slope_from"] == "outputs"
    assert found["slope"] == pytest.approx(0.2)
    assert found["word"] == "linear"
    assert 0 < found["cone_degrees"] < 20


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--slope", "0.5"), "they are with the slope 0.2"),
        (("--classes", "one,two"), "two labels A,B"),
        (("--order", "0,7"), "'7'"),
        (("--slope", "2"), "slope must be from 0"),
    ],
)
def test_one_line_and_nothing_written(files, capsys, more, words):
    before = sorted(files.rglob("*"))
    assert main(asked(files, *more, "--out", str(files / "pictures"))) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert sorted(files.rglob("*")) == before
