"""Two-layer networks at sizes that take seconds."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from whytrain import UserError
from whytrain.lab import Cell, Cells, Runs
from whytrain.measures import TwoLayerWeights, capacity
from whytrain.studies.neyshabur2019 import curves, width


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


def test_what_is_not_drawn_of_digits_is_tested_on():
    assert small().tested == 1797 - 128
    assert small(data="mnist").tested == small(data="fashion-mnist").tested == 10_000


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="are not here; apt-get install dataset-fashion-mnist, or"):
        width.compute(small(data="fashion-mnist"), Runs(0, 0, 0, 1))
    with pytest.raises(UserError, match="'batch' must be <= examples = 64"):
        small(examples=64, batch=65)
    with pytest.raises(UserError, match="digits has 1797 images"):
        width.prepared("digits", "true", 1797)


def test_sums_of_squares_may_be_off_to_either_side():
    network = TwoLayerWeights(np.eye(2), np.eye(2), np.zeros(2), np.zeros(2))
    measured = capacity(network, network, np.eye(2), np.arange(2))
    lengths, norms = np.array([0.6, 0.8]), {"U_distance_frobenius": 1.0, "V_frobenius": 1.0}
    for impacts, capacities in ((0.9, 1.0), (1.0, 0.9), (1.1, 0.95), (0.95, 1.1)):
        found = replace(
            measured, norms=norms,
            unit_capacity=capacities**0.5 * lengths, unit_impact=impacts**0.5 * lengths,
        )  # fmt: skip
        assert width._sums(found) == pytest.approx(max(abs(impacts - 1), abs(capacities - 1)))


def test_how_many_networks_each_width_has_is_told():
    cells = [Cell(small(), xr.Dataset({"fits": ("run", np.ones(runs))})) for runs in (5, 3, 4)]
    assert curves.seeds(Cells(cells)) == "3 to 5"
    assert curves.seeds(Cells(cells[:1])) == "5"


def test_labels_of_widths_are_so_far_apart_that_none_is_on_another():
    cells = [Cell(small(width=h), xr.Dataset()) for h in (8, 16, 24, 64, 65, 1000)]
    assert curves.ticks(Cells(cells), 2.0) == [8, 16, 64, 1000]
    assert curves.ticks(Cells(cells), 4.0) == [8, 64, 1000]
