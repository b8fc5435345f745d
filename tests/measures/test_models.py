"""Networks as people have them: the right number, or one line; never another network's number.

The models are written out here in NumPy and SciPy, under the names that their frameworks give.
"""

import warnings
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.special
from safetensors.numpy import save_file

from whytrain import UserError
from whytrain.measures import capacity, deep, layers, read_checkpoint, two_layer

RNG = np.random.default_rng(0)
X = RNG.random((120, 6))
IMAGES = RNG.random((60, 1, 6, 6))
BOTH = pytest.mark.parametrize("measure", [capacity, deep])


def drawn(*shape):
    return RNG.normal(size=shape)


def relu(x):
    return np.maximum(x, 0)


def dense(state, name, x):
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def batch_norm(state, name, x, eps=1e-5):
    axes = (1, -1, *[1] * (x.ndim - 2))
    mean, var = (state[f"{name}.running_{one}"].reshape(axes) for one in ("mean", "var"))
    scale, shift = (
        state.get(f"{name}.{one}", other) for one, other in (("weight", 1), ("bias", 0))
    )
    scale, shift = (np.reshape(one, axes) if np.ndim(one) else one for one in (scale, shift))
    return (x - mean) / np.sqrt(var + eps) * scale + shift


def layer_norm(x):
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)


def convolved(state, name, x, padding=0, stride=1, mode="constant"):
    kernel, bias = state[f"{name}.weight"], state.get(f"{name}.bias", np.zeros(1))
    sides = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    out = np.stack([
        sum(
            np.stack([scipy.signal.correlate2d(image, k, "valid") for image in x_c])
            for x_c, k in zip(np.pad(x, sides, mode=mode).transpose(1, 0, 2, 3), of, strict=True)
        )
        for of in kernel
    ], axis=1)  # fmt: skip
    return out[:, :, ::stride, ::stride] + bias.reshape(1, -1, 1, 1)


def max_pool(x):
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=-np.inf)
    size = x.shape[2]
    shifts = [padded[:, :, i : i + size, j : j + size] for i in range(3) for j in range(3)]
    return np.max(shifts, axis=0)


def linear(state, name, out, into, bias=True):
    return (
        state
        | {f"{name}.weight": drawn(out, into)}
        | ({f"{name}.bias": drawn(out)} if bias else {})
    )


def normalized(state, name, size, affine=True):
    state = state | {
        f"{name}.running_mean": drawn(size), f"{name}.running_var": RNG.random(size) + 0.1,
        f"{name}.num_batches_tracked": np.array(9),
    }  # fmt: skip
    return state | ({f"{name}.weight": drawn(size), f"{name}.bias": drawn(size)} if affine else {})


def sequence(*sizes, step=2, **options):
    state = {}
    for i, (into, out) in enumerate(pairwise(sizes)):
        state = linear(state, str(step * i), out, into, **options)
    return state


def before(state):
    return {
        name: array if array.dtype.kind == "i" else array + 0.1 * abs(drawn(*array.shape))
        for name, array in state.items()
    }


def margin(logits, y, share=0.05):
    others = logits.copy()
    others[np.arange(len(y)), y] = -np.inf
    return np.quantile(logits[np.arange(len(y)), y] - others.max(axis=1), share)


def refused(words, measure, *arguments, **options):
    with pytest.raises(UserError, match=words) as caught:
        measure(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def right(measure, state, x, logits, **options):
    """Measured with the true margin: where outputs are given, and checked; without, not checked."""
    y = logits.argmax(axis=1)
    found = measure(before(state), state, x, y, outputs=logits[:50], **options)
    assert found.margin == pytest.approx(margin(logits, y), rel=1e-12)
    assert (found.checked, found.compared) == (True, 50)
    assert not any("not checked" in note for note in found.notes)
    alone = measure(before(state), state, x, y, **options)
    assert alone.margin == found.margin
    assert (alone.checked, alone.compared) == (False, 0)
    assert "not checked against the model" in alone.notes[-1]
    assert not alone.document()["checked"]
    return found


def another(measure, state, x, logits, words, **options):
    """Another network: refused beside its outputs; without them not checked, or refused as such."""
    y = logits.argmax(axis=1)
    told = refused(
        "is not the model", measure, before(state), state, x, y, outputs=logits, **options
    )
    assert words in told
    assert "of the largest output (allowed: 0.0001)" in told
    try:
        found = measure(before(state), state, x, y, **options)
    except UserError as error:
        told = str(error)
    else:
        told = found.notes[-1]
    assert told.startswith(("the network that was measured may not be yours", "not checked"))


@BOTH
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalization_before_the_activation_is_folded(measure, affine):
    state = normalized(sequence(6, 5, 4, step=3), "1", 5, affine)
    logits = dense(state, "3", relu(batch_norm(state, "1", dense(state, "0", X))))
    found = right(measure, state, X, logits)
    assert any("batch normalization 1 (eps 1e-05) is folded into layer 0" in n for n in found.notes)


@BOTH
def test_batch_normalization_that_may_be_after_the_activation_needs_outputs(measure):
    state = normalized(sequence(6, 5, 4, step=3), "2", 5)  # Linear, ReLU, BatchNorm, Linear
    logits = dense(state, "3", batch_norm(state, "2", relu(dense(state, "0", X))))
    y = logits.argmax(axis=1)
    refused("cannot tell whether the batch normalization '2'", measure, state, state, X, y)
    told = refused("is not the model", measure, state, state, X, y, outputs=logits)
    assert "a normalization after the activation" in told
    named = {
        f"{ {'0': 'a', '2': 'bn', '3': 'b'}[name[0]] }{name[1:]}": a for name, a in state.items()
    }
    refused("cannot tell whether the batch normalization 'bn'", measure, named, named, X, y)
    logits = dense(named, "b", relu(batch_norm(named, "bn", dense(named, "a", X))))
    y = logits.argmax(axis=1)
    found = measure(before(named), named, X, y, outputs=logits)  # and the outputs tell
    assert found.margin == pytest.approx(margin(logits, y))


def test_side_by_side_is_not_enough_where_no_activation_can_stand_between():
    """Linear, BatchNorm, Linear under 0, 1, 2: the activation is somewhere in the code."""
    state = normalized(linear(linear({}, "0", 5, 6), "2", 4, 5), "1", 5)
    refused("cannot tell whether", capacity, state, state, X, np.zeros(120, int))
    attributes = {name.replace("0.", "l1.").replace("1.", "l2."): a for name, a in state.items()}
    refused("cannot tell whether", capacity, attributes, attributes, X, np.zeros(120, int))


def test_batch_normalization_of_images_is_folded():
    state = normalized({"0.weight": drawn(3, 1, 3, 3)}, "1", 3)
    state = linear(state, "4", 4, 3 * 6 * 6)
    h = relu(batch_norm(state, "1", convolved(state, "0", IMAGES, 1)))
    right(deep, state, IMAGES, dense(state, "4", h.reshape(60, -1)), padding={"0": 1})


@BOTH
@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("tanh", np.tanh), ("GELU", lambda x: x * scipy.special.ndtr(x)),
        ("SiLU", lambda x: x * scipy.special.expit(x)), ("sigmoid", scipy.special.expit),
        ("no activation", lambda x: x),
    ],
)  # fmt: skip
def test_another_activation_is_named(measure, name, activation):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", activation(dense(state, "0", X)))
    another(measure, state, X, logits, f"with {name} in place of the rectifier")


@BOTH
def test_what_has_no_weights_is_found_by_the_outputs(measure):
    state = sequence(6, 5, 4, step=3)
    logits = dense(state, "3", relu(layer_norm(dense(state, "0", X))))
    another(measure, state, X, logits, "one without weights")


@BOTH
def test_a_softmax_at_the_end_is_named_and_a_log_softmax_changes_no_margin(measure):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", relu(dense(state, "0", X)))
    another(measure, state, X, scipy.special.softmax(logits, axis=1), "a softmax as last layer")
    y = logits.argmax(axis=1)
    given = scipy.special.log_softmax(logits, axis=1)
    found = measure(before(state), state, X, y, outputs=given)
    assert found.checked
    assert found.margin == pytest.approx(margin(given, y))


def test_a_skip_connection_is_named():
    state = sequence(6, 5, 5, 4)
    h = relu(dense(state, "0", X))
    logits = dense(state, "4", h + relu(dense(state, "2", h)))
    another(deep, state, X, logits, "a skip connection around layer 1")


@pytest.mark.parametrize("operation", ["reflect", "pool", "stride"])
def test_what_an_image_meets_between_the_layers_is_found_by_the_outputs(operation):
    state = {"0.weight": drawn(2, 1, 3, 3), "3.weight": drawn(2, 2, 3, 3)}
    state = linear(state, "6", 3, 2 * 6 * 6)
    mode = "reflect" if operation == "reflect" else "constant"
    h = relu(convolved(state, "0", IMAGES, 1, mode=mode))
    h = max_pool(h) if operation == "pool" else h
    h = relu(convolved(state, "3", h, 1, mode=mode))
    padding = {"0": 1, "3": 1}
    logits = dense(state, "6", h.reshape(60, -1))
    if operation == "stride":  # the outputs are right, the user's word is not
        y = logits.argmax(axis=1)
        right(deep, state, IMAGES, logits, padding=padding)
        for wrong in ({"padding": {"0": 1}}, {"padding": padding, "stride": {"0": 2}}):
            refused("does not fit what", deep, before(state), state, IMAGES, y, **wrong)
            refused("does not fit", deep, before(state), state, IMAGES, y, outputs=logits, **wrong)
    else:
        another(deep, state, IMAGES, logits, "pooling", padding=padding)


def test_the_outputs_find_the_order_of_square_layers():
    state = linear(linear(linear({}, "b", 6, 6), "a", 6, 6), "out", 3, 6)  # b declared first
    logits = dense(state, "out", relu(dense(state, "b", relu(dense(state, "a", X)))))
    y = logits.argmax(axis=1)
    told = refused("cannot tell which order its layers have", deep, state, state, X, y)
    assert "give order=" in told
    for help_ in ({"outputs": logits}, {"order": ["a", "b", "out"]}):
        found = deep(before(state), state, X, y, **help_)
        assert found.margin == pytest.approx(margin(logits, y))
    refused("is not the model", deep, state, state, X, y, outputs=logits, order=["b", "a", "out"])


@pytest.mark.parametrize(
    "names", [("0", "2", "10"), ("fc1", "fc2", "fc10"), ("dense", "dense_1", "dense_2"),
              ("h.2.a", "h.10.a", "h.11.b"), ("layers_0", "layers_9", "layers_10"),
              ("in", "mid", "out")],
)  # fmt: skip
def test_numbers_in_names_are_numbers(names, tmp_path):
    state = {}
    for name in names:
        state = linear(state, name, 6, 6)
    h = relu(dense(state, names[1], relu(dense(state, names[0], X))))
    logits = dense(state, names[2], h)
    save_file(state, tmp_path / "a.safetensors")
    right(deep, read_checkpoint(tmp_path / "a.safetensors"), X, logits)
    right(deep, dict(reversed(state.items())), X, logits)


def test_six_small_layers_from_a_file(tmp_path):
    eye = np.eye(2)
    weights = [eye, np.array([[1.0, -1], [0, 1]]), eye, eye, eye, np.array([[2.0, 0], [0, 1]])]
    state = {f"{2 * i}.weight": weight for i, weight in enumerate(weights)}
    save_file(state, tmp_path / "a.safetensors")
    read = read_checkpoint(tmp_path / "a.safetensors")
    assert list(read) == list(state)
    found = deep(read, read, np.array([[1.0, 0.5]]), np.array([0]))
    assert found.margin == 0.5
    assert found.parameters == 24  # layers that are equal because they are plain are not shared


def test_shapes_say_more_than_names():
    state = linear(linear({}, "fc1", 4, 5), "fc2", 5, 6)  # called fc2, fc1
    logits = dense(state, "fc1", relu(dense(state, "fc2", X)))
    right(deep, state, X, logits)
    right(capacity, state, X, logits)


@BOTH
def test_shared_weights_are_counted_once(measure):
    state = linear(linear(linear({}, "0", 6, 6), "2", 6, 6, bias=False), "4", 3, 6)
    state["2.weight"] = state["0.weight"].copy()
    first = {name: array + 0.1 for name, array in state.items()}
    if measure is capacity:
        refused("has 3 matrices", capacity, first, state, X, np.zeros(120, int))
        return
    logits = dense(state, "4", relu(dense(state, "2", relu(dense(state, "0", X)))))
    found = deep(first, state, X, logits.argmax(axis=1))
    assert found.parameters == 36 + 6 + 21
    assert "layers 0 and 1 share one weight: counted once" in found.notes
    assert deep(first | {"2.weight": first["0.weight"] * 2}, state, X, logits.argmax(axis=1)
                ).parameters == 36 + 36 + 6 + 21  # fmt: skip


WAYS = {
    "flattened by dots": ("{}.kernel", "{}.bias"), "by slashes": ("{}/kernel", "{}/bias"),
    "Keras": ("dense_{}/kernel:0", "dense_{}/bias:0"),
    "scikit-learn": ("coefs_.{}", "intercepts_.{}"),
    "Flax": ("params/Dense_{}/kernel", "params/Dense_{}/bias"),
    "underscores": ("fc{}_kernel", "fc{}_bias"), "own": ("W{}", "b{}"),
    "NNX": ("{}.kernel.value", "{}.bias.value"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("turned", [True, False])
def test_kernels_are_found_by_their_biases(measure, way, turned):
    plain = sequence(6, 6 if turned else 5, 4, step=1)  # the first square, or none
    logits = dense(plain, "1", relu(dense(plain, "0", X)))
    turn = (lambda a: a.T) if turned else (lambda a: a)
    names = dict(zip(("weight", "bias"), WAYS[way], strict=True))
    state = {names[part].format(i): turn(plain[f"{i}.{part}"]) for i in "01" for part in names}
    right(measure, state, X, logits)


def test_all_square_kernels_are_as_their_names_have_it():
    plain = sequence(6, 6, 6, step=1)
    logits = dense(plain, "1", relu(dense(plain, "0", X)))
    y = logits.argmax(axis=1)
    flax = {name.replace("weight", "kernel"): a.T for name, a in plain.items()}
    found = right(deep, flax, X, logits)
    assert any("weights are taken as (inputs, outputs)" in note for note in found.notes)
    nobody = {name.replace("weight", "w").replace("bias", "b"): a.T for name, a in plain.items()}
    refused("is stored .outputs, inputs. or .inputs, outputs.", deep, nobody, nobody, X, y)
    assert deep(before(nobody), nobody, X, y, outputs=logits).margin == found.margin


def test_flax_variables_with_statistics():
    plain = normalized(sequence(6, 5, 4, step=3), "1", 5)
    logits = dense(plain, "3", relu(batch_norm(plain, "1", dense(plain, "0", X))))
    y = logits.argmax(axis=1)
    variables = {
        "params": {
            "Dense_0": {"kernel": plain["0.weight"].T, "bias": plain["0.bias"]},
            "BatchNorm_0": {"scale": plain["1.weight"], "bias": plain["1.bias"]},
            "Dense_1": {"kernel": plain["3.weight"].T, "bias": plain["3.bias"]},
        },
        "batch_stats": {
            "BatchNorm_0": {"mean": plain["1.running_mean"], "var": plain["1.running_var"]}
        },
    }
    refused("batch normalization 'BatchNorm_0'", deep, variables, variables, X, y)
    for measure in (capacity, deep):
        found = measure(variables, variables, X, y, outputs=logits)
        assert found.margin == pytest.approx(margin(logits, y))


def test_flax_convolutions_have_channels_last():
    state = {
        "0.weight": drawn(2, 1, 3, 3),
        "0.bias": drawn(2),
        "1.weight": drawn(3, 32),
        "1.bias": drawn(3),
    }
    h = relu(convolved(state, "0", IMAGES)).transpose(0, 2, 3, 1)
    logits = dense(state, "1", h.reshape(60, -1))
    flax = {
        "Conv_0": {"kernel": state["0.weight"].transpose(2, 3, 1, 0), "bias": state["0.bias"]},
        "Dense_0": {"kernel": state["1.weight"].T, "bias": state["1.bias"]},
    }
    x, y = IMAGES.transpose(0, 2, 3, 1), logits.argmax(axis=1)
    found = deep(flax, flax, x, y, outputs=logits)
    assert found.margin == pytest.approx(margin(logits, y))
    turned = {
        "0.weight": state["0.weight"], "0.bias": state["0.bias"], "1.bias": state["1.bias"],
        "1.weight": state["1.weight"].reshape(3, 4, 4, 2).transpose(0, 3, 1, 2).reshape(3, 32),
    }  # fmt: skip
    same = deep(turned, turned, IMAGES, y)
    assert same.bartlett2017 == pytest.approx(found.bartlett2017, rel=1e-12)
    assert same.path_2 == pytest.approx(found.path_2, rel=1e-12)
    refused("(another layout|height, width, channel)", deep, flax, flax, IMAGES, y)


@BOTH
def test_matrices_that_look_transposed_are_told_so(measure):
    plain = sequence(6, 5, 4, bias=False)
    turned = {name: array.T for name, array in plain.items()}
    y = np.zeros(120, int)
    refused("look transposed.*array.T", measure, turned, turned, X, y)
    wide = {name.replace("weight", "kernel"): array for name, array in plain.items()}
    refused("look transposed.*array.T", measure, wide, wide, X, y)


@BOTH
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"1.weight": np.ones(5), "1.bias": np.ones(5)}, "as LayerNorm, GroupNorm"),
        ({"LayerNorm_0.scale": np.ones(5)}, "as LayerNorm, GroupNorm"),
        ({"rnn.weight_ih_l0": np.ones((5, 5))}, "'rnn.weight_ih_l0' of shape .5, 5. is used by no"),
        ({"0.weight_g": np.ones((5, 1))}, "'0.weight_g'"),
        ({"epoch": 3}, "'epoch' of shape .. is used by no"),
        ({"optimizer": {"step": np.array(3)}}, "'optimizer.step'"),
        ({"lost.bias": np.ones(5)}, "'lost.bias'"),
        ({"1.running_mean": np.ones(5)}, "running statistic.*the other one is missing"),
        ({"conv.weight": np.ones((5, 1, 3))}, "has 3 axes; dense layers have 2"),
        ({"head\n.weight_g": np.ones(3)}, "head.*is used by no"),
    ],
)
def test_an_entry_without_a_place_is_named_and_may_be_ignored(measure, entry, words):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", relu(dense(state, "0", X)))
    y = logits.argmax(axis=1)
    refused(words, measure, before(state), state | entry, X, y)
    for pattern in (next(iter(entry)).split(".")[0] + "*", next(iter(entry))):
        ignore = ["1*" if pattern == "1.weight" else pattern]
        if pattern.startswith("0"):
            ignore = ["0.weight_g"]
        found = measure(before(state), state | entry, X, y, ignore=ignore)
        assert found.margin == pytest.approx(margin(logits, y))
        assert any("ignored as asked" in note for note in found.notes)
    refused("which no entry is called", measure, state, state, X, y, ignore=["nothing"])
    refused("is a list of names", measure, state, state, X, y, ignore="nothing")


@BOTH
def test_quantized_weights_are_not_taken_for_numbers(measure):
    state = sequence(6, 5, 4)
    state["0.weight"] = state["0.weight"].astype(np.int8)
    refused("stored as int8", measure, state, state, X, np.zeros(120, int))


def mlp(key, sizes=(6, 5, 4), activation=jax.nn.relu):
    return eqx.nn.MLP(
        sizes[0], sizes[2], sizes[1], 1, activation=activation, key=jax.random.key(key)
    )


@BOTH
def test_modules_of_equinox_are_called_themselves(measure):
    first, last = mlp(0), mlp(1)
    logits = np.asarray(jax.vmap(last)(X))
    y = logits.argmax(axis=1)
    found = measure(first, last, X, y)
    assert (found.checked, found.compared) == (True, 120)
    assert found.margin == pytest.approx(margin(logits, y))
    refused("with tanh in place", measure, first, mlp(1, activation=jnp.tanh), X, y)
    refused("the class MLP; give an instance", measure, first, eqx.nn.MLP, X, y)
    refused("must be of one network|layers of one network", measure, mlp(0, (6, 3, 4)), last, X, y)


class Images(eqx.Module):
    """A convolution and a dense layer."""

    convolution: eqx.nn.Conv2d
    dense: eqx.nn.Linear

    def __init__(self, key, **options):
        self.convolution = eqx.nn.Conv2d(1, 4, 3, key=jax.random.key(key), **options)
        size = 4 * 6**2 if options else 4 * 4**2
        self.dense = eqx.nn.Linear(size, 3, key=jax.random.key(key + 9))

    def __call__(self, x):
        return self.dense(jax.nn.relu(self.convolution(x)).ravel())


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"padding": "SAME"},
                                     {"padding": 1, "padding_mode": "CIRCULAR"}])  # fmt: skip
def test_convolutions_of_equinox_know_their_padding(options):
    last = Images(1, **options)
    logits = np.asarray(jax.vmap(last)(IMAGES))
    y = logits.argmax(axis=1)
    found = deep(Images(0, **options), last, IMAGES, y)
    assert found.checked
    assert found.margin == pytest.approx(margin(logits, y))
    assert [type(one).__name__ for one in layers(last)] == ["Convolution", "Dense"]


@pytest.mark.parametrize(("options", "words"), [
    ({"padding": 1, "padding_mode": "REFLECT"}, "'convolution' has padding_mode 'reflect'"),
    ({"padding": 2, "dilation": 2}, "'convolution' has dilation"),
])  # fmt: skip
def test_what_a_convolution_says_and_is_not_measured_is_refused(options, words):
    refused(words, deep, Images(0, **options), Images(1, **options), IMAGES, np.zeros(60, int))


@BOTH
def test_perceptrons_of_scikit_learn(measure):
    from sklearn.neural_network import MLPClassifier

    y = (4 * X[:, 0]).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        first, last = (
            MLPClassifier((5,), max_iter=n, random_state=0, learning_rate_init=0.05).fit(X, y)
            for n in (1, 500)
        )
        other = MLPClassifier((5,), activation="tanh", max_iter=1).fit(X, y)
        two = MLPClassifier((5,), max_iter=1).fit(X, y > 1)
    found = measure(first, last, X, y, quantile=0.5)
    logits = relu(X @ last.coefs_[0] + last.intercepts_[0]) @ last.coefs_[1] + last.intercepts_[1]
    assert found.margin == pytest.approx(margin(logits, y, 0.5))
    assert found.checked
    refused("has the activation tanh", measure, first, other, X, y)
    refused("has outputs through logistic", measure, two, two, X, y)
    refused("fitted network of scikit-learn, got a MLPClassifier", measure, first,
            MLPClassifier(), X, y)  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "must be a state dict .* got a int"), ("a.pt", "got a str"), (None, "got a NoneType"),
        (np.ones((3, 3)), "got a ndarray"), (dict, "is the class dict"),
        ({}, "no layer among nothing"),
        ([], "no layer among nothing"), (len, "must be a state dict"),
        ({"0.weight": "words", "2.weight": np.ones((4, 5))}, "'0.weight'"),
        ({"0.weight": [[1, 2], [3]], "2.weight": np.ones((4, 5))}, "'0.weight'"),
        ({"0.weight": np.ones((0, 6)), "2.weight": np.ones((4, 0))}, "is empty"),
    ],
)  # fmt: skip
def test_what_is_no_network_is_told(measure, given, words):
    state = sequence(6, 5, 4)
    y = np.zeros(120, int)
    refused(words, measure, state, given, X, y)
    refused(words, measure, given, state, X, y)


@BOTH
@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (np.ones((120, 3)), "are they of another model"),
        (np.ones(120), "of shape .examples, classes."),
        (np.full((120, 4), np.nan), "outputs hold a number that is not finite"),
        (np.ones((121, 4)), "121 outputs for 120 examples"), ("words", "got a str"),
        (3, "got a int"),
        (np.ones((0, 4)), "got shape .0, 4."), (lambda x: 1 / 0, "ZeroDivisionError: division"),
        (lambda x: None, "no array of outputs"), (lambda x: np.ones((3, 4)), "3 outputs for 120"),
        ([["a"]], "the outputs must be real numbers"), (np.ones((120, 4)), "is not the model"),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be_compared_are_told(measure, outputs, words):
    state = sequence(6, 5, 4)
    refused(words, measure, state, state, X, np.zeros(120, int), outputs=outputs)


@BOTH
@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16", "float16"])
def test_the_tolerance_goes_with_the_precision_of_the_outputs(measure, kind):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", relu(dense(state, "0", X)))
    y = logits.argmax(axis=1)
    rounded = jnp.asarray(logits, kind)
    assert measure(before(state), state, X, y, outputs=rounded).checked
    apart = 3e-4 if kind.startswith("float") and kind != "float16" else 5e-2
    off = logits + apart * abs(logits).max() * np.eye(4)[0]
    refused("is not the model", measure, state, state, X, y, outputs=jnp.asarray(off, kind))
    near = logits + 3e-5 * abs(logits).max() * np.eye(4)[0]
    assert measure(before(state), state, X, y, outputs=near).checked


@BOTH
def test_pixels_that_were_not_scaled_are_told(measure):
    state = sequence(6, 5, 4)
    pixels = RNG.integers(0, 256, (120, 6)).astype(np.uint8)
    pixels[0, :2] = 0, 255
    logits = dense(state, "2", relu(dense(state, "0", pixels / 255)))
    y = dense(state, "2", relu(dense(state, "0", pixels))).argmax(axis=1)
    hint = "whole numbers from 0 to 255, as pixels are stored"
    for x in (pixels, pixels.astype(np.float32)):
        assert any(hint in n for n in measure(before(state), state, x, y).notes)
        told = refused("is not the model", measure, state, state, x, y, outputs=logits)
        assert "with inputs divided by 255" in told
    assert hint in refused("not positive", measure, state, state, pixels, (y + 1) % 4)
    plain = measure(
        before(state), state, X, dense(state, "2", relu(dense(state, "0", X))).argmax(axis=1)
    )
    assert not any("pixels" in note for note in plain.notes)


@BOTH
def test_a_margin_that_is_not_positive_is_first_of_all_another_network(measure):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", relu(dense(state, "0", X)))
    wrong = (logits.argmax(axis=1) + 1) % 4
    told = refused("not positive", measure, before(state), state, X, wrong)
    assert told.startswith("the network that was measured may not be yours: nothing was compared")
    assert told.index("train until") > told.index("may not be yours")
    told = refused("not positive", measure, before(state), state, X, wrong, outputs=logits)
    assert told.startswith("the margin at quantile 0.05")
    assert "its outputs are those of the model on 120 examples" in told


@BOTH
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"0.weight": np.nan}, "'0.weight' holds numbers that are not finite"),
        ({"2.bias": np.inf}, "'2.bias' holds numbers that are not finite"),
        ({"x": np.nan}, "input 0 holds a number that is not finite"),
        ({"x": np.inf}, "input 0 holds a number that is not finite"),
        ({"y": 0.9}, "labels must be whole numbers from 0 to 3, got .*9 for example 0"),
        ({"y": np.nan}, "labels must be whole numbers from 0 to 3, got nan"),
        ({"y": -9}, "labels must be whole numbers from 0 to 3"),
        ({"y": 9}, "labels must be whole numbers from 0 to 3"),
        ({"all": 1e200}, "too large for float64"), ({"all": 1e-200}, "float64|not positive"),
        ({"2.weight": 0}, "do not depend on the inputs|not positive"),
    ],
)  # fmt: skip
def test_both_check_the_same(measure, change, words):
    state = sequence(6, 5, 4, bias=True)
    x, y = X, dense(state, "2", relu(dense(state, "0", X))).argmax(axis=1)
    [(where, by)] = change.items()
    x = x + by if where == "x" else x
    y = y + by if where == "y" else y
    if where == "all":
        state = {name: by * array for name, array in state.items()}
    elif where in state:
        state[where] = state[where] * by
    refused(words, measure, sequence(6, 5, 4), state, x, y)


@BOTH
def test_one_output_or_one_class(measure):
    state = sequence(6, 5, 1)
    refused(
        "2 classes or more, the network has 1 output", measure, state, state, X, np.zeros(120, int)
    )
    refused("without labels each item", measure, state, state, X)
    refused("iterable of pairs", measure, state, state, 3)


@BOTH
def test_pairs_and_a_test_set(measure):
    state = sequence(6, 5, 4)
    logits = dense(state, "2", relu(dense(state, "0", X)))
    y = logits.argmax(axis=1)
    loader = [(X[i : i + 32], y[i : i + 32]) for i in range(0, 120, 32)]
    one = measure(before(state), state, loader, outputs=logits[:32], test=(X, (y + (y == 1)) % 4))
    assert one.compared == 32
    assert one.margin == pytest.approx(margin(logits, y))
    assert one.test_error == pytest.approx((y == 1).mean())
    refused("test must be a pair of inputs and labels", measure, before(state), state, X, y, test=3)


def test_extreme_weights_lose_nothing():
    """Scaling by powers of two changes norms by them, where squares would be 0 or infinite."""
    state = sequence(6, 9, 4, bias=False)  # wide: of no example are all units 0
    first = before(state)
    x, y = X, dense(state, "2", relu(dense(state, "0", X))).argmax(axis=1)
    one = deep(first, state, x, y)
    scales = {"0.weight": 2.0**-700, "2.weight": 2.0**700}
    scaled = [{name: a * scales[name] for name, a in net.items()} for net in (first, state)]
    other = deep(*scaled, x, y)
    for name in ("margin", "product_spectral", "product_frobenius", "path_1", "path_2",
                 "bartlett2017", "neyshabur2018", "fisher_rao"):  # fmt: skip
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-12), name
    assert other.layers[0].distance == pytest.approx(2.0**-700 * one.layers[0].distance, rel=1e-12)


def test_two_layer_takes_what_capacity_takes():
    assert two_layer(mlp(0)).U.shape == (5, 6)
    found = two_layer(sequence(6, 5, 4) | {"head.weight": np.ones((9, 9))}, ignore=["head"])
    assert found.V.shape == (4, 5)
    refused("give hidden and output, or order", capacity, {}, {}, X, np.zeros(120, int),
            hidden="a", output="b", order=["a", "b"])  # fmt: skip
