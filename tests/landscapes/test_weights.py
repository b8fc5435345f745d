"""The angle between two vectors, where an arccosine would have lost half of its digits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from whytrain.landscapes import angle_between

angle_of = jax.jit(angle_between)
FINITE = st.floats(-1e300, 1e300, allow_subnormal=False)
WILD = arrays.arrays(float, 4, elements=FINITE).filter(np.any)  # zero has no direction

# Integer vectors at right angles: v + 2^-n w is exact, and its angle to v is atan(2^-n |w|/|v|).
V, W = np.array([3.0, -1.0, 2.0, 5.0]), np.array([1.0, 5.0, 1.0, 0.0])


@pytest.mark.parametrize("n", [0, 1, 10, 26, 30, 40, 48])
def test_small_angles_to_full_precision(n):
    exact = math.atan(2.0**-n * math.sqrt((W @ W) / (V @ V)))
    # one unit in the last place of a unit vector is as much as its rounding can turn it
    allowed = 1e-15 * exact + 4e-16
    assert float(angle_of(V, V + 2.0**-n * W)) == pytest.approx(exact, abs=allowed)
    assert float(angle_of(V, -V - 2.0**-n * W)) == pytest.approx(math.pi - exact, abs=1e-15)


def test_a_trillionth_of_a_radian():
    v, w = jnp.array([1.0, 0.0]), jnp.array([1.0, 1e-12])
    assert float(angle_of(v, w)) == pytest.approx(1e-12, rel=1e-12, abs=0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_angles_do_not_depend_on_lengths(scale):
    assert float(angle_of(V, scale * W)) == pytest.approx(math.pi / 2, abs=1e-15)


def test_parallel_and_opposite():
    assert float(angle_of(V, V)) == 0.0
    assert float(angle_of(V, -V)) == math.pi


@given(WILD, WILD)
def test_any_two_finite_vectors_have_an_angle(v, w):
    with jax.enable_x64(True):
        angle = float(angle_of(v, w))
    assert 0 <= angle <= math.pi


@given(arrays.arrays(float, 3, elements=st.floats(-1e3, 1e3, width=16)), st.integers(-300, 300))
def test_scaling_by_powers_of_two_changes_nothing(v, n):
    if not v.any():
        return
    with jax.enable_x64(True):
        other = np.array([1.0, 2.0, -0.5])
        there = float(angle_of(math.ldexp(1.0, n) * v, other))
        here = float(angle_of(v, other))
    assert there == pytest.approx(here, abs=1e-15)
