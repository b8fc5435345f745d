"""Double precision where it is needed, and nobody's settings changed for it."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from whytrain.dynamics import GradientDescent, NormalizedGradientDescent, simulate
from whytrain.gaussian import ReLU
from whytrain.lab import Runs
from whytrain.landscapes import SharedFilter, SphereOrder, SphereReduction, Weights
from whytrain.studies.liu2019.setup import DescentSettings, draw_orders
from whytrain.studies.liu2019.success import SUCCESS_RATE

EVERYTHING = (
    "whytrain.gaussian, whytrain.landscapes, whytrain.dynamics, whytrain.dynamics.compiled, "
    "whytrain.lab, whytrain.studies.liu2019, whytrain.cli"
)


def test_importing_changes_no_setting_of_jax():
    code = (
        "import jax; before = dict(jax.config.values); "
        f"import {EVERYTHING}; assert dict(jax.config.values) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ensembles_are_in_double_precision_whatever_the_caller_s_setting():
    landscape = SharedFilter(np.array([0.6, 0.8]), np.array([1.0, 2.0]))
    start = Weights(np.array([[0.8, 0.6]]), np.array([[0.1, 0.2]]))
    for method in (GradientDescent(0.01), NormalizedGradientDescent(0.01)):
        with jax.enable_x64(False):
            single = simulate(landscape, method, start, 100, early=False)
            assert jnp.ones(1).dtype == np.float32  # and the setting is as it was
        double = simulate(landscape, method, start, 100, early=False)
        assert single.final_filter.dtype == np.float64
        np.testing.assert_array_equal(single.final_filter, double.final_filter)


def test_studies_are_in_double_precision_whatever_the_caller_s_setting():
    settings = DescentSettings(k=4, p=2, architecture="cnn")
    with jax.enable_x64(False):
        single = draw_orders(settings, Runs(0, 1, 0, 20))
        reduction = settings.reduction
        outcomes = SUCCESS_RATE.compute(settings, Runs(0, 1, 0, 20)).outcome
    double = draw_orders(settings, Runs(0, 1, 0, 20))
    np.testing.assert_array_equal(np.stack(single), np.stack(double))
    assert reduction.variance == settings.reduction.variance
    np.testing.assert_array_equal(
        outcomes, SUCCESS_RATE.compute(settings, Runs(0, 1, 0, 20)).outcome
    )


def test_critical_points_are_in_double_precision_whatever_the_caller_s_setting():
    def numbers():
        reduction = SphereReduction.of_sums(9, 1.0, 1.0, ReLU())
        return [reduction.saddle_angle, *(point.loss for point in reduction.critical_points())]

    with jax.enable_x64(False):
        single = numbers()
    assert single == numbers()


def test_a_trillionth_of_a_radian_survives_an_ensemble():
    reduction = SphereReduction.of_sums(9, 1.0, 1.0, ReLU())
    start = SphereOrder(*(np.array([x]) for x in (1e-12, 1.0, 1.0)))
    ended = simulate(reduction, NormalizedGradientDescent(0.1), start, 1, early=False)
    # near 0 the pull is angle / 2
    np.testing.assert_allclose(ended.final_angle, 1e-12 * (1 - 0.1 / 2), rtol=1e-11)
