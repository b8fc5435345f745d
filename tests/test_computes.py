"""A checksum of what a function computes sees every array that it reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain._computes import computes
from whytrain._reads import UnsureError

weights = np.ones((4, 4))

READS = {
    "plain": lambda x: x @ weights,
    "program within": lambda x: jax.jit(lambda y: y @ weights)(x),
    "loop": lambda x: jax.lax.scan(lambda y, _: (y @ weights, None), x, None, length=2)[0],
    "case": lambda x: jax.lax.cond(x[0] > 0, lambda y: y @ weights, lambda y: y, x),
    "again": lambda x: jax.checkpoint(lambda y: jnp.tanh(y @ weights))(x),
    "key": lambda x: x + jax.random.uniform(jax.random.key(int(weights[0, 0]))),
}


@pytest.mark.parametrize("name", READS)
def test_an_array_that_changes_is_seen(name, monkeypatch):
    first = computes(READS[name], np.ones(4))
    assert computes(READS[name], np.zeros(4)) == first
    changed = weights.copy()
    changed[0, 0] = 2
    monkeypatch.setitem(globals(), "weights", changed)
    assert computes(READS[name], np.ones(4)) != first


@pytest.mark.parametrize("name", READS)
def test_where_code_does_not_tell_a_trace_does(name, monkeypatch):
    monkeypatch.setattr("whytrain._computes.read", _unsure)
    test_an_array_that_changes_is_seen(name, monkeypatch)


def _unsure(*things):
    raise UnsureError(things)
