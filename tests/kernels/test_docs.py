"""What `docs/kernels.md` prints runs, where the library that it is for is installed."""

import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import whytrain as wt

PAGE = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()
X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def blocks(heading):
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def said(block, capsys, **names):
    """What five lines leave and print."""
    assert len(block.splitlines()) == 5
    names |= {"wt": wt, "jax": jax, "X": X, "y": Y}
    exec(block, names)
    return names, capsys.readouterr().out.splitlines()


def check(names, printed):
    """The sentence is that of the rule; the drift is that of the two kernels."""
    drift, sentence = printed
    before, after = names["K0"], names["K"]
    assert float(drift) == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before))
    assert float(drift) > 0
    assert re.fullmatch(r"The network is (in|near|out of) the kernel regime: .*\d\.", sentence)


def by_jacobian(f, params):
    found = jax.tree.leaves(jax.jacrev(lambda p: f(p, X))(params))
    rows = np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in found], axis=2)
    return np.einsum("aop,bop->ab", rows, rows)


def test_five_lines_for_equinox(capsys):
    initial = eqx.nn.MLP(3, 2, 5, 1, activation=jnp.tanh, dtype=jnp.float32, key=jax.random.key(0))
    arrays, rest = eqx.partition(initial, eqx.is_inexact_array)
    trained = eqx.combine(jax.tree.map(lambda leaf: 1.2 * leaf, arrays), rest)
    [block] = blocks("Equinox")
    names, printed = said(block, capsys, initial=initial, trained=trained)
    check(names, printed)
    right = by_jacobian(lambda p, x: names["f"](eqx.combine(p, rest), x), arrays)
    np.testing.assert_allclose(names["K0"], right, rtol=1e-4, atol=1e-4 * right.max())


@pytest.mark.optional("Flax")
def test_five_lines_for_flax_linen(capsys):
    nn = pytest.importorskip("flax.linen", reason="Flax is not installed")
    model = nn.Sequential([nn.Dense(5), nn.tanh, nn.Dense(2)])
    initial = model.init(jax.random.key(0), X)["params"]
    trained = jax.tree.map(lambda leaf: 1.2 * leaf, initial)
    names, printed = said(blocks("Flax")[0], capsys, model=model, initial=initial, trained=trained)
    check(names, printed)
    right = by_jacobian(names["f"], initial)
    np.testing.assert_allclose(names["K0"], right, rtol=1e-4, atol=1e-4 * right.max())


@pytest.mark.optional("Flax")
def test_five_lines_for_flax_nnx(capsys):
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")
    model = nnx.Sequential(
        nnx.Linear(3, 5, rngs=nnx.Rngs(0)), jnp.tanh, nnx.Linear(5, 2, rngs=nnx.Rngs(1))
    )

    def train(model, *_):
        nnx.update(model, jax.tree.map(lambda leaf: 1.2 * leaf, nnx.state(model, nnx.Param)))

    _, printed = said(blocks("Flax")[1], capsys, model=model, nnx=nnx, train=train)
    assert printed[0] == "(12, 12)"
    assert "kernel regime" in printed[1]


@pytest.mark.optional("PyTorch")
def test_five_lines_for_pytorch(capsys):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))

    def train(model, *_):
        with torch.no_grad():
            for leaf in model.parameters():
                leaf *= 1.2

    [block] = blocks("PyTorch")
    check(*said(block, capsys, model=model, train=train))


def test_the_other_lines_run(capsys):
    def f(p, x):
        return jnp.tanh(x @ p["w"]) @ p["v"]

    rng = np.random.default_rng(1)
    names = {
        "wt": wt,
        "f": f,
        "X": X.astype(float),
        "params": {"w": rng.normal(size=(3, 4)), "v": rng.normal(size=(4, 2))},
        "targets": rng.normal(size=(12, 2)),
        "residual": rng.normal(size=(12, 2)),
    }
    for heading in (
        "The kernel",
        "Spectrum, alignment, regression",
        "How the kernel moves: the hierarchy",
        "Infinite width",
    ):
        [block] = blocks(heading)
        exec(block, names)
    np.testing.assert_allclose(sum(names["layers"].values()), names["K"], rtol=1e-10)
    np.testing.assert_allclose(names["k2"], names["kernel"], rtol=1e-10, atol=1e-12)
    assert "structured" in capsys.readouterr().out
