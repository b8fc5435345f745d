"""Deeper networks against maps written out as matrices, and against plain sums over paths."""

import copy
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plain_capacity as plain
from whytrain import UserError
from whytrain.measures import (
    Convolution,
    Dense,
    capacity,
    convolution_norm,
    deep,
    forward,
    layers,
    norms,
)
from whytrain.measures import network as read
from whytrain.measures.paths import path_norm


def as_matrix(layer, shape):
    """The linear map of a layer without bias, column by column."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    bare = Convolution(layer.weight, None, layer.stride, layer.padding)
    return np.asarray(bare(jnp.asarray(units))).reshape(len(units), -1).T


def kernel(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


CIRCULAR = [
    ((3, 2, 3, 3), 6, 5, 1), ((2, 3, 5, 3), 6, 6, 1), ((2, 2, 2, 2), 4, 6, 2),
    ((4, 1, 3, 3), 6, 9, 3),
    ((2, 2, 3, 3), 2, 2, 1),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "height", "width", "stride"), CIRCULAR)
def test_the_norm_on_a_torus_is_exact(shape, height, width, stride):
    layer = Convolution(kernel(*shape), stride=stride, padding="circular")
    found = convolution_norm(layer, height, width)
    matrix = as_matrix(layer, (shape[1], height, width))
    assert (found.exact, found.residual) == (True, 0)
    assert found.value == pytest.approx(np.linalg.svd(matrix)[1][0], rel=1e-12)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_norm_with_zeros_around_is_exact_to_its_residual(padding, stride):
    for seed in range(5):
        layer = Convolution(kernel(3, 2, 3, 3, seed=seed), stride=stride, padding=padding)
        found = convolution_norm(layer, 7, 6)
        true = np.linalg.svd(as_matrix(layer, (2, 7, 6)))[1][0]
        assert found.exact
        assert found.value == pytest.approx(true, rel=1e-12)
        assert abs(found.value - true) <= found.residual + 1e-14 * true
        assert found.residual <= 1e-9 * true


def test_a_stride_that_does_not_divide_the_torus_is_no_obstacle():
    layer = Convolution(kernel(2, 2, 3, 3), stride=2, padding="circular")
    true = np.linalg.svd(as_matrix(layer, (2, 5, 5)))[1][0]
    assert convolution_norm(layer, 5, 5).value == pytest.approx(true, rel=1e-12)


@pytest.mark.parametrize(("padding", "stride"), [(0, 1), (1, 2), (2, 3), ("circular", 2)])
def test_a_norm_that_is_not_found_is_bounded_from_above(padding, stride, monkeypatch):
    monkeypatch.setattr(norms, "_PRODUCTS", 2)
    layer = Convolution(kernel(3, 2, 3, 3), stride=stride, padding=padding)
    found = convolution_norm(layer, 7, 7)
    true = np.linalg.svd(as_matrix(layer, (2, 7, 7)))[1][0]
    assert not found.exact
    assert true <= found.value * (1 + 1e-12) <= 9 * true  # nine entries


@pytest.mark.parametrize("scale", [1e-170, 1e170, 0.0])
def test_the_scale_of_a_kernel_scales_its_norm(scale):
    layer = Convolution(np.full((1, 1, 3, 3), scale / 9), padding=1)
    found = convolution_norm(layer, 8, 8)
    assert found.value == pytest.approx(scale * 0.9212069, rel=1e-6)


def network(seed=0, padding=1):
    """conv 2->3, conv 3->2 with stride 2, dense: trained layers near the initial ones."""
    rng = np.random.default_rng(seed)

    def drawn(scale):
        return [
            Convolution(
                scale * rng.normal(size=(3, 2, 3, 3)), scale * rng.normal(size=3), 1, padding
            ),
            Convolution(scale * rng.normal(size=(2, 3, 3, 3)), None, 2, padding),
            Dense(scale * rng.normal(size=(3, 18)), scale * rng.normal(size=3)),
        ]

    first, moved = drawn(0.3), drawn(0.1)
    last = jax.tree.map(lambda a, b: a + b, first, moved)
    x = rng.normal(size=(20, 2, 6, 6))
    with jax.enable_x64(True):
        y = np.asarray(forward(last, x)).argmax(axis=1)
    return first, last, x, y


def by_hand(layers, x):
    """The network once more, position by position."""
    for n, layer in enumerate(layers):
        x = np.maximum(x, 0) if n else x
        if isinstance(layer, Dense):
            x = x.reshape(len(x), -1) @ layer.weight.T
        else:
            p, s = layer.padding, layer.stride
            padded = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)])
            size = (padded.shape[2] - 3) // s + 1
            out = np.zeros((len(x), len(layer.weight), size, size))
            for i, j in itertools.product(range(size), repeat=2):
                patch = padded[:, :, s * i : s * i + 3, s * j : s * j + 3]
                out[:, :, i, j] = np.einsum("ncij,ocij->no", patch, layer.weight)
            x = out
        if layer.bias is not None:
            x = x + (layer.bias[:, None, None] if x.ndim == 4 else layer.bias)
    return x


def test_the_network_is_what_it_says():
    _, last, x, _ = network()
    np.testing.assert_allclose(forward(last, x), by_hand(last, x), rtol=1e-12, atol=1e-12)


def test_every_measure_is_its_formula():
    first, last, x, y = network()
    found = deep(first, last, x, y, quantile=0.5)
    spectral = [convolution_norm(last[0], 6, 6).value, convolution_norm(last[1], 6, 6).value]
    spectral.append(np.linalg.svd(last[2].weight)[1][0])
    frobenius = [np.linalg.norm(layer.weight) for layer in last]
    moves = [a.weight - b.weight for a, b in zip(last, first, strict=True)]
    distances = [np.linalg.norm(move) for move in moves]
    rows = [
        sum(np.linalg.norm(row) for row in move) * places
        for move, places in zip(moves, (36, 9, 1), strict=True)
    ]
    out = by_hand(last, x)
    margins = [row[k] - np.delete(row, k).max() for row, k in zip(out, y, strict=True)]
    gamma = np.median(margins)
    B = np.sqrt((x**2).sum(axis=(1, 2, 3)).mean())
    top = np.sqrt((x**2).sum(axis=(1, 2, 3)).max())
    bft = sum((r / s) ** (2 / 3) for r, s in zip(rows, spectral, strict=True)) ** 1.5
    moved = sum((d / s) ** 2 for d, s in zip(distances, spectral, strict=True)) ** 0.5
    width = 3 * 6 * 6
    expected = {
        "parameters": 54 + 3 + 54 + 54 + 3, "product_spectral": np.prod(spectral),
        "sum_spectral": sum(spectral), "product_frobenius": np.prod(frobenius),
        "sum_frobenius": sum(frobenius), "distance": sum(d**2 for d in distances) ** 0.5,
        "margin": gamma, "bartlett2017": B / gamma * np.prod(spectral) * bft,
        "neyshabur2018": top / gamma * 3 * np.sqrt(width * np.log(3 * width))
        * np.prod(spectral) * moved,
    }  # fmt: skip
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-11), name
    assert found.exact
    assert found.document()["layers"][2]["exact"]


def test_the_fisher_rao_norm_is_the_mean_squared_slope_along_the_weights():
    first, last, x, y = network()
    found = deep(first, last, x, y, quantile=0.5).fisher_rao

    def loss(scale, one, label):
        logits = forward(jax.tree.map(lambda w: scale * w, last), one[None])[0]
        return -jax.nn.log_softmax(logits)[label]

    step = 1e-6
    slopes = [
        (loss(1 + step, one, label) - loss(1 - step, one, label)) / (2 * step)
        for one, label in zip(x, y, strict=True)
    ]
    assert found == pytest.approx(np.sqrt(np.mean(np.square(slopes))), rel=1e-7)


def test_without_biases_the_fisher_rao_norm_is_liang_s_other_formula():
    first, last, x, y = network()
    first, last = (
        [Convolution(n[0].weight, None, 1, 1), n[1], Dense(n[2].weight)] for n in (first, last)
    )
    y = by_hand(last, x).argmax(axis=1)
    logits = by_hand(last, x)
    residual = np.asarray(jax.nn.softmax(logits)) - np.eye(3)[y]
    other = 3 * np.sqrt(np.mean((residual * logits).sum(axis=1) ** 2))
    assert deep(first, last, x, y, quantile=0.5).fisher_rao == pytest.approx(other, rel=1e-10)


@pytest.mark.parametrize("power", [1, 2])
def test_path_norms_are_sums_over_paths(power):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in ((3, 2), (4, 3), (2, 4))]
    total = sum(
        abs(weights[0][j, i] * weights[1][k, j] * weights[2][o, k]) ** power
        for i, j, k, o in itertools.product(range(2), range(3), range(4), range(2))
    )
    net = [Dense(w, np.ones(len(w))) for w in weights]
    assert path_norm(net, (2,), power) == pytest.approx(total ** (1 / power))


def test_path_norms_of_convolutions_are_those_of_their_matrices():
    _, last, _, _ = network()
    one, two = (np.abs(as_matrix(last[i], (c, 6, 6))) for i, c in ((0, 2), (1, 3)))
    assert path_norm(last, (2, 6, 6), 1) == pytest.approx(
        (np.abs(last[2].weight) @ two @ one).sum()
    )
    squares = (last[2].weight ** 2) @ two**2 @ one**2
    assert path_norm(last, (2, 6, 6), 2) == pytest.approx(np.sqrt(squares.sum()))


def test_two_layers_agree_with_capacity():
    first, last, x, y = plain.network(bias=False)
    nets = [[Dense(s["hidden.weight"]), Dense(s["output.weight"])] for s in (first, last)]
    found, known = deep(*nets, x, y), capacity(first, last, x, y)
    assert found.path_1 == pytest.approx(known.norms["path_1"])
    assert found.path_2 == pytest.approx(known.norms["path_2"])
    assert found.margin == pytest.approx(known.margin)
    assert found.product_frobenius == pytest.approx(known.measures["neyshabur2015"])
    terms = known.measures
    spread = (terms["l1max_spec"] ** (2 / 3) + terms["spec_l1max"] ** (2 / 3)) ** 1.5
    assert found.bartlett2017 == pytest.approx(spread * known.norms["input_rms"] / known.margin)


def test_rescaling_leaves_the_products_alone():
    first, last, x, y = network()
    bare = [[Convolution(n[0].weight, None, 1, 1), n[1], Dense(n[2].weight)] for n in (first, last)]
    y = by_hand(bare[1], x).argmax(axis=1)
    factors = (4.0, 0.5, 0.5)
    scaled = [
        [jax.tree.map(lambda w, a=a: a * w, layer) for layer, a in zip(n, factors, strict=True)]
        for n in bare
    ]
    one, other = (deep(*nets, x, y, quantile=0.5) for nets in (bare, scaled))
    for name in ("product_spectral", "product_frobenius", "path_1", "path_2", "margin",
                 "bartlett2017", "neyshabur2018", "fisher_rao"):  # fmt: skip
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-10), name
    assert other.sum_spectral != pytest.approx(one.sum_spectral)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_changes_nothing(batch):
    args = network()
    one, other = (deep(*args, quantile=0.5, batch=b).document() for b in (7, batch))
    for name, value in one.items():
        if name not in ("layers", "notes"):
            assert other[name] == pytest.approx(value, rel=1e-10), name


def test_what_is_not_to_be_trusted_is_said(monkeypatch):
    monkeypatch.setattr(norms, "_PRODUCTS", 1)
    first, last, x, y = network()
    notes = " ".join(deep([first[0], last[1], first[2]], last, x, y, quantile=0.5).notes)
    assert "spectral norms of layers [0, 1] are upper bounds" in notes
    assert "layers [1] are where they started" in notes
    assert "biases enter" in notes
    assert "rests on" not in notes
    assert "rests on 6 examples" in deep(first, last, x, y, quantile=0.3).notes[0]


def test_layers_are_made_of_a_state_dict():
    first, _, _, _ = network()
    state = {
        "conv1.weight": first[0].weight, "conv1.bias": first[0].bias,
        "conv2.weight": first[1].weight,
        "fc.weight": first[2].weight, "fc.bias": first[2].bias,
    }  # fmt: skip
    made = layers(state, stride={"conv2": 2}, padding={"conv1": 1, "conv2": 1})
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), made, first))
    assert [layer.stride for layer in made[:2]] == [1, 2]
    for wrong, message in (
        ({"order": ["conv3"]}, "no layer 'conv3'; did you mean 'conv"),
        ({"stride": {"conv3": 2}}, "got 'conv3'"),
    ):
        with pytest.raises(UserError, match=message):
            layers(state, **wrong)
    with pytest.raises(UserError, match="no layer among num_batches_tracked"):
        layers({"num_batches_tracked": np.array(3)})
    with pytest.raises(UserError, match=r"'norm.weight' of shape \(3,\) is no matrix"):
        layers({"norm.weight": np.ones(3)})


@pytest.mark.parametrize("at", [0, 1])
def test_a_bias_that_one_checkpoint_lacks_is_told(at):
    states = [
        {"0.weight": kernel(4, 5), "0.bias": kernel(4), "2.weight": kernel(3, 4)} for _ in range(2)
    ]
    del states[at]["0.bias"]
    with pytest.raises(UserError, match=r"has '0.bias' and the \w+ checkpoint has not"):
        deep(*states, kernel(6, 5), np.arange(6) % 3)


def test_what_does_not_fit_is_told():
    first, last, x, y = network()
    with pytest.raises(UserError, match="layers of one network"):
        deep(first[:2], last, x, y)
    with pytest.raises(UserError, match=r"layer 0 .* does not fit what enters it"):
        deep(first, last, x[:, :1], y)
    with pytest.raises(UserError, match="one class for each of the 20 inputs"):
        deep(first, last, x, y[:3])
    with pytest.raises(UserError, match="whole numbers from 0 to 2, got 7 for example 3"):
        deep(first, last, x, np.where(np.arange(20) == 3, 7, 0))
    with pytest.raises(UserError, match="not positive"):
        deep(first, last, x, (y + 1) % 3)
    bare = read(lambda x: x, np.eye(3))
    with pytest.raises(UserError, match="no layer with weights"):
        deep(bare, bare, np.eye(3), np.arange(3))


def test_what_a_convolution_cannot_have_is_told():
    layer = Convolution(kernel(3, 2, 3, 3))
    with pytest.raises(UserError, match="height must be 1 or more"):
        convolution_norm(layer, 0, 6)
    with pytest.raises(UserError, match="stride must be 1 or more"):
        convolution_norm(Convolution(layer.weight, stride=0), 6, 6)
    other = copy.copy(layer)
    for padding in ("same", 0.5):
        object.__setattr__(other, "padding", padding)
        with pytest.raises(UserError, match="padding must be whole numbers or 'circular'"):
            convolution_norm(other, 6, 6)
    object.__setattr__(other, "weight", layer.weight[..., 0])
    with pytest.raises(UserError, match="4 axes"):
        convolution_norm(other, 6, 6)
