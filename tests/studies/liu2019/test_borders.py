"""The claim on the prior's border, in worlds where it is true and false."""

import numpy as np
import pytest
import xarray as xr

from judged import world
from whytrain.errors import UserError
from whytrain.landscapes import Outcome
from whytrain.studies.liu2019 import study
from whytrain.studies.liu2019.borders import BORDER, TOPIC
from worlds import gate

RUNS = 400


def border(shift, asked=None):
    made = []
    for request in asked or BORDER("quick"):
        angles = request.settings.angle_axis
        lost = angles > request.settings.reduction.saddle_angle + shift
        codes = np.where(lost, Outcome.SPURIOUS, Outcome.GLOBAL).astype(np.int8)
        outcome = np.tile(codes[None, :, None], (RUNS, 1, 1))
        made.append(
            xr.Dataset({"outcome": (("run", "angle", "ratio"), outcome)}, {"angle": angles})
        )
    return made


test_claims = gate(
    TOPIC,
    {"prior-is-not-tight": border(0.0)},
    {"prior-is-not-tight": [border(0.02), border(-0.02), border(9.0)]},
)


def test_the_border_is_the_middle_of_its_step():
    [claim] = [claim for claim in TOPIC.claims if claim.id == "prior-is-not-tight"]
    verdict = claim.judge(world(claim, border(0.0, claim.requests("quick"))))
    for finding in verdict.findings[: len(BORDER("quick"))]:
        found = finding.estimate
        assert found.value == pytest.approx((found.low + found.high) / 2)
        assert found.low < found.high


@pytest.mark.parametrize("setting", [{"angles": "1"}, {"angle_high": "1"}])
def test_a_border_beyond_the_axis_is_not_judged(setting):
    setting = {"angle_low": "0.5"} | setting
    [claim] = study.narrowed(["prior-is-not-tight"], setting).claims
    with pytest.raises(UserError, match="does not hold the saddle's"):
        claim.judge(world(claim, border(0.0, claim.requests("quick"))))


def test_without_a_saddle_there_is_no_border():
    [claim] = study.narrowed(["prior-is-not-tight"], {"k": "9"}).claims
    assert {request.settings.alignment for request in claim.requests("quick")} == {1.0}
    with pytest.raises(UserError, match="asks for nothing at alignment=20"):
        study.narrowed(["prior-is-not-tight"], {"alignment": "20", "k": "49"})
