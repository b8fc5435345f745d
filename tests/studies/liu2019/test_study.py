"""The whole study: its claims, and every request can be made."""

import pytest

from whytrain.studies.liu2019 import study

SHEET = {
    "loss", "gradient", "reduction", "spurious-minimum", "existence-threshold", "escape",
    "convergence", "polynomial-time", "cnn-constant-probability", "shortcut-beats-cnn",
    "warmup-needed", "prior-is-not-tight", "spurious-is-slow", "samples",
}  # fmt: skip


def test_claims_are_those_of_the_sheet():
    assert {claim.id for claim in study.claims} == SHEET
    assert len(study.claims) == len(SHEET)


@pytest.mark.parametrize("preset", study.presets)
def test_requests_name_experiments_of_the_study(preset):
    faults = [fault for claim in study.claims for fault in claim.faults if fault.requests]
    for item in (*study.claims, *study.figures, *faults):
        for request in item.requests(preset):
            experiment = study.experiment(request.experiment)
            assert isinstance(request.settings, experiment.settings)
            assert request.runs >= 1
