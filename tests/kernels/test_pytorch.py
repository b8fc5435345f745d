"""Modules of PyTorch; skipped where it is not installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.kernels import tangent_kernel

pytestmark = pytest.mark.optional("PyTorch")
X = np.random.default_rng(0).normal(size=(7, 4))


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
    with pytest.raises(UserError, match="its parameters by name"):
        tangent_kernel(net, {"w": np.ones(2)}, X)


def test_float32(net):
    params = {name: leaf.detach().numpy() for name, leaf in net.named_parameters()}
    right = tangent_kernel(in_jax, params, X)
    found = tangent_kernel(net.float(), None, X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4 * jax.numpy.abs(right).max())
