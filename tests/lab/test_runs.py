import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whytrain.lab import Runs, normals


def bits(runs: Runs) -> np.ndarray:
    return np.asarray(jax.random.key_data(runs.keys()))


@settings(max_examples=10)
@given(st.integers(0, 50), st.sampled_from([1, 50]), st.integers(0, 2**63 - 1))
def test_a_run_s_key_depends_on_its_number_alone(first, count, seed):
    whole = bits(Runs(seed, 5, 0, 100))
    np.testing.assert_array_equal(bits(Runs(seed, 5, first, count)), whole[first : first + count])


def test_keys_follow_the_formula():
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 11), 7)
    np.testing.assert_array_equal(bits(Runs(3, 11, 7, 1))[0], jax.random.key_data(key))


def test_seeds_and_streams_tell_apart():
    keys = [bits(Runs(*pair, 0, 1))[0] for pair in [(0, 0), (0, 1), (1, 0), (2**32, 0)]]
    assert len({tuple(key) for key in keys}) == 4


@pytest.mark.parametrize("x64", [True, False])
def test_the_precision_of_the_caller_does_not_matter(x64):
    with jax.enable_x64(x64):
        assert bits(Runs(2**40 + 1, 2**32 - 1, 2**32 - 1, 1)).tolist() == [[3518776490, 2693361242]]


def test_length():
    assert len(Runs(0, 0, 10, 3)) == 3


@pytest.mark.parametrize("count", [1, 2, 16, 17, 100])
def test_normals_are_the_first_ones_of_each_key(count):
    runs = Runs(3, 11, 0, 5)
    with jax.enable_x64(True):
        keys = runs.keys()
        alone = np.stack([jax.random.normal(key, (count,)) for key in keys])
    found = normals(keys, count)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, alone)


def test_what_is_drawn_does_not_depend_on_how_much_is_drawn_together():
    runs = Runs(3, 11, 4, 10)
    some, more = (runs.draw(lambda keys: normals(keys, 3), together=n) for n in (4, 64))
    np.testing.assert_array_equal(some, more)
    np.testing.assert_array_equal(some, normals(runs.keys(), 3))


@pytest.mark.parametrize(("numbers", "together"), [(1, 1024), (100_000, 32), (10**9, 1)])
def test_memory_is_bounded_by_how_many_runs_draw_together(numbers, together):
    sizes = []
    Runs(0, 0, 0, 33).draw(
        lambda keys: sizes.append(len(keys)) or np.zeros(len(keys)), numbers=numbers
    )
    assert set(sizes) == {together}


def test_what_has_no_memory_is_an_error_and_no_end_of_the_process():
    def many(keys):
        return jnp.cumsum(jnp.broadcast_to(jax.random.uniform(keys[0]), (10**13,)))

    with pytest.raises(Exception, match=r"Out of memory"):
        Runs(0, 1, 0, 1).draw(jax.jit(many))
