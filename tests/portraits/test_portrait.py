"""The portrait of a network: every instrument sees the same examples."""

import numpy as np

from whytrain.measures import Dense, forward
from whytrain.portraits import portrait


def test_whole_numbers_of_a_test_set_are_numbers_as_those_of_the_training_set():
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 3, (2, 30, 4)).astype(np.uint8)
    first, last = (
        [Dense(rng.normal(size=(5, 4)), rng.normal(size=5)), Dense(rng.normal(size=(3, 5)))]
        for _ in range(2)
    )
    y = np.asarray(forward(last, x.astype(float))).argmax(axis=1)
    whole, real = (
        portrait(first, last, x, y, test=(given, y), products=9, draws=10, sample=20)
        for given in (t, t.astype(float))
    )
    assert not isinstance(whole.kernel, str)
    assert whole.kernel.predictions == real.kernel.predictions
    np.testing.assert_array_equal(whole.test_margins, real.test_margins)
