"""Planted faults change what they say and nothing else; a closed form is judged in its units."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from whytrain.lab import (
    Cell,
    Cells,
    Settings,
    added,
    altered,
    changed,
    grown,
    in_one_run,
    monte_carlo,
    scaled,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class Sized(Settings):
    size: int = setting(1, "size")


def cells():
    return Cells([Cell(Settings(), xr.Dataset({"x": ("run", [i, 2.0])})) for i in (0.0, 1.0)])


def test_one_run_of_all_is_another():
    before = cells()
    np.testing.assert_array_equal(in_one_run("x", 9.0)(before).pooled("x"), [9, 2, 1, 2])
    np.testing.assert_array_equal(before.pooled("x"), [0, 2, 1, 2])


def test_every_value_is_larger():
    np.testing.assert_array_equal(added("x", 0.5)(cells()).pooled("x"), [0.5, 2.5, 1.5, 2.5])


def test_values_are_larger_by_a_factor_or_by_a_power_of_a_setting_and_at_some_settings_alone():
    before = Cells([Cell(Sized(size=n), xr.Dataset({"x": ("run", [1.0, 2.0])})) for n in (2, 3)])
    for plant, expected in (
        (scaled("x", 2.0), [2, 4, 2, 4]),
        (scaled("x", lambda settings: 10 * settings.size), [20, 40, 30, 60]),
        (grown("x", "size", 2), [4, 8, 9, 18]),
        (altered("x", np.negative, size=3), [1, 2, -1, -2]),
        (changed(lambda cell, to: cell.assign(x=[to, to]), 5.0, size=2), [5, 5, 1, 2]),
    ):
        np.testing.assert_array_equal(plant(before).pooled("x"), expected)
    assert scaled("y", 2.0)(before)[0] is before[0]  # one that has no such variable


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_a_closed_form_is_so_many_standard_errors_off(off):
    with jax.enable_x64(True):
        sample = jax.random.normal(jax.random.key(0), (10_000,)) + 2.0
        found = monte_carlo("mean", jnp.asarray(2.0 + off), sample)
    # within 4 standard errors; a correct program fails with probability 6e-5, for another seed
    assert abs(float(found["mean_z"]) + 100 * off) < 4
    assert float(found["mean_size"]) == pytest.approx(100 * (2 + off), rel=0.03)
