"""`whytrain measure capacity` as a user meets it, and the way from PyTorch to it."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import plain_capacity as plain
import whytrain
from whytrain.cli import main
from whytrain.measures import capacity
from whytrain.measures.bounds import BOUNDS

WORDS = ("measure", "capacity", "--initial", "i.safetensors", "--trained", "t.safetensors")


@pytest.fixture(autouse=True)
def _network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, last, x, y = plain.network()
    save_file(first, "i.safetensors")
    save_file(last, "t.safetensors")
    np.savez(
        "d.npz", inputs=x, labels=y, test_inputs=x, test_labels=(y + (np.arange(150) < 15)) % 4
    )


@pytest.fixture
def call(capsys):
    def run(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


def test_it_prints_one_json_document(call):
    status, out, err = call(*WORDS, "--data", "d.npz", "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    found = capacity(*plain.network()).document()
    assert document["bounds"] == found["bounds"]
    assert document["errors"] == {"train": 0, "test": 0.1, "gap": 0.1}


def test_it_shows_people_tables_that_fit(call):
    status, out, err = call(*WORDS, "--data", "d.npz")
    assert (status, err) == (0, "")
    for word in ("12-20-4", "neyshabur2019", "nothing", "capacity ‖u − u⁰‖", "path_2", "error_gap"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_quantile_and_the_names_are_taken(call):
    words = (
        "--data",
        "d.npz",
        "--margin-quantile",
        0.5,
        "--hidden",
        "hidden",
        "--output",
        "output",
    )
    document = json.loads(call(*WORDS, *words, "--json")[1])
    assert document["margin"]["quantile"] == 0.5
    assert document["margin"]["value"] == pytest.approx(
        np.median(plain.margins(*plain.network()[1:]))
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--data"),
        (["--data", "none.npz"], "there is no data file none.npz"),
        (["--data", "i.safetensors"], "no npz file of plain arrays"),
        (["--data", "d.npz", "--trained", "d.npz"], "no safetensors file"),
        (["--data", "d.npz", "--trained", "none"], "there is no checkpoint none"),
        (["--data", "d.npz", "--hidden", "hidden"], "name both layers"),
        (["--data", "d.npz", "--hidden", "a", "--output", "b"], "no layer 'a'; its layers are"),
        (["--data", "d.npz", "--margin-quantile", "2"], "from 0 to 1, got 2"),
        (["--data", "d.npz", "--margin-quantile", "low"], "it must be a number"),
        (["--data", "wrong.npz"], "not positive"),
        (["--data", "half.npz"], "has 'test_inputs' alone"),
        (["--data", "other.npz"], "takes 12 numbers an example, the inputs have 3"),
    ],
)
def test_a_mistake_is_one_line(words, message, call):
    _, _, x, y = plain.network()
    np.savez("wrong.npz", inputs=x, labels=(y + 1) % 4)
    np.savez("half.npz", inputs=x, labels=y, test_inputs=x)
    np.savez("other.npz", inputs=x[:, :3], labels=y)
    status, out, err = call(*WORDS, *words)
    assert (status, out) == (2, "")
    assert err.startswith("whytrain: error: ")
    assert err.count("\n") == 1
    assert message in err


def blocks():
    page = Path(__file__).parents[2] / "docs" / "measures.md"
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_a_pytorch_user_needs_three_lines(call, capsys):
    """The lines of the page, with a model trained by PyTorch itself; and the same through files."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save

    torch.manual_seed(0)
    _, _, x, y = plain.network()
    X, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    model = torch.nn.Sequential(torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
    save(model.state_dict(), "initial.safetensors")

    def train(model, X, y):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        for _ in range(300):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()

    lines = blocks()[0]
    assert len(lines.splitlines()) == 3
    exec(lines, {"wt": whytrain, "model": model, "train": train, "X": X, "y": labels})
    assert "neyshabur2019" in capsys.readouterr().out
    save(model.state_dict(), "trained.safetensors")
    np.savez("data.npz", inputs=X, labels=labels)
    status, out, err = call(
        "measure", "capacity", "--initial", "initial.safetensors", "--trained",
        "trained.safetensors", "--data", "data.npz", "--json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document["network"]["hidden"] == 64
    assert set(document["bounds"]) == set(BOUNDS)
    with torch.no_grad():
        right = model(X).argmax(dim=1) == labels
    assert document["errors"]["train"] == pytest.approx(1 - float(right.double().mean()))


class Tensor(np.ndarray):
    """An array that is copied as a tensor of PyTorch is."""

    def clone(self):
        return self.copy()


def test_the_other_lines_of_the_page_run():
    rng = np.random.default_rng(0)
    shapes = {"0.weight": (3, 1, 3, 3), "2.weight": (2, 3, 3, 3), "5.weight": (3, 2 * 2 * 2)}
    state = {name: rng.normal(size=shape).view(Tensor) for name, shape in shapes.items()}
    model = SimpleNamespace(state_dict=lambda: state)
    how = {"padding": {"0": 1}, "stride": {"2": 2}}

    def train(model, X, y):
        for array in model.state_dict().values():
            array += 0.1 * rng.normal(size=array.shape)
        logits = whytrain.measures.forward(whytrain.measures.layers(state, **how), X)
        y[:] = np.asarray(logits).argmax(axis=1)  # so that all are right

    X, key = rng.normal(size=(12, 1, 5, 5)), jax.random.key(0)
    y = np.zeros(len(X), int)
    names = {"wt": whytrain, "model": model, "train": train, "X": X, "y": y}
    exec(blocks()[1], names)
    trained = names["net"]
    assert names["found"].parameters == 27 + 54 + 24

    def loss(params, x, y):
        logits = whytrain.measures.forward(params, x)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])

    names |= {"loss": loss, "params": trained, "initial": names["net0"], "key": key}
    exec(blocks()[2], names)
    assert names["top"].converged
    assert names["trace"].low <= names["trace"].value <= names["trace"].high
    assert names["flat"].low <= names["flat"].sigma <= names["flat"].high
