"""The contract of the store, held over every kind of files; and what local files do besides."""

import json
import os
import time
import uuid

import numpy as np
import pytest
import xarray as xr
from zarr.storage import ZipStore

from whytrain._files import StoreError, open_files, write_atomically
from whytrain.errors import UserError
from whytrain.lab import MemoryStore, Store
from whytrain.lab.store import Piece


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


KINDS = ("path", "file", "memory")


def place(kind, tmp_path):
    return {
        "path": tmp_path / "out" / "here",
        "file": f"file://{tmp_path}/out/here",
        "memory": f"memory://{uuid.uuid4().hex}/here",
    }[kind]


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    return Store.open(place(request.param, tmp_path))


@pytest.fixture
def piece(dataset):
    return Piece({"experiment": "walk", "results": {"mean": 0.5, "nothing": None}}, dataset)


@pytest.fixture
def local(tmp_path):
    return Store.open(tmp_path / "out" / "here")


def test_the_order_of_the_arrays_is_the_same_at_every_reading(store, piece):
    """Five arrays come in one order by chance with probability 1/120 a reading."""
    store.put("a", piece)
    orders = {tuple(store.get("a").dataset.variables) for _ in range(20)}
    assert orders == {("end", "fine", "name", "outcome", "steps")}


def label(store, key="a"):
    return f"pieces/{key}.json"


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_a_piece_comes_back_as_it_was(kind, tmp_path, piece):
    pieces = MemoryStore() if kind == "none" else Store.open(place(kind, tmp_path))
    assert not pieces.has("a")
    assert pieces.get("a") is None
    pieces.put("a", piece)
    assert pieces.has("a")
    found = pieces.get("a")
    xr.testing.assert_identical(found.dataset, piece.dataset)
    assert found.record["results"] == piece.record["results"]
    assert pieces.get("b") is None


def test_a_piece_may_have_no_arrays(store):
    store.put("a", Piece({"results": {"mean": 1.5}}))
    assert store.has("a")
    assert store.get("a").dataset is None
    assert store.record("a")["results"] == {"mean": 1.5}
    assert store.files.names("pieces") == ["a.json"]


def test_only_the_pieces_say_which_there_are(store, piece):
    assert store.keys() == set()
    store.put("a", piece)
    store.put("b", Piece({}))
    assert store.keys() == {"a", "b"}
    assert Store.open(store.files.place).keys() == {"a", "b"}


def test_the_same_numbers_are_the_same_bytes(store, piece):
    store.put("a", piece)
    store.put("b", Piece(piece.record, store.get("a").dataset))
    for end in ("zarr.zip", "json"):
        assert store.files.read(f"pieces/a.{end}") == store.files.read(f"pieces/b.{end}")


def test_writing_again_is_harmless(store, piece):
    store.put("a", piece)
    Store.open(store.files.place).put("a", piece)
    xr.testing.assert_identical(store.get("a").dataset, piece.dataset)


def cut(content):
    return content[:-10]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(content):
    return b""


@pytest.mark.parametrize("name", ["a.zarr.zip", "a.json"])
@pytest.mark.parametrize("damage", [cut, flip, empty, lambda content: b"[]", None])
def test_damage_is_seen_and_said_in_one_line(name, damage, store, piece, caplog):
    store.put("a", piece)
    if damage is not None:
        store.files.write(f"pieces/{name}", damage(store.files.read(f"pieces/{name}")))
    else:
        store.files.remove(f"pieces/{name}")
    assert not store.has("a")
    assert store.get("a") is None
    assert all("piece a is damaged" in line for line in caplog.messages)
    assert caplog.messages or name == "a.json"  # without it there is no piece, only a leftover
    assert all("\n" not in message for message in caplog.messages)
    store.put("a", piece)
    assert store.has("a")


def test_a_failure_is_on_record_until_the_piece_is_there(store, piece):
    assert store.failures() == set()
    assert store.failure("a") is None
    store.fail("a", {"error": "ValueError: no"})
    assert store.failures() == {"a"}
    assert store.failure("a")["error"] == "ValueError: no"
    store.put("a", piece)
    assert store.failures() == set()
    store.fail("b", {"error": "x"})
    store.forgive("b")
    store.forgive("b")
    assert store.failures() == set()


def test_commands_are_on_record(store):
    store.note({"command": "run"})
    store.note({"command": "run"})
    assert len(store.files.names("records")) == 2


def test_a_foreign_place_is_left_alone(store):
    files = open_files(f"{store.files.place}-other")
    files.prepare()
    files.write("thesis.tex", b"precious")
    with pytest.raises(UserError, match="holds files that are not whytrain's"):
        Store.open(files.place)
    assert files.names() == ["thesis.tex"]


def test_another_format_is_left_alone(store):
    store.files.write("whytrain.json", b'{"format": 99}')
    with pytest.raises(UserError, match="has format 99, expected 2"):
        Store.open(store.files.place)


def test_a_run_directory_that_is_not_there_is_not_made(store):
    where = f"{store.files.place}-none"
    with pytest.raises(UserError, match="not a run directory"):
        Store.open(where, create=False)
    assert open_files(where).names() == []


def test_a_url_that_nobody_understands_is_told():
    with pytest.raises(UserError, match="cannot open nosuch://x: "):
        Store.open("nosuch://x")


def test_memory_is_not_shared_and_disks_are(store):
    assert store.shared != store.files.place.startswith("memory")


# --- local files -------------------------------------------------------------------------------


def test_a_piece_is_plain_zarr_with_a_label(local, piece, tmp_path):
    local.put("a", piece)
    pieces = tmp_path / "out" / "here" / "pieces"
    with ZipStore(pieces / "a.zarr.zip", mode="r") as zipped:
        assert xr.open_zarr(zipped, consolidated=False, chunks=None).steps == 7
    assert json.loads((pieces / "a.json").read_text())["experiment"] == "walk"


def test_bytes_that_zarr_does_not_understand_are_damage_too(local, caplog, monkeypatch):
    from whytrain.lab import store as module

    monkeypatch.setattr(module, "_archive", lambda dataset: b"no zip")
    local.put("a", Piece({}, xr.Dataset()))
    assert local.get("a") is None
    assert "damaged" in caplog.text


def test_old_leftovers_are_swept_up_and_young_ones_are_not(local, tmp_path):
    old, young = (tmp_path / "out" / "here" / "pieces" / name for name in (".tmp-old", ".tmp-new"))
    old.write_bytes(b"")
    young.write_bytes(b"")
    yesterday = time.time() - 86400
    os.utime(old, (yesterday, yesterday))
    Store.open(tmp_path / "out" / "here")
    assert not old.exists()
    assert young.exists()
    assert local.keys() == set()


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_full_disk_is_told_with_the_way_out(local, piece, monkeypatch):
    def no_room(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whytrain._files.write_atomically", no_room)
    with pytest.raises(StoreError, match="No space left on device; make room and give the command"):
        local.put("a", piece)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"cannot write to .*; give another --out"):
            Store.open(path)
