import datetime

import jax
import numpy as np
import pytest
import xarray as xr

from whytrain.errors import UserError
from whytrain.lab import sweep
from whytrain.lab.tasks import check_seed


def test_a_number_a_point():
    grid = sweep(lambda x, y: x + 10 * y, x=[1, 2, 3], y=np.array([0.0, 1.0]))
    assert grid.value.dims == ("x", "y")
    assert grid.value.sel(x=3, y=1.0) == 13


def test_several_numbers_and_words_as_axes():
    grid = sweep(lambda kind, x: {"double": 2 * x, "length": len(kind)}, kind=["b", "aa"], x=[2, 1])
    assert grid.length.sel(kind="aa", x=1) == 2
    assert grid.double.values.tolist() == [[4, 2], [4, 2]]
    assert grid.kind.values.tolist() == ["b", "aa"]


def test_datasets_keep_their_own_dimensions():
    def curve(x):
        return xr.Dataset({"loss": ("time", x * np.arange(3.0)), "n": 3}, {"time": [0, 1, 2]})

    grid = sweep(curve, x=[1.0, 2.0])
    assert grid.loss.dims == ("x", "time")
    assert grid.loss.sel(x=2.0, time=2) == 4
    assert grid.n.dims == ("x",)


def test_a_data_array_keeps_its_name():
    grid = sweep(lambda x: xr.DataArray([x, x], dims="run", name="end"), x=[1.0, 2.0])
    assert grid.end.shape == (2, 2)


def test_keys_belong_to_a_point_and_not_to_the_grid():
    def mean(x, keys):
        return x + jax.vmap(jax.random.normal)(keys).mean()

    wide = sweep(mean, runs=5, seed=1, x=[0.0, 1.0, 2.0])
    narrow = sweep(mean, runs=5, seed=1, x=[2.0])
    assert wide.value.sel(x=2.0) == narrow.value.sel(x=2.0)
    assert wide.value[0] != wide.value[1] - 1
    assert sweep(mean, runs=5, seed=2, x=[2.0]).value[0] != narrow.value[0]


@pytest.mark.parametrize(
    "others", [[2.5], ["b"], [2**60], np.array([2.0]), jax.numpy.arange(2, 3), range(2, 3)]
)
def test_a_point_is_the_same_whatever_stands_beside_it(others):
    def draw(a, keys):
        seen.append(a)
        return jax.vmap(jax.random.normal)(keys).mean()

    seen = []
    alone = sweep(draw, runs=3, a=[1]).value[0]
    others = list(others)
    assert sweep(draw, runs=3, a=iter([1, *others])).value[0] == alone
    assert sweep(draw, runs=3, a=[1.0]).value[0] == alone
    assert [type(value) for value in seen] == [int, int, type(seen[2]), float]
    assert seen[2] == others[0]
    assert sweep(draw, runs=3, a=[2**60, 2**60 + 1]).value.diff("a") != 0


def test_no_axis_is_one_point():
    assert sweep(lambda: 3.0).value == 3


def test_impossible_runs_are_refused():
    with pytest.raises(UserError, match="number of runs"):
        sweep(lambda keys: 1, runs=0)


@pytest.mark.parametrize("seed", [-1, 2**63, True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(UserError, match="seed must be an integer"):
        check_seed(seed)


@pytest.mark.parametrize(
    "values",
    [
        [], [1, 1], [1, 1.0], [[1], [2]], "abc", [np.nan, 1], [np.inf, 1], [10**400], [None, 1],
        [object()], [np.datetime64("2020-01-01")], [datetime.date(2020, 1, 1)], np.array(3),
        [1 + 2j], np.ones((2, 2)), [[1], [2, 3]], {1: 2},
    ],
)  # fmt: skip
def test_an_axis_is_a_list_of_different_values(values):
    with pytest.raises(UserError, match="axis 'x' must be a list of different values"):
        sweep(lambda x: x, x=values)


@pytest.mark.parametrize("value", [None, np.ones(2), {"a": [1, 2]}])
def test_a_function_returns_what_can_be_labeled(value):
    with pytest.raises(UserError, match="must return a number"):
        sweep(lambda x: value, x=[1, 2])


def test_where_a_function_fails_is_told():
    with pytest.raises(UserError, match="fails at b = 2, a = 0: ZeroDivisionError: division by"):
        sweep(lambda a, b: b / a, b=[2], a=[1, 0])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda value: 1.0, "'value', the name of an axis"),
        (lambda value: {"value": 1.0, "b": 2.0}, "'value', the name of an axis"),
        (lambda value: xr.Dataset({"b": ("value", [1.0, 2.0])}), "'value', the name of an axis"),
        (lambda value: xr.Dataset({"b": ("t", np.ones(value))}), "along 'value' does not fit"),
    ],
)
def test_what_does_not_fit_the_axes_is_told(value, words):
    with pytest.raises(UserError, match=words):
        sweep(value, value=[1, 2])
