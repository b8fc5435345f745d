import json
import os
import time

import numpy as np
import pytest
import xarray as xr
from zarr.storage import ZipStore

from whytrain.errors import UserError
from whytrain.lab import MemoryStore, Store
from whytrain.lab.store import write_atomically


@pytest.fixture
def dataset():
    return xr.Dataset(
        {
            "end": ("run", np.array([1.5, np.nan, -np.inf]), {"unit": "1"}),
            "outcome": ("run", np.array([0, 1, 2], np.int8)),
            "fine": ("run", np.array([True, False, True])),
            "steps": 7,
        },
        coords={"name": ("outcomes", np.array(["global", "spurious"]))},
        attrs={"seed": 3},
    )


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "out" / "here")


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_piece_comes_back_as_it_was(kind, store, dataset):
    pieces = MemoryStore() if kind == "memory" else store
    assert not pieces.has("a")
    assert pieces.get("a") is None
    pieces.put("a", dataset, {})
    assert pieces.has("a")
    xr.testing.assert_identical(pieces.get("a"), dataset)
    assert pieces.get("b") is None


def test_a_piece_is_plain_zarr_with_a_label(store, dataset):
    store.put("a", dataset, {"experiment": "walk"})
    with ZipStore(store.path / "pieces" / "a.zarr.zip", mode="r") as zipped:
        assert xr.open_zarr(zipped, consolidated=False, chunks=None).steps == 7
    assert json.loads((store.path / "pieces" / "a.json").read_text())["experiment"] == "walk"


def test_the_same_numbers_are_the_same_bytes(store, dataset):
    store.put("a", dataset, {})
    store.put("b", store.get("a"), {})
    a, b = (store.path / "pieces" / f"{key}.zarr.zip" for key in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_writing_again_is_harmless(store, dataset):
    store.put("a", dataset, {})
    Store.open(store.path).put("a", dataset, {})
    xr.testing.assert_identical(store.get("a"), dataset)


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("a.zarr.zip", cut),
        ("a.zarr.zip", flip),
        ("a.zarr.zip", lambda path: path.unlink()),
        ("a.json", cut),
        ("a.json", lambda path: path.write_text("[]")),
    ],
)
def test_damage_is_seen_and_said_in_one_line(name, damage, store, dataset, caplog):
    store.put("a", dataset, {})
    damage(store.path / "pieces" / name)
    assert not store.has("a")
    assert store.get("a") is None
    assert all("piece a is damaged" in line for line in caplog.messages)
    assert caplog.messages
    assert "\n" not in caplog.messages[0]
    store.put("a", dataset, {})
    assert store.has("a")


def test_bytes_that_zarr_does_not_understand_are_damage_too(store, caplog):
    archive = store.path / "pieces" / "a.zarr.zip"
    archive.write_bytes(b"no zip")
    checksum = "a1b36cf2ad9fe9ef1b07c9f0d1fd0fc7ca6bdd5d6c7e47b0e2cc1a4a7e7a4d8b"
    archive.with_name("a.json").write_text(json.dumps({"sha256": checksum}))
    assert store.get("a") is None
    assert "damaged" in caplog.text


def test_an_unfinished_piece_is_a_missing_one(store, dataset, caplog):
    store.put("a", dataset, {})
    (store.path / "pieces" / "a.json").unlink()
    assert store.get("a") is None
    assert not caplog.messages


def test_old_leftovers_are_swept_up_and_young_ones_are_not(store):
    old, young = (store.path / "pieces" / name for name in (".tmp-old", ".tmp-young"))
    old.write_bytes(b"")
    young.write_bytes(b"")
    yesterday = time.time() - 86400
    os.utime(old, (yesterday, yesterday))
    Store.open(store.path)
    assert not old.exists()
    assert young.exists()


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_foreign_directory_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="holds files that are not whytrain's"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_format_is_left_alone(store):
    (store.path / "whytrain.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="has format 99, expected 1"):
        Store.open(store.path)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"cannot write to .*; give another --out"):
            Store.open(path)


def test_a_run_directory_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
