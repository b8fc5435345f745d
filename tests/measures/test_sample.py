"""Margins, their quantile and the ramp, where a comparison may be the wrong way round."""

import numpy as np
import pytest

from whytrain import UserError
from whytrain.measures.sample import (
    FEW,
    Examples,
    error,
    margins,
    positive_quantile,
    quantile,
    ramp,
    unsure,
)


def test_the_ramp_at_zero_is_the_error():
    values = np.array([-2.0, -5e-324, -0.0, 0.0, 5e-324, 3.0])
    np.testing.assert_array_equal(ramp(values, 0.0), [1, 1, 1, 1, 0, 0])
    assert ramp(values, 0.0).mean() == error(values)


@pytest.mark.parametrize("gamma", [0.0, 5e-324, 1e-300, 1.0, 3.0, 1e300])
def test_the_ramp_goes_down_from_one_to_zero(gamma):
    values = np.array([-1e300, -1.0, 0.0, gamma / 2, gamma, np.nextafter(gamma, np.inf), 1e301])
    found = ramp(values, gamma)
    assert (np.diff(found[np.argsort(values)]) <= 0).all()
    assert (found[values < 0] == 1).all()
    assert (found[values > gamma] == 0).all()
    assert found[2] == 1  # a tie is an error
    if gamma >= 1:
        assert found[3] == pytest.approx(0.5)
        assert found[4] == 0


@pytest.mark.parametrize("gamma", [-1.0, -5e-324, np.nan])
def test_a_ramp_without_a_margin_is_refused(gamma):
    with pytest.raises(UserError, match="0 or more"):
        ramp(np.ones(3), gamma)


def test_margins_of_ties_and_of_two_classes():
    logits = np.array([[1.0, 1.0], [2.0, -1.0], [-1.0, 2.0]])
    assert margins(logits, np.array([0, 0, 0])).tolist() == [0, 3, -3]
    assert margins(logits, np.array([1, 1, 1])).tolist() == [0, -3, 3]
    assert error(np.array([0.0, 3.0, -3.0, 1e-9])) == 0.5


def test_a_quantile_is_linear_between_neighbors():
    values = np.array([3.0, 1.0, 2.0, 10.0])
    for share, expected in ((0, 1), (1 / 3, 2), (0.5, 2.5), (1, 10)):
        assert quantile(values, share) == pytest.approx(expected)
    for share in (-0.01, 1.01, np.nan):
        with pytest.raises(UserError, match="from 0 to 1"):
            quantile(values, share)


def test_few_examples_are_told_below_the_limit_and_not_at_it():
    assert unsure(0.5, 2 * FEW) == []
    assert len(unsure(0.5, 2 * FEW - 1)) == 1
    assert "1 example below" in unsure(0.0001, 3)[0]


def test_only_a_positive_quantile_is_a_margin():
    values = np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    assert positive_quantile(values, 0.5) == 1
    for share in (0.25, 0.0):  # 0, and below it
        with pytest.raises(UserError, match=r"40.0% .* above 0.4"):
            positive_quantile(values, share)
    with pytest.raises(UserError, match="train until fewer are misclassified"):
        positive_quantile(-np.ones(5), 0.05)
    with pytest.raises(UserError, match="too large for float64"):
        positive_quantile(np.array([1.0, np.inf]), 0.5)
    with pytest.raises(UserError, match="are these the labels of these examples"):
        positive_quantile(-np.ones(5), 0.05, compared=5)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.arange(256.0), "whole numbers from 0 to 255"),
        (np.arange(1.0, 120.0), "whole numbers from 1 to 119"),
        (np.arange(3, dtype=np.uint8), "whole numbers from 0 to 2"),
        (np.arange(90.0), None),  # perhaps counts
        (np.arange(-1.0, 256.0), None),
        (np.arange(256.0) / 255, None),
        (np.arange(2, dtype=np.uint8), None),
        (np.arange(70_000.0), None),
        (np.empty(0), None),
    ],
)
def test_pixels_that_were_not_scaled_are_hinted_at(inputs, words):
    found = Examples(inputs, iter(())).hint()
    assert found is None if words is None else words in found
