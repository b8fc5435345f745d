"""What should be independent is drawn with different keys."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from whytrain.lab import Runs
from whytrain.landscapes import SharedFilter
from whytrain.studies.yin2019 import bounds, closed_forms, fate, networks, sampling


@pytest.fixture
def drawn(monkeypatch):
    """The keys with which a traced computation draws, each its own object."""
    keys, normal = [], jax.random.normal

    def recorded(key, *args, **kwargs):
        keys.append(key)
        return normal(key, *args, **kwargs)

    def sample(self, key, n):
        keys.append(key)
        return jnp.zeros((n, self.k, self.p))

    monkeypatch.setattr(jax.random, "normal", recorded)
    monkeypatch.setattr(SharedFilter, "sample", sample)
    return keys


SMALL = closed_forms.LandscapeSettings(m=2, n=2, samples=10)
ONE_RUN = {
    "landscape": (lambda key: closed_forms._sampled(SMALL, key), 3),
    "sample-size": (lambda key: sampling._curve(sampling.SampleSettings(m=2, n=2), key), 2),
    "bounds": (lambda key: bounds._constants(key, jnp.array([0.6, 0.8]), 12), 3),
}


@pytest.mark.parametrize("name", ONE_RUN)
def test_no_key_draws_twice(name, drawn):
    one_run, count = ONE_RUN[name]
    with jax.enable_x64(True):
        jax.eval_shape(one_run, jax.random.key(3))
    assert len(drawn) == len(set(map(id, drawn))) == count


def test_starts_are_independent_from_one_alignment_to_the_next():
    runs = Runs(0, 7, 0, 50)
    one, other = (fate._tilts(fate.FateSettings(), runs, number) for number in (0, 1))
    assert len({*one, *other}) == 100
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.55  # less by chance with probability 1 - 4e-5


def test_trainings_see_their_batches_in_different_orders(monkeypatch):
    """Of one run: the float network, its quantized copies, and those that leave the minimum."""
    seen = []
    trained = SimpleNamespace(params={"w": np.zeros((1, 6))})

    def recorded(network, dataset, keys, **options):
        seen.append(jax.random.key_data(keys).tobytes())
        return trained

    monkeypatch.setattr(networks, "train", recorded)
    for told in ("_labeled", "_course"):
        monkeypatch.setattr(networks, told, lambda *args: xr.Dataset())
    settings = networks.NetworkSettings(data="digits", small_epochs=1)
    networks.compute(settings, Runs(0, 7, 0, 1))
    assert len(seen) == len(set(seen)) == 3
