"""Models of four frameworks, layer by layer, against their own outputs; or refused by name."""

import copy

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures import Dense, deep, layers, network
from whytrain.measures.building import Hints
from whytrain.measures.layer_norms import layer_norms
from whytrain.measures.pairs import read_pair
from whytrain.measures.paths import path_norm
from whytrain.measures.stages import ACTIVATIONS, Activation, layers_of

KEYS = jax.random.split(jax.random.key(0), 8)
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 5)).astype(np.float32)
IMAGES = RNG.normal(size=(4, 2, 6, 6)).astype(np.float32)


KINDS = {"relu", "leaky", "tanh", "gelu", "silu", "elu", "sigmoid", "softplus", "padding", "stride",
         "groups", "max", "mean", "normalized", "skip"}  # fmt: skip
"""What is read of every framework that has it."""


def check(model, x, said, kinds):
    """What was read is the model, by the framework's own outputs; norms are those of matrices."""
    found = network(model, x)
    np.testing.assert_allclose(found(x), np.asarray(said), rtol=2e-4, atol=2e-5)
    for kind in kinds.split():
        assert kind in repr(found), repr(found)
    for layer, into, _ in layers_of(found.layers, x.shape[1:]):
        norm = layer_norms(layer, layer, into, (len(layer.weight),))
        assert norm.exact
        assert norm.spectral == pytest.approx(np.linalg.norm(matrix(layer, into), 2), rel=1e-6)
    return found


def matrix(layer, shape):
    """The linear map of a layer, column by column."""
    units = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    return np.asarray(layer(jnp.asarray(units)) - layer(jnp.zeros((1, *shape)))).reshape(
        len(units), -1
    )


def dense(activation):
    return eqx.nn.MLP(5, 3, 4, 2, activation, key=KEYS[0])


def convolution(*more, **how):
    layers = [eqx.nn.Conv2d(2, 4, 3, key=KEYS[0], **how), eqx.nn.Lambda(jax.nn.relu), *more]
    size = jax.eval_shape(eqx.nn.Sequential(layers), jnp.zeros((2, 6, 6))).size
    head = [eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(size, 3, key=KEYS[1])]
    return eqx.nn.Sequential([*layers, *head])


class Skip(eqx.Module):
    inner: eqx.nn.Linear
    head: eqx.nn.Linear

    def __call__(self, x):
        h = jax.nn.relu(x)
        return self.head(h + jnp.tanh(self.inner(h)))


def skip():
    return Skip(eqx.nn.Linear(5, 5, key=KEYS[0]), eqx.nn.Linear(5, 3, key=KEYS[1]))


def shared():
    layer = eqx.nn.Linear(5, 5, key=KEYS[0])
    relu = eqx.nn.Lambda(jax.nn.relu)
    return eqx.nn.Sequential([layer, relu, layer, relu, eqx.nn.Linear(5, 3, key=KEYS[1])])


EQUINOX = {
    "relu": (dense(jax.nn.relu), VECTORS, "Dense relu"),
    "tanh": (dense(jnp.tanh), VECTORS, "tanh"),
    "gelu": (dense(lambda x: jax.nn.gelu(x, approximate=False)), VECTORS, "gelu"),
    "silu": (dense(jax.nn.silu), VECTORS, "silu"),
    "leaky": (dense(lambda x: jax.nn.leaky_relu(x, 0.2)), VECTORS, "leaky_relu(0.2)"),
    "elu": (dense(jax.nn.elu), VECTORS, "elu"),
    "sigmoid": (dense(jax.nn.sigmoid), VECTORS, "sigmoid"),
    "softplus": (dense(jax.nn.softplus), VECTORS, "softplus"),
    "scaled": (dense(lambda x: 0.5 * jax.nn.sigmoid(x)), VECTORS, "sigmoid"),
    "padding": (convolution(padding=1), IMAGES, "Convolution relu"),
    "stride": (convolution(stride=2, padding=((0, 1), (1, 0))), IMAGES, "Convolution"),
    "groups": (convolution(groups=2, dilation=2), IMAGES, "Convolution 2-4"),
    "max": (convolution(eqx.nn.MaxPool2d(2, 2)), IMAGES, "max pool"),
    "mean": (convolution(eqx.nn.AvgPool2d(2, 1)), IMAGES, "sum pool"),
    "skip": (skip(), VECTORS, "[Dense 5-5 tanh + x]"),
    "shared": (shared(), VECTORS, "Dense 5-5"),
}


def normalized():
    """Equinox keeps running statistics beside the model: a function of a batch."""
    norm, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(
        4, "batch", mode="ema", dtype=jnp.float32
    )
    layers = eqx.nn.Linear(5, 4, key=KEYS[0]), eqx.nn.Linear(4, 3, key=KEYS[1])
    batch = jnp.asarray(RNG.normal(size=(30, 4)) + 1, jnp.float32)
    train = jax.vmap(norm, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    _, state = train(batch, state)
    norm = eqx.nn.inference_mode(norm)

    def model(x):
        return layers[1](jax.nn.relu(norm(layers[0](x), state)[0]))

    return jax.vmap(model)


def test_an_equinox_model_with_statistics_is_a_function():
    model = normalized()
    check(model, VECTORS, model(VECTORS), "Dense relu")
    assert set(EQUINOX) | {"normalized"} >= KINDS


@pytest.mark.parametrize("kind", EQUINOX)
def test_an_equinox_model_is_read(kind):
    model, x, kinds = EQUINOX[kind]
    found = check(model, x, jax.vmap(model)(x), kinds)
    if kind == "shared":
        assert found.parameters == 60 + 18 - 30


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (dense(lambda x: jnp.sin(3 * x)), VECTORS, "an activation that is not known"),
        (eqx.nn.Sequential([eqx.nn.Linear(5, 2, key=KEYS[0]), eqx.nn.Lambda(jax.nn.softmax)]),
         VECTORS,
          "softmax.* give logits"),
        (eqx.nn.Sequential([eqx.nn.LayerNorm(5), eqx.nn.Linear(5, 2, key=KEYS[0])]), VECTORS,
         "which is not measured"),
        (lambda x: (x @ np.ones((5, 3))) * (x @ np.ones((5, 3))), VECTORS, "which is not measured"),
        (lambda x: x[:, ::-1] @ np.ones((5, 3)), VECTORS, "the operation rev"),
        (eqx.nn.MLP, VECTORS, "got the class MLP"),
        ({"weight": np.ones((2, 2))}, VECTORS, "a network is read from a PyTorch module"),
        (dense(jax.nn.relu), np.ones(5), "finite numbers whose first axis counts them"),
    ],
)  # fmt: skip
def test_what_is_not_measured_is_refused_by_name(model, x, message):
    with pytest.raises(UserError, match=message):
        network(model, x)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("classes", [2, 3])
def test_an_estimator_of_scikit_learn_is_read(activation, classes):
    from sklearn.neural_network import MLPClassifier

    y = np.arange(60) % classes
    x = RNG.normal(size=(60, 5)) + y[:, None]
    model = MLPClassifier((4,), activation=activation, max_iter=20, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        model.fit(x, y)
    logits = network(model, x)(x)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=1e-6)


def test_a_celu_that_is_not_lipschitz_is_refused():
    with pytest.raises(UserError, match="alpha must be above 0"):
        Activation("celu", -0.5)


def test_a_branch_that_starts_at_zero_is_measured():
    """The outputs depend on the inputs by the skip; without one they do not."""
    w, v = (np.asarray(RNG.normal(size=size)) for size in ((5, 5), (5, 3)))
    y = np.asarray(VECTORS @ v).argmax(axis=1)

    def measured(model):
        net = network(model, VECTORS)
        return deep(net, net, VECTORS, y)

    found = measured(lambda x: (x + jax.nn.relu(x @ w) @ np.zeros((5, 5))) @ v)
    assert found.product_spectral == pytest.approx(np.linalg.norm(v, 2))
    with pytest.raises(UserError, match=r"weights of layers \[1, 2\] are zero"):
        measured(lambda x: (x + jax.nn.relu(x @ w) @ np.zeros((5, 5))) @ np.zeros((5, 3)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_lipschitz_constant_is_the_largest_slope(name):
    one = Activation(name, 0.3)
    x = np.linspace(-50, 50, 1_000_001)
    with jax.enable_x64(True):
        slopes = np.abs(np.diff(np.asarray(one(jnp.asarray(x)))) / np.diff(x))
    assert slopes.max() <= one.lipschitz * (1 + 1e-9)
    assert slopes.max() >= one.lipschitz - 2e-4
    with jax.enable_x64(True):
        assert one.fixes_zero == (abs(float(one(jnp.zeros(())))) < 1e-12)


@pytest.mark.parametrize("kind", ["relu", "padding", "max", "mean", "skip"])
def test_a_model_is_measured(kind):
    """The Lipschitz constant holds, the margin is the framework's, path norms sum over paths."""
    model, x, _ = EQUINOX[kind]
    y = np.asarray(jax.vmap(model)(x)).argmax(axis=1)
    net = network(model, x)
    found = deep(net, net, x, y, quantile=0.5)
    assert found.checked
    assert found.parameters == sum(a.size for a in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    logits = np.asarray(jax.vmap(model)(x), np.float64)
    top = np.sort(logits, axis=1)
    assert found.margin == pytest.approx(np.median(top[:, -1] - top[:, -2]), rel=1e-4)
    near = x + 1e-3 * RNG.normal(size=x.shape)
    apart = np.linalg.norm(net(near) - net(x), axis=1)
    moved = np.linalg.norm((near - x).reshape(len(x), -1), axis=1)
    assert (apart <= found.product_spectral * moved).all()
    if kind == "skip":
        assert found.bartlett2017 is found.neyshabur2018 is found.path_1 is None
        assert "a skip" in " ".join(found.notes)
    if kind == "relu":
        plain = [
            Dense(layer.weight, layer.bias) for layer in net.layers if isinstance(layer, Dense)
        ]
        assert found.path_2 == pytest.approx(path_norm(plain, (5,), 2), rel=1e-12)
        other = deep(plain, plain, x, y, quantile=0.5, batch=3)
        assert other.product_spectral == pytest.approx(found.product_spectral, rel=1e-12)


def torch_models(torch):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.b, self.a = nn.Linear(5, 5), nn.Linear(5, 5)  # declared in another order
            self.head = nn.Linear(5, 3)

        def forward(self, x):
            h = torch.relu(self.a(x))
            return self.head(h + torch.nn.functional.relu(self.b(h)))

    class Gelu(nn.Module):
        def __init__(self, **how):
            super().__init__()
            self.a, self.b, self.how = nn.Linear(5, 4), nn.Linear(4, 3), how

        def forward(self, x):
            return self.b(torch.nn.functional.gelu(self.a(x), **self.how))

    def images(*layers):
        body = nn.Sequential(*layers, nn.Flatten())
        size = body.eval()(torch.zeros(1, 2, 6, 6)).shape[1]
        return nn.Sequential(*body, nn.Linear(size, 3))

    def vectors(*layers):
        return nn.Sequential(nn.Linear(5, 4), *layers, nn.Linear(4, 3))

    return {
        "relu": (vectors(nn.ReLU(), nn.Dropout(0.5)), VECTORS, "relu"),
        "tanh": (vectors(nn.Tanh()), VECTORS, "tanh"),
        "gelu": (vectors(nn.GELU()), VECTORS, "gelu"),
        "gelu, called": (Gelu(), VECTORS, "gelu"),
        "gelu by tanh, called": (Gelu(approximate="tanh"), VECTORS, "gelu_tanh"),
        "leaky": (vectors(nn.LeakyReLU(0.1)), VECTORS, "leaky_relu(0.1)"),
        "silu": (vectors(nn.SiLU()), VECTORS, "silu"),
        "elu": (vectors(nn.ELU()), VECTORS, "elu"),
        "sigmoid": (vectors(nn.Sigmoid()), VECTORS, "sigmoid"),
        "softplus": (vectors(nn.Softplus(2.0)), VECTORS, "softplus(2)"),
        "padding": (images(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()), IMAGES, "Convolution relu"),
        "normalized": (vectors(nn.BatchNorm1d(4, affine=False), nn.ReLU()), VECTORS, "relu"),
        "after": (vectors(nn.ELU(0.5), nn.BatchNorm1d(4)), VECTORS, "elu(0.5)"),
        "one": (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1)), VECTORS, "logits 0"),
        "skip": (Block(), VECTORS, "[Dense 5-5 relu + x]"),
        "stride": (images(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()), IMAGES,
                    "Convolution relu"),
        "groups": (images(nn.Conv2d(2, 4, 3, groups=2, dilation=2), nn.SiLU()), IMAGES, "silu"),
        "max": (images(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 1, 1)), IMAGES, "max pool"),
        "mean": (images(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2)), IMAGES,
                 "sum pool"),
        "normed": (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), nn.ReLU(),
                                 nn.Linear(4, 3)), VECTORS, "Dense 5-4"),
    }  # fmt: skip


@pytest.mark.optional("PyTorch")
def test_pytorch_models_are_read():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    torch.manual_seed(0)
    assert set(torch_models(torch)) >= KINDS
    for kind, (model, x, kinds) in torch_models(torch).items():
        for part in model.modules():
            if hasattr(part, "running_mean") and part.running_mean is not None:
                part.running_mean.uniform_(-1, 1)
                part.running_var.uniform_(0.5, 2)
        model.train()
        said = copy.deepcopy(model).eval()(torch.from_numpy(x)).detach().numpy()
        if kind == "one":
            said = np.concatenate([np.zeros_like(said), said], axis=1)
        found = check(model, x, said, kinds)
        assert found.parameters == sum(p.numel() for p in model.parameters())
        assert model.training
    model, x, _ = torch_models(torch)["relu"]
    model[0].requires_grad_(False)
    assert network(model, x).parameters == sum(p.numel() for p in model[-1].parameters())


@pytest.mark.optional("PyTorch")
def test_what_a_pytorch_model_has_is_refused_by_name():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn

    def net(layer):
        return nn.Sequential(nn.Linear(5, 4), layer, nn.Linear(4, 3))

    flat = [nn.Flatten(), nn.Linear(72, 3)]
    refused = {
        "LayerNorm '1'": (net(nn.LayerNorm(4)), VECTORS),
        "Softmax '3'; give logits": (nn.Sequential(*net(nn.ReLU()), nn.Softmax(1)), VECTORS),
        "PReLU '1'": (net(nn.PReLU()), VECTORS),
        "CELU with alpha -0.5 has slopes without limit": (net(nn.CELU(-0.5)), VECTORS),
        "padding_mode 'reflect'": (
            nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), *flat), IMAGES),
        "Conv2d '0' with padding_mode 'circular', which": (
            nn.Sequential(nn.Conv2d(2, 2, 4, padding=1, padding_mode="circular"), *flat), IMAGES),
        "without running statistics": (
            net(nn.BatchNorm1d(4, track_running_stats=False)), VECTORS),
        "one output and ends in sigmoid": (
            nn.Sequential(nn.Linear(5, 1), nn.Sigmoid()), VECTORS),
    }  # fmt: skip
    for message, (model, x) in refused.items():
        with pytest.raises(UserError, match=message):
            network(model, x)

    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UserError, match="cannot be followed"):
        network(Branch(), VECTORS)
    assert torch.is_grad_enabled()


def flax_models(nn):
    def seq(*layers):
        return nn.Sequential([*layers])

    class Images(nn.Module):
        layers: tuple

        @nn.compact
        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return nn.Dense(3)(x.reshape(len(x), -1))

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.relu(nn.Dense(5)(x))
            return nn.Dense(3)(h + nn.silu(nn.Dense(5)(h)))

    last = np.moveaxis(IMAGES, 1, -1)

    def conv(**how):
        return nn.Conv(4, (3, 3), **how)

    return {
        "relu": (seq(nn.Dense(4), nn.relu, nn.Dense(3)), VECTORS, "relu"),
        "tanh": (seq(nn.Dense(4), nn.tanh, nn.Dense(3)), VECTORS, "tanh"),
        "gelu": (seq(nn.Dense(4), nn.gelu, nn.Dense(3)), VECTORS, "gelu_tanh"),
        "leaky": (seq(nn.Dense(4), nn.leaky_relu, nn.Dense(3)), VECTORS, "leaky_relu(0.01)"),
        "silu": (seq(nn.Dense(4), nn.silu, nn.Dense(3)), VECTORS, "silu"),
        "elu": (seq(nn.Dense(4), nn.elu, nn.Dense(3)), VECTORS, "elu"),
        "sigmoid": (seq(nn.Dense(4), nn.sigmoid, nn.Dense(3)), VECTORS, "sigmoid"),
        "softplus": (seq(nn.Dense(4), nn.softplus, nn.Dense(3)), VECTORS, "softplus"),
        "normalized": (seq(nn.Dense(4), nn.BatchNorm(True), nn.elu, nn.Dense(3)), VECTORS, "elu"),
        "skip": (Block(), VECTORS, "[Dense 5-5 silu + x]"),
        "padding": (Images((conv(), nn.BatchNorm(True), nn.relu)), last, "Convolution relu"),
        "stride": (Images((conv(strides=2, padding="VALID"), nn.relu)), last, "Convolution"),
        "groups": (Images((conv(feature_group_count=2, kernel_dilation=2), nn.relu)), last, ""),
        "max": (Images((conv(), nn.relu, lambda x: nn.max_pool(x, (2, 2), (2, 2)))), last, "max"),
        "mean": (Images((conv(), nn.relu, lambda x: nn.avg_pool(x, (2, 2), (2, 2)))), last, "sum"),
        "global": (Images((conv(), nn.relu, lambda x: x.mean(axis=(1, 2)))), last, "sum pool"),
    }  # fmt: skip


@pytest.mark.optional("Flax")
def test_linen_models_are_read():
    nn = pytest.importorskip("flax.linen", reason="Flax is not installed")

    assert set(flax_models(nn)) >= KINDS
    for model, x, kinds in flax_models(nn).values():
        variables = model.init(jax.random.key(0), jnp.asarray(x))
        variables = jax.tree.map(
            lambda a: a + 0.3 * np.abs(np.random.default_rng(a.size).normal(size=a.shape)),
            variables,
        )
        found = check((model, variables), x, model.apply(variables, x), kinds)
        assert found.parameters == sum(a.size for a in jax.tree.leaves(variables["params"]))
        again = network(lambda x, m=model, v=variables: m.apply(v, x), x)
        np.testing.assert_allclose(again(x), found(x), rtol=1e-6, atol=1e-9)


def nnx_models(nnx):
    """Models with dropout and statistics, in training mode as they are made."""
    rngs = nnx.Rngs(0)

    def flat(x):
        return x.reshape(len(x), -1)

    def vectors(*layers):
        return nnx.Sequential(nnx.Linear(5, 4, rngs=rngs), *layers, nnx.Linear(4, 3, rngs=rngs))

    def images(size, *layers):
        return nnx.Sequential(*layers, flat, nnx.Linear(size, 3, rngs=rngs))

    def conv(**how):
        return nnx.Conv(2, 4, (3, 3), rngs=rngs, **how)

    def pool(kind):
        return lambda x: kind(x, (2, 2), (2, 2))

    class Block(nnx.Module):
        def __init__(self):
            self.inner = nnx.Linear(5, 5, rngs=rngs)
            self.head = nnx.Linear(5, 3, rngs=rngs)

        def __call__(self, x):
            h = nnx.relu(x)
            return self.head(h + nnx.tanh(self.inner(h)))

    last = np.moveaxis(IMAGES, 1, -1)
    norm, drop = nnx.BatchNorm(4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
    norm.mean[...] = jnp.arange(4, dtype=jnp.float32)
    return {
        "relu": (vectors(nnx.relu, drop), VECTORS, "Dense relu"),
        "tanh": (vectors(nnx.tanh), VECTORS, "tanh"),
        "gelu": (vectors(nnx.gelu), VECTORS, "gelu_tanh"),
        "leaky": (vectors(nnx.leaky_relu), VECTORS, "leaky_relu(0.01)"),
        "silu": (vectors(nnx.silu), VECTORS, "silu"),
        "elu": (vectors(nnx.elu), VECTORS, "elu"),
        "sigmoid": (vectors(nnx.sigmoid), VECTORS, "sigmoid"),
        "softplus": (vectors(nnx.softplus), VECTORS, "softplus"),
        "normalized": (images(144, conv(), norm, nnx.relu, drop), last, "Convolution relu Dense"),
        "skip": (Block(), VECTORS, "[Dense 5-5 tanh + x]"),
        "padding": (images(144, conv(), nnx.relu), last, "Convolution relu"),
        "stride": (images(16, conv(strides=2, padding="VALID"), nnx.relu), last, "Convolution"),
        "groups": (images(144, conv(feature_group_count=2, kernel_dilation=2), nnx.elu), last, ""),
        "max": (images(36, conv(), nnx.relu, pool(nnx.max_pool)), last, "max pool"),
        "mean": (images(36, conv(), nnx.relu, pool(nnx.avg_pool)), last, "sum pool"),
    }


@pytest.mark.optional("Flax")
def test_nnx_models_are_read():
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")

    models = nnx_models(nnx)
    assert set(models) >= KINDS
    for model, x, kinds in models.values():
        still = nnx.clone(model)
        still.eval()
        found = check(model, x, still(jnp.asarray(x)), kinds)
        trained = jax.tree.leaves(nnx.state(model, nnx.Param))
        assert found.parameters == sum(a.size for a in trained)


@pytest.mark.optional("Flax")
def test_what_a_flax_model_has_is_refused_by_name():
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")
    rngs = nnx.Rngs(0)

    def net(layer):
        return nnx.Sequential(nnx.Linear(5, 4, rngs=rngs), layer, nnx.Linear(4, 3, rngs=rngs))

    for message, layer in {
        "which is not measured": nnx.LayerNorm(4, rngs=rngs),
        "an activation that is not known": lambda x: jnp.sin(3 * x),
        "softmax.* give logits": nnx.softmax,
        "the operation rev, which is not measured": lambda x: x[:, ::-1],
    }.items():
        with pytest.raises(UserError, match=message):
            network(net(layer), VECTORS)


@pytest.mark.parametrize(
    "activation",
    [jax.nn.relu, jax.nn.gelu, jax.nn.leaky_relu, jnp.tanh, jax.nn.silu, jax.nn.softplus],
)
def test_biases_that_are_all_equal_are_those_of_the_layer(activation):
    """They are no part of the activation, nor is a normalization by equal numbers."""
    w, v = np.asarray(RNG.normal(size=(5, 4))), np.asarray(RNG.normal(size=(4, 3)))
    scale, bias = np.full(4, 1.5), np.full(4, 0.1)
    for model in (
        lambda x: activation(x @ w + bias) @ v,
        lambda x: activation((x @ w - bias) * scale / (2 * scale) + bias) @ v,
        jax.vmap(eqx.nn.MLP(5, 3, 1, 1, activation, key=KEYS[0])),
    ):
        found = check(model, VECTORS, model(jnp.asarray(VECTORS)), "Dense")
        assert len(found.layers[1:]) == 3
        assert np.all(found.layers[1].bias != 0)


def test_biases_that_start_at_zero_are_there():
    """In the program of a model they are not: nothing is added."""
    layers = eqx.nn.MLP(5, 3, 4, 1, key=KEYS[0])
    started = eqx.tree_at(
        lambda net: [each.bias for each in net.layers], layers, [jnp.zeros(4), jnp.zeros(3)]
    )
    pair = [network(lambda x, one=one: jax.vmap(one)(x), VECTORS) for one in (started, layers)]
    y = np.asarray(jax.vmap(layers)(VECTORS)).argmax(axis=1)
    found = read_pair(*pair, VECTORS, None, Hints())
    assert [np.shape(leaf) for leaf in jax.tree.leaves(found.initial.layers)] == [
        np.shape(leaf) for leaf in jax.tree.leaves(found.trained.layers)
    ]
    assert deep(*pair, VECTORS, y, quantile=0.5).layers[0].distance == 0


@pytest.mark.optional("PyTorch")
def test_layers_that_go_round_keep_their_places_or_are_refused():
    nn = pytest.importorskip("torch", reason="PyTorch is not installed").nn

    def net(size, padding):
        turned = nn.Conv2d(2, 2, size, padding=padding, padding_mode="circular")
        return layers(nn.Sequential(turned, nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)))

    assert net(3, 1)[0].padding == net(5, 2)[0].padding == "circular"
    for size, padding in ((4, 1), (3, (1, 2))):
        with pytest.raises(UserError, match="padding_mode 'circular' with padding"):
            net(size, padding)
