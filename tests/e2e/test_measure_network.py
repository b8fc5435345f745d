"""`whytrain measure network` as a user meets it: from files, and from models."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import plain_capacity as plain
from whytrain.cli import main
from whytrain.measures import deep

MODELS = """
import equinox as eqx
import jax


def models():
    return [eqx.nn.MLP(12, 4, 6, 1, jax.nn.gelu, key=key) for key in KEYS]


KEYS = jax.random.split(jax.random.key(0), 2)
"""


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, last, x, y = plain.network()
    for name, state in (("i", first), ("t", last), ("u", last)):
        save_file(state, f"{name}.safetensors")
    np.savez("d.npz", inputs=x, labels=y)

    def run(*words):
        status = main(["measure", "network", "--data", "d.npz", *map(str, words)])
        return status, *capsys.readouterr()

    return run


FILES = ("--initial", "i.safetensors", "--trained", "t.safetensors", "--examples", 40)


def test_files_become_one_document(call):
    status, out, err = call(*FILES, "--json")
    assert (status, err) == (0, "")
    found, known = json.loads(out), deep(*plain.network()).document()
    assert found["margin"]["value"] == known["margin"]
    assert found["norms"]["path_2"] == known["path_2"]
    assert not found["checked"]
    trace = found["curvature"]["trace"]
    assert trace["low"] <= trace["value"] <= trace["high"]
    assert found["curvature"]["bottom"]["value"] <= found["curvature"]["top"]["value"]
    assert 0 < found["bounds"]["pac_bayes"]["bound"] <= 1


def test_two_networks_stand_side_by_side_on_a_page(call, tmp_path):
    status, out, err = call(*FILES, "--trained", "u.safetensors", "--out", "page")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    page = (tmp_path / "page" / "network.html").read_text()
    for words in ("What these numbers do not tell", "largest eigenvalue", "<th scope=\"col\">u<",
                  "Not checked against the model"):  # fmt: skip
        assert words in page
    assert set(json.loads((tmp_path / "page" / "network.json").read_text())) == {"t", "u"}


def test_models_are_taken_as_they_are(call, tmp_path):
    (tmp_path / "own.py").write_text(MODELS)
    status, _, err = call("--python", "own.py:models", "--margin-quantile", 0.99, "--json")
    if status:  # an untrained network has hardly a margin
        assert "the margin at quantile 0.99" in err
        assert "its outputs are those of the model" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --initial FILE and --trained FILE, or --python"),
        ((*FILES, "--python", "own.py:models"), "leave out --initial and --trained"),
    ],
)
def test_a_mistake_is_told(call, words, message):
    status, _, err = call(*words)
    assert status == 2
    assert message in err
