"""Checkpoints in a run directory."""

import logging
import uuid

import numpy as np
import pytest

from whytrain.dynamics import training
from whytrain.dynamics.checkpoints import Checkpoint
from whytrain.lab import Store
from whytrain.lab.claims import Request
from whytrain.lab.store import Checkpoints, StoredCheckpoint, piece_files
from whytrain.lab.tasks import Source, split, summary
from whytrain.measures import capacity, read_checkpoint
from whytrain.studies import load as load_study
from whytrain.studies.neyshabur2019.width import WidthSettings, prepared

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([True, False])}


@pytest.fixture(params=["path", "memory"])
def store(request, tmp_path):
    place = tmp_path / "out" if request.param == "path" else f"memory://{uuid.uuid4().hex}"
    return Store.open(place)


def test_arrays_come_back_as_they_were(store):
    place = store.checkpoints("key")["one"]
    assert isinstance(place, Checkpoint)
    assert place.read() is None
    place.write(ARRAYS, width=3)
    found = place.read()
    assert sorted(found) == ["a", "b"]
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    before = store.files.read(place.name)
    place.write(dict(reversed(ARRAYS.items())), width=3)
    assert store.files.read(place.name) == before
    place.remove()
    assert place.read() is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"0" * 100, "cut", "flip"])
def test_a_damaged_checkpoint_is_reported_and_counts_as_missing(store, damage, caplog):
    place = store.checkpoints("key")["one"]
    place.write(ARRAYS)
    whole = store.files.read(place.name)
    damaged = {"cut": whole[:-3], "flip": whole[:-1] + bytes([whole[-1] ^ 4])}.get(damage, damage)
    store.files.write(place.name, damaged)
    with caplog.at_level(logging.WARNING):
        assert place.read() is None
    assert "key-one.safetensors is damaged" in caplog.text


def test_without_a_run_directory_nothing_is_kept():
    places = Checkpoints()
    places["one"].write(ARRAYS)
    assert places["one"].read() is None
    places["one"].remove()
    places.clear()


WIDTH = Request("width", WidthSettings(width=8, epochs=6), 2)


def block(request=WIDTH):
    source = Source(load_study, "neyshabur2019")
    [task] = split(source, load_study("neyshabur2019"), request, 5)
    return task


def test_an_interrupted_block_goes_on_where_it_was(tmp_path, monkeypatch):
    store, task = Store.open(tmp_path / "out"), block()
    whole = task.make()
    monkeypatch.setattr(training, "SECONDS", 0)
    write, epochs = StoredCheckpoint.write, []

    def write_and_fail(self, arrays, **about):
        write(self, arrays, **about)
        if "metrics/train_loss" in arrays:
            epochs.append(arrays["metrics/train_loss"].shape[-1])
            if len(epochs) == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(StoredCheckpoint, "write", write_and_fail)
    with pytest.raises(KeyboardInterrupt):
        task.make(store)
    later = task.make(store)
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert piece_files(task.key, later) == piece_files(task.key, whole)


def test_the_networks_of_a_width_are_kept_for_the_instrument(tmp_path):
    store = Store.open(tmp_path / "out")
    task = block(Request("width", WidthSettings(width=32, epochs=50), 2))
    piece = task.make(store)
    names = {name.removeprefix(task.key) for name in store.files.names("checkpoints")}
    kept = [f"-run-{run}-{when}.safetensors" for run in (0, 1) for when in ("initial", "trained")]
    assert names == set(kept)
    initial, trained = (
        read_checkpoint(tmp_path / "out" / "checkpoints" / f"{task.key}-run-1-{when}.safetensors")
        for when in ("initial", "trained")
    )
    sample = prepared("digits", "true", 600)
    found = capacity(initial, trained, sample.train_images, sample.train_labels)
    assert found.unit_capacity.mean() == piece.dataset.unit_capacity.values[1]


def test_a_sweep_keeps_networks_only_if_asked_to(tmp_path):
    source, study = Source(load_study, "neyshabur2019"), load_study("neyshabur2019")
    for keep in (False, True):
        store = Store.open(tmp_path / str(keep))
        summary(source, study, WIDTH, 5, keep=keep).make(store)
        assert bool(store.files.names("checkpoints")) == keep
