"""Sizes of the images' experiment."""

import pytest

from whytrain.errors import UserError
from whytrain.studies.zou2021.filters import FilterSettings


def test_digits_are_only_so_many():
    assert FilterSettings(examples=1200, tested=597).data == "digits"
    for more in ({"examples": 1201}, {"tested": 598}):
        with pytest.raises(UserError, match="1200 examples to train on and 597 to test"):
            FilterSettings(**more)
    assert FilterSettings(data="mnist", examples=1201).examples == 1201


def test_a_batch_is_no_larger_than_all():
    assert FilterSettings(examples=64, batch=64).batch == 64
    with pytest.raises(UserError, match="at most examples = 64, got 65"):
        FilterSettings(examples=64, batch=65)
