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
        (["--data", "d.npz", "--outputs", "none.npy"], "there is no file of outputs none.npy"),
        (["--data", "d.npz", "--outputs", "i.safetensors"], "no npy or npz file of plain arrays"),
        (
            ["--data", "d.npz", "--outputs", "d.npz"],
            "has no array 'outputs'; it has inputs, labels",
        ),
        (["--data", "d.npz", "--outputs", "zero.npy"], "is not the model"),
        (["--data", "d.npz", "--ignore", "head"], "ignore has 'head', which no entry is called"),
        (["--data", "d.npz", "--order", "output,hidden"], "are they swapped"),
        (["--data", "said.npz", "--trained", "more.safetensors"], "'steps' of shape () is used by"),
    ],
)
def test_a_mistake_is_one_line(words, message, call):
    _, _, x, y = plain.network()
    np.savez("wrong.npz", inputs=x, labels=(y + 1) % 4)
    np.savez("half.npz", inputs=x, labels=y, test_inputs=x)
    np.savez("other.npz", inputs=x[:, :3], labels=y)
    np.savez("said.npz", inputs=x, labels=y)
    np.save("zero.npy", np.zeros((150, 4)))
    save_file(plain.network()[1] | {"steps": np.array(3)}, "more.safetensors")
    status, out, err = call(*WORDS, *words)
    assert (status, out) == (2, "")
    assert err.startswith("whytrain: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("where", ["in the data", "npy", "npz"])
def test_outputs_are_compared_and_the_answer_is_shown(where, call):
    _, last, x, y = plain.network()
    logits = plain.logits(last, x[:40])
    np.savez("said.npz", inputs=x, labels=y, **({"outputs": logits} if where[:2] == "in" else {}))
    np.save("l.npy", logits)
    np.savez("l.npz", outputs=logits)
    words = ["--data", "said.npz", *([] if where[:2] == "in" else ["--outputs", f"l.{where}"])]
    document = json.loads(call(*WORDS, *words, "--json")[1])
    assert (document["checked"], document["compared"]) == (True, 40)
    assert "outputs agree with the model's on 40 examples" in call(*WORDS, *words)[1]
    document = json.loads(call(*WORDS, "--data", "d.npz", "--json")[1])
    assert (document["checked"], document["compared"]) == (False, 0)
    assert "not checked against the model" in call(*WORDS, "--data", "d.npz")[1]


def test_what_is_ignored_and_in_which_order_is_taken(call):
    save_file(plain.network()[1] | {"steps": np.array(3)}, "more.safetensors")
    words = ("--data", "d.npz", "--trained", "more.safetensors", "--ignore", "st*")
    status, out, _ = call(*WORDS, *words, "--order", "hidden,output", "--json")
    assert status == 0
    assert "ignored as asked: steps" in json.loads(out)["notes"]


def test_no_bound_is_shown_as_none(call):
    first, last, x, _ = plain.network(d=1)
    save_file(first, "i.safetensors")
    save_file(last, "t.safetensors")
    np.savez("one.npz", inputs=x, labels=plain.logits(last, x).argmax(axis=1))
    status, out, err = call(*WORDS, "--data", "one.npz")
    assert (status, err) == (0, "")
    [row] = [line for line in out.splitlines() if "bartlett_mendelson2002" in line and "l1" in line]
    assert row.split()[-3:] == ["none", "none", "nothing"]
    bound = json.loads(call(*WORDS, "--data", "one.npz", "--json")[1])["bounds"]
    assert bound["bartlett_mendelson2002"] == {"capacity": None, "gap": None, "vacuous": True}


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
    assert not document["checked"]
    assert set(document["bounds"]) == set(BOUNDS)
    with torch.no_grad():
        right = model(X).argmax(dim=1) == labels
    assert document["errors"]["train"] == pytest.approx(1 - float(right.double().mean()))


class Tensor(np.ndarray):
    """An array that is copied as a tensor of PyTorch is."""

    def clone(self):
        return self.copy()


class Model:
    """A network that can be asked as a module of PyTorch can."""

    def __init__(self, state, how):
        self.state, self.how = state, how

    def state_dict(self):
        return self.state

    def named_modules(self):
        part = {"0": SimpleNamespace(stride=(1, 1), padding=(1, 1))}
        return (part | {"2": SimpleNamespace(stride=(2, 2), padding=(0, 0))}).items()

    def layers(self):
        return whytrain.measures.layers(self.state, **self.how)

    def __call__(self, x):
        return whytrain.measures.forward(self.layers(), x)


def test_the_other_lines_of_the_page_run():
    rng = np.random.default_rng(0)
    shapes = {"0.weight": (3, 1, 3, 3), "2.weight": (2, 3, 3, 3), "5.weight": (3, 2 * 2 * 2)}
    state = {name: rng.normal(size=shape).view(Tensor) for name, shape in shapes.items()}
    model = Model(state, {"padding": {"0": 1}, "stride": {"2": 2}})
    untrained = model.layers()

    def train(model, X, y):
        for array in model.state_dict().values():
            array += 0.1 * rng.normal(size=array.shape)
        y[:] = np.asarray(model(X)).argmax(axis=1)  # so that all are right

    X, key = rng.normal(size=(12, 1, 5, 5)), jax.random.key(0)
    y = np.zeros(len(X), int)
    names = {"wt": whytrain, "model": model, "train": train, "X": X, "y": y}
    exec(blocks()[1], names)
    trained = model.layers()
    assert names["found"].parameters == 27 + 54 + 24
    assert names["found"].checked

    def loss(params, x, y):
        logits = whytrain.measures.forward(params, x)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])

    names |= {"loss": loss, "params": trained, "initial": untrained, "key": key}
    exec(blocks()[2], names)
    assert names["top"].converged
    assert names["trace"].low <= names["trace"].value <= names["trace"].high
    assert names["flat"].low <= names["flat"].sigma <= names["flat"].high
