"""Models as users write them: pipelines, one output, log-softmax, and true reasons for refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import Dense, capacity, cross_entropy, deep, layers, network, top_eigenvalue
from whytrain.measures.network import outputs

KEYS = jax.random.split(jax.random.key(0), 2)
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 5)).astype(np.float32)
IMAGES = RNG.normal(size=(4, 2, 6, 6)).astype(np.float32)


def dense(activation):
    return eqx.nn.MLP(5, 3, 4, 2, activation, key=KEYS[0])


def estimators():
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

    x, y = 7 + 3 * RNG.normal(size=(60, 5)), np.arange(60) % 3
    steps = (StandardScaler(), MinMaxScaler(), "passthrough", MaxAbsScaler())
    small = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
    linear = LogisticRegression(C=1e-3)
    return x, {
        "linear": linear.fit(x, y),
        "two": LogisticRegression(C=1e-3).fit(x, y > 0),
        "scaled": make_pipeline(*steps, MLPClassifier(**small)).fit(x, y),
        "many": MLPClassifier(**small).fit(x, np.eye(3)[y] + np.eye(3)[0] > 0),
        "unknown": make_pipeline(StandardScaler(with_std=False), LogisticRegression()),
    }


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_pipelines_and_linear_classifiers_of_scikit_learn_are_read():
    x, models = estimators()
    for name in ("linear", "two", "scaled"):
        logits = network(models[name], x)(x)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, models[name].predict_proba(x), atol=1e-6)
    assert network(models["scaled"], x).parameters == 4 * 5 + 4 + 3 * 4 + 3
    refused = {
        "3 labels that may hold at once": (models["many"], x),
        "a step StandardScaler that is no fitted scaler": (models["unknown"], x),
        "LogisticRegression is none of these, or not fitted": (models["unknown"][-1], x),
        "takes 5 numbers an example, the inputs have 3": (models["scaled"], x[:, :3]),
    }
    for message, given in refused.items():
        with pytest.raises(UserError, match=message):
            network(*given)


def test_a_module_of_equinox_is_a_state_whose_names_lead_to_its_arrays():
    model = dense(jax.nn.relu)
    for layer, linear in zip(layers(model), model.layers, strict=True):
        np.testing.assert_array_equal(layer.weight, linear.weight)
        np.testing.assert_array_equal(layer.bias, linear.bias)


def test_convolutions_take_images_in_the_order_that_the_shapes_tell():
    """Names in no order: the first convolution is the one that takes the inputs' channels."""
    state = {
        "a.weight": RNG.normal(size=(4, 3, 3, 3)), "b.weight": RNG.normal(size=(3, 2, 1, 1)),
        "c.weight": RNG.normal(size=(3, 4 * 4 * 4)),
    }  # fmt: skip
    start = {name: 0.5 * weight for name, weight in state.items()}
    ordered = [layers(one, order=["b", "a", "c"]) for one in (state, start)]
    y = outputs(ordered[0], IMAGES).argmax(axis=1)
    assert deep(state, start, IMAGES, y).bartlett2017 == deep(*ordered, IMAGES, y).bartlett2017


def test_layers_without_an_activation_are_no_network_with_rectifiers():
    """From files rectifiers are supposed; what was read of a model is known."""
    one, two = (eqx.nn.Linear(5, 5, key=key) for key in KEYS[:2])
    net = network(eqx.nn.Sequential([one, two]), VECTORS)
    with pytest.raises(UserError, match="with a rectifier between two layers, not identity"):
        capacity(net, net, VECTORS, np.zeros(6), quantile=1)
    with pytest.raises(UserError, match=r"of one network; got Dense 5-4, tanh, .* Dense 5-4, relu"):
        deep(network(dense(jnp.tanh), VECTORS), network(dense(jax.nn.relu), VECTORS), VECTORS,
             np.zeros(6))  # fmt: skip


def test_one_output_needs_no_axis_and_shared_shifts_are_no_difference():
    """A bias that the model does not have is not there; nor is one from a factor."""
    w = np.asarray(RNG.normal(size=(5, 3)), np.float32)
    found = network(lambda x: jax.nn.log_softmax((x / 4) @ w), VECTORS)
    np.testing.assert_allclose(found(VECTORS), VECTORS @ w / 4, rtol=1e-5, atol=1e-6)
    assert found.parameters == 15
    single = eqx.nn.MLP(5, "scalar", 4, 1, key=KEYS[0])
    logits = network(single, VECTORS)(VECTORS)
    np.testing.assert_allclose(logits[:, 1], jax.vmap(single)(VECTORS), rtol=1e-5, atol=1e-6)
    assert not logits[:, 0].any()
    layers = list(network(single, VECTORS).layers)
    y = np.arange(6) % 2

    def logistic(net, x):
        f = jax.vmap(net)(x)
        return jnp.mean(jax.nn.softplus(f) - y * f)

    tops = (
        top_eigenvalue(cross_entropy, layers, VECTORS, y),
        top_eigenvalue(logistic, single, VECTORS),
    )
    assert tops[0].value == pytest.approx(tops[1].value, rel=1e-5)
    skip = network(lambda x: (x + 0.0 * (x @ np.eye(5, dtype=np.float32))) @ w, VECTORS)
    np.testing.assert_allclose(skip(VECTORS), VECTORS @ w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: {"logits": x}, "gives a dict and no array of outputs; .* the logits alone"),
        (lambda x: x @ np.full((5, 3), np.nan), "weights of Dense 5-3 .* did training diverge"),
        (lambda x: (x @ np.ones((5, 3))) ** 2, r"not known \(integer_pow\)"),
        (lambda x: jnp.clip(x @ np.ones((5, 3)), 0, 20), r"not known \(max, min\)"),
        (eqx.filter_vmap(dense(jax.nn.relu)), r"on one example of shape \(5,\)"),
    ],
)
def test_a_refusal_names_the_reason(model, message):
    with pytest.raises(UserError, match=message):
        network(model, VECTORS)


def written_out(torch):
    """Models as users write them, with what PyTorch has for each piece."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self, forward, images=False):
            super().__init__()
            self.a = nn.Conv2d(2, 5, 3) if images else nn.Linear(5, 5)
            self.b, self.call = nn.Linear(5, 3), forward

        def forward(self, x):
            return self.call(self, x)

    def pooled(net, x):
        return F.adaptive_avg_pool2d(F.relu(net.a(x)), 1).squeeze(-1).squeeze(2)

    end = nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 3)
    old = nn.utils.spectral_norm(nn.Linear(5, 4))
    return [
        (Net(lambda net, x: net.b(pooled(net, x)), images=True), IMAGES),
        (Net(lambda net, x: net.b(net.a(x).relu().mean((2, 3))), images=True), IMAGES),
        (Net(lambda net, x: net.b(net.a(x).relu().mean(3).mean(-1)), images=True), IMAGES),
        (
            Net(
                lambda net, x: net.b(net.a(x).relu().mean(2, keepdim=True).mean(3).flatten(1)),
                images=True,
            ),
            IMAGES,
        ),
        (nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), *end), IMAGES),
        (nn.Sequential(nn.Conv2d(2, 3, 5, padding=2, padding_mode="circular"), *end), IMAGES),
        (Net(lambda net, x: F.log_softmax(net.b(F.softplus(net.a(x), beta=2)), dim=1)), VECTORS),
        (Net(lambda net, x: net.b(net.a(x).clamp(min=0).unsqueeze(1).squeeze())), VECTORS),
        (Net(lambda net, x: net.b(2 * F.relu(net.a(x) / 4 + 0.5) - 0.1)), VECTORS),
        (Net(lambda net, x: net.b(F.relu(0.3 - net.a(x) * 0.7))), VECTORS),
        (Net(lambda net, x: net.b(net.a(x).view(x.size(0), 1, 5).relu().reshape(-1, 5))), VECTORS),
        (Net(lambda net, x: F.linear(x @ net.a.weight.T, net.b.weight, net.b.bias)), VECTORS),
        (Net(lambda net, x: (net.b(x), x) if net.training else net.b(F.hardtanh(x))), VECTORS),
        (nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 3)).bfloat16(), VECTORS),
        (nn.Sequential(old, nn.ReLU(), nn.Linear(4, 3), nn.LogSoftmax(1)), VECTORS),
        (nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 3)), VECTORS),
        (nn.DataParallel(nn.Linear(5, 3)), VECTORS),
    ], [
        (Net(lambda net, x: net.b(F.hardtanh(net.a(x), 0, 2))), "cut off at 0 and 2"),
        (Net(lambda net, x: (net.a(x), x)), "several outputs, .* returns the logits alone"),
        (nn.Sequential(nn.Linear(7, 3)), "are these its inputs"),
    ]


@pytest.mark.optional("PyTorch")
def test_pytorch_models_are_read_as_they_are_written():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    torch.manual_seed(0)
    read, refused = written_out(torch)
    for model, x in read:
        found = network(model, x)(x)
        like = next(model.parameters()).dtype
        said = model.eval()(torch.from_numpy(x).to(like)).detach().double().numpy()
        apart = (found - said) - (found - said).mean(axis=1, keepdims=True)
        assert np.abs(apart).max() < (1e-5 if like == torch.float32 else 2e-2)
    for model, message in refused:
        with pytest.raises(UserError, match=message):
            network(model, VECTORS)


def test_another_activation_is_the_reason_only_where_it_is_nearer():
    """Weights that were stored in half precision are nearer than leaky rectifiers."""
    net = [Dense(RNG.normal(size=(6, 5))), Dense(RNG.normal(size=(3, 6)))]
    said = outputs(net, VECTORS) * (1 + 1e-3 * RNG.normal(size=(6, 3)))
    with pytest.raises(UserError, match=r"usual causes: .* outputs in reduced precision"):
        deep(net, net, VECTORS, np.zeros(6), outputs=said)
