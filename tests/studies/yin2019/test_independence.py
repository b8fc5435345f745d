"""What should be independent is drawn with different keys."""

import jax
import numpy as np
import pytest

from whytrain.landscapes import SharedFilter
from whytrain.studies.yin2019 import bounds, fate, landscape, networks, sampling


@pytest.fixture
def drawn(monkeypatch):
    """Keys that a computation outside of JAX's transformations draws with."""
    keys = []

    def recorded(function, at):
        def draw(*args, **kwargs):
            keys.append(jax.random.key_data(args[at]).tobytes())
            return function(*args, **kwargs)

        return draw

    monkeypatch.setattr(jax.random, "normal", recorded(jax.random.normal, 0))
    monkeypatch.setattr(SharedFilter, "sample", recorded(SharedFilter.sample, 1))
    return keys


ONE_RUN = {
    "landscape": lambda key: landscape._sampled(
        landscape.LandscapeSettings(m=2, n=2, samples=10), key
    ),
    "sample-size": lambda key: sampling._curve(sampling.SampleSettings(m=2, n=2, grid=10), key),
    "bounds": lambda key: bounds._constants_of_one(key, np.array([0.6, 0.8]), 12),
}


@pytest.mark.parametrize(("name", "count"), [("landscape", 3), ("sample-size", 2), ("bounds", 3)])
def test_no_key_draws_twice(name, count, drawn):
    with jax.enable_x64(True):
        ONE_RUN[name](jax.random.key(3))
    assert len(drawn) == len(set(drawn)) == count


def test_starts_are_independent_from_one_alignment_to_the_next():
    runs = networks.Runs(0, 7, 0, 50)
    one, other = (fate._tilts(fate.FateSettings(), runs, number) for number in (0, 1))
    assert len({*one, *other}) == 100
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.55  # less by chance with probability 1 - 4e-5


def test_trainings_see_their_batches_in_different_orders(monkeypatch):
    """Of one run: the float network, its quantized copies, and those that leave the minimum."""
    seen, train = [], networks.train

    def recorded(network, dataset, keys, **options):
        seen.append(jax.random.key_data(keys).tobytes())
        return train(network, dataset, keys, **options)

    monkeypatch.setattr(networks, "train", recorded)
    few = {"examples": 64, "tested": 10, "pretraining": 1, "epochs": 1, "small_epochs": 1}
    settings = networks.NetworkSettings(network="lenet5", data="digits", **few)
    networks.compute(settings, networks.Runs(0, 7, 0, 1))
    assert len(seen) == len(set(seen)) == 3
