"""The readers, on small files in the real formats, whole and damaged."""

import gzip
import importlib
import pickle

import jaxtyping
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from whytrain.data import available, load
from whytrain.data.files import read_cifar, read_idx, read_labels, read_svhn
from whytrain.errors import UserError

places = importlib.import_module("whytrain.data.load")  # whose name the function has in the package
RNG = np.random.default_rng(0)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def draw(*shape, high=256):
    return RNG.integers(0, high, shape).astype(np.uint8)


def write_mnist(directory, train=7, test=3, ending=""):
    directory.mkdir(exist_ok=True)
    arrays = {}
    for part, count in (("train", train), ("t10k", test)):
        images, labels = draw(count, 28, 28), draw(count, high=10)
        for kind, array in (("images", images), ("labels", labels)):
            data = idx(array)
            name = f"{part}-{kind}-idx{array.ndim}-ubyte{ending}"
            (directory / name).write_bytes(gzip.compress(data) if ending else data)
            arrays[part, kind] = array
    return arrays


def write_cifar(directory, count=4):
    written = []
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        labels, pixels = draw(count, 1, high=10), draw(count, 3072)
        (directory / f"{name}.bin").write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())
        written.append((labels[:, 0], pixels))
    return written


def write_svhn(path, count=5, **changes):
    content = {"X": draw(32, 32, 3, count), "y": draw(count, 1, high=10) + 1} | changes
    scipy.io.savemat(path, {name: value for name, value in content.items() if value is not None})
    return content


def refused(words, read, *arguments, **options):
    with pytest.raises(UserError, match=words) as caught:
        read(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_are_read_as_written(tmp_path, ending, name):
    arrays = write_mnist(tmp_path, ending=ending)
    found = load(name, tmp_path)
    np.testing.assert_array_equal(found.train_images[..., 0], arrays["train", "images"])
    np.testing.assert_array_equal(found.test_labels, arrays["t10k", "labels"])
    assert found.shape == (28, 28, 1)
    assert found.train_images.dtype == np.uint8
    assert len(found.classes) == 10


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_bytes_tell_whether_a_file_is_compressed_and_not_its_name(tmp_path, ending, packed):
    array = draw(3, 4)
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    np.testing.assert_array_equal(read_idx(path, 2), array)


def test_cifar_is_read_as_written(tmp_path):
    written = write_cifar(tmp_path)
    found = load("cifar10", tmp_path)
    assert found.train_images.shape == (20, 32, 32, 3)
    labels, pixels = written[1]
    np.testing.assert_array_equal(found.train_labels[4:8], labels)
    np.testing.assert_array_equal(found.train_images[4, :, :, 2].ravel(), pixels[0, 2048:])
    np.testing.assert_array_equal(found.test_labels, written[5][0])


@pytest.mark.parametrize("copied", ["data_batch_4.bin", "test_batch.bin"])
def test_no_file_of_cifar_is_another_or_cut(tmp_path, copied):
    write_cifar(tmp_path)
    whole = (tmp_path / copied).read_bytes()
    (tmp_path / copied).write_bytes((tmp_path / "data_batch_2.bin").read_bytes())
    refused(f"{copied} holds the images of data_batch_2.bin", load, "cifar10", tmp_path)
    (tmp_path / copied).write_bytes(whole[:3073])
    refused(f"unequal numbers of images, .*'{copied}': 1", load, "cifar10", tmp_path)


def test_svhn_is_read_as_written_with_ten_for_zero(tmp_path):
    labels = np.array([[10], [1], [9]], np.uint8)
    train = write_svhn(tmp_path / "train_32x32.mat", 3, y=labels)
    write_svhn(tmp_path / "test_32x32.mat")
    found = load("svhn", tmp_path)
    assert found.train_labels.tolist() == [0, 1, 9]
    np.testing.assert_array_equal(found.train_images[2], train["X"][..., 2])


def test_the_python_version_of_cifar_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(Trap()))
    refused("pickled and is never opened; take the binary version", load, "cifar10", tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(pickle.dumps(Trap()))
    refused("no whole number of records", load, "cifar10", tmp_path)


def test_missing_files_and_names_are_told(tmp_path, monkeypatch):
    refused("did you mean 'digits'", load, "digit")
    refused("there is no directory", load, "mnist", tmp_path / "nowhere")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for name in (3, None, ["mnist"]):
        refused("a data set is named by a word", load, name)
    refused("there is no directory 3", load, "mnist", 3)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", False)
    refused("holds no file train-images-idx3-ubyte.gz or", load, "mnist", tmp_path)
    refused("holds no file data_batch_1.bin", load, "cifar10", tmp_path)
    refused("holds no file train_32x32.mat", load, "svhn", tmp_path)
    monkeypatch.setattr(places, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("WHYTRAIN_DATA", str(tmp_path))
    refused("the files of mnist are not here; set WHYTRAIN_DATA", load, "mnist")
    assert not available("mnist")
    write_mnist(tmp_path / "mnist")
    assert available("mnist")
    assert len(load("mnist").train_labels) == 7
    refused("is not read from OpenML", load, "svhn", openml=True)


def test_set_to_nothing_the_variable_hides_all_but_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "DEBIAN", tmp_path)
    write_mnist(tmp_path / "fashion-mnist")
    monkeypatch.setenv("WHYTRAIN_DATA", str(tmp_path / "nowhere"))
    assert available("fashion-mnist")
    assert len(load("fashion-mnist").train_labels) == 7
    monkeypatch.setenv("WHYTRAIN_DATA", "")
    assert not available("fashion-mnist")
    assert available("digits")
    how = "apt-get install dataset-fashion-mnist, or set WHYTRAIN_DATA .* openml=True .*hides them"
    refused(how, load, "fashion-mnist")
    refused("turns OpenML off", load, "mnist", openml=True)
    assert len(load("fashion-mnist", tmp_path / "fashion-mnist").train_labels) == 7


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(draw(6, high=10)))
    refused("7 training images but 6 labels", load, "mnist", tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(draw(6, 20, 20)))
    refused("28 by 28", load, "mnist", tmp_path)


def test_labels_out_of_range_are_refused(tmp_path):
    (tmp_path / "labels").write_bytes(idx(np.array([1, 10], np.uint8)))
    refused("labels must be 0 to 9, but number 1 is 10", read_labels, tmp_path / "labels", 10)
    write_svhn(tmp_path / "a.mat", 2, y=np.array([[1], [11]]))
    refused("number 1 is 11", read_svhn, tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X": None}, "no variables X and y"),
        ({"X": draw(32, 32, 3)}, r"uint8 of shape \(32, 32, 3\)"),
        ({"X": np.zeros((32, 32, 3, 5))}, "X is float64"),
        ({"y": draw(4, 1, high=10)}, "5 images, but y is uint8 x 4"),
        ({"y": np.full((5, 1), 0.5)}, "y is float64"),
        ({"y": draw(5, 2, high=10)}, "5 images, but y is uint8 x 5 x 2"),
        ({"X": draw(32, 32, 3, 6), "y": draw(3, 2, high=10)}, "6 images, but y is uint8 x 3 x 2"),
        ({"y": np.array([[0], [1], [2], [3], [10]])}, "labels are 0 and 10, but 10 stands for"),
        ({"X": draw(32, 32, 3, 0), "y": draw(0, 1)}, "holds no images"),
    ],
)
def test_other_matlab_files_are_refused(tmp_path, changes, words):
    write_svhn(tmp_path / "a.mat", **changes)
    refused(words, read_svhn, tmp_path / "a.mat")


def test_a_header_may_not_announce_the_moon(tmp_path):
    head = bytes([0, 0, 8, 3]) + np.array([2**31, 2**31, 4], ">u4").tobytes()
    (tmp_path / "a").write_bytes(head + bytes(100))
    refused("the header announces an array of shape", read_idx, tmp_path / "a", 3)


def test_no_more_is_unpacked_than_announced(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(draw(2, 2, 2)) + bytes(10**7)))
    refused("8 bytes announced, more found", read_idx, tmp_path / "a.gz", 3)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One whole file of each format, with its reader."""
    directory = tmp_path_factory.mktemp("originals")
    write_mnist(directory, train=2)
    write_cifar(directory, 2)
    write_svhn(directory / "train_32x32.mat", 2)
    plain = (directory / "train-images-idx3-ubyte").read_bytes()
    return {
        "a": (plain, lambda path: read_idx(path, 3)),
        "a.gz": (gzip.compress(plain), lambda path: read_idx(path, 3)),
        "a.bin": ((directory / "data_batch_1.bin").read_bytes(), read_cifar),
        "a.mat": ((directory / "train_32x32.mat").read_bytes(), read_svhn),
        "directory": directory,
    }


@pytest.mark.parametrize("name", ["a", "a.gz", "a.bin", "a.mat"])
@given(data=st.data())
def test_a_damaged_file_is_refused_in_one_line_or_read_whole(originals, name, data):
    whole, read = originals[name]
    path = originals["directory"] / name
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    damaged = bytearray(whole[:cut])
    for _ in range(data.draw(st.integers(0, 3), label="flips")):
        if damaged:
            place = data.draw(st.integers(0, min(len(damaged), 400) - 1))
            damaged[place] = data.draw(st.integers(0, 255))
    damaged += data.draw(st.binary(max_size=3), label="more")
    path.write_bytes(damaged)
    try:
        found = read(path)
    except UserError as error:
        found = str(error)
    if isinstance(found, str):
        assert "\n" not in found
        return
    images = found[0] if isinstance(found, tuple) else found
    assert images.dtype == np.uint8
    assert images.size > 0


def test_the_folders_of_torchvision_and_of_archives_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("WHYTRAIN_DATA", str(tmp_path))
    for folder, name in (("MNIST/raw", "mnist"), ("FashionMNIST/raw", "fashion-mnist")):
        (tmp_path / folder).mkdir(parents=True)
        write_mnist(tmp_path / folder)
        assert len(load(name).train_labels) == len(load(name, tmp_path).train_labels) == 7
    (tmp_path / "cifar10" / "cifar-10-batches-bin").mkdir(parents=True)
    write_cifar(tmp_path / "cifar10" / "cifar-10-batches-bin")
    assert len(load("cifar10").train_labels) == 20
    assert available("cifar10")
    assert repr(load("mnist")) == (
        "Dataset('mnist': 7 training and 3 test images, 28x28x1 uint8, 10 classes)"
    )
