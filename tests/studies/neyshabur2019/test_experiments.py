"""The experiments at sizes that take seconds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from whytrain import UserError
from whytrain.lab import Runs
from whytrain.studies.neyshabur2019 import figures, requests, residual_width, tiny, width, witness


def small(**changes):
    return width.WidthSettings(**({"width": 16, "examples": 128, "target": 0.3} | changes))


def test_networks_are_trained_to_the_target_and_measured():
    dataset = width.compute(small(), Runs(0, 0, 0, 2))
    assert dataset.sizes["run"] == 2
    assert dataset.fits.all()
    assert (dataset.train_error < 0.1).all()
    assert (dataset.test_error < 0.3).all()
    assert (dataset.epochs > 1).all()
    assert_allclose(dataset.row_dist_fro, dataset.U_distance_frobenius * dataset.V_frobenius)
    assert (dataset.sum_of_squares_error < 1e-12).all()
    assert np.isfinite(dataset.C_neyshabur2019).all()
    summary = width.summarize(dataset, small())
    assert (summary["fit"], summary["measured"]) == (2, 2)
    assert summary["C_neyshabur2019"]["low"] < summary["C_neyshabur2019"]["estimate"]


def test_a_run_does_not_depend_on_its_neighbors():
    both = width.compute(small(), Runs(0, 0, 0, 2))
    second = width.compute(small(), Runs(0, 0, 1, 1))
    assert_allclose(second.unit_capacity, both.unit_capacity[1:], rtol=1e-4)


def test_a_network_that_does_not_fit_is_a_reported_outcome():
    dataset = width.compute(small(labels="random", epochs=1), Runs(0, 0, 0, 1))
    assert not dataset.fits.any()
    assert "C_vc" not in dataset
    summary = width.summarize(dataset, small())
    assert summary["fit"] == 0
    assert "C_neyshabur2019" not in summary


def test_the_sample_is_the_same_for_all_and_apart_from_the_test_set():
    data = width.prepared("digits", "true", 600)
    assert data.train_images.shape == (600, 8, 8, 1)
    assert data.test_images.shape == (1197, 8, 8, 1)
    assert abs(float(data.train_images.mean())) < 0.02
    assert float(data.train_images.std()) == pytest.approx(1, abs=0.02)
    drawn = width.prepared("digits", "random", 600)
    assert (drawn.train_images == data.train_images).all()
    assert 0.05 < (drawn.train_labels == data.train_labels).mean() < 0.16
    assert (drawn.test_labels == data.test_labels).all()


def test_tiny_complexities_are_below_their_bounds():
    dataset = tiny.compute(tiny.TinySettings(h=2, m=5), Runs(0, 0, 0, 10))
    assert (dataset.no_loss < 1).all()
    assert (dataset.ramp_loss < 0.2).all()
    assert (dataset.by_norms >= 1 - 1e-12).all()
    assert (dataset.margin_slope <= np.sqrt(2) + 1e-12).all()
    assert_allclose(dataset.ramp_slope, 1)
    assert (dataset.printed_slope > 100).all()
    assert (dataset.covering < 3.85).all()


@pytest.mark.parametrize("units", ["equal", "skewed"])
def test_the_witness_reaches_what_it_must(units):
    dataset = witness.compute(witness.WitnessSettings(h=8, n=9, units=units), Runs(0, 0, 0, 400))
    error = float(dataset.ratio.std()) / 20
    assert float(dataset.ratio.mean()) > witness.FLOOR - 4 * error
    assert float(dataset.spectral.max()) <= 1 + 1e-12


def test_the_witness_is_a_network_that_reaches_its_ratio():
    """The sum over groups once more, from the network's own outputs."""
    settings = witness.WitnessSettings(h=4, n=3, units="equal")
    found = float(witness.compute(settings, Runs(0, 0, 0, 1)).ratio[0])
    import jax

    with jax.enable_x64(True):
        seed = int(jax.random.bits(Runs(0, 0, 0, 1).keys()[0], dtype=np.uint32))
    sums = 2 * np.random.default_rng(seed).binomial(3, 0.5, 4) - 3
    F = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    best = 0.0
    for s in np.ndindex(3, 3, 3, 3):
        U = F * (np.array(s) - 1)
        outputs = np.maximum(U @ np.eye(4), 0).sum(axis=0)
        best = max(best, float(sums @ outputs))
    assert found == pytest.approx(best / (4 * np.sqrt(12)))


def test_residual_networks_are_trained_to_the_target():
    settings = residual_width.ResidualSettings(width=2, examples=128, shrink=2, target=0.008)
    dataset = residual_width.compute(settings, Runs(0, 0, 0, 2))
    assert dataset.fits.all()
    assert (dataset.train_error < 0.02).all()
    assert (dataset.test_error < 0.4).all()
    assert (dataset.epochs > 3).all()
    assert residual_width.summarize(dataset, settings)["fit"] == 2


def test_shrinking_averages_squares_of_pixels():
    dataset = width.prepared("digits", "true", 600)
    small = residual_width.shrunk(dataset, 4)
    assert small.shape == (2, 2, 1)
    assert small.test_images[3, 1, 0, 0] == pytest.approx(dataset.test_images[3, 4:, :4].mean())
    with pytest.raises(UserError, match="must divide the sides 8 and 8, got 3"):
        residual_width.shrunk(dataset, 3)


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="power of 2, got 12"):
        witness.WitnessSettings(h=12)
    with pytest.raises(UserError, match="are not here; apt-get install dataset-fashion-mnist, or"):
        width.compute(small(data="fashion-mnist"), Runs(0, 0, 0, 1))
    with pytest.raises(UserError, match="'batch' must be <= examples = 64"):
        small(examples=64, batch=65)
    with pytest.raises(UserError, match="digits has 1797 images"):
        width.prepared("digits", "true", 1797)


def test_every_figure_is_drawn():
    from whytrain.studies.neyshabur2019 import study

    datasets = [width.compute(small(width=h), Runs(0, 0, 0, 2)) for h in (16, 24)]
    for figure in study.figures:
        drawn, caption = figure.draw(datasets)
        assert drawn.axes
        assert len(caption) > 40
    assert study.figures == figures.FIGURES
    assert len(requests.labels("quick")) == 2
