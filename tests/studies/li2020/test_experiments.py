"""Every experiment beside what is computed another way, small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from small_numbers import SMALL
from whytrain.errors import UserError
from whytrain.kernels import gradient_flow, hierarchy, tangent_kernel, truncated_flow
from whytrain.lab import Runs, parse
from whytrain.studies.li2020 import mean_kernel, study, truncation
from whytrain.studies.li2020.setup import ACTIVATIONS, NETWORKS, NetworkSettings

TINY = SMALL["li2020"]
RUNS = Runs(0, 1, 0, 3)
KEYS = RUNS.keys()


def computed(name, *more, runs=RUNS):
    experiment = study.experiment(name)
    settings = parse(experiment.settings, [*TINY[name], *more])
    return settings, experiment.compute(settings, runs)


def problems(settings):
    """The draws of the runs once more, with NumPy's arrays."""
    with jax.enable_x64(True):
        return [jax.tree.map(np.asarray, settings.draw(key)) for key in KEYS]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_units_keep_their_mean_square(activation):
    s, gain = ACTIVATIONS[activation]
    x = np.linspace(-12, 12, 40_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    with jax.enable_x64(True):
        assert gain * np.trapezoid(np.asarray(s(x)) ** 2 * density, x) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_both_networks_start_with_outputs_of_order_one(network):
    settings = NetworkSettings(network=network, width=400, depth=6)
    with jax.enable_x64(True):
        params, x, _ = settings.draw(jax.random.key(0))
        assert 0.3 < float(np.std(settings.model(params, x))) < 3
    expected = 1 if network == "residual" else np.sqrt(settings.inputs)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_hierarchy_is_exact_and_odd_kernels_turn(network):
    _, found = computed("hierarchy", f"network={network}")
    for name in ("f", "K2", "K3"):
        assert float(found[name].max()) < 1e-5
    assert float(found.symmetry.max()) == 0
    assert float(found.even.max()) < 1e-13
    assert float(found.odd.max()) < 1e-13
    assert float(found.asymmetry.min()) > 0.01


def test_the_drift_is_that_of_the_flow():
    settings, found = computed("drift")
    for run, (params, x, y) in enumerate(problems(settings)):
        path = gradient_flow(settings.model, params, x, y, found.time.values, kernel=True)
        moved = path.kernel - path.kernel[0]
        size = np.linalg.norm(moved[-1]) / np.linalg.norm(path.kernel[0])
        assert float(found.drift[run]) == pytest.approx(size, rel=1e-9)
        assert float(found.largest[run]) == pytest.approx(np.abs(moved).max(), rel=1e-9)
        np.testing.assert_allclose(found.risk[run], path.risk, rtol=1e-9)


@pytest.mark.slow
def test_orders_are_those_of_the_truncated_flow():
    settings, found = computed("truncation")
    for run, (params, x, y) in enumerate(problems(settings)):
        times = found.time.values
        true = gradient_flow(settings.model, params, x, y, times)
        for order in (2, 3, 4):
            flow = truncated_flow(settings.model, params, x, y, order, times)
            error = np.sqrt(np.mean((flow.outputs - true.outputs) ** 2, axis=1)).max()
            assert float(found[f"error_{order}"][run]) == pytest.approx(error, rel=1e-6)
            np.testing.assert_allclose(found.risk[run].sel(order=str(order)), flow.risk, rtol=1e-7)
        K2 = np.asarray(hierarchy(settings.model, params, x, 2)[0])
        ends = y + scipy.linalg.expm(-times[-1] * K2 / len(y)) @ (true.outputs[0] - y)
        risk = np.mean((ends - y) ** 2) / 2
        assert float(found.risk[run].sel(order="2")[-1]) == pytest.approx(risk, rel=1e-7)
        assert float(found.bound[run]) > float(found.error_2[run])
        np.testing.assert_allclose(found.risk[run, :, 0], 0.5)  # off by 1 or -1 everywhere


def test_fast_kernels_of_the_mean_are_tangent_kernels():
    settings = mean_kernel.MeanSettings(width=7, layers=4, variance=3.0)
    for key in KEYS:
        found = mean_kernel._kernel(7, 4, jnp.float32(3.0), key)
        with jax.enable_x64(False):  # or other numbers are drawn
            params = settings.network.init(key)
        K = tangent_kernel(settings.network, params, mean_kernel.INPUTS)
        np.testing.assert_allclose(found, np.asarray(K)[0], rtol=1e-5)


@pytest.mark.parametrize(("width", "layers"), [(1, 2), (5, 3)])
def test_the_mean_on_the_diagonal_has_no_correction(width, layers):
    """Fails for a correct program with probability 1e-4: four standard errors."""
    settings = mean_kernel.MeanSettings(width=width, layers=layers, networks=500)
    found = mean_kernel.compute(settings, Runs(0, 1, 0, 64))
    error = float(found.diagonal.std(ddof=1)) / 8
    assert abs(float(found.diagonal.mean()) - 1) < 4 * error < 0.1
    x = mean_kernel.INPUTS[0]
    said = layers * (x @ x) / 2
    np.testing.assert_allclose(found.kernel / found.diagonal, said, rtol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_singular_kernel_has_no_width_at_which_it_would_move_enough(network):
    more = [f"network={network}", "width=1", "depth=1", "inputs=2", "examples=16"]
    _, found = computed("width-demand", *more)
    assert (np.abs(found.least) < 1e-12).all()
    assert np.isnan(found.demand).all()


def test_the_bound_of_a_singular_kernel_is_that_of_the_time():
    K3, K4 = np.ones((1, 2, 2, 2)), np.zeros((1, 2, 2, 2, 2))
    for least in (0.0, 1e-17, -1e-17):
        K2 = np.diag([1.0, least])[None]
        assert truncation._bound(np.ones((1, 2)), K2, K3, K4, 3.0) == pytest.approx(9 / 2)


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("drift", ["width=100000"], r"width 100000 have 2.0e\+10 parameters, and at most 1e\+08"),
        ("mean-kernel", ["width=10000"], "3 hidden layers of width 10000"),
        ("mean-kernel", ["variance=1e-13"], "is of order 1e-40, too far for float32"),
        ("mean-kernel", ["variance=3", "layers=200"], r"is of order 1e\+35"),
    ],
)
def test_what_has_no_memory_or_no_number_is_refused(name, pairs, message):
    with pytest.raises(UserError, match=message):
        parse(study.experiment(name).settings, pairs)
    mean_kernel.MeanSettings(width=2, variance=20.0, layers=26)  # of order 1e+25, the last allowed
