"""The default summary: each kind of number in its way, and nothing hidden that is not finite."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from whytrain.errors import UserError
from whytrain.lab import jsonable, summarize, told

FLAGS = {"flag_values": [0, 1], "flag_meanings": "undecided global"}


def test_what_is_not_a_number_is_told_in_words():
    said = summarize(xr.Dataset({"ratio": ("run", [0.9, math.nan, 1.1])}))["ratio"]
    assert said["mean"] == "1, without 1 of 3 that are not finite"
    none = summarize(xr.Dataset({"ratio": ("run", [math.nan])}))["ratio"]
    assert none["least"] == "nothing, without 1 of 1 that are not finite"
    assert told([1.0, 3.0], np.mean) == 2.0


def test_outcomes_are_counted_by_word():
    dataset = xr.Dataset({"outcome": ("run", np.array([1, 1, 0], dtype=np.int8), FLAGS)})
    assert summarize(dataset) == {"outcomes": {"undecided": 1, "global": 2}}
    over = xr.Dataset({"outcome": (("run", "u"), [[1, 0], [1, 1]], FLAGS)}, {"u": [0.1, 0.2]})
    assert summarize(over) == {"u": [0.1, 0.2], "outcomes": {"undecided": [0, 1], "global": [2, 1]}}


def test_numbers_along_a_short_axis_are_listed_beside_it():
    dataset = xr.Dataset({"bound": (("run", "size"), [[1.0, 5.0], [3.0, 7.0]])}, {"size": [8, 9]})
    listed = {"mean": [2.0, 6.0], "least": [1.0, 5.0], "largest": [3.0, 7.0]}
    assert summarize(dataset) == {"size": [8, 9], "bound": listed}


def test_a_map_or_a_long_axis_is_one_number():
    values = np.arange(200.0).reshape(2, 100)
    assert summarize(xr.Dataset({"x": (("run", "at"), values)}))["x"]["largest"] == 199
    dataset = xr.Dataset({"x": (("run", "a", "b"), values.reshape(2, 10, 10))})
    assert summarize(dataset)["x"]["mean"] == pytest.approx(99.5)


def test_of_a_path_the_end_is_told():
    path = xr.Dataset({"loss": (("run", "time"), [[9.0, 2.0], [9.0, 4.0]])}, {"time": [0, 5]})
    assert summarize(path) == {"loss": {"mean": 3.0, "least": 2.0, "largest": 4.0}}


def test_truth_values_are_a_share_and_json_can_hold_it_all():
    dataset = xr.Dataset({"held": ("run", [True, False]), "limit": 3.0})
    assert summarize(dataset) == {"held": 0.5, "limit": 3.0}
    json.dumps(jsonable(summarize(dataset)), allow_nan=False)


def test_a_number_that_no_reader_takes_is_refused():
    with pytest.raises(UserError, match="a result of 1329 bits is beyond"):
        jsonable({"x": [10**400]})


def test_no_value_is_lost():
    for given, words in (
        (np.ma.array([1.0, 99.0], mask=[0, 1]), "1 of 2 are masked"),
        ([1j], "complex numbers"),
        ([], "there are no number"),
    ):
        with pytest.raises(UserError, match=words):
            told(given)
    for values, flags in (([1, 7], FLAGS), ([1, 0], {"flag_meanings": "undecided global"})):
        with pytest.raises(UserError, match="flag_values"):
            summarize(xr.Dataset({"outcome": ("run", values, flags)}))
