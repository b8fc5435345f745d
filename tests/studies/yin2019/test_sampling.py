"""How rough an empirical loss is."""

import numpy as np
import pytest

from whytrain.studies.yin2019.sampling import _roughness


def test_roughness_is_the_largest_move_up_over_the_fall():
    assert _roughness(np.array([1.0, 0.5, 0.6, 0.2, 0.3])) == pytest.approx((1 / 3, 0.1 / 0.8))
    assert _roughness(np.array([1.0, 0.5, 0.2])) == (0.0, 0.0)
    assert _roughness(np.array([1.0, 2.0])) == (1.0, 1.0)
