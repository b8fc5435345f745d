"""What is drawn behind the paths of single runs."""

import numpy as np

from whytrain.landscapes import SphereOrder
from whytrain.studies.liu2019.paths import TrajectorySettings, _settled_loss


def test_the_loss_is_drawn_with_the_sum_of_the_output_weights_that_is_best_at_the_angle():
    reduction = TrajectorySettings().reduction
    angle, overlap = np.linspace(0.1, 3.0, 4), np.linspace(-0.2, 0.5, 3) * reduction.power_star
    drawn = _settled_loss(reduction, angle, overlap)
    assert drawn.shape == (3, 4)
    for i, u in enumerate(overlap):
        for j, phi in enumerate(angle):
            at = SphereOrder(phi, reduction.settled(phi).total, u)
            np.testing.assert_allclose(drawn[i, j], float(reduction.loss(at)), rtol=1e-12)
