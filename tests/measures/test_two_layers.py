"""Two layers, whatever they were read from."""

import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures.network import Dense, Network
from whytrain.measures.stages import Activation, Reshape, leaky
from whytrain.measures.two_layers import rectified, two_layers

RNG = np.random.default_rng(0)
FIRST = Dense(RNG.normal(size=(4, 3)), RNG.normal(size=4))
LAST = Dense(RNG.normal(size=(2, 4)))


def network(*stages):
    return Network(stages, tuple(map(str, range(len(stages)))))


@pytest.mark.parametrize(
    ("stages", "slope"),
    [
        ((FIRST, LAST), 0.0),
        ((Reshape((3,)), FIRST, Activation("relu"), LAST), 0.0),
        ((FIRST, Activation("leaky_relu", 0.3), LAST), 0.3),
        (leaky([FIRST, LAST], 0.2), 0.2),
        (leaky([FIRST, LAST], 0.0), 0.0),
    ],
)
def test_weights_and_slope_are_found(stages, slope):
    weights, found = two_layers(network(*stages))
    assert found == slope
    np.testing.assert_array_equal(weights.U, FIRST.weight)
    np.testing.assert_array_equal(weights.hidden_bias, FIRST.bias)
    np.testing.assert_array_equal(weights.V, LAST.weight)
    np.testing.assert_array_equal(weights.output_bias, np.zeros(2))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((FIRST, Activation("tanh"), LAST), "a rectifier between two layers, not tanh"),
        ((FIRST,), "has two dense layers, this one is Dense 3-4"),
        ((FIRST, LAST, LAST), "has two dense layers"),
        ((FIRST, Activation("relu"), Activation("relu"), LAST), "has two dense layers"),
        ((FIRST, Activation("leaky_relu", 0.3), LAST), "the slope 0.3 below 0"),
    ],
)
def test_another_network_is_refused_by_name(stages, message):
    with pytest.raises(UserError, match=message):
        rectified(network(*stages))
