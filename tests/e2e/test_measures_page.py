"""The lines of the page on measuring a network of one's own, run as they are printed."""

import copy
import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.neural_network import MLPClassifier

import plain_capacity as plain
import whytrain
from whytrain.cli import main
from whytrain.measures.bounds import BOUNDS
from whytrain.report import write_network_page


def blocks(heading):
    """The blocks of Python under a heading of the page."""
    page = (Path(__file__).parents[2] / "docs" / "measures.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def framework(kind):
    """What a user of it has before the lines: an untrained model, and a training that is short."""
    if kind == "PyTorch":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

        def train(model, X, y):
            step = torch.optim.Adam(model.parameters(), 0.1)
            for _ in range(60):
                step.zero_grad()
                out = model(torch.from_numpy(X))
                torch.nn.functional.cross_entropy(out, torch.from_numpy(y)).backward()
                step.step()

        return {"model": model, "train": train}
    if kind == "Flax":
        nn = pytest.importorskip("flax.linen", reason="Flax is not installed")
        module = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(2)])
        return {"module": module, "train": lambda v, X, y: descended(module.apply, v, X, y)}
    if kind == "Equinox":
        model = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(0))
        return {"model": model, "train": lambda m, X, y: eqx.combine(
            descended(lambda p, x: jax.vmap(eqx.combine(p, m))(x),
                      eqx.filter(m, eqx.is_inexact_array), X, y), m)}  # fmt: skip
    return {"MLPClassifier": partial(MLPClassifier, max_iter=200, learning_rate_init=0.05)}


def descended(logits, params, X, y):
    def loss(p):
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits(p, X), y)
        return each.mean()

    step = jax.jit(lambda p: jax.tree.map(lambda a, g: a - 0.5 * g, p, jax.grad(loss)(p)))
    for _ in range(60):
        params = step(params)
    return params


KINDS = [pytest.param(0, "PyTorch", marks=pytest.mark.optional("PyTorch")),
         pytest.param(1, "Flax", marks=pytest.mark.optional("Flax")),
         pytest.param(2, "Equinox", marks=pytest.mark.slow),
         (3, "scikit-learn")]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize(("i", "kind"), KINDS)
def test_five_lines_lead_from_a_model_to_a_page(i, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines, rng = blocks("From the model to a page")[i], np.random.default_rng(0)
    assert len(lines.splitlines()) <= 5
    x = rng.standard_normal((60, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    names = framework(kind) | {"wt": whytrain, "np": np, "jax": jax, "copy": copy, "X": x, "y": y,
                               "X_test": x, "y_test": y,
                               "write_network_page": write_network_page}  # fmt: skip
    names["wt"] = SimpleNamespace(
        measures=whytrain.measures, portrait=partial(whytrain.portrait, sample=20, draws=100)
    )
    exec(lines, names)
    found = names["found"]
    assert found.checked
    assert found.deep.distance > 0
    assert found.capacity.bounds["neyshabur2019"].vacuous
    assert found.linearity.slope_from == "model"
    page = (tmp_path / "page" / "network.html").read_text()
    assert "what it decides around the examples" not in page


def test_a_pytorch_user_needs_three_lines(capsys, tmp_path, monkeypatch):
    """The lines of the page, with a model trained by PyTorch itself; and the same through files."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save

    monkeypatch.chdir(tmp_path)
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

    lines = blocks("Two layers, from PyTorch")[0]
    assert len(lines.splitlines()) == 3
    exec(lines, {"wt": whytrain, "model": model, "train": train, "X": X, "y": labels})
    assert "neyshabur2019" in capsys.readouterr().out
    save(model.state_dict(), "trained.safetensors")
    np.savez("data.npz", inputs=X, labels=labels)
    words = ("--initial", "initial.safetensors", "--trained", "trained.safetensors")
    status = main(
        ["measure", "network", *words, "--data", "data.npz", "--examples", "40", "--json"]
    )
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document["network"]["hidden"] == 64
    assert not document["checked"]
    assert set(document["bounds"]) == {"pac_bayes", *BOUNDS}
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
    exec(blocks("Deeper networks")[0], names)
    trained = model.layers()
    assert names["found"].parameters == 27 + 54 + 24
    assert names["found"].checked

    def loss(params, x, y):
        logits = whytrain.measures.forward(params, x)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])

    names |= {"loss": loss, "params": trained, "initial": untrained, "key": key}
    exec(blocks("Curvature")[0], names)
    assert names["top"].converged
    assert names["trace"].low <= names["trace"].value <= names["trace"].high
    assert names["flat"].low <= names["flat"].sigma <= names["flat"].high
