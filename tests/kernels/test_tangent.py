"""The tangent kernel against a Jacobian in float64, over many kinds of networks."""

import gc
import itertools
import warnings
import weakref

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whytrain.errors import KinkWarning, UserError
from whytrain.kernels import function, program, tangent_kernel
from whytrain.kernels.channels import channels_last
from whytrain.measures import Convolution, Dense, forward
from whytrain.networks import FullyConnected, ResidualDense

METHODS = ("auto", "structured", "jacobian", "products")


def by_jacobian(f, params, x1, x2=None):
    """What every method must agree with: `J J^T`, (example, output) by (example, output)."""
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)

    def rows(x):
        x = jnp.asarray(x, jnp.float64 if x.dtype.kind == "f" else None)
        found = jax.jacrev(lambda p: f(p, x).reshape(-1))(params)
        return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(found)], 1)

    a = rows(x1)
    return a @ (a if x2 is None else rows(x2)).T


def gap(found, right):
    return np.abs(found - right).max() / np.abs(right).max()


def multilayer(params, x):
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def of_sizes(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    return [{"w": rng.normal(size=pair), "b": rng.normal(size=pair[1])} for pair in pairs]


PARAMS, X = of_sizes(4, 7, 6, 3), np.random.default_rng(1).normal(size=(9, 4))
OTHERS = np.random.default_rng(2).normal(size=(5, 4))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("others", [None, OTHERS], ids=["same", "others"])
def test_all_methods_give_the_jacobian_product(method, others):
    found = tangent_kernel(multilayer, PARAMS, X, others, method=method)
    assert gap(found, by_jacobian(multilayer, PARAMS, X, others)) < 1e-14
    assert found.dtype == np.float64
    assert others is not None or (found == found.T).all()


@pytest.mark.parametrize("method", METHODS)
def test_trace_and_diagonal_are_those_of_the_full_kernel(method):
    full = tangent_kernel(multilayer, PARAMS, X, OTHERS).reshape(9, 3, 5, 3)
    trace = tangent_kernel(multilayer, PARAMS, X, OTHERS, outputs="trace", method=method)
    diagonal = tangent_kernel(multilayer, PARAMS, X, OTHERS, outputs="diagonal", method=method)
    assert gap(trace, np.einsum("aobo->ab", full)) < 1e-14
    assert gap(diagonal, np.einsum("aobo->oab", full)) < 1e-14


@pytest.mark.parametrize("method", ["structured", "jacobian"])
def test_the_contributions_by_layer_are_those_of_each_parameter_alone(method):
    parts = tangent_kernel(multilayer, PARAMS, X, method=method, by_layer=True)
    assert list(parts) == ["0/b", "0/w", "1/b", "1/w", "2/b", "2/w"]
    for layer, name in ((0, "w"), (1, "b"), (2, "w")):

        def f(leaf, x, layer=layer, name=name):
            there = [dict(each) for each in PARAMS]
            there[layer][name] = leaf
            return multilayer(there, x)

        alone = by_jacobian(f, PARAMS[layer][name], X)
        assert gap(parts[f"{layer}/{name}"], alone) < 1e-14


def test_a_parameter_that_is_not_used_has_no_part():
    parts = tangent_kernel(
        lambda p, x: x @ p["w"], {"w": np.ones(4), "no": np.ones(2)}, X, by_layer=True
    )
    assert not parts["no"].any()
    assert parts["w"].any()


def test_whole_numbers_beside_others_are_numbers():
    x = np.arange(8).reshape(2, 4)
    found = tangent_kernel(multilayer, PARAMS, X, x)
    np.testing.assert_array_equal(found, tangent_kernel(multilayer, PARAMS, X, x.astype(float)))


def test_blocks_that_fit_a_small_memory_give_the_same():
    whole = tangent_kernel(multilayer, PARAMS, X)
    for method in METHODS:
        small, plan = tangent_kernel(
            multilayer, PARAMS, X, method=method, memory=3 * whole.nbytes, explain=True
        )
        assert gap(small, whole) < 1e-14
        assert plan.points < len(X)


@pytest.mark.parametrize("columns", [8, 3])
def test_signals_that_do_not_fit_the_memory_are_made_again(columns):
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(9, 50)), rng.normal(size=(8, 3, 9))  # a gradient of 450 numbers
    f = lambda w, x: (jnp.sin(x @ w) ** 2).sum((1, 2))  # noqa: E731
    others = None if columns == len(x) else x[:columns]
    whole, once = tangent_kernel(f, w, x, others, explain=True)
    assert (once.points, once.keep) == (8, True)
    assert "again" not in str(once)
    small, plan = tangent_kernel(f, w, x, others, memory="50KB", explain=True)
    assert (plan.points, plan.keep) == (2, False)
    assert "signals made again for each" in str(plan)
    assert gap(small, whole) < 1e-14
    assert gap(whole, by_jacobian(f, w, x)[:, :columns]) < 1e-14


def test_of_equal_operations_layers_are_faster_than_a_jacobian():
    f = lambda w, x: jax.lax.conv(x, w, (1, 1), "SAME").sum((1, 2, 3))  # noqa: E731
    plan = tangent_kernel(f, np.ones((2, 1, 3, 3)), np.ones((4, 1, 6, 6)), explain=True)[1]
    assert plan.method == "structured"


def test_float32_parameters_are_computed_in_float32():
    params = jax.tree.map(np.float32, PARAMS)
    found = tangent_kernel(multilayer, params, X)
    assert found.dtype == np.float32
    assert gap(found, by_jacobian(multilayer, params, np.float32(X))) < 1e-5


# -- a family of networks ---------------------------------------------------------------------


def dense(rng, shape):
    w, b, shared = rng.normal(size=(*shape, 5)), rng.normal(size=5), rng.normal(size=(5, 5)) / 2

    def layer(p, x):
        x = jnp.tanh(x @ p["w"] / 2 + p["b"])
        return jnp.sin(jax.nn.softplus(x @ p["s"]) @ p["s"])

    return {"w": w, "b": b, "s": shared}, layer


def tied(rng, shape):
    return {"w": rng.normal(size=(*shape, 3))}, lambda p, x: x + jnp.tanh(x @ p["w"]) @ p["w"].T


def scanned(rng, shape):
    [n] = shape
    params = {"w": rng.normal(size=(3, n, n)) / n, "b": rng.normal(size=(3, n))}

    def layer(p, x):
        def step(x, at):
            return x + jnp.tanh(x @ at["w"].T + at["b"]), None

        return jax.lax.scan(jax.checkpoint(step), x, p)[0]

    return params, layer


def recurrent(rng, shape):
    params = {"w": rng.normal(size=(*shape, *shape)) / 3, "b": rng.normal(size=shape)}

    def layer(p, x):
        return jax.lax.fori_loop(0, 3, lambda _, h: jnp.tanh(h @ p["w"] + p["b"]), x)

    return params, layer


def normalized(rng, shape):
    size = shape[-1]
    params = {"scale": 1 + rng.random(size), "shift": rng.normal(size=size)}
    mean, var = rng.normal(size=size), 0.5 + rng.random(size)

    def layer(p, x):
        own, spread = mean.astype(x.dtype), np.sqrt(var + 1e-5).astype(x.dtype)
        return (x - own) / spread * p["scale"] + p["shift"]

    return params, layer


def layer_normalized(rng, shape):
    params = {"scale": 1 + rng.random(shape[-1])}

    def layer(p, x):
        x = x - x.mean(axis=-1, keepdims=True)
        return x / jnp.sqrt(x.var(axis=-1, keepdims=True) + 0.1) * p["scale"]

    return params, layer


def convolution(rng, shape):
    channels, groups = shape[-1], int(rng.integers(1, 3)) if shape[-1] % 2 == 0 else 1
    kernel = rng.normal(size=(3, 2, channels // groups, 4)) / 2
    strides = tuple(rng.integers(1, 3, size=2).tolist())
    how = {"window_strides": strides, "padding": "SAME", "feature_group_count": groups,
           "dimension_numbers": ("NHWC", "HWIO", "NHWC")}  # fmt: skip
    if how["window_strides"] == (1, 1):
        how["rhs_dilation"] = (2, 1)

    def layer(p, x):
        return jnp.tanh(jax.lax.conv_general_dilated(x, p["w"], **how) + p["b"])

    return {"w": kernel, "b": rng.normal(size=4)}, layer


def block(rng, shape):
    c = shape[-1]

    def layer(p, x):
        def convolve(x):
            return jax.lax.conv(x, p["w"], (1, 1), "SAME")

        y = jnp.moveaxis(x, -1, 1)
        return x + jnp.moveaxis(convolve(jnp.tanh(convolve(y))), 1, -1)

    return {"w": rng.normal(size=(c, c, 3, 3)) / 9}, layer


def flat(rng, shape):
    return {}, lambda p, x: x.reshape(len(x), -1)


def network(kinds, images, outputs, seed):
    """Layers of the given kinds that fit together, in one function."""
    rng = np.random.default_rng(seed)
    shape, layers, params = ((5, 4, 2) if images else (4,)), [], []
    for kind in [*kinds, *([flat] if images else [])]:
        made, layer = kind(rng, shape)
        x = jax.eval_shape(layer, made, jax.ShapeDtypeStruct((1, *shape), jnp.float64))
        shape = x.shape[1:]
        params.append(made)
        layers.append(layer)
    params.append(rng.normal(size=(outputs, *shape)))

    def f(params, x):
        for layer, own in zip(layers, params, strict=False):
            x = layer(own, x)
        return x @ params[-1].T

    return f, params, rng.normal(size=(3, *((5, 4, 2) if images else (4,))))


VECTORS = (dense, tied, scanned, recurrent, normalized, layer_normalized)
IMAGES = (convolution, block, normalized, layer_normalized)


@st.composite
def networks(draw):
    images = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(IMAGES if images else VECTORS), min_size=1, max_size=3))
    return network(kinds, images, draw(st.integers(1, 3)), draw(st.integers(0, 2**20)))


def agrees(made):
    f, params, x = made
    right = by_jacobian(f, params, x)
    assert gap(tangent_kernel(f, params, x, method="structured"), right) < 1e-10
    single = jax.tree.map(np.float32, params)
    right = by_jacobian(f, single, np.float32(x))
    assert gap(tangent_kernel(f, single, x), right) < 1e-5


@pytest.mark.parametrize(
    ("kinds", "images"),
    [
        ((dense, tied, scanned), False),
        ((recurrent, normalized), False),
        ((convolution, block), True),
    ],
)
def test_a_network_of_each_kind(kinds, images):
    agrees(network(kinds, images, outputs=2, seed=0))


@pytest.mark.slow
@settings(max_examples=150)
@given(networks())
def test_many_generated_networks(made):
    agrees(made)


# -- what changes between two calls -----------------------------------------------------------


class Scaled:
    """A function that reads what changes between two calls."""

    scale: float | jax.Array = 1.0

    def __call__(self, p, x):
        return jax.nn.relu(x @ p) * self.scale


def test_a_function_that_changes_is_not_taken_for_what_it_was():
    f, w = Scaled(), np.ones(4)
    once = tangent_kernel(f, w, X)
    for scale in (2.0, jnp.asarray(3.0), jnp.asarray(4.0)):
        f.scale = scale
        assert gap(tangent_kernel(f, w, X), float(scale) ** 2 * once) < 1e-14


def test_examples_that_are_taken_one_by_one_give_the_same(monkeypatch):
    monkeypatch.setattr(program, "_CACHE", 1)
    f, params, x = network((convolution, block), images=True, outputs=2, seed=8)  # in two groups
    found = tangent_kernel(f, params, x, method="structured")
    assert gap(found, by_jacobian(f, params, x)) < 1e-10


def test_blocks_are_of_one_size_so_that_few_examples_are_computed_twice():
    x = np.random.default_rng(0).normal(size=(700, 4))
    assert tangent_kernel(lambda p, x: x @ p, np.ones(4), x, explain=True)[1].points == 350


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"window_strides": (2, 1), "padding": ((0, 2), (1, 0))},
        {"lhs_dilation": (1, 2), "rhs_dilation": (2, 1)},
        {"feature_group_count": 2},
        {"batch_group_count": 2},
        {"dimension_numbers": ("CHWN", "WOIH", "HNCW")},
    ],
)
def test_convolutions_with_the_channels_last_are_the_same(how):
    rng = np.random.default_rng(0)
    how = {"window_strides": (1, 1), "padding": ((1, 1), (0, 1))} | how
    of_image, of_kernel, _ = how.get("dimension_numbers", ("NCHW", "OIHW", ""))
    sizes = {"N": 4, "C": 4, "O": 6, "I": 4 // how.get("feature_group_count", 1), "H": 5, "W": 7}
    image = rng.normal(size=[sizes[axis] for axis in of_image])
    sizes |= {"H": 3, "W": 2}
    kernel = jnp.asarray(rng.normal(size=[sizes[axis] for axis in of_kernel]))

    def f(x):
        return jnp.tanh(jax.lax.conv_general_dilated(x, kernel, **how))

    np.testing.assert_allclose(channels_last(jax.jit(f))(image), f(image), rtol=1e-12)


def test_a_function_that_is_known_is_traced_once_a_call_and_not_kept_for_good():
    looks = []

    def f(p, x):
        looks.append(x)
        return jnp.tanh(x @ p)

    first, seen = tangent_kernel(f, np.ones(4), X), len(looks)
    assert (tangent_kernel(f, 2 * np.ones(4), 2 * X) != first).all()
    assert len(looks) == seen + 1  # whether it is what it was
    kept = weakref.ref(f)
    del f
    for cache in (program.program, function._outputs, function._together):
        cache.cache_clear()
    gc.collect()
    assert kept() is None


slope = 1.0


@jax.custom_jvp
def passed(x):
    return x


passed.defjvp(lambda given, moved: (given[0], slope * moved[0]))


def test_a_derivative_that_changes_is_not_taken_for_what_it_was(monkeypatch):
    def f(p, x):
        return passed(x @ p)

    once = tangent_kernel(f, np.ones(4), X)
    monkeypatch.setitem(globals(), "slope", 2.0)
    assert gap(tangent_kernel(f, np.ones(4), X), 4 * once) < 1e-14


# -- what is refused --------------------------------------------------------------------------


def called_back(p, x):
    shape = jax.ShapeDtypeStruct(x[:, 0].shape, x.dtype)
    return jax.pure_callback(np.asarray, shape, x @ p, vmap_method="sequential")


def batch_normalized(p, x):
    return (x - x.mean(axis=0)) @ p


@pytest.mark.parametrize(
    ("f", "x", "options", "words"),
    [
        (batch_normalized, X, {}, "depend on the batch it is in"),
        (lambda p, x: (x @ p, x), X, {}, "must give one array of outputs"),
        (lambda p, x: (x @ p).sum(), X, {}, "must give outputs for each example"),
        (lambda p, x: jnp.squeeze(x @ p[:, None]), X, {}, "squeeze with axis=-1"),
        (lambda p, x: np.tanh(x @ p), X, {}, "written with jax.numpy"),
        (lambda p, x: x @ p[:2], X, {}, "cannot be computed"),
        (None, X, {}, "f must be a function"),
        (lambda p, x: x @ p, X[0], {}, "cannot be computed"),
        (lambda p, x: x @ p, X[:0], {}, "a batch of one example or more"),
        (lambda p, x: x @ p, X * np.nan, {}, "x1 holds 36 numbers that are not finite"),
        (lambda p, x: x @ p, [["a"]], {}, "x1 must be numbers"),
        (lambda p, x: 1e200 * (x @ p) ** 2, 1e99 * X, {}, "not finite at these inputs"),
        (lambda p, x: jnp.sqrt(jnp.sum((p - 1) ** 2)) * x, X, {}, "no derivative of a norm"),
        (called_back, X, {}, "cannot be differentiated: ValueError: Pure callbacks"),
        (lambda p, x: (x @ p)[:, None][:, :0], X, {}, "gives no outputs"),
        (lambda p, x: x @ p, X, {"x2": X[:, :2]}, "must be alike"),
        (lambda p, x: x @ p, X, {"outputs": "all"}, "outputs must be"),
        (lambda p, x: x @ p, X, {"method": "fast"}, "method must be"),
        (lambda p, x: x @ p, X, {"memory": "much"}, "memory must be bytes"),
        (lambda p, x: x @ p, X, {"memory": 100}, "kernel itself takes .* B, .* memory= .100 B."),
        (lambda p, x: x @ p, X, {"method": "products", "by_layer": True}, "by layer need"),
        (lambda p, x: x @ p, X, {"by_layer": True, "out": "K.zarr"}, "out= takes one kernel"),
    ],
)
def test_what_is_refused_in_one_line(f, x, options, words):
    with pytest.raises(UserError, match=words) as told:
        tangent_kernel(f, np.ones(4), x, **options)
    assert "\n" not in str(told.value)


def test_equal_examples_do_not_hide_batch_normalization():
    with pytest.raises(UserError, match="depend on the batch"):
        tangent_kernel(batch_normalized, np.ones(4), np.ones((3, 4)))


def test_a_rectifier_at_zero_is_told():
    x = np.vstack([X, np.zeros(4)])
    with pytest.warns(KinkWarning, match="one example puts exactly 0 into a rectifier"):
        tangent_kernel(lambda p, x: jax.nn.relu(x @ p).sum(axis=1), np.ones((4, 5)), x)
    with pytest.warns(KinkWarning):
        tangent_kernel(
            lambda p, x: jnp.maximum(x @ p, 0).sum(axis=1), np.ones((4, 5)), x, method="products"
        )


@pytest.mark.parametrize("method", ["structured", "products"])
def test_a_rectifier_at_zero_of_the_other_batch_is_told(method):
    with pytest.warns(KinkWarning, match="one example puts"):
        tangent_kernel(
            lambda p, x: jax.nn.relu(x @ p).sum(axis=1),
            np.ones((4, 5)), X, np.zeros((1, 4)), method=method,
        )  # fmt: skip


def test_a_weak_dependence_on_the_batch_is_refused():
    with pytest.raises(UserError, match="depend on the batch"):
        tangent_kernel(lambda p, x: x @ p + 1e-6 * x.mean(), np.ones(4), X)


def test_a_rectifier_away_from_zero_is_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tangent_kernel(lambda p, x: jax.nn.relu(x @ p).sum(axis=1), np.ones((4, 5)), X)
        tangent_kernel(lambda p, x: p[x], np.ones((4, 5)), np.arange(4))  # 0 is an index here


def test_a_kernel_on_disk_is_the_one_in_memory(tmp_path):
    there = tangent_kernel(multilayer, PARAMS, X, out=tmp_path / "K.zarr")
    np.testing.assert_array_equal(there[:], tangent_kernel(multilayer, PARAMS, X))
    with pytest.raises(UserError, match="is there already"):
        tangent_kernel(multilayer, PARAMS, X, out=tmp_path / "K.zarr")


def test_of_a_kernel_that_is_not_finite_nothing_is_left_on_disk(tmp_path):
    with pytest.raises(UserError, match="is not finite"):
        tangent_kernel(
            lambda p, x: x * jnp.abs(p).sum() ** 0.5, np.zeros(4), X, out=tmp_path / "K.zarr"
        )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("network", "how"),
    [
        (FullyConnected((4, 6, 5)), "inputs times signals"),
        (ResidualDense(4, 6, 4, jnp.tanh), "inputs times signals"),
    ],
)
def test_the_networks_of_the_package_are_recognized(network, how):
    params = network.init(jax.random.key(0))
    found, plan = tangent_kernel(network, params, X, explain=True, method="structured")
    assert gap(found, by_jacobian(network, params, X)) < 1e-14
    assert set(plan.how.values()) == {how}


def test_the_layers_that_are_measured_are_recognized():
    """Lists of `Dense` and `Convolution`, as `network_regime` takes them from a file."""
    rng = np.random.default_rng(3)
    dense = [
        Dense(rng.normal(size=(6, 4)), rng.normal(size=6)),
        Dense(rng.normal(size=(5, 6)), rng.normal(size=5)),
        Dense(rng.normal(size=(3, 5))),
    ]
    images = [
        Convolution(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), padding=1),
        Convolution(rng.normal(size=(2, 3, 2, 2)), stride=2),
        Dense(rng.normal(size=(3, 8)), rng.normal(size=3)),
    ]
    of_images = rng.normal(size=(4, 2, 5, 5)) + 0.01
    for layers, x, ways in (
        (dense, X, {"inputs times signals"}),
        (images, of_images, {"gradient over 25 places", "gradient over 4 places",
                             "inputs times signals"}),
    ):  # fmt: skip
        found, plan = tangent_kernel(forward, layers, x, method="structured", explain=True)
        assert set(plan.how.values()) == ways
        dynamic, static = eqx.partition(layers, eqx.is_inexact_array)
        right = by_jacobian(lambda p, x, s=static: forward(eqx.combine(p, s), x), dynamic, x)
        assert gap(found, right) < 1e-13
