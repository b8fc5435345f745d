"""Files that cannot carry code, and what is said about those that are something else."""

import inspect
import io
import json
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file

from whytrain import UserError
from whytrain.measures import read_checkpoint, read_data, read_outputs
from whytrain.measures.arrays import as_float64


def test_a_checkpoint_comes_back(tmp_path):
    state = {"hidden.weight": np.arange(6.0).reshape(2, 3), "steps": np.array(3)}
    save_file(state, tmp_path / "a.safetensors")
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert found.keys() == state.keys()
    for name, array in state.items():
        assert_array_equal(found[name], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_checkpoint_may_be_an_npz_file(tmp_path, save):
    state = {"2.weight": np.eye(2), "10.weight": np.ones((1, 2)), "0.bias": np.float32(3)}
    save(tmp_path / "a.npz", **state)
    found = read_checkpoint(tmp_path / "a.npz")
    assert list(found) == ["0.bias", "2.weight", "10.weight"]
    for name, array in state.items():
        assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_data_come_back_plain_or_compressed(tmp_path, save, order):
    x = np.asarray(np.random.default_rng(0).normal(size=(5, 3)), order=order)
    save(tmp_path / "d.npz", inputs=x, labels=np.arange(5), other=np.zeros(2))
    found = read_data(tmp_path / "d.npz")
    assert_array_equal(found["inputs"], x)
    assert_array_equal(found["labels"], np.arange(5))
    assert set(found) == {"inputs", "labels"}
    assert isinstance(found["inputs"], np.memmap) == (save is np.savez)


def test_short_names_and_a_test_set_are_understood(tmp_path):
    arrays = {
        "x": np.ones((2, 3)),
        "y": np.zeros(2),
        "test_x": np.ones((1, 3)),
        "test_y": np.ones(1),
    }
    np.savez(tmp_path / "d.npz", **arrays)
    found = read_data(tmp_path / "d.npz")
    assert set(found) == {"inputs", "labels", "test_inputs", "test_labels"}


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_no_pickle_is_ever_opened(tmp_path):
    np.savez(tmp_path / "d.npz", inputs=np.array([Trap()], dtype=object), labels=np.zeros(1))
    with pytest.raises(UserError, match="no npz file of plain arrays"):
        read_data(tmp_path / "d.npz")
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="no safetensors file"):
        read_checkpoint(tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", w=np.array([Trap()], dtype=object))
    with pytest.raises(UserError, match="no npz file of plain arrays"):
        read_checkpoint(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:  # as PyTorch writes it
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"it holds archive/data\.pkl\); write"):
        read_checkpoint(tmp_path / "b.pt")


def test_what_is_missing_or_damaged_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="there is no data file"):
        read_data(tmp_path / "none.npz")
    np.savez(tmp_path / "d.npz", inputs=np.ones((4, 2)))
    with pytest.raises(UserError, match="no array 'labels' \\(or 'y'\\); it has inputs"):
        read_data(tmp_path / "d.npz")
    save_file({"w": np.ones(100)}, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", w=np.ones(100))
    files = {"d.npz": read_data, "a.safetensors": read_checkpoint, "a.npz": read_checkpoint}
    for name, read in files.items():
        whole = (tmp_path / name).read_bytes()
        for size in (0, 10, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(UserError, match="file of") as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_data, read_checkpoint, read_outputs])
def test_an_encrypted_file_is_told(tmp_path, read):
    np.savez(tmp_path / "d.npz", inputs=np.ones(2), labels=np.ones(2), outputs=np.ones(2))
    whole = (tmp_path / "d.npz").read_bytes()
    for head, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the two headers of each array
        parts = whole.split(head)
        rest = (
            part[: flag - 4] + bytes([part[flag - 4] | 1]) + part[flag - 3 :] for part in parts[1:]
        )
        whole = head.join([parts[0], *rest])
    (tmp_path / "d.npz").write_bytes(whole)
    with pytest.raises(UserError, match="is encrypted"):
        read(tmp_path / "d.npz")


def test_names_come_in_natural_order(tmp_path):
    names = ["0.weight", "2.weight", "10.bias", "10.weight", "a.9", "a.10", "fc2", "fc10"]
    save_file({name: np.ones(1) for name in names}, tmp_path / "a.safetensors")
    assert list(read_checkpoint(tmp_path / "a.safetensors")) == names


def test_numbers_that_numpy_has_not_are_named(tmp_path):
    header = b'{"a":{"dtype":"F8_E8M0","shape":[2],"data_offsets":[0,2]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x38\x38")
    with pytest.raises(UserError, match=r"'a' is stored as F8_E8M0.*save it as float32"):
        read_checkpoint(path)


def test_outputs_are_read_from_either_file_or_with_the_data(tmp_path):
    logits = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "o.npy", logits)
    np.savez(tmp_path / "o.npz", outputs=logits, other=np.ones(3))
    np.savez(tmp_path / "one.npz", whatever=logits)
    for name in ("o.npy", "o.npz", "one.npz"):
        assert_array_equal(read_outputs(tmp_path / name), logits)
    np.savez(tmp_path / "d.npz", x=logits, y=np.arange(2), logits=logits)
    assert_array_equal(read_data(tmp_path / "d.npz")["outputs"], logits)
    np.savez(tmp_path / "two.npz", a=logits, b=logits)
    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object))
    (tmp_path / "none.npy").write_bytes(b"")
    for name, words in (
        ("two.npz", "has no array 'outputs'; it has a, b"), ("trap.npy", "no npy or npz file"),
        ("none.npy", "no npy or npz file"), ("absent.npy", "there is no file of outputs"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            read_outputs(tmp_path / name)


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_short_numbers_are_read(tmp_path, kind):
    state = {"0.weight": np.arange(6.0).reshape(2, 3).astype(getattr(ml_dtypes, kind))}
    names = {"bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
    body = state["0.weight"].tobytes()
    said = {"dtype": names[kind], "shape": [2, 3], "data_offsets": [0, len(body)]}
    head = json.dumps({"0.weight": said}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)
    found = read_checkpoint(path)["0.weight"]
    assert found.dtype == getattr(ml_dtypes, kind)
    assert_array_equal(as_float64(found), np.arange(6.0).reshape(2, 3))


def test_several_files_are_read_by_their_index(tmp_path):
    save_file({"0.weight": np.ones((2, 3))}, tmp_path / "one.safetensors")
    save_file({"2.weight": np.zeros((1, 2))}, tmp_path / "two.safetensors")
    index = {"weight_map": {"0.weight": "one.safetensors", "2.weight": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = read_checkpoint(tmp_path)
    assert list(found) == ["0.weight", "2.weight"]
    index["weight_map"]["4.weight"] = "two.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"names 4\.weight, which the file named for it does"):
        read_checkpoint(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="is no index of safetensors files"):
        read_checkpoint(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(UserError, match="holds 2 checkpoints"):
        read_checkpoint(tmp_path)


def index_of(folder, where):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_each_tensor_comes_from_the_file_that_the_index_names(tmp_path):
    (tmp_path / "sub").mkdir()
    save_file({"w": np.ones(2), "more": np.ones(1)}, tmp_path / "a.safetensors")
    save_file({"w": np.zeros(2), "b": np.zeros(1)}, tmp_path / "b.safetensors")
    save_file({"c": np.full(1, 7.0)}, tmp_path / "sub" / "b.safetensors")
    where = {"w": "a.safetensors", "b": "b.safetensors", "c": "sub/b.safetensors"}
    index_of(tmp_path, where)
    found = read_checkpoint(tmp_path)
    assert {name: array.tolist() for name, array in found.items()} == {
        "b": [0],
        "c": [7],
        "w": [1, 1],
    }


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("../a.safetensors", "must name files in its own folder"),
        ("/tmp/a.safetensors", "must name files in its own folder"),
        ("none.safetensors", "names 'none.safetensors', and there is no such file"),
        (".", "there is no such file"), ("model.safetensors.index.json", "is no safetensors file"),
    ],
)  # fmt: skip
def test_an_index_names_files_beside_it(tmp_path, file, words):
    index_of(tmp_path, {"w": file})
    with pytest.raises(UserError, match=words):
        read_checkpoint(tmp_path)


def test_a_flipped_bit_is_told(tmp_path):
    x = np.arange(1000.0).reshape(100, 10)
    np.savez(tmp_path / "d.npz", inputs=x, labels=np.arange(100))
    whole = bytearray((tmp_path / "d.npz").read_bytes())
    whole[whole.index(x[50].tobytes())] ^= 1
    (tmp_path / "d.npz").write_bytes(whole)
    with pytest.raises(UserError, match="Bad CRC-32 for file 'inputs"):
        read_data(tmp_path / "d.npz")


def npy(array, **changes):
    """The bytes of an array, with another header."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(60,), (-1,), (10**30,), (2**60,)])
def test_an_array_ends_where_its_member_does(tmp_path, shape, packing):
    with zipfile.ZipFile(tmp_path / "d.npz", "w", packing) as archive:
        archive.writestr("inputs.npy", npy(np.ones(40), shape=shape))
        archive.writestr("labels.npy", npy(np.ones(400)))
    for read in (read_data, read_checkpoint):
        with pytest.raises(UserError, match="no npz file of plain arrays"):
            read(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("outputs.npy", npy(np.ones(3)).replace(b"{", b"(")),
        ("outputs.npy", npy(np.ones(3)).replace(b"(3,)", b"\"\"\"1")),
        ("outputs.npy", npy(np.ones(3)).replace(b"'shape'", b"[1]:[1]")),
        ("outputs.npy", b"no array"), ("outputs", b"no array"),
    ],
)  # fmt: skip
def test_a_member_that_is_no_array_is_told(tmp_path, member, content):
    with zipfile.ZipFile(tmp_path / "o.npz", "w") as archive:
        archive.writestr(member, content)
    for read in (read_outputs, read_checkpoint):
        with pytest.raises(UserError, match="npz file of plain arrays") as caught:
            read(tmp_path / "o.npz")
        assert "\n" not in str(caught.value)


def test_nothing_is_told(tmp_path):
    np.savez(tmp_path / "o.npz")
    with pytest.raises(UserError, match="no array 'outputs'; it has nothing"):
        read_outputs(tmp_path / "o.npz")
    for read in (read_outputs, read_checkpoint, read_data):
        for path in (None, 3):
            with pytest.raises(UserError, match="give its path, got an object of type"):
                inspect.unwrap(read)(path)


def test_a_name_may_have_any_number_of_digits(tmp_path):
    names = ["a.9", "a.10", "a." + 5000 * "1"]
    save_file({name: np.ones(1) for name in names[::-1]}, tmp_path / "a.safetensors")
    assert list(read_checkpoint(tmp_path / "a.safetensors")) == names
