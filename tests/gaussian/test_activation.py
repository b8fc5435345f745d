"""What holds for every activation, closed or not."""

import jax.numpy as jnp
import pytest

from whytrain.gaussian import ESTIMATORS, Quadrature, ReLU, step

ACTIVATIONS = {
    "rectifier": ReLU(),
    "tanh": Quadrature(jnp.tanh),
    **{f"step with {name}": step(ESTIMATORS[name]) for name in ("hard_tanh", "sigmoid")},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_filters_have_length_one_unless_told(name):
    activation = ACTIVATIONS[name]
    for expectation in (activation.cross, activation.shortfall, activation.backward_cross):
        assert jnp.array_equal(jnp.array(expectation(0.7)), jnp.array(expectation(0.7, 1.0, 1.0)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_degree_is_the_one_of_the_activation(name):
    activation, x = ACTIVATIONS[name], jnp.array([-2.0, -0.1, 0.3, 4.0])
    scaled, plain = activation.forward(3 * x), activation.forward(x)
    if activation.degree is None:
        assert not jnp.allclose(scaled / plain, scaled[0] / plain[0])
    else:
        assert jnp.allclose(scaled, 3**activation.degree * plain, rtol=1e-15, atol=0)
