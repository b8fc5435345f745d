"""The map of alignment shows the angle between the printed gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from whytrain.lab import Runs
from whytrain.studies.yin2019 import printed
from whytrain.studies.yin2019.alignment import AlignmentSettings, compute
from whytrain.studies.yin2019.setup import THEOREM


@pytest.mark.parametrize("ste", THEOREM)
def test_the_map_is_the_angle_between_the_printed_gradients(ste):
    settings = AlignmentSettings(ste=ste, m=3, filter_norm=0.7, spread=0.0, angles=3, overlaps=4)
    found = compute(settings, Runs(0, 1, 0, 1)).apart[0]
    for angle in settings.angle_axis:
        w, ws = 0.7 * np.array([math.cos(angle), math.sin(angle)]), np.array([1.0, 0.0])
        for overlap in settings.overlap_axis:
            vs = settings.output_star
            with jax.enable_x64(True):
                place = [jnp.asarray(part) for part in (overlap * vs, vs, w, ws)]
                coarse = np.asarray(printed.COARSE[ste](*place))
                true = np.asarray(printed.filter_gradient(*place))
            cosine = coarse @ true / math.sqrt((coarse @ coarse) * (true @ true))
            here = float(found.sel(angle=angle, overlap=overlap))
            assert math.cos(here) == pytest.approx(cosine, abs=1e-9)
