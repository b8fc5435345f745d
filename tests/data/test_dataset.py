import jax
import numpy as np
import pytest

from whytrain.data import available, load, normalize, random_labels, subset
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
