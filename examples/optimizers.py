"""A small network on 8x8 digits, trained by five optimizers. Compare them:

    whytrain measure optimizers --python examples/optimizers.py:train --optimizer sgd \
        --optimizer momentum --optimizer adam --optimizer adamw --optimizer muon --out pictures
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import optax

from whytrain import data
from whytrain.networks import FullyConnected

OPTIMIZERS = {
    "sgd": lambda rate, decay: _coupled(optax.sgd(rate), decay),
    "momentum": lambda rate, decay: _coupled(optax.sgd(rate, momentum=0.9), decay),
    "adam": lambda rate, decay: _coupled(optax.adam(rate), decay),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "muon": lambda rate, decay: optax.contrib.muon(rate, weight_decay=decay),
}
NETWORK = FullyConnected((64, 32), outputs=10, parametrization="standard")
STEPS, LOOKS, BATCH = 300, 30, 50


def train(optimizer, learning_rate, weight_decay, seed):
    """Training losses, and the cross-entropy on the test set, at 30 looks."""
    loss, score = _trained(optimizer, learning_rate, weight_decay, seed)
    return {"loss": loss, "score": score}


def _coupled(transformation, decay):
    """Weight decay in the gradient (L2), before the transformation sees it."""
    return optax.chain(optax.add_decayed_weights(decay), transformation)


@cache
def _digits():
    """600 examples to train on, the others to test."""
    digits = data.load("digits")
    return digits
