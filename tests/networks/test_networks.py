import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import quick
from whytrain.dynamics import GradientDescent, StochasticGradientDescent, simulate
from whytrain.errors import UserError
from whytrain.networks import EmpiricalRisk, LeNet5, ResNet8, ResNet18, TwoLayer, quantizer

NETWORKS = [
    TwoLayer((8, 8, 1), width=5), LeNet5((28, 28, 1)), ResNet8((9, 7, 2), classes=3),
    LeNet5((32, 32, 3), classes=7), ResNet8((28, 28, 1)), ResNet8((32, 32, 3), width=4),
]  # fmt: skip


@pytest.mark.parametrize("network", quick.only(NETWORKS, NETWORKS[:3]), ids=str)
def test_logits_statistics_and_gradients_have_their_shapes(network):
    params = network.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (6, *network.shape), jnp.float32)
    labels = jnp.arange(6) % network.classes
    risk = EmpiricalRisk(network, images, labels, activation=quantizer(2))
    loss, output = eqx.filter_jit(risk.loss_and_output)(params, risk.batch(jnp.arange(6)))
    assert output.logits.shape == (6, network.classes)
    assert loss.dtype == jnp.float32
    assert np.isfinite(loss)
    slope = eqx.filter_jit(risk.grad)(params)
    assert jax.tree.map(jnp.shape, slope) == jax.tree.map(jnp.shape, params)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize("network", quick.only(NETWORKS, NETWORKS[:3]), ids=str)
def test_in_evaluation_an_image_is_judged_alone(network):
    params = network.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (6, *network.shape))

    @jax.jit
    def judge(images, statistics=None):
        return network(params, images, jax.nn.relu, statistics)

    whole = judge(images)
    again, alone = judge(images, whole.statistics), judge(images[:1], whole.statistics)
    np.testing.assert_allclose(again.logits, whole.logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(alone.logits, whole.logits[:1], rtol=1e-5, atol=1e-6)


RESIDUAL = {
    ResNet8: (2, [3, 6, 12], [1, 2, 2]),
    ResNet18: (1, [3, 3, 6, 6, 12, 12, 24, 24], [1, 1, 2, 1, 2, 1, 2, 1]),
}


@pytest.mark.parametrize("kind", RESIDUAL)
def test_the_residual_network_is_its_formula(kind):
    """The same network out of XLA's convolutions, in the layout of the images."""
    network = kind((8, 8, 2), width=3, classes=4)
    stem, channels, strides = RESIDUAL[kind]
    params = jax.tree.map(lambda leaf: leaf.astype(float), network.init(jax.random.key(0)))
    images = jax.random.normal(jax.random.key(1), (5, 8, 8, 2))

    def conv(x, filters, stride=1):
        return jax.lax.conv_general_dilated(
            x, filters, (stride, stride), [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        )  # fmt: skip

    def act(x):
        moments = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return jax.nn.relu((x - moments[0]) / jnp.sqrt(moments[1] + 1e-5))

    x = conv(images, params["stem"], stem)
    for block, (wide, stride) in enumerate(zip(channels, strides, strict=True), start=1):
        inner = conv(act(x), params[f"block_{block}a"], stride)
        inner = conv(act(inner), params[f"block_{block}b"])
        short = x[:, ::stride, ::stride]
        more = wide - x.shape[-1]
        x = inner + jnp.concatenate([short, jnp.zeros((*short.shape[:3], more))], axis=-1)
    logits = act(x).mean((1, 2)) @ params["linear"].T + params["bias"]
    ours = jax.jit(lambda p, x: network(p, x, jax.nn.relu).logits)(params, images)
    np.testing.assert_allclose(ours, logits, rtol=1e-9, atol=1e-9)


def test_the_two_layer_network_starts_as_its_docstring_says():
    params = TwoLayer((8, 8, 1), width=500).init(jax.random.key(0))
    for name, reach in {"U": 1 / 8, "bias": 1 / 8, "V": 500**-0.5, "out_bias": 500**-0.5}.items():
        assert float(jnp.abs(params[name]).max()) <= reach
    # the variance of a uniform number; 32,000 of them, 5 standard errors
    assert float(params["U"].var()) == pytest.approx(1 / 64 / 3, rel=0.03)


def test_images_that_do_not_come_out_even_are_refused():
    with pytest.raises(UserError, match="multiples of 4 from 16"):
        LeNet5((30, 28, 1))


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 0), (28.0, 28, 1), 28, None, "281"])
@pytest.mark.parametrize("made", [LeNet5, ResNet8, ResNet18, lambda shape: TwoLayer(shape, 3)])
def test_what_is_no_shape_of_an_image_is_refused(monkeypatch, made, shape):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(UserError, match="shape must be height, width and channels of an image"):
        made(shape)


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", True, None])
def test_sizes_are_whole_numbers_from_1_on(monkeypatch, size):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for made in (LeNet5, ResNet8, ResNet18, lambda shape, classes: TwoLayer(shape, 3, classes)):
        with pytest.raises(UserError, match="classes must be a whole number from 1 on, got"):
            made((28, 28, 1), classes=size)
    for made in (ResNet8, ResNet18, TwoLayer):
        with pytest.raises(UserError, match="width must be a whole number from 1 on, got"):
            made((28, 28, 1), width=size)


def test_empirical_risk_is_a_landscape():
    """`simulate` trains a small network: one landscape, one engine, any method."""
    images = np.random.default_rng(0).standard_normal((40, 2, 2, 1))
    labels = (images[:, 0, 0, 0] > 0).astype(int)
    network = TwoLayer((2, 2, 1), width=8, classes=2)
    risk = EmpiricalRisk(network, images, labels)
    starts = jax.vmap(network.init)(jax.random.split(jax.random.key(0), 3))
    for method in (GradientDescent(1.0), StochasticGradientDescent(0.5, batch=8)):
        runs = simulate(risk, method, starts, 300, observables=("loss",), times=[0, 300])
        assert (runs.loss[:, 0] > 0.4).all()
        assert (runs.loss[:, 1] < 0.2).all()
