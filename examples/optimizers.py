"""A small network on 8x8 digits, trained by one of five optimizers, to compare them.

Run whytrain measure optimizers --python examples/optimizers.py:train --optimizer sgd --optimizer
momentum --optimizer adam --optimizer adamw --optimizer muon --out pictures
"""

from functools import cache, partial

import jax
import optax
import optax.contrib

from whytrain import data
from whytrain.networks import FullyConnected

OPTIMIZERS = {
    "sgd": lambda rate, decay: coupled(optax.sgd(rate), decay),
    "momentum": lambda rate, decay: coupled(optax.sgd(rate, momentum=0.9), decay),
    "adam": lambda rate, decay: coupled(optax.adam(rate), decay),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "muon": lambda rate, decay: optax.contrib.muon(rate, weight_decay=decay),
}
NETWORK = FullyConnected((64, 32), outputs=10, parametrization="standard")
LOOKS, BETWEEN, BATCH = 30, 10, 50


def train(optimizer, learning_rate, weight_decay, seed):
    """Cross-entropy on the training and on the test set, at 30 looks ten steps apart."""
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"there is no {optimizer!r}; there are {', '.join(OPTIMIZERS)}")
    loss, score = trained(optimizer, learning_rate, weight_decay, seed, digits())
    return {"loss": loss, "score": score}


def coupled(transformation, decay):
    """Weight decay in the gradient (L2), where the transformation sees it."""
    return optax.chain(optax.add_decayed_weights(decay), transformation)


@cache
def digits():
    """Inputs and labels, of 1200 examples to train on and of 597 to test."""
    found = data.load("digits")
    sets = (found.train_images, found.train_labels), (found.test_images, found.test_labels)
    return [(2 * images.reshape(len(images), -1), labels) for images, labels in sets]


def cross_entropy(params, x, y):
    """The mean over the examples."""
    logits = NETWORK(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


@partial(jax.jit, static_argnums=0)  # compiled once for each optimizer
def trained(optimizer, learning_rate, weight_decay, seed, sets):
    """Losses and scores at the looks."""
    (x, y), test = sets
    method = OPTIMIZERS[optimizer](learning_rate, weight_decay)
    of_params, of_batches = jax.random.split(jax.random.key(seed))
    params = NETWORK.init(of_params)

    def step(state, key):
        params, memory = state
        batch = jax.random.choice(key, len(x), (BATCH,), replace=False)
        slope = jax.grad(cross_entropy)(params, x[batch], y[batch])
        updates, memory = method.update(slope, memory, params)
        return (optax.apply_updates(params, updates), memory), None

    def look(state, keys):
        state, _ = jax.lax.scan(step, state, keys)
        return state, (cross_entropy(state[0], x, y), cross_entropy(state[0], *test))

    keys = jax.random.split(of_batches, (LOOKS, BETWEEN))
    return jax.lax.scan(look, (params, method.init(params)), keys)[1]
