"""Agreement with a linear rule: of rules, of what is none, and with its interval."""

import numpy as np
import pytest

from whytrain.errors import UserError
from whytrain.measures import linear_agreement


def test_a_rule_is_found_and_a_curved_boundary_is_none():
    x = np.random.default_rng(0).standard_normal((20_000, 2))
    linear = linear_agreement(x, np.sign(x @ [1.0, -2.0]))
    assert linear.share > 0.999
    assert linear.normal @ [1, -2] / np.sqrt(5) == pytest.approx(1, abs=1e-4)
    # Signs of x1 x2: no line does better than half, by symmetry; five standard errors.
    corners = linear_agreement(x, np.sign(x[:, 0] * x[:, 1]))
    assert corners.share == pytest.approx(0.5, abs=0.025)
    assert corners.high - corners.low == pytest.approx(0.02, rel=0.1)


def test_a_tenth_turned_round_is_found_within_the_interval():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40_000, 3))
    noisy = np.sign(x[:, 0]) * np.where(rng.random(40_000) < 0.1, -1, 1)
    found = linear_agreement(x, noisy, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert found.share == pytest.approx(0.9, abs=0.01)  # six standard errors
    assert found.low < found.share < found.high < found.low + 0.01


def test_one_class_alone_and_mistakes():
    x = np.random.default_rng(2).standard_normal((40, 3)) + np.array([5, 0, 0])
    assert linear_agreement(x, np.ones(40)).share == 1
    for arguments, part in [
        ((x[:3], np.ones(3)), "4 probes"),
        ((x, np.zeros(40)), "-1 or 1"),
        ((x, np.ones(40), [[1.0]]), "candidates"),
    ]:
        with pytest.raises(UserError, match=part):
            linear_agreement(*arguments)
