"""Modules of PyTorch; skipped where it is not installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.kernels import kernel_regime, tangent_kernel

pytestmark = pytest.mark.optional("PyTorch")
X, MANY = (np.random.default_rng(0).normal(size=(n, 4)) for n in (7, 15))


@pytest.fixture
def net():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 2)
    return torch.nn.Sequential(*layers).double().eval()


def in_jax(p, x):
    h = x @ p["0.weight"].T + p["0.bias"]
    h = jnp.tanh(h / np.sqrt(1 + 1e-5) * p["1.weight"] + p["1.bias"])
    return h @ p["3.weight"].T + p["3.bias"]


@pytest.mark.parametrize("outputs", ["full", "trace", "diagonal"])
def test_a_module_has_the_kernel_of_the_same_network_in_jax(net, outputs):
    params = {name: leaf.detach().numpy() for name, leaf in net.named_parameters()}
    right = tangent_kernel(in_jax, params, X, X[:3], outputs=outputs)
    for given in (None, params):
        found = tangent_kernel(net, given, X, X[:3], outputs=outputs)
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12)


def test_blocks_and_layers(net):
    whole = tangent_kernel(net, None, X)
    small, plan = tangent_kernel(net, None, X, memory="12KB", explain=True)
    assert plan.points < len(X)
    np.testing.assert_allclose(small, whole, rtol=1e-12)
    parts = tangent_kernel(net, None, X, by_layer=True)
    assert list(parts) == [name for name, _ in net.named_parameters()]
    np.testing.assert_allclose(sum(parts.values()), whole, rtol=1e-12)


def test_a_module_in_training_mode_is_refused(net):
    with pytest.raises(UserError, match=r"call model.eval\(\)"):
        tangent_kernel(net.train(), None, X)
    assert float(net[1].num_batches_tracked) == 0


def test_what_is_refused(net):
    with pytest.raises(UserError, match="goes through its Jacobian"):
        tangent_kernel(net, None, X, method="products")
    with pytest.raises(UserError, match="are given by name"):
        tangent_kernel(net, {"w": np.ones(2)}, X)
    net.forward = lambda x: {"logits": x}
    with pytest.raises(UserError, match="gives a dict and no tensor of outputs"):
        tangent_kernel(net, None, X)


def test_float32(net):
    params = {name: leaf.detach().numpy() for name, leaf in net.named_parameters()}
    right = tangent_kernel(in_jax, params, X)
    found = tangent_kernel(net.float(), None, X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4 * np.abs(right).max())


# -- the kernel regime --------------------------------------------------------------------------


def moved(params, size):
    rng = np.random.default_rng(1)
    return {name: leaf + size * rng.normal(size=leaf.shape) for name, leaf in params.items()}


@pytest.mark.parametrize("test", [None, (X[:3], np.arange(3) % 2)])
def test_the_regime_is_that_of_the_same_network_in_jax(net, test):
    initial = {name: leaf.detach().numpy() for name, leaf in net.named_parameters()}
    trained, given = moved(initial, 0.1), (MANY, np.arange(len(MANY)) % 2)
    right = kernel_regime(in_jax, initial, trained, *given, test=test).document()
    right = dict(jax.tree_util.tree_leaves_with_path(right))
    upside_down = dict(reversed(trained.items()))
    found = kernel_regime(net, None, upside_down, *given, test=test).document()
    [note] = found.pop("notes")
    assert "buffers (1.running_mean, 1.running_var, 1.num_batches_tracked) are" in note
    for name, value in jax.tree_util.tree_leaves_with_path(found):
        assert value == right[name] or value == pytest.approx(right[name], rel=1e-8), name


def test_what_requires_no_gradient_is_held(net):
    initial = {name: leaf.detach().clone() for name, leaf in net.named_parameters()}
    net[0].requires_grad_(False)
    trained = moved({name: initial[name].numpy() for name in ("3.weight", "3.bias")}, 0.5)
    start = {name: initial[name] for name in trained}
    found = kernel_regime(net, start, trained, MANY, np.arange(len(MANY)) % 2)
    assert found.drift.frobenius == 0  # linear in its read-out
    assert found.linearization_gap == pytest.approx(0, abs=1e-12)
    assert "not differentiated in: 0.weight, 0.bias, 1.weight and 1 more" in found.notes
    parts = tangent_kernel(net, None, X, by_layer=True)
    assert list(parts) == ["1.weight", "1.bias", "3.weight", "3.bias"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda net, state: net.state_dict(), "without buffers, got 1.running_mean"),
        (lambda net, state: state | {"0.bias": state["0.bias"][:2]}, "shapes .* got 0.bias"),
        (lambda net, state: {}, "given by name"),
        (lambda net, state: net, "got Sequential"),
        (lambda net, state: net.requires_grad_(False) and None, "no parameter requires"),
    ],
)
def test_parameters_that_are_not_the_modules_are_refused(net, change, words):
    given = change(net, dict(net.named_parameters()))
    with pytest.raises(UserError, match=words):
        kernel_regime(net, given, None, MANY, MANY[:, :2])


def test_half_precision_is_computed_in_single(net):
    found = tangent_kernel(net.bfloat16(), None, X)
    assert found.dtype == np.float32


def test_outputs_of_a_number_each_and_parameters_of_one(net):
    import torch

    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def forward(self, x):
            return self.scale**2 * x[:, 0]

    right = 16 * np.outer(X[:, 0], X[:, 0])
    np.testing.assert_allclose(tangent_kernel(Scaled(), None, X), right, rtol=1e-12)
    found = kernel_regime(Scaled(), None, {"scale": 3.0}, MANY, MANY[:, 0])
    assert found.linearization_gap == pytest.approx(1 / 5)  # 9 - 4 beside 4


def test_what_torch_cannot_differentiate_is_one_line(net):
    import torch

    class Written(torch.nn.Linear):
        def forward(self, input):
            return super().forward(input) * float(input[:1, 0])

    with pytest.raises(UserError, match=r"torch\.func cannot differentiate it") as told:
        tangent_kernel(Written(4, 2), None, 0 * X[:1])
    assert "\n" not in str(told.value)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_modules_without_a_forward_mode_and_of_whole_numbers(net):
    """Attention between tokens: its Jacobian by hand, and the change along it."""
    import torch

    class Attentive(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(7, 4)
            self.mixed = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.out = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.mixed(self.embedding(x))[:, 0])

    net, tokens = Attentive().double().eval(), torch.arange(100).reshape(20, 5) % 7
    initial = {name: leaf.detach().clone() for name, leaf in net.named_parameters()}
    rows = []
    for output in net(tokens).ravel():
        slopes = torch.autograd.grad(output, list(net.parameters()), retain_graph=True)
        rows.append(torch.cat([slope.ravel() for slope in slopes]))
    jacobian = torch.stack(rows).numpy()
    np.testing.assert_allclose(
        tangent_kernel(net, None, tokens), jacobian @ jacobian.T, rtol=1e-9, atol=1e-12
    )
    before = net(tokens).detach().numpy()
    with torch.no_grad():
        for leaf in net.parameters():
            leaf += 0.05 * torch.randn_like(leaf)
    step = np.concatenate(
        [(leaf.detach() - initial[name]).numpy().ravel() for name, leaf in net.named_parameters()]
    )
    change = net(tokens).detach().numpy() - before
    found = kernel_regime(net, initial, None, tokens, np.arange(20) % 2)
    off = change.ravel() - jacobian @ step
    right = np.linalg.norm(off) / np.linalg.norm(change)
    assert found.linearization_gap == pytest.approx(right, rel=1e-8)
