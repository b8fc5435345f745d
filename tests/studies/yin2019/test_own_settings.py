"""At a user's settings a claim asks for those, or says in a line why it cannot be judged there."""

import pytest

from whytrain.errors import UserError
from whytrain.studies.yin2019 import closed_forms, study


@pytest.mark.parametrize(
    ("claim", "settings", "asked"),
    [
        ("Y-L1", {"m": "40"}, [{"m": 40, "n": 21}]),
        ("Y-L1", {"m": "3", "n": "5"}, [{"m": 3, "n": 5}]),
        ("Y-P1", {"m": "50"}, [{"m": 50}]),
        ("Y-L8b", {"alignment": "0.45"}, [{"alignment": 0.45}]),
        ("Y-T1a", {"alignment": "0.2", "m": "40"}, [{"alignment": 0.2, "output_scale": 0.15}]),
        ("Y-O5", {"alignments": "5"}, [{"m": 2, "alignments": 5}, {"m": 10, "alignments": 5}]),
        ("Y-O6", {"optimum": "spurious", "filter_norm": "2"},
         [{"ste": "relu", "filter_norm": 2.0}, {"ste": "clipped_relu", "filter_norm": 2.0}]),
        ("Y-E2", {"network": "lenet5"}, [{"network": "lenet5", "small_epochs": 3}]),
    ],
)  # fmt: skip
def test_what_is_derived_follows(claim, settings, asked):
    [there] = study.narrowed([claim], settings).claims
    found = [request.settings for request in there.requests("quick")]
    assert [
        {name: getattr(s, name) for name in a} for s, a in zip(found, asked, strict=True)
    ] == asked


@pytest.mark.parametrize(
    ("claim", "settings", "why"),
    [
        ("Y-L2", {"samples": "2"}, "'samples' must be >= 1000 for a claim"),
        ("Y-O3", {"step_size": "2"}, r"'step_size' must be < 8/\(m \+ 1\) = 1.143 for a claim"),
        ("Y-L8b", {"alignment": "0.6"}, "asks for nothing at alignment=0.6"),
        ("Y-O6", {"alignment": "0.6"}, "'alignment' must be < 0.5 with optimum=spurious"),
        ("Y-W0", {"m": "1"}, "add alignment=0.5"),
        ("Y-T1b", {"alignment": "0.3"}, "did you mean 'alignments'"),
    ],
)
def test_what_cannot_be_judged_is_refused(claim, settings, why):
    with pytest.raises(UserError, match=why):
        study.narrowed([claim], settings)


def test_the_experiment_itself_runs_at_any_settings():
    assert closed_forms.LandscapeSettings(samples=2, step_size=2.0).samples == 2
