from dataclasses import replace

import jax
import jaxtyping
import numpy as np
import pytest

from whytrain.data import available, enlarge, load, normalize, random_labels, subset
from whytrain.data.dataset import COLOR, Dataset
from whytrain.errors import UserError

KEY = jax.random.key(3)


def test_digits_are_here_always():
    digits = load("digits")
    assert digits.shape == (8, 8, 1)
    assert len(digits.train_labels) + len(digits.test_labels) == 1797
    assert digits.train_images.dtype == np.float32
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 1)
    assert set(digits.train_labels) == set(range(10))


@pytest.fixture
def fashion():
    """The images, where they are installed; readers are tested on made files."""
    if not available("fashion-mnist"):
        pytest.skip("apt-get install dataset-fashion-mnist would run it")
    return load("fashion-mnist")


@pytest.mark.optional("Fashion-MNIST")
def test_fashion_mnist_is_where_debian_puts_it(fashion):
    found = fashion
    assert found.train_images.shape == (60_000, 28, 28, 1)
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    mean = found.train_images.mean() / 255
    assert mean == pytest.approx(0.2860, abs=1e-4)  # the published mean of its pixels


def colors(count=6):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    labels = np.arange(count, dtype=np.int32) % 2
    return Dataset("colors", images, labels, images[:2], labels[:2], ("even", "odd"))


def test_normalization_is_by_channel():
    found = normalize(colors())
    for channel in range(3):
        want = colors().train_images[..., channel] / 255
        want = (want - COLOR[0][channel]) / COLOR[1][channel]
        np.testing.assert_allclose(found.train_images[..., channel], want, rtol=1e-5, atol=1e-6)
    assert found.train_images.dtype == np.float32
    with pytest.raises(UserError, match="needs 3 means and positive deviations"):
        normalize(colors(), (0.5,), (0.5,))
    with pytest.raises(UserError, match="positive deviations"):
        normalize(colors(), (0.5,) * 3, (0.5, 0.0, 0.5))


def test_a_subset_is_the_first_of_a_permutation():
    digits = load("digits")
    few, more = (subset(digits, n, 50, key=KEY) for n in (100, 200))
    np.testing.assert_array_equal(few.train_images, more.train_images[:100])
    np.testing.assert_array_equal(few.train_labels, more.train_labels[:100])
    with jax.enable_x64(False):
        single = subset(digits, 100, 50, key=KEY)
        order = np.asarray(jax.random.permutation(jax.random.fold_in(KEY, 0), 1200))
    np.testing.assert_array_equal(single.train_images, few.train_images)
    np.testing.assert_array_equal(few.train_labels, digits.train_labels[order[:100]])
    assert len(few.test_labels) == 50
    with pytest.raises(UserError, match="1200 training examples, asked for 1201"):
        subset(digits, 1201, key=KEY)


def test_random_labels_are_uniform_and_keep_the_images():
    digits = load("digits")
    noise = random_labels(digits, KEY)
    assert noise.train_images is digits.train_images
    counts = np.bincount(noise.train_labels, minlength=10)
    chi2 = float(((counts - 120) ** 2 / 120).sum())
    assert chi2 < 42.8  # exceeded with probability 2e-6 (9 degrees of freedom)
    agreeing = int((noise.train_labels == digits.train_labels).sum())
    assert 70 < agreeing < 180  # 120 +- 5 standard deviations
    again = random_labels(digits, KEY)
    np.testing.assert_array_equal(again.train_labels, noise.train_labels)


@pytest.fixture
def unchecked(monkeypatch):
    """As users have it, whom no type checker protects."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_images": None}, "training images must be an array .*, got NoneType"),
        ({"test_images": np.ones((2, 4, 4))}, r"test images must be an array .*, got \(2, 4, 4\)"),
        ({"train_images": np.ones((6, 4, 4, 3), int)}, "must be uint8 .*got int64; give pixels"),
        ({"train_images": np.ones((6, 4, 4, 3), bool)}, "must be uint8 .*got bool"),
        ({"train_images": np.full((6, 4, 4, 3), np.nan)}, "hold numbers that are not finite"),
        (
            {"test_images": np.ones((2, 4, 4, 1))},
            r"shape \(4, 4, 3\), but test images of \(4, 4, 1",
        ),
        ({"test_images": np.ones((2, 5, 4, 3))}, r"but test images of \(5, 4, 3\)"),
        ({"train_labels": np.ones(6)}, "training labels must be an array of one whole number"),
        ({"train_labels": np.arange(6)}, "must be 0 to 1, as there are 2 classes, got 0 to 5"),
    ],
)
def test_what_is_no_data_set_is_refused(unchecked, changes, words):
    with pytest.raises(UserError, match=words):
        replace(colors(), **changes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_in_floats_are_not_normalized(dtype):
    stored = colors().train_images.astype(dtype)
    with pytest.raises(UserError, match="pixels are whole numbers above 1 in floats"):
        normalize(replace(colors(), train_images=stored))
    found = normalize(replace(colors(), train_images=stored / 255 * 2 - 1))
    assert np.isfinite(found.train_images).all()  # whatever else floats hold is theirs


NAN, LARGE = float("nan"), 1e300


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [
        (0.5, None), (("a",) * 3, None), ((NAN,) * 3, None), ((LARGE,) * 3, None),
        (None, (NAN,) * 3), (None, (float("inf"),) * 3), (None, (1e-50,) * 3), (None, 0.5),
        (None, (1e-40,) * 3), ((0.5,), (0.5,)), ((1, 2, (3,)), None),
    ],
)  # fmt: skip
def test_numbers_that_do_not_normalize_are_refused(unchecked, mean, deviation):
    with pytest.raises(UserError, match="normalize needs 3 means and positive deviations"):
        normalize(colors(), mean, deviation)


@pytest.mark.parametrize("count", [0, 7, 1.0, "1", True, np.float32(2)])
def test_a_subset_is_a_whole_number_of_examples(unchecked, count):
    with pytest.raises(UserError, match="colors has 6 training examples, asked for"):
        subset(colors(), count, key=KEY)


@pytest.mark.parametrize(
    ("factor", "border"), [(0, 0), (1.5, 0), ("2", 0), (NAN, 0), (2, -1), (2, 0.5), (None, 0)]
)
def test_images_are_enlarged_by_whole_numbers(unchecked, factor, border):
    with pytest.raises(UserError, match="factor must be 1 or more and border 0 or more, whole"):
        enlarge(colors(), factor, border)


@pytest.mark.parametrize("key", [3, None, "3", np.arange(3), jax.random.split(KEY)])
def test_what_is_no_key_is_refused(unchecked, key):
    for draw in (random_labels, lambda data, key: subset(data, 2, key=key)):
        with pytest.raises(UserError, match=r"key must be one of jax\.random\.key\(0\), got"):
            draw(colors(), key)
