"""The gate for measures: right ones pass, and each fault is named in one line."""

import math

import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.measures import Convolution, Dense, capacity, deep, forward
from whytrain.testing import check_measure

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 5)), np.arange(12) % 3
INITIAL = [Dense(RNG.standard_normal((8, 5)), RNG.standard_normal(8)),
           Dense(RNG.standard_normal((6, 8)), RNG.standard_normal(6)),
           Dense(RNG.standard_normal((3, 6)), RNG.standard_normal(3))]  # fmt: skip
TRAINED = [Dense(one.weight + 0.3, one.bias - 0.1) for one in INITIAL]
TWO = [[one[0], Dense(RNG.standard_normal((3, 8)))] for one in (INITIAL, TRAINED)]


def fitted(layers, x):
    """Labels that the network gives, so that its margins are positive."""
    return np.asarray(forward(layers, x)).argmax(axis=1)


def test_deep_on_dense_layers():
    labels = fitted(TRAINED, X)
    kept = ("path_1", "path_2", "margin", "product_frobenius", "train_error", "checked")
    check_measure(deep, [INITIAL, TRAINED], X, labels, rescaling=kept[:3])


@pytest.mark.parametrize("last", [False, True])
def test_deep_on_convolutions(last):
    def made(shift):
        rng = np.random.default_rng(1)
        shapes = (3, 2, 3, 3), (4, 3, 2, 2), (3, 36)
        weights = [rng.standard_normal(shape) + shift for shape in shapes]
        return [Convolution(weights[0], channels_last=last, padding=1),
                Convolution(weights[1], np.ones(4), stride=2, channels_last=last),
                Dense(weights[2])]  # fmt: skip

    x = np.random.default_rng(2).standard_normal((6, *((6, 6, 2) if last else (2, 6, 6))))
    check_measure(deep, [made(0.0), made(0.1)], x, fitted(made(0.1), x), rescaling=("path_2",))


def test_capacity():
    kept = ("margin.value", "bounds.vc", "norms.path_1", "norms.path_2", "errors")
    check_measure(capacity, TWO, X, fitted(TWO[1], X), rescaling=kept)


def finite(*arrays):
    if not all(np.isfinite(one).all() for one in arrays):
        raise UserError("there is a number that is not finite")


def frobenius(layers, x, y, batch=None):
    """The product of Frobenius norms: right, and no rescaling changes it."""
    finite(x, *(one.weight for one in layers))
    return math.prod(float(np.linalg.norm(one.weight)) for one in layers)


def test_a_number_is_a_measure():
    check_measure(frobenius, [[Dense(one.weight) for one in TRAINED]], X, Y, rescaling=None)


def silent(layers, x, y, batch=None):
    return float(np.nan_to_num(x).sum())


def wordy(layers, x, y, batch=None):
    if not np.isfinite(x).all():
        raise UserError("there is a number\nthat is not finite")
    return 1.0


def crashing(layers, x, y, batch=None):
    return 1.0 / int(np.isfinite(x).all())


def unchecked_weights(layers, x, y, batch=None):
    finite(x)
    return 1.0


def named_units(layers, x, y, batch=None):
    finite(x, *(one.weight for one in layers))
    return {"first": float(np.abs(np.asarray(layers[0].weight)[0]).sum())}


def lengths(layers, x, y, batch=None):
    finite(x, *(one.weight for one in layers))
    return {"inner": {"sum": sum(float(np.linalg.norm(one.weight)) for one in layers)}}


def last_batch(layers, x, y, batch=None):
    finite(x, *(one.weight for one in layers))
    return {"mean": float(x[-(batch or len(x)) :].mean())}


def infinite(layers, x, y, batch=None):
    return {"bound": math.inf}


def not_json(layers, x, y, batch=None):
    return {"f": frobenius, "value": 1.0}


def broken(layers, x, y, batch=None):
    return layers.weight


WRONG = [
    (silent, "^silent: NaN among the inputs is measured in silence"),
    (wordy, "NaN among the inputs is told in many lines"),
    (crashing, "NaN among the inputs is a ZeroDivisionError, and no UserError"),
    (unchecked_weights, "NaN among the weights is measured in silence"),
    (named_units, "first changes when units of layer 0 are renamed"),
    (lengths, "inner.sum changes when layer 0 is multiplied by 8"),
    (last_batch, "mean changes with 1 examples at a time"),
    (infinite, "bound is inf"),
    (not_json, "JSON cannot hold what it gives"),
    (broken, "broken fails: AttributeError"),
]


@pytest.mark.parametrize(("measure", "message"), WRONG, ids=lambda one: str(one)[:20])
def test_each_fault_is_told_in_one_line(measure, message):
    with pytest.raises(AssertionError, match=message) as told:
        check_measure(measure, [TRAINED], X, Y, rescaling=("inner",))
    assert "\n" not in str(told.value)
