"""Planted faults change what they say and nothing else; a closed form is judged in its units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Cell, Cells, Settings, added, in_one_run, monte_carlo


def cells():
    return Cells([Cell(Settings(), xr.Dataset({"x": ("run", [i, 2.0])})) for i in (0.0, 1.0)])


def test_one_run_of_all_is_another():
    before = cells()
    np.testing.assert_array_equal(in_one_run("x", 9.0)(before).pooled("x"), [9, 2, 1, 2])
    np.testing.assert_array_equal(before.pooled("x"), [0, 2, 1, 2])


def test_every_value_is_larger():
    np.testing.assert_array_equal(added("x", 0.5)(cells()).pooled("x"), [0.5, 2.5, 1.5, 2.5])


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_a_closed_form_is_so_many_standard_errors_off(off):
    with jax.enable_x64(True):
        sample = jax.random.normal(jax.random.key(0), (10_000,)) + 2.0
        found = monte_carlo("mean", jnp.asarray(2.0 + off), sample)
    # within 4 standard errors; a correct program fails with probability 6e-5, for another seed
    assert abs(float(found["mean_z"]) + 100 * off) < 4
    assert float(found["mean_size"]) == pytest.approx(100 * (2 + off), rel=0.03)
