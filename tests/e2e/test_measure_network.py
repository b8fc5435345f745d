"""`whytrain measure network` as a user meets it: from files, and from models."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import plain_capacity as plain
from whytrain.cli import main, measure_tables
from whytrain.measures import capacity, deep

MODELS = """
import equinox as eqx
import jax


def models():
    return [eqx.nn.MLP(12, 4, 6, 1, jax.nn.gelu, key=key) for key in KEYS]


KEYS = jax.random.split(jax.random.key(0), 2)
"""
FILES = ("--initial", "i.safetensors", "--trained", "t.safetensors", "--examples", 40)


def shifted(y):
    """Labels of a test set of which a tenth is another one."""
    return (y + (np.arange(150) < 15)) % 4


def written(place):
    """Checkpoints, and a data file for each thing that may be wrong with one."""
    first, last, x, y = plain.network()
    near = {name: array + 0.01 for name, array in last.items()}
    more = last | {"steps": np.array(3)}
    for name, state in (("i", first), ("t", last), ("u", near), ("more", more)):
        save_file(state, place / f"{name}.safetensors")
    np.savez(place / "d.npz", inputs=x, labels=y, test_inputs=x, test_labels=shifted(y))
    np.savez(place / "said.npz", inputs=x, labels=y, outputs=plain.logits(last, x[:40]))
    np.savez(place / "wrong.npz", inputs=x, labels=(y + 1) % 4)
    np.savez(place / "half.npz", inputs=x, labels=y, test_inputs=x)
    odd = {"words": np.array(list("abcd"))[y], "one": y + 1, "hot": np.eye(4)[y]}
    for name, labels in odd.items():
        np.savez(place / f"{name}.npz", inputs=x, labels=labels)
    save_file(last | {f"ema.{n}": a for n, a in last.items()}, place / "averages.safetensors")
    save_file({n: 1e200 * a for n, a in last.items()}, place / "large.safetensors")
    np.savez(place / "other.npz", inputs=x[:, :3], labels=y)
    np.save(place / "zero.npy", np.zeros((150, 4)))
    (place / "own.py").write_text(MODELS)
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return written(tmp_path_factory.mktemp("network"))


@pytest.fixture
def call(capsys, place, monkeypatch):
    monkeypatch.chdir(place)

    def run(*words):
        status = main(["measure", "network", *map(str, words)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def both(place, tmp_path_factory):
    """Two checkpoints on one page, and the document."""
    out = tmp_path_factory.mktemp("page")
    paths = [place / word if str(word).endswith(".safetensors") else word for word in FILES]
    words = [*paths, "--trained", place / "u.safetensors", "--data", place / "d.npz", "--out", out]
    assert main(["measure", "network", *map(str, words)]) == 0
    return out, json.loads((out / "network.json").read_text())


def test_a_document_has_what_each_instrument_gives(both):
    known, norms = capacity(*plain.network()).document(), deep(*plain.network())
    found = both[1]["t"]
    for name in ("measures", "units", "complexity", "delta"):
        assert found[name] == known[name]
    assert known["bounds"].items() <= found["bounds"].items()
    assert known["norms"].items() <= found["norms"].items()
    assert known["margin"].items() <= found["margin"].items()
    assert found["norms"]["product_spectral"] == norms.product_spectral
    assert found["errors"] == {"train": 0, "test": 0.1, "gap": 0.1}
    assert not found["checked"]
    curvature, flat = found["curvature"], found["flatness"]
    assert curvature["trace"]["low"] <= curvature["trace"]["value"] <= curvature["trace"]["high"]
    assert curvature["bottom"]["value"] <= curvature["top"]["value"]
    density = [np.array(curvature["density"][name]) for name in ("at", "low", "value", "high")]
    assert (density[1] <= density[2]).all()
    assert (density[2] <= density[3]).all()
    assert np.trapezoid(density[2], density[0]) == pytest.approx(1, abs=0.01)
    assert 0 < flat["low"] <= flat["sigma"] <= flat["high"]
    assert found["kernel"]["drift"]["frobenius"] > 0
    assert "name two in classes=" in found["not_measured"]["linearity"]
    assert found["linearity"] is None


def test_a_bound_is_vacuous_where_guessing_is_as_good(both):
    for name, bound in both[1]["t"]["bounds"].items():
        size = bound["bound"] if name == "pac_bayes" else bound["gap"]
        assert bound["vacuous"] == (size >= 3 / 4)


def test_a_second_checkpoint_is_told_by_its_differences(both):
    one, other = both[1]["t"], both[1]["u"]
    assert "differences" not in one
    for name, found in other["differences"].items():
        assert found["low"] <= found["value"] <= found["high"], name
    error = other["differences"]["test_error"]
    assert error["value"] == pytest.approx(other["errors"]["test"] - one["errors"]["test"])
    tops = [each["curvature"]["top"]["value"] for each in (one, other)]
    assert other["differences"]["top"]["value"] == pytest.approx(tops[1] - tops[0])


def test_the_page_has_all_of_it(both):
    page = (both[0] / "network.html").read_text()
    for words in ("What these numbers do not tell", "largest eigenvalue", "<th scope=\"col\">u<",
                  "Not checked against the model", "density of eigenvalues", "kernel regime",
                  "What was not measured, and why", "What it has more than the first",
                  "1 − 1/classes"):  # fmt: skip
        assert words in page


def test_people_see_tables_that_fit(both, capsys):
    measure_tables.show_network(list(both[1].values()), list(both[1]), "page")
    out = capsys.readouterr().out
    for word in ("120 examples", "by unit capacities", "vacuous", "capacity ‖u − u⁰‖", "trace",
                 "not measured: linearity", "the network is"):  # fmt: skip
        assert word.replace("120", "150") in out
    assert max(map(len, out.splitlines())) <= 80


def test_models_are_taken_as_they_are(call):
    """One that was not trained has hardly a margin, and is measured all the same."""
    words = ("--python", "own.py:models", "--data", "d.npz", "--examples", 10, "--json")
    status, out, err = call(*words)
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["checked"]
    assert found["margin"]["value"] < 0
    assert found["complexities"]["neyshabur2018"]["value"] is None
    assert "rectifier between two layers, not gelu" in found["not_measured"]["capacity"]


@pytest.mark.slow
def test_a_leaky_network_of_two_classes_is_measured_to_its_boundary(call):
    rng = np.random.default_rng(0)
    units = np.array([[1.0, 0.3]] * 4 + [[-1.0, -0.2]] * 4) + 0.05 * rng.standard_normal((8, 2))
    readout = np.repeat([[1.0, -1.0]], 4, axis=1)
    readout = np.concatenate([-readout, readout])
    x = rng.standard_normal((100, 2))
    h = x @ units.T
    out = np.where(h > 0, h, 0.2 * h) @ readout.T
    state = {"0.weight": units, "2.weight": readout}
    save_file(state, "leaky.safetensors")
    np.savez("leaky.npz", inputs=x, labels=out.argmax(axis=1), outputs=out)
    words = ("--initial", "leaky.safetensors", "--trained", "leaky.safetensors", "--data",
             "leaky.npz", "--examples", 10)  # fmt: skip
    status, _, err = call(*words)
    assert status == 2
    assert "leaky ReLU (slope 0.2)" in err
    status, shown, err = call(*words, "--slope", 0.2, "--out", "leaky", "--json")
    assert (status, err) == (0, "")
    found = json.loads(shown)
    assert found["linearity"]["word"] == "linear"
    assert found["linearity"]["slope"] == 0.2
    assert 0 < found["linearity"]["cone_degrees"] < 20
    assert "the slope 0.2 below 0" in found["not_measured"]["capacity"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --initial FILE and --trained FILE, or --python"),
        ((*FILES, "--python", "own.py:models"), "leave out --initial and --trained"),
        (("--python", "own.py:models", "--slope", 0.1), "leave out --order, --ignore, --outputs"),
        (("--python", "own.py:model"), "did you mean"),
        ((*FILES, "--data", "none.npz"), "there is no data file none.npz"),
        ((*FILES, "--data", "i.safetensors"), "no npz file of plain arrays"),
        ((*FILES, "--trained", "d.npz"), "d.npz is no checkpoint but data"),
        (
            (*FILES, "--trained", "u.safetensors", "--data", "said.npz"),
            "outputs are of one model, got 2 checkpoints",
        ),
        ((*FILES, "--trained", "none"), "there is no checkpoint none"),
        ((*FILES, "--order", "a,b"), "no layer 'a'; its layers are"),
        ((*FILES, "--margin-quantile", 2), "from 0 to 1, got 2"),
        ((*FILES, "--margin-quantile", "low"), "valid number"),
        ((*FILES, "--data", "wrong.npz"), "not positive"),
        ((*FILES, "--data", "half.npz"), "has 'test_inputs' alone"),
        ((*FILES, "--data", "other.npz"), "takes 12 numbers an example, the inputs have 3"),
        ((*FILES, "--outputs", "none.npy"), "there is no file of outputs none.npy"),
        ((*FILES, "--outputs", "d.npz"), "has no array 'outputs'; it has inputs, labels"),
        ((*FILES, "--outputs", "zero.npy"), "is not the model"),
        ((*FILES, "--ignore", "head"), "ignore has 'head', which no entry is called"),
        ((*FILES, "--order", "output,hidden"), "are they swapped"),
        ((*FILES, "--classes", "one,two"), "two labels A,B"),
        ((*FILES[:3], "more.safetensors"), "'steps' of shape () is used by"),
        ((*FILES, "--trained", "t.safetensors"), "--trained has t.safetensors twice"),
        ((*FILES, "--slope", "nan"), "slope of a rectifier below 0 must be a finite number"),
        ((*FILES, "--data", "words.npz"), "got <U1; np.unique(labels, return_inverse=True)[1]"),
        ((*FILES, "--data", "one.npz"), "got 4 for example"),
        ((*FILES, "--data", "one.npz"), "they look as if they count from 1"),
        ((*FILES, "--data", "hot.npz"), "got shape (150, 4); give labels.argmax(axis=1)"),
        (
            ("--initial", "i.safetensors", "--trained", "averages.safetensors"),
            "as of an optimizer or an average? Then name it in ignore=",
        ),
        (
            ("--initial", "i.safetensors", "--trained", "large.safetensors", "--data", "said.npz"),
            "is not the model",
        ),
    ],
)
def test_a_mistake_is_one_line(call, words, message):
    data = () if "--data" in words else ("--data", "d.npz")
    status, out, err = call(*words, *data)
    assert (status, out) == (2, "")
    assert err.startswith("whytrain: error: ")
    assert err.count("\n") == 1
    assert message in err
