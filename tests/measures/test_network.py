"""One description of a network, for capacity and deep alike; and one kind of result."""

import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.gaussian import ESTIMATORS
from whytrain.measures import (
    Convolution,
    Dense,
    TwoLayerWeights,
    capacity,
    deep,
    flatness,
    forward,
    hessian_trace,
    layers,
    measure_ste,
    top_eigenvalue,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 5))
BEFORE, AFTER = (
    [Dense(RNG.standard_normal((4, 5)), RNG.random(4) + 2), Dense(RNG.standard_normal((3, 4)))]
    for _ in range(2)
)
LOGITS = np.asarray(forward(AFTER, X))
Y = LOGITS.argmax(axis=1)


def named(stack):
    one, two = stack
    return {"0.weight": one.weight, "0.bias": one.bias, "2.weight": two.weight}


def weights(stack):
    one, two = stack
    return TwoLayerWeights(one.weight, two.weight, one.bias, np.zeros(3))


@pytest.mark.parametrize("measure", [capacity, deep])
@pytest.mark.parametrize("outputs", [None, LOGITS], ids=["unchecked", "checked"])
def test_a_list_of_layers_is_measured_as_its_checkpoint_is(measure, outputs):
    checkpoint = measure(named(BEFORE), named(AFTER), X, Y, outputs=outputs)
    assert measure(BEFORE, AFTER, X, Y, outputs=outputs).document() == checkpoint.document()
    assert checkpoint.checked == (outputs is not None)


def test_weights_of_two_layers_are_a_list_of_layers():
    one, other = capacity(weights(BEFORE), weights(AFTER), X, Y), capacity(BEFORE, AFTER, X, Y)
    assert one.document() == other.document()
    one, other = deep(weights(BEFORE), weights(AFTER), X, Y), deep(BEFORE, AFTER, X, Y)
    assert (one.layers, one.margin, one.path_2) == (other.layers, other.margin, other.path_2)


@pytest.mark.parametrize("measure", [capacity, deep])
@pytest.mark.parametrize("outputs", [None, LOGITS], ids=["unchecked", "checked"])
@pytest.mark.parametrize(
    "layers",
    [
        [Dense(np.ones((4, 6))), Dense(np.ones((3, 4)))],
        [Dense(np.ones((4, 5))), Dense(np.ones((3, 7)))],
        [Convolution(np.ones((2, 1, 3, 3))), Dense(np.ones((3, 4)))],
        [Dense(np.ones((4, 5))), "softmax"],
        [Dense(np.ones((4, 5)), np.full(4, np.nan)), Dense(np.ones((3, 4)))],
        [Dense(np.ones((4, 5)))],
        [Dense(np.ones((4, 5))), Dense(np.ones((1, 4)))],
    ],
    ids=["inputs", "between", "images", "no layer", "NaN", "one", "one output"],
)
def test_layers_that_do_not_fit_are_told_in_one_line(measure, outputs, layers):
    if measure is deep and len(layers) == 1 and outputs is None:
        pytest.skip("one layer is a network that deep measures")
    with pytest.raises(UserError) as told:
        measure(layers, layers, X, Y, outputs=outputs)
    assert "\n" not in str(told.value)


def test_a_weight_of_other_axes_is_told_in_one_line():
    layer = Dense(np.ones((4, 5)))
    object.__setattr__(layer, "weight", np.ones(5))  # as it is without a type checker
    for measure in (capacity, deep):
        with pytest.raises(UserError, match=r"layer 0 must have 2 axes, got shape \(5,\)"):
            measure([layer, BEFORE[1]], [layer, BEFORE[1]], X, Y)


def results():
    def loss(p):
        return jnp.sum(jnp.arange(1.0, 6.0) * p**2)

    at = np.ones(5)
    yield capacity(BEFORE, AFTER, X, Y)
    yield deep(BEFORE, AFTER, X, Y)
    yield measure_ste(ESTIMATORS["relu"])
    yield top_eigenvalue(loss, at)
    yield hessian_trace(loss, at)
    yield flatness(loss, at, 0 * at)


def test_every_instrument_gives_the_same_kind_of_result():
    for found in results():
        assert isinstance(found.document(), dict)
        assert isinstance(found.checked, bool)
        assert all(isinstance(note, str) for note in found.notes)


def test_a_search_that_was_ended_early_says_so():
    values = np.linspace(1, 2, 40)
    found = top_eigenvalue(lambda p: 0.5 * jnp.sum(values * p**2), np.ones(40), most=3)
    assert not found.converged
    assert "not converged after 3 products" in found.notes[0]
    assert "vector" not in found.document()


@pytest.mark.parametrize("rest", [{}, {"net.z": np.ones(4)}])
def test_matrices_of_one_layer_are_not_guessed_to_be_layers(rest):
    state = {"net.x": np.ones((4, 5)), "net.y": np.ones((3, 4))} | rest
    with pytest.raises(UserError, match="is used by no dense layer, convolution or batch"):
        deep(state, state, X, Y)


def test_a_skip_connection_is_named_as_the_reason():
    rng = np.random.default_rng(1)
    shapes = [(4, 5), (4, 4), (3, 4)]
    stack = [Dense(rng.normal(size=shape)) for shape in shapes]
    h = np.maximum(X @ stack[0].weight.T, 0)
    said = (h + np.maximum(h @ stack[1].weight.T, 0)) @ stack[2].weight.T
    assert said.min() < 0
    with pytest.raises(UserError, match=r"it is .to 0. with a skip connection around layer 1$"):
        deep(stack, stack, X, said.argmax(axis=1), outputs=said)


@pytest.mark.parametrize(
    ("one", "other"), [("zz.stem", "a"), ("z", "head"), ("z_1.in", "a_1.x"), ("z", "a.logits")]
)
def test_names_say_which_layer_is_first_or_last(one, other):
    state = {f"{name}.weight": RNG.normal(size=(3, 3)) for name in (one, other)}
    for given in (state, dict(reversed(state.items()))):
        found = [layer.weight for layer in layers(given)]
        np.testing.assert_array_equal(found, [state[f"{one}.weight"], state[f"{other}.weight"]])
